"""What a worker of a simulation is made of besides its replicas: clock, chance, state, leases.

The shipped store and the shipped leases, with faults around them.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs

from bidisync.errors import Contended, Unavailable
from bidisync.locks.local import LocalLocks
from bidisync.model import Ref, Side
from bidisync.protocols import Clock, Lease
from bidisync.state import Journaled, Known, Link, Living
from bidisync.stores.memory import MemoryStore
from bidisync.testing.simulation.loop import PROCESS

if TYPE_CHECKING:
    from bidisync.testing.simulation.world import World

EPOCH = 1_700_000_000.0
STORE_FAULTY = 0.004


@attrs.frozen
class SimClock:
    """Virtual time as a process with a clock of its own sees it."""

    world: World
    skew_s: float = 0.0

    def now(self) -> float:
        """Seconds since 1970, as far as this process knows."""
        return EPOCH + self.world.loop.time() + self.skew_s

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        return self.world.loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(max(0.0, seconds))


@attrs.define
class SimChance:
    """The chance of one process: no decision of the world's, so not on the tape."""

    seed: str
    _random: random.Random = attrs.field(init=False)

    @_random.default
    def _seeded(self) -> random.Random:
        return random.Random(self.seed)

    def fraction(self) -> float:
        """Evenly spread in [0, 1)."""
        return self._random.random()

    def token(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._random.getrandbits(128):032x}"


