"""What people do: one thing each, with the place of a record and the number of a field, drawn beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bidisync.model import ABSENT, Side

if TYPE_CHECKING:
    from bidisync.testing.simulation.people import People


def edit(people: People, side: Side, place: int, field: int) -> None:
    """One field of one record."""
    id = people.pick(side, place)
    if id is not None:
        people.edit(side, id, field)


def edit_both(people: People, side: Side, place: int, field: int) -> None:
    """The same field on both sides, differently, and once more while it is settled."""
    id = people.pick(side, place)
    there = None if id is None else people.counterpart(side, id)
    if id is None or there is None:
        edit(people, side, place, field)
        return
    people.edit(side, id, field)
    people.edit(side.other, there, field)
    people.world.loop.later(1.3, _again, people, side, id, field)


def _again(people: People, side: Side, id: str, field: int) -> None:
    if id in people.world.remote(side).records():
        people.world.fault("U2", f"{side.value} {id}")
        people.edit(side, id, field)


def edit_alike(people: People, side: Side, place: int, field: int) -> None:
    """The same edit on both sides."""
    id = people.pick(side, place)
    there = None if id is None else people.counterpart(side, id)
    if id is None or there is None:
        edit(people, side, place, field)
        return
    people.world.fault("U7", f"{side.value} {id}")
    token = people.token()
    people.edit(side, id, field, token)
    people.edit(side.other, there, field, token)


def edit_and_back(people: People, side: Side, place: int, field: int) -> None:
    """An edit, and after a while the old value again."""
    id = people.pick(side, place)
    if id is None:
        return
    name = people.field_at(field)
    old = people.world.remote(side).records()[id].get(name)
    people.edit(side, id, field)

    def back() -> None:
        if id in people.world.remote(side).records():
            people.world.fault("U8", f"{side.value} {id}")
            people.write(side, id, name, None if old is ABSENT else old)

    people.world.loop.later(9.0, back)


def clear(people: People, side: Side, place: int, field: int) -> None:
    """A field emptied."""
    id = people.pick(side, place)
    if id is not None:
        people.write(side, id, people.field_at(field), None)


def respell(people: People, side: Side, place: int, field: int) -> None:
    """A value in a spelling that one side makes into another."""
    id = people.pick(side, place)
    if id is not None:
        people.world.fault("R1", f"{side.value} {id}")
        people.edit(side, id, field, f" {people.token()} ")


def create(people: People, side: Side, place: int, field: int) -> None:
    """A new person."""
    people.make(side, people.new_person())


def delete(people: People, side: Side, place: int, field: int) -> None:
    """One record deleted."""
    id = people.pick(side, place)
    if id is not None:
        people.world.fault("U3", f"{side.value} {id}")
        people.delete(side, id)


def delete_against_edit(people: People, side: Side, place: int, field: int) -> None:
    """One side deletes what the other one edits."""
    id = people.pick(side, place)
    there = None if id is None else people.counterpart(side, id)
    if id is not None and there is not None:
        people.world.fault("U4", f"{side.value} {id}")
        people.edit(side.other, there, field)
        people.delete(side, id)


def delete_and_make_again(people: People, side: Side, place: int, field: int) -> None:
    """A record deleted, and somebody of the same name and date entered later."""
    id = people.pick(side, place)
    if id is None:
        return
    who = people.names[side, id]
    people.delete(side, id)

    def again() -> None:
        people.world.fault("U5", f"{side.value} {who}")
        people.doubled.add(who)
        people.make(side, {**people.world.scenario.person(who)})

    people.world.loop.later(35.0, again)


def merge(people: People, side: Side, place: int, field: int) -> None:
    """A record entered twice by mistake; somebody notices, and deletes one."""
    id = people.pick(side, place)
    if id is None:
        return
    who = people.names[side, id]
    people.doubled.add(who)
    copy = people.make(side, {**people.world.scenario.person(who)})

    def merged() -> None:
        if copy in people.world.remote(side).records():
            people.world.fault("U6", f"{side.value} {copy}")
            people.delete(side, copy)

    people.world.loop.later(25.0, merged)


def edit_ignored(people: People, side: Side, place: int, field: int) -> None:
    """A field that the other side takes only at a create."""
    names = people.world.scenario.ignored_by(side.other)
    id = people.pick(side, place)
    if id is not None and names:
        people.world.fault("R7", f"{side.value} {id}")
        people.write(side, id, names[field % len(names)], people.token())


def poison(people: People, side: Side, place: int, field: int) -> None:
    """A value that the other side refuses, put right after a while."""
    id, bad = people.pick(side, place), people.world.scenario.refused(side.other)
    if id is None or bad is None:
        return
    name, value = bad
    people.world.fault("D9", f"{side.value} {id}")
    people.write(side, id, name, f"{people.token()}{value}")

    def cured() -> None:
        if id in people.world.remote(side).records():
            people.write(side, id, name, people.token())

    people.world.loop.later(40.0, cured)


HABITS: tuple[Callable[[People, Side, int, int], None], ...] = (
    *[edit] * 8,
    *[edit_both] * 3,
    edit_alike,
    edit_and_back,
    clear,
    respell,
    *[create] * 2,
    delete,
    delete_against_edit,
    delete_and_make_again,
    merge,
    edit_ignored,
    poison,
)
ENTERING = (create, delete_and_make_again, merge)
