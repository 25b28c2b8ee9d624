"""Workers in this process: the durable hints of the store, oldest first, nothing else to run.

Several processes over one store share the work, since nobody gets a hint that another one
holds; a hint whose worker died comes back when its time is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import attrs

from bidisync.clock import SystemClock
from bidisync.errors import Transient
from bidisync.model import Ref
from bidisync.protocols import Clock, Look, Observer
from bidisync.runners.dealing import LOG, Dealing
from bidisync.state import Hint
from bidisync.storage import HintStore


@attrs.define(eq=False)
class LocalQueue:
    """``WorkQueue`` of a store and this process.

    ``look_every_s`` is how soon hints are seen that other processes keep, ``hold_s`` after
    how long those of a dead worker come back, ``grace_s`` how long looks under way may last
    when the work ends.
    """

    store: HintStore
    clock: Clock = attrs.Factory(SystemClock)
    concurrency: int = 10
    hold_s: float = 60.0
    look_every_s: float = 1.0
    grace_s: float = 5.5
    observe: Observer = lambda event: None
    _woken: asyncio.Event = attrs.Factory(asyncio.Event)
    _dealing: Dealing = attrs.field(kw_only=True)

    @_dealing.default
    def _alone(self) -> Dealing:
        return Dealing(self.store, self.clock, self.hold_s, self.observe)

    async def submit(self, refs: Sequence[Ref], *, not_before: float = 0.0) -> None:
        """Keep a hint for each record, and wake whoever is idle here."""
        await self.store.hint(refs, self.clock.now(), not_before=not_before)
        self._woken.set()

    async def run(self, look: Look) -> None:
        """Work until cancelled; then what is under way may end, and the rest is handed back."""
        running: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            running.discard(task)
            self._woken.set()

        async with asyncio.TaskGroup() as group:
            try:
                while True:
                    self._woken.clear()
                    for hint in await self._take(self.concurrency - len(running)):
                        task = group.create_task(self._settle(hint, look))
                        running.add(task)
                        task.add_done_callback(ended)
                    await self._idle()
            except asyncio.CancelledError:
                if running:
                    await asyncio.wait(set(running), timeout=self.grace_s)
                raise

    async def _take(self, free: int) -> Sequence[Hint]:
        if free <= 0 or self._dealing.wait() > 0:
            return []
        limit = 1 if self._dealing.careful else free
        now = self.clock.now()
        try:
            hints = await self.store.take(now, limit=limit, until=now + self.hold_s)
        except Transient as error:
            LOG.warning("no work for a moment: %s", error)
            hints = []
        if not hints:
            self._dealing.untried()
        return hints

    async def _settle(self, hint: Hint, look: Look) -> None:
        with suppress(Transient):  # the state is out of reach: the hint comes back by itself
            await self._dealing.settle(hint, look)

    async def _idle(self) -> None:
        wait = self.look_every_s
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._woken.wait()