@attrs.define(eq=False)
class SimStore:
    """The shipped ``MemoryStore``, shared by all workers, with a moment before and after each commit."""

    world: World
    inner: MemoryStore = attrs.Factory(MemoryStore)
    journaled: list[tuple[Link, Journaled]] = attrs.Factory(list)
    """Every line that was ever stored, with the link as it was stored with it; a restore keeps it."""
    _backup: MemoryStore | None = None

    def back_up(self) -> None:
        """Remember the state as it is."""
        self._backup = self.copied()

    def copied(self) -> MemoryStore:
        """The state as it is, for somebody else to use."""
        other = copy.copy(self.inner)
        for field in attrs.fields(MemoryStore):
            setattr(other, field.name, copy.copy(getattr(self.inner, field.name)))
        return other

    def restore(self) -> None:
        """Have the state of the backup again."""
        if self._backup is not None:
            self.inner = self._backup

    async def load(self, refs: Sequence[Ref]) -> Mapping[Ref, Link]:
        """The links of those records that have one."""
        await self._trip()
        return await self.inner.load(refs)

    async def links(self) -> AsyncIterator[Sequence[Link]]:
        """All links."""
        async for links in self.inner.links():
            await self._trip()
            yield links

    async def resting(self, side: Side, tokens: Sequence[tuple[str, str | None]]) -> Mapping[str, str]:
        """Those of the records that need no look at these versions."""
        await self._trip()
        return await self.inner.resting(side, tokens)

    async def living(self, side: Side) -> AsyncIterator[Sequence[Living]]:
        """The records of that side whose links are not over."""
        async for living in self.inner.living(side):
            await self._trip()
            yield living

    async def save(self, link: Link, *, journal: Sequence[Journaled] = (), absorbs: Sequence[Link] = ()) -> Link:
        """Store the link; the acknowledgement may get lost."""
        lost = await self._before_commit(link.id)
        stored = await self._stored(link, journal, absorbs)
        await self._after_commit(link.id, lost=lost)
        return stored

    async def save_many(self, links: Sequence[tuple[Link, Sequence[Journaled]]]) -> Sequence[Link]:
        """Store the links, all or none; the acknowledgement may get lost."""
        name = f"{len(links)} links"
        lost = await self._before_commit(name)
        await self.copied().save_many(links)  # refused as a whole, or not at all
        stored = [await self._stored(link, journal, ()) for link, journal in links]
        await self._after_commit(name, lost=lost)
        return stored

    async def _before_commit(self, name: str) -> bool:
        """What comes in between; whether the acknowledgement is going to get lost."""
        fault = self.world.draw("store", STORE_FAULTY, 3)
        if fault == 2:
            self.world.fault("S3", f"save {name}")
            raise Unavailable("the disk is full", system="state")
        await self._trip(3.0 if fault == 3 else 0.0)
        return fault == 1

    async def _stored(self, link: Link, journal: Sequence[Journaled], absorbs: Sequence[Link]) -> Link:
        before = next(iter((await self.inner.load(link.refs[:1])).values()), None)
        mine = next((old for old in (await self.inner.load([link.origin])).values() if old.id == link.id), None)
        stored = await self.inner.save(link, journal=journal, absorbs=absorbs)
        self.world.watch.stored(mine, link, absorbs, journal)
        self._no_ghost(before, stored)
        self.journaled += [(stored, line) for line in journal]
        return stored

    async def _after_commit(self, name: str, *, lost: bool) -> None:
        process = PROCESS.get()
        if process is not None:
            process.unsaved_writes = 0
        await asyncio.sleep(0)
        if lost:
            self.world.fault("S2", f"save {name}")
            raise Unavailable("the state did not answer", system="state")

    def _no_ghost(self, before: Link | None, now: Link) -> None:
        """C4: a link that ended begins again only where somebody brought a record of it back."""
        if before is None or before.tombstone is None or now.tombstoned or now.id != before.id:
            return
        world = self.world
        if not any(
            ref.side in before.tombstone.gone and ref.id in world.remote(ref.side).records() for ref in now.refs
        ):
            world.violated("C4", f"{now.id} ended, and began again without a cause")

    async def erase(self, link: Link, *, journal: Sequence[Journaled] = ()) -> Link:
        """Store the link, and take the values out of its journal."""
        await self._trip()
        return await self.inner.erase(link, journal=journal)

    async def fade(
        self, numbers: Sequence[int], *, journal: Sequence[Journaled] = (), decided_on: Sequence[Link] = ()
    ) -> None:
        """Take the values out of these entries of the journal."""
        await self._trip()
        await self.inner.fade(numbers, journal=journal, decided_on=decided_on)

    async def shred(self) -> None:
        """Nothing is left of what was replaced."""
        await self.inner.shred()

    async def fence(self, link: Link) -> int:
        """The fence that is stored now."""
        await self._trip()
        return await self.inner.fence(link)

    async def open_creates(self) -> Sequence[Link]:
        """Links with a create that nobody has finished."""
        await self._trip()
        return await self.inner.open_creates()

    async def unsettled(self) -> Sequence[Link]:
        """Links that are due again by themselves."""
        await self._trip()
        return await self.inner.unsettled()

    async def waiting(self) -> Sequence[Link]:
        """Links about which a person is asked something."""
        await self._trip()
        return await self.inner.waiting()

    async def watched(self) -> Sequence[Link]:
        """Links with a create whose twin is still looked for."""
        await self._trip()
        return await self.inner.watched()

    async def acts_since(self, at: float, *, only: Sequence[str] | None = None) -> Mapping[str, AbstractSet[str]]:
        """How many links each act concerned since then."""
        await self._trip()
        return await self.inner.acts_since(at, only=only)

    async def history(self, *, before: int | None = None, limit: int = 100) -> Sequence[tuple[int, Journaled]]:
        """The newest entries of the journal."""
        return await self.inner.history(before=before, limit=limit)

    async def count(self) -> Mapping[str, int]:
        """How many links there are in each state."""
        return await self.inner.count()

    async def learn(self, known: Sequence[Known]) -> None:
        """Put records into the index."""
        await self._trip()
        await self.inner.learn(known)
        self.world.watch.learnt(known)

    async def forget(self, refs: Sequence[Ref]) -> None:
        """Take records out of the index."""
        await self._trip()
        await self.inner.forget(refs)
        self.world.watch.forgotten(refs)

    async def matches(self, side: Side, keys: Mapping[str, str]) -> Sequence[Known]:
        """The records of that side which share one of these keys."""
        await self._trip()
        return await self.inner.matches(side, keys)

    async def journal(self, link_id: str) -> Sequence[Journaled]:
        """The journal of a link, oldest first."""
        return await self.inner.journal(link_id)

    async def get_mark(self, name: str) -> str | None:
        """A small value by its name."""
        await self._trip()
        return await self.inner.get_mark(name)

    async def set_mark(self, name: str, value: str | None) -> None:
        """Set or remove it."""
        await self._trip()
        await self.inner.set_mark(name, value)

    async def first_mark(self, name: str, value: str) -> str:
        """Set it unless it is set; what stands there then."""
        await self._trip()
        return await self.inner.first_mark(name, value)

    async def close(self) -> None:
        """Nothing is held."""

    async def _trip(self, busy_s: float = 0.0) -> None:
        if busy_s:
            self.world.fault("S4", "the state is busy")
        await asyncio.sleep(busy_s)


