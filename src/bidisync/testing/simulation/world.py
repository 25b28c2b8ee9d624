"""The world of one run: two remotes, people, workers, and what goes wrong between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import attrs

from bidisync.errors import SyncError
from bidisync.events import Event
from bidisync.locks.local import LocalLease
from bidisync.model import Fields, Side, Value, Verb
from bidisync.schema import Policy
from bidisync.stores.memory import MemoryStore
from bidisync.sweep import Sweep
from bidisync.testing.simulation.choices import Choices
from bidisync.testing.simulation.drills import Exercise, Office
from bidisync.testing.simulation.hints import Hints
from bidisync.testing.simulation.loop import PROCESS, Process, SimLoop
from bidisync.testing.simulation.network import Ask, Network
from bidisync.testing.simulation.parts import SimChance, SimClock, SimLocks, SimStore
from bidisync.testing.simulation.people import People
from bidisync.testing.simulation.watch import Watch

POISONED = 3


@attrs.frozen
class Applied:
    """A write of ours that a remote carried out: the record before and after, in the shared form."""

    side: Side
    id: str
    verb: Verb
    before: Fields = attrs.field(repr=False)
    after: Fields = attrs.field(repr=False)
    at: float
    by: str
    in_window: tuple[str, ...] = ()  # fields that somebody edited after our read, written over unseen
    notes: bool = False  # it carried notes, which no field shows


class Remote(Protocol):
    """One system as the world and its people see it: everything here happens at once."""

    @property
    def network(self) -> Network:
        """The way there."""
        ...

    def records(self) -> Mapping[str, Fields]:
        """Every live record in the shared form, by its id, in a stable order."""
        ...

    def create(self, fields: Mapping[str, Value]) -> str:
        """A person makes a record."""
        ...

    def edit(self, id: str, field: str, value: Value) -> None:
        """A person changes a field."""
        ...

    def delete(self, id: str) -> None:
        """A person deletes a record."""
        ...


class Scenario(Protocol):
    """What is simulated: systems, policy, and how one engine over them is opened.

    ``person`` gives the fields that name somebody, which nobody edits, ``who`` is the one of
    them that identifies a record; ``edited`` are the fields that people edit. ``hinting`` are
    the sides that send hints. ``enforced`` says that both sides refuse outdated writes, so
    that no edit at all may be lost. ``exercise`` is what befalls it beyond the everyday.
    """

    @property
    def policy(self) -> Policy: ...

    @property
    def who(self) -> str: ...

    @property
    def edited(self) -> tuple[str, ...]: ...

    @property
    def hinting(self) -> tuple[Side, ...]: ...

    @property
    def enforced(self) -> bool: ...

    @property
    def exercise(self) -> Exercise: ...

    @property
    def timeout_s(self) -> float: ...

    @property
    def lease_s(self) -> float: ...

    @property
    def lag_s(self) -> float: ...

    def person(self, who: str) -> Mapping[str, Value]: ...

    def nobody(self, side: Side) -> str: ...

    def ignored_by(self, side: Side) -> tuple[str, ...]: ...

    def refused(self, side: Side) -> tuple[str, str] | None: ...

    def remote(self, world: World, side: Side) -> Remote: ...

    def open(self, world: World, process: Process, seats: Seats) -> AbstractAsyncContextManager[Sweep]: ...


@attrs.frozen
class Seats:
    """What one worker is opened with: the world's clock, chance, state, leases and ears."""

    clock: SimClock
    chance: SimChance
    store: SimStore | MemoryStore
    locks: SimLocks
    observer: Callable[[Event], None]
    rehearse: bool = False  # nothing may be written, only looked at


