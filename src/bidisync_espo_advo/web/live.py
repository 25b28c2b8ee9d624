"""Tells open pages that something has changed: what, they ask for themselves.

One look at the state every two seconds serves every page, and only while there is one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import suppress

import attrs
from aiohttp import web

from bidisync.errors import SyncError
from bidisync.model import LinkState
from bidisync_espo_advo.app import Store
from bidisync_espo_advo.commands import LAST_RUN

EVERY_S = 2.0
ALIVE_S = 15.0
MOST_STREAMS = 50


@attrs.define(eq=False)
class Live:
    """The streams of one process; ``close`` ends them all."""

    store: Store
    headers: dict[str, str]
    every_s: float = EVERY_S
    _streams: int = 0
    _stamp: Hashable = None
    _waiting: int = 0
    _moved: asyncio.Event = attrs.Factory(asyncio.Event)
    _watch: asyncio.Task[None] | None = None
    _over: bool = False

    async def stream(self, request: web.Request, lasts: Callable[[], bool]) -> web.StreamResponse:
        """Server-sent events, as long as ``lasts`` says so: how many records wait, whenever anything moved."""
        if self._streams >= MOST_STREAMS or self._over:
            return web.Response(status=503, headers={"Retry-After": "30"})
        headers = {**self.headers, "Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        self._streams += 1
        if self._watch is None:
            self._watch = asyncio.create_task(self._look())
        try:
            with suppress(ConnectionError):
                async for text in self._events(lasts):
                    await response.write(text.encode())
        finally:
            self._streams -= 1
            if not self._streams and self._watch is not None:
                self._watch.cancel()
                self._watch = self._stamp = None
        return response

    async def close(self, *_: object) -> None:
        """End every stream: the process stops."""
        self._over = True
        self._move()

    async def _events(self, lasts: Callable[[], bool]) -> AsyncIterator[str]:
        yield f"retry: 3000\n\n{self._told('moved')}"  # what changed before the page listened
        while not self._over and lasts():
            moved = self._moved
            try:
                async with asyncio.timeout(ALIVE_S):
                    await moved.wait()
                yield self._told("moved")
            except TimeoutError:
                yield self._told("beat")

    def _told(self, event: str) -> str:
        return f"event: {event}\ndata: {json.dumps({'waiting': self._waiting})}\n\n"

    async def _look(self) -> None:
        while True:
            with suppress(SyncError):
                await self._look_once()
            await asyncio.sleep(self.every_s)

    async def _look_once(self) -> None:
        count = await self.store.count()
        newest = [number for number, _ in await self.store.history(limit=1)]
        hints, _ = await self.store.hints_waiting()
        stamp = (*sorted(count.items()), *newest, hints, await self.store.get_mark(LAST_RUN))
        before, self._stamp = self._stamp, stamp
        self._waiting = sum(number for name, number in count.items() if LinkState(name).waits_for_a_person)
        if before is not None and before != stamp:
            self._move()

    def _move(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
