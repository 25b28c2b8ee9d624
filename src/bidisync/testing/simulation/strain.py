"""Drills that put a strain on one safeguard each, so that a fault in it shows.

They are part of no everyday scenario: a seeded fault of the engine names the one that it
needs, and whoever simulates an engine of their own may use them.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING

from bidisync.model import ABSENT, Ref, Side, Value
from bidisync.testing.simulation.drills import approve_all
from bidisync.testing.simulation.loop import PROCESS, Process, at_once

if TYPE_CHECKING:
    from bidisync.testing.simulation.world import World


def crossings(world: World) -> None:
    """Both sides edit different fields of a person at the same moment."""

    def cross(drawn: int) -> None:
        pair = world.people.pair(drawn)
        if pair is not None:
            for place, side in enumerate(Side):
                world.people.change(side, pair[side], drawn + place)

    for number in range(6):
        drawn = world.draw("cross", 0.8, 60)
        if drawn:
            world.loop.later(6.0 + 22.0 * number + 0.3 * drawn, cross, drawn)


def newcomers(world: World) -> None:
    """New people, who are edited again while their counterparts are made."""

    def arrive(drawn: int) -> None:
        side = list(Side)[drawn % 2]
        id = world.people.enter(side)
        for place, after in enumerate((0.7, 5.0, 17.0, 33.0)):
            world.loop.later(after, world.people.change, side, id, drawn + place)

    for number in range(5):
        drawn = world.draw("newcomer", 0.9, 60)
        if drawn:
            world.loop.later(5.0 + 25.0 * number + 0.3 * drawn, arrive, drawn)


def copies(world: World) -> None:
    """Somebody is entered on one side, and once more on the other when both know them already."""

    def arrive(drawn: int) -> None:
        id = world.people.enter(Side.LEFT)
        world.loop.later(12.0 + 0.2 * drawn, again, world.people.names[Side.LEFT, id])

    def again(who: str) -> None:
        world.people.enter(Side.RIGHT, who)

    for number in range(4):
        drawn = world.draw("copy", 0.9, 60)
        if drawn:
            world.loop.later(5.0 + 30.0 * number + 0.3 * drawn, arrive, drawn)


def triplets(world: World) -> None:
    """Somebody is entered twice on one side and once on the other before anybody looks."""

    def arrive() -> None:
        id = world.people.enter(Side.RIGHT)
        who = world.people.names[Side.RIGHT, id]
        for side in (Side.RIGHT, Side.LEFT):
            world.people.enter(side, who, hint=False)

    for number in range(3):
        drawn = world.draw("triplet", 0.9, 60)
        if drawn:
            world.loop.later(5.0 + 40.0 * number + 0.5 * drawn, arrive)


def second_thoughts(world: World) -> None:
    """An operator approves what is held, and a moment later somebody changes it again."""
    asked = world.scenario.exercise.asks

    def approve() -> None:
        for link in approve_all(world):
            for ref in link.refs[:1]:
                for name in asked:
                    world.loop.later(0.2, world.people.change, ref.side, ref.id, world.scenario.edited.index(name))

    for number in range(4):
        drawn = world.draw("second", 0.9, 40)
        if drawn:
            world.loop.later(35.0 + 35.0 * number + 0.5 * drawn, approve)


def same_again(world: World) -> None:
    """A plan is approved and carried out; both sides take it back; then somebody wants it once more."""
    drawn, name = world.draw("same", 0.9, 30), world.scenario.exercise.asks[0]
    chosen: dict[Side, str] = {}
    values: list[Value] = []

    def write(*sides: Side, place: int) -> None:
        for side in sides:
            if chosen.get(side) in world.remote(side).records():
                world.people.write(side, chosen[side], name, values[place])

    def begin() -> None:
        pair = world.people.pair(drawn)
        if pair is not None:
            chosen.update(pair)
            for number in range(2):
                now = world.remote(Side.LEFT).records()[pair[Side.LEFT]].get(name)
                values.append(None if now is None or now is ABSENT else now)
                if not number:
                    world.people.change(Side.LEFT, pair[Side.LEFT], world.scenario.edited.index(name))

    def back() -> None:
        if chosen:
            write(*Side, place=0)

    def again() -> None:
        if chosen:
            for allowed in world.office.approved.values():
                allowed.clear()
            write(Side.LEFT, place=1)

    if drawn:
        for at, act in ((5.0, begin), (30.0, lambda: approve_all(world)), (75.0, back), (130.0, again)):
            world.loop.later(at + drawn, act)


def old_state(world: World) -> None:
    """A backup that knows nothing of the newest people is restored, and they are hinted at before any list."""
    drawn = world.draw("old", 0.9, 20)
    made: list[str] = []

    def restore() -> None:
        world.restore()
        for id in made:
            world.loop.later(0.2, world.people.change, Side.RIGHT, id, drawn)

    if drawn:
        world.loop.later(20.0 + drawn, world.store.back_up)
        for number in range(3):
            world.loop.later(22.0 + drawn + number, lambda: made.append(world.people.enter(Side.RIGHT)))
        world.loop.later(110.0 + drawn, restore)


def new_scope(world: World) -> None:
    """Somebody deletes a record; before the next pass the workers begin anew, over another scope."""

    def strike(drawn: int) -> None:
        pair = world.people.pair(drawn)
        if pair is not None:
            world.people.remove(Side.LEFT, pair[Side.LEFT])
            world.loop.later(8.5, change, Ref(Side.LEFT, pair[Side.LEFT]))

    def change(ref: Ref) -> None:
        world.scope["of another day"] = str(world.loop.time())
        world.end_workers()
        world.loop.later(0.5, world.hints.put, ref)

    world.scope["of another day"] = "0"
    for number in range(3):
        drawn = world.draw("scope", 0.9, 60)
        if drawn:
            world.loop.later(30.0 + 40.0 * number + 0.3 * drawn, strike, drawn)


def deletions_at_once(world: World) -> None:
    """Two people are deleted, and hints name both at the moment at which their grace is over."""
    drawn = world.draw("at once", 0.9, 60)

    def strike() -> None:
        pairs = [world.people.pair(drawn + place) for place in range(2)]
        refs = list(dict.fromkeys(Ref(Side.LEFT, pair[Side.LEFT]) for pair in pairs if pair is not None))
        for ref in refs:
            world.people.remove(ref.side, ref.id)
            world.loop.later(7.5, world.hints.put, ref)

    if drawn:
        world.loop.later(20.0 + drawn, strike)


def brought_back(world: World) -> None:
    """A record is deleted, and the deletion taken back when it has reached the other side."""

    def strike(drawn: int) -> None:
        pair = world.people.pair(drawn)
        if pair is not None:
            world.people.remove(Side.LEFT, pair[Side.LEFT])
            world.loop.later(75.0, regret, Ref(Side.LEFT, pair[Side.LEFT]))

    def regret(ref: Ref) -> None:
        link = at_once(world.store.inner.load([ref])).get(ref)
        if link is not None and link.tombstoned:
            world.people.bring_back(ref.side, ref.id)

    for number in range(3):
        drawn = world.draw("back", 0.9, 60)
        if drawn:
            world.loop.later(10.0 + 30.0 * number + 0.3 * drawn, strike, drawn)


def broken_records(world: World) -> None:
    """The right side fails every write of some people from some moment on, for ever."""

    def breaks(drawn: int) -> None:
        pair = world.people.pair(drawn)
        if pair is not None:
            world.broken.add(world.people.names[Side.LEFT, pair[Side.LEFT]])
            world.people.change(Side.LEFT, pair[Side.LEFT], drawn)
        world.broken.add(world.people.names[Side.LEFT, world.people.enter(Side.LEFT)])

    drawn = world.draw("broken", 0.9, 60)
    if drawn:
        world.loop.later(20.0 + drawn, breaks, drawn)


def dry_runs(world: World) -> None:
    """While all the others work, somebody looks at what a pass would do: nothing of it may be done."""
    drawn = world.draw("dry", 0.1, 40)

    async def rehearse(process: Process) -> None:
        world.tell("operator", "looks at what would be done")
        async with world.scenario.open(world, process, world.seats(process)) as sweep:
            await world.guarded(sweep.run(everything=drawn % 2 == 0, rounds=1))

    def begin() -> None:
        process = Process("dry", dry=True)
        context = copy_context()
        context.run(PROCESS.set, process)
        world.loop.create_task(rehearse(process), context=context)

    if drawn:
        world.loop.later(10.0 + 3.0 * drawn, begin)
