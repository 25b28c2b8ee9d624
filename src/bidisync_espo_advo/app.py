"""The composition root: settings in, a running sync out, and everything closed again.

A part that not every caller needs is loaded where it is chosen: a step of Motia is a process
for one record, and would wait for all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import aiohttp
import attrs

from bidisync.clock import SystemChance, SystemClock
from bidisync.engine import Engine, Explanation
from bidisync.errors import Misconfigured
from bidisync.locks.local import LocalLocks
from bidisync.mapping import Mapped
from bidisync.model import LinkState, Plan, Ref, Side
from bidisync.outcome import Outcome, Tally
from bidisync.parts import Limits, Parts
from bidisync.protocols import Chance, Clock, ConflictStrategy, LockProvider, Observer, Replica, WorkQueue
from bidisync.retry import Backoff
from bidisync.storage import DecisionLog, HintStore, Seal, StateStore
from bidisync.stores.seal import AesSeal, Plain
from bidisync_espo_advo.fields import PARTY_IDENTITY, party_mapper
from bidisync_espo_advo.policy import delete_guard, party_bounds, party_policy, party_scope
from bidisync_espo_advo.remotes import Remotes as Remotes
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.sign_ins import SignIns
from bidisync_espo_advo.transport import Transport

if TYPE_CHECKING:
    from bidisync.state import Link, Traces
    from bidisync.stores.memory import MemoryStore
    from bidisync.stores.postgres import PostgresStore
    from bidisync.stores.sql import SqlStore
    from bidisync.stores.sqlite import SqliteStore
    from bidisync.sweep import Progress, Sweep


@attrs.frozen
class PartySync:
    """Parties kept in step. Made by ``open_sync``; usable until its block ends."""

    engine: Engine
    remotes: Remotes
    patience_s: float

    @property
    def sweeps(self) -> Sweep:
        """Passes over both sides."""
        from bidisync.sweep import Sweep

        return Sweep(self.engine, patience_s=self.patience_s)

    async def sync(self, ref: Ref | str) -> Outcome:
        """Bring one record into step: a ``Ref``, or ``left:ID`` (EspoCRM) or ``right:ID`` (Advoware)."""
        return await self.engine.sync(_ref(ref))

    async def sync_many(self, refs: Iterable[Ref | str]) -> list[Outcome]:
        """Bring many records into step, reads in bulk and a bounded number at once."""
        return await self.engine.sync_many([_ref(ref) for ref in refs])

    async def sweep(
        self,
        *,
        everything: bool = False,
        side: Side | None = None,
        rounds: int = 3,
        progress: Progress | None = None,
    ) -> Tally:
        """One pass over what changed since the last one, or over both sides in full."""
        return await self.sweeps.run(everything=everything, side=side, rounds=rounds, progress=progress)

    async def plan(self, ref: Ref | str) -> Plan | None:
        """What ``sync`` would do for a linked record now; ``None`` if it has no counterpart yet."""
        decided = await self.engine.decide(_ref(ref))
        return None if decided is None else decided[1]

    async def explain(self, ref: Ref | str) -> Explanation:
        """Field by field the row of the table and its result as things are now, and every decision taken before."""
        return await self.engine.explain(_ref(ref))

    async def states(self) -> Mapping[LinkState, int]:
        """How many links there are in each state."""
        return {LinkState(name): number for name, number in (await self.engine.parts.store.count()).items()}

    @property
    def calls(self) -> dict[str, dict[str, int]]:
        """The requests sent so far, by system and verb."""
        return self.remotes.calls


def _ref(ref: Ref | str) -> Ref:
    return ref if isinstance(ref, Ref) else Ref.parse(ref)


@asynccontextmanager
async def open_sync(
    settings: Settings,
    *,
    session: aiohttp.ClientSession | None = None,
    strategies: Mapping[str, ConflictStrategy] | None = None,
    store: StateStore | None = None,
    locks: LockProvider | None = None,
    clock: Clock | None = None,
    chance: Chance | None = None,
    observers: Iterable[Observer] = (),
    rehearse: bool = False,
    transports: Mapping[str, Transport] | None = None,
    sign_ins: SignIns | None = None,
    wrap: Callable[[Replica], Replica] | None = None,
) -> AsyncIterator[PartySync]:
    """A sync of parties in the caller's event loop, until the block ends.

    Closes what it opened and nothing else: a ``session``, ``store`` or ``locks`` that is
    given stays open. ``strategies``, by field group or by field, settle conflicts in place of
    the configured ones. With ``rehearse`` nothing is written anywhere: neither to the systems
    nor to the state that the settings name. ``transports`` carry the requests to
    ``espocrm`` and ``advoware`` in place of HTTP: the seam of a simulation. ``sign_ins``
    shares the sign-in to Advoware with other processes. ``wrap`` puts something of yours
    around each side's replica.

    Raises ``Misconfigured`` for settings that can't work.
    """
    settings.require_remotes()
    clock, chance = clock or SystemClock(), chance or SystemChance()
    policy, observers = party_policy(settings, strategies), tuple(observers)
    async with AsyncExitStack() as stack:
        dated = bool(strategies) or any("newest" in table.strategies.values() for table in settings.groups.values())
        remotes = Remotes.of(
            settings,
            clock,
            chance,
            session,
            transports=transports,
            tells_writers=dated,
            sign_ins=sign_ins,
            observers=observers,
        )
        stack.push_async_callback(remotes.close)
        if store is None:
            store = await (rehearsed_store(settings) if rehearse else open_store(settings))
            stack.push_async_callback(store.close)
        if locks is None:
            locks = await open_locks(settings, clock, stack)
        left: Replica = Mapped(remotes.espocrm, party_mapper("espocrm"))
        right: Replica = Mapped(remotes.advoware, party_mapper("advoware"))
        if wrap is not None:
            left, right = wrap(left), wrap(right)
        if rehearse:
            from bidisync.rehearsal import Rehearsal

            left, right = Rehearsal(left, "new-espocrm"), Rehearsal(right, "999999")
        limits = _limits(settings, store)
        parts = Parts(
            left=left,
            right=right,
            policy=policy,
            store=store,
            locks=locks,
            identity=PARTY_IDENTITY,
            detector=remotes.detector(policy),
            guard=delete_guard(settings),
            bounds=party_bounds(settings),
            scope=party_scope(settings),
            clock=clock,
            chance=chance,
            backoff=Backoff(attempts=settings.sync.max_attempts),
            limits=limits,
            observers=observers,
            show_state=settings.sync.visible_status != "off",
        )
        engine = await Engine.open(parts)
        patience = settings.lock.lease_s + limits.request_timeout_s + limits.search_lag_s + limits.clocks_apart_s
        yield PartySync(engine, remotes, patience + 5.0)


def _limits(settings: Settings, store: StateStore) -> Limits:
    """Bounds of time and number; a state in memory or in a file is used on one machine, by one clock."""
    from bidisync.stores.memory import MemoryStore
    from bidisync.stores.sqlite import SqliteStore

    one_clock = isinstance(store, MemoryStore | SqliteStore)
    return Limits(
        request_timeout_s=max(settings.espocrm.timeout_s, settings.advoware.timeout_s),
        search_lag_s=settings.sync.search_lag_s,
        consistency_s=settings.sync.search_lag_s,
        clocks_apart_s=0.0 if one_clock else Limits().clocks_apart_s,
        concurrency=settings.sync.concurrency,
    )


class Store(StateStore, HintStore, DecisionLog, Protocol):
    """A state that also keeps hints, and whose journal can be verified, as all of ours do."""

    async def traces(self, link: Link) -> Traces:
        """What is held of this link's records beside the link and its journal."""
        ...


