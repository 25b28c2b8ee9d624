"""The simulators without a server: a request answered at once, by the same code that answers HTTP.

For a simulation in which time and order are decided elsewhere. Latency has to be 0, and
nothing may wait: whatever a simulator does to a request happens in one go.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import attrs
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict
from yarl import URL


@attrs.define(eq=False)
class Called:
    """What the simulators ask of a request, without a connection behind it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    host: str
    match_info: Mapping[str, str]
    scheme: str = "http"
    remote: str = "127.0.0.1"
    transport: None = None

    @property
    def body_exists(self) -> bool:
        """Whether there is a body."""
        return bool(self.raw)

    @property
    def content_type(self) -> str:
        """The type of the body."""
        return self.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip().lower()

    @property
    def rel_url(self) -> URL:
        """Path and query."""
        return URL.build(path=self.path, query=dict(self.query)) if self.query else URL.build(path=self.path)

    @property
    def raw_path(self) -> str:
        """Path and query as they stand in the request line."""
        return str(self.rel_url)

    async def read(self) -> bytes:
        """The body."""
        return self.raw


class _Kept(AbstractStreamWriter):
    """Keeps what a body writes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    async def write(self, chunk: Any) -> None:
        self.parts.append(bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.parts.append(chunk)

    async def drain(self) -> None:
        pass

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        raise NotImplementedError

    def enable_chunking(self) -> None:
        raise NotImplementedError

    async def write_headers(self, status_line: str, headers: Any) -> None:
        raise NotImplementedError


def _route(route: web.RouteDef) -> tuple[str, re.Pattern[str], Any]:
    names = re.sub(r"\{(\w+):((?:[^{}]|\{[^{}]*\})*)\}", r"(?P<\1>\2)", route.path)
    return route.method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", names)), route.handler


@attrs.define(eq=False)
class InProcess:
    """The routes of one simulator. ``requests`` counts what was answered."""

    _routes: list[tuple[str, re.Pattern[str], Any]]
    requests: int = 0

    @classmethod
    def of(cls, routes: Iterable[web.RouteDef]) -> InProcess:
        """A simulator by its routes."""
        return cls([_route(route) for route in routes])

    def answer(
        self, method: str, url: str, headers: Mapping[str, str], query: Mapping[str, str], body: bytes | None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with small names, and body of the reply."""
        self.requests += 1
        parts = urlsplit(url)
        for wanted, pattern, handler in self._routes:
            found = pattern.fullmatch(parts.path) if wanted in (method, "*") else None
            if found is not None:
                called = Called(
                    method, parts.path, query, CIMultiDict(headers), body or b"", parts.netloc, found.groupdict()
                )
                return _told(_at_once(handler(cast(web.Request, called))))
        return 404, {}, b""


def _told(response: web.Response) -> tuple[int, dict[str, str], bytes]:
    body: Any = response.body
    if body is None:
        body = b""
    elif not isinstance(body, bytes | bytearray):
        kept = _Kept()
        _at_once(body.write(kept))
        body = b"".join(kept.parts)
    return response.status, {name.lower(): value for name, value in response.headers.items()}, bytes(body)


def _at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    except web.HTTPException as refused:
        return refused
    coroutine.close()
    raise RuntimeError("a simulator waits: its latency must be 0 here")
