"""Desks: processes that answer SQL, each watched, and ended where a question takes too much."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from queue import Empty, LifoQueue
from threading import Lock
from typing import Any

import psutil

from zoo_eval.errors import BadInput, StoreError, ZooEvalError
from zoo_eval.explorer.processes import started
from zoo_eval.queries.limits import VARIABLES, Limits, limits_from
from zoo_eval.units import size_text

N_DESKS = 2
# A question waits so long for a desk that is free.
PATIENCE_S = 10.0
LOOK_EVERY_S = 0.05
# DuckDB says best itself that its time is up; this is for what does not listen to it.
GRACE_S = 3.0
# What a process may grow by beyond the memory of intermediate results, and again of rows.
SPARE_BYTES = 128 * 2**20
# A process that opens a large store in a bucket for its first question.
OPENING_S = 60.0
SQL = "SQL: "
USUAL = {VARIABLES["--seconds"]: "30", VARIABLES["--memory"]: "512MiB"}


class Busy(ZooEvalError):
    """All desks have been at work for too long."""


@dataclass(frozen=True)
class Bounds:
    """What one question may take, and how much of its result is sent.

    `limits` are DuckDB's to keep; a process that does not keep to them is ended.
    """

    limits: Limits
    most_rows: int = 100_000
    most_bytes: int = 64 * 2**20

    @classmethod
    def usual(cls, seconds: str | None = None, memory: str | None = None) -> "Bounds":
        """What was said, or else the environment says, or what suits a box that others wait for too.

        Raises:
            BadInput: it is no limit.
        """
        asked = {"--seconds": seconds, "--memory": memory}
        return cls(limits_from(asked, {**USUAL, **os.environ}))


@dataclass(frozen=True)
class Answer:
    """The bytes of a result in the form that was asked for, and how long it took."""

    content: bytes
    seconds: float


class _Desk:
    """One process."""

    def __init__(self, uri: str, bounds: Bounds) -> None:
        self._bounds = bounds
        self._process = started("zoo_eval.explorer.answering")
        self._from = self._process.inbox
        limits = bounds.limits
        self._send(
            {
                "uri": uri,
                "seconds": limits.seconds,
                "memory_bytes": limits.memory_bytes,
                "spill": str(limits.spill) if limits.spill else None,
            }
        )
        self._is_open = False

    def ask(self, question: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The header and the bytes of an answer.

        Raises:
            BadInput: the question took too much; the process is to be ended.
            OSError: the process is gone.
        """
        self._wait_until_open()
        before = self._held()
        limits = self._bounds.limits
        self._send(question)
        until = time.monotonic() + limits.seconds + GRACE_S
        while not self._from.poll(LOOK_EVERY_S):
            if time.monotonic() > until:
                raise BadInput(
                    f"{SQL}the query ran for more than {limits.seconds:g} s and was ended; ask for less"
                )
            if self._held() - before > self._most_bytes:
                raise BadInput(
                    f"{SQL}the query took more memory than the {size_text(limits.memory_bytes)} that it "
                    "may and was ended; ask for less, or for a sum over fewer rows"
                )
        return json.loads(self._from.recv_bytes()), self._from.recv_bytes()

    def _wait_until_open(self) -> None:
        if not self._is_open:
            if not self._from.poll(OPENING_S):
                raise BadInput(
                    f"{SQL}the store could not be opened within {OPENING_S:g} s; ask again"
                )
            self._from.recv_bytes()
            self._is_open = True

    def is_worn(self) -> bool:
        """Whether it has kept more memory than one question may take, or is gone."""
        try:
            return self._held() > self._most_bytes
        except OSError:
            return True

    def end(self) -> None:
        self._process.end()

    @property
    def _most_bytes(self) -> int:
        return 2 * self._bounds.limits.memory_bytes + SPARE_BYTES

    def _send(self, message: Mapping[str, Any]) -> None:
        self._process.out.send_bytes(json.dumps(message).encode())

    def _held(self) -> int:
        try:
            held: int = psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error as error:
            raise OSError("the process is gone") from error
        return held


class Desks:
    """A few processes over one store; a question is asked of one that is free."""

    def __init__(self, uri: str, bounds: Bounds) -> None:
        self._uri = uri
        self.bounds = bounds
        # The one that answered last comes first; the others are started when they are needed.
        self._free: LifoQueue[_Desk | None] = LifoQueue()
        self._all: set[_Desk] = set()
        self._lock = Lock()
        self._is_closed = False
        for _ in range(N_DESKS):
            self._free.put(None)

    def warm(self) -> None:
        """Starts one process before anybody asks: it takes a second or two."""
        self._free.get()
        self._free.put(self._new())

    def ask(self, sql: str, form: str) -> Answer:
        """The result of one SELECT, as `page` (JSON of what is shown), `csv`, `json` or `parquet`.

        Raises:
            BadInput: the SQL is wrong, would change something, or took too much.
            StoreError: the store cannot be read.
            Busy: others have asked for too much.
        """
        try:
            desk = self._free.get(timeout=PATIENCE_S)
        except Empty:
            raise Busy("all that answer SQL are at work; ask again in a few seconds") from None
        try:
            desk = desk or self._new()
            question = {
                "sql": sql,
                "form": form,
                "most_rows": self.bounds.most_rows,
                "most_bytes": self.bounds.most_bytes,
            }
            header, content = desk.ask(question)
        except BadInput:
            self._end(desk)
            desk = None
            raise
        except (OSError, EOFError) as error:
            self._end(desk)
            desk = None
            raise BadInput(
                f"{SQL}the query ended the process that answers; ask for less"
            ) from error
        finally:
            self._free.put(self._fit(desk))
        if (wrong := header.get("error")) is not None:
            raise BadInput(wrong) if header["is_bad_input"] else StoreError(wrong)
        return Answer(content, header["seconds"])

    def close(self) -> None:
        """Ends all processes."""
        with self._lock:
            self._is_closed = True
            every = list(self._all)
        for desk in every:
            desk.end()

    def _new(self) -> _Desk:
        with self._lock:
            if self._is_closed:
                raise OSError("the server is ending")
            desk = _Desk(self._uri, self.bounds)
            self._all.add(desk)
        return desk

    def _fit(self, desk: _Desk | None) -> _Desk | None:
        """The same one, unless it has kept so much memory that the next question would have too little."""
        if desk is None or not desk.is_worn():
            return desk
        self._end(desk)
        return None

    def _end(self, desk: _Desk | None) -> None:
        if desk is not None:
            desk.end()
            with self._lock:
                self._all.discard(desk)
