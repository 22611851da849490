"""`zoo-eval recordings`: every kind is inspected and converted by its command; bad input is one line."""

import json
import tomllib

import numpy as np
import pytest

from tests.recordings import kinds
from tests.recordings.sweepmates import Mates
from tests.test_cli import bad
from zoo_eval import cli
from zoo_eval.recordings import guess
from zoo_eval.recordings.by_position import stand_in
from zoo_eval.recordings.recording import RECORDINGS

# Of these, the name of the file says the kind.
TOLD = {"tvsd", "nsd", "nsd_synthetic", "triple_n", "brainscore", "netcdf", "parquet",
        "things_fmri", "laion_fmri", "things_eeg2"}  # fmt: skip
BY_KIND = {one.kind: one for one in kinds.ALL}


def options(planted):
    """The command's words for a planted recording: its kind where that is not told, and its keys."""
    words = [] if planted.kind in TOLD else ["--kind", planted.kind]
    for key, value in planted.keys.items():
        inner = value if isinstance(value, dict) else {"": value}
        for name, one in inner.items():
            written = one if isinstance(one, str) else json.dumps(one)
            words += ["--set", f"{key}{'.' * bool(name)}{name}={written}"]
    return words


def alone(planted, tmp_path, monkeypatch):
    """The recording's path, in a folder of its own that is the current one."""
    planted.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    return planted.path


def test_every_kind_that_is_in_files_is_here():
    own = {
        kind for kind in guess.of_files() if RECORDINGS.get(kind).__module__.startswith("zoo_eval.")
    }
    assert set(BY_KIND) == own


