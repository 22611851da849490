"""A store has one driver at a time; one that died is succeeded, and what it still commits does not count."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from threading import Event

import pytest

from tests.storage.planted import commit, top1s
from zoo_eval.errors import BadInput, StoreError
from zoo_eval.storage import leases, processes
from zoo_eval.storage.leases import Lease
from zoo_eval.storage.local_folder import LocalFolder
from zoo_eval.store import Store


@pytest.fixture
def objects(tmp_path):
    return LocalFolder(tmp_path / "store")


def elsewhere(monkeypatch):
    """From now on this is another machine."""
    for module in (leases, processes):
        monkeypatch.setattr(module, "machine", lambda: "elsewhere")


def age(objects, seconds):
    """Has the newest lease made so long ago."""
    path = sorted((objects.root / "leases").iterdir())[-1]
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_a_second_driver_is_refused_and_told_who_has_it(objects):
    Lease(objects, "s").take()
    with pytest.raises(BadInput, match=rf"another sweep on {socket.gethostname()} \(process \d+\)"):
        Lease(objects, "s").take()


def test_one_that_is_released_is_taken_at_once(objects):
    first = Lease(objects, "s")
    first.take()
    first.release(7)
    assert leases.reached(objects) == 7
    Lease(objects, "s").take()
    assert leases.reached(objects) == 7


def test_one_of_another_machine_is_taken_when_it_has_expired_and_not_before(objects, monkeypatch):
    first = Lease(objects, "s", duration_s=60)
    first.take()
    elsewhere(monkeypatch)
    age(objects, 50)
    with pytest.raises(BadInput, match=r"wait for it, \d+ s if it is dead"):
        Lease(objects, "s").take()
    age(objects, 11)
    Lease(objects, "s").take()
    first.renew()
    assert first.lost


def test_a_renewed_one_lasts(objects, monkeypatch):
    first = Lease(objects, "s", duration_s=60)
    first.take()
    age(objects, 50)
    first.renew()
    elsewhere(monkeypatch)
    age(objects, 20)
    with pytest.raises(BadInput, match="another sweep"):
        Lease(objects, "s").take()
    # Those it has replaced are removed: a long sweep leaves a few records.
    for _ in range(5):
        first.renew()
    assert len(list((objects.root / "leases").iterdir())) <= 3


def test_one_of_a_process_of_this_machine_that_is_gone_is_taken_at_once(objects):
    code = (
        "import os, sys; from pathlib import Path; from zoo_eval.storage.leases import Lease\n"
        "from zoo_eval.storage.local_folder import LocalFolder\n"
        "Lease(LocalFolder(Path(sys.argv[1])), 's').take(); os._exit(1)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(objects.root)], check=False)
    assert done.returncode == 1
    assert leases.newest(objects)[1]["released"] is False
    Lease(objects, "s").take()


def test_of_two_that_take_an_expired_one_one_has_it(objects, monkeypatch):
    first = Lease(objects, "s", duration_s=60)
    first.take()
    elsewhere(monkeypatch)
    age(objects, 100)
    other = Lease(objects, "s")
    newest = leases.newest

    def slow(objects):
        found = newest(objects)
        monkeypatch.setattr(leases, "newest", newest)
        other.take()
        return found

    monkeypatch.setattr(leases, "newest", slow)
    with pytest.raises(BadInput, match="begun just now"):
        Lease(objects, "s").take()


def test_a_damaged_one_is_waited_for(objects):
    Lease(objects, "s").take()
    (path,) = (objects.root / "leases").iterdir()
    path.write_bytes(b"{}")
    with pytest.raises(BadInput, match="another sweep; wait for it"):
        Lease(objects, "s").take()
    age(objects, leases.DURATION_S + 1)
    Lease(objects, "s").take()


def test_what_a_driver_commits_after_its_successor_does_not_count(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    late = Store(store.uri)
    with store.claim():
        commit(store, "a", top1=0.5)
    commit(late, "a", "b", top1=0.25)
    assert top1s(store) == {"a": 0.5, "b": 0.25}


def test_the_last_record_of_the_ledger_is_missed_when_a_driver_has_left(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    with store.claim():
        commit(store, "a")
        commit(store, "b")
    Path(store.root, "ledger", "00000002.json").unlink()
    with pytest.raises(StoreError, match=r"ledger/00000002.json is gone.*--repair"):
        Store(store.uri).ledger()
    Store(store.uri).repair()
    assert top1s(store) == {"a": 0.5}
    with store.claim():
        commit(store, "b")
    assert top1s(store) == {"a": 0.5, "b": 0.5}


def test_a_store_that_cannot_be_written_is_read_and_refuses_a_sweep_in_one_line(
    tmp_path, monkeypatch
):
    store = Store(str(tmp_path / "store"), create=True)
    with store.claim():
        commit(store, "a")

    def read_only(self, *told):
        raise OSError(30, "Read-only file system")

    for name in ("create", "replace", "delete", "locked"):
        monkeypatch.setattr(LocalFolder, name, read_only)
    assert top1s(store) == {"a": 0.5}
    assert store.damage() is None
    for refused in (store.claim, lambda: commit(store, "b")):
        with pytest.raises(StoreError, match=r"cannot be written: .*Read-only") as said, refused():
            pass
        assert "\n" not in str(said.value)


def test_a_driver_that_lost_its_lease_ends_at_its_next_step_in_one_line(tmp_path, monkeypatch):
    store, other = Store(str(tmp_path / "store"), create=True), Store(str(tmp_path / "store"))
    monkeypatch.setattr(LocalFolder, "locked", lambda self: nullcontext(False))
    with store.claim():
        commit(store, "a")
        store.check_held()
        elsewhere(monkeypatch)
        age(store.objects, leases.DURATION_S + 1)
        with other.claim():
            other.check_held()
            store._lease.renew()
            with pytest.raises(StoreError, match="taken over by another sweep") as said:
                store.check_held()
            assert "\n" not in str(said.value)
    # Neither does it release what is another's.
    assert top1s(store) == {"a": 0.5}


def test_a_disk_without_locks_has_the_lease_alone(tmp_path, monkeypatch):
    def lockless(*told):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", lockless)
    store = Store(str(tmp_path / "store"), create=True)
    with store.claim(), pytest.raises(BadInput, match="another sweep"), Store(store.uri).claim():
        pass


def test_a_process_whose_claim_could_not_be_released_claims_again(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "store"), create=True)
    create = LocalFolder.create

    def full(self, path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    with store.claim():
        monkeypatch.setattr(LocalFolder, "create", full)
    monkeypatch.setattr(LocalFolder, "create", create)
    with store.claim():
        commit(store, "a")
    assert top1s(store) == {"a": 0.5}


def test_a_second_sweep_on_a_folder_is_told_who_has_it(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    where = rf"another sweep on {socket.gethostname()} \(process {os.getpid()}\)"
    with store.claim(), pytest.raises(BadInput, match=where), Store(store.uri).claim():
        pass


def test_whoever_leaves_a_store_that_does_not_answer_does_not_wait_for_it(objects, monkeypatch):
    """Neither for a renewal that is on its way nor for its own leave."""
    monkeypatch.setattr(leases, "LEAVE_S", 0.05)
    monkeypatch.setattr(leases, "RENEWALS", 1e9)
    is_asked, answers, create = Event(), Event(), LocalFolder.create

    def silent(folder, path, content):
        is_asked.set()
        answers.wait()
        return create(folder, path, content)

    # Left behind, it is another driver's when it has expired.
    with leases.held(objects, "s", lambda: 0):
        monkeypatch.setattr(LocalFolder, "create", silent)
        is_asked.wait()
    assert leases.newest(objects)[1]["released"] is False
    answers.set()


def test_a_renewal_is_not_patient_for_it_comes_again(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    with store.claim() as lease:
        assert store.objects.patience_s > 0
        assert lease.records.objects.patience_s == 0