async def open_store(settings: Settings, *, create: bool = True) -> Store:
    """The state that the settings name."""
    if settings.state.url == "sqlite:///:memory:":
        return _forgetful()
    return await _still_here(await open_database(settings, create=create, seal=seal_of(settings)))


async def _still_here(store: SqlStore) -> SqlStore:
    """The store, unless what it holds was moved elsewhere, or did not wholly arrive."""
    from bidisync.stores.closing import MOVED, StateMoved
    from bidisync.stores.moving import ARRIVING

    try:
        moved = await store.get_mark(MOVED)
        if moved is not None:
            raise StateMoved.to(moved)
        if await store.get_mark(ARRIVING) is not None:
            raise Misconfigured(
                f"a move of a state to {store.where} did not end: set state.url to the old place,"
                " and run the same espo-advo state move again"
            )
    except BaseException:
        await store.close()
        raise
    return store


async def open_database(settings: Settings, *, create: bool, seal: Seal) -> SqlStore:
    """The file or the server that the settings name, whatever became of the state in it."""
    if settings.state.url.startswith("sqlite:"):
        return await _sqlite().open(settings.state.url.removeprefix("sqlite:///"), create=create, seal=seal)
    return await _postgres().open(settings.state.url, create=create, seal=seal)


async def rehearsed_store(settings: Settings) -> StateStore:
    """A copy of the state that the settings name, which is neither changed nor made."""
    seal = seal_of(settings)
    if settings.state.url.startswith("sqlite:"):
        path = settings.state.url.removeprefix("sqlite:///")
        return _forgetful() if path == ":memory:" else await _still_here(await _sqlite().rehearse(path, seal=seal))
    original = await _postgres().look(settings.state.url, seal=seal)
    copy = await _sqlite().open(":memory:", seal=seal)
    if original is not None:
        try:
            await original.copy_into(copy)
        except BaseException:
            await copy.close()
            raise
        finally:
            await original.close()
    return await _still_here(copy)