@attrs.define(eq=False)
class SimLease:
    """A lease as its holder sees it: by its own time, whatever became of the table."""

    clock: Clock
    lease_s: float
    inner: Lease
    ends_at: float

    def remaining(self) -> float:
        """Seconds until it ends, as far as the holder knows."""
        return max(0.0, self.ends_at - self.clock.monotonic())

    async def renew(self) -> None:
        """Make it last its full time again; ``Contended`` if the table says otherwise."""
        await asyncio.sleep(0.002)
        if self.inner.remaining() <= 0:
            raise Contended("the lease was lost")
        await self.inner.renew()
        self.ends_at = self.clock.monotonic() + self.lease_s


@attrs.define(eq=False)
class SimLocks:
    """The shipped ``LocalLocks`` over a table that all workers share, as a server would."""

    world: World
    clock: Clock
    lease_s: float
    _inner: LocalLocks = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._inner = LocalLocks(self.lease_s, 1.0, self.clock, self.world.leases)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[Lease]:
        """Hold the key, unless the server has other ideas."""
        world = self.world
        await self._asked(key)
        began = self.clock.monotonic()
        holding = self._inner.hold(key)
        inner = await holding.__aenter__()
        lease = SimLease(self.clock, self.lease_s, inner, began + self.lease_s)
        world.watch.held(lease)
        try:
            yield lease
        finally:
            owner = world.leases.get(key)
            if lease.remaining() <= 0:
                world.fault("L1", key)
            if owner is not None and owner is not inner:
                world.fault("L5", key)
            await holding.__aexit__(None, None, None)
            if owner is not None and owner is not inner and world.leases.get(key) is not owner:
                world.violated("C12", f"a lease on {key} was released by somebody who did not own it")

    @asynccontextmanager
    async def hold_free(self, keys: Sequence[str]) -> AsyncIterator[Mapping[str, Lease]]:
        """Hold those of the keys that nobody holds, unless the server has other ideas."""
        world = self.world
        await self._asked(keys[0])
        began = self.clock.monotonic()
        async with self._inner.hold_free(keys) as inner:
            ends_at = began + self.lease_s
            leases = {key: SimLease(self.clock, self.lease_s, one, ends_at) for key, one in inner.items()}
            world.watch.held_together(leases)
            try:
                yield leases
            finally:
                world.watch.let_go()

    async def _asked(self, key: str) -> None:
        """The server was asked for a key: what it thinks of that."""
        world = self.world
        await asyncio.sleep(0.002)
        fault = world.draw("lock", world.scenario.exercise.leases_faulty, 4)
        if fault == 1:
            world.fault("L4", key)
            raise Unavailable("the lock server does not answer", system="lock")
        if fault == 2 and world.leases:
            world.fault("L2", f"{len(world.leases)} leases")
            world.leases.clear()
        if fault > 2 and key in world.leases:
            world.fault("L3", key)
            del world.leases[key]
