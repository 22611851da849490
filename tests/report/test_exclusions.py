"""What is not in the numbers is counted, with the reason."""

import math

import pytest

from tests.planted_rows import failure, ledger_row, result_row
from zoo_eval.queries.connection import connect
from zoo_eval.report import exclusions
from zoo_eval.store import Store
from zoo_eval.trial import Trial


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def scored(store, model, score):
    one = Trial(
        "neural_fit", 1, "nested", model=model, weights_digest="w", transform={}, layer="l", readout="pls",
        recording="it", recording_digest="r", stimuli="s", stimuli_digest="s",
    )  # fmt: skip
    row = {
        "score": score,
        "selection_score": 0.1,
        "fold": 0,
        "statistic": "pearson_r",
        "mode": "fit",
    }
    store.commit({"neural_scores": [result_row("neural_scores", one, **row)]}, [ledger_row(one)])


def test_undefined_nan_and_infinite_scores_are_counted_apart(store):
    for model, score in zip("abcdef", (0.5, None, math.nan, math.nan, math.inf, 0.25)):
        scored(store, model, score)
    undefined, nan, infinite = exclusions.no_numbers(connect(store))
    assert undefined.startswith("1 of 6 neural scores at the chosen layer is undefined")
    assert nan.startswith("2 of 6 neural scores at the chosen layer are NaN")
    assert infinite.startswith("1 of 6 neural scores at the chosen layer is infinite")


def test_where_all_are_numbers_nothing_is_said(store):
    scored(store, "a", 0.5)
    assert exclusions.no_numbers(connect(store)) == []


def test_failures_are_counted_by_what_failed(store):
    for model in "abc":
        one = Trial("accuracy", 1, "standard", model=model, weights_digest="w")
        store.commit({}, [ledger_row(one, **failure("x"), failure_class="gpu_memory")])
    refused = Trial("layers", 1, "centred", model="a", weights_digest="w")
    store.commit({}, [ledger_row(refused, **failure("y", "refused"), failure_class="refusal")])
    connection = connect(store)
    assert exclusions.by_kind(connection) == [
        "3 of accuracy failed (gpu_memory), of 3 models",
        "1 of layers refused (refusal), of 1 model",
    ]
    failed = exclusions.failures(connection)
    assert [(row["model"], row["error_message"]) for row in failed.rows] == [
        ("a", "x"), ("a", "y"), ("b", "x"), ("c", "x"),
    ]  # fmt: skip
