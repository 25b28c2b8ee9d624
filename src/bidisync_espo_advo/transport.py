"""One request as bytes in, one response as bytes out: the seam between a system and everything above.

Over it limits, retries, JSON and errors (``wire``) are the same with real HTTP and in a
simulation. No message names a query, a header or a body, for these hold secrets and personal
values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import attrs
from aiohttp.abc import AbstractResolver

MAX_BODY = 256 * 1024 * 1024


@attrs.frozen
class Request:
    """One request; headers, query and body stay out of ``repr``."""

    method: str
    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    query: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"


@attrs.frozen
class Response:
    """A response as it came; header names in lower case."""

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)

    def json(self) -> object:
        """The body as JSON; ``ValueError`` if it is none, or nested deeper than anything sensible."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None


class NotSent(Exception):
    """The request certainly did not reach the system."""


class NoAnswer(Exception):
    """The request may have reached the system; no whole answer came back."""


class Transport(Protocol):
    """Sends one request once. ``NotSent`` or ``NoAnswer`` where there is no response."""

    async def send(self, request: Request) -> Response: ...

    async def close(self) -> None: ...


@attrs.define(eq=False, repr=False)
class HttpTransport:
    """Real HTTP. Over a session that is given, it uses its connections and leaves it open.

    ``resolver`` may refuse a name; where the connections are somebody else's it is asked first.
    """

    timeout_s: float = 30.0
    session: aiohttp.ClientSession | None = attrs.field(default=None, repr=False)
    resolver: AbstractResolver | None = attrs.field(default=None, repr=False)
    _own: aiohttp.ClientSession | None = attrs.field(default=None, repr=False)

    def _client(self) -> aiohttp.ClientSession:
        if self._own is None:
            shared = None if self.session is None else self.session.connector
            self._own = aiohttp.ClientSession(
                connector=shared or aiohttp.TCPConnector(resolver=self.resolver),
                connector_owner=shared is None,
                timeout=aiohttp.ClientTimeout(total=self.timeout_s),
                auto_decompress=True,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            # aiohttp sends PUT and DELETE a second time when a kept-alive connection breaks,
            # and has no public switch for it: a write that went through would be repeated.
            self._own._retry_connection = False
        return self._own

    async def send(self, request: Request) -> Response:
        """Send it once; redirects are not followed."""
        try:
            if self.session is not None and self.resolver is not None:
                await self._allowed(self.resolver, request.url)
            async with self._client().request(
                request.method,
                request.url,
                params=dict(request.query) or None,
                headers=dict(request.headers),
                data=request.body,
                allow_redirects=False,
            ) as response:
                body = await _bounded(response)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Response(response.status, headers, body)
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, _Refused) as error:
            raise NotSent(plainly(error)) from error
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise NoAnswer(plainly(error)) from error

    async def _allowed(self, resolver: AbstractResolver, url: str) -> None:
        try:
            await resolver.resolve(urlsplit(url).hostname or "", urlsplit(url).port or 0)
        except OSError as error:
            raise _Refused from error

    async def close(self) -> None:
        """Close what was opened here."""
        if self._own is not None:
            await self._own.close()
            self._own = None
        if self.resolver is not None:
            await self.resolver.close()


class _Refused(Exception):
    """A name that must not be used, or that nobody knows."""


_IN_WORDS: Sequence[tuple[type[BaseException], str]] = (
    (aiohttp.ClientConnectorCertificateError, "its TLS certificate is refused"),
    (aiohttp.ClientSSLError, "no TLS connection; is that the right port?"),
    (aiohttp.ClientConnectorDNSError, "nobody knows its name; check its address in the settings"),
    (aiohttp.ClientConnectorError, "no connection; check its address in the settings, and whether it runs"),
    (aiohttp.InvalidURL, "its address in the settings is none"),
    (_Refused, "its name may not be used, or nobody knows it"),
    (TimeoutError, "no answer in time"),
    (aiohttp.ServerDisconnectedError, "the connection was closed"),
    (ConnectionError, "the connection broke"),
)


def plainly(error: BaseException) -> str:
    """What went wrong, in words for an operator: without an address, which may hold a name."""
    return next((words for kind, words in _IN_WORDS if isinstance(error, kind)), type(error).__name__)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_chunked(1 << 16):
        size += len(part)
        if size > MAX_BODY:
            raise aiohttp.ClientPayloadError("the reply is too large")
        parts.append(part)
    return b"".join(parts)


def has_address(id: str) -> bool:
    """Whether a record may have this id: one that would lead to another address belongs to none.

    Hints come from elsewhere, and an answer to ``..`` must not count as one about the system.
    """
    return bool(id.strip(".")) and id.isprintable() and not {"/", "\\"} & set(id)
