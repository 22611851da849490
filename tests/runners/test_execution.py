"""A group's results become rows that say whose they are, or failures; refusals are one commit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.runners.planted_evaluations import Planted, work
from zoo_eval.evaluations.evaluation import Result
from zoo_eval.inputs import Inputs
from zoo_eval.numerics import precision
from zoo_eval.numerics.precision import FLOAT32
from zoo_eval.queries.connection import connect
from zoo_eval.runners.execution import Finished, Machine, record_refusals, refuse, run_work
from zoo_eval.store import Store
from zoo_eval.sweep.faults import DISK, NETWORK, Elsewhere, Fault
from zoo_eval.sweep.file import Budgets
from zoo_eval.sweep.plan import RefusedTrial
from zoo_eval.trial import Trial

SHARES = dict.fromkeys(("top1", "top1_low", "top1_high", "top5", "top5_low", "top5_high"), 1.0)
ROW = {**SHARES, "n_images": 1}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


@dataclass(frozen=True)
class Saying(Planted):
    """Yields what it is told to."""

    results: Callable[[Trial], list[Result]] = lambda trial: []

    def run(self, trials: Any, bench: Any) -> Iterator[Result]:
        yield from self.results(trials[0])


def executed(
    store: Store,
    results: Callable[[Trial], list[Result]],
    elsewhere: frozenset[Fault] = frozenset(),
) -> Finished:
    reports = run_work(
        work(Saying("m", "works", "unused", results)),
        Inputs(),
        store,
        Machine(torch.device("cpu"), Budgets(1), elsewhere),
    )
    return list(reports)[-1]


def failures(store: Store) -> list[str]:
    found = connect(store).rows("SELECT error_message FROM trials WHERE status = 'failed'")
    return [row["error_message"] for row in found]


@pytest.mark.parametrize("wrong", [{}, {"trial_id": "another", "model": "other"}])
def test_rows_are_the_trials_whatever_they_say_themselves(store, wrong):
    told = []

    def results(trial):
        told.append(trial.id)
        return [Result(trial, {"accuracy": [ROW | wrong]})]

    assert executed(store, results).n_ok == 1
    found = connect(store).rows("SELECT trial_id, model, top1 FROM accuracy")
    assert found == [{"trial_id": told[0], "model": "m", "top1": 1.0}]


def test_rows_that_fit_no_table_are_a_failure_with_its_reason(store):
    assert executed(store, lambda trial: [Result(trial, {"accuracy": [{"hue": 1}]})]).n_failed == 1
    assert "unknown column 'hue'" in failures(store)[0]
    assert executed(store, lambda trial: [Result(trial, {"colours": [{"hue": 1}]})]).n_failed == 1
    assert connect(store).rows("FROM accuracy") == []


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        (lambda trial: [], "gave no result for this trial"),
        (lambda trial: [Result(Trial("other", 1, "x"))], "a result that was not asked for"),
        (lambda trial: 2 * [Result(trial, {"accuracy": [ROW]})], "a result that was not asked for"),
    ],
)
def test_an_evaluation_that_does_not_answer_fails_its_trial(store, results, reason):
    assert executed(store, results).n_failed == 1
    assert reason in failures(store)[0]
    assert connect(store).rows("FROM accuracy") == []


def refusals(numbers: range) -> list[RefusedTrial]:
    return [
        RefusedTrial(Trial("e", 1, "refused", model=f"m{n}"), f"reason {n}") for n in numbers
    ]  # fmt: skip


def test_refusals_are_one_file_and_one_look_at_the_ledger_and_are_written_once(store, monkeypatch):
    looks = []
    ledger = Store.ledger
    monkeypatch.setattr(Store, "ledger", lambda self: looks.append(1) or ledger(self))
    record_refusals(refusals(range(300)), store)
    assert len(looks) == 1
    files = list(Path(store.root, "trials").iterdir())
    assert len(files) == 1
    record_refusals(refusals(range(300)), store)
    record_refusals([], store)
    assert list(Path(store.root, "trials").iterdir()) == files
    # What is new is added, and only that.
    record_refusals(refusals(range(299, 302)) + refusals(range(301, 302)), store)
    found = connect(store).rows("SELECT model, status, error_message FROM trials ORDER BY ALL")
    assert found == sorted(
        (
            {"model": f"m{n}", "status": "refused", "error_message": f"reason {n}"}
            for n in range(302)
        ),
        key=lambda row: row["model"],
    )
    assert len(list(Path(store.root, "trials").iterdir())) == 2


def test_what_was_not_run_by_the_numerics_of_its_key_is_refused(store):
    def results(trial):
        torch.set_float32_matmul_precision("high")
        return [Result(trial, {"accuracy": [ROW]})]

    with precision.using(FLOAT32):
        assert executed(store, results).n_refused == 1
        # What a run sets, it leaves as it was.
        assert precision.found(FLOAT32) == FLOAT32.key
    (trial,) = connect(store).rows("SELECT status, error_message FROM trials")
    assert trial["status"] == "refused"
    assert "numerics 'float32', but torch.backends.cuda.matmul is tf32" in trial["error_message"]
    assert connect(store).rows("SELECT * FROM accuracy") == []


def raising(error):
    def results(trial):
        raise error

    return results


def test_what_another_machine_may_do_better_is_handed_on_and_nothing_of_it_is_recorded(store):
    with pytest.raises(Elsewhere, match="no route") as caught:
        executed(store, raising(ConnectionError("no route")), frozenset({NETWORK}))
    assert caught.value.fault == NETWORK
    assert caught.value.error_type == "ConnectionError"
    assert store.ledger().status == {}


def test_where_there_is_no_elsewhere_it_is_a_failure_of_its_class(store):
    assert executed(store, raising(ConnectionError("no route")), frozenset({DISK})).n_failed == 1
    found = connect(store).rows("SELECT failure_class, error_type FROM failures")
    assert found == [{"failure_class": "network", "error_type": "ConnectionError"}]


def test_an_ok_trial_has_no_class(store):
    assert executed(store, lambda trial: [Result(trial, {"accuracy": [ROW]})]).n_ok == 1
    assert connect(store).rows("SELECT failure_class FROM trials") == [{"failure_class": None}]


def test_all_of_a_models_work_is_refused_in_one_commit(store):
    some = work(Planted("m", "works", "unused"), Planted("n", "works", "unused"))
    report = refuse(some, "larger than any GPU", store)
    assert (report.n_ok, report.n_failed, report.n_refused, report.n_passes) == (0, 0, 2, 0)
    assert report.first_error == "larger than any GPU"
    rows = connect(store).rows("SELECT status, error_message, commit_id FROM trials")
    assert {(row["status"], row["error_message"]) for row in rows} == {
        ("refused", "larger than any GPU")
    }
    assert len(rows) == 2
    assert len({row["commit_id"] for row in rows}) == 1
