"""A long trial that is killed goes on from its last finished batch, to the rows of one that was not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runners import long_attack
from tests.runners.long_attack import ATTACK, DRAWN, SALIENCY, LongAttack, N
from tests.storage import s3_server
from zoo_eval.evaluations.attack_run import AttackRun
from zoo_eval.queries.connection import connect
from zoo_eval.runners.execution import Advanced, Finished, Started
from zoo_eval.storage.parts import Part, present
from zoo_eval.store import Store

ROOT = Path(__file__).parents[2]
TABLES = ("attacks", "perturbations", "alignment")


@pytest.fixture(autouse=True)
def _alone(one_thread):
    """Sums do not depend on how many threads there are."""


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def rows(store: Store) -> dict[str, list[dict]]:
    found = connect(store)
    return {
        name: [
            {key: value for key, value in row.items() if key not in ("commit_id", "seconds")}
            for row in found.rows(f"SELECT * FROM {name} ORDER BY ALL")
        ]
        for name in TABLES
    }


def parts_of(store: Store) -> list[Part]:
    return sorted(present(store.objects), key=lambda one: one.first)


@pytest.fixture
def undisturbed(tmp_path, monkeypatch):
    """The rows of an evaluation that runs to its end, once for each."""

    def run(evaluation=ATTACK, seed=0) -> dict[str, list[dict]]:
        whole = Store(str(tmp_path / "whole"), create=True)
        *_, last = LongAttack(whole, evaluation, seed).reports(monkeypatch)
        assert last.n_ok == 1
        return rows(whole)

    return run


def broken_off(store: Store, monkeypatch, evaluation=ATTACK, n_batches=2) -> LongAttack:
    """Runs the first batches of an evaluation, and no more."""
    run = LongAttack(store, evaluation)
    reports = run.reports(monkeypatch)
    n_told = 0
    for report in reports:
        n_told += isinstance(report, Advanced)
        # The first says that it begins.
        if n_told == n_batches + 1:
            break
    reports.close()
    return run


def gone_on(store: Store, monkeypatch, evaluation=ATTACK) -> tuple[LongAttack, Finished]:
    run = LongAttack(store, evaluation)
    monkeypatch.setattr(AttackRun, "on", long_attack.noting(run.attacked))
    *_, last = run.reports(monkeypatch)
    return run, last


@pytest.fixture(params=["folder", "bucket"])
def anywhere(request, tmp_path, monkeypatch) -> Iterator[str]:
    """The address of a store in a folder, and of one in a bucket."""
    for name, value in s3_server.KEYS.items():
        monkeypatch.setenv(name, value)
    if request.param == "folder":
        yield str(tmp_path / "store")
    else:
        with s3_server.running() as server:
            yield server.uri("prefix")


def test_a_killed_attack_goes_on_from_its_last_finished_batch(anywhere, monkeypatch, undisturbed):
    expected = undisturbed()
    store = Store(anywhere, create=True)
    command = [sys.executable, "-m", "tests.runners.long_attack", anywhere, "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    assert killed.returncode == -9
    assert [(one.first, one.end) for one in parts_of(store)] == [(0, 2), (2, 4)]
    assert store.ledger().status == {}
    assert store.strays() == []
    store.compact(0.0)
    run, last = gone_on(store, monkeypatch)
    assert run.attacked == [4, 5, 6]
    assert rows(store) == expected
    assert present(store.objects) == []
    # What is counted is the work that made the numbers, whoever did it.
    n_made = sum(row["n_forwards"] + row["n_backwards"] for row in rows(store)["attacks"])
    n_here = sum(
        row["n_forwards"] + row["n_backwards"]
        for row in rows(store)["attacks"]
        if int(row["stimulus_id"]) >= 4
    )
    assert n_here <= last.n_passes < n_made


@pytest.mark.parametrize("evaluation", [DRAWN, SALIENCY], ids=["drawn", "saliency"])
@pytest.mark.parametrize("n_batches", [1, 3])
def test_what_is_drawn_does_not_hang_on_where_a_run_went_on(
    store, monkeypatch, undisturbed, evaluation, n_batches
):
    expected = undisturbed(evaluation)
    broken_off(store, monkeypatch, evaluation, n_batches)
    assert parts_of(store)[-1].end == 2 * n_batches
    run, last = gone_on(store, monkeypatch, evaluation)
    assert last.n_ok == 1
    assert rows(store) == expected
    if evaluation is DRAWN:
        assert run.attacked == list(range(2 * n_batches, N))


def test_another_seed_draws_otherwise(undisturbed, tmp_path, monkeypatch):
    one = undisturbed(DRAWN)["attacks"]
    other = Store(str(tmp_path / "other"), create=True)
    list(LongAttack(other, DRAWN, seed=1).reports(monkeypatch))
    found = {row["distance"] for row in one if row["status"] == "found"}
    assert found
    assert found.isdisjoint(row["distance"] for row in rows(other)["attacks"])


def _flip(held: bytes) -> bytes:
    return held[:40] + bytes([held[40] ^ 1]) + held[41:]


@pytest.mark.parametrize(
    ("change", "attacked"),
    [
        (_flip, [2, 3, 4, 5, 6]),
        (lambda held: held[: len(held) // 2], [2, 3, 4, 5, 6]),
        (lambda _: b"", [2, 3, 4, 5, 6]),
    ],
    ids=["flipped", "half", "empty"],
)
def test_a_damaged_part_is_computed_again(store, monkeypatch, undisturbed, change, attacked):
    expected = undisturbed()
    broken_off(store, monkeypatch)
    path = Path(store.root, parts_of(store)[1].path)
    path.write_bytes(change(path.read_bytes()))
    assert gone_on(store, monkeypatch)[0].attacked == attacked
    assert rows(store) == expected
    assert present(store.objects) == []


def test_parts_of_another_version_are_computed_again(store, monkeypatch, undisturbed):
    expected = undisturbed()
    from zoo_eval.evaluations import evaluation

    with monkeypatch.context() as patch:
        writer = evaluation.Writer
        patch.setattr(evaluation, "Writer", lambda version: replace(writer(version), package="0"))
        broken_off(store, monkeypatch)
    assert len(parts_of(store)) == 2
    assert gone_on(store, monkeypatch)[0].attacked == list(range(N))
    assert rows(store) == expected


def test_a_part_under_another_trials_name_is_none_of_its(store, monkeypatch, undisturbed):
    expected = undisturbed()
    other = ATTACK.model_copy(update={"options": {"ddn": {"steps": 5}}})
    foreign = broken_off(store, monkeypatch, other)
    own = LongAttack(store).trial_id
    for one in parts_of(store):
        path = Path(store.root, one.path)
        path.rename(path.with_name(path.name.replace(foreign.trial_id, own)))
    assert gone_on(store, monkeypatch)[0].attacked == list(range(N))
    assert rows(store) == expected


def test_every_batch_is_reported_with_what_is_ahead(store, monkeypatch):
    run = LongAttack(store)
    _, first, begins, *reports = run.reports(monkeypatch)
    assert first == Started(0)
    n_each = run.work.groups[0].n_passes // N
    assert begins == Advanced(0, 0, 2 * n_each)
    *batches, through, last = reports
    # Two images each, but for the last.
    assert len(batches) == 4
    assert all(0 < one.n_passes <= one.n_ahead == 2 * n_each for one in batches)
    assert through == Advanced(0, 0, run.work.groups[0].n_passes)
    assert sum(one.n_passes for one in batches) == last.n_passes


def test_what_takes_no_time_leaves_nothing_and_asks_nothing_to_be_removed(store, monkeypatch):
    deleted = []
    real = type(store.objects).delete
    monkeypatch.setattr(
        type(store.objects), "delete", lambda o, *paths: (deleted.extend(paths), real(o, *paths))
    )
    list(LongAttack(store).reports(monkeypatch, kept_every_s=3600.0))
    assert deleted == []
    assert not Path(store.root, "parts").exists()


def test_a_store_that_takes_no_parts_costs_the_parts_alone(store, monkeypatch, undisturbed):
    expected = undisturbed()
    real = type(store.objects).create

    def full(objects, path, content):
        if path.startswith("parts/"):
            raise OSError("planted: the disk is full")
        return real(objects, path, content)

    monkeypatch.setattr(type(store.objects), "create", full)
    *_, last = LongAttack(store).reports(monkeypatch)
    assert last.n_ok == 1
    assert rows(store) == expected


def test_a_failed_trial_keeps_its_parts_for_when_it_is_tried_again(store, monkeypatch):
    run = LongAttack(store)

    def fails(attack, batch):
        if batch[0].number >= 4:
            raise ArithmeticError("planted")
        return real(attack, batch)

    real = AttackRun.on
    monkeypatch.setattr(AttackRun, "on", fails)
    *_, last = run.reports(monkeypatch)
    assert last.n_failed == 1
    assert [one.end for one in parts_of(store)] == [2, 4]
    assert store.strays() == []
    assert store.repair() == (0, 0)
    monkeypatch.setattr(AttackRun, "on", real)
    again = LongAttack(store)
    group = replace(again.work.groups[0], attempts=(2,))
    again.work = replace(again.work, groups=(group,))
    monkeypatch.setattr(AttackRun, "on", long_attack.noting(again.attacked))
    *_, last = again.reports(monkeypatch)
    assert last.n_ok == 1
    assert again.attacked == [4, 5, 6]
    assert present(store.objects) == []


@pytest.mark.parametrize("how", ["repair", "compact"])
def test_leftovers_of_trials_that_are_done_are_named_and_removed(store, monkeypatch, how):
    broken_off(store, monkeypatch)
    left = {one.path: Path(store.root, one.path).read_bytes() for one in parts_of(store)}
    gone_on(store, monkeypatch)
    # A process that was thought to be dead writes them after the commit.
    for path, held in left.items():
        Path(store.root, path).write_bytes(held)
    Path(store.root, "parts", "mine.txt").write_text("x")
    assert store.strays() == [*sorted(left), "parts/mine.txt"]
    getattr(store, how)()
    assert store.strays() == ["parts/mine.txt"]
