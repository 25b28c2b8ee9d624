"""Webhooks of EspoCRM: who sent it, which records it names, durable, and only then 200.

The answers are those that EspoCRM repeats a delivery after (401, 503), but for 413: what
can't be read now can't be read later, and the poll finds those records. Bodies are read in a
bounded time, and few large ones at once, so that a flood costs neither memory nor the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import attrs
from aiohttp import web

from bidisync.errors import SyncError
from bidisync.model import Ref
from bidisync_espo_advo.webhook import EVENTS, MOST_BYTES, Forged, Unreadable, claimed, refs_of, verify

LARGE = 256 * 1024
LARGE_AT_ONCE = 4


@attrs.define(eq=False)
class Intake:
    """The addresses of the webhooks. ``keep`` returns once the hints are durable.

    ``body_s`` is how long a body may take to arrive, ``keep_s`` how long keeping it may
    take: both together end before EspoCRM stops waiting, after 10 s.
    """

    secrets: Mapping[str, str] = attrs.field(repr=False)
    keep: Callable[[Sequence[Ref]], Awaitable[None]]
    body_s: float = 5.0
    keep_s: float = 4.0
    answered: dict[int, int] = attrs.Factory(dict)
    _large: asyncio.Semaphore = attrs.Factory(lambda: asyncio.Semaphore(LARGE_AT_ONCE))

    def routes(self) -> list[web.RouteDef]:
        """One address for each event."""
        return [web.post(f"/webhooks/espocrm/{{event:{'|'.join(EVENTS)}}}", self.take)]

    async def take(self, request: web.Request) -> web.Response:
        """Take one delivery."""
        try:
            status = await self._status(request)
        except Forged:
            status = 401
        except Unreadable:
            status = 413
        except (SyncError, TimeoutError, ConnectionError):
            status = 503
        self.answered[status] = self.answered.get(status, 0) + 1
        response = web.Response(status=status)
        if status != 200:
            response.force_close()
        return response

    async def _status(self, request: web.Request) -> int:
        if not self.secrets.get(claimed(request.headers)):
            raise Forged("no webhook of the settings has this id")
        length = request.content_length
        if length is not None and length > MOST_BYTES:
            raise Unreadable("the body is too large")
        if length is None or length > LARGE:
            async with asyncio.timeout(self.body_s):
                await self._large.acquire()
            try:
                body = await self._body(request)
                refs = await asyncio.to_thread(self._refs, request, body)
            finally:
                self._large.release()
        else:
            refs = self._refs(request, await self._body(request))
        if refs:
            async with asyncio.timeout(self.keep_s):
                await self.keep(refs)
        return 200

    async def _body(self, request: web.Request) -> bytes:
        async with asyncio.timeout(self.body_s):
            if (request.content_length or MOST_BYTES) <= LARGE:
                return await request.content.read()
            parts, size = [], 0
            async for part in request.content.iter_any():
                size += len(part)
                if size > MOST_BYTES:
                    raise Unreadable("the body is too large")
                parts.append(part)
            return b"".join(parts)

    def _refs(self, request: web.Request, body: bytes) -> list[Ref]:
        verify(request.headers, body, self.secrets)
        return refs_of(request.match_info["event"], body)
