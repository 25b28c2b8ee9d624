"""Laws that are watched while things happen: what a world at rest shows no more.

Nothing here changes anything; whoever stores, sends or deletes says so, and is believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

import attrs

from bidisync.model import Notes, Ref, Side, Snapshot, Value, Verb
from bidisync.protocols import Lease
from bidisync.state import Journaled, Known, Link
from bidisync.testing.simulation.loop import PROCESS, Process, at_once

if TYPE_CHECKING:
    from bidisync.testing.simulation.world import Applied, World

FRESH_S = 2.2
"""How long after its read a write may be sent that no version guards."""


@attrs.define(eq=False)
class Watch:
    """Whoever writes is watched here: with what right, on what, and after whom."""

    world: World
    back: set[tuple[Side, str]] = attrs.Factory(set)
    """Records that somebody deleted and brought back."""
    _fences: dict[tuple[int, str], int] = attrs.Factory(dict)  # that each task stored last, by link
    _leases: dict[int, Lease] = attrs.Factory(dict)  # the newest of each task
    _together: dict[tuple[int, str], Lease] = attrs.Factory(dict)  # by the link that it is for, of tasks that hold many
    _held: dict[int, int] = attrs.Factory(dict)  # the step at which it got that
    _learnt: dict[Ref, int] = attrs.Factory(dict)  # the step at which a record came into the index
    _sent: dict[tuple[Side, str], int] = attrs.Factory(dict)  # the newest write to each record
    _doubtful: set[tuple[Side, str]] = attrs.Factory(set)  # creates of which nobody can tell what became
    _number: int = 0

    def held(self, lease: Lease) -> None:
        """A task has a lease now."""
        self._leases[_task()] = lease
        self._held[_task()] = self.world.loop.steps

    def held_together(self, leases: Mapping[str, Lease]) -> None:
        """A task, and those that it starts, have these leases now, each for the link of that name."""
        TOGETHER.set(object())
        for key, lease in leases.items():
            self._together[_task(), key] = lease

    def let_go(self) -> None:
        """The task goes on alone."""
        TOGETHER.set(None)

    def learnt(self, known: Sequence[Known]) -> None:
        """The index knows these from here on."""
        for entry in known:
            self._learnt.setdefault(entry.ref, self.world.loop.steps)

    def forgotten(self, refs: Sequence[Ref]) -> None:
        """The index knows these no more."""
        for ref in refs:
            self._learnt.pop(ref, None)

    # What is stored

    def stored(self, before: Link | None, link: Link, absorbs: Sequence[Link], journal: Sequence[Journaled]) -> None:
        """A state took the place of ``before``."""
        world = self.world
        self._fences[_task(), link.id] = link.fence
        if _dry():
            world.violated("C14", f"a dry run stored {link.id}")
        if (0 if before is None else before.revision) != link.revision:
            world.violated("C12", f"{link.id} was stored over a state that its writer had not read")
        for old in (*absorbs, *(() if before is None else (before,))):
            torn = [ref for ref in old.refs if ref not in link.refs] or (old.id != link.id and len(old.refs) > 1)
            if len(old.refs) > 1 and torn and not old.tombstoned:
                world.violated("C3", f"the pair of {old.id} was torn apart")
        if any(line.what == "adopt" for line in journal):
            self._no_guess(before, link)

    def _no_guess(self, before: Link | None, link: Link) -> None:
        """C3: of several who might be meant, none is taken for the same."""
        for side in Side:
            mine, there = link.on(side.other), link.on(side)
            known = before is not None and before.on(side) is not None
            if mine is None or there is None or known or (before is None and link.origin.side is side):
                continue
            if self.world.restored or self._names(side, there, mine) or self._names(side.other, mine, there):
                continue
            people, since = self.world.people, self._held.get(_task(), 0)
            who = people.names.get((side, there), "")
            rivals = [
                id
                for id, fields in self.world.remote(side).records().items()
                if id != there and people.who(fields) == who and self._learnt.get(Ref(side, id), since) < since
            ]
            if who and rivals:
                self.world.violated("C3", f"{link.id} might be any of {len(rivals) + 1}, and one was taken")

    def _names(self, side: Side, id: str, counterpart: str) -> bool:
        """Whether the notes of a record name this one of the other side."""
        notes = notes_of(self.world, side, id)
        return notes is not None and notes.counterpart == counterpart

    # What is sent

    def sends(self, side: Side, seen: Snapshot, read_at: float, *, guarded: bool) -> int:
        """A data write to this record goes out now, on what was read at that moment; its number."""
        world, process = self.world, PROCESS.get()
        self._within_lease(f"a write to {side.value} {seen.id}", Ref(side, seen.id))
        self._under_fence(Ref(side, seen.id))
        paused = process is not None and process.parked_until >= read_at
        if not guarded and not paused and world.loop.time() - read_at > FRESH_S:
            world.violated("C12", f"a write to {side.value} {seen.id} stands on an old read")
        self._number += 1
        self._sent[side, seen.id] = self._number
        return self._number

    def arrived(self, side: Side, id: str, number: int) -> None:
        """The write of this number took effect."""
        if number < self._sent.get((side, id), 0):
            self.world.violated("C12", f"a write to {side.value} {id} arrived after a newer one was sent")

    def written(self, applied: Applied) -> None:
        """C10: what has to be approved first is written just as it was approved, and while that counts."""
        world, ref = self.world, Ref(applied.side, applied.id)
        link = at_once(world.store.inner.load([ref])).get(ref)
        if applied.verb is not Verb.UPDATE or (link is None and world.restored):
            return
        allowed = set() if link is None else world.office.approved.get(link.id, set())
        for name in world.scenario.exercise.asks:
            value = applied.after.get(name)
            if value != applied.before.get(name) and (name, value) not in allowed:
                world.violated("C10", f"{name} of {applied.side.value} {applied.id} was written unasked")

    def _within_lease(self, what: str, ref: Ref | None = None) -> None:
        lease, process = self._leases.get(_task()), PROCESS.get()
        if TOGETHER.get() is not None and ref is not None:
            link = at_once(self.world.store.inner.load([ref])).get(ref)
            lease = None if link is None else self._together.get((_task(), link.id))
        now = self.world.loop.time()
        just_paused = process is not None and process.parked_until >= now - 0.01
        if lease is not None and not just_paused and lease.remaining() < self.world.scenario.timeout_s:
            self.world.violated("C12", f"{what} may outlast its lease")

    def _under_fence(self, ref: Ref) -> None:
        link = at_once(self.world.store.inner.load([ref])).get(ref)
        if link is not None and link.fence > self._fences.get((_task(), link.id), 0):
            self.world.violated("C12", f"a write to {ref} was sent although somebody else had taken it over")

    def creates(self, side: Side, fields: Mapping[str, Value], *, searchable: bool) -> str:
        """A create goes out; whose."""
        who = self.world.people.who(fields)
        self._within_lease(f"a create on the {side.value}")
        if not searchable:
            if (side, who) in self._doubtful and who not in self.world.people.doubled and not self.world.restored:
                self.world.violated("C3", f"{who} was sent to the {side.value} again although nobody can tell")
            self._doubtful.add((side, who))
        return who

    def answered(self, side: Side, who: str) -> None:
        """It is certain what became of the create."""
        self._doubtful.discard((side, who))

    def deletes(self, side: Side, id: str) -> None:
        """A deletion goes out."""
        world, store, ref = self.world, self.world.store.inner, Ref(side, id)
        self._within_lease(f"a deletion of {ref}")
        if (side, id) in self.back and not world.restored:
            world.violated("C4", f"{ref} was brought back by somebody, and is deleted again")
        if at_once(store.get_mark("baseline")) is not None:
            world.violated("C10", f"{ref} is deleted while the scope is new")
        mine = at_once(store.load([ref])).get(ref)
        others = [
            link
            for link in at_once(_all(world))
            if not link.tombstoned and link.on(side.other) is not None and (mine is None or link.id != mine.id)
        ]
        if not others:
            world.violated("C10", f"{ref} is deleted, and nobody else was there to ask")

    def requested(self, process: Process | None, what: str) -> None:
        """A request that writes goes out, to whichever system."""
        if process is not None and process.dry:
            self.world.violated("C14", f"a dry run sent {what}")


def notes_of(world: World, side: Side, id: str) -> Notes | None:
    """What a record shows of its synchronisation, as far as this remote lets us see it."""
    of: Callable[[str], Notes | None] | None = getattr(world.remote(side), "notes_of", None)
    return None if of is None else of(id)


async def _all(world: World) -> list[Link]:
    return [link async for links in world.store.inner.links() for link in links]


TOGETHER: ContextVar[object | None] = ContextVar("together", default=None)
"""What the tasks have in common that do the work of one that holds many leases."""


def _task() -> int:
    return id(TOGETHER.get() or asyncio.current_task())


def _dry() -> bool:
    process = PROCESS.get()
    return process is not None and process.dry
