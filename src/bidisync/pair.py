"""Two stores of your own kept in step, in a dozen lines and without a server.

Everything that a sync is made of has a default here: a policy for the fields that are named,
locks within the process, the clock of the machine. What is given replaces it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from bidisync import approval
from bidisync.arguments import check_can, check_kind, identity_of, innermost, observers_of, policy_of, replicas_of
from bidisync.clock import SystemClock
from bidisync.conflicts import ask, fill_blanks
from bidisync.encounter import refuse_untold
from bidisync.engine import Engine
from bidisync.errors import Moved
from bidisync.guards import Bounds, HeldPlan, held_plans
from bidisync.identity import Identity
from bidisync.locks.local import LocalLocks
from bidisync.model import Ref
from bidisync.outcome import Outcome, Tally
from bidisync.parts import Limits, Parts
from bidisync.place import claim, open_state, refuse_another
from bidisync.protocols import Clock, ConflictStrategy, LockProvider, Observer, Replica
from bidisync.records import Records
from bidisync.schema import Field, OnDelete, Policy
from bidisync.scope import scope_of
from bidisync.storage import StateStore
from bidisync.stores.memory import MemoryStore
from bidisync.stores.sqlite import SqliteStore
from bidisync.sweep import Sweep

USUAL = Bounds()
ELSEWHERE = Limits(concurrency=100, chunk=200, grace_s=0.0)
"""Limits for sides that say for certain that a record is not there."""
IN_PROCESS = attrs.evolve(ELSEWHERE, request_timeout_s=1.0, search_lag_s=0.0)
"""The same for stores that answer at once."""
LEAST_LEASE_S = 5.0

KEPT = 5_000
"""So many rows of changed records are kept until their turn; others are asked for again, which costs little here."""


@attrs.frozen
class Pair:
    """Two stores and what is remembered of them: brings them into step whenever it is asked to. ``open_pair`` makes it.

    ``engine`` is what does the work: ``engine.explain(ref)`` says why a record is as it is, and
    ``engine.impose(ref, choose, by=…)`` gives both sides what a person chose. ``store`` is the
    state; ``await store.waiting()`` are the links about which a person is asked. ``strangers``
    is what ``open_pair`` was told.
    """

    engine: Engine
    store: StateStore
    strangers: bool = False

    async def sync(self, *, everything: bool | None = None) -> Tally:
        """Bring both into step: what changed since the last time, wherever that was.

        ``everything`` reads both in full, which finds whatever is missing; that is the
        default unless both tell what changed. The tally counts everybody, and has the outcomes
        of those that are not in step. What fails of one record is its outcome, and due again.
        Raises ``Misconfigured`` before anything is written where both sides hold records at first
        contact and nothing tells who is who, ``Unavailable``, ``RateLimited`` and
        ``Unauthorized`` where a whole side fails, and what a store raises that is no
        ``SyncError``. What was done until then is kept; the next call goes on.
        """
        await self._begin()
        if everything is None:
            replicas = self.engine.parts.replicas.values()
            everything = not all(replica.capabilities.changed_since for replica in replicas)
        return await Sweep(self.engine, keep_rows=KEPT, lean=True).run(everything=everything)

    async def sync_one(self, ref: Ref | str) -> Outcome:
        """Bring one record into step: ``left:ID`` or ``right:ID``, anything else is a ``ValueError``.

        Raises what ``sync`` raises.
        """
        await self._begin()
        return await self.engine.sync(ref)

    async def retry(self, ref: Ref | str) -> Outcome:
        """Try a record again that was given up, from the beginning, and say how it stands then.

        Of which that is so ``store.waiting()`` tells: it is dead after its last attempt; its deletion
        was refused; nobody could tell what became of a create; or it was deleted and came back under
        its id, and is from now on a new one that gets a counterpart. Raises what ``sync`` raises, and
        ``Contended`` while somebody else works on it.
        """
        ref = Ref.of(ref)
        link = (await self.store.load([ref])).get(ref)
        if link is not None:
            await approval.rearm(self.store, self.engine.parts.clock, [link])
            if link.missing is not None:  # what is left of it is on the other side
                ref = next((one for one in link.refs if one.side is not link.missing.side), ref)
        return await self.sync_one(ref)

    async def held(self) -> tuple[HeldPlan, ...]:
        """What a guard holds until somebody approves it: why, which links, and the digest that ``approve`` takes.

        The links of one reason are approved together. Ask after a ``sync``, which may hold more.
        """
        return held_plans(await self.store.waiting())

    async def approve(self, digest: str) -> HeldPlan:
        """Let what is held under this digest go: the next ``sync`` does exactly that.

        A record that is edited meanwhile is judged anew. ``Moved`` where nothing that waits has
        this digest any more: see what ``held`` says now.
        """
        found = await approval.approve(self.store, self.engine.parts.clock, digest)
        if found is None:
            raise Moved("nothing is held under this digest (any more): held() tells what is")
        return found

    async def _begin(self) -> None:
        if not self.strangers:
            await refuse_untold(self.engine.parts)
        await claim(self.store, [field.name for field in self.engine.parts.policy.fields])


@asynccontextmanager
async def open_pair(
    left: Replica | Records,
    right: Replica | Records,
    *,
    fields: Iterable[str | Field] = (),
    strategy: ConflictStrategy = ask,
    initial: ConflictStrategy = fill_blanks,
    policy: Policy | None = None,
    match: Iterable[str] = (),
    identity: Identity | None = None,
    strangers: bool = False,
    on_delete: OnDelete = OnDelete.REVIEW,
    state: str | Path | StateStore = "memory:",
    bounds: Bounds = USUAL,
    limits: Limits | None = None,
    locks: LockProvider | None = None,
    clock: Clock | None = None,
    observers: Iterable[Observer] = (),
) -> AsyncIterator[Pair]:
    """A pair of stores that ``pair.sync()`` keeps in step, until the block ends.

    Raises ``Misconfigured`` where an argument can't be meant so, before anything is read or
    written, and ``Unavailable`` where the state can't be reached.

    * ``left``, ``right``: stores of yours (``Records``), or replicas; never one and the same.
    * ``fields``: what takes part, by name; a ``Field`` says more of it. A value of it is ``str``,
      ``int``, ``float``, ``bool``, ``None``, or a list or tuple of these.
    * ``strategy`` settles a field that both sides changed differently since the last sync. By
      default a person is asked, and neither side is written.
    * ``initial`` settles a field in which two records differ when they meet for the first time. By
      default an empty one is filled; where both are filled a person is asked.
    * ``policy``: groups of fields, each with a policy of its own, in place of ``fields``,
      ``strategy``, ``initial`` and ``on_delete``.
    * ``match``: the fields that together tell who is who, among records that are there on both
      sides already, or are new on both.
    * ``identity``: several such keys, or hints for a person, in place of ``match``.
    * ``strangers=True`` says that of the records which both sides hold before the first sync none is
      on both: each is made on the other side too. Needed only where neither ``match`` nor
      ``identity`` tells who is who, or where no record of a side has what they name.
    * ``on_delete``: what follows when a record was deleted on one side. By default a person is asked.
    * ``state``: where it is kept what both last agreed on: ``memory:`` (gone with the process),
      ``sqlite:///FILE``, a ``pathlib.Path``, ``postgresql://…``, or a store, which stays yours. Each
      pair has one of its own.
    * ``bounds``: how much a sync may delete, overwrite, empty or make unasked. What is more is
      held until ``Pair.approve``.
    * ``limits``: bounds of time and number. By default a store of yours is taken to answer within a
      second, and a replica within 30; ``Limits()`` is for a store that is a service somewhere else.
    * ``locks``: so that nobody works on a record twice at the same time; by default within this process.
    * ``clock``: the time, by default that of the machine.
    * ``observers``: functions that are told what happens, one event a call: ``[print]`` for instance.
    """
    clock = clock or SystemClock()
    check_can("clock", clock, "now", "monotonic", "sleep")
    policy = policy_of(fields, strategy, initial, on_delete, policy)
    identity = identity_of(match, identity)
    names = tuple(field.name for field in policy.fields)
    here, there = replicas_of(left, right, names, clock.now)
    told = observers_of(observers)
    check_kind("bounds", bounds, Bounds)
    if limits is not None:
        check_kind("limits", limits, Limits)
    if locks is not None:
        check_can("locks", locks, "hold", "lease_s")
    store = await open_state(state)
    limits = limits or _limits(store, left, right)
    try:
        parts = Parts(
            left=here,
            right=there,
            policy=policy,
            store=store,
            locks=locks or LocalLocks(max(LEAST_LEASE_S, 2 * limits.request_timeout_s), clock=clock),
            identity=identity,
            bounds=bounds,
            limits=limits,
            scope=scope_of(policy),
            clock=clock,
            observers=told,
        )
        await refuse_another(store, names)
        yield Pair(await Engine.open(parts), store, strangers)
    finally:
        if store is not state:
            await store.close()


def _limits(store: StateStore, *sides: object) -> Limits:
    """Stores of one's own answer at once; what lies in memory or in a file is used on one machine, by one clock."""
    limits = IN_PROCESS if all(isinstance(innermost(side), Records) for side in sides) else ELSEWHERE
    return attrs.evolve(limits, clocks_apart_s=0.0) if isinstance(store, MemoryStore | SqliteStore) else limits
