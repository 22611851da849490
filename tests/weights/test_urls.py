"""Files at plain addresses: resumed only where that is safe, kept apart, and told no secrets."""

import errno
import re
from contextlib import suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from huggingface_hub import constants

from tests.hosting.faults import CONTENT, DIGEST, HALF, NAME, OTHER, filling_disk, killed
from tests.hosting.serving import Fault
from zoo_eval.errors import Refusal
from zoo_eval.weights import urls

N_BYTES = len(CONTENT)
MODIFIED = "Wed, 21 Oct 2015 07:28:00 GMT"
CUT = Fault(sent_bytes=HALF)


def starts(scene):
    """The first bytes of the ranges that were asked for and granted."""
    return [int(re.fullmatch(r"bytes=(\d+)-", text).group(1)) for text in scene.local.ranges]


def test_a_file_is_downloaded_once_and_kept_under_its_name(scene):
    path = scene.bring()
    assert (path.name, path.read_bytes()) == (NAME, CONTENT)
    assert scene.bring() == path
    assert scene.local.n_asked("GET") == 1


def test_after_a_cut_only_the_rest_is_asked_for(scene):
    scene.local.faults += [CUT, Fault(sent_bytes=1000)]
    assert scene.bring().read_bytes() == CONTENT
    assert starts(scene) == [HALF, HALF + 1000]


def test_after_a_kill_only_the_rest_is_asked_for(scene):
    killed(scene)
    assert scene.bring().read_bytes() == CONTENT
    (start,) = starts(scene)
    assert 0 < start <= HALF


def test_after_a_refusal_only_the_rest_is_asked_for(scene):
    scene.local.faults += [CUT]
    scene.local.always = Fault(status=503)
    with pytest.raises(Refusal, match=r"cannot be reached \(status 503\)"):
        scene.bring()
    scene.local.behave()
    assert scene.bring().read_bytes() == CONTENT
    assert starts(scene) == [HALF]


def plant(scene, content, version):
    """What an earlier process has left."""
    scene.local.faults += [CUT]
    scene.local.always = Fault(status=404)
    with pytest.raises(Refusal):
        scene.bring()
    scene.local.behave()
    (part,) = scene.folder.rglob("*.part")
    part.write_bytes(content)
    part.with_name(f"{part.name}.version").write_text(version)


ETAG = f'"{DIGEST}"'


@pytest.mark.parametrize(
    ("content", "version", "expected"),
    [
        pytest.param(CONTENT[:100], ETAG, [100], id="a part"),
        pytest.param(CONTENT[:100], "", [], id="a part of nobody knows what"),
        pytest.param(CONTENT[:100], '"another"', [], id="a part of another version"),
        pytest.param(OTHER[:100], ETAG, [100], id="other bytes"),
        pytest.param(CONTENT, ETAG, [N_BYTES], id="all of it"),
        pytest.param(OTHER, ETAG, [N_BYTES], id="all of other bytes"),
        pytest.param(CONTENT + b"more", ETAG, [N_BYTES + 4], id="more than all"),
        pytest.param(b"", ETAG, [], id="nothing"),
    ],
)
def test_whatever_was_left_the_bytes_are_right(scene, content, version, expected):
    plant(scene, content, version)
    assert scene.bring().read_bytes() == CONTENT
    assert starts(scene) == expected
    assert {file.name for file in scene.bring().parent.iterdir()} == {NAME, ".lock"}


def test_a_file_that_is_whole_already_is_not_sent_again(scene):
    plant(scene, CONTENT, ETAG)
    n_asked = scene.local.n_asked("GET")
    scene.bring()
    assert scene.local.n_asked("GET") == n_asked + 1


@pytest.mark.parametrize(
    ("modified", "headers", "expected"),
    [
        pytest.param(MODIFIED, (), [HALF], id="by its time"),
        pytest.param("", (), [], id="by nothing"),
        # A weak tag does not promise the same bytes.
        pytest.param("", (("ETag", 'W/"weak"'),), [], id="by a weak tag"),
    ],
)
def test_a_file_is_resumed_only_by_a_version(scene, modified, headers, expected):
    scene.local.says_digest, scene.local.modified = False, modified
    scene.local.faults += [Fault(sent_bytes=HALF, headers=headers)]
    scene.local.always = Fault(headers=headers)
    assert scene.bring().read_bytes() == CONTENT
    assert starts(scene) == expected


