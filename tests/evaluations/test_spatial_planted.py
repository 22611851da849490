"""A sweep with planted maps, from its file to the leaderboard: the planted layer and model win."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from zoo_eval.commands.sweep import RunOptions, SweepOptions, run_sweep, show_plan
from zoo_eval.queries.connection import connect
from zoo_eval.report import spatial_maps
from zoo_eval.report.html import page
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file

SWEEP = """
[store]
uri = "store"
[models]
include = ["local/*"]
[[models.local]]
name = "resnet"
architecture = "timm/test_resnet"
weights = "untrained"
[[models.local]]
name = "efficientnet"
architecture = "timm/test_efficientnet"
weights = "untrained"
[[models.local]]
name = "vit"
architecture = "timm/test_vit"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0[0-6]*.jpg"]
[recordings.wide]
kind = "planted_spatial"
stimuli = "photos"
model = "local/resnet"
layer = "{layer}"
grid = [17, 17]
n_components = 5
n_channels = 6
noise = 0.5
[recordings.narrow]
kind = "planted_spatial"
stimuli = "photos"
model = "local/efficientnet"
layer = "blocks.2.0"
grid = [9, 9]
n_components = 5
n_channels = 6
noise = 0.5
[[evaluations]]
kind = "spatial_fit"
recording = "wide"
n_components = 8
keep_maps = true
[[evaluations]]
kind = "spatial_fit"
recording = "narrow"
n_components = 8
[[evaluations]]
kind = "spatial_fit"
recording = "narrow"
n_components = 8
protocol = "linsley2023_release"
"""
LAYER = "layer3.0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("spatial")
    (made / "sweep.toml").write_text(SWEEP.format(layer=LAYER))
    return made


@pytest.fixture(scope="module")
def finished(folder):
    sweep = sweep_file.read(folder / "sweep.toml", folder)
    assert run_sweep(sweep, RunOptions(runner="local"), lambda line: None).is_complete
    return connect(Store(str(folder / "store")))


@pytest.mark.parametrize(
    ("recording", "model", "layer"),
    [("wide", "local/resnet", LAYER), ("narrow", "local/efficientnet", "blocks.2.0")],
)
def test_the_planted_layer_and_model_win(finished, recording, model, layer):
    rows = finished.rows(
        "SELECT * FROM spatial_leaderboard WHERE protocol = 'corrected' "
        f"AND recording = '{recording}' ORDER BY place"
    )
    assert [row["place"] for row in rows] == [1, 2, 3]
    first, second, _ = rows
    assert (first["model"], first["layer"]) == (model, layer)
    assert first["score"] > second["score"]
    assert first["n_images"] == len(first["layer_per_image"]) == 7
    assert set(first["layer_per_image"]) == {layer}
    assert first["ceiled_score"] == pytest.approx(first["score"] / first["ceiling"])
    best = finished.rows(
        "SELECT layer, avg(map_spearman_full) AS rho FROM spatial_scores "
        f"WHERE protocol = 'corrected' AND recording = '{recording}' AND model = '{model}' "
        "GROUP BY layer ORDER BY rho DESC"
    )
    assert best[0]["layer"] == layer


def test_the_released_protocol_is_beside_it_and_chooses_one_layer(finished):
    rows = finished.rows("SELECT * FROM spatial_leaderboard WHERE protocol <> 'corrected'")
    assert {row["protocol"] for row in rows} == {"linsley2023_release"}
    for row in rows:
        assert len(set(row["layer_per_image"])) == 1
        assert row["selection_score"] == pytest.approx(row["score"])


def test_ceilings_of_maps_are_in_their_table(finished):
    rows = finished.rows(
        "SELECT recording, estimator, count(*) AS n FROM ceilings GROUP BY ALL ORDER BY ALL"
    )
    found = {(row["recording"], row["estimator"]): row["n"] for row in rows}
    assert found == {
        (recording, estimator): n
        for recording in ("wide", "narrow")
        for estimator, n in (("max_pairwise_target", 1), ("splithalf_spearman_brown", 6))
    }


def test_maps_are_stored_on_request_alone(finished):
    rows = finished.rows(
        "SELECT recording, n_rows, n_columns, len(predicted) AS n, len(neural) AS m, count(*) AS k "
        "FROM spatial_maps GROUP BY ALL"
    )
    assert [{**row, "k": 0} for row in rows] == [
        {"recording": "wide", "n_rows": 17, "n_columns": 17, "n": 289, "m": 289, "k": 0}
    ]


def test_the_report_draws_stimulus_neural_and_predicted_map(finished):
    html = spatial_maps.pictures(finished)
    pictures = re.findall(r'alt="([^":]+): [^"]*"[^>]*base64,([A-Za-z0-9+/=]+)"', html)
    # Two images of each of three models.
    assert [name for name, _ in pictures] == ["stimulus", "neural map", "predicted map"] * 6
    photo, neural, _ = (Image.open(io.BytesIO(base64.b64decode(p))) for _, p in pictures[:3])
    assert photo.size == (160, 160)
    (first,) = finished.rows(
        "SELECT neural FROM spatial_maps WHERE model = 'local/resnet' AND layer = 'layer3.0' "
        "ORDER BY stimulus_id LIMIT 1"
    )
    values = np.array(first["neural"]).reshape(17, 17)
    grey = np.asarray(neural)[::12, ::12, 0]
    expected = 255 * (values - values.min()) / np.ptp(values)
    assert np.abs(grey - expected).max() <= 0.5 + 1e-6
    assert html in page(finished, "store")


def test_the_plan_says_what_maps_and_fits_take_and_is_then_done(finished, folder, capsys):
    show_plan(SweepOptions(folder / "sweep.toml", folder, runner="local", store=None))
    assert "0 pending" in capsys.readouterr().out
