"""What the simulation found, each as small as it gets; the seed is the one that found it."""

from __future__ import annotations

import asyncio

import attrs
import pytest
from pairs import CRM, NAMES, Pair
from test_engine import Killed
from test_guarded_passes import deleting

from bidisync import LinkState, Ref, Side
from bidisync.errors import Duplicate, Unavailable, Unconfirmed
from bidisync.model import Notes
from bidisync.state import Link
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing.replica import FULL, Call, MemoryReplica


async def test_workers_that_open_a_fresh_state_at_once_share_the_secret_of_its_index():
    """Plain pair, seed 20: each had its own, so neither found whom the other had learned."""
    store = await SqliteStore.open(":memory:")
    pair = Pair(store=store)
    engines = await asyncio.gather(*(pair.engine() for _ in range(5)))
    assert len({engine.index.keys_of({"name": "Ada", "born": "2000-01-01"})["weak:name"] for engine in engines}) == 1
    await store.close()


async def test_a_record_known_only_from_a_hint_is_found_by_its_twin_on_the_other_side():
    """Plain pair, seed 338: whom a hint had brought was not in the index, so the twin was made a second time."""
    pair = Pair()
    engine = await pair.engine()
    await engine.index.ready(Side.LEFT)
    first = pair.left.add(name="Ada", born="2000-01-01", x=None, y=None)
    await engine.sync(Ref(Side.LEFT, first))
    twin = pair.right.add(name="Ada", born="2000-01-01", x=None, y=None)
    outcome = await engine.sync(Ref(Side.RIGHT, twin))
    assert (outcome.state, outcome.reason) == (LinkState.REVIEW, "match_taken")
    assert list(pair.left.records) == [first]


async def test_notes_that_leave_something_out_leave_it_as_it_is_seed_279_of_the_pair():
    replica = MemoryReplica("r", capabilities=attrs.evolve(FULL, keeps_notes=True))
    made = await replica.create({"name": "P"}, notes=Notes(counterpart="l1"))
    await replica.update(await replica.get(made.id), {}, notes=Notes(state=LinkState.RETRY))
    assert (await replica.get(made.id)).notes == Notes(counterpart="l1", state=LinkState.RETRY)


async def linked() -> Pair:
    """One record on both sides, in sync, and the right one as it was before it gets an x."""
    pair = Pair()
    pair.left.add(name="Ada", born="2000-01-01", x=None, y=None)
    await pair.sweep(everything=True)
    return pair


async def test_that_a_whole_side_was_missing_is_no_first_pass_of_a_deletion():
    """Guarded pair, seed 700130: whom nobody had looked at since was deleted as soon as somebody deleted the other."""
    pair = deleting()
    for n in range(3):
        pair.left.add(name=f"P{n}", born=f"b{n}", x=None, y=None)
    await pair.sweep(everything=True)
    records = dict(pair.right.records)
    pair.right.records.clear()
    await pair.sweep(everything=True)
    assert pair.tally.states() == {LinkState.HELD: 3}
    pair.right.records.update(records)
    pair.clock.advance(60)
    pair.right.remove("r1")
    await pair.sweep(everything=True)
    assert "l1" in pair.left.records, "it is missing for the first time"
    await pair.sweep(everything=True)
    assert list(pair.left.records) == ["l2", "l3"]


async def test_an_old_answer_is_old_however_long_it_was_under_way():
    """Seed 900191: asked for within the time in which a remote may be behind, it came after that time."""
    pair = await linked()
    old = await pair.right.get("r1")
    pair.left.edit("l1", x="2")
    await (await pair.engine()).sync(Ref(Side.LEFT, "l1"))
    answers = [old]

    @attrs.frozen
    class Slow:
        replica: MemoryReplica

        def __getattr__(self, name: str) -> object:
            return getattr(self.replica, name)

        async def get(self, id: str) -> object:
            if answers:
                pair.clock.advance(6)
                return attrs.evolve(answers.pop(), seen_at=pair.clock.now())
            return await self.replica.get(id)

    engine = await pair.engine()
    engine = attrs.evolve(engine, parts=attrs.evolve(engine.parts, right=Slow(pair.right)))
    await engine.sync(Ref(Side.RIGHT, "r1"))
    assert not answers
    assert pair.left.values("l1")["x"] == "2"


