"""A hub on this machine: as much of the Hugging Face protocol as a download needs."""

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import pytest

from zoo_eval.models import blueprint

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server has, how it misbehaves, and what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    served_instead: bytes | None = None
    says_digest: bool = True
    asked: list[str] = field(default_factory=list)

    def put(self, repo: str, name: str, content: bytes) -> None:
        for revision in ("main", REVISION):
            self.files[f"/{repo}/resolve/{revision}/{name}"] = content


def _handler(local: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _head(self) -> bytes | None:
            local.asked.append(f"{self.command} {self.path}")
            content = local.files.get(self.path)
            if content is None:
                known = any(p.startswith(self.path.split("/resolve/")[0]) for p in local.files)
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            self.send_response(200)
            if local.says_digest:
                self.send_header("X-Repo-Commit", REVISION)
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            sent = content if self.command == "HEAD" else local.served_instead or content
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            return sent

        def do_HEAD(self) -> None:
            self._head()

        def do_GET(self) -> None:
            content = self._head()
            if content is not None:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of hub files, and nothing remembered of earlier ones."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    blueprint.cache_clear()
    yield tmp_path / "cache"
    blueprint.cache_clear()


@pytest.fixture
def local_hub(cache, monkeypatch):
    """A running hub, which `huggingface_hub` takes for the real one; `stop` switches it off."""
    local = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(local))
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    huggingface_hub.close_session()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def stop():
        server.shutdown()
        server.server_close()
        thread.join()

    local.stop = stop
    yield local
    if thread.is_alive():
        stop()
    huggingface_hub.close_session()
