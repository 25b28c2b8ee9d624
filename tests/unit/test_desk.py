"""Each thing is told once, many at a time, by every channel."""

from __future__ import annotations

import attrs
import pytest

from bidisync.desk import MARK, Desk, Reach
from bidisync.errors import Unavailable
from bidisync.events import Called, SystemFailed, Told
from bidisync.locks.local import LocalLocks
from bidisync.model import Ref, Review, ReviewKind, Side
from bidisync.notices import Notice, NoticeKind
from bidisync.state import Attempts, Link
from bidisync.stores.memory import MemoryStore
from bidisync.testing.clock import ManualClock


@attrs.define
class Pigeonhole:
    """A channel that keeps what it is given, or is out of order."""

    notices: list[Notice] = attrs.Factory(list)
    broken: bool = False

    async def notify(self, notice):
        if self.broken:
            raise Unavailable("out of order")
        self.notices.append(notice)

    @property
    def told(self):
        return [(notice.kind, notice.count) for notice in self.notices]


def dead(id):
    return attrs.evolve(Link.begin(Ref(Side.LEFT, id)), attempts=Attempts(5, 0.0, "rejected", dead=True))


def reviewed(id, kind=ReviewKind.CONFLICT, **more):
    return attrs.evolve(Link.begin(Ref(Side.LEFT, id)), reviews=(Review(kind, "why", **more),))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def hole():
    return Pigeonhole()


@pytest.fixture
def desk(clock, store, hole):
    return Desk(store=store, clock=clock, channels={"hole": hole})


async def test_many_things_of_a_kind_make_one_notice(desk, store, hole):
    for n in range(30):
        await store.save(dead(f"d{n}"))
    await store.save(reviewed("r"))
    await store.save(reviewed("h", ReviewKind.HELD, plan="abc"))
    assert await desk.look() == 3
    assert hole.told == [(NoticeKind.DEAD, 30), (NoticeKind.REVIEW, 1), (NoticeKind.HELD, 1)]
    assert hole.notices[0].reasons == {"rejected": 30}
    assert hole.notices[1].links == ("left:r",)


async def test_nothing_is_told_twice_however_often_somebody_looks(desk, store, clock, hole):
    await store.save(dead("d"))
    for _ in range(5):
        await desk.look()
        clock.advance(1000)
    assert hole.told == [(NoticeKind.DEAD, 1)]


async def test_a_restart_repeats_nothing(desk, store, clock, hole):
    await store.save(dead("d"))
    await desk.look()
    clock.advance(1000)
    await Desk(store=store, clock=clock, channels={"hole": hole}).look()
    assert len(hole.notices) == 1


async def test_what_comes_in_quick_succession_waits_for_the_next_batch(desk, store, clock, hole):
    await store.save(dead("a"))
    await desk.look()
    for n in range(10):
        await store.save(dead(f"b{n}"))
        clock.advance(60)
        await desk.look()
    assert hole.told == [(NoticeKind.DEAD, 1)]
    clock.advance(900)
    await desk.look()
    assert hole.told == [(NoticeKind.DEAD, 1), (NoticeKind.DEAD, 10)]
    assert clock.now() - hole.notices[1].first_at > 900, "since when they are known is told"


async def test_what_was_settled_is_told_again_when_it_comes_again(desk, store, clock, hole):
    link = await store.save(dead("d"))
    await desk.look()
    link = await store.save(attrs.evolve(link, attempts=Attempts()))
    clock.advance(1000)
    await desk.look()
    await store.save(attrs.evolve(link, attempts=dead("d").attempts))
    clock.advance(1000)
    await desk.look()
    assert len(hole.notices) == 2


async def test_a_channel_that_fails_is_tried_again_and_the_others_are_not(desk, store, clock, hole):
    events, other = [], Pigeonhole(broken=True)
    both = Desk(store=store, clock=clock, channels={"a": hole, "b": other}, observe=events.append)
    await store.save(dead("d"))
    assert await both.look() == 1
    assert events == [Told("dead", "a", 1), Told("dead", "b", 1, "unavailable")]
    other.broken = False
    assert await both.look() == 0, "not at once"
    clock.advance(1000)
    assert await both.look() == 1
    assert len(hole.notices) == len(other.notices) == 1


async def test_a_system_is_reported_once_it_was_down_for_a_while_and_again_only_after_it_was_up(store, clock, hole):
    reach = Reach()
    desk = Desk(store=store, clock=clock, channels={"hole": hole}, reach=reach)
    reach(SystemFailed("advoware", "unavailable"))
    await desk.look()
    assert not hole.notices
    for _ in range(5):
        clock.advance(600)
        await desk.look()
    assert hole.told == [(NoticeKind.REMOTE_DOWN, 1)]
    assert hole.notices[0].links == ("advoware",)
    reach(Called("advoware", "GET", "ok", 0.1))
    await desk.look()
    reach(SystemFailed("advoware", "unavailable"))
    await desk.look()
    clock.advance(1000)
    await desk.look()
    assert len(hole.notices) == 2


async def test_a_process_that_knows_nothing_of_a_system_leaves_its_failure_to_those_that_do(store, clock, hole):
    down = Desk(store=store, clock=clock, channels={"hole": hole}, reach=Reach({"advoware": "unavailable"}))
    other = Desk(store=store, clock=clock, channels={"hole": hole})
    await down.look()
    for _ in range(4):
        clock.advance(600)
        await other.look()
        await down.look()
    assert hole.told == [(NoticeKind.REMOTE_DOWN, 1)]


async def test_while_another_process_looks_nobody_else_does(store, clock, hole):
    locks = LocalLocks(lease_s=60.0, wait_s=0.0, clock=clock)
    desk = Desk(store=store, clock=clock, channels={"hole": hole}, locks=locks)
    await store.save(dead("d"))
    async with locks.hold(MARK):
        assert await desk.look() == 0
    assert await desk.look() == 1


async def test_the_memory_names_no_record(desk, store):
    await store.save(dead("canary-id"))
    await desk.look()
    assert "canary" not in await store.get_mark(MARK)


async def test_where_nothing_waits_nothing_is_stored(desk, store):
    assert await desk.look() == 0
    assert await store.get_mark(MARK) is None