@attrs.define(eq=False)
class World:
    """Everything that there is in one run."""

    scenario: Scenario
    choices: Choices
    loop: SimLoop
    faulty: bool = True
    timeline: bool = False
    ordered: Callable[[str, Ask[Any], tuple[str, ...], int], int] | None = None
    faults: Counter[str] = attrs.Factory(Counter)
    lines: list[str] = attrs.Factory(list)
    violations: list[str] = attrs.Factory(list)
    escaped: Counter[str] = attrs.Factory(Counter)
    applied: list[Applied] = attrs.Factory(list)
    events: list[Event] = attrs.Factory(list)
    leases: dict[str, LocalLease] = attrs.Factory(dict)
    poison: list[str] = attrs.Factory(list)
    broken: set[str] = attrs.Factory(set)
    """People whose writes the right side fails, for ever."""
    scope: dict[str, str] = attrs.Factory(dict)
    """What the workers say their state is for."""
    end_workers: Callable[[], None] = lambda: None
    office: Office = attrs.Factory(Office)
    watchers: list[Callable[[Applied], None]] = attrs.Factory(list)
    """Told of each write of ours as it takes effect."""
    people: People = attrs.field(init=False)
    hints: Hints = attrs.field(init=False)
    watch: Watch = attrs.field(init=False)
    store: SimStore = attrs.field(init=False)
    clocks: dict[Side, SimClock] = attrs.field(init=False)
    restored: bool = False
    sender: Process | None = None
    """Whose request takes effect just now."""
    _remotes: dict[Side, Remote] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.people, self.hints, self.store, self.watch = People(self), Hints(self), SimStore(self), Watch(self)
        self.clocks = {side: SimClock(self, self.skew(f"skew.{side.value}", 90.0)) for side in Side}
        self._remotes = {side: self.scenario.remote(self, side) for side in Side}

    def remote(self, side: Side) -> Remote:
        """The system of that side."""
        return self._remotes[side]

    def network(self, side: Side) -> Network:
        """A way to that side."""
        scenario = self.scenario
        return Network(self, side.value, scenario.timeout_s, scenario.lease_s, scenario.lag_s)

    def draw(self, stream: str, chance: float, highest: int) -> int:
        """A decision; of what goes wrong, nothing does in a world without faults."""
        return self.choices.draw(stream, chance, highest) if self.faulty or stream in ("people", "order") else 0

    def skew(self, stream: str, most_s: float) -> float:
        """How far a clock is off."""
        drawn = self.draw(stream, 0.3, 10)
        if not drawn:
            return 0.0
        self.fault("T1", stream)
        return most_s * (drawn - 5.5) / 4.5

    def seats(self, process: Process) -> Seats:
        """What this worker works with."""
        clock = SimClock(self, process.skew_s)
        return Seats(
            clock,
            SimChance(f"{self.choices.seed}/{process.name}"),
            self.store.copied() if process.dry else self.store,
            SimLocks(self, clock, self.scenario.lease_s),
            _deaf if process.dry else self.events.append,
            process.dry,
        )

    def fault(self, number: str, where: str) -> None:
        """Count a fault, and tell of it."""
        self.faults[number] += 1
        self.tell("fault", f"{number} {where}")

    def tell(self, who: str, what: str) -> None:
        """A line of the timeline, and a part of the digest."""
        self.loop.hash(what)
        if self.timeline:
            process = PROCESS.get()
            place = who if process is None or who == "people" else f"{process.name} {who}"
            self.lines.append(f"{self.loop.time():9.3f}  {place:<14} {what}")

    def violated(self, law: str, how: str) -> None:
        """A law does not hold."""
        self.violations.append(f"{law}: {how}")
        self.tell("VIOLATED", f"{law} {how}")

    def took(self, applied: Applied) -> None:
        """A remote carried out a write of ours."""
        self.applied.append(applied)
        if self.sender is not None:
            self.sender.unsaved_writes += 1
        moved = sorted(
            name for name, value in applied.after.items() if name not in applied.before or applied.before[name] != value
        )
        tokens = ", ".join(f"{name} → {applied.after[name]}" for name in moved if name in self.scenario.edited)
        self.tell(
            "write", f"{applied.by}: {applied.verb.value} {applied.side.value} {applied.id} {tokens or '(notes)'}"
        )
        self.hints.moved(applied.side, applied.id)
        self.watch.written(applied)
        for watcher in self.watchers:
            watcher(applied)

    @property
    def seats_of_people(self) -> SimClock:
        """The clock of those who work here."""
        return SimClock(self)

    @property
    def by(self) -> str:
        """The name of whose request takes effect just now."""
        return "" if self.sender is None else self.sender.name

    def poisonous(self, process: Process, id: str) -> bool:
        """Whether this record kills whoever writes it, some times."""
        if self.choices.calm or not id or id not in self.poison:
            return False
        self.poison.remove(id)
        self.fault("P7", id)
        self.loop.doom.end(process)
        return True

    def restore(self) -> None:
        """The state of the backup takes the place of the state, and everybody starts again."""
        self.fault("S6", "")
        self.restored = True
        self.end_workers()
        self.store.restore()

    async def guarded(self, work: Awaitable[object]) -> None:
        """Work that may fail as a pass may."""
        try:
            await work
        except SyncError as error:
            self.told(error)

    def told(self, error: SyncError) -> None:
        """A worker's pass or hint ended with an error that concerns more than one record."""
        self.escaped[type(error).__name__] += 1
        self.tell("error", f"{type(error).__name__}: {error}")


def _deaf(event: Event) -> None:
    """Of a dry run nobody is told."""
