"""Sweeps over hosted models: planned without asking, identified when run, fetched ahead."""

import hashlib
import shutil
import time

import huggingface_hub
import pytest
import timm as timm_library
import torch
from safetensors.torch import save

from tests.hosting.serving import REVISION
from zoo_eval.commands import sweep
from zoo_eval.commands.sweep import SweepOptions
from zoo_eval.evaluations.accuracy import Accuracy
from zoo_eval.models.blueprint import blueprint
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

NAMES = ("test_efficientnet.r160_in1k", "test_vit.r160_in1k")
SWEEP = """
[store]
uri = "store"
[models]
include = ["timm/test_efficientnet.r160_in1k", "timm/test_vit.r160_in1k"]
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0[0-3]*.jpg"]
label_pattern = 'imagenet_\\d+_(\\d+)'
[[evaluations]]
kind = "accuracy"
stimuli = "photos"
"""


def weights(name, seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return save(timm_library.create_model(name.partition(".")[0]).state_dict())


@pytest.fixture
def stocked(local_hub):
    for seed, name in enumerate(NAMES):
        local_hub.put(f"timm/{name}", "model.safetensors", weights(name, seed))
    return local_hub


@pytest.fixture
def request_(tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(SWEEP)
    return SweepOptions(file, tmp_path, runner="local")


def planned(request, capsys):
    sweep.show_plan(request)
    return capsys.readouterr().out


def run(request):
    said = []
    return sweep.run(request, said.append), said


def test_a_plan_asks_no_hub(stocked, request_, capsys):
    assert "4 trials wanted: 0 done, 4 pending on 2 models, 0 refused" in planned(request_, capsys)
    assert stocked.asked == []


def test_a_plan_knows_what_is_done_though_the_hub_is_switched_off(stocked, request_, capsys):
    code, said = run(request_)
    assert code == 0, said
    (row,) = connect(Store(str(request_.sweep.parent / "store"))).rows(
        "SELECT DISTINCT revision FROM models"
    )
    assert row["revision"] == REVISION
    stocked.stop()
    assert "4 trials wanted: 4 done, 0 pending" in planned(request_, capsys)


def test_what_was_untrained_then_is_not_done_now(stocked, request_, capsys):
    text = request_.sweep.read_text()
    request_.sweep.write_text(text.replace("[models]", '[models]\nweights = "untrained"'))
    run(request_)
    request_.sweep.write_text(text)
    assert "4 trials wanted: 0 done, 4 pending" in planned(request_, capsys)


def test_weights_that_changed_on_the_hub_are_evaluated_anew(stocked, request_, cache, tmp_path):
    run(request_)
    # Another machine, with nothing in its cache.
    shutil.rmtree(cache)
    blueprint.cache_clear()
    stocked.put(f"timm/{NAMES[1]}", "model.safetensors", weights(NAMES[1], 7))
    code, said = run(request_)
    assert code == 0, said
    assert "4 trials wanted: 2 done, 2 pending on 1 models" in said[0]
    (row,) = connect(Store(str(tmp_path / "store"))).rows(
        "SELECT count(DISTINCT weights_digest) AS n FROM trials WHERE model = 'timm/test_vit.r160_in1k'"
    )
    assert row["n"] == 2


def test_a_model_that_vanished_is_refused_and_the_other_is_run(local_hub, request_):
    local_hub.put(f"timm/{NAMES[0]}", "model.safetensors", weights(NAMES[0], 0))
    code, said = run(request_)
    assert code == 1
    assert any("2 trials run: 2 ok, 0 failed, 2 refused" in line for line in said)
    assert any(f"refused: timm/{NAMES[1]}" in line and "weights of" in line for line in said)


def test_the_next_models_weights_are_fetched_while_this_one_runs(stocked, request_, monkeypatch):
    evaluate = Accuracy.run

    def downloads():
        return [line for line in stocked.asked if line.startswith("GET")]

    def waiting(self, trials, bench):
        # Only a prefetch can bring the second model's weights while the first is evaluated.
        deadline = time.monotonic() + 60
        while len(downloads()) < len(NAMES) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(downloads()) == len(NAMES)
        return evaluate(self, trials, bench)

    monkeypatch.setattr(Accuracy, "run", waiting)
    code, said = run(request_)
    assert code == 0, said
    assert len(downloads()) == len(NAMES)


CARDS = """
[[models]]
name = "elsewhere"
architecture = "timm/test_vit"
checkpoint = "{address}/timm/test_vit.r160_in1k/resolve/main/model.safetensors"
sha256 = "{sha256}"
year = 2020
"""


def with_card_file(request, tmp_path, sha256):
    address = huggingface_hub.constants.ENDPOINT
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "cards.toml").write_text(CARDS.format(address=address, sha256=sha256))
    text = request.sweep.read_text().replace(
        'include = ["timm/test_eff', 'cards = ["zoo/cards.toml"]\ninclude = ["local/*"]\n#'
    )
    request.sweep.write_text(text)


def test_a_card_file_names_weights_by_address_and_digest(stocked, request_, tmp_path, capsys):
    content = weights(NAMES[1], 1)
    with_card_file(request_, tmp_path, hashlib.sha256(content).hexdigest())
    assert "2 pending on 1 models" in planned(request_, capsys)
    assert stocked.asked == []
    code, said = run(request_)
    assert code == 0, said
    (row,) = connect(Store(str(tmp_path / "store"))).rows(
        "SELECT model, year, weights_digest FROM models"
    )
    assert row == {
        "model": "local/elsewhere",
        "year": 2020,
        "weights_digest": hashlib.sha256(content).hexdigest()[:32],
    }


def test_other_bytes_at_that_address_are_refused(stocked, request_, tmp_path):
    with_card_file(request_, tmp_path, "0" * 64)
    code, said = run(request_)
    assert code == 1
    assert any("2 trials run: 0 ok, 0 failed, 2 refused" in line for line in said), said
    rows = connect(Store(str(tmp_path / "store"))).rows("SELECT error_message FROM failures")
    assert all("has SHA-256" in row["error_message"] for row in rows)
