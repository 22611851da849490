"""Room for weights under a cap: the least recently used give way, what is in use stays."""

import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from types import SimpleNamespace

import huggingface_hub
import pytest

from tests.hosting.faults import CONTENT, DIGEST, HALF, OTHER, WAYS, killed, paused, spoilt
from tests.hosting.serving import REVISION, Fault
from zoo_eval.errors import Refusal
from zoo_eval.weights import cache, hub, urls

N_BYTES = len(CONTENT)
NAME = "model.safetensors"


@pytest.fixture
def unhurried(monkeypatch):
    """Whoever was given a file has opened it at once; nobody waits for room."""
    monkeypatch.setattr(cache, "OPENED_WITHIN_S", 0.0)
    monkeypatch.setattr(cache, "ROOM_WAIT_S", 0.0)


@pytest.fixture
def files(local_hub):
    """Ways to get three files of one size, by name; the last is a plain address."""
    contents = {name: bytes([ord(name)]) * N_BYTES for name in "abc"}
    for name, content in contents.items():
        local_hub.put(f"owner/{name}", NAME, content)
    url = f"{local_hub.address}/owner/c/resolve/main/{NAME}"
    return {
        "a": lambda: hub.download(hub.locate("owner/a")),
        "b": lambda: hub.download(hub.locate("owner/b")),
        "c": lambda: urls.download(url, sha256(contents["c"]).hexdigest()),
    }


def cap(monkeypatch, n_files):
    monkeypatch.setenv("ZOO_EVAL_CACHE_BYTES", str(int(n_files * N_BYTES)))


def kept(tmp_path):
    """The names of the files whose bytes are on this disk."""
    found = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    whole = [path.read_bytes() for path in found if path.stat().st_size == N_BYTES]
    return {chr(content[0]) for content in whole}


def test_without_a_cap_nothing_gives_way(files, unhurried, tmp_path):
    for bring in files.values():
        bring()
    assert kept(tmp_path) == {"a", "b", "c"}


@pytest.mark.parametrize("order", ["abc", "cab", "bca", "acb"])
def test_the_least_recently_used_gives_way(files, unhurried, tmp_path, monkeypatch, order):
    cap(monkeypatch, 2.5)
    for name in order:
        assert files[name]().stat().st_size == N_BYTES
    assert kept(tmp_path) == set(order[1:])


@pytest.mark.parametrize("order", ["abac", "cacb", "bcba"])
def test_to_use_a_file_again_keeps_it(files, unhurried, tmp_path, monkeypatch, order):
    cap(monkeypatch, 2.5)
    for name in order:
        files[name]()
    assert kept(tmp_path) == {order[0], order[3]}


def test_as_many_give_way_as_must(files, unhurried, tmp_path, monkeypatch, local_hub):
    for bring in files.values():
        bring()
    cap(monkeypatch, 2)
    local_hub.put("owner/d", NAME, b"d" * N_BYTES)
    hub.download(hub.locate("owner/d"))
    assert kept(tmp_path) == {"c", "d"}


def test_what_gave_way_comes_back(files, unhurried, tmp_path, monkeypatch):
    cap(monkeypatch, 1)
    for _ in range(2):
        for name, bring in files.items():
            assert bring().read_bytes() == name.encode() * N_BYTES
            assert kept(tmp_path) == {name}


