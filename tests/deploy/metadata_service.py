"""A server that plays the metadata services of Amazon and Google, with a notice when a test says so."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

AWS_TOKEN = "planted-session"
ACTION = "/latest/meta-data/spot/instance-action"


@dataclass
class Service:
    """What it says: Amazon's notice (None: there is none), Google's two keys; and what it was asked."""

    address: str = ""
    action: str | None = None
    preempted: str = "FALSE"
    maintenance: str = "NONE"
    valid_token: str = AWS_TOKEN
    failures: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        self.asked.append(f"{method} {path}")
        if self.failures:
            return self.failures.pop(0), ""
        if path.startswith("/computeMetadata/v1/instance/"):
            if headers.get("metadata-flavor") != "Google":
                return 403, ""
            known = {"preempted": self.preempted, "maintenance-event": self.maintenance}
            return 200, known[path.rpartition("/")[2]]
        if path == "/latest/api/token":
            wanted = headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
            return (200, self.valid_token) if method == "PUT" and wanted.isdigit() else (400, "")
        if headers.get("x-aws-ec2-metadata-token") != self.valid_token:
            return 401, ""
        if path != ACTION or self.action is None:
            return 404, ""
        return 200, self.action


@contextmanager
def served() -> Iterator[Service]:
    """The service on a free port of this machine, for the block."""
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, text = service.answer(self.command, self.path, headers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_PUT = do_GET  # noqa: N815 - the name that the library looks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
