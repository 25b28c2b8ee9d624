"""Drills: what befalls an installation beyond the everyday, each drawn anew in every run.

A scenario names those that it rehearses, and what may be done unasked in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from bidisync.approval import approve
from bidisync.guards import held_plans
from bidisync.model import Plan, Side
from bidisync.state import Link
from bidisync.testing.simulation.loop import at_once

if TYPE_CHECKING:
    from bidisync.protocols import Guard
    from bidisync.testing.simulation.world import Applied, World

EMPTY_S = 70.0
ROUNDS = 24
MOST_ALIKE = 7
"""The same value goes to the same field so often at most: two times, and some for replies that were lost."""


@attrs.frozen
class Exercise:
    """What a scenario rehearses, and what may happen in it without an approval.

    ``deletes`` is how many records of a side may be deleted in the other's wake, ``grace_s``
    how long a deletion has to wait unless two passes find it, ``asks`` the fields that are
    written by an approved plan only. ``unlisted``: some records may never be shown by a list.
    ``alone``: there is one person, and nobody else is entered. ``polls``: after the first pass
    none reads the lists in full. The rest is how often something goes wrong: one request in
    so many, one write that an edit comes before, one lease; how far each worker's clock is off,
    and how far apart workers expect theirs to be.
    """

    drills: tuple[Callable[[World], None], ...] = ()
    deletes: int = 0
    grace_s: float = 86_400.0
    asks: tuple[str, ...] = ()
    unlisted: bool = False
    alone: bool = False
    polls: bool = False
    requests_faulty: float = 0.07
    edits_in_window: float = 0.05
    leases_faulty: float = 0.015
    clocks_apart_s: float = 1.5
    clocks_allowed_s: float = 3.0


@attrs.define(eq=False)
class Office:
    """What operators were asked and said, and what of it may be carried out."""

    planned: dict[str, set[tuple[str, object]]] = attrs.Factory(dict)
    approved: dict[str, set[tuple[str, object]]] = attrs.Factory(dict)
    """Fields and values of the plans that were shown, and approved, by link."""
    deletable: set[str] = attrs.Factory(set)
    """Links whose held plan was approved."""

    def guard(self, asks: tuple[str, ...]) -> Guard:
        """A guard that holds every plan which gives a new value to one of these fields."""

        def ask(link: Link, plan: Plan) -> str | None:
            asked = {(d.field, d.result) for d in plan.decisions if d.field in asks and d.writes}
            if not asked or len(link.refs) < len(Side):
                return None
            self.planned.setdefault(link.id, set()).update(asked)
            return "ask_first"

        return ask


def mass_delete(world: World) -> None:
    """Somebody deletes nearly everything on one side."""
    drawn = world.draw("mass", 0.5, 60)

    def strike() -> None:
        side = list(Side)[drawn % 2]
        ids = list(world.remote(side).records())[1:]
        if ids:
            world.fault("U9", f"{len(ids)} of the {side.value}")
        for id in ids:
            world.people.remove(side, id)

    if drawn:
        world.loop.later(40.0 + 1.5 * drawn, strike)


def empty_side(world: World) -> None:
    """A side says for a while that it has no records, although they are there."""
    drawn = world.draw("empty", 0.5, 40)
    if not drawn:
        return
    network = world.remote(list(Side)[drawn % 2]).network

    def begin() -> None:
        if at_once(world.store.inner.get_mark("contact")) is not None:  # strangers are copied at first
            world.fault("F15", network.remote)
            network.looks_empty = True

    def end() -> None:
        network.looks_empty = False

    world.loop.later(20.0 + 2.0 * drawn, begin)
    world.loop.later(20.0 + 2.0 * drawn + EMPTY_S, end)


def quarrel(world: World) -> None:
    """An automation on each side puts its own value into a field whenever somebody changed it."""
    drawn = world.draw("quarrel", 0.5, 40)
    if not drawn:
        return
    field = world.scenario.edited[0]
    wanted = {side: f"robot {side.value}" for side in Side}
    left = [ROUNDS]

    def insist(applied: Applied) -> None:
        want = wanted[applied.side]
        if left[0] and applied.id == begun.get(applied.side) and applied.after.get(field) != want:
            left[0] -= 1
            world.loop.later(2.0, again, applied.side, applied.id, want)

    def again(side: Side, id: str, want: str) -> None:
        if id in world.remote(side).records():
            world.fault("R9", f"{side.value} {id}")
            world.people.write(side, id, field, want)

    begun: dict[Side, str] = {}

    def begin() -> None:
        pair = world.people.pair(drawn)
        if pair is not None:
            begun.update(pair)
            world.watchers.append(insist)
            again(Side.LEFT, pair[Side.LEFT], wanted[Side.LEFT])

    world.loop.later(15.0 + drawn, begin)


def approvals(world: World) -> None:
    """An operator approves what is held, twice in a run."""
    for number in range(2):
        drawn = world.draw("approve", 0.6, 80)
        if drawn:
            world.loop.later(60.0 + 50.0 * number + drawn, approve_all, world)


def approve_all(world: World) -> list[Link]:
    """An operator lets everything go that is held; the links concerned."""
    store = world.store.inner
    concerned = []
    for held in held_plans(at_once(store.waiting())):
        world.tell("operator", f"approves {held.reason} of {len(held.links)}")
        world.office.deletable.update(held.links)
        for link_id in held.links:
            world.office.approved.setdefault(link_id, set()).update(world.office.planned.get(link_id, set()))
        concerned += [link for link in at_once(store.waiting()) if link.id in held.links]
        at_once(approve(store, world.seats_of_people, held.digest))
    return concerned
