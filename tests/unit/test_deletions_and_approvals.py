"""What deletes, what does not yet, and what an approval is good for."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest
from pairs import CRM, Pair
from test_guarded_passes import deleting, held, office, one_approval

from bidisync import Deletion, LinkState, Misconfigured, NeedsApproval, OnDelete, Ref, Side, tasks
from bidisync.approval import approve, rearm
from bidisync.errors import Rejected, Unavailable
from bidisync.guards import Bounds
from bidisync.model import Review, ReviewKind
from bidisync.state import Link
from bidisync.stores.memory import MemoryStore
from bidisync.testing import Call
from bidisync.testing.clock import ManualClock


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


async def test_two_passes_at_the_same_moment_are_no_two_looks_at_a_deletion():
    pair = await filled(deleting(OnDelete.PROPAGATE), 3)
    pair.right.remove("r1")

    def takes_its_time(call: Call) -> None:
        if call.verb == "get":
            pair.clock.advance(1.0)

    pair.right.before = takes_its_time
    await asyncio.gather(pair.sweep(everything=True), pair.sweep(everything=True))
    assert "l1" in pair.left.records, "of two workers neither has seen it missing for any time"
    await pair.sweep(everything=True)
    assert "l1" not in pair.left.records


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
