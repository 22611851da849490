"""Comparisons are named apart, by what differs and no more."""

import json

import pytest

from zoo_eval.trends.titles import subjects


def key(protocol="corrected", seed=0, stimuli_digest="0123456789", **parameters):
    return {"protocol": protocol, "parameters": json.dumps(parameters), "seed": seed,
            "stimuli_digest": stimuli_digest}  # fmt: skip


@pytest.mark.parametrize(
    ("names", "keys", "expected"),
    [
        ([], [], []),
        (["photos, ddn l2"], [key(canvas=224)], ["photos, ddn l2"]),
        # In words of their own where each differs, whether or not the names do.
        (
            ["photos, ddn l2", "photos, ddn l2", "photos, fmn l2"],
            [key(decision="argmax", canvas=224), key(decision="animate", canvas=224),
             key("linsley2023_paper", decision="argmax", canvas="own")],
            ["photos, ddn l2, argmax, canvas 224",
             "photos, ddn l2, animate, canvas 224",
             "photos, fmn l2, linsley2023_paper, argmax, canvas own"],
        ),
        # Anything else where it is needed alone.
        (
            ["a", "a", "b"],
            [key(options={"steps": 9}), key(options={"steps": 99}), key(options={"steps": 5}, seed=1)],
            ["a, options.steps 9", "a, options.steps 99", "b"],
        ),
        (["a", "a"], [key(), key(seed=1)], ["a, seed 0", "a, seed 1"]),
        (
            ["a", "a"],
            [key(), key(stimuli_digest="9876543210")],
            ["a, stimuli_digest 01234567", "a, stimuli_digest 98765432"],
        ),
        # A gradient decides nothing, and what is usual is not said.
        (["a", "b"], [key(decision="argmax"), key("standard")], ["a", "b"]),
        (["a", "a"], [key(decision="argmax"), key()], ["a, argmax", "a"]),
        (["a", "b"], [key("nested"), key("kfold")], ["a, nested", "b, kfold"]),
    ],
)  # fmt: skip
def test_a_subject_says_what_differs(names, keys, expected):
    assert subjects(names, keys) == expected