def elsewhere(bring):
    """A download by a thread that ends, and so gives up what it holds."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(bring).result()


@pytest.mark.parametrize("names", ["ac", "ca", "ab"])
def test_a_file_that_was_just_given_is_kept(files, tmp_path, monkeypatch, names):
    monkeypatch.setattr(cache, "ROOM_WAIT_S", 0.0)
    cap(monkeypatch, 1.5)
    first, second = (files[name] for name in names)
    first()
    with pytest.raises(
        Refusal, match=r"do not fit beside the files in use under ZOO_EVAL_CACHE_BYTES = .*raise it"
    ):
        elsewhere(second)
    assert kept(tmp_path) == {names[0]}


def test_a_file_is_given_up_with_the_thread_that_held_it(files, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "ROOM_WAIT_S", 0.0)
    cap(monkeypatch, 1)
    for name in "acb":
        elsewhere(files[name])
        assert kept(tmp_path) == {name}


def test_a_thread_that_asks_for_the_next_file_gives_up_the_last(files, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "ROOM_WAIT_S", 0.0)
    cap(monkeypatch, 1)
    for name in "acb":
        files[name]()
        assert kept(tmp_path) == {name}


def test_room_is_waited_for(files, tmp_path, monkeypatch):
    cap(monkeypatch, 1)
    given, waiting = threading.Event(), threading.Event()
    monkeypatch.setattr(cache, "sleep", lambda _: waiting.set() or time.sleep(0.01))

    def use():
        files["a"]()
        given.set()
        assert waiting.wait(60)

    user = threading.Thread(target=use)
    user.start()
    assert given.wait(60)
    files["c"]()
    user.join()
    assert kept(tmp_path) == {"c"}


@pytest.mark.parametrize("scene", WAYS, indirect=True)
def test_a_larger_file_than_the_cap_is_refused_unasked(scene, tmp_path, monkeypatch):
    cap(monkeypatch, 0.5)
    with pytest.raises(
        Refusal,
        match=r"has 600.0 KiB, more than ZOO_EVAL_CACHE_BYTES = 300.0 KiB; raise it",
    ):
        scene.bring()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 99]
    cap(monkeypatch, 1)
    assert scene.bring().read_bytes() == CONTENT


@pytest.mark.parametrize("text", ["much", "4 GB", "-1", "²", "1e9"])
@pytest.mark.parametrize("scene", WAYS, indirect=True)
def test_a_cap_that_is_no_size_is_refused(scene, monkeypatch, text):
    monkeypatch.setenv("ZOO_EVAL_CACHE_BYTES", text)
    with pytest.raises(Refusal, match=r"ZOO_EVAL_CACHE_BYTES: .* is no size; expected e\.g\."):
        scene.bring()


@pytest.mark.parametrize("text", ["600KiB", "614400", "0.5 GiB"])
@pytest.mark.parametrize("scene", WAYS, indirect=True)
def test_a_cap_may_have_a_unit(scene, monkeypatch, text):
    monkeypatch.setenv("ZOO_EVAL_CACHE_BYTES", text)
    assert scene.bring().read_bytes() == CONTENT


def test_what_others_keep_in_the_hubs_cache_neither_counts_nor_goes(
    files, unhurried, tmp_path, monkeypatch, local_hub
):
    huggingface_hub.hf_hub_download("owner/a", NAME)
    cap(monkeypatch, 1)
    files["b"]()
    files["c"]()
    assert kept(tmp_path) == {"a", "c"}


def test_bytes_that_two_revisions_share_go_with_the_last(
    files, unhurried, tmp_path, monkeypatch, local_hub
):
    path = files["a"]()
    # A later revision with the same weights, which somebody else has asked for.
    later = path.parent.with_name("f" * 40)
    later.mkdir()
    (later / NAME).symlink_to(path.readlink())
    cap(monkeypatch, 1)
    files["c"]()
    assert not path.exists()
    assert (later / NAME).read_bytes() == b"a" * N_BYTES


@pytest.mark.parametrize("scene", WAYS, indirect=True)
@pytest.mark.parametrize("says_length", [True, False])
def test_a_download_under_way_is_not_removed(
    scene, files, tmp_path, monkeypatch, unhurried, says_length
):
    cap(monkeypatch, 1.2)
    full = pytest.raises(Refusal, match="do not fit beside the files in use")
    with paused(scene, says_length=says_length), full:
        files["c"]()
    n_asked = scene.local.n_asked("GET")
    assert scene.bring().read_bytes() == CONTENT
    assert scene.local.n_asked("GET") == n_asked


@pytest.mark.parametrize("scene", WAYS, indirect=True)
def test_what_a_killed_download_has_reserved_is_free_again(
    scene, files, tmp_path, monkeypatch, unhurried
):
    cap(monkeypatch, 1)
    killed(scene)
    assert files["b"]().stat().st_size == N_BYTES
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("scene", ["address"], indirect=True)
@pytest.mark.parametrize("n_files", [0.5, 1.5])
def test_a_file_whose_length_is_not_told_counts_as_well(
    scene, files, unhurried, tmp_path, monkeypatch, n_files
):
    files["b"]()
    cap(monkeypatch, n_files)
    scene.local.faults += [Fault(says_length=False)]
    if n_files < 1:
        with pytest.raises(Refusal, match="more than ZOO_EVAL_CACHE_BYTES"):
            scene.bring()
        assert kept(tmp_path) == {"b"}
        assert not list(tmp_path.rglob("*.part"))
    else:
        scene.bring()
        assert kept(tmp_path) == {chr(CONTENT[0])}


def processes(n, scene):
    # A forked process has the scene already; it could not be sent.
    fork = get_context("fork")
    return ProcessPoolExecutor(n, fork, initializer=setattr, initargs=(_forked, "scene", scene))


_forked = SimpleNamespace(scene=None)


def bring_in_a_fork():
    return _forked.scene.bring()


@pytest.mark.parametrize("scene", WAYS, indirect=True)
@pytest.mark.parametrize("apart", ["threads", "processes"])
@pytest.mark.parametrize("there", ["nothing", "spoilt"])
def test_whoever_asks_for_a_file_at_once_shares_one_download(scene, apart, there):
    if there == "spoilt":
        spoilt(lambda _: OTHER)(scene)
        scene.local.asked.clear()
    scene.local.faults += [Fault(sent_bytes=HALF, pauses=True)]
    bring = scene.bring if apart == "threads" else bring_in_a_fork
    with ThreadPoolExecutor(3) if apart == "threads" else processes(3, scene) as workers:
        results = [workers.submit(bring) for _ in range(3)]
        deadline = time.monotonic() + 60
        while not scene.local.n_asked("GET") and time.monotonic() < deadline:
            time.sleep(0.005)
        # Those who come too late to wait find the file there: the outcome is the same.
        time.sleep(0.2)
        scene.local.released.set()
        paths = {result.result() for result in results}
    (path,) = paths
    assert path.read_bytes() == CONTENT
    assert scene.local.n_asked("GET") == 1


@pytest.mark.parametrize("scene", WAYS, indirect=True)
def test_the_second_waits_and_tries_itself_where_the_first_is_killed(scene):
    with paused(scene) as first, ThreadPoolExecutor(1) as thread:
        second = thread.submit(scene.bring)
        time.sleep(0.1)
        first.kill()
        assert second.result().read_bytes() == CONTENT


@pytest.mark.parametrize("scene", WAYS, indirect=True)
def test_nobody_is_given_the_wrong_bytes_that_another_has_received(scene):
    scene.local.faults += [Fault(body=OTHER, sent_bytes=HALF, pauses=True)]
    with ThreadPoolExecutor(2) as threads:
        results = [threads.submit(scene.bring) for _ in range(2)]
        time.sleep(0.2)
        scene.local.released.set()
        endings = [result.exception() for result in results]
    (refused,) = [ending for ending in endings if ending is not None]
    assert isinstance(refused, Refusal)
    assert "has SHA-256" in str(refused)
    (given,) = [result.result() for result in results if result.exception() is None]
    assert given.read_bytes() == CONTENT


@pytest.mark.parametrize("scene", WAYS, indirect=True)
def test_offline_a_kept_file_is_given_and_nobody_asked(scene, monkeypatch):
    scene.bring()
    hub.locate.cache_clear()
    scene.located, scene.local.asked = None, []
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert scene.bring().read_bytes() == CONTENT
    assert scene.local.asked == []


@pytest.mark.parametrize("scene", WAYS, indirect=True)
def test_offline_an_absent_file_is_refused_and_nobody_asked(scene, monkeypatch):
    scene.local.asked = []
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Refusal, match=r"not on this machine, which is offline .*unset it") as told:
        scene.bring()
    assert "\n" not in str(told.value)
    assert scene.local.asked == []


@pytest.mark.parametrize("scene", WAYS, indirect=True)
def test_offline_a_spoilt_file_is_not_given(scene, monkeypatch):
    path = scene.bring().resolve()
    path.chmod(0o600)
    path.write_bytes(OTHER)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Refusal, match=r"not on this machine"):
        scene.bring()


def test_what_killed_processes_left_in_the_hubs_cache_is_removed_later(scene):
    blobs = scene.caches[0] / "models--owner--name" / "blobs"
    blobs.mkdir(parents=True)
    ages_s = {"long ago": hub.ABANDONED_S + 60, "just now": 60}
    for age, age_s in ages_s.items():
        left = blobs / f"{DIGEST}.{age}.incomplete"
        left.write_bytes(OTHER[:100])
        os.utime(left, (time.time() - age_s,) * 2)
    found = hub.download(hub.locate("owner/name"))
    assert found.read_bytes() == CONTENT
    assert {path.name for path in blobs.iterdir()} == {DIGEST, f"{DIGEST}.just now.incomplete"}
    assert found.parent.name == REVISION
