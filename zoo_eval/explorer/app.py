"""The application: what each address of a served store answers."""

import time
from collections.abc import Awaitable, Callable
from importlib.resources import files
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from zoo_eval.errors import BadInput, ZooEvalError, as_line, one_line
from zoo_eval.explorer import pages
from zoo_eval.explorer.desks import Busy, Desks
from zoo_eval.explorer.guard import Door, Guard
from zoo_eval.explorer.lookout import Watched
from zoo_eval.files.names import printable, say
from zoo_eval.queries.questions import questions
from zoo_eval.units import size_text

# A query is a text that somebody wrote.
MOST_OF_A_QUESTION = 64 * 2**10
KINDS = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
ASSETS = {
    "explorer.css": "text/css; charset=utf-8",
    "explorer.js": "text/javascript; charset=utf-8",
}
# The report's page says itself what it may load.
REPORT_POLICY = "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
Endpoint = Callable[[Request], Awaitable[Response]]


class Pages:
    """What is answered, by address; nothing but this is served."""

    def __init__(self, watch: Watched, desks: Desks) -> None:
        self._watch = watch
        self._desks = desks
        self._questions = list(questions().values())

    def routes(self) -> list[Route]:
        """Every address there is."""
        return [
            Route("/", self._report),
            Route("/sql", self._box, methods=["GET"]),
            Route("/sql", self._result, methods=["POST"]),
            *(Route(f"/sql.{form}", self._download(form), methods=["POST"]) for form in KINDS),
            Route("/tables", self._tables),
            Route("/leaderboard.json", self._leaderboard),
            *(Route(f"/{name}", _asset(name, kind)) for name, kind in ASSETS.items()),
            Route("/favicon.ico", _nothing),
        ]

    async def _report(self, request: Request) -> Response:
        self._watch.want_report()
        seen = self._watch.seen
        trouble = seen.trouble or seen.report_trouble
        if (report := seen.report) is None:
            if trouble is not None:
                return _said(503, f"the report cannot be made: {trouble}")
            return HTMLResponse(pages.waiting())
        as_of = report.read_at if seen.is_report_old else seen.as_of
        above = pages.ways("/") + pages.age(_age_s(as_of), trouble, seen.is_report_old)
        page = pages.framed(report.html, above)
        headers = {"Content-Security-Policy": REPORT_POLICY, "Age": str(round(_age_s(as_of)))}
        return HTMLResponse(page, headers=headers)

    async def _leaderboard(self, request: Request) -> Response:
        seen = self._watch.seen
        headers = {"Age": str(round(_age_s(seen.as_of)))}
        if seen.trouble is not None:
            headers["Warning"] = '110 zoo_eval "the store cannot be read now"'
        return Response(seen.shown.leaderboard, 200, headers, KINDS["json"])

    async def _tables(self, request: Request) -> Response:
        inside = pages.sources(self._watch.seen.shown.sources)
        return HTMLResponse(pages.document("Tables and views", "/tables", inside))

    async def _box(self, request: Request) -> Response:
        sql = request.query_params.get("q", pages.EXAMPLE)
        of = request.query_params.get("of")
        if of in {one.name for one in self._watch.seen.shown.sources}:
            sql = f'SELECT * FROM "{of}" LIMIT 100'
        for one in self._questions:
            if one.name == request.query_params.get("question"):
                sql = one.sql
        return self._page(sql, pages.asked_often(self._questions))

    async def _result(self, request: Request) -> Response:
        sql = await _question(request)
        try:
            answer = await run_in_threadpool(self._desks.ask, sql, "page")
        except ZooEvalError as error:
            return self._page(sql, pages.refusal(str(error)), _status(error))
        return self._page(sql, pages.result(answer.content, answer.seconds))

    def _page(self, sql: str, below: str, status: int = 200) -> Response:
        bounds = self._desks.bounds
        limits = (
            f"At most {bounds.limits.seconds:g} s, {size_text(bounds.limits.memory_bytes)} of memory, "
            f"{bounds.most_rows:,} rows and {size_text(bounds.most_bytes)} of result."
        )
        seen = self._watch.seen
        trouble = seen.trouble
        above = pages.age(_age_s(seen.as_of), trouble) if trouble else ""
        inside = above + pages.box(sql, limits) + below
        return HTMLResponse(pages.document("Ask in SQL", "/sql", inside), status)

    def _download(self, form: str) -> Endpoint:
        async def download(request: Request) -> Response:
            sql = await _question(request)
            try:
                answer = await run_in_threadpool(self._desks.ask, sql, form)
            except ZooEvalError as error:
                return self._page(sql, pages.refusal(str(error)), _status(error))
            headers = {"Content-Disposition": f'attachment; filename="result.{form}"'}
            return Response(answer.content, 200, headers, KINDS[form])

        return download


def application(watch: Watched, desks: Desks, door: Door) -> Guard:
    """The application that serves a store."""
    routes = Pages(watch, desks).routes()
    handlers = {HTTPException: _not_there, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]
    app.router.redirect_slashes = False
    return Guard(app, door)


def _age_s(as_of: float) -> float:
    return max(0.0, time.time() - as_of)


async def _question(request: Request) -> str:
    """The query that a form holds.

    Raises:
        HTTPException: it is no form, or too long.
    """
    held = b""
    async for part in request.stream():
        held += part
        if len(held) > MOST_OF_A_QUESTION:
            raise HTTPException(413, f"a query has at most {size_text(MOST_OF_A_QUESTION)}")
    try:
        fields = parse_qs(held.decode(), keep_blank_values=True, errors="strict", max_num_fields=4)
        (sql,) = fields["q"]
    except (ValueError, KeyError) as error:
        raise HTTPException(400, "a form with one field q is needed, the query") from error
    return sql.replace("\r\n", "\n")


def _status(error: ZooEvalError) -> int:
    return 400 if isinstance(error, BadInput) else 429 if isinstance(error, Busy) else 503


def _asset(name: str, kind: str) -> Endpoint:
    content = files("zoo_eval.explorer").joinpath(name).read_bytes()

    async def asset(request: Request) -> Response:
        return Response(content, 200, {"Cache-Control": "max-age=60"}, kind)

    return asset


async def _nothing(request: Request) -> Response:
    """Browsers ask for an icon that no page names."""
    return Response(status_code=204)


def _said(status: int, text: str) -> Response:
    return PlainTextResponse(f"zoo-eval serve: {printable(as_line(text))}\n", status)


async def _not_there(request: Request, error: HTTPException) -> Response:
    known = ", ".join(["/leaderboard.json", *(place for place, _ in pages.PLACES)])
    text = f"there is nothing here; there are {known}" if error.status_code == 404 else error.detail
    answer = _said(error.status_code, text)
    answer.headers.update(error.headers or {})
    return answer


async def _failed(request: Request, error: Exception) -> Response:
    say(f"zoo-eval serve: {request.url.path}: {one_line(error)}")
    return _said(500, f"this cannot be shown ({one_line(error)})")
