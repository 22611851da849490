"""Guard: who may ask a served store, and what every answer tells the browser."""

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zoo_eval.errors import BadInput

VARIABLE = "ZOO_EVAL_SERVE_TOKEN"
LEAST_CHARACTERS = 16
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
HOST = re.compile(r"(\[[0-9a-f:]+\]|[a-z0-9._-]+)(?::\d{1,5})?")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With none at all, browsers say of a form of our own that it comes from nowhere.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# Of pages that say nothing stricter themselves.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def token(host: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """What a visitor must know: what the environment says, or a new one; on loopback none is needed.

    Raises:
        BadInput: the environment's could be guessed.
    """
    given = environment.get(VARIABLE)
    if given is None:
        return None if is_loopback(host) else secrets.token_urlsafe(32)
    if len(given) < LEAST_CHARACTERS or not given.isascii() or not given.isprintable():
        raise BadInput(
            f"{VARIABLE} is too easy to guess; give {LEAST_CHARACTERS} or more ASCII characters, or "
            "unset it: one is made then"
        )
    return given


@dataclass(frozen=True)
class Door:
    """Whom to let in.

    Attributes:
        token: what visitors must know; None: nothing.
        names: the only names that the server may be called by; None: any. A page of somebody else's
            whose name is made to lead here calls it by that name (DNS rebinding).
    """

    token: str | None
    names: frozenset[str] | None

    @classmethod
    def of(cls, host: str, known: str | None) -> "Door":
        """That of a server at an address."""
        if not is_loopback(host):
            return cls(known, None)
        own = f"[{host}]" if ":" in host else host
        return cls(known, LOOPBACK_NAMES | {own.lower()})

    def answer(self, request: Request) -> Response | None:
        """What to say instead of the page that is asked for; None: it may be shown."""
        hosts = request.headers.getlist("host")
        called = HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
        if called is None or (self.names is not None and called[1] not in self.names):
            return _refused(421, "this server is not called so; open the address that it printed")
        if request.method == "POST" and not _is_own(request, hosts[0]):
            return _refused(403, "another site's page asks this; open the address itself")
        return self._stranger(request)

    def _stranger(self, request: Request) -> Response | None:
        if self.token is None or self._is_known(request):
            return None
        given = request.query_params.get("token")
        if given is None:
            return _refused(401, "a token is needed; open the address that the server printed")
        if not _same(given, self.token):
            return _refused(403, "this is not the token; open the address that the server printed")
        # The token leaves the address, where histories and screens would keep it.
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._cookie(request), self._proof, httponly=True, samesite="lax")
        return answer

    def _is_known(self, request: Request) -> bool:
        held = request.cookies.get(self._cookie(request), "")
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        is_bearer = kind.lower() == "bearer" and _same(given, self.token or "")
        return _same(held, self._proof) or is_bearer

    @property
    def _proof(self) -> str:
        """What the cookie holds: it opens this door, and does not tell the token."""
        return hashlib.sha256(f"zoo_eval serve {self.token}".encode()).hexdigest()

    def _cookie(self, request: Request) -> str:
        # A host's cookies are those of all its ports.
        return f"zoo_eval_{request.url.port or 80}"


def _is_own(request: Request, host: str) -> bool:
    """Whether a request comes from a page of this server, or from no page at all."""
    origins = request.headers.getlist("origin")
    if not origins:
        return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    return len(origins) == 1 and origins[0].lower().partition("://")[2] == host.lower()


def _same(given: str, known: str) -> bool:
    """Whether two texts are the same, found in a time that does not tell how far they are."""
    return hmac.compare_digest(given.encode(), known.encode())


def _refused(status: int, why: str) -> Response:
    return PlainTextResponse(f"zoo-eval serve: {why}\n", status)


class Guard:
    """An application behind a door; its answers carry what keeps a browser strict."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in {**HEADERS, "Content-Security-Policy": POLICY}.items():
                    headers.setdefault(name, value)
            await send(message)

        instead = self._door.answer(Request(scope))
        await (instead or self._app)(scope, receive, strict)