@pytest.mark.parametrize("planted", kinds.ALL, ids=lambda one: one.kind)
def test_a_recording_is_inspected(planted, tmp_path, monkeypatch, capsys):
    path = alone(planted, tmp_path, monkeypatch)
    assert cli.main(["recordings", "inspect", path, *options(planted)]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0] == f"{path}: {planted.kind}"
    assert "#" in text
    assert cli.main(["recordings", "inspect", path, "--format", "json", *options(planted)]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = planted.section(tmp_path).held("r", 2**28, whole=False).inspection()
    assert found["kind"] == planted.kind
    assert found["counts"] == expected.counts
    assert found["facts"] == expected.facts
    assert [one["title"] for one in found["charts"]] == [one.title for one in expected.charts]
    for chart in found["charts"]:
        assert chart["title"] in text
        for bar in chart["bars"]:
            assert f"{bar['n']:,}" in text


@pytest.mark.parametrize("planted", kinds.ALL, ids=lambda one: one.kind)
def test_a_recording_is_converted_to_what_the_printed_section_reads(
    planted, tmp_path, monkeypatch, capsys
):
    path = alone(planted, tmp_path, monkeypatch)
    words = ["recordings", "convert", path, "--out", "own", *options(planted)]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    (content,) = tomllib.loads(printed.partition("a sweep reads it by:\n")[2])[
        "recordings"
    ].values()
    held = planted.section(tmp_path).held("r", 2**28, whole=True)
    if planted in kinds.RESPONSES:
        ids = sorted(set(held.found.stimulus_ids))
    else:
        ids = held.stimulus_ids if planted.kind == "rdm" else held.maps.image_ids
    section = RECORDINGS.get(content["kind"]).model_validate({**content, "stimuli": "shown"})
    sections = [one.read("r", Mates(stand_in(list(ids)))) for one in (planted.section(tmp_path), section)]  # fmt: skip
    assert sections[0].digest == sections[1].digest
    line = bad(capsys, *words)
    assert "own exists already; remove it, or name another --out" in line


def test_a_conversion_is_said_in_json(tmp_path, monkeypatch, capsys):
    path = alone(BY_KIND["parquet"], tmp_path, monkeypatch)
    words = ["recordings", "convert", path, "--out", "own", "--format", "json"]
    assert cli.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "parquet"
    assert found["path"] == found["out"] == "own"
    sizes = {one.name: one.stat().st_size for one in (tmp_path / "own").iterdir()}
    assert found["files"] == sizes


def test_targets_are_selected(tmp_path, monkeypatch, capsys):
    path = alone(BY_KIND["parquet"], tmp_path, monkeypatch)
    words = [path, "--set", "targets_table=targets.csv", "--set", "targets=region = 'IT'"]
    assert cli.main(["recordings", "convert", *words, "--out", "own"]) == 0
    capsys.readouterr()
    assert cli.main(["recordings", "inspect", "own", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"]["targets"] == 2
    assert found["facts"]["column target_id"] == "t0, t1"
    assert found["notes"] == ["2 of 3 targets are selected"]
    line = bad(capsys, "recordings", "inspect", path, "--set", "targets=region = 'IT'")
    assert "the columns are target_id" in line


def test_what_looks_like_a_number_may_be_a_name(tmp_path, monkeypatch, capsys):
    planted = BY_KIND["things_fmri"]
    planted.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    for path in tmp_path.glob("sub-01*"):
        path.rename(path.with_name(path.name.replace("sub-01", "sub-7")))
    assert cli.main(["recordings", "inspect", ".", "--set", "subject=7"]) == 0
    assert "5 voxels of sub-7" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "words", "reasons"), [
    ("tvsd", [], ["kind 'tvsd' needs images; add --set images=VALUE"]),
    ("nsd", [], ["kind 'nsd' needs subject and design; add --set subject=VALUE --set design=VALUE"]),
    ("nsd", ["--set", "subject=9", "--set", "design=nsd_expdesign.mat"], ["kind 'nsd', `subject`: ", "correct the value"]),
    ("tvsd", ["--set", "imags=x"], ["needs images; add --set images=VALUE"]),
    ("tvsd", ["--set", "images=things_imgs.mat", "--set", "monky=F"], ["`monky`: unknown key; nearest: monkey"]),
    ("tvsd", ["--set", "images=none.mat"], ["none.mat: no such file or folder"]),
    ("rdm", [], ["planted.npz: its name does not say what kind", "arcaro, arrays, brainscore", "such as --kind arrays"]),
    ("rdm", ["--kind", "rmd"], ["unknown recording format 'rmd'; nearest: rdm"]),
    ("rdm", ["--kind", "planted"], ["of kind 'planted' are in no file of their own; known: arcaro"]),
    ("rdm", ["--kind", "rdm", "--set", "variable"], ["--set 'variable' is no KEY=VALUE; write e.g. --set subject=1"]),
    ("rdm", ["--kind", "rdm", "--set", "path=x"], ["--set path is said already, by FILE and --kind; remove it"]),
    ("rdm", ["--kind", "rdm", "--set", "targets=a > 1"], ["there are no targets to select; remove `targets`"]),
    ("arrays", ["--kind", "arrays", "--set", "zscore=session"], ["--set zscore changes nothing in what files hold"]),
    ("arrays", ["--kind", "arrays", "--set", "variable=no"], ["has no variable 'no'; known: it"]),
    ("arrays", ["--kind", "arrays", "--set", "order.x=1"], ["kind 'arrays', `order`"]),
    ("arrays", ["--kind", "arrays", "--memory", "much"], ["--memory 'much' is no size"]),
    ("arrays", ["--kind", "rdm"], ["it.npz"]),
    ("parquet", ["--memory", "10B"], ["more than the 10 B of --memory; raise --memory"]),
])  # fmt: skip
def test_wrong_words_are_one_line(kind, words, reasons, tmp_path, monkeypatch, capsys):
    path = alone(BY_KIND[kind], tmp_path, monkeypatch)
    for action in (["inspect"], ["convert", "--out", "own"]):
        line = bad(capsys, "recordings", *action, path, *words)
        for reason in reasons:
            assert reason in line
        assert not (tmp_path / "own").exists()


def test_a_file_that_is_missing_or_damaged_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "none.nc: no such file or folder" in bad(capsys, "recordings", "inspect", "none.nc")
    kinds.parquet(tmp_path)
    whole = (tmp_path / "it.parquet").read_bytes()
    (tmp_path / "it.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "assy_it.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    for name in ("it.parquet", "assy_it.nc"):
        for action in (["inspect"], ["convert", "--out", "own"]):
            assert name in bad(capsys, "recordings", *action, name)
            assert sorted(one.name for one in tmp_path.iterdir()) == [
                "assy_it.nc", "it.parquet", "targets.csv",
            ]  # fmt: skip
    line = bad(capsys, "recordings", "convert", "targets.csv", "--kind", "arrays")
    assert "write `zoo-eval recordings convert FILE --out FOLDER`" in line


def test_a_folder_of_several_kinds_is_not_guessed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "it.npy", np.ones((3, 3)))
    assert "add one of arcaro" in bad(capsys, "recordings", "inspect", ".")


def test_a_folder_is_told_by_the_files_that_its_kind_has_in_one(tmp_path):
    kinds.nsd_synthetic(tmp_path)
    assert guess.kind_of(tmp_path / "betas_nsdsynthetic.hdf5") == "nsd_synthetic"
    assert guess.kind_of(tmp_path) == "nsd"
    assert guess.kind_of(tmp_path / "some.parquet") == "parquet"
    assert guess.kind_of(tmp_path / "assy_some.nc") == "brainscore"
    assert guess.kind_of(tmp_path / "some.nc") == "netcdf"
    assert guess.kind_of(tmp_path / "Meadows_mine_v_v1_task_1D.mat") == "rdm"
