"""A server of the S3 protocol, in memory, in a process of its own: what a bucket does, and what goes wrong.

It knows what a store asks of a bucket: PUT with `If-None-Match: *` in one step, GET with a range, HEAD,
DELETE, DeleteObjects, ListObjectsV2. Keys are not checked. Of its answers a share goes wrong on purpose: 500 or 409 and
nothing done; or all done, and 500 or nothing at all for an answer. GET /away/8 has it answer nothing for
eight seconds, /slow/8 has it take its time for so long, and /wrong/8 has most of its answers go wrong.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
import urllib.request
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

ROOT = Path(__file__).resolve().parents[2]
KEYS = {
    "AWS_ACCESS_KEY_ID": "planted",
    "AWS_SECRET_ACCESS_KEY": "planted-secret",
    "AWS_REGION": "us-east-1",
}
MOST_KEYS = 1000
TROUBLES = ("away", "slow", "wrong")
SLOWEST_S = 2.0
MOST_WRONG = 0.6
REASONS = {200: "OK", 204: "No Content", 206: "Partial Content"}


@dataclass(frozen=True)
class Answer:
    """What is sent back; `length` where it is not the body's, as after HEAD."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None

    def as_bytes(self) -> bytes:
        """The whole answer."""
        length = len(self.body) if self.length is None else self.length
        lines = [
            f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Error')}",
            f"content-length: {length}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


def error(status: int, code: str) -> Answer:
    """An error as S3 says it."""
    return Answer(status, f"<Error><Code>{code}</Code><Message>planted</Message></Error>".encode())


@dataclass
class Bucket:
    """The objects of one bucket, sorted by key; everything is done in one step."""

    ignores_conditions: bool = False
    most_keys: int = MOST_KEYS
    held: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    def put(self, key: str, body: bytes, only_new: bool) -> Answer:
        if key in self.held and only_new and not self.ignores_conditions:
            return error(412, "PreconditionFailed")
        if key not in self.held:
            insort(self.keys, key)
        self.held[key] = (body, time.time())
        return Answer(200, headers=(("etag", _etag(body)),))

    def get(self, key: str, range_: str | None, *, head: bool) -> Answer:
        if key not in self.held:
            return Answer(404) if head else error(404, "NoSuchKey")
        body, modified = self.held[key]
        headers = [("etag", _etag(body)), ("last-modified", formatdate(modified, usegmt=True))]
        if head:
            return Answer(200, headers=tuple(headers), length=len(body))
        if range_ is None:
            return Answer(200, body, tuple(headers))
        first, _, last = range_.removeprefix("bytes=").partition("-")
        begin, end = int(first), min(int(last or len(body)), len(body) - 1)
        headers.append(("content-range", f"bytes {begin}-{end}/{len(body)}"))
        return Answer(206, body[begin : end + 1], tuple(headers))

    def delete(self, key: str) -> Answer:
        if self.held.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]
        return Answer(204)

    def delete_all(self, body: bytes) -> Answer:
        keys = [unescape(key) for key in re.findall("<Key>(.*?)</Key>", body.decode())]
        for key in keys:
            self.delete(key)
        told = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return Answer(200, f"<DeleteResult>{told}</DeleteResult>".encode())

    def listed(self, query: dict[str, list[str]]) -> Answer:
        prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        after = query.get("continuation-token", query.get("start-after", [""]))[0]
        found, folders, more = list[str](), dict[str, None](), ""
        for key in self._from(prefix, after):
            folder = _folder(key, prefix, delimiter)
            if folder and (folder in folders or folder <= after):
                continue
            if len(found) + len(folders) == self.most_keys:
                more = max([*found[-1:], *list(folders)[-1:]])
                break
            if folder:
                folders[folder] = None
            else:
                found.append(key)
        return Answer(200, self._page(found, list(folders), more).encode())

    def _from(self, prefix: str, after: str) -> Iterator[str]:
        begin = max(bisect_left(self.keys, prefix), bisect_right(self.keys, after) if after else 0)
        for place in range(begin, len(self.keys)):
            if not self.keys[place].startswith(prefix):
                return
            yield self.keys[place]

    def _page(self, found: list[str], folders: list[str], more: str) -> str:
        told = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.held[key][0])}</Size>"
            f"<ETag>{escape(_etag(self.held[key][0]))}</ETag>"
            f"<LastModified>{_iso(self.held[key][1])}</LastModified></Contents>"
            for key in found
        )
        beneath = "".join(
            f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in folders
        )
        token = f"<NextContinuationToken>{escape(more)}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><IsTruncated>{str(bool(more)).lower()}</IsTruncated>{token}"
            f"<KeyCount>{len(found)}</KeyCount>{told}{beneath}</ListBucketResult>"
        )