def seal_of(settings: Settings) -> Seal:
    """The seal that the settings name, or none."""
    return AesSeal.of(settings.state.encryption_key) if settings.state.encryption_key else Plain()


def _forgetful() -> MemoryStore:
    from bidisync.stores.memory import MemoryStore

    return MemoryStore()


def _sqlite() -> type[SqliteStore]:
    from bidisync.stores.sqlite import SqliteStore

    return SqliteStore


def _postgres() -> type[PostgresStore]:
    try:
        from bidisync.stores.postgres import PostgresStore
    except ImportError as error:
        raise Misconfigured("state.url names a PostgreSQL server: pip install 'bidisync[postgres]'") from error
    return PostgresStore


@asynccontextmanager
async def open_queue(
    settings: Settings, store: HintStore, clock: Clock, observe: Observer = lambda event: None
) -> AsyncIterator[WorkQueue]:
    """The work queue that the settings name, over these hints."""
    hold_s, concurrency = settings.lock.lease_s, settings.sync.concurrency
    if settings.queue.url.startswith("local:"):
        from bidisync.runners.local import LocalQueue

        yield LocalQueue(store, clock, concurrency, hold_s, observe=observe)
        return
    try:
        from bidisync.runners.docket import DocketQueue
    except ImportError as error:
        raise Misconfigured("queue.url names a Redis server: pip install 'bidisync[scale]'") from error
    async with DocketQueue.open(settings.queue.url, store, clock, concurrency, hold_s, observe=observe) as queue:
        yield queue


async def open_locks(settings: Settings, clock: Clock, stack: AsyncExitStack) -> LockProvider:
    """The lock provider that the settings name; the stack closes it."""
    if settings.lock.url.startswith("local:"):
        return LocalLocks(lease_s=settings.lock.lease_s, clock=clock)
    if settings.lock.url.startswith("off:"):
        from bidisync.locks.none import NoLocks

        return NoLocks(lease_s=settings.lock.lease_s, clock=clock)
    try:
        from bidisync.locks.redis import RedisLocks
    except ImportError as error:
        raise Misconfigured("lock.url names a Redis server: pip install 'bidisync[redis]'") from error
    if settings.lock.when_unreachable == "go_on":
        from bidisync.locks.none import GoingOn

        locks = RedisLocks.at(settings.lock.url, lease_s=settings.lock.lease_s)
        stack.push_async_callback(locks.close)
        return GoingOn(locks, clock)
    locks = await RedisLocks.open(settings.lock.url, lease_s=settings.lock.lease_s)
    stack.push_async_callback(locks.close)
    return locks
