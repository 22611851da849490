"""Every kind of recording, written as long tables and read again, is the same recording."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal

from tests.recordings import kinds
from tests.recordings.sweepmates import Mates
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import conversion, long_table, writing
from zoo_eval.recordings.arrays import ArraysSection
from zoo_eval.recordings.by_position import stand_in
from zoo_eval.recordings.ceiling import CeilingChoices
from zoo_eval.recordings.held_presentations import HeldPresentations
from zoo_eval.recordings.parquet import ParquetSection
from zoo_eval.recordings.presentations import Presentations
from zoo_eval.recordings.recording import RECORDINGS

MOST = 2**30


def named(planted):
    return planted.kind


def converted(planted, folder, most=MOST):
    """The planted recording's section, and that of what it was converted to."""
    planted.make(folder)
    section = planted.section(folder)
    held = section.held("recording 'r'", MOST, whole=True)
    out = folder / "own"
    written = writing.write(held, out, most)
    content = {"kind": written.kind, "stimuli": "shown", "path": str(out / written.path)}
    again = RECORDINGS.get(written.kind).model_validate(content)
    return section, again


def ceilings(recording):
    return {
        one.estimator: one.values(0) for one in recording.ceilings(CeilingChoices(4, "spearman"))
    }


def assert_same_numbers(one, other):
    assert one.keys() == other.keys()
    for key, values in one.items():
        assert values.keys() == other[key].keys()
        assert_array_equal(list(values.values()), list(other[key].values()))


@pytest.mark.parametrize("planted", kinds.RESPONSES, ids=named)
def test_responses_in_long_tables_are_the_same_recording(planted, tmp_path):
    section, again = converted(planted, tmp_path)
    own = section.presentations("recording 'r'", MOST)
    shown = stand_in(sorted(set(own.stimulus_ids)))
    before, after = (one.read("r", Mates(shown)) for one in (section, again))
    # Of ids, how often each was shown, type and values.
    assert after.digest == before.digest
    assert after.target_ids == before.target_ids
    assert after.targets.equals(before.targets)
    assert after.splits == before.splits
    assert after.notes == before.notes
    assert_same_numbers(ceilings(after), ceilings(before))
    found = again.presentations("recording 'r'", MOST)
    assert list(found.stimulus_ids) == list(own.stimulus_ids)
    assert found.sessions == (None if own.sessions is None else list(own.sessions))
    everything = np.arange(own.targets.num_rows)
    assert_array_equal(found.read(everything), own.read(everything))


@pytest.mark.parametrize("kind", ["nsd", "things_fmri", "laion_fmri", "arrays"])
def test_sessions_can_be_z_scored_alike(kind, tmp_path):
    (planted,) = (one for one in kinds.RESPONSES if one.kind == kind)
    section, again = converted(planted, tmp_path)
    shown = stand_in(sorted(set(section.presentations("r", MOST).stimulus_ids)))
    before, after = (
        one.model_copy(update={"zscore": "session"}).read("r", Mates(shown)) for one in (section, again)
    )  # fmt: skip
    assert after.digest == before.digest
    assert "each target is z-scored within each of " in after.notes[-1]


def test_dissimilarities_are_the_same_recording(tmp_path):
    (planted,) = (one for one in kinds.OTHERS if one.kind == "rdm")
    shown = stand_in(kinds.IDS[::-1])
    before, after = (one.read("r", Mates(shown)) for one in converted(planted, tmp_path))
    assert after.digest == before.digest
    assert after.subject_ids == before.subject_ids == ("x", "y", "z")
    assert_same_numbers(ceilings(after), ceilings(before))


@pytest.mark.parametrize("kind", ["arcaro", "spatial_arrays"])
def test_maps_are_the_same_recording(kind, tmp_path):
    (planted,) = (one for one in kinds.OTHERS if one.kind == kind)
    section, again = converted(planted, tmp_path)
    ids = section.held("r", MOST, whole=True).maps.image_ids
    before, after = (one.read("r", Mates(stand_in(ids[::-1]))) for one in (section, again))
    assert after.digest == before.digest
    assert after.channel_ids == before.channel_ids
    assert_same_numbers(ceilings(after), ceilings(before))


def held(section):
    return section.held("recording 'r'", MOST, whole=True)


def section_of(kind, folder):
    (planted,) = (one for one in kinds.ALL if one.kind == kind)
    planted.make(folder)
    return planted.section(folder)


def test_the_long_table_alone_has_the_same_means(tmp_path):
    section, _ = converted(kinds.RESPONSES[0], tmp_path)
    shown = stand_in(sorted(set(section.presentations("r", MOST).stimulus_ids)))
    alone = ParquetSection(stimuli="shown", path=tmp_path / "own" / "responses.parquet")
    before, after = (one.read("r", Mates(shown)) for one in (section, alone))
    assert after.target_ids == before.target_ids
    assert_array_equal(after.mean, before.mean)


