"""Values of the past have their time: then they go, and what was done stays."""

from __future__ import annotations

import attrs
import pytest

from bidisync import Ref, Side
from bidisync.approval import forget, readmit, release, retain
from bidisync.errors import Misconfigured
from bidisync.model import ABSENT, Decision, Row, Versions
from bidisync.retention import PORTION, expire
from bidisync.state import Agreement, Journaled, Link, Shadow, Tombstone, without_values
from bidisync.stores.memory import MemoryStore
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing.clock import ManualClock
from bidisync_espo_advo.privacy import touched

DAY = 86_400.0


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store():
    return MemoryStore()


def entry(clock, id="1", name="Zeisig"):
    decision = Decision("family_name", "g", Row.LEFT_CHANGED, Versions("a", name, "b"), "p", (Side.RIGHT,), name)
    return Journaled(f"left:{id}", clock.now(), "update", (decision,), run="r")


async def linked(store, clock, id="1", entries=1):
    link = attrs.evolve(Link.begin(Ref(Side.LEFT, id)), settled=True)
    return await store.save(link, journal=[entry(clock, id) for _ in range(entries)])


async def valued(store):
    found = [one for _, one in await store.history(limit=10_000)]
    return [one.link_id for one in found if one != without_values(one)]


async def test_values_go_after_their_time_and_what_was_done_stays(store, clock):
    await linked(store, clock, "1")
    clock.advance(10 * DAY)
    await linked(store, clock, "2")
    done = await expire(store, clock, keep_s=9 * DAY)
    assert (done.entries, done.more) == (1, False)
    assert await valued(store) == ["left:2"]
    old, said = await store.journal("left:1")
    assert (said.what, said.at) == ("expire", clock.now())
    assert (old.what, old.run, old.decisions[0].field, old.decisions[0].row) == (
        "update",
        "r",
        "family_name",
        Row.LEFT_CHANGED,
    )
    assert (await expire(store, clock, keep_s=9 * DAY)).entries == 0
    clock.advance(10 * DAY)
    assert (await expire(store, clock, keep_s=9 * DAY)).entries == 1


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_the_log_holds_after_values_expired_and_not_where_nothing_says_so(kind, clock, tmp_path):
    store = MemoryStore() if kind == "memory" else await SqliteStore.open(tmp_path / "s.db")
    await linked(store, clock, "1", entries=3)
    clock.advance(2 * DAY)
    await linked(store, clock, "1b")
    assert (await store.verify()).holds
    assert (await expire(store, clock, keep_s=DAY)).entries == 3
    verdict = await store.verify()
    assert (verdict.holds, verdict.erased, verdict.lines) == (True, 3, 5)
    await store.fade([4])
    (found,) = (await store.verify()).breaks
    assert (found.number, found.what) == (4, "values_missing")
    if isinstance(store, SqliteStore):
        await store.close()


async def test_a_long_journal_is_walked_in_portions_and_each_one_once(store, clock):
    await linked(store, clock, "1", entries=PORTION * 2 + 7)
    clock.advance(2 * DAY)
    first = await expire(store, clock, keep_s=DAY, portions=2)
    assert (first.entries, first.more) == (PORTION * 2, True)
    second = await expire(store, clock, keep_s=DAY, portions=2)
    assert (second.entries, second.more) == (7, False)
    looked = []

    class Counting(MemoryStore):
        async def history(self, *, before=None, limit=100):
            looked.append(before)
            return await store.history(before=before, limit=limit)

    counting = Counting(store._links, store._owners, store._journal, store._known, store._marks)
    assert (await expire(counting, clock, keep_s=DAY)).entries == 0
    assert looked[0] is None
    assert all(before > PORTION * 3 for before in looked[1:]), "what was walked through is not read again"


async def test_an_entry_of_a_clock_that_was_wrong_keeps_nobody_elses_values(store, clock):
    future = attrs.evolve(entry(clock), at=clock.now() + 400 * DAY)
    link = await linked(store, clock, "1")
    link = await store.save(link, journal=[future])
    await store.save(link, journal=[entry(clock) for _ in range(3)])
    clock.advance(2 * DAY)
    assert (await expire(store, clock, keep_s=DAY)).entries == 4
    clock.advance(401 * DAY)
    assert (await expire(store, clock, keep_s=DAY)).entries == 1


async def test_a_link_on_hold_keeps_its_values_until_it_is_released(store, clock):
    kept, other = await linked(store, clock, "1"), await linked(store, clock, "2")
    await retain(store, clock, [kept])
    clock.advance(2 * DAY)
    assert (await expire(store, clock, keep_s=DAY)).entries == 1
    assert await valued(store) == ["left:1"]
    kept = (await store.load(kept.refs))[kept.refs[0]]
    with pytest.raises(Misconfigured, match="retention hold"):
        await forget(store, clock, kept)
    assert (await expire(store, clock, keep_s=DAY)).entries == 0
    await release(store, clock, [kept])
    assert (await expire(store, clock, keep_s=DAY)).entries == 1
    assert [one.what for one in await store.journal(kept.id)] == ["update", "hold", "release", "expire"]
    assert other.retention is None


async def test_a_hold_that_is_given_a_date_later_ends_by_itself_too(store, clock):
    kept = await linked(store, clock, "1")
    await retain(store, clock, [kept])
    clock.advance(2 * DAY)
    assert (await expire(store, clock, keep_s=DAY)).entries == 0
    await linked(store, clock, "2")
    kept = (await store.load(kept.refs))[kept.refs[0]]
    await retain(store, clock, [kept], until=clock.now() + DAY)
    assert (await expire(store, clock, keep_s=DAY)).entries == 0
    clock.advance(2 * DAY)
    assert (await expire(store, clock, keep_s=DAY)).entries == 2


