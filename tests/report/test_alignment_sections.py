"""The report shows alignment beside its null, protocols with their defects, and stored pictures."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from jobs import gallery
from tests.planted_rows import ledger_row, result_row
from tests.report.conftest import tables
from tests.rounding import float32_products
from zoo_eval.evaluations.attack_protocols import PROTOCOLS
from zoo_eval.pictures import levels, png
from zoo_eval.queries.connection import connect
from zoo_eval.report.examples import chosen
from zoo_eval.report.gallery import pictures as gallery_pictures
from zoo_eval.report.html import page, write
from zoo_eval.report.planted import warnings
from zoo_eval.report.protocols import DEFECTS, WORDS, explained, protocols
from zoo_eval.store import Store
from zoo_eval.trends.comparisons import comparisons
from zoo_eval.trial import Trial

PX = 6
TOP1 = {"local/a": 0.9, "local/b": 0.7, "local/c": 0.5}
ALIGNED = {"local/a": 0.1, "local/b": 0.3, "local/c": 0.2}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def trial(evaluation, model, **facts):
    identity = {"weights_digest": "w", "architecture": "x", "transform": {}}
    facts = {"protocol": "standard", "stimuli": "photos", "stimuli_digest": "p", **facts}
    return Trial(evaluation, 1, facts.pop("protocol"), model=model, **identity, **facts)


def add(store, one, **tables):
    rows = {name: [result_row(name, one, **row) for row in some] for name, some in tables.items()}
    store.commit(rows, [ledger_row(one)])


def photo(i):
    return np.random.default_rng(i).integers(0, 256, (3, PX, PX)) / 255


def attacked(store, model, *, protocol="corrected", attack="ddn", scale=1.0, flags=(), n=3,
             planted=False, pictures=True):  # fmt: skip
    one = trial(
        "minimal_attack", model, protocol=protocol, attack=attack, importance="clickme",
        importance_digest="i", parameters={"decision": "argmax", "importance": {"planted": planted}},
    )  # fmt: skip
    ids = [f"it's {i}" for i in range(n)]
    perturbation = np.random.default_rng(5).normal(0, 0.1, 3 * PX * PX).astype(np.float16)
    kept = {
        "photo": lambda i: png(levels(photo(i).transpose(1, 2, 0))),
        "human_map": lambda i: png(levels(photo(i)[0])),
    } if pictures else {}  # fmt: skip
    add(
        store,
        one,
        attacks=[
            {"stimulus_id": i, "attack": attack, "norm": "l2", "status": "found", "flags": list(flags),
             "distance": scale * (1 + k), "l2": scale, "label": 7, "adversarial_prediction": 9}
            for k, i in enumerate(ids)
        ],
        perturbations=[
            {"stimulus_id": i, "attack": attack, "shape": [3, PX, PX], "perturbation": perturbation,
             **{name: made(k) for name, made in kept.items()}}
            for k, i in enumerate(ids)
        ],
        alignment=[
            {"stimulus_id": i, "method": attack, "channel_reduction": reduction,
             "importance": "clickme", "spearman": ALIGNED.get(model, 0.0), "null_spearman": 0.05}
            for i in ids for reduction in ("abs_of_mean", "l2")
        ],
    )  # fmt: skip


def zoo(store, **choices):
    for model, top1 in TOP1.items():
        add(store, trial("gate", model), models=[{"gate": "exempt", "weights_digest": "w"}])
        add(store, trial("accuracy", model), accuracy=[{"top1": top1, "n_images": 10}])
        attacked(store, model, **choices)


def shown(html):
    encoded = re.findall(r'src="data:image/png;base64,([A-Za-z0-9+/=]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(e)))) for e in encoded]


def test_alignment_has_a_panel_a_column_and_a_trend(store):
    zoo(store)
    connection = connect(store)
    html = page(connection, "x")
    assert "clickme, photos, ddn, abs_of_mean" in html
    assert "clickme, photos, ddn, l2" not in html
    assert [row["null_alignment"] for row in tables(html)["alignments"]] == pytest.approx(
        [0.05] * 6
    )
    (compared,) = comparisons(connection, "accuracy_vs_alignment")
    spearman = compared.statistics()[0]
    assert spearman["statistic"] == "spearman_rho"
    # Top-1 falls from a to c; alignment is 0.1, 0.3, 0.2.
    assert spearman["estimate"] == pytest.approx(-0.5)
    assert spearman["subject"] == "clickme, photos, ddn, abs_of_mean"
    assert "not human data" not in html


def test_planted_maps_are_called_planted(store):
    zoo(store, planted=True)
    assert "the maps of clickme are local contrast" in warnings(connect(store))


def test_protocols_are_shown_with_what_is_wrong_with_them(store):
    zoo(store)
    assert not protocols(connect(store))
    for model in TOP1:
        attacked(store, model, protocol="linsley2023_release", attack="l2_pgd_release", scale=3.0,
                 flags=["constant_radius", "drifting_projection"])  # fmt: skip
    table = protocols(connect(store))
    section = explained(table)
    for name in ("corrected", "linsley2023_release", "constant_radius", "drifting_projection"):
        assert f"<dt><code>{name}</code></dt>" in section
    for absent in ("feng2025_release", "radius_ignored", "rescaled_image"):
        assert absent not in section
    rows = [row for row in table.rows if row["protocol"] == "linsley2023_release"]
    assert [row["flags"] for row in rows] == [
        "constant_radius 100%, drifting_projection 100%"
    ] * len(TOP1)
    # The median of 3, 6 and 9 beside that of 1, 2 and 3.
    assert [(row["tolerance"], row["times_corrected"]) for row in rows] == [(6.0, 3.0)] * len(TOP1)


def test_any_protocol_beside_the_corrected_one_is_shown(store):
    zoo(store)
    attacked(store, "local/a", protocol="defect_unheard_of", attack="fmn", scale=4.0)
    shown_there = {row["protocol"] for row in protocols(connect(store)).rows}
    assert shown_there == {"corrected", "defect_unheard_of"}


def test_every_published_protocol_and_defect_has_its_words():
    assert WORDS.keys() == {"corrected", *PROTOCOLS}
    assert DEFECTS.keys() == {defect for one in PROTOCOLS.values() for defect in one.defects}


def test_the_gallery_shows_what_is_stored(store):
    zoo(store)
    pictures = shown(gallery_pictures(chosen(connect(store))))
    assert len(pictures) == len(TOP1) * 2 * 4
    assert np.array_equal(pictures[0], np.rint(photo(0).transpose(1, 2, 0) * 255))
    examples = chosen(connect(store))
    assert [one.model for one in examples] == [name for name in TOP1 for _ in range(2)]
    assert [one.stimulus_id for one in examples[:2]] == ["it's 0", "it's 1"]
    one = examples[0]
    assert (one.label, one.adversarial_label, one.distance) == ("class 7", "class 9", 1.0)
    assert (one.spearman, one.channel_reduction) == (ALIGNED["local/a"], "abs_of_mean")
    assert one.perturbation.shape == (3, PX, PX)
    assert np.abs(one.human_map - photo(0)[0]).max() < float32_products(4)


def test_the_gallery_takes_the_smallest_corrected_attack(store):
    zoo(store)
    for model in TOP1:
        attacked(store, model, attack="deepfool", scale=0.5)
        attacked(store, model, attack="l2_pgd_sphere", protocol="linsley2023_paper", scale=0.1)
    assert {one.attack for one in chosen(connect(store))} == {"deepfool, corrected"}


def test_of_a_large_zoo_the_gallery_shows_models_from_end_to_end(store):
    zoo(store)
    names = [one.model for one in chosen(connect(store), most_models=2, per_model=1)]
    assert names == ["local/a", "local/c"]


def test_without_pictures_there_is_no_gallery(store):
    zoo(store, pictures=False)
    assert gallery_pictures(chosen(connect(store))) == ""


def test_a_gallery_of_its_own_shows_every_image_of_the_models_asked_for(store, tmp_path, capsys):
    zoo(store)
    out = tmp_path / "gallery.html"
    assert gallery.main(store.uri, str(out), "local/[ab]") == 0
    text = out.read_text()
    assert len(shown(text)) == 2 * 3 * 4
    assert "local/c" not in text
    assert "img-src data:" in text
    assert gallery.main(store.uri, str(out), "timm/*") == 2
    assert "no picture of a model 'timm/*' is stored; set save_pert" in capsys.readouterr().err


def test_classes_have_names_where_they_are_known_to_be_imagenets(store):
    from timm.data import ImageNetInfo

    attacked(store, "local/a")
    add(store, trial("gate", "local/a"), models=[{"weights_digest": "w", "head": "imagenet1k"}])
    one = chosen(connect(store))[0]
    names = [ImageNetInfo().index_to_description(label).partition(",")[0] for label in (7, 9)]
    assert [one.label, one.adversarial_label] == [f"{names[0]} (class 7)", f"{names[1]} (class 9)"]


@pytest.mark.browser
def test_a_page_with_a_gallery_shows_every_picture_within_the_window(browser, store, tmp_path):
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get_log("browser")
    zoo(store)
    write(store, tmp_path / "report.html")
    browser.get((tmp_path / "report.html").as_uri())
    sizes = browser.execute_script(
        "return [...document.images].map(i => [i.complete, i.naturalWidth, i.clientWidth])"
    )
    assert len(sizes) == len(shown((tmp_path / "report.html").read_text())) > 0
    assert all(done and own == PX and wide > 0 for done, own, wide in sizes)
    inside = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert browser.execute_script(inside)
    address = "location.hash = '#model/local%2Fa'; return document.images.length"
    assert browser.execute_script(address)
    count = "return document.querySelectorAll('#model img').length"
    assert WebDriverWait(browser, 20).until(lambda one: one.execute_script(count)) == 2 * 4
    assert browser.get_log("browser") == []
