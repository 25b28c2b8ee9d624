"""What deletes, what does not yet, and what an approval is good for."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from pairs import CRM, Pair
from test_guarded_passes import DELETABLE, deleting, held, office, one_approval

from bidisync import Deletion, LinkState, Misconfigured, NeedsApproval, OnDelete, Ref, Side, tasks
from bidisync.approval import approve, rearm, revive
from bidisync.errors import Rejected, Transient, Unavailable
from bidisync.guards import Bounds
from bidisync.model import Review, ReviewKind
from bidisync.state import Link
from bidisync.stores.memory import MemoryStore
from bidisync.testing import Call
from bidisync.testing.clock import ManualClock
from bidisync.testing.replica import Stored


async def filled(pair: Pair, number: int) -> Pair:
    """The pair with so many records on both sides, in step."""
    for n in range(number):
        pair.left.add(name=f"P{n}", born=f"b{n}", x=None, y=None)
    await pair.sweep(everything=True)
    return pair


async def test_hints_prove_no_deletion_however_many_there_are():
    pair = await filled(deleting(), 3)
    engine = await pair.engine()
    pair.right.remove("r1")
    for _ in range(5):
        await engine.sync(Ref(Side.RIGHT, "r1"))
    assert "l1" in pair.left.records
    pair.clock.advance(90_000)
    await engine.sync(Ref(Side.RIGHT, "r1"))
    assert "l1" not in pair.left.records, "a day does"


async def test_after_another_mapping_not_even_a_hint_deletes_before_both_lists_were_read():
    pair = deleting()
    pair.more["scope"] = {"": "the firm", "x": "x"}
    await filled(pair, 3)
    pair.right.remove("r1")
    await pair.sweep(everything=True)
    pair.more["scope"] = {"": "the firm", "x": "z"}
    pair.clock.advance(90_000)
    outcome = await (await pair.engine()).sync(Ref(Side.RIGHT, "r1"))
    assert "l1" in pair.left.records
    assert (outcome.state, outcome.reason) == (LinkState.HELD, "scope_changed")


async def test_links_that_are_over_are_not_counted_among_those_that_a_percentage_is_of():
    pair = deleting()
    pair.more["bounds"] = Bounds(max_deletes=0, max_delete_percent=10.0)
    await filled(pair, 20)
    for n in range(1, 12):  # both sides: these links just end
        pair.left.remove(f"l{n}"), pair.right.remove(f"r{n}")
    await pair.sweep(everything=True)
    assert (await pair.store.count())["tombstoned"] == 11
    pair.clock.advance(90_000)
    engine = await pair.engine()
    pair.right.remove("r20")
    await engine.sync(Ref(Side.RIGHT, "r20"))
    pair.clock.advance(90_000)
    await engine.sync(Ref(Side.RIGHT, "r20"))
    assert [plan.reason for plan in await held(pair)] == ["mass_delete"], "one of nine is more than a tenth"


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


async def test_a_record_whose_deletion_waits_for_approval_shows_that_its_counterpart_is_gone():
    pair = await filled(deleting(), 40)
    for n in range(10, 16):
        pair.right.remove(f"r{n}")
    await pair.sweep(everything=True)
    await pair.sweep(everything=True)
    assert pair.tally.states()[LinkState.HELD] == 6
    notes = pair.left.records["l10"].notes
    assert (notes.state, notes.reason) == (LinkState.GONE, "mass_delete")


async def test_an_approval_outlives_a_write_that_failed():
    pair = await filled(deleting(), 40)
    for n in range(10, 16):
        pair.right.remove(f"r{n}")
    await pair.sweep(everything=True)
    await pair.sweep(everything=True)
    assert await one_approval(pair) == "mass_delete"

    def broken(call: Call) -> None:
        if call.verb == "delete":
            raise Unavailable("this record only")

    pair.left.before = broken
    await pair.sweep(rounds=1)
    pair.left.before = lambda call: None
    pair.clock.advance(7200)
    await pair.sweep()
    assert len(pair.left.records) == 34


async def test_the_approval_of_a_create_outlives_one_that_failed():
    pair = await office(70)
    for n in range(60):
        pair.right.add(name=f"Import {n}", born=f"i{n}")
    await pair.sweep()
    assert await one_approval(pair) == "mass_create"

    def broken(call: Call) -> None:
        if call.verb == "create":
            raise Unavailable("this record only")

    pair.left.before = broken
    await pair.sweep(rounds=1)
    pair.left.before = lambda call: None
    pair.clock.advance(7200)
    await pair.sweep(everything=True)
    assert len(pair.left.records) == 130
    assert not any(link.approved for link in (await pair.store.load([Ref(Side.RIGHT, "r71")])).values())


async def test_after_an_approved_mass_the_daily_work_goes_on():
    pair = await office(60)
    for n in range(1, 26):
        pair.right.edit(f"r{n}", x=f"new {n}")
    await pair.sweep()
    assert await one_approval(pair) == "mass_overwrite"
    await pair.sweep()
    pair.right.edit("r50", x="daily work")
    await pair.sweep()
    assert pair.left.records["l50"].fields["x"] == "daily work"


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


def refusing(pair: Pair) -> Pair:
    """The left system refuses every deletion: its records have invoices."""

    def refuse(call: Call) -> None:
        if call.verb == "delete":
            raise Rejected("has invoices")

    pair.left.before = refuse
    return pair


def deletes(pair: Pair) -> int:
    return sum(call.verb == "delete" for call in pair.left.calls)


async def test_a_refused_deletion_is_asked_for_once_and_a_person_is_told_once():
    pair = refusing(await filled(deleting(OnDelete.PROPAGATE), 3))
    pair.right.remove("r1")
    for _ in range(5):
        await pair.sweep(everything=True)
    assert deletes(pair) == 1
    (link,) = await pair.store.waiting()
    assert [(review.kind, review.reason) for review in link.reviews] == [(ReviewKind.GONE, "delete_refused")]
    assert pair.tally.states() == {LinkState.IN_SYNC: 2, LinkState.GONE: 1}
    assert [entry.what for entry in await pair.store.journal(link.id)].count("delete") == 1
    assert not await pair.store.unsettled()


async def test_that_the_attempt_itself_left_a_trace_on_the_record_is_no_reason_to_ask_again():
    pair = await filled(deleting(OnDelete.PROPAGATE), 3)

    def refuse(call: Call) -> None:
        if call.verb == "delete":
            pair.left.edit(call.id)  # its version moves, and no value
            raise Rejected("has invoices")

    pair.left.before = refuse
    pair.right.remove("r1")
    for _ in range(5):
        await pair.sweep(everything=True)
    assert deletes(pair) == 1
    (link,) = await pair.store.waiting()
    assert [review.reason for review in link.reviews] == ["delete_refused"]
    pair.left.edit("l1", invoices="none")
    await pair.sweep(everything=True)
    assert deletes(pair) == 2, "what somebody else does is one"


async def test_a_refused_deletion_is_tried_again_once_its_record_moved_or_a_person_says_so():
    pair = refusing(await filled(deleting(OnDelete.PROPAGATE), 3))
    pair.right.remove("r1")
    for _ in range(3):
        await pair.sweep(everything=True)
    pair.left.edit("l1", invoices="none")  # a field that nobody syncs
    for _ in range(3):
        await pair.sweep(everything=True)
    assert deletes(pair) == 2
    pair.left.before = lambda call: None
    await pair.sweep(everything=True)
    assert "l1" in pair.left.records, "nothing says that it would be allowed now"
    await rearm(pair.store, pair.clock, await pair.store.waiting())
    await pair.sweep()
    assert "l1" not in pair.left.records
    assert (await pair.store.count()) == {"in_sync": 2, "tombstoned": 1}


async def test_a_deletion_that_fails_again_and_again_is_given_up_until_something_moves_or_a_day_is_over():
    pair = await filled(deleting(OnDelete.PROPAGATE), 3)

    def broken(call: Call) -> None:
        if call.verb == "delete":
            raise Unavailable("this record only")

    pair.left.before = broken
    pair.right.remove("r1")
    for _ in range(8):
        await pair.sweep(everything=True, rounds=1)
        pair.clock.advance(4000)
    assert pair.tally.states()[LinkState.DEAD] == 1
    tried = deletes(pair)
    for _ in range(5):
        await pair.sweep(everything=True, rounds=1)
        await (await pair.engine()).sync("left:l1")
        await (await pair.engine()).sync("right:r1")
    assert deletes(pair) == tried, "a person was told once, and nothing moved"
    assert (await pair.store.count())["dead"] == 1
    pair.left.before = lambda call: None
    pair.clock.advance(90_000)
    await pair.sweep(everything=True)
    assert "l1" not in pair.left.records


async def test_what_was_edited_after_a_refused_deletion_is_kept_for_that():
    pair = refusing(await filled(deleting(OnDelete.PROPAGATE), 3))
    pair.right.remove("r1")
    for _ in range(2):
        await pair.sweep(everything=True)
    pair.left.before = lambda call: None
    pair.left.edit("l1", x="news")
    for _ in range(3):
        await pair.sweep(everything=True)
    (link,) = await pair.store.waiting()
    assert [review.reason for review in link.reviews] == ["deleted_right_edited_left"]
    assert pair.left.values("l1")["x"] == "news"


async def test_a_side_that_forbids_deletions_is_never_asked_to_delete():
    pair = deleting(OnDelete.PROPAGATE)
    pair.left.capabilities = CRM  # says nothing of deletions: the weakest is assumed
    await filled(pair, 3)
    pair.right.remove("r1")
    for _ in range(3):
        await pair.sweep(everything=True)
    assert deletes(pair) == 0
    (link,) = await pair.store.waiting()
    assert [review.reason for review in link.reviews] == ["deleted_right"]


async def test_archiving_is_refused_where_a_side_deletes_for_good():
    pair = deleting(OnDelete.ARCHIVE)
    pair.left.capabilities = attrs.evolve(CRM, deletion=Deletion.HARD)
    with pytest.raises(Misconfigured, match="the left side can't archive, it deletes for good"):
        await pair.engine()
    pair.policy = attrs.evolve(pair.policy, deletes_on=frozenset({Side.RIGHT}))
    await pair.engine()


@pytest.mark.parametrize("wrong", ["propagate", "nonsense", None, Side.LEFT])
def test_what_follows_a_deletion_is_one_of_four_answers_and_no_word(wrong):
    with pytest.raises(Misconfigured, match=r"what follows a deletion is OnDelete\.REVIEW, OnDelete\.PROPAGATE"):
        attrs.evolve(Pair().policy, on_delete=wrong)


async def test_each_of_several_held_plans_is_approved_alone_by_the_digest_of_its_task():
    pair = await office(3)
    pair.more["guard"] = NeedsApproval({"x"}, {Side.RIGHT})
    for n in (1, 2, 3):
        pair.left.edit(f"l{n}", x=f"account {n}")
    await pair.sweep()
    first, second, third = await tasks(pair.store, {})
    plan = await approve(pair.store, pair.clock, second.approves)
    assert plan is not None and plan.links == (second.link_id,)
    assert await approve(pair.store, pair.clock, "nobody's") is None
    await pair.sweep()
    assert [pair.right.values(f"r{n}")["x"] for n in (1, 2, 3)] == ["old", "account 2", "old"]
    pair.left.edit("l1", x="another account")
    await pair.sweep()
    assert await approve(pair.store, pair.clock, first.approves) is None, "what was edited since is another plan"
    (both,) = await held(pair)
    assert both.links == (first.link_id, third.link_id), "together they have a digest, too"
    assert await approve(pair.store, pair.clock, both.digest) == both
    await pair.sweep()
    assert [pair.right.values(f"r{n}")["x"] for n in (1, 2, 3)] == ["another account", "account 2", "account 3"]


class MovesAtOnce(MemoryStore):
    """A store in which another plan comes to wait just before the first approval is stored."""

    async def save(self, link: Link, **more: Any) -> Link:
        if link.approved:
            (now,) = (await self.load([link.origin])).values()
            if now.reviews[0].plan != "another":
                await super().save(attrs.evolve(now, reviews=(attrs.evolve(now.reviews[0], plan="another"),)))
        return await super().save(link, **more)


async def test_an_approval_is_of_the_plan_that_was_shown_even_where_it_moves_at_that_moment():
    store = MovesAtOnce()
    shown = Review(ReviewKind.HELD, "mass_overwrite", plan="shown")
    await store.save(attrs.evolve(Link.begin(Ref(Side.LEFT, "l1")), reviews=(shown,), settled=True))
    assert await approve(store, ManualClock(), "shown") is not None
    (link,) = await store.waiting()
    assert (link.approved, link.reviews[0].plan) == ("shown", "another")


async def both_deleted_and_the_left_one_brought_back(notes: bool, **more: object) -> tuple[Pair, Link]:
    """Four people of whom ``l1`` waits as brought back; it names ``r1``, which is gone, where it keeps notes."""
    pair = deleting(OnDelete.PROPAGATE)
    pair.left.capabilities = attrs.evolve(DELETABLE, keeps_notes=notes)
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
