"""Responses from NumPy, pandas, polars, Arrow and xarray: the same recording, matched by name."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
import xarray as xr

import zoo_eval
from zoo_eval.errors import BadInput
from zoo_eval.notebook.responses import only

IDS, TARGETS = ("a", "b", "c", "d"), ("t0", "t1", "t2")
VALUES = np.random.default_rng(0).normal(size=(4, 2, 3))


class Sweep:
    """What a section asks while it is read: the stimuli, by name."""

    memory_budget_bytes = 2**31

    def __init__(self, ids=IDS):
        self.ids = ids

    def stimuli(self, name):
        pixels = np.zeros((len(self.ids), 4, 4, 3), np.uint8)
        return zoo_eval.images(pixels, ids=self.ids).read(name, self)


def recorded(data, **more):
    return zoo_eval.responses(data, stimuli="shown", **more).read("it", Sweep())


def long(values=VALUES):
    stimulus, repetition, target = np.indices(values.shape).reshape(3, -1)
    columns = {
        "stimulus_id": [IDS[one] for one in stimulus],
        "repetition": repetition,
        "target_id": [TARGETS[one] for one in target],
        "response": values.reshape(-1),
    }
    return pd.DataFrame(columns).sample(frac=1, random_state=0)


def labelled(order=("stimulus", "repetition", "target")):
    array = xr.DataArray(
        VALUES,
        dims=("stimulus", "repetition", "target"),
        coords={"stimulus": list(IDS), "target": list(TARGETS)},
    )
    return array.isel(stimulus=[2, 0, 3, 1]).transpose(*order)


@pytest.mark.parametrize(
    ("data", "more"),
    [
        (VALUES, {"target_ids": TARGETS}),
        (VALUES[::-1], {"target_ids": TARGETS, "stimulus_ids": IDS[::-1]}),
        (VALUES.tolist(), {"target_ids": TARGETS}),
        (long(), {}),
        (pa.Table.from_pandas(long(), preserve_index=False), {}),
        (polars.from_pandas(long()), {}),
        (labelled(), {}),
        (labelled(("target", "stimulus", "repetition")), {}),
    ],
    ids=["numpy", "named", "lists", "pandas", "arrow", "polars", "xarray", "xarray_transposed"],
)
def test_whatever_holds_them_they_are_the_same_recording(data, more):
    expected = recorded(VALUES, target_ids=TARGETS)
    found = recorded(data, **more)
    assert found.digest == expected.digest
    assert np.array_equal(found.repeated().padded(), VALUES)
    assert (found.target_ids, found.stimuli, found.name) == (TARGETS, "shown", "it")


def test_a_frame_of_targets_is_matched_by_its_index():
    frame = pd.DataFrame(VALUES[:, 0], index=list(IDS), columns=list(TARGETS)).sort_index(
        ascending=False
    )
    found = recorded(frame)
    assert np.array_equal(found.repeated().padded()[:, 0], VALUES[:, 0])
    assert found.n_repetitions == 1


def test_a_frame_whose_rows_nobody_named_is_matched_only_where_the_images_are_numbered_too():
    frame = pd.DataFrame(VALUES[:, 0], columns=list(TARGETS))
    with pytest.raises(BadInput, match=r"rows are numbered, not named; .* data.to_numpy\(\)"):
        recorded(frame)
    numbered = zoo_eval.responses(frame, stimuli="shown").read("it", Sweep("2031"))
    assert np.array_equal(numbered.repeated().padded()[:, 0], VALUES[[2, 0, 3, 1], 0])
    # Called by their numbers, but put in order as text: whose row 2 is nobody knows.
    with pytest.raises(BadInput, match="rows are numbered"):
        zoo_eval.responses(frame, stimuli="shown").read(
            "it", Sweep(["0.png", "1.png", "2.png", "3.png"])
        )


def test_rows_without_ids_meet_the_images_in_an_order_that_is_said():
    names = ["1.png", "10.png", "2.png", "3.png"]
    assert recorded(VALUES).by_position.endswith("row 1 is 'a', row 2 is 'b', row 4 is 'd'")
    with pytest.raises(BadInput, match="its rows have no ids"):
        zoo_eval.responses(VALUES, stimuli="shown").read("it", Sweep(names))
    for order, places in (("images", [0, 1, 2, 3]), ("natural", [0, 3, 1, 2])):
        section = zoo_eval.responses(VALUES, stimuli="shown", order=order)
        assert np.array_equal(section.read("it", Sweep(names)).repeated().padded(), VALUES[places])
    named = zoo_eval.responses(VALUES, stimuli="shown", stimulus_ids=[3, 10, 2, 1.0])
    found = named.read("it", Sweep(names))
    assert np.array_equal(found.repeated().padded(), VALUES[[3, 1, 2, 0]])
    assert found.by_position is None


def test_numbers_name_what_has_no_name():
    assert recorded(VALUES[:, 0]).target_ids == ("0", "1", "2")


def test_what_is_written_to_an_array_later_changes_nothing():
    values = VALUES.copy()
    section = zoo_eval.responses(values, stimuli="shown")
    values[:] = 0
    assert np.array_equal(section.read("it", Sweep()).repeated().padded(), VALUES)


def test_what_was_not_measured_is_missing():
    values = VALUES.copy()
    values[1, 0, 2] = np.nan
    dense = recorded(values, target_ids=TARGETS)
    rows = recorded(long(values).dropna())
    assert np.array_equal(dense.repeated().padded(), values, equal_nan=True)
    assert dense.digest == rows.digest
    assert dense.notes[0].startswith("1 of ")


def infinite():
    values = VALUES.copy()
    values[1, 0, 2] = np.inf
    return values


@pytest.mark.parametrize(
    ("data", "more", "said"),
    [
        (VALUES[0, 0], {}, r"expected \(stimulus, target\)"),
        (np.array([["a"]]), {}, "no numbers"),
        (VALUES, {"target_ids": ["t0"]}, "1 target_ids for 3"),
        (VALUES, {"target_ids": ["t", "t", "u"]}, "'t' stands twice"),
        (
            VALUES,
            {"stimulus_ids": ["a", "b", "c", "dd"]},
            "'dd' is not in stimuli 'shown' .*nearest: d",
        ),
        (VALUES[:3], {"stimulus_ids": IDS[:3]}, "no row for 'd' of stimuli 'shown'"),
        (VALUES[:3], {}, "3 rows, but stimuli 'shown' has 4"),
        (infinite(), {}, "to stimulus number 1 is infinite"),
        (long().query("stimulus_id != 'b'"), {}, "0 responses to 'b' of stimuli 'shown'"),
        (long().replace({"a": "aa"}), {}, "'aa' is not in stimuli 'shown'"),
        (labelled().rename(target="targets"), {}, "nearest: target; rename"),
        (polars.DataFrame({"stimulus": ["a"]}), {}, "needs the columns stimulus_id"),
        (SimpleNamespace(), {}, "no numbers"),
        (VALUES, {"order": "lexical"}, "unknown order 'lexical'"),
        (VALUES, {"order": "images", "stimulus_ids": IDS}, "have stimulus ids; leave out `order`"),
        (long(), {"order": "images"}, "have stimulus ids; leave out `order`"),
        (VALUES, {"stimulus_ids": ["a", "b", "c", "a.png"]}, "'a' and 'a.png' both mean 'a'"),
    ],
)
def test_what_is_no_recording_of_the_stimuli_is_one_line(data, more, said):
    with pytest.raises(BadInput, match=said) as refusal:
        recorded(data, **more)
    assert "\n" not in str(refusal.value)


def test_the_only_stimuli_need_no_name():
    section = zoo_eval.responses(VALUES)
    assert only(section, ["shown"]).stimuli == "shown"
    with pytest.raises(BadInput, match=r'any of 2 stimulus sets \(a, b\).*stimuli="NAME"'):
        only(section, ["a", "b"])
    named = zoo_eval.responses(VALUES, stimuli="b")
    assert only(named, ["a", "b"]).stimuli == "b"


@pytest.mark.parametrize("shape", [np.asarray, long], ids=["array", "long table"])
def test_two_repetitions_of_which_one_is_constant_are_refused(shape):
    values = VALUES.copy()
    values[:, 1] = 0
    with pytest.raises(BadInput, match=r"^recording 'it': in repetition number 1 .* leave that"):
        recorded(shape(values))
