"""Hints of many requests in one commit: whoever comes while one is under way shares the next.

A request is told of success once its hints are on disk, and of failure if they are not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import attrs

from bidisync.model import Ref

Keep = Callable[[Sequence[Ref]], Awaitable[None]]


@attrs.define(eq=False)
class Keeping:
    """Gathers what waits and keeps it together."""

    keep: Keep
    _refs: dict[Ref, None] = attrs.Factory(dict)
    _told: asyncio.Future[None] | None = None
    _busy: asyncio.Task[None] | None = None

    async def __call__(self, refs: Sequence[Ref]) -> None:
        """Return once a hint for each of these records is durable."""
        self._refs.update(dict.fromkeys(refs))
        if self._told is None:
            self._told = asyncio.get_running_loop().create_future()
        told = self._told
        if self._busy is None:
            self._busy = asyncio.create_task(self._work())
        await asyncio.shield(told)

    async def _work(self) -> None:
        while self._told is not None:
            refs, told = list(self._refs), self._told
            self._refs, self._told = {}, None
            try:
                await self.keep(refs)
            except BaseException as error:  # told to everybody who waits for these
                told.set_exception(error)
                told.exception()  # nobody may be left who asks
            else:
                told.set_result(None)
        self._busy = None