async def test_a_failure_after_a_write_does_not_bring_back_the_look_from_before_it():
    """Seed 900465: then an old answer was no old one any more, and took an edit back."""
    pair = await linked()
    old = await pair.right.get("r1")
    pair.left.edit("l1", x="2")

    def failing(call: Call) -> None:
        if call.verb == "update":
            raise Unavailable("no notes now")

    pair.left.before = failing
    pair.right.after = lambda call: pair.clock.advance(0.1) and None
    await (await pair.engine()).sync(Ref(Side.LEFT, "l1"))
    ((link,),) = [group async for group in pair.store.links()]
    assert link.state is LinkState.RETRY
    assert link.right_shadow.fields["x"] == "2"
    assert link.right_shadow.replaced.version == old.version


@attrs.define
class Unique(MemoryReplica):
    """A side that refuses a second record of the same name, and tells the first."""

    async def create(self, fields, **options):
        same = [id for id, record in self.records.items() if record.fields["name"] == fields["name"]]
        if same:
            raise Duplicate("there is one", existing=[self._snapshot(id, row=True) for id in same])
        return await super().create(fields, **options)


async def entered_twice() -> Pair:
    """Somebody stands twice on the right; of the left record made from the first nobody knows for certain."""
    pair = Pair(left=Unique("l", capabilities=CRM, names=NAMES))
    first = pair.right.add(name="Ada", born="2000-01-01", x=None, y=None)
    pair.right.add(name="Ada", born="2000-01-01", x=None, y=None)
    engine = await pair.engine()
    for side in Side:
        await engine.index.ready(side)

    def lost(call: Call) -> None:
        if call.verb == "create":
            pair.left.before = unreachable
            raise Unconfirmed("no reply")

    def unreachable(call: Call) -> None:
        if call.verb == "search":
            raise Unavailable("not now")

    pair.left.after = lost
    await engine.sync(Ref(Side.RIGHT, first))
    pair.left.before = pair.left.after = lambda call: None
    return pair


async def test_whom_a_side_calls_a_duplicate_may_have_been_made_by_a_create_that_is_still_open():
    """Seed 1006358: the second took what the first had made, and the first tore them apart again."""
    pair = await entered_twice()
    assert list(pair.left.records) == ["l1"]
    engine = await pair.engine()
    second = await engine.sync(Ref(Side.RIGHT, "r2"))
    assert (second.state, second.refs) == (LinkState.REVIEW, (Ref(Side.RIGHT, "r2"),))
    first = await engine.sync(Ref(Side.RIGHT, "r1"))
    assert (first.state, first.refs) == (LinkState.IN_SYNC, (Ref(Side.LEFT, "l1"), Ref(Side.RIGHT, "r1")))


async def test_a_create_that_finds_its_record_with_somebody_else_leaves_the_pair_as_it_is():
    pair = await entered_twice()
    taken = attrs.evolve(Link.begin(Ref(Side.RIGHT, "r2")), left_id="l1", settled=True)
    await pair.store.save(taken)
    outcome = await (await pair.engine()).sync(Ref(Side.RIGHT, "r1"))
    assert (outcome.state, outcome.reason) == (LinkState.REVIEW, "match_taken")
    links = await pair.store.load([Ref(Side.LEFT, "l1"), Ref(Side.RIGHT, "r1")])
    assert links[Ref(Side.LEFT, "l1")].id == "right:r2"
    assert links[Ref(Side.RIGHT, "r1")].left_id is None
    assert list(pair.left.records) == ["l1"]


async def test_who_is_put_off_is_known_to_the_pass_that_meets_the_same_person_on_the_other_side():
    """Clocks apart, seed 1924: a first look had failed, so nobody knew who it was, and a second one was made."""
    pair = Pair()
    left = pair.left.add(name="Ada", born="2000-01-01", x=None, y=None)
    right = pair.right.add(name="Ada", born="2000-01-01", x=None, y=None)

    def failing(call: Call) -> None:
        if call.verb == "get":
            raise Unavailable("not now")

    pair.left.before = failing
    outcome = await (await pair.engine()).sync(Ref(Side.LEFT, left))
    assert outcome.retry_at > pair.clock.now()
    pair.left.before = lambda call: None
    await pair.sweep(everything=True)
    assert list(pair.left.records) == [left]
    assert list(pair.right.records) == [right]
    assert await pair.store.count() == {LinkState.IN_SYNC.value: 1}


