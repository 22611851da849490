"""Every kind of recording, written as long tables and read again, is the same recording."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal

from tests.recordings import kinds
from tests.recordings.sweepmates import Mates
from zoo_eval.errors import BadInput
from zoo_eval.recordings import writing
from zoo_eval.recordings.by_position import stand_in
from zoo_eval.recordings.ceiling import CeilingChoices
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