def test_responses_are_read_by_blocks_within_the_memory_that_there_is(tmp_path):
    section = section_of("tvsd", tmp_path)
    whole = held(section).found
    asked = []

    def read(numbers):
        asked.append(len(numbers))
        return whole.read(numbers)

    n_bytes = len(whole.stimulus_ids) * whole.itemsize
    found = HeldPresentations(replace(whole, read=read))
    writing.write(found, tmp_path / "own", 300 * n_bytes)
    assert sum(asked) == 1024
    assert max(asked) == 75
    again = ParquetSection(stimuli="shown", path=tmp_path / "own").presentations("r", MOST)
    everything = np.arange(1024)
    assert_array_equal(again.read(everything), whole.read(everything))
    with pytest.raises(BadInput, match=r"21 presentations x 1 targets would take 84 B.*of memory_"):
        writing.write(found, tmp_path / "small", n_bytes - 1)
    assert not (tmp_path / "small").exists()


def test_groups_of_rows_are_of_few_targets_and_others_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "GROUP_ROWS", 50)
    _, again = converted(kinds.RESPONSES[0], tmp_path)
    path = tmp_path / "own" / "responses.parquet"
    with pq.ParquetFile(path) as file:
        assert file.metadata.num_row_groups == 512
        # Two targets of 21 presentations each.
        groups = [set(file.read_row_group(one)["target_id"].to_pylist()) for one in (0, 511)]
    assert groups == [{"N_0000", "N_0001"}, {"N_1022", "N_1023"}]
    found = again.presentations("r", MOST)
    expected = held(kinds.RESPONSES[0].section(tmp_path)).found.read(np.arange(1024))
    for numbers in ([0], [1023], [3, 4, 700]):
        assert_array_equal(found.read(np.array(numbers)), expected[:, numbers])
    # Rows of other targets are not decoded: of those, only the names are looked at.
    decoded = []
    own = long_table.numbers
    monkeypatch.setattr(long_table, "numbers", lambda w, c: decoded.append(len(c)) or own(w, c))
    found.read(np.array([7]))
    assert decoded == [42]


def test_rows_without_ids_are_not_written(tmp_path):
    np.save(tmp_path / "it.npy", np.ones((3, 2)))
    section = ArraysSection(stimuli="shown", path=tmp_path / "it.npy")
    with pytest.raises(BadInput, match=r"its rows have no ids.*set stimulus_ids to a text file"):
        writing.write(held(section), tmp_path / "own", MOST)
    (tmp_path / "ids.txt").write_text("b\na\nc\n")
    named = section.model_copy(update={"stimulus_ids": SweepPath.of("ids.txt", tmp_path)})
    writing.write(held(named), tmp_path / "own", MOST)
    shown = pq.read_table(tmp_path / "own" / "presentations.parquet")
    assert shown["stimulus_id"].to_pylist() == ["b", "a", "c"]


def presentations(values):
    table = pa.table({"target_id": ["t0", "t1"]})
    return Presentations(
        "recording 'r'", (), ["a", "b", "a"], table, lambda those: values[:, those]
    )


def test_an_infinite_response_is_not_written(tmp_path):
    values = np.array([[1.0, 2], [3, np.inf], [5, 6]])
    with pytest.raises(BadInput, match="the response of target 't1' to 'b' is infinite"):
        writing.write(HeldPresentations(presentations(values)), tmp_path / "own", MOST)
    assert list(tmp_path.iterdir()) == []


def test_missing_responses_have_no_row_and_are_missing_again(tmp_path):
    values = np.array([[1.0, np.nan], [3, np.nan], [np.nan, np.nan]])
    writing.write(HeldPresentations(presentations(values)), tmp_path / "own", MOST)
    assert pq.read_table(tmp_path / "own" / "responses.parquet").num_rows == 2
    found = ParquetSection(stimuli="s", path=tmp_path / "own").presentations("r", MOST)
    assert_array_equal(found.read(np.arange(2)), values)
    assert found.stimulus_ids == ["a", "b", "a"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_of_what_could_not_be_written(tmp_path, error):
    def read(_):
        raise error

    found = HeldPresentations(replace(presentations(np.ones((3, 2))), read=read))
    expected = BadInput if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        writing.write(found, tmp_path / "own", MOST)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_written_over(tmp_path):
    found = HeldPresentations(presentations(np.ones((3, 2))))
    (tmp_path / "own").mkdir()
    (tmp_path / "file").write_text("mine")
    for name in ("own", "file"):
        with pytest.raises(
            BadInput, match=f"{name} exists already; remove it, or name another --out"
        ):
            writing.write(found, tmp_path / name, MOST)
    assert (tmp_path / "file").read_text() == "mine"
    assert not list((tmp_path / "own").iterdir())
    with pytest.raises(BadInput, match="none is no folder; make it, or correct --out"):
        writing.write(found, tmp_path / "none" / "own", MOST)
