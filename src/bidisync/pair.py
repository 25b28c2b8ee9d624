"""Two stores of your own kept in step, in a dozen lines and without a server.

Everything that a sync is made of has a default here: a policy for the fields that are named,
locks within the process, the clock of the machine. What is given replaces it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from bidisync.clock import SystemClock
from bidisync.conflicts import ask
from bidisync.engine import Engine
from bidisync.errors import Misconfigured
from bidisync.guards import Bounds
from bidisync.identity import Identity
from bidisync.locks.local import LocalLocks
from bidisync.model import Ref
from bidisync.outcome import Outcome, Tally
from bidisync.parts import Limits, Parts
from bidisync.protocols import Clock, ConflictStrategy, LockProvider, Observer, Replica, StateStore
from bidisync.records import RecordReplica, Records
from bidisync.schema import Field, Group, OnDelete, Policy
from bidisync.stores.memory import MemoryStore
from bidisync.stores.sqlite import SqliteStore
from bidisync.sweep import Sweep

USUAL = Bounds()
IN_PROCESS = Limits(concurrency=100, chunk=200, grace_s=0.0)
"""Bounds for stores that answer at once, and say for certain that a record is not there."""


KEPT = 5_000
"""So many rows of changed records are kept until their turn; others are asked for again, which costs little here."""


@attrs.frozen
class Pair:
    """Two stores and what is remembered of them. Open it with ``open_pair``."""

    engine: Engine
    store: StateStore

    async def sync(self, *, everything: bool | None = None) -> Tally:
        """Bring both into step: what changed since the last time, wherever that was.

        ``everything`` reads both in full, which finds whatever is missing; that is the
        default unless both tell what changed. The tally counts everybody, and has the outcomes
        of those that are not in step.
        """
        if everything is None:
            replicas = self.engine.parts.replicas.values()
            everything = not all(replica.capabilities.changed_since for replica in replicas)
        return await Sweep(self.engine, keep_rows=KEPT, lean=True).run(everything=everything)

    async def sync_one(self, ref: Ref | str) -> Outcome:
        """Bring one record into step: ``left:ID`` or ``right:ID``."""
        return await self.engine.sync(Ref.parse(ref) if isinstance(ref, str) else ref)


@asynccontextmanager
async def open_pair(
    left: Replica | Records,
    right: Replica | Records,
    *,
    fields: Iterable[str | Field] = (),
    strategy: ConflictStrategy = ask,
    policy: Policy | None = None,
    match: Sequence[str] = (),
    identity: Identity | None = None,
    on_delete: OnDelete = OnDelete.REVIEW,
    state: str | Path | StateStore = "memory:",
    bounds: Bounds = USUAL,
    limits: Limits | None = None,
    locks: LockProvider | None = None,
    clock: Clock | None = None,
    observers: Sequence[Observer] = (),
) -> AsyncIterator[Pair]:
    """A pair of stores that ``pair.sync()`` keeps in step.

    What takes part is named by ``fields``, with one ``strategy`` for all of them, or by a
    ``policy``. Records that exist on both sides before the first sync are recognised by the
    fields named in ``match``, or by an ``identity``; else they are strangers. ``state`` is
    ``memory:``, ``sqlite:///FILE``, a path, ``postgresql://…`` or a store that stays yours.
    Without ``limits`` the stores are taken to answer at once.
    """
    clock = clock or SystemClock()
    policy = policy or _policy(fields, strategy, on_delete)
    names = tuple(field.name for field in policy.fields)
    store = await _opened(state)
    try:
        parts = Parts(
            left=_replica(left, names, clock),
            right=_replica(right, names, clock),
            policy=policy,
            store=store,
            locks=locks or LocalLocks(clock=clock),
            identity=identity or Identity(strong=(tuple(match),) if match else ()),
            bounds=bounds,
            limits=limits or _limits(store),
            clock=clock,
            observers=observers,
        )
        yield Pair(await Engine.open(parts), store)
    finally:
        if store is not state:
            await store.close()


def _limits(store: StateStore) -> Limits:
    """What lies in memory or in a file is used on one machine, by one clock."""
    return attrs.evolve(IN_PROCESS, clocks_apart_s=0.0) if isinstance(store, MemoryStore | SqliteStore) else IN_PROCESS


def _policy(fields: Iterable[str | Field], strategy: ConflictStrategy, on_delete: OnDelete) -> Policy:
    if isinstance(fields, str):
        raise Misconfigured(f"fields is a list of names: write fields=[{fields!r}]")
    named = [Field(field, "record") if isinstance(field, str) else field for field in fields]
    if not named:
        raise Misconfigured("nothing takes part in this sync: name its fields, or give a policy")
    groups = dict.fromkeys(field.group for field in named)
    return Policy(named, [Group(name, strategy=strategy) for name in groups], on_delete=on_delete)


def _replica(side: Replica | Records, names: tuple[str, ...], clock: Clock) -> Replica:
    if isinstance(side, Records):
        return RecordReplica(side, names, now=clock.now)
    if hasattr(side, "capabilities"):
        return side
    lacks = [name for name in ("all", "get", "add", "change") if not hasattr(side, name)]
    raise Misconfigured(f"{type(side).__name__} is no store and no replica: it lacks {', '.join(lacks)}")


async def _opened(state: str | Path | StateStore) -> StateStore:
    if isinstance(state, Path):
        return await SqliteStore.open(state)
    if not isinstance(state, str):
        return state
    return await _at(state)


async def _at(url: str) -> StateStore:
    kind, _, rest = url.partition(":")
    if kind == "memory" and not rest:
        return MemoryStore()
    if kind == "sqlite" and rest.startswith("///"):
        return await SqliteStore.open(rest.removeprefix("///"))
    if kind in ("postgresql", "postgres"):
        from bidisync.stores.postgres import PostgresStore

        return await PostgresStore.open(url)
    raise Misconfigured("the state of a pair is memory:, sqlite:///FILE, a path, postgresql://… or a store")
