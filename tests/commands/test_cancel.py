"""A sweep is cancelled from elsewhere: nothing is half done, and the same command goes on."""

import threading
import time
from dataclasses import dataclass

import pytest

from tests.runners.comparison import assert_each_trial_once, assert_same_results
from tests.storage.planted import commit
from tests.storage.test_leases import age, elsewhere
from zoo_eval import cli
from zoo_eval.commands import sweep
from zoo_eval.commands.cancel import cancelled
from zoo_eval.commands.sweep import SweepOptions
from zoo_eval.errors import BadInput, Cancelled
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.reporter import Reporter
from zoo_eval.storage import bulletin
from zoo_eval.storage.driver import driver
from zoo_eval.storage.leases import Lease
from zoo_eval.store import Store


@pytest.fixture
def noticed(monkeypatch):
    """Once it is set, the driver waits at its next group until its thread has read the wish."""
    asked = threading.Event()
    real = Lease.check

    def check(lease):
        until = time.monotonic() + 60
        while asked.is_set() and not lease.cancelled and time.monotonic() < until:
            time.sleep(0.01)
        real(lease)

    monkeypatch.setattr(Lease, "check", check)
    return asked


def cancelling(uri: str, noticed: threading.Event, after: int):
    """A progress that has the sweep cancelled from elsewhere after so many groups."""

    @dataclass
    class Cancelling(Progress):
        n_groups: int = 0

        def finished(self, name, report):
            super().finished(name, report)
            self.n_groups += 1
            if self.n_groups == after:
                assert cli.main(["cancel", "--store", uri]) == 0
                noticed.set()

    return Cancelling.of


def test_a_cancelled_sweep_is_clean_and_the_same_command_completes_it(
    tiny_sweep, tmp_path, finished_store, noticed, capsys
):
    uri = str(tmp_path / "cancelled")
    request = SweepOptions(tiny_sweep, tmp_path, store=uri, runner="local")
    said: list[str] = []
    outcome = sweep.run_sweep(
        request.read(), request.run, said.append, progress=cancelling(uri, noticed, 3)
    )
    assert "is asked to end" in capsys.readouterr().out
    assert outcome.n_ok > 0
    assert outcome.n_pending > 0
    assert not outcome.is_complete
    store = Store(uri)
    assert list(store.ledger().status.values()) == ["ok"] * outcome.n_ok
    assert said[-2] == (
        f"cancelled: {outcome.n_pending} trials are left; the same command goes on with them"
    )
    assert driver(store.objects).state == "none"
    assert store.objects.head(bulletin.CANCEL) is None
    assert (store.strays(), store.damage()) == ([], None)
    (words, _) = bulletin.last(store.objects)
    assert (words["ended"], words["pending"]) == ("cancelled", outcome.n_pending)
    noticed.clear()
    assert sweep.run(request, said.append) == 0
    assert said[-1].startswith(f"{outcome.n_pending} trials run: {outcome.n_pending} ok")
    assert_each_trial_once(uri)
    assert_same_results(uri, finished_store)


def test_the_command_ends_with_1(tiny_sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(Lease, "check", lambda lease: (_ for _ in ()).throw(Cancelled("cancelled")))
    said: list[str] = []
    assert sweep.run(SweepOptions(tiny_sweep, tmp_path, runner="local"), said.append) == 1
    assert said[-1].startswith("0 trials run")


def wait_until_cancelled(lease: Lease) -> bool:
    until = time.monotonic() + 60
    while not lease.cancelled and time.monotonic() < until:
        time.sleep(0.01)
    return lease.cancelled


def test_who_holds_the_store_is_asked_and_the_wish_goes_with_it(store):
    with store.claim() as lease, Reporter(store.uri, lease, "local"):
        store.check_held()
        done = cancelled(store.uri)
        assert done.is_asked
        assert done.said.endswith("says when")
        assert wait_until_cancelled(lease)
        with pytest.raises(Cancelled, match="the same command goes on"):
            store.check_held()
        # What is at work is finished: it can be committed.
        commit(store, "a")
    assert store.objects.head(bulletin.CANCEL) is None
    assert not cancelled(store.uri).is_asked
    with store.claim() as lease, Reporter(store.uri, lease, "local"):
        store.check_held()


def test_a_wish_for_another_run_is_none(store):
    with store.claim() as first:
        bulletin.ask_to_end(store.objects, first.run)
    assert store.objects.head(bulletin.CANCEL) is not None
    with store.claim() as second:
        assert not bulletin.is_asked_to_end(store.objects, second.run)
        with Reporter(store.uri, second, "local") as reporter:
            reporter._stop.wait(1.0)
            store.check_held()
    assert store.objects.head(bulletin.CANCEL) is None


def test_where_nobody_is_at_work_that_is_said(tmp_path, capsys):
    store = Store(str(tmp_path / "store"), create=True)
    assert cli.main(["cancel", "--store", store.uri]) == 1
    assert "no sweep is at work; nothing to cancel" in capsys.readouterr().out
    assert store.objects.head(bulletin.CANCEL) is None
    assert cli.main(["cancel", "--store", str(tmp_path / "nowhere")]) == 2
    assert "no store at" in capsys.readouterr().err


def test_a_dead_driver_is_not_asked(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "store"), create=True)
    Lease(store.objects, "s", duration_s=60).take()
    elsewhere(monkeypatch)
    age(store.objects, 70)
    done = cancelled(store.uri)
    assert not done.is_asked
    assert "is dead; nothing to cancel: the same command goes on" in done.said


def test_a_driver_of_an_older_version_cannot_be_asked(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "store"), create=True)
    lease = Lease(store.objects, "s")
    lease.run = ""
    lease.take()
    with pytest.raises(BadInput, match="of a version that cannot be asked; stop its process"):
        cancelled(store.uri)
