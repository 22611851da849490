"""Whether a driver is at work is told from its lease and the store's clock; its words harm nothing."""

import os

import pytest

from tests.storage.planted import commit
from tests.storage.test_leases import age, elsewhere
from zoo_eval.storage import bulletin, leases
from zoo_eval.storage.driver import driver
from zoo_eval.storage.leases import Lease
from zoo_eval.storage.local_folder import LocalFolder
from zoo_eval.store import Store


@pytest.fixture
def objects(tmp_path):
    return LocalFolder(tmp_path / "store")


def test_a_store_that_nobody_came_to_has_no_driver(objects):
    assert driver(objects).state == "none"


def test_a_driver_is_at_work_from_when_it_came_until_it_leaves(objects):
    lease = Lease(objects, "s", duration_s=60)
    lease.take()
    came = driver(objects)
    assert (came.state, came.run, came.process) == ("working", lease.run, os.getpid())
    age(objects, 30)
    was = driver(objects).since
    assert driver(objects).silent_s == pytest.approx(30, abs=5)
    lease.since = was
    lease.renew()
    renewed = driver(objects)
    assert renewed.since == was
    assert renewed.silent_s == pytest.approx(0, abs=5)
    lease.release(0)
    assert (driver(objects).state, driver(objects).run) == ("none", lease.run)


def test_when_it_came_is_said_by_every_renewal(objects):
    lease = Lease(objects, "s")
    lease.take()
    (first,) = (objects.root / "leases").iterdir()
    then = first.stat().st_mtime
    for _ in range(3):
        lease.renew()
        assert driver(objects).since == pytest.approx(then, abs=0.001)


def test_one_of_another_machine_is_dead_when_its_lease_has_expired_and_not_before(
    objects, monkeypatch
):
    Lease(objects, "s", duration_s=60).take()
    elsewhere(monkeypatch)
    age(objects, 50)
    assert driver(objects).state == "working"
    age(objects, 20)
    dead = driver(objects)
    assert dead.state == "dead"
    assert dead.silent_s == pytest.approx(70, abs=5)


def test_the_clock_is_the_stores_and_nobody_elses(objects, monkeypatch):
    Lease(objects, "s", duration_s=60).take()
    elsewhere(monkeypatch)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert driver(objects).state == "working"
    # The disk's clock is an hour ahead of what it was.
    now = objects.now() + 3600
    monkeypatch.setattr(LocalFolder, "now", lambda self: now)
    assert driver(objects).state == "dead"


def test_who_may_not_write_cannot_ask_the_clock_and_says_so(objects, monkeypatch):
    Lease(objects, "s").take()
    elsewhere(monkeypatch)

    def refused(self):
        raise PermissionError("read only")

    monkeypatch.setattr(LocalFolder, "now", refused)
    found = driver(objects)
    assert (found.state, found.silent_s) == ("unknown", None)
    assert found.seen > 0


def test_its_own_words_are_a_sign_of_life_and_those_of_others_are_not(objects):
    lease = Lease(objects, "s", duration_s=60)
    lease.take()
    age(objects, 30)
    for run, silent in ((lease.run, 0), ("another", 30)):
        bulletin.publish(objects, run, {})
        assert driver(objects, bulletin.last(objects)).silent_s == pytest.approx(silent, abs=5)


@pytest.mark.parametrize("held", [b"", b"{}", b"[]", b'{"run": "x"}', b"\xff" * 100])
def test_words_and_wishes_that_are_damaged_are_as_if_never_written(objects, held):
    lease = Lease(objects, "s")
    lease.take()
    bulletin.publish(objects, lease.run, {"wanted": 3})
    bulletin.ask_to_end(objects, lease.run)
    assert bulletin.is_asked_to_end(objects, lease.run)
    for path in (bulletin.BULLETIN, bulletin.CANCEL):
        (objects.root / path).write_bytes(held)
    assert bulletin.last(objects) is None
    assert not bulletin.is_asked_to_end(objects, lease.run)
    bulletin.forget(objects)
    bulletin.forget(objects)
    assert bulletin.last(objects) is None


def test_they_are_no_strays_and_no_damage(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    commit(store, "a")
    bulletin.publish(store.objects, "run", {})
    bulletin.ask_to_end(store.objects, "run")
    assert (store.strays(), store.damage()) == ([], None)
    (tmp_path / "store" / "run" / "notes.txt").write_text("mine")
    assert store.strays() == ["run/notes.txt"]


def test_a_lease_of_a_version_without_runs_is_read(objects):
    lease = Lease(objects, "s")
    lease.take()
    said = lease.records.read(1)
    del said["run"], said["since"]
    assert leases.Records(objects, leases.FOLDER).create(2, {**said, "number": 2})
    assert (driver(objects).state, driver(objects).run) == ("working", "")
