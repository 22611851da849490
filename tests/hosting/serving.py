"""A server that speaks as much of the hub's protocol as a download needs, and its faults."""

import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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
    says_digest: bool = True
    says_length: bool = True
    chunked: bool = False
    silent: bool = False
    mute: bool = False
    sent_bytes: int | None = None
    stalls: bool = False
    pauses: bool = False


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
    modified: str = ""
    tokens: list[str | None] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    released: threading.Event = field(default_factory=threading.Event)
    server: "Server | None" = None

    def put(self, repo: str, name: str, content: bytes) -> None:
        for revision in ("main", REVISION):
            self.files[f"/{repo}/resolve/{revision}/{name}"] = content

    def n_asked(self, method: str) -> int:
        return sum(line.startswith(method) for line in self.asked)

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
        self.faults, self.always, self.served_instead = [], None, None
        self.says_digest = self.continues = True
        self.released.set()

    def start(self) -> None:
        """Switched on; at the same address as before, if it was on before."""
        port = int(self.address.rpartition(":")[2] or 0)
        self.server = Server(("127.0.0.1", port), _handler(self))
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        serve = self.server.serve_forever
        threading.Thread(target=serve, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        """Switched off: connections are refused."""
        self.released.set()
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
        self.server = None


def _handler(local: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            local.asked.append(f"{self.command} {self.path}")
            local.tokens.append(self.headers.get("Authorization"))
            self.close_connection = True
            fault = local.fault(self.command)
            content = local.files.get(self.path)
            if fault.mute:
                local.released.wait(60)
            elif fault.silent:
                pass
            elif fault.status != 200:
                self._send(fault.status, dict(fault.headers), fault.body or b"", fault)
            elif content is None:
                known = any(p.startswith(self.path.split("/resolve/")[0]) for p in local.files)
                code = "EntryNotFound" if known else "RepoNotFound"
                self._send(404, {"X-Error-Code": code}, b"", fault)
            else:
                self._send_file(content, fault)

        def _send_file(self, content: bytes, fault: Fault) -> None:
            headers = {}
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            if local.says_digest and fault.says_digest:
                headers = {"X-Repo-Commit": REVISION, "ETag": etag}
            instead = fault.body or local.served_instead
            if instead is not None and (self.command == "GET" or not fault.says_digest):
                content = instead
            status = 200
            span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if local.modified:
                headers["Last-Modified"] = local.modified
            versions = (etag, local.modified, dict(fault.headers).get("ETag"))
            same = self.headers.get("If-Range", etag) in versions
            if span and local.continues and same and fault.says_digest:
                local.ranges.append(self.headers["Range"])
                start, total = int(span.group(1)), len(content)
                status = 206 if start < total else 416
                end = f"{start}-{total - 1}" if start < total else "*"
                headers["Content-Range"] = f"bytes {end}/{total}"
                content = content[start:]
            self._send(status, headers | dict(fault.headers), content, fault)

        def _send(self, status: int, headers: dict[str, str], content: bytes, fault: Fault) -> None:
            self.send_response(status)
            length = {"Content-Length": str(len(content))} if fault.says_length else {}
            if fault.chunked:
                length = {"Transfer-Encoding": "chunked"}
            for name, value in ({"Connection": "close"} | length | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "GET":
                return
            # A chunk is announced whole, so that a cut one is known to be cut.
            announced = f"{len(content):x}\r\n".encode() if fault.chunked else b""
            self.wfile.write(announced + content[: fault.sent_bytes])
            if fault.stalls or fault.pauses:
                local.released.wait(60)
            if fault.pauses:
                self.wfile.write(content[fault.sent_bytes :])

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Clients that go away in the middle are part of the tests."""