def _folder(key: str, prefix: str, delimiter: str) -> str:
    rest = key[len(prefix) :]
    if not delimiter or delimiter not in rest:
        return ""
    return prefix + rest.partition(delimiter)[0] + delimiter


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _iso(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


@dataclass
class Server:
    """Answers requests; `faults` is the share that goes wrong."""

    bucket: Bucket
    faults: float
    counts: Counter[str] = field(default_factory=Counter)
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    # Until when it is in which trouble.
    until: dict[str, float] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the requests of one connection."""
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")) != b"":
                first, *lines = head.decode("latin-1").rstrip().split("\r\n")
                pairs = (line.partition(":") for line in lines)
                headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, target, _ = first.split(" ")
                answer = self.answer(method, target, headers, body)
                if self._is("slow"):
                    await asyncio.sleep(self.chance.uniform(0.1, SLOWEST_S))
                if answer is None:
                    break
                writer.write(answer.as_bytes())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> Answer | None:
        """What is answered; None for nothing."""
        url = urlsplit(target)
        key = unquote(url.path).lstrip("/").partition("/")[2]
        if url.path == "/counts":
            return Answer(200, json.dumps(self.counts).encode())
        how, _, seconds = url.path.lstrip("/").partition("/")
        if how in TROUBLES:
            self.until[how] = time.time() + float(seconds)
            return Answer(200)
        self.counts["LIST" if method == "GET" and not key else method] += 1
        if self._is("away"):
            return None
        share = MOST_WRONG if self._is("wrong") else self.faults
        fault = self.chance.random() < share and self.chance.choice(
            ["refused", "conflict", "lost", "cut off"]
        )
        only_new = headers.get("if-none-match") == "*"
        if fault:
            self.counts["faults"] += 1
        if fault == "conflict" and method == "PUT" and only_new:
            return error(409, "ConditionalRequestConflict")
        if fault in ("refused", "conflict"):
            return error(500, "InternalError")
        answer = self._done(method, key, url.query, headers.get("range"), (body, only_new))
        if fault == "cut off":
            return None
        return error(500, "InternalError") if fault else answer

    def _is(self, how: str) -> bool:
        return time.time() < self.until.get(how, 0.0)

    def _done(
        self, method: str, key: str, query: str, range_: str | None, put: tuple[bytes, bool]
    ) -> Answer:
        if method == "PUT":
            return self.bucket.put(key, *put)
        if method == "DELETE":
            return self.bucket.delete(key)
        if method == "POST" and query.startswith("delete"):
            return self.bucket.delete_all(put[0])
        if method == "HEAD":
            return self.bucket.get(key, None, head=True)
        if method == "GET" and key:
            return self.bucket.get(key, range_, head=False)
        if method == "GET":
            return self.bucket.listed(parse_qs(query, keep_blank_values=True))
        return error(405, "MethodNotAllowed")


@dataclass(frozen=True)
class Running:
    """A server that runs."""

    port: int

    def uri(self, prefix: str) -> str:
        """The address of a store in its bucket."""
        host = quote(f"127.0.0.1:{self.port}")
        return f"s3://bucket/{prefix}?endpoint_override={host}&scheme=http&region=us-east-1"

    def counts(self) -> Counter[str]:
        """How many requests there were, by method, and how many of them went wrong."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/counts") as answer:
            return Counter(json.load(answer))


@contextmanager
def running(
    faults: float = 0.0, *, ignores_conditions: bool = False, most_keys: int = MOST_KEYS
) -> Iterator[Running]:
    """A server for the block; `KEYS` must be in the environment of whoever asks it."""
    options = ["--faults", str(faults), "--most-keys", str(most_keys)]
    options += ["--ignores-conditions"] * ignores_conditions
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.s3_server", *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        yield Running(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()


async def main() -> None:
    """Serves until it is ended; the first line is the port."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=float, default=0.0)
    parser.add_argument("--ignores-conditions", action="store_true")
    parser.add_argument("--most-keys", type=int, default=MOST_KEYS)
    options = parser.parse_args()
    bucket = Bucket(options.ignores_conditions, options.most_keys)
    server = Server(bucket, options.faults)
    serving = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=512)
    print(serving.sockets[0].getsockname()[1], flush=True)
    async with serving:
        await serving.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