def test_a_range_that_does_not_continue_is_not_glued(scene):
    scene.local.faults += [CUT, Fault(headers=(("Content-Range", f"bytes 0-9/{N_BYTES}"),))]
    assert scene.bring().read_bytes() == CONTENT
    # Half, what does not continue it, and the whole.
    assert scene.local.n_asked("GET") == 3


def test_halves_of_two_versions_are_not_kept(scene):
    scene.local.faults += [CUT, Fault(body=OTHER)]
    assert scene.bring().read_bytes() == CONTENT
    # Half, the other's other half, and the whole.
    assert scene.local.n_asked("GET") == 3


def test_a_full_disk_is_not_left_full(scene):
    filling_disk(errno.ENOSPC)(scene)
    with pytest.raises(Refusal, match="does not fit into"):
        scene.bring()
    assert not [path for path in scene.folder.rglob("*.part*") if path.stat().st_size]


@pytest.mark.parametrize("digest", [DIGEST[:8], DIGEST[:40].upper(), DIGEST.upper()])
def test_a_digest_may_be_short_or_in_capitals(scene, digest):
    assert urls.download(scene.url, digest).read_bytes() == CONTENT


@pytest.mark.parametrize("digest", ["", DIGEST[:7], DIGEST + "0", "g" * 64, f"{DIGEST[:20]}\n"])
def test_what_is_no_digest_is_refused_unasked(scene, digest):
    with pytest.raises(Refusal, match="is no SHA-256; expected 64 hexadecimal characters"):
        urls.download(scene.url, digest)
    assert scene.local.asked == []


@pytest.mark.parametrize(
    "url",
    ["", "weights.pt", "ftp://host/file", "file:///etc/hosts", "https://host", "https:///file"],
)
def test_what_is_no_address_is_refused(scene, url):
    with pytest.raises(Refusal, match="is no address; expected https://"):
        urls.download(url, DIGEST)


@pytest.mark.parametrize("rest", ["a b", "a\nb", "\x7f"])
def test_an_address_with_signs_that_none_has_is_refused_on_one_line(scene, rest):
    with pytest.raises(Refusal, match=r"is no address .*correct it") as refusal:
        urls.download(f"{scene.local.address}/{rest}", DIGEST)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("port", ["port", "99999999"])
def test_an_address_with_an_impossible_port_is_refused(scene, port):
    with pytest.raises(Refusal, match=r"no address|cannot be reached") as refusal:
        urls.download(f"http://127.0.0.1:{port}/file", DIGEST)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/weights.pth?download=1#top", "weights.pth"),
        ("/", "weights"),
        ("/..", "weights"),
        ("/a/%2e%2e%2fb", "%2e%2e%2fb"),
        ("/" + "long" * 100 + ".pth", ("long" * 100 + ".pth")[-200:]),
    ],
)
def test_a_kept_files_name_is_the_addresss_and_stays_in_its_folder(scene, path, expected):
    served = path.partition("#")[0]
    scene.local.files[served] = CONTENT
    kept = urls.download(f"{scene.local.address}{path}", DIGEST)
    assert kept.name == expected
    assert kept.parent.parent == scene.folder / "own_cache" / "urls"


def test_files_of_one_name_and_files_of_one_address_are_kept_apart(scene):
    scene.local.put("owner/other", NAME, OTHER)
    other = scene.url.replace("owner/name", "owner/other")
    digest = sha256(OTHER).hexdigest()
    paths = [scene.bring(), urls.download(other, digest)]
    scene.local.files[scene.url.removeprefix(scene.local.address)] = OTHER
    paths.append(urls.download(scene.url, digest))
    assert len(set(paths)) == 3
    assert [path.read_bytes() for path in paths] == [CONTENT, OTHER, OTHER]


def redirect(scene, address):
    scene.local.always = Fault(status=302, headers=(("Location", address),))


