"""The scenario for your own mapping, policy and replicas: say what they are, and run it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import attrs

from bidisync.engine import Engine
from bidisync.guards import Bounds
from bidisync.identity import Identity
from bidisync.model import Capabilities, Conditional, Plan, Side, Value, Verb
from bidisync.parts import Limits, Parts
from bidisync.protocols import Guard, Replica
from bidisync.records import RecordReplica, Records
from bidisync.rehearsal import Rehearsal
from bidisync.schema import Policy
from bidisync.state import Link
from bidisync.sweep import Sweep
from bidisync.testing.replica import FULL, MemoryReplica
from bidisync.testing.simulation.drills import Exercise
from bidisync.testing.simulation.loop import Process
from bidisync.testing.simulation.remotes import Distant, MemoryRemote
from bidisync.testing.simulation.stored import StoreRemote
from bidisync.testing.simulation.world import Remote, Seats, World

NOTED = attrs.evolve(FULL, keeps_notes=True)


def _as_it_is(replica: Distant) -> Replica:
    return replica


def _somebody(who: str) -> Mapping[str, Value]:
    return {"name": who}


def _every_third(number: int) -> bool:
    return number % 3 == 0


def hold_deletes(link: Link, plan: Plan) -> str | None:
    """The guard of a simulation: nothing is deleted, for there is nobody to approve it."""
    return "delete_needs_approval" if any(write.verb is Verb.DELETE for write in plan.writes) else None


@attrs.frozen(kw_only=True)
class Pair:
    """Two remotes in memory with your policy between them.

    ``native`` are the field names of each side's own records, if they differ from those of
    the policy; ``wrap`` puts your mapping (or any other replica) around each remote.
    ``capabilities`` are what each side guarantees: without enforced conditional writes an
    edit may be lost in the moment between read and write, which is counted and no violation.
    ``stores`` makes stores of your own (``Records`` whose methods are plain functions) that
    take the place of a remote in memory. ``partial`` are the sides whose lists leave out some
    records, ``hidden`` says by their numbers which; without ``versions`` no side tells any.
    ``exercise`` says what is rehearsed, ``bounds`` what the guards hold then.
    """

    policy: Policy
    identity: Identity
    edited: tuple[str, ...]
    who: str = "name"
    person: Callable[[str], Mapping[str, Value]] = _somebody
    left: Capabilities = NOTED
    right: Capabilities = FULL
    wrap: Mapping[Side, Callable[[Distant], Replica]] = attrs.Factory(dict)
    hinting: tuple[Side, ...] = (Side.LEFT,)
    timeout_s: float = 10.0
    lease_s: float = 30.0
    lag_s: float = 5.0
    partial: frozenset[Side] = frozenset()
    hidden: Callable[[int], bool] = _every_third
    versions: bool = True
    bounds: Bounds = Bounds()
    exercise: Exercise = Exercise()
    stores: Mapping[Side, Callable[[], Records]] = attrs.Factory(dict)

    @property
    def enforced(self) -> bool:
        """Whether both sides refuse outdated writes."""
        return all(side.conditional_write is Conditional.ENFORCED for side in (self.left, self.right))

    def nobody(self, side: Side) -> str:
        """An id that no record has."""
        return f"{side.value[0]}999"

    def ignored_by(self, side: Side) -> tuple[str, ...]:
        """Fields that a side takes no change of."""
        return tuple(field.name for field in self.policy.fields if field.ignored_by(side))

    def refused(self, side: Side) -> tuple[str, str] | None:
        """Nothing is refused here."""
        return None

    def remote(self, world: World, side: Side) -> Remote:
        """The remote of that side."""
        capabilities = self.left if side is Side.LEFT else self.right
        names = tuple(field.name for field in self.policy.fields)
        if side in self.stores:
            return StoreRemote(world, side, RecordReplica(self.stores[side](), names))
        replica = MemoryReplica(side.value[0], capabilities=capabilities, names=names)
        return MemoryRemote(world, side, replica, self.hidden if side in self.partial else None, self.versions)

    @asynccontextmanager
    async def open(self, world: World, process: Process, seats: Seats) -> AsyncIterator[Sweep]:
        """An engine of its own over the shared state."""
        left, right = (self._replica(world, side) for side in Side)
        if seats.rehearse:
            left, right = Rehearsal(left, "l9999"), Rehearsal(right, "r9999")
        exercise = self.exercise
        guard: Guard = world.office.guard(exercise.asks) if exercise.drills else hold_deletes
        parts = Parts(
            left=left,
            right=right,
            policy=self.policy,
            store=seats.store,
            locks=seats.locks,
            identity=self.identity,
            guard=guard,
            bounds=self.bounds,
            scope=dict(world.scope),
            clock=seats.clock,
            chance=seats.chance,
            limits=Limits(
                request_timeout_s=self.timeout_s,
                search_lag_s=self.lag_s,
                clocks_apart_s=exercise.clocks_allowed_s,
                concurrency=3,
                grace_s=exercise.grace_s,
            ),
            observers=(seats.observer,),
        )
        yield Sweep(await Engine.open(parts), patience_s=self.timeout_s + self.lease_s + self.lag_s + 5.0)

    def _replica(self, world: World, side: Side) -> Replica:
        remote = world.remote(side)
        if not isinstance(remote, MemoryRemote | StoreRemote):
            raise TypeError("this scenario has remotes in memory")
        return self.wrap.get(side, _as_it_is)(remote.connect())
