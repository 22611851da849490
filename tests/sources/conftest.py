"""A hub on this machine: as much of the Hugging Face protocol as a download needs, and its faults."""

import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import huggingface_hub
import pytest

from zoo_eval.models import blueprint
from zoo_eval.sources import hub, transfers

REVISION = "0123456789abcdef0123456789abcdef01234567"
GET = ("GET",)
BOTH = ("HEAD", "GET")


@dataclass(frozen=True)
class Fault:
    """What an answer has instead of what it should have."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    methods: tuple[str, ...] = GET
    body: bytes | None = None
    silent: bool = False
    sent_bytes: int | None = None
    stalls: bool = False


@dataclass
class Hub:
    """What the server has, how it misbehaves, and what it was asked for."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    served_instead: bytes | None = None
    says_digest: bool = True
    continues: bool = True
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    released: threading.Event = field(default_factory=threading.Event)

    def put(self, repo: str, name: str, content: bytes) -> None:
        for revision in ("main", REVISION):
            self.files[f"/{repo}/resolve/{revision}/{name}"] = content

    def fault(self, method: str) -> Fault:
        for fault in self.faults:
            if method in fault.methods:
                self.faults.remove(fault)
                return fault
        if self.always and method in self.always.methods:
            return self.always
        return Fault()

    def behave(self) -> None:
        """From now on: no more faults; who was stalled is let go."""
        self.faults, self.always = [], None
        self.released.set()


def _handler(local: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            local.asked.append(f"{self.command} {self.path}")
            local.tokens.append(self.headers.get("Authorization"))
            fault = local.fault(self.command)
            content = local.files.get(self.path)
            if fault.silent:
                self.close_connection = True
            elif fault.status != 200:
                self._send(fault.status, dict(fault.headers), b"")
            elif content is None:
                known = any(p.startswith(self.path.split("/resolve/")[0]) for p in local.files)
                code = "EntryNotFound" if known else "RepoNotFound"
                self._send(404, {"X-Error-Code": code}, b"")
            else:
                self._send_file(content, fault)

        def _send_file(self, content: bytes, fault: Fault) -> None:
            headers = {}
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            if local.says_digest:
                headers = {"X-Repo-Commit": REVISION, "ETag": etag}
            instead = fault.body or local.served_instead
            if self.command == "GET" and instead is not None:
                content = instead
            status = 200
            span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            same = self.headers.get("If-Range", etag) == etag
            if span and local.continues and same:
                local.ranges.append(self.headers["Range"])
                start, total = int(span.group(1)), len(content)
                status = 206 if start < total else 416
                end = f"{start}-{total - 1}" if start < total else "*"
                headers["Content-Range"] = f"bytes {end}/{total}"
                content = content[start:]
            self._send(status, headers | dict(fault.headers), content, fault)

        def _send(
            self, status: int, headers: dict[str, str], content: bytes, fault: Fault = Fault()
        ) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(content))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content[: fault.sent_bytes])
                if fault.stalls:
                    local.released.wait(60)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Clients that go away in the middle are part of the tests."""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of hub files and addresses, and nothing remembered of earlier ones."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("ZOO_EVAL_CACHE", str(tmp_path / "own_cache"))
    monkeypatch.delenv("ZOO_EVAL_CACHE_BYTES", raising=False)
    forget_models = blueprint.cache_clear

    def forget():
        forget_models()
        hub.locate.cache_clear()

    # What a test calls to go on as in another process.
    monkeypatch.setattr(blueprint, "cache_clear", forget)
    forget()
    yield tmp_path / "cache"
    forget()


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited between tries, which take no time here; three tries."""
    waited = []
    library = SimpleNamespace(sleep=waited.append)
    monkeypatch.setattr(huggingface_hub.file_download, "time", library)
    monkeypatch.setattr(huggingface_hub.utils._http, "time", library)
    monkeypatch.setattr(transfers, "sleep", waited.append)
    monkeypatch.setattr(transfers, "TRIES", 3)
    return waited


@pytest.fixture
def local_hub(cache, monkeypatch, waits):
    """A running hub, which `huggingface_hub` takes for the real one; `stop` switches it off."""
    local = Hub()
    server = Server(("127.0.0.1", 0), _handler(local))
    local.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    huggingface_hub.close_session()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", local.address)
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        local.address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def stop():
        local.behave()
        server.shutdown()
        server.server_close()
        thread.join()

    local.stop = stop
    yield local
    if thread.is_alive():
        stop()
    huggingface_hub.close_session()
