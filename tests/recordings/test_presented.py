"""Responses to presentations meet their stimuli: selected, z-scored, in order, whatever is missing said."""

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.recordings.sweepmates import Mates
from zoo_eval.errors import BadInput, WrongSweep
from zoo_eval.recordings import presented
from zoo_eval.recordings.presentations import Presentations
from zoo_eval.recordings.presented import PresentedSection
from zoo_eval.stimuli.stimulus_set import StimulusSet

IDS = ("c.png", "a.png", "b.png")
SHOWN_IDS = ("a", "b", "a", "c", "b", "a")
SESSIONS = ("1", "1", "2", "2", "2", "1")
TARGETS = pa.table(
    {
        "target_id": ["n0", "n1", "n2", "n3"],
        "region": ["V4", "IT", "IT", "V4"],
        "reliability": [0.9, 0.1, 0.8, 0.4],
    }
)
VALUES = np.random.default_rng(0).normal(size=(6, 4)) + 5


class Planted(PresentedSection):
    """Responses that the test planted."""

    kind: Literal["planted_presentations"] = "planted_presentations"

    def presentations(self, where, most_bytes):
        return planted(where=where)


def planted(**changed):
    given = {
        "where": "recording 'it': planted",
        "files": (Path("planted"),),
        "stimulus_ids": SHOWN_IDS,
        "targets": TARGETS,
        "read": lambda rows: VALUES[:, rows].astype(np.float32),
        "itemsize": 4,
        "sessions": SESSIONS,
        "splits": {"half": ("train", "test", "train", "test", "test", "train")},
        "notes": ("spikes from 70 to 170 ms",),
    }
    return Presentations(**{**given, **changed})


@pytest.fixture
def shown():
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    return StimulusSet("shown", IDS, (image,) * 3, groups=IDS)


def read(shown, section=Planted, **options):
    return section(stimuli="shown", **options).read("it", Mates(shown))


def single(values):
    return values.astype(np.float32).astype(np.float64)


def mean_of(values, name):
    return single(values)[[i for i, one in enumerate(SHOWN_IDS) if one == name]].mean(0)


def test_presentations_are_averaged_by_stimulus_in_the_order_of_the_stimuli(shown):
    found = read(shown)
    expected = [mean_of(VALUES, name) for name in ("c", "a", "b")]
    assert_allclose(found.mean, expected, rtol=1e-12)
    assert found.repeated().counts.tolist() == [1, 3, 2]
    assert found.target_ids == ("n0", "n1", "n2", "n3")
    assert found.notes == ("stimuli were shown 1 to 3 times", "spikes from 70 to 170 ms")
    assert found.splits == {"half": ("test", "train", "test")}


@pytest.mark.parametrize("block_bytes", [1, 10**9])
def test_targets_are_selected_by_sql_on_what_is_known_of_them(shown, monkeypatch, block_bytes):
    monkeypatch.setattr(presented, "BLOCK_BYTES", block_bytes)
    found = read(shown, targets="region = 'IT' or reliability > 0.5")
    assert found.target_ids == ("n0", "n1", "n2")
    assert found.targets.column("region").to_pylist() == ["V4", "IT", "IT"]
    assert_allclose(found.mean, read(shown).mean[:, :3], rtol=0)
    assert "3 of 4 targets are selected" in found.notes


@pytest.mark.parametrize(
    ("condition", "error", "reason"),
    [
        (
            "region = 'TEO'",
            BadInput,
            r"selects none of 4; the columns are region: V4, IT",
        ),
        ("regoin = 'IT'", WrongSweep, "regoin.*; the columns are target_id, region, reliability"),
        ("1; DROP TABLE x", WrongSweep, "targets = "),
        ("target_id IN (SELECT content FROM read_text('/etc/passwd'))", WrongSweep, "disabled"),
    ],
)
def test_a_selection_that_is_wrong_says_what_there_is(shown, condition, error, reason):
    with pytest.raises(error, match=f"^recording 'it': .*{reason}") as told:
        read(shown, targets=condition)
    assert "\n" not in str(told.value)


def test_z_scores_are_within_sessions_over_all_presentations(shown):
    found = read(shown, zscore="session").repeated().responses
    scored = single(VALUES)
    for session in ("1", "2"):
        own = [i for i, one in enumerate(SESSIONS) if one == session]
        scored[own] = (scored[own] - scored[own].mean(0)) / scored[own].std(0)
    order = [3, 0, 2, 5, 1, 4]
    assert_allclose(found, scored[order], rtol=0, atol=1e-6)
    assert (
        "each target is z-scored within each of 2 sessions" in read(shown, zscore="session").notes
    )


def test_a_target_that_is_constant_in_a_session_is_zero_there_and_what_is_missing_stays_so(shown):
    class Odd(Planted):
        def presentations(self, where, most_bytes):
            values = VALUES.copy()
            values[[0, 1, 5], 0] = 0.1
            values[4, 1] = np.nan
            return planted(read=lambda rows: values[:, rows])

    found = read(shown, Odd, zscore="session").repeated()
    by_row = dict(zip([3, 0, 2, 5, 1, 4], found.responses, strict=True))
    assert [by_row[row][0] for row in (0, 1, 5)] == [0, 0, 0]
    assert np.isnan(by_row[4][1])
    of_two = VALUES[[2, 3], 1]
    assert_allclose(by_row[2][1], (of_two[0] - of_two.mean()) / of_two.std(), rtol=1e-9)


