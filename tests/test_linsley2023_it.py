"""The sweep of the 2023 IT study: its networks exist, what is missing is counted, and it runs on planted files."""

import csv
import re
import zipfile
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.recordings import arcaro_files, netcdf_files
from tests.stimuli.planted_images import encoded, pixels
from zoo_eval.commands.sweep import RunOptions, run_sweep
from zoo_eval.networks.anatomy import SHIPPED
from zoo_eval.queries.connection import connect
from zoo_eval.report.html import page
from zoo_eval.sources import registry
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.cards import ModelsSection, roster
from zoo_eval.trends.analysis import trends

ROOT = Path(__file__).parents[1]
FILE = ROOT / "sweeps" / "linsley2023_it.toml"
TEXT = FILE.read_text()
SWEEP = sweep_file.read(FILE, ROOT)
PAGE = (ROOT / "docs" / "linsley2023_it.md").read_text()
# The parts of `include`, each with its heading.
POOL, NAMED, CHOSEN = re.split(r"^    # --- ", TEXT.partition("\n]\n")[0], flags=re.MULTILINE)[1:]
ARRAYS = ["monkey_1_ml", "monkey_1_pl", "monkey_2_ml"]
N_IMAGES = 80


def names(part):
    """The networks of a part of the file; what its comments name are none."""
    return re.findall(r'"([^"]+)"', re.sub(r"#.*", "", part))


def missing(part):
    return [int(n) for n in re.findall(r"^    # missing: (\d+) ", part, re.MULTILINE)]


def test_every_name_and_pattern_is_in_the_catalogue():
    cards = roster(SWEEP.models).cards
    include = SWEEP.models.include
    assert len(set(include)) == len(include)
    for name in include:
        fitting = [card.name for card in cards if fnmatchcase(card.name, name)]
        assert fitting == [name] or ("*" in name and len(fitting) > 4), name
    assert not [card.name for card in cards if card.unavailable]
    assert [*names(POOL), *names(NAMED), *names(CHOSEN)] == list(include)


def test_what_is_there_and_what_is_missing_add_up_to_what_is_named():
    named, here = map(int, re.search(r"names (\d+) networks, of which (\d+) here", POOL).groups())
    pool, figure = POOL.split("# Two more")
    assert len(names(pool)) == here
    assert here + sum(missing(pool)) == named
    assert len(names(figure)) == 2
    # Six harmonized, and the same six without.
    assert sum(missing(NAMED)) + 6 == 135
    n_listed = re.findall(r"^\| (\d+) \| ", PAGE, re.MULTILINE)
    assert list(map(int, n_listed)) == [here, len(names(figure)) + len(names(NAMED))]
    assert f"which names {named}; the {sum(missing(pool))} that" in PAGE


def test_the_nearest_of_what_is_missing_are_in_the_catalogue():
    nearest = re.findall(r"nearest: ([^,)]+)", POOL)
    assert nearest
    everything = [card.name for card in registry.cards(["timm/*", "torchvision/*"])]
    assert set(nearest) <= set(everything)
    absent = ["*harmoni[sz]*", "*bagnet*", "*cornet*", "*vone*", "*32x48d*", "*nasnet*mobile*", "*inception_v2*"]  # fmt: skip
    assert not [name for name in everything for one in absent if fnmatchcase(name, one)]


def test_ours_are_the_smallest_and_the_largest_of_each_family_of_the_attack_study():
    with (SHIPPED / "timm-1.0.31.csv").open() as file:
        n_params = {row["architecture"]: int(row["n_params"]) for row in csv.DictReader(file)}
    study = (FILE.parent / "linsley2023_attack.toml").read_text()
    listed = study.partition("include = [")[2].partition("\n]\n")[0]
    _, *parts = re.split(r"^    # (.*)\n", listed, flags=re.MULTILINE)
    expected = []
    for heading, part in list(pairwise(parts))[::2]:
        by_size = sorted(names(part), key=lambda one: (n_params[one.partition(".")[0]], one))
        if not heading.startswith("larger inputs"):
            expected += [by_size[0], by_size[-1]]
    others = {*names(POOL), *names(NAMED)}
    chosen = [name for name in names(CHOSEN) if "*" not in name]
    assert chosen == list(dict.fromkeys(one for one in expected if one not in others))


def test_each_array_is_fitted_as_is_right_and_as_released():
    found = {(e.recording, e.protocol) for e in SWEEP.evaluations if e.kind == "spatial_fit"}
    assert found == {(one, p) for one in ARRAYS for p in ("corrected", "linsley2023_release")}
    windows = {one: SWEEP.recordings[one].window_ms for one in ARRAYS}
    assert windows == dict(zip(ARRAYS, [(130, 170), (90, 130), (90, 130)], strict=True))
    for array, window in windows.items():
        said = f"('{array}', '{window[0]} to {window[1]}', "
        assert said in PAGE


def test_the_published_values_of_the_page_agree_with_each_other():
    """The table, the same in SQL, and the ratio, which was made of more digits."""
    tabled = re.findall(
        r"^\| monkey . .. \| .* ms \| (.*?) \| (.*?) \| (.*?) \|", PAGE, re.MULTILINE
    )
    in_sql = re.findall(r"\('monkey_..._?.*', '.*', (.*), (.*), (.*)\)", PAGE)
    assert tabled == in_sql
    assert len(tabled) == 3
    for r, ceiling, ceiled in np.array(tabled, float):
        assert r / ceiling == pytest.approx(ceiled, abs=2e-4)


