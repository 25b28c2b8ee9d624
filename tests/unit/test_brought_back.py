"""A record that shows up again after its deletion has travelled, and whose counterpart may be there or not."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest
from pairs import NAMES, Pair
from test_deletions_and_approvals import filled
from test_guarded_passes import DELETABLE, deleting, office

from bidisync import LinkState, OnDelete, Ref, Side
from bidisync.approval import rearm, revive
from bidisync.errors import Transient
from bidisync.model import Notes, Review, ReviewKind, Snapshot, Value
from bidisync.state import Link
from bidisync.testing import Call
from bidisync.testing.replica import MemoryReplica, Stored


async def test_records_that_come_back_as_they_were_are_kept_in_step_again():
    pair = await office(3)
    left, right = pair.left.records.pop("l1"), pair.right.records.pop("r1")
    await pair.sweep(everything=True)
    assert (await pair.store.count())["tombstoned"] == 1
    pair.left.records["l1"], pair.right.records["r1"] = left, right
    await pair.sweep(everything=True)
    assert (await pair.store.count()) == {"in_sync": 3}


async def test_a_record_that_somebody_brings_back_after_the_sync_deleted_it_is_for_a_person():
    pair = await filled(deleting(OnDelete.PROPAGATE), 3)
    before = pair.left.records["l1"]
    pair.right.remove("r1")
    await pair.sweep(everything=True)
    await pair.sweep(everything=True)
    assert "l1" not in pair.left.records
    pair.left.records["l1"] = before
    for _ in range(3):
        await pair.sweep(everything=True)
        pair.clock.advance(90_000)
    assert "l1" in pair.left.records, "it is not deleted a second time"
    assert len(pair.right.records) == 2, "nor made again"
    assert (await pair.store.count()) == {"in_sync": 2, "gone": 1}


@pytest.mark.parametrize("begun", list(Side))
async def test_a_record_that_is_entered_again_under_its_id_gets_a_new_counterpart_once_a_person_says_so(begun):
    pair = deleting(OnDelete.PROPAGATE)
    pair.left.capabilities = attrs.evolve(DELETABLE, keeps_notes=False)
    for n in range(3):  # a link is named after the record that it began with
        (pair.left if begun is Side.LEFT else pair.right).add(name=f"P{n}", born=f"b{n}", x=None, y=None)
    await pair.sweep(everything=True)
    pair.right.remove("r1")
    for _ in range(2):
        await pair.sweep(everything=True)
    assert set(pair.left.records) == {"l2", "l3"}
    pair.right.records["r1"] = Stored({"name": "P0", "born": "b0", "x": "again", "y": None}, 1000, 0.0)
    for _ in range(3):
        await pair.sweep(everything=True)
    (link,) = await pair.store.waiting()
    assert [(review.kind, review.reason) for review in link.reviews] == [(ReviewKind.GONE, "brought_back")]
    assert set(pair.left.records) == {"l2", "l3"}, "nothing is made again unasked"
    assert await rearm(pair.store, pair.clock, [link]) == 1
    await pair.sweep()
    assert pair.left.values("l4")["x"] == "again"
    assert (await pair.store.count()) == {"in_sync": 3}
    pair.left.edit("l4", y="an edit")
    await pair.sweep(everything=True)
    assert pair.right.values("r1")["y"] == "an edit"


async def test_whoever_is_entered_again_under_another_id_after_a_deletion_that_travelled_is_made_again():
    pair = await filled(deleting(OnDelete.PROPAGATE), 3)
    pair.right.remove("r1")
    for _ in range(2):
        await pair.sweep(everything=True)
    pair.right.add(name="P0", born="b0", x="again", y=None)
    for _ in range(2):
        await pair.sweep(everything=True)
    assert set(pair.left.records) == {"l2", "l3", "l4"}
    assert (await pair.store.count()) == {"in_sync": 3, "tombstoned": 1}


async def test_a_record_that_comes_back_as_its_counterpart_does_is_no_new_one():
    pair = await filled(deleting(OnDelete.PROPAGATE), 3)
    left, right = pair.left.records["l1"], pair.right.records.pop("r1")
    for _ in range(2):
        await pair.sweep(everything=True)
    pair.left.records["l1"], pair.right.records["r1"] = left, right
    await pair.sweep(everything=True)
    assert (await pair.store.count()) == {"in_sync": 3}
    assert len(pair.left.records) == len(pair.right.records) == 3


async def test_where_people_deleted_both_a_record_that_comes_back_is_for_a_person_for_that_reason():
    pair = await office(3)
    left = pair.left.records.pop("l1")
    pair.right.remove("r1")
    await pair.sweep(everything=True)
    pair.left.records["l1"] = attrs.evolve(left, version=1000)
    for _ in range(3):
        await pair.sweep(everything=True)
    (link,) = await pair.store.waiting()
    assert [(review.kind, review.reason) for review in link.reviews] == [(ReviewKind.GONE, "brought_back")]
    there = dict(pair.right.records)
    assert len(there) == 2
    pair.right.records.clear()
    await pair.sweep(everything=True)
    assert pair.tally.states() == {LinkState.HELD: 2, LinkState.GONE: 1}
    pair.clock.advance(90_000)
    pair.right.records.update(there)
    await pair.sweep(everything=True)
    (still,) = await pair.store.waiting()
    assert still.reviews == link.reviews, "a side that looked empty meanwhile takes nothing of that back"
    pair.left.remove("l1")
    await pair.sweep(everything=True)
    assert not await pair.store.waiting(), "and deleted again it is over"


async def both_deleted_and_the_left_one_brought_back(notes: bool, **more: object) -> tuple[Pair, Link]:
    """Four people of whom ``l1`` waits as brought back; it names ``r1``, which is gone, where it keeps notes."""
    pair = deleting(OnDelete.PROPAGATE)
    can = attrs.evolve(DELETABLE, keeps_notes=notes)
    pair.left = KeepsItsNumber("l", capabilities=can, names=NAMES, now=pair.clock.now)
    pair.more.update(more)
    await filled(pair, 4)
    left = pair.left.records.pop("l1")
    pair.right.remove("r1")
    await pair.sweep(everything=True)
    pair.left.records["l1"] = attrs.evolve(left, version=1000)
    await pair.sweep(everything=True)
    (link,) = await pair.store.waiting()
    assert [review.reason for review in link.reviews] == ["brought_back"]
    return pair, link


class KeepsItsNumber(MemoryReplica):
    """Like EspoCRM: a counterpart is written only where the record names none, or one that it replaces."""

    async def update(
        self, seen: Snapshot, fields: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        there = None if seen.notes is None else seen.notes.counterpart
        if notes is not None and there not in (None, notes.replaces):
            notes = attrs.evolve(notes, counterpart=there)
        return await super().update(seen, fields, notes=notes)


@pytest.mark.parametrize("show_state", [True, False])
async def test_a_record_that_still_names_the_counterpart_which_was_given_up_gets_a_new_one(show_state):
    pair, link = await both_deleted_and_the_left_one_brought_back(notes=True, show_state=show_state)
    assert pair.left.records["l1"].notes.counterpart == "r1"
    await rearm(pair.store, pair.clock, [link])
    await pair.sweep(everything=True)
    assert set(pair.right.records) == {"r2", "r3", "r4", "r5"}
    assert (await pair.store.count()) == {"in_sync": 4}
    assert pair.left.records["l1"].notes.counterpart == "r5"
    pair.right.edit("r5", y="an edit")
    await pair.sweep(everything=True)
    assert pair.left.values("l1")["y"] == "an edit"


@pytest.mark.parametrize("notes", [True, False])
async def test_whoever_was_given_up_and_is_back_before_anything_was_made_is_the_counterpart(notes):
    pair, link = await both_deleted_and_the_left_one_brought_back(notes)
    await rearm(pair.store, pair.clock, [link])
    pair.right.records["r1"] = Stored({"name": "P0", "born": "b0", "x": None, "y": None}, 1000, 0.0)
    await (await pair.engine()).sync(Ref(Side.LEFT, "l1"))  # nobody has listed the other one since
    await pair.sweep(everything=True)
    assert set(pair.right.records) == {"r1", "r2", "r3", "r4"}
    assert (await pair.store.count()) == {"in_sync": 4}


@pytest.mark.parametrize("notes", [True, False])
async def test_whoever_was_entered_again_under_another_id_is_no_reason_to_make_a_double(notes):
    pair, link = await both_deleted_and_the_left_one_brought_back(notes)
    pair.right.add(name="P0", born="b0", x=None, y=None)
    await rearm(pair.store, pair.clock, [link])
    await pair.sweep(everything=True)
    assert set(pair.right.records) == {"r2", "r3", "r4", "r5"}
    assert (await pair.store.count()) == {"in_sync": 4}


async def test_that_somebody_was_given_up_outlasts_a_doubt_and_ends_where_another_one_is_named():
    pair, link = await both_deleted_and_the_left_one_brought_back(notes=True)
    pair.right.add(name="P0", born=None, x="somebody of that name", y=None)
    await rearm(pair.store, pair.clock, [link])
    await pair.sweep(everything=True)
    assert pair.tally.states() == {LinkState.IN_SYNC: 3, LinkState.REVIEW: 2}
    assert {review.reason for link in await pair.store.waiting() for review in link.reviews} == {"match_weak"}
    left = pair.left.records["l1"]
    pair.left.records["l1"] = attrs.evolve(left, notes=attrs.evolve(left.notes, counterpart="r99"), version=2000)
    await pair.sweep(everything=True)
    (outcome,) = [o for o in pair.tally.outcomes.values() if o.ref == Ref(Side.LEFT, "l1")]
    assert outcome.reason == "counterpart_missing", "nobody has the number that was entered"
    pair.left.records["l1"] = attrs.evolve(left, notes=attrs.evolve(left.notes, counterpart="r5"), version=3000)
    await pair.sweep(everything=True)
    assert set(pair.right.records) == {"r2", "r3", "r4", "r5"}
    assert not await pair.store.waiting()


async def test_trying_all_again_that_was_given_up_makes_no_counterpart_that_nobody_asked_for():
    pair, link = await both_deleted_and_the_left_one_brought_back(notes=True)

    def broken(call: Call) -> None:
        if call.verb == "get" and call.id == "r1":
            raise Transient("no")

    pair.right.before = broken
    for _ in range(8):
        pair.clock.advance(5000)
        await pair.sweep(everything=True)
    pair.right.before = lambda call: None
    (dead,) = await pair.store.waiting()
    assert dead.attempts.dead and dead.reviews == link.reviews
    assert await revive(pair.store, pair.clock) == [dead]
    await pair.sweep(everything=True)
    assert set(pair.right.records) == {"r2", "r3", "r4"}
    (still,) = await pair.store.waiting()
    assert (still.state, still.reviews) == (LinkState.GONE, link.reviews)
    await rearm(pair.store, pair.clock, [still])
    await pair.sweep(everything=True)
    assert set(pair.right.records) == {"r2", "r3", "r4", "r5"}, "by name it does"


async def test_a_link_that_an_earlier_version_took_up_again_as_an_edit_after_a_deletion_is_for_a_person_to_renew():
    pair, link = await both_deleted_and_the_left_one_brought_back(notes=True)
    as_before = (Review(ReviewKind.GONE, "deleted_right_edited_left"),)
    await pair.store.save(attrs.evolve(link, reviews=as_before))
    await pair.sweep(everything=True)
    (link,) = await pair.store.waiting()
    assert [(review.kind, review.reason) for review in link.reviews] == [(ReviewKind.GONE, "brought_back")]
    await rearm(pair.store, pair.clock, [link])
    await pair.sweep(everything=True)
    assert set(pair.right.records) == {"r2", "r3", "r4", "r5"}
    assert (await pair.store.count()) == {"in_sync": 4}


async def test_a_deletion_on_one_side_before_anything_was_agreed_on_is_no_record_that_was_brought_back():
    pair = await filled(deleting(OnDelete.PROPAGATE), 2)
    pair.left.add(name="Q", born="q", x="left", y="left")
    pair.right.add(name="Q", born="q", x="right", y="right")
    await pair.sweep(everything=True)
    (link,) = await pair.store.waiting()
    await pair.store.save(attrs.evolve(link, base={}))  # no field at all is agreed on
    pair.right.remove("r3")
    for _ in range(3):
        await pair.sweep(everything=True)
    (link,) = await pair.store.waiting()
    assert [review.reason for review in link.reviews] == ["deleted_right_edited_left"]
