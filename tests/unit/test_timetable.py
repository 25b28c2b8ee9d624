"""What is due is done once, by whoever comes first, and goes on when that one dies."""

from __future__ import annotations

import asyncio

import pytest

from bidisync.errors import Unavailable
from bidisync.runners.timetable import Timetable
from bidisync.stores.memory import MemoryStore
from bidisync.testing import ManualClock, SeededChance


class Still(ManualClock):
    """Time that moves only where the test moves it."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


def machines(number: int) -> tuple[ManualClock, MemoryStore, list[Timetable]]:
    clock, store = Still(1000.0), MemoryStore()
    return clock, store, [Timetable(store, 60.0, clock, SeededChance(seed)) for seed in range(number)]


async def test_of_many_machines_one_gets_the_turn_and_the_rhythm_is_kept():
    clock, store, tables = machines(3)
    done = []

    async def work(table: Timetable) -> None:
        async with table.turn("poll", 60.0) as turn:
            await asyncio.sleep(0)
            if turn is not None:
                done.append(clock.now())

    for _ in range(5):
        await asyncio.gather(*(work(table) for table in tables))
        await asyncio.gather(*(work(table) for table in tables))
        clock.advance(30.0)
    assert done == [1000.0, 1060.0, 1120.0]
    assert await tables[0].wait("poll") == 30.0
    again = Timetable(store, 60.0, clock, SeededChance(9))
    assert await again.wait("poll") == 30.0, "a restart keeps the rhythm"
    assert {name for name in store._marks if name.startswith("turn:")} == set(), "nothing is left behind"


async def test_the_turn_of_a_dead_machine_goes_to_another_one():
    clock, _, (one, two) = machines(2)
    turn = one.turn("poll", 60.0)
    assert await turn.__aenter__() is not None
    clock.advance(59.0)
    async with two.turn("poll", 60.0) as mine:
        assert mine is None
    clock.advance(2.0)
    async with two.turn("poll", 60.0) as mine:
        assert mine is not None
    async with one.turn("poll", 60.0) as mine:
        assert mine is None
    await turn.__aexit__(None, None, None)


async def test_what_failed_is_due_again_soon_and_what_was_never_done_at_once():
    clock, _, (one,) = machines(1)
    assert await one.wait("poll") == 0.0
    with pytest.raises(Unavailable):
        async with one.turn("poll", 60.0):
            raise Unavailable("it is off", system="test")
    assert await one.wait("poll") == 6.0
    await one.at_once("poll")
    assert await one.wait("poll") == 0.0
