"""Robust accuracy at every eps, counted again by NumPy, with the interval of statsmodels."""

import math

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from tests.queries.zoo import Zoo
from zoo_eval.queries.connection import connect
from zoo_eval.queries.questions import question
from zoo_eval.store import Store

# By attack, of one model's images: 0 wrong as it is, infinite not changed, None an error.
DISTANCES = {
    "ddn": [0.5, 2.0, math.inf, 0, 1.0, None, 0.5, 3.0],
    "fmn": [0.7, 1.5, math.inf, 0, math.inf, None, 0.4, None],
}
STATUS = {0: "already_wrong", math.inf: "bound_hit", None: "error"}


def attack(zoo, model, name, distances, *, norm="l2", **facts):
    rows = [
        {
            "stimulus_id": f"s{n}", "attack": name, "norm": norm, "status": STATUS.get(d, "found"),
            "distance": d if STATUS.get(d, "found") == "found" else None,
        }
        for n, d in enumerate(distances)
    ]  # fmt: skip
    options = {"norm": norm, "decision": "argmax", "canvas": "own", "options": {"name": name}}
    facts = {"protocol": "corrected", "parameters": options, **facts}
    zoo.add("minimal_attack", "attacks", rows, model=model, attack=name, **facts)


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    zoo = Zoo(Store(str(tmp_path_factory.mktemp("zoo") / "store"), create=True))
    for name, distances in DISTANCES.items():
        attack(zoo, "a", name, distances)
    attack(zoo, "a", "fmn", [4 / 255, 3 / 255, math.inf, 0], norm="linf")
    random = np.random.default_rng(0).exponential(1, 200).tolist()
    attack(zoo, "it's <b>", "ddn", [*random[:-9], *[math.inf] * 5, *[0] * 4])
    attack(zoo, "sure", "ddn", [math.inf] * 5)
    attack(zoo, "wrong", "ddn", [0] * 5)
    return connect(zoo.commit())


def far(distances):
    return np.array([math.inf if one is None else one for one in distances], dtype=float)


def curve(connection, model, name, norm="l2"):
    rows = connection.rows(
        "SELECT * FROM robust_curves ORDER BY eps",
    )
    return [
        row for row in rows if (row["model"], row["attack"], row["norm"]) == (model, name, norm)
    ]


def at(rows, eps):
    return max((row for row in rows if row["eps"] <= eps), key=lambda row: row["eps"])


@pytest.mark.parametrize("name", DISTANCES)
def test_every_eps_counts_the_images_above_it(connection, name):
    distances, rows = far(DISTANCES[name]), curve(connection, "a", name)
    for eps in (0, 0.3, 0.4, 0.45, 0.5, 0.7, 1, 1.5, 2, 2.5, 3, 100):
        assert at(rows, eps)["robust_accuracy"] == (distances > eps).mean()
    assert [row["eps"] for row in rows] == sorted({0.0, *distances[np.isfinite(distances)]})


def test_the_interval_is_wilsons(connection):
    rows = curve(connection, "it's <b>", "ddn") + curve(connection, "a", None)
    assert len(rows) > 190
    for row in rows:
        low, high = proportion_confint(row["n_above"], row["n_images"], method="wilson")
        assert (row["low"], row["high"]) == pytest.approx((low, high), abs=1e-12)
        assert row["robust_accuracy"] == row["n_above"] / row["n_images"]


def test_together_the_shortest_counts_image_by_image(connection):
    rows = curve(connection, "a", None)
    least = np.minimum(*map(far, DISTANCES.values()))
    for eps in (0, 0.4, 0.45, 0.5, 1, 1.5, 2.9, 3, 9):
        assert at(rows, eps)["robust_accuracy"] == (least > eps).mean()
    assert {row["n_attacks"] for row in rows} == {2}


def test_what_no_attack_changed_stays_and_is_told(connection):
    (ddn, *_), (together, *_) = curve(connection, "a", "ddn"), curve(connection, "a", None)
    assert (ddn["n_images"], ddn["n_already_wrong"], ddn["n_bound_hit"], ddn["n_error"]) == (
        8,
        1,
        1,
        1,
    )
    # An image is an error where all attacks ended in one.
    assert (together["n_bound_hit"], together["n_error"]) == (1, 1)
    (sure,), (wrong,) = curve(connection, "sure", "ddn"), curve(connection, "wrong", "ddn")
    assert (sure["eps"], sure["robust_accuracy"], sure["high"]) == (0, 1, 1)
    assert (wrong["eps"], wrong["robust_accuracy"], wrong["low"]) == (0, 0, 0)


def test_norms_are_not_mixed(connection):
    rows = curve(connection, "a", None, "linf")
    assert [row["n_above"] for row in rows] == [3, 2, 1]
    assert {row["n_attacks"] for row in rows} == {1}


def test_the_question_answers_at_the_eps_it_asks_for(connection):
    rows = connection.rows(question("robust_accuracy").sql)
    found = {(row["model"], row["norm"], row["eps"]): row for row in rows}
    least = np.minimum(*map(far, DISTANCES.values()))
    for eps in (0, 0.1, 0.25, 0.5, 1, 3):
        assert found["a", "l2", eps]["robust_accuracy"] == (least > eps).mean()
    # At an eps of exactly a distance that image is lost: 4/255 both times.
    linf = [found["a", "linf", eps]["n_above"] for eps in (0, 1 / 255, 2 / 255, 4 / 255, 8 / 255)]
    assert linf == [3, 3, 3, 1, 1]
    assert len(rows) == len(found)


def test_settings_seeds_and_photos_are_not_mixed(tmp_path):
    zoo = Zoo(Store(str(tmp_path / "store"), create=True))
    attack(zoo, "a", "ddn", [1.0, 2.0])
    attack(zoo, "a", "ddn", [3.0], seed=1)
    attack(zoo, "a", "ddn", [4.0, 5.0, 6.0], stimuli_digest="q")
    attack(zoo, "a", "ddn", [7.0], parameters={"norm": "l2", "canvas": 224})
    rows = connect(zoo.commit()).rows("FROM robust_curves WHERE attack IS NULL AND eps = 0")
    assert sorted(row["n_images"] for row in rows) == [1, 1, 2, 3]
    assert {row["n_attacks"] for row in rows} == {1}


def test_a_store_without_attacks_has_no_curve(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    assert connect(store).rows("FROM robust_curves") == []
    zoo = Zoo(store)
    zoo.card("a")
    zoo.accuracy("a", 0.5)
    connection = connect(zoo.commit())
    assert connection.rows("FROM robust_curves") == []
    assert connection.rows(question("robust_accuracy").sql) == []