def furnish(folder):
    """Every file that the sweep names, planted and small."""
    brainscore, imagenet = folder / "data" / "brainscore", folder / "data" / "imagenet"
    brainscore.mkdir(parents=True)
    dims = ("presentation", "neuroid", "time_bin")
    assembly = brainscore / "assy_dicarlo_MajajHong2015_public.nc"
    _, told = netcdf_files.assembly(
        assembly, dims=dims, n_stimuli=N_IMAGES, n_repetitions=4, n_neuroids=9
    )
    # A response to each image, so that there is a ceiling.
    signal = np.random.default_rng(1).normal(size=(N_IMAGES, 9, 1))
    with h5py.File(assembly, "r+") as file:
        file["dicarlo.MajajHong2015.public"][...] += signal[[int(one[2:]) for one in told["shown"]]]
    lines = [f"im{n},{('car', 'Face', 'apple')[n % 3]},{n}.png" for n in range(N_IMAGES)]
    csv_file = brainscore / "image_dicarlo_hvm-public.csv"
    csv_file.write_text("\n".join(["image_id,object_name,filename", *lines]) + "\n")
    photos = [encoded(image, "PNG") for image in pixels(N_IMAGES)]
    with zipfile.ZipFile(csv_file.with_suffix(".zip"), "w") as archive:
        for number, photo in enumerate(photos):
            archive.writestr(f"{number}.png", photo)
    for number, photo in enumerate(photos[:4]):
        for kind in ("thousand", f"val/{('n01440764', 'n01443537')[number % 2]}"):
            (imagenet / kind).mkdir(parents=True, exist_ok=True)
            (imagenet / kind / f"{number}.png").write_bytes(photo)
    monkeys = folder / "data" / "Arcaro2020"
    for file, images, n_channels in (
        ("George/george_060118_data.mat", "George/natural_test", 64),
        ("Red/red_062419_data.mat", "Red/red_naturalface", 32),
    ):
        (monkeys / images).mkdir(parents=True)
        for name, photo in zip(arcaro_files.IDS, photos, strict=False):
            (monkeys / images / name).write_bytes(photo)
        shape = (4, 4, 170, n_channels, len(arcaro_files.IDS))
        arcaro_files.monkey(monkeys / file, imageRF=arcaro_files.planted(shape))


TINY = {
    "include": ["local/*"],
    "local": [
        {"name": "tiny_resnet50.", "architecture": "timm/test_resnet", "weights": "untrained"},
        {"name": "tiny_vit", "architecture": "timm/test_vit", "weights": "untrained"},
    ],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The sweep on two tiny networks, nothing of it changed but these and which layers it tries."""
    folder = tmp_path_factory.mktemp("it")
    furnish(folder)
    (folder / "zoo").symlink_to(ROOT / "zoo")
    sweep = sweep_file.read(FILE, folder)
    evaluations = tuple(
        one.model_copy(update={"layers": "stages"}) if one.kind == "spatial_fit" else one
        for one in sweep.evaluations
    )
    models = ModelsSection.model_validate(TINY)
    sweep = sweep.model_copy(update={"models": models, "evaluations": evaluations})
    assert run_sweep(sweep, RunOptions(runner="local"), lambda line: None).is_complete
    return connect(Store(str(folder / "results" / "linsley2023_it")))


FIGURE, BESIDE = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


def test_every_part_has_its_rows_and_nothing_was_refused(finished):
    assert finished.rows("SELECT * FROM failures") == []
    (majaj,) = finished.rows(
        "SELECT DISTINCT protocol, n_folds, reliability_estimator FROM best_layer"
    )
    assert majaj == {
        "protocol": "brainscore",
        "n_folds": 10,
        "reliability_estimator": "internal_consistency",
    }
    (targets,) = finished.rows("SELECT count(DISTINCT target) AS n FROM current_targets")
    assert targets["n"] == 6


def test_the_figure_has_every_network_under_every_protocol(finished):
    rows = finished.rows(FIGURE)
    panels = {(row["recording"], row["protocol"]) for row in rows}
    maps = {(one, p) for one in ARRAYS for p in ("corrected", "linsley2023_release")}
    assert panels == {("majaj_hong_it", "brainscore"), *maps}
    assert len(rows) == 2 * len(panels)
    (known,) = finished.rows(
        "SELECT score, reliability FROM best_layer WHERE model = 'local/tiny_vit'"
    )
    (drawn,) = [
        row for row in rows if row["protocol"] == "brainscore" and row["model"] == "local/tiny_vit"
    ]
    assert drawn["value"] == pytest.approx((known["score"] / known["reliability"]) ** 2)


def test_the_front_is_whatever_no_network_exceeds_in_both(finished):
    rows = finished.rows(FIGURE)
    for row in rows:
        panel = [
            one for one in rows
            if (one["recording"], one["protocol"]) == (row["recording"], row["protocol"])
        ]  # fmt: skip
        beaten = [
            one for one in panel if one["top1"] >= row["top1"] and one["value"] > row["value"]
        ]
        assert row["on_front"] == (not beaten)


def test_published_values_stand_beside_ours(finished):
    rows = finished.rows(BESIDE)
    assert len(rows) == 6
    for row in rows:
        assert row["model"] == "local/tiny_resnet50."
        assert row["ceiled_score"] == pytest.approx(row["score"] / row["ceiling"])
    assert {float(row["published_ceiled"]) for row in rows} == {0.5955, 0.4036, 0.5053}


def test_trends_and_report_have_both_parts(finished):
    found = {(row["trend"], row["measure"]) for row in trends(finished)}
    assert found == {
        ("accuracy_vs_neural", "r / sqrt(ceiling)"),
        ("accuracy_vs_spatial", "r / ceiling"),
    }
    subjects = {row["subject"] for row in trends(finished) if row["trend"] == "accuracy_vs_spatial"}
    assert len(subjects) == 6
    html = page(finished, "planted")
    part = html.partition('<section id="maps"')[2].partition("</section>")[0]
    assert part.count("<figure") == 6