def test_a_token_goes_to_the_hub_and_to_nobody_else(scene, storage, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    storage.files["/bytes"] = CONTENT
    redirect(scene, f"{storage.address}/bytes")
    assert scene.bring().read_bytes() == CONTENT
    assert scene.local.tokens == ["Bearer hf_secret"]
    assert urls.download(f"{storage.address}/bytes", DIGEST).read_bytes() == CONTENT
    assert storage.tokens == [None, None]


def test_an_address_that_only_begins_like_the_hubs_gets_no_token(scene, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    # This server's port has one more digit than the hub's.
    monkeypatch.setattr(constants, "ENDPOINT", scene.local.address[:-1])
    assert scene.bring().read_bytes() == CONTENT
    assert scene.local.tokens == [None]


def test_a_redirect_in_a_circle_is_refused(scene):
    redirect(scene, scene.url)
    with pytest.raises(Refusal, match=r"cannot be had \(status 302\); correct the address"):
        scene.bring()


def test_a_redirect_to_a_page_is_refused(scene, storage):
    storage.files["/login"] = b"<html>log in</html>"
    redirect(scene, f"{storage.address}/login")
    with pytest.raises(Refusal, match="an HTML page came instead"):
        scene.bring()


def test_a_redirect_off_the_web_is_refused(scene):
    redirect(scene, "file:///etc/hosts")
    with pytest.raises(Refusal, match=r"\(status 302\)"):
        scene.bring()


def test_what_the_hub_limits_is_waited_for(scene, waits):
    scene.local.faults += [Fault(status=429, headers=(("RateLimit", '"resolvers";r=0;t=55'),))]
    assert scene.bring().read_bytes() == CONTENT
    (wait_s,) = waits
    assert 55 <= wait_s <= 1.25 * 55


@pytest.mark.parametrize("length", ["²", "-1", "many"])
def test_a_length_that_is_none_is_not_believed(scene, length):
    scene.local.faults += [Fault(says_length=False, headers=(("Content-Length", length),))]
    assert scene.bring().read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["http://example.org/w.pth", "http://10.0.0.1/w.pth"])
def test_what_is_not_https_is_refused_unasked(scene, url):
    with pytest.raises(Refusal, match="is not https, which downloads follow alone; write https://"):
        urls.download(url, DIGEST)


@pytest.mark.parametrize("target", ["http://example.org/w.pth", "ftp://example.org/w.pth"])
def test_a_redirect_to_what_is_not_https_is_refused(scene, target):
    scene.local.always = Fault(status=302, headers=(("Location", target),))
    with pytest.raises(Refusal, match=r"leads elsewhere: (http|ftp)://example.org is not https"):
        scene.bring()
    assert scene.local.n_asked("GET") == 1


def test_what_says_that_it_is_too_large_is_refused_before_it_comes(scene, monkeypatch):
    monkeypatch.setenv("ZOO_EVAL_DOWNLOAD_BYTES", str(N_BYTES - 1))
    with pytest.raises(
        Refusal, match=r"or more, and a download at most .*; set ZOO_EVAL_DOWNLOAD_BYTES"
    ):
        scene.bring()
    assert not [path for path in scene.folder.rglob("*.part") if path.stat().st_size]
    monkeypatch.setenv("ZOO_EVAL_DOWNLOAD_BYTES", str(N_BYTES))
    assert scene.bring().read_bytes() == CONTENT


@pytest.mark.parametrize("cap", ["much", "-1", "1GB"])
def test_a_cap_that_is_no_size_is_said(scene, monkeypatch, cap):
    monkeypatch.setenv("ZOO_EVAL_DOWNLOAD_BYTES", cap)
    with pytest.raises(Refusal, match=r"ZOO_EVAL_DOWNLOAD_BYTES: .* is no size"):
        scene.bring()


class Endless(BaseHTTPRequestHandler):
    """A server that never says how much it sends, and never ends."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(bytes(2**16))

    def log_message(self, *_):
        pass


def test_what_never_ends_is_cut_at_the_cap(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_EVAL_CACHE", str(tmp_path))
    monkeypatch.setenv("ZOO_EVAL_DOWNLOAD_BYTES", "3MiB")
    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/w.pth"
        with pytest.raises(Refusal, match=r"or more, and a download at most 3.0 MiB") as refusal:
            urls.download(url, DIGEST)
        server.shutdown()
    assert "\n" not in str(refusal.value)
    assert not [path for path in tmp_path.rglob("*.part*") if path.stat().st_size]