def test_sessions_that_nobody_said_cannot_be_z_scored_within(shown):
    class Unsaid(Planted):
        def presentations(self, where, most_bytes):
            return planted(sessions=None)

    assert read(shown, Unsaid).n_stimuli == 3
    with pytest.raises(BadInput, match='does not say its sessions; leave out zscore = "session"'):
        read(shown, Unsaid, zscore="session")


def test_what_is_not_among_the_stimuli_is_refused_or_left_out_and_counted(shown):
    class More(Planted):
        def presentations(self, where, most_bytes):
            return planted(stimulus_ids=("a", "b", "localizer", "c", "b", "a"))

    with pytest.raises(BadInput, match=r"stimulus 'localizer' is not in stimuli 'shown' \(1 such; .*partial = true"):  # fmt: skip
        read(shown, More)
    found = read(shown, More, partial=True)
    assert found.repeated().counts.tolist() == [1, 2, 2]
    assert_allclose(found.mean[1], single(VALUES)[[0, 5]].mean(0), rtol=1e-12)
    assert any(note.startswith("1 of 6 presentations") for note in found.notes)


def test_z_scores_do_not_depend_on_which_stimuli_are_kept(shown):
    class More(Planted):
        def presentations(self, where, most_bytes):
            return planted(stimulus_ids=("a", "b", "localizer", "c", "b", "a"))

    whole = read(shown, zscore="session").repeated().responses
    part = read(shown, More, partial=True, zscore="session").repeated().responses
    # Rows of the file: 3, 0, 2, 5, 1, 4 and 3, 0, 5, 1, 4.
    assert_array_equal(part, whole[[0, 1, 3, 4, 5]])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"stimulus_ids": ("a", "a", "a", "b", "b", "b")}, "'c.png' of stimuli 'shown' was never shown"),
        ({"stimulus_ids": tuple("xyzxyz")}, "is not in stimuli 'shown'"),
        ({"stimulus_ids": ("a", "b", "a.png", "c", "b", "a")}, "'a' and 'a.png' both mean 'a.png'"),
        (
            {"splits": {"half": ("train", "test", "test", "test", "test", "train")}},
            "split 'half' has 'a' on two sides",
        ),
    ],
)  # fmt: skip
def test_presentations_that_do_not_fit_the_stimuli_are_one_line(shown, changed, reason):
    class Changed(Planted):
        def presentations(self, where, most_bytes):
            return planted(**changed)

    with pytest.raises(BadInput, match=f"^recording 'it': planted.*{reason}"):
        read(shown, Changed)


def test_more_than_the_budget_is_refused_before_it_is_read(shown):
    class Large(Planted):
        def presentations(self, where, most_bytes):
            return planted(read=lambda rows: pytest.fail("it was read"))

    mates = Mates(shown)
    mates.memory_budget_bytes = 95
    with pytest.raises(
        BadInput, match="6 presentations x 4 targets would take 96 B, more than the 95 B"
    ):
        Large(stimuli="shown").read("it", mates)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"stimulus_ids": ()}, "no presentation"),
        ({"sessions": ("1",)}, "6 presentations but 1 of 'sessions'"),
        ({"targets": TARGETS.slice(0, 0)}, "has no target"),
        ({"targets": pa.table({"target_id": ["n0", "n0"]})}, "target 'n0' stands twice"),
    ],
)
def test_presentations_that_contradict_themselves_are_refused(changed, reason):
    with pytest.raises(BadInput, match=reason):
        planted(**changed)


def test_rows_that_only_fill_up_repetitions_are_no_repetitions(shown, monkeypatch):
    """An array (stimulus, repetition, target) has rows of NaN where a stimulus was shown less often."""
    values = np.where(np.arange(6)[:, None] == [2], np.nan, VALUES)
    # Of "c" there is nothing at all, and its place is kept.
    values[3] = np.nan
    given = planted(read=lambda rows: values[:, rows])
    monkeypatch.setattr(Planted, "presentations", lambda *_: given)
    repeated = Planted(stimuli="shown").read("it", Mates(shown)).repeated()
    assert_array_equal(repeated.counts, [1, 2, 2])
    expected = values[[3, 0, 5, 1, 4]]
    assert_array_equal(repeated.responses, expected)
    assert_allclose(repeated.mean()[1:], [values[[0, 5]].mean(0), values[[1, 4]].mean(0)])
    # Targets are chosen first: what the others answered is no response of these.
    values[1, 1:3] = np.nan
    found = Planted(stimuli="shown", targets="region = 'IT'").read("it", Mates(shown))
    assert_array_equal(found.repeated().counts, [1, 2, 1])
    assert "stimuli were shown 1 to 2 times" in found.notes