async def test_a_hold_with_a_date_ends_by_itself(store, clock):
    kept = await linked(store, clock)
    await retain(store, clock, [kept], until=clock.now() + 10 * DAY)
    clock.advance(9 * DAY)
    assert (await expire(store, clock, keep_s=DAY)).entries == 0
    clock.advance(2 * DAY)
    assert (await expire(store, clock, keep_s=DAY)).entries == 1
    await forget(store, clock, (await store.load(kept.refs))[kept.refs[0]])


async def test_a_link_that_is_over_loses_what_it_remembered(store, clock):
    shadow = Shadow({"family_name": "Zeisig"})
    link = attrs.evolve(
        Link.begin(Ref(Side.LEFT, "1")),
        left_shadow=shadow,
        base={"family_name": Agreement("Zeisig", "Zeisig")},
        tombstone=Tombstone(clock.now(), (Side.RIGHT,)),
        settled=True,
    )
    alive = attrs.evolve(link, origin=Ref(Side.LEFT, "2"), left_id="2", tombstone=None)
    await store.save(link)
    await store.save(alive)
    clock.advance(2 * DAY)
    assert (await expire(store, clock, keep_s=3 * DAY)).links == 0
    assert (await expire(store, clock, keep_s=DAY)).links == 1
    found = await store.load([link.origin, alive.origin])
    assert (found[link.origin].left_shadow, found[link.origin].base) == (None, {})
    assert found[link.origin].tombstone == link.tombstone
    assert found[alive.origin].left_shadow == shadow, "what is kept in step needs its values"
    assert (await expire(store, clock, keep_s=DAY)).links == 0


async def test_the_forgotten_are_taken_back_only_by_a_person(store, clock):
    link = await linked(store, clock)
    with pytest.raises(Misconfigured, match="neither unlinked nor forgotten"):
        await readmit(store, clock, link)
    gone = await forget(store, clock, link)
    assert (gone.forgotten, gone.due) == (True, False)
    await readmit(store, clock, gone)
    back = (await store.load(link.refs))[link.origin]
    assert (back.tombstoned, back.due, back.base) == (False, True, {})
    assert (await store.journal(link.id))[0].decisions[0].result is ABSENT


class Meanwhile(MemoryStore):
    """A store in which something happens after links were read, so many times."""

    def __init__(self, what, times=1):
        super().__init__()
        self.what, self.times = what, times

    async def load(self, refs):
        found = await super().load(refs)
        if refs and self.times and self.what is not None:
            self.times -= 1
            what, self.what = self.what, None  # it reads links itself
            await what(self)
            self.what = what
        return found


async def test_a_hold_that_is_set_while_values_expire_comes_in_time(clock):
    async def held(store):
        link = (await store.load([Ref(Side.LEFT, "1")]))[Ref(Side.LEFT, "1")]
        if link.retention is None:
            await retain(store, clock, [link])

    store = Meanwhile(None)
    await linked(store, clock, "1")
    await linked(store, clock, "2")
    clock.advance(2 * DAY)
    store.what = held
    assert (await expire(store, clock, keep_s=DAY)).entries == 1, "the other one's are erased all the same"
    assert await valued(store) == ["left:1"]
    assert [one.what for one in await store.journal("left:1")] == ["update", "hold"]


async def test_a_link_that_somebody_is_always_at_loses_its_old_values_later(clock):
    async def touched(store):
        link = (await store.load([Ref(Side.LEFT, "1")]))[Ref(Side.LEFT, "1")]
        await store.save(link)

    store = Meanwhile(None, times=99)
    await linked(store, clock, "1")
    await linked(store, clock, "2")
    clock.advance(2 * DAY)
    store.what = touched
    assert (await expire(store, clock, keep_s=DAY)).entries == 1
    store.what = None
    assert (await expire(store, clock, keep_s=DAY)).entries == 1, "the walk came back for it"
    assert await valued(store) == []


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_values_that_are_taken_out_too_early_are_noticed_whatever_line_follows(kind, clock, tmp_path):
    store = MemoryStore() if kind == "memory" else await SqliteStore.open(tmp_path / "s.db")
    await linked(store, clock, "1")
    clock.advance(2 * DAY)
    link = (await store.load([Ref(Side.LEFT, "1")]))[Ref(Side.LEFT, "1")]
    await store.save(link, journal=[entry(clock), entry(clock)])
    await store.fade([2])  # by somebody who writes to the database
    assert (await expire(store, clock, keep_s=DAY)).entries == 1
    (found,) = (await store.verify()).breaks
    assert (found.number, found.what) == (2, "values_missing"), "it was younger than the line says"
    clock.advance(2 * DAY)
    assert (await expire(store, clock, keep_s=DAY)).entries == 1
    assert (await store.verify()).holds, "by now it has expired as well"
    await store.close()


async def test_a_line_from_before_times_were_told_covers_what_is_older_than_itself(store, clock):
    link = await linked(store, clock, "1")
    clock.advance(DAY)
    await store.fade([1], journal=[Journaled(link.id, clock.now(), "expire")])
    assert (await store.verify()).holds


async def test_that_old_values_went_touches_nobody(store, clock):
    await linked(store, clock, "1")
    began = clock.advance(2 * DAY) or clock.now()
    await expire(store, clock, keep_s=DAY)
    assert (await store.history(limit=1))[0][1].what == "expire"
    assert await touched(store, began, clock.now() + 1) == {}
    await linked(store, clock, "2")
    assert list(await touched(store, began, clock.now() + 1)) == ["left:2"]
    assert list(await touched(store, 0.0, clock.now() + 1)) == ["left:1", "left:2"]
    assert (await touched(store, 0.0, clock.now() + 1))["left:1"].acts == {"update": 1}
