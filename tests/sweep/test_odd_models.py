"""Whatever one model, recording or map raises, at any step, is its own refusal, and the rest runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.sweep import odd_nets
from zoo_eval.commands import layers, models, sweep
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.queries.connection import Connection
from zoo_eval.recordings.parquet import ParquetSection
from zoo_eval.sources import factory
from zoo_eval.store import Store

# What the refusal of each says; `later` alone is met only while it runs.
SAID = {
    "lazy": "layers that do not know their sizes yet (1: lazy); run the network once",
    "ends": "raised SystemExit: usage: train.py",
    "recursive": "raised RecursionError",
    "raising": "AssertionError: first line second line",
    "pair": "it returns tuple, not logits",
    "named": "it returns dict, not logits",
    "unnamed": "LookupError: no state here",
    "swapped": "resize_px = 224 is smaller than input_px = 256",
    "no_network": "returned a str; expected a torch.nn.Module",
}
SWEEP = """
[store]
uri = "store"
[models]
include = ["local/*"]
{models}
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0*.jpg"]
label_pattern = 'imagenet_\\d+_(\\d+)'
{inputs}
[[evaluations]]
kind = "accuracy"
stimuli = "photos"
{evaluations}
"""


def own(name, **keys):
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f'[[models.local]]\nname = "{name}"\nfactory = "tests.sweep.odd_nets:{name}"\n{lines}'


def sound(name, **keys):
    return own("sound", **keys).replace('name = "sound"', f'name = "{name}"')


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a sweep file with these models, inputs and evaluations."""
    monkeypatch.chdir(tmp_path)
    factory._described.cache_clear()

    def write(models, inputs="", evaluations=""):
        file = tmp_path / "sweep.toml"
        file.write_text(SWEEP.format(models=models, inputs=inputs, evaluations=evaluations))
        return sweep.SweepOptions(file, tmp_path, runner="local")

    return write


def ledger(tmp_path, select="SELECT * FROM trials"):
    connection = Connection(Store(str(tmp_path / "store")))
    return connection.rows(select)


def test_a_network_that_raises_at_any_step_is_refused_alone(written, tmp_path):
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut off")
    options = written(
        "".join(map(own, [*SAID, "later", "sound"]))
        + sound("cut", reference_logits='"cut.npz"')
        + sound("lfs", checkpoint='"lfs.pth"')
    )
    (tmp_path / "lfs.pth").write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    )
    assert sweep.show_plan(options) == 1
    assert sweep.run(options, lambda line: None) == 1
    rows = ledger(tmp_path)
    why = {(row["model"], row["evaluation"]): row for row in rows}
    for name, words in SAID.items():
        for evaluation in ("gate", "accuracy"):
            row = why[f"local/{name}", evaluation]
            assert row["status"] == "refused", row
            assert words in row["error_message"]
            assert "\n" not in row["error_message"]
    assert why["local/cut", "gate"]["status"] == "refused"
    assert "reference logits" in why["local/cut", "gate"]["error_message"]
    assert "a Git LFS pointer" in why["local/lfs", "gate"]["error_message"]
    assert "KeyError" in why["local/later", "accuracy"]["error_message"]
    ok = {row["model"] for row in rows if row["status"] == "ok" and row["evaluation"] == "accuracy"}
    assert ok == {"local/sound", "local/cut"}


def test_the_catalogue_and_its_layers_go_on(written, tmp_path):
    options = written("".join(map(own, [*SAID, "sound"])))
    table, _ = models.models(["local/*"], None, options.sweep)
    assert len(table) == len(SAID) + 1
    table, notes = layers.layers(["local/*"], None, options.sweep)
    assert set(table["model"].to_pylist()) >= {"local/sound"}
    for name in set(SAID) - {"unnamed"}:
        assert any(note.startswith(f"local/{name}: ") and SAID[name] in note for note in notes), (
            name
        )


def test_which_weights_of_a_file_were_taken_is_asked_by_sql(written, tmp_path):
    raw = odd_nets.sound()[0].state_dict()
    torch.save({"model": raw, "model_ema": {k: v + 1 for k, v in raw.items()}}, tmp_path / "w.pth")
    torch.save({**raw, "aux": torch.zeros(2)}, tmp_path / "extra.pth")
    options = written(
        sound("ema", checkpoint='"w.pth"')
        + sound("raw", checkpoint='"w.pth"', weights_key='"model"')
        + sound("plain", checkpoint='"extra.pth"', ignore='["aux"]')
        + sound("extra", checkpoint='"extra.pth"')
    )
    assert sweep.run(options, lambda line: None) == 1
    rows = ledger(tmp_path, "SELECT model, weights_key, weights_digest FROM models")
    assert {row["model"]: row["weights_key"] for row in rows} == {
        "local/ema": "model_ema", "local/raw": "model", "local/plain": None,
    }  # fmt: skip
    assert len({row["weights_digest"] for row in rows}) == 3
    (message,) = {row["error_message"] for row in ledger(tmp_path) if row["model"] == "local/extra"}
    assert 'it has 1 unexpected (first: aux); ignore = ["aux"' in message


