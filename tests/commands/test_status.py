"""What a store says of its sweep, while it runs and afterwards, whatever became of its driver."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.runners.test_progress import group, planned
from tests.storage.planted import commit, failed
from tests.storage.test_leases import age, elsewhere
from zoo_eval import cli
from zoo_eval.commands import status
from zoo_eval.runners.execution import Started
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.reporter import Reporter
from zoo_eval.storage import bulletin
from zoo_eval.storage.leases import Lease
from zoo_eval.store import Store


def lines(store: Store) -> list[str]:
    return status.as_lines(status.status(Store(store.uri)))


def running(reporter: Reporter) -> Progress:
    """A sweep of three trials on two models, of which one is done, one failed and one runs."""
    plan = planned(a=100, b=200)
    plan.wanted, plan.done = 5, 2
    said = reporter.hearing(lambda line: None)
    progress = Progress.of(plan, said)
    progress.n_trials = 3
    reporter.watch(plan, progress, lambda line: None)
    progress.expects(plan, {"a": 100.0, "b": 3600.0})
    progress.finished("a", group(1, 1, error="OSError: disk full"))
    progress.told(4, plan.work[1], Started(0))
    return progress


@contextmanager
def seen(reporter: Reporter) -> Iterator[None]:
    """What a reporter says of `running`, said at least once."""
    running(reporter)
    with reporter:
        reporter._say()
        yield


def test_a_sweep_is_seen_from_elsewhere_while_it_runs_and_afterwards(store):
    commit(store, "a")
    failed(store, "b")
    with store.claim() as lease, seen(Reporter(store.uri, lease, "ray")):
        first, wanted, how, slot, ledger, classes, word = lines(store)
    assert "a sweep is at work on " in first
    assert "last sign of life " in first
    assert wanted == "5 trials wanted: 3 done, 1 pending, 1 failed, 0 refused"
    assert how.startswith("1 slots at work, ")
    assert how.endswith(" left")
    assert slot == "  slot 4: b: planted (1/1)"
    assert ledger == "the ledger, of all sweeps: 1 failed, 1 ok"
    assert classes.startswith("not done, by class: ")
    assert word == "  | a: 1 not done: OSError: disk full"
    first, wanted, *_ = lines(store)
    assert first.endswith(": no sweep is at work; the last one: done")
    assert wanted == "5 trials wanted: 3 done, 1 pending, 1 failed, 0 refused"


def test_a_dead_driver_is_said_to_be_dead_with_what_it_last_said(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "store"), create=True)
    lease = Lease(store.objects, "s", duration_s=60)
    lease.take()
    reporter = Reporter(store.uri, lease, "local")
    running(reporter)
    reporter._say()
    elsewhere(monkeypatch)
    age(store.objects, 70)
    bulletins = store.objects.root / bulletin.BULLETIN
    age_of(bulletins, 40)
    first, wanted, ledger, _ = lines(store)
    assert "is dead: no sign of life for 4" in first
    assert first.endswith(" s; run the same command again to go on")
    assert wanted.startswith("5 trials wanted: 3 done")
    assert ledger == "the ledger, of all sweeps: no trial yet"


def age_of(path, seconds):
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_without_readable_words_the_ledger_alone_speaks(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    commit(store, "a", "b")
    with store.claim() as lease:
        for act in (
            lambda: None,
            lambda: bulletin.publish(store.objects, "another run", {"wanted": 7}),
            lambda: (store.objects.root / bulletin.BULLETIN).write_bytes(b"\x00"),
            lambda: bulletin.publish(store.objects, lease.run, {"wanted": [], "lines": 3}),
        ):
            act()
            first, second, *others, ledger = lines(store)
            assert "a sweep is at work" in first
            assert second in (
                "it has said nothing yet of how far it is", "its plan is in the making",
            )  # fmt: skip
            assert (others, ledger) == ([], "the ledger, of all sweeps: 2 ok")
    assert "no sweep is at work" in lines(store)[0]


def test_words_cannot_steer_the_terminal(tmp_path, capsys):
    store = Store(str(tmp_path / "store"), create=True)
    with store.claim() as lease:
        words = {"lines": ["\x1b[2Jgone"], "at_work": {"1\x07": "\x1b]0;x"}, "wanted": 1, "done": 0,
                 "pending": 1, "failed": 0, "refused": 0}  # fmt: skip
        bulletin.publish(store.objects, lease.run, words)
        assert cli.main(["status", "--store", store.uri]) == 0
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())


def test_as_json(tmp_path, capsys):
    store = Store(str(tmp_path / "store"), create=True)
    failed(store, "a")
    with store.claim() as lease, seen(Reporter(store.uri, lease, "local")):
        assert cli.main(["status", "--store", store.uri, "--format", "json"]) == 0
        found = json.loads(capsys.readouterr().out)
    assert found["driver"]["state"] == "working"
    assert found["driver"]["run"] == lease.run
    assert found["driver"]["since"].endswith(" UTC")
    assert (found["sweep"]["wanted"], found["sweep"]["failures"]) == (5, {})
    assert found["trials"] == {"failed": 1}
    assert sum(found["failures"].values()) == 1


def test_watching_ends_when_nobody_is_at_work(tmp_path, capsys):
    store = Store(str(tmp_path / "store"), create=True)
    lease = Lease(store.objects, "s")
    lease.take()
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 2:
            lease.release(0)

    status.show(store.uri, "table", watch=True, sleep=sleep)
    said = capsys.readouterr().out
    assert (said.count("is at work on"), said.count("no sweep is at work")) == (2, 1)
    assert len(naps) == 2


def test_a_driver_whose_store_was_taken_over_says_nothing_more(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    with store.claim() as lease:
        lease.lost = True
        with Reporter(store.uri, lease, "local"):
            pass
        assert bulletin.last(store.objects) is None
