"""Tells open pages that something has changed: what, they ask for themselves.

One look at the state every two seconds serves every page, and only while there is one. A page is
told as well when a look fails or does not end: then it is not live, until one succeeds again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import suppress

import attrs
from aiohttp import web

from bidisync.model import LinkState
from bidisync_espo_advo.app import Store
from bidisync_espo_advo.commands import LAST_RUN

EVERY_S = 2.0
ALIVE_S = 15.0
LOOK_S = 10.0
MOST_STREAMS = 50
LOG = logging.getLogger("bidisync_espo_advo")


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
    _blind: bool = False  # the last look failed
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
        yield f"retry: 3000\n\n{self._news()}"  # what changed before the page listened
        while not self._over and lasts():
            moved = self._moved
            try:
                async with asyncio.timeout(ALIVE_S):
                    await moved.wait()
                yield self._news()
            except TimeoutError:
                yield self._news("beat")

    def _news(self, event: str = "moved") -> str:
        """An event for a page; while nobody sees the state, no other than that."""
        name = "stale" if self._blind else event
        return f"event: {name}\ndata: {json.dumps({'waiting': self._waiting})}\n\n"

    async def _look(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    moved = await self._look_once()
                blind = False
            except Exception as error:  # pages are told that they are not live; the next look is another one
                if not self._blind:
                    LOG.warning("open pages are not live: a look at the state failed: %s", type(error).__name__)
                moved, blind = False, True
            moved = moved or blind != self._blind
            self._blind = blind
            if moved:
                self._move()
            await asyncio.sleep(self.every_s)

    async def _look_once(self) -> bool:
        """Whether anything is not as it was at the last look."""
        count = await self.store.count()
        head = await self.store.head()
        hints, _ = await self.store.hints_waiting()
        stamp = (*sorted(count.items()), head, hints, await self.store.get_mark(LAST_RUN))
        self._waiting = sum(number for name, number in count.items() if LinkState(name).waits_for_a_person)
        before, self._stamp = self._stamp, stamp
        return before is not None and before != stamp

    def _move(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
