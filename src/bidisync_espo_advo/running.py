"""What runs on and on: looks at what was hinted at, polls and inventories, until somebody stops it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import attrs

from bidisync.clock import SystemChance, SystemClock, utc_text
from bidisync.desk import Desk, Reach
from bidisync.errors import Misconfigured, SyncError
from bidisync.events import Event
from bidisync.model import Ref
from bidisync.observe.log import Logged, Pseudonyms
from bidisync.observe.metrics import Metrics
from bidisync.protocols import Clock, Observer, WorkQueue
from bidisync.runners.timetable import Timetable
from bidisync.stores.closing import StateMoved
from bidisync_espo_advo.app import PartySync, Store, open_queue, open_store, open_sync
from bidisync_espo_advo.commands import SyncResult, remember_pass
from bidisync_espo_advo.expiring import expire_when_due
from bidisync_espo_advo.notifying import open_desk
from bidisync_espo_advo.operating import standing
from bidisync_espo_advo.policy import party_policy
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.verifying import Glance, glance

LOG = logging.getLogger("bidisync_espo_advo")
POLL, INVENTORY = "poll", "inventory"
GRACE_S = 5.5
LOOK_S = 1.0
LATELY_S = 120.0
DESK_S = 60.0
LOG_S = 600.0


@attrs.define(eq=False)
class Works:
    """The running sync of one process; made by ``opened``."""

    settings: Settings
    sync: PartySync
    store: Store
    queue: WorkQueue
    times: Timetable
    clock: Clock
    desk: Desk
    metrics: Metrics | None = None
    log: Glance | None = None

    async def look(self, ref: Ref) -> float | None:
        """Bring one record into step; when it is due again."""
        return (await self.sync.sync(ref)).retry_at

    async def run(self, over: asyncio.Event) -> None:
        """Work until it is over; what is under way may end within a few seconds."""
        work = [self.queue.run(self.look), self._watch_the_clock(), self._watch_the_log()]
        if self.settings.notify.wanted:
            work.append(self.desk.run(DESK_S))
        jobs = [asyncio.create_task(job) for job in work]
        stop = asyncio.create_task(over.wait())
        await asyncio.wait([*jobs, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in (*jobs, stop):
            task.cancel()
        ended = await asyncio.gather(*jobs, return_exceptions=True)
        for error in ended:
            if error is not None and not isinstance(error, asyncio.CancelledError):
                raise _told(error)

    async def poll_at_once(self) -> None:
        """Begin with a look at what changed while nobody was there."""
        await self.times.at_once(POLL)

    async def _watch_the_clock(self) -> None:
        sync = self.settings.sync
        while True:
            for name, every_s in ((INVENTORY, sync.inventory_interval_s), (POLL, sync.poll_interval_s)):
                try:
                    await self._when_due(name, every_s)
                except StateMoved:
                    raise
                except SyncError as error:  # a system is out of order: later
                    LOG.warning("the %s did not end: %s", name, error)
                except Exception as error:  # the timer outlives a defect of a pass
                    LOG.error("the %s failed: %s", name, type(error).__name__)
            try:
                await expire_when_due(self.settings, self.store, self.times, self.clock)
            except StateMoved:
                raise
            except SyncError as error:
                LOG.warning("old values were not erased: %s", error)
            await self.clock.sleep(min(LOOK_S, max(0.05, await self._next())))

    async def look_at_log(self) -> None:
        """See whether the newest of the decision log is as it was written."""
        self.log = await glance(self.store, party_policy(self.settings), self.clock.now())
        if not self.log.holds:
            LOG.error("the decision log is not as it was written: %s", self.log.says)

    async def _watch_the_log(self) -> None:
        while True:
            try:
                await self.look_at_log()
            except StateMoved:
                raise
            except SyncError as error:
                LOG.warning("the decision log was not looked at: %s", error)
            await self.clock.sleep(LOG_S)

    async def _next(self) -> float:
        try:
            return min(await self.times.wait(POLL), await self.times.wait(INVENTORY))
        except SyncError:
            return LOOK_S

    async def _when_due(self, name: str, every_s: float) -> None:
        if await self.times.wait(name) > 0:
            return
        async with self.times.turn(name, every_s) as turn:
            if turn is not None:
                await _to_its_end(self._pass(everything=name == INVENTORY))

    async def _pass(self, *, everything: bool) -> None:
        """One pass; what it leaves open comes back as hints."""
        began, before = self.clock.monotonic(), self.sync.calls
        tally = await self.sync.sweep(everything=everything, rounds=1)
        for outcome in tally.outcomes.values():
            if outcome.retry_at is not None:
                await self.queue.submit([outcome.ref], not_before=outcome.retry_at)
        result = SyncResult.of(
            tally, await self.sync.states(), _since(before, self.sync.calls), self.clock.monotonic() - began
        )
        await remember_pass(self.store, self.clock.now(), attrs.asdict(result))

    async def status(self) -> Mapping[str, Any]:
        """How the work stands."""
        now = self.clock.now()
        number, oldest = await self.store.hints_waiting()
        return {
            **await standing(self.store),
            "hints": {"waiting": number, "oldest_s": 0.0 if oldest is None else round(max(0.0, now - oldest), 3)},
            "systems": {name: await self._system(name) for name in self.sync.remotes.wires},
            "calls": self.sync.calls,
            "log": None if self.log is None else self.log.document(),
            "next": {name: utc_text(now + await self.times.wait(name)) for name in (POLL, INVENTORY)},
        }

    async def _system(self, name: str) -> str:
        return self._out_of_reach().get(name, "reachable")

    async def ready(self) -> Mapping[str, str]:
        """What the work needs and does not have now, by its part."""
        wrong = dict(self._out_of_reach())
        try:
            async with asyncio.timeout(3.0):
                await self.store.set_mark("ready", repr(self.clock.now()))
        except (SyncError, TimeoutError):
            wrong["state"] = "can't be written"
        return wrong

    def _out_of_reach(self) -> Mapping[str, str]:
        lately = max(LATELY_S, 2 * self.settings.sync.poll_interval_s)
        wrong = {}
        for name, wire in self.sync.remotes.wires.items():
            if wire.circuit.open:
                wrong[name] = "left alone after failures"
            elif wire.answered_at is None or self.clock.monotonic() - wire.answered_at > lately:
                wrong[name] = "did not answer lately"
        return wrong


@asynccontextmanager
async def opened(
    settings: Settings, *, observers: tuple[Observer, ...] = (), store: Store | None = None
) -> AsyncIterator[Works]:
    """Everything that runs on, by these settings, until the block ends."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        if store is None:
            store = await open_store(settings)
            stack.push_async_callback(store.close)
        reach, metrics = Reach(), _metrics(settings)
        watching: list[Observer] = [Logged(await Pseudonyms.of(store, SystemChance()), LOG), reach, *observers]
        if metrics is not None:
            metrics.watch(store)
            stack.callback(metrics.close)
            watching.append(metrics.observer)

        def observe(event: Event) -> None:
            for observer in watching:
                observer(event)

        sync = await stack.enter_async_context(open_sync(settings, store=store, observers=watching, clock=clock))
        queue = await stack.enter_async_context(open_queue(settings, store, clock, observe))
        desk = open_desk(
            settings.notify,
            store=store,
            clock=clock,
            board=sync.remotes.espocrm,
            entity_type=settings.espocrm.entity_type,
            reach=reach,
            locks=sync.engine.parts.locks,
            observe=observe,
        )
        times = Timetable(store, settings.lock.lease_s, clock)
        yield Works(settings, sync, store, queue, times, clock, desk, metrics)


def _told(error: BaseException) -> BaseException:
    """What ends the work: of several at once, that the state is not here any more says why."""
    while isinstance(error, BaseExceptionGroup):
        error = (error.subgroup(StateMoved) or error).exceptions[0]
    return error


def _metrics(settings: Settings) -> Metrics | None:
    """The metrics of this process, where their extra is installed."""
    intervals = {"poll": settings.sync.poll_interval_s, "full": settings.sync.inventory_interval_s}
    try:
        return Metrics.open(intervals=intervals)
    except Misconfigured:
        return None


async def _to_its_end(work: Awaitable[None]) -> None:
    """Do it; if that is to stop, it has a few seconds to end by itself."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=GRACE_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


def _since(before: Mapping[str, Mapping[str, int]], now: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {name: {verb: n - before[name][verb] for verb, n in verbs.items()} for name, verbs in now.items()}
