"""Serving: a store's explorer on a port of this machine, until it is told to end."""

import errno
import socket
from contextlib import suppress
from threading import Thread
from urllib.parse import quote

import uvicorn

from zoo_eval.errors import BadInput
from zoo_eval.explorer import guard
from zoo_eval.explorer.app import application
from zoo_eval.explorer.desks import Bounds, Desks
from zoo_eval.explorer.lookout import Lookout
from zoo_eval.queries.limits import Limits

LOOPBACK = "127.0.0.1"
PORT = 8020
# Whoever is answered when the server ends is waited for so long.
ENDING_S = 2


class Serving:
    """A store that is being served, or about to be.

    Raises:
        BadInput: there is no store, it cannot be read, or the address cannot be had.
        StoreError: the store is damaged.
    """

    def __init__(
        self, uri: str, bounds: Bounds, *, host: str = LOOPBACK, port: int | None = None
    ) -> None:
        self._token = guard.token(host)
        self._socket = bound(host, port)
        try:
            self._watch = Lookout(uri, Limits())
        except BaseException:
            self._socket.close()
            raise
        self._desks = Desks(uri, bounds)
        self._host, self.port = host, self._socket.getsockname()[1]
        app = application(self._watch, self._desks, guard.Door.of(host, self._token))
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=ENDING_S,
            )
        )
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """The address to open; it holds the token, where one is needed."""
        any_host = self._host in ("0.0.0.0", "::")
        name = socket.gethostname() if any_host else self._host
        name = f"[{name}]" if ":" in name else name
        end = "" if self._token is None else f"?token={quote(self._token)}"
        return f"http://{name}:{self.port}/{end}"

    def run(self) -> None:
        """Serves until the process is told to end, or `stop` is called."""
        self._watch.start()
        self._desks.warm()
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._watch.stop()
            self._desks.close()
            self._socket.close()

    def start(self) -> "Serving":
        """Serves in a thread, so that the caller goes on."""
        self._thread = Thread(target=self.run, name="zoo_eval serve", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends serving."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()

    def __repr__(self) -> str:
        return f"Serving({self.url}; .stop() ends it)"


def bound(host: str, port: int | None) -> socket.socket:
    """A socket at an address; without a port at 8020, or at any that is free.

    Raises:
        BadInput: the address cannot be had.
    """
    if port is None:
        with suppress(BadInput):
            return bound(host, PORT)
        port = 0
    try:
        ((family, kind, protocol, _, address), *_) = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )
        made = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no name of a machine"
        raise BadInput(f"--host {host}: {why}; give this machine's name or address") from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(128)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise BadInput(
                f"port {port} is taken; choose another --port, or leave it out"
            ) from error
        raise BadInput(
            f"{host}, port {port} cannot be listened on ({error.strerror}); correct --host or --port"
        ) from error
    return made