async def sent_and_not_arrived() -> Pair:
    """An x of 2 is on its way to the right, where it arrives late; nobody knows whether it will."""
    pair = await linked()
    pair.clock.advance(60)
    pair.left.edit("l1", x="2")

    def lost(call: Call) -> None:
        if call.verb == "update":
            raise Unconfirmed("no reply")

    pair.right.before = lost
    await (await pair.engine()).sync(Ref(Side.LEFT, "l1"))
    pair.right.before = lambda call: None
    assert pair.right.values("r1").get("x") is None
    return pair


async def test_what_arrived_late_is_told_from_an_edit_by_a_look_and_not_by_a_row_from_before():
    """Seed 2013610: the row did not show our own write, so what we had sent was in conflict with the next edit."""
    pair = await sent_and_not_arrived()
    pair.left.edit("l1", x="3")
    pair.clock.advance(10)
    rows = {Ref(Side.RIGHT, "r1"): attrs.evolve(await pair.right.get("r1"), row=True)}
    pair.right.edit("r1", x="2")
    pair.clock.advance(120)
    outcome = await (await pair.engine()).sync(Ref(Side.LEFT, "l1"), rows)
    assert pair.left.values("l1")["x"] == pair.right.values("r1")["x"] == "3"
    assert outcome.settled == 0, "nobody had edited the right"


async def test_an_edit_that_was_taken_back_while_it_was_sent_stays_so_when_it_arrives_late():
    pair = await sent_and_not_arrived()
    pair.left.edit("l1", x=None)
    outcome = await (await pair.engine()).sync(Ref(Side.LEFT, "l1"))
    assert (outcome.state, outcome.reason) == (LinkState.RETRY, "underway")
    pair.right.edit("r1", x="2")
    await (await pair.engine()).sync(Ref(Side.RIGHT, "r1"))
    pair.clock.advance(120)
    await (await pair.engine()).sync(Ref(Side.RIGHT, "r1"))
    assert pair.left.values("l1")["x"] is pair.right.values("r1")["x"] is None


async def test_what_was_sent_to_a_record_out_of_sight_is_our_own_when_that_is_seen_again():
    """Guarded pair, seed 5130: the writer was killed, the side looked empty then, and our value met the next edit."""
    pair = await linked()
    pair.left.edit("l1", x="2")

    def killed(call: Call) -> None:
        if call.verb == "update":
            raise Killed

    pair.right.after = killed
    with pytest.raises(Killed):
        await (await pair.engine()).sync(Ref(Side.LEFT, "l1"))
    pair.right.after = lambda call: None
    assert pair.right.values("r1")["x"] == "2"
    record = pair.right.records.pop("r1")
    for _ in range(2):
        pair.clock.advance(120)
        await pair.sweep(everything=True)
    assert pair.tally.states() == {LinkState.GONE: 1}
    assert pair.left.records["l1"].notes.state is LinkState.GONE
    pair.right.records["r1"] = record
    pair.left.edit("l1", x="3")
    outcome = await (await pair.engine()).sync(Ref(Side.LEFT, "l1"))
    assert pair.left.values("l1")["x"] == pair.right.values("r1")["x"] == "3"
    assert outcome.settled == 0, "nobody had edited the right"


async def test_whose_record_vanished_while_its_create_was_open_is_not_made_from_an_older_row():
    """Guarded pair, seed 7817: the link was over, and then the row of before the deletion was taken for a stranger."""
    pair = Pair()
    left = Ref(Side.LEFT, pair.left.add(name="Ada", born="2000-01-01", x=None, y=None))

    def lost(call: Call) -> None:
        if call.verb == "create":
            raise Unconfirmed("no reply")

    pair.right.before = lost
    await (await pair.engine()).sync(left)
    pair.right.before = lambda call: None
    pair.clock.advance(120)
    rows = {left: attrs.evolve(await pair.left.get(left.id), row=True)}
    pair.left.remove(left.id)
    outcome = await (await pair.engine()).sync(left, rows)
    assert outcome.state is LinkState.TOMBSTONED
    assert not pair.right.records
