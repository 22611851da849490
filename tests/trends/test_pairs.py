"""Two models on the same targets and stimuli: SciPy's paired statistics, and Holm over all that is asked."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tests.trends import zoo
from zoo_eval.errors import BadInput
from zoo_eval.queries.connection import connect
from zoo_eval.trends.pairs import compared


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = zoo.made(tmp_path_factory.mktemp("pairs") / "store", n=2)
    zoo.card(made, "local/it's <b>", "family0", weights_digest="w")
    rng = np.random.default_rng(0)
    zoo.attacks(made, "local/it's <b>", np.r_[rng.uniform(1, 2, 5), np.inf])
    return made


def test_each_is_the_mean_difference_with_scipys_interval(store):
    found = {row["trend"]: row for row in compared(connect(store), [("local/m00", "local/m01")])}
    assert set(found) == {"accuracy_vs_neural", "accuracy_vs_tolerance", "accuracy_vs_alignment"}
    row = found["accuracy_vs_tolerance"]
    times = [np.array([0.9, 0.95, 1.0, 1.05, 1.1, 1.0 + 0.001 * i]) for i in range(2)]
    first, second = (zoo.TOLERANCE[i] * times[i] for i in range(2))
    classical = stats.ttest_rel(first, second)
    assert row["estimate"] == pytest.approx((first - second).mean())
    assert (row["low"], row["high"]) == pytest.approx(tuple(classical.confidence_interval()))
    assert (row["n_pairs"], row["unit"], row["models"]) == (
        6,
        "stimulus",
        ["local/m00", "local/m01"],
    )
    neural = found["accuracy_vs_neural"]
    assert neural["estimate"] == pytest.approx(zoo.Y[0] - zoo.Y[1], abs=1e-6)
    assert (neural["n_pairs"], neural["unit"]) == (zoo.N_TARGETS, "target")


def test_p_of_all_that_is_asked_are_adjusted_together(store):
    asked = [
        ("local/m00", "local/m01"),
        ("local/m01", "local/it's <b>"),
        ("local/m00", "local/m01"),
    ]
    found = compared(connect(store), asked)
    assert len(found) == 4
    expected = multipletests([row["p_value"] for row in found], method="holm")[1]
    assert [row["p_adjusted"] for row in found] == pytest.approx(list(expected))


def test_infinite_values_are_counted_and_names_are_only_names(store):
    (row,) = compared(connect(store), [("local/it's <b>", "local/m01")])
    assert (row["estimate"], row["n_infinite"]) == (None, 1)
    assert "larger on" in row["no_interval"]
    assert row["p_value"] is not None


@pytest.mark.parametrize(
    ("pair", "said"),
    [(("local/m00", "local/m0"), "no model 'local/m0' that counts; nearest: local/m0"),
     (("local/m00", "local/m00"), "with itself")],
)  # fmt: skip
def test_a_model_that_is_not_there_is_refused_with_the_nearest(store, pair, said):
    with pytest.raises(BadInput, match=said):
        compared(connect(store), [pair])