RECORDINGS = """
[recordings.bad]
kind = "rdm"
stimuli = "photos"
path = "bad.npz"
[recordings.good]
kind = "rdm"
stimuli = "photos"
path = "good.npz"
variable = "rdm"
[importance.bad]
kind = "folder"
stimuli = "photos"
path = "maps"
"""
FITS = """
[[evaluations]]
kind = "neural_fit"
recording = "bad"
readouts = ["rsa"]
[[evaluations]]
kind = "neural_fit"
recording = "good"
readouts = ["rsa"]
n_folds = 2
n_inner_folds = 2
"""


@pytest.fixture
def rdms(tmp_path):
    """A damaged RDM, and a sound one of the photos."""
    (tmp_path / "bad.npz").write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    )
    (tmp_path / "maps").mkdir()
    values = np.abs(np.subtract.outer(np.arange(10.0), np.arange(10.0) ** 2))
    values = values + values.T
    np.fill_diagonal(values, 0)
    folder = SweepPath.of("package:foolbox/data", None).resolve()
    ids = [photo.name for photo in sorted(folder.glob("imagenet_0*.jpg"))]
    np.savez(tmp_path / "good.npz", rdm=values, stimulus_ids=np.array(ids))


def test_a_recording_that_cannot_be_read_is_refused_alone(written, tmp_path, rdms, capsys):
    options = written(own("sound"), RECORDINGS, FITS)
    assert sweep.show_plan(options) == 1
    said = capsys.readouterr().out
    assert "a Git LFS pointer" in said
    assert sweep.run(options, lambda line: None) == 1
    fits = [row for row in ledger(tmp_path) if row["evaluation"] == "neural_fit"]
    refused = [row for row in fits if row["status"] == "refused"]
    assert len(refused) == 1, [row["error_message"] for row in refused]
    assert "a Git LFS pointer" in refused[0]["error_message"]
    assert {row["recording"] for row in fits if row["status"] == "ok"} == {"good"}


def test_whatever_a_reader_raises_is_one_inputs_refusal(written, tmp_path, monkeypatch):
    def raises(section, name, known):
        raise RuntimeError("a reader's own\nfault")

    monkeypatch.setattr(ParquetSection, "read", raises)
    inputs = '[recordings.odd]\nkind = "parquet"\nstimuli = "photos"\npath = "sweep.toml"\n'
    fit = '[[evaluations]]\nkind = "neural_fit"\nrecording = "odd"\nreadouts = ["ridge"]\n'
    options = written(own("sound"), inputs, fit)
    assert sweep.run(options, lambda line: None) == 1
    (row,) = (row for row in ledger(tmp_path) if row["status"] == "refused")
    assert row["error_message"].startswith(
        "recording 'odd' raised RuntimeError: a reader's own fault; correct it, or leave it out"
    )


def test_stimuli_that_cannot_be_read_refuse_what_is_shown_them_and_the_gate_goes_on(
    written, tmp_path
):
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "1.png").write_bytes(b"no image")
    inputs = '[stimuli.damaged]\nkind = "folder"\npath = "damaged"\n'
    more = '[[evaluations]]\nkind = "features"\nstimuli = "damaged"\n'
    options = written(own("sound"), inputs, more)
    assert sweep.run(options, lambda line: None) == 1
    status = {(row["evaluation"], row["status"]) for row in ledger(tmp_path)}
    assert ("features", "refused") in status
    assert {("gate", "ok"), ("accuracy", "ok")} <= status


def test_a_name_that_the_sweep_does_not_have_is_still_an_error_of_the_sweep(written):
    options = written(
        own("sound"), '[recordings.x]\nkind = "rdm"\nstimuli = "phots"\npath = "x.npz"\n'
    )
    with pytest.raises(BadInput, match="unknown stimuli 'phots'; nearest: photos"):
        sweep.run(options, lambda line: None)


@pytest.fixture
def own_ray():
    """The Ray that a sweep starts ends with the test: others look for theirs alone."""
    import ray

    yield
    ray.shutdown()


@pytest.mark.ray
def test_on_ray_the_same_is_refused(written, tmp_path, rdms, monkeypatch, own_ray):
    from tests.runners.comparison import assert_each_trial_once

    # Where other processes find these networks.
    monkeypatch.setenv("PYTHONPATH", str(Path(odd_nets.__file__).parents[2]))
    options = written(own("sound") + own("lazy"), RECORDINGS, FITS)
    assert sweep.run(replace(options, runner="ray"), lambda line: None) == 1
    assert_each_trial_once(tmp_path / "store")
    rows = ledger(tmp_path)
    status = {(row["model"], row["evaluation"], row["status"]) for row in rows}
    assert ("local/sound", "neural_fit", "refused") in status
    assert ("local/sound", "neural_fit", "ok") in status, [row["error_message"] for row in rows]
    assert ("local/sound", "accuracy", "ok") in status
    assert {one for model, _, one in status if model == "local/lazy"} == {"refused"}
