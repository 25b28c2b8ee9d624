"""The event step: the durable hints are the work, and an event only says that there is some.

Motia may lose an event (a step that is killed counts as done), deliver it again, and gives up
after a few seconds. So what an event names is kept as hints in the state first, and then
hints are taken from there, whoever left them, until none is due or the time is up. A hint
goes once its record was dealt with; who dies in the middle leaves it to the next event. How
often a record was tried, and when it is due again, stands with its link.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import attrs

from bidisync.clock import SystemClock
from bidisync.errors import Misconfigured, SyncError, Transient
from bidisync.locks.local import LocalLocks
from bidisync.outcome import Outcome
from bidisync.protocols import Clock, LockProvider
from bidisync.state import Hint
from bidisync.stores.sql import SqlStore
from bidisync_espo_advo.app import PartySync, open_locks, open_store, open_sync
from bidisync_espo_advo.motia.asked import Asked
from bidisync_espo_advo.motia.attached import Attached
from bidisync_espo_advo.motia.talk import Context, forwarded
from bidisync_espo_advo.settings import Settings, load_settings
from bidisync_espo_advo.sign_ins import RedisTokens, SignIns

STARTS_UNTIL, ENDS_AT = 0.7, 0.85
"""Parts of the handler's time: when the last record is begun, and when it has to be done."""

AGAIN_AFTER_S = 1.0
SIGN_IN_LEASE_S, SIGN_IN_WAIT_S = 10.0, 20.0


class Unfinished(Transient):
    """The time of this call is up; what is left waits as hints."""

    reason = "unfinished"


async def sync_event(data: object, context: Context, *, timeout_s: float, settings: Settings | None = None) -> None:
    """Bring into step what the event names, and what else is due; an event without ids asks for a poll.

    ``timeout_s`` is the ``handler.timeout`` of the step; this ends before it. Returns when
    everything is done, or waits for a person or for its time; raises where Motia should
    deliver the event again. Nothing is lost if it does not.
    """
    settings = for_steps(settings or load_settings())
    asked, clock = Asked.of(data), SystemClock()
    with forwarded(context.logger):
        async with asyncio.timeout(timeout_s - 1.0), _opened(settings, clock) as (sync, store):
            work = Work(sync, store, clock, clock.monotonic(), timeout_s)
            try:
                await store.hint(asked.refs, clock.now())
                if not asked.refs:
                    await work.poll(everything=asked.everything)
                await work.drain()
            except (SyncError, TimeoutError) as error:
                reason = error.reason if isinstance(error, SyncError) else "timeout"
                context.logger.warn("not everything could be done now", {"reason": reason, **work.told()})
                raise
            context.logger.info("done", work.told())


def for_steps(settings: Settings) -> Settings:
    """These settings, if steps that share nothing but them can work with them."""
    if settings.lock.url.startswith("local:"):
        raise Misconfigured("lock.url must name the Redis server that all steps share")
    if settings.state.url.endswith(":memory:"):
        raise Misconfigured("state.url must name a state that outlives a step")
    return settings


@attrs.define(eq=False, repr=False)
class Work:
    """What is done in one call, and how much time it has."""

    sync: PartySync
    store: SqlStore
    clock: Clock
    began: float
    timeout_s: float
    states: Counter[str] = attrs.Factory(Counter)
    reasons: Counter[str] = attrs.Factory(Counter)

    def left(self, part: float) -> float:
        """Seconds until this part of the time is over."""
        return self.began + part * self.timeout_s - self.clock.monotonic()

    def told(self) -> dict[str, object]:
        """What was done, in numbers: no ids, no values."""
        return {"states": dict(self.states), "reasons": dict(self.reasons), "calls": self.sync.calls}

    async def poll(self, *, everything: bool) -> None:
        """One pass over what changed on either side, or over everything."""
        async with asyncio.timeout(self.left(ENDS_AT)):
            tally = await self.sync.sweep(everything=everything, rounds=1)
        for outcome in tally.outcomes.values():
            self._count(outcome)

    async def drain(self) -> None:
        """Deal with hints until none is due; ``Unfinished`` if the time is up before."""
        while self.left(STARTS_UNTIL) > 0:
            now = self.clock.now()
            taken = await self.store.take(now, limit=1, until=now + self.left(1.0) + 5.0)
            if not taken:
                return
            await self._deal(taken[0])
        raise Unfinished("the time of this call is up: the rest waits for the next")

    async def _deal(self, hint: Hint) -> None:
        try:
            async with asyncio.timeout(self.left(ENDS_AT)):
                outcome = await self.sync.sync(hint.ref)
        except (SyncError, TimeoutError):
            await self.store.put_off(hint, self.clock.now() + AGAIN_AFTER_S)
            raise
        self._count(outcome)
        if outcome.retry_at is None:
            await self.store.done([hint])
        else:
            await self.store.put_off(hint, max(outcome.retry_at, self.clock.now() + AGAIN_AFTER_S))

    def _count(self, outcome: Outcome) -> None:
        self.states[outcome.state.value] += 1
        if outcome.reason:
            self.reasons[outcome.reason] += 1


@asynccontextmanager
async def _opened(settings: Settings, clock: Clock) -> AsyncIterator[tuple[PartySync, SqlStore]]:
    """Everything that a call needs, closed at its end: nobody else would, the process is killed."""
    async with AsyncExitStack() as stack:
        store = await open_store(settings)
        stack.push_async_callback(store.close)
        if not isinstance(store, SqlStore):
            raise Misconfigured("state.url must name a state that outlives a step")
        locks = await open_locks(settings, clock, stack)
        shared = sign_ins(settings, locks, clock)
        sync = await stack.enter_async_context(
            open_sync(settings, store=store, locks=locks, clock=clock, sign_ins=shared, wrap=Attached)
        )
        yield sync, store


def sign_ins(settings: Settings, locks: LockProvider, clock: Clock) -> SignIns | None:
    """The sign-ins that steps share; none without a key, for none is kept in the clear."""
    if not settings.state.encryption_key or isinstance(locks, LocalLocks):
        return None
    from bidisync.locks.redis import RedisLocks
    from bidisync.stores.seal import AesSeal

    if not isinstance(locks, RedisLocks):
        return None
    short = RedisLocks(locks.client, SIGN_IN_LEASE_S, SIGN_IN_WAIT_S, locks.namespace)
    return SignIns(RedisTokens(short), short, AesSeal.of(settings.state.encryption_key), clock)
