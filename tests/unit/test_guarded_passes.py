"""Nothing big happens unasked: guards, approvals, deletions, twins, loops and a changed mapping."""

from __future__ import annotations

import attrs
import pytest
from pairs import CRM, Pair

from bidisync import Deletion, LinkState, OnDelete, Ref, Side, ask, prefer_right
from bidisync.approval import approve, rearm
from bidisync.errors import Merged, Unavailable, Unconfirmed
from bidisync.guards import Bounds, held_plans, too_much
from bidisync.testing import Call

DELETABLE = attrs.evolve(CRM, deletion=Deletion.SOFT)


async def office(number: int, **more: object) -> Pair:
    """So many records on both sides, in step."""
    pair = Pair(more=more)
    for n in range(number):
        pair.left.add(name=f"P{n}", born=f"b{n}", x="old", y="old")
    await pair.sweep(everything=True)
    assert pair.tally.states() == {LinkState.IN_SYNC: number}
    return pair


def deleting(on_delete: OnDelete = OnDelete.ARCHIVE) -> Pair:
    pair = Pair(left=attrs.evolve(Pair().left, capabilities=DELETABLE))
    pair.policy = attrs.evolve(pair.policy, on_delete=on_delete, deletes_on=frozenset({Side.LEFT}))
    return pair


async def held(pair: Pair):
    return held_plans(await pair.store.waiting())


async def one_approval(pair: Pair) -> str:
    (plan,) = await held(pair)
    assert await approve(pair.store, pair.clock, plan.digest) == plan
    return plan.reason


async def test_a_mass_overwrite_waits_as_a_whole_and_everything_else_goes_on():
    pair = await office(60)
    for n in range(1, 26):
        pair.right.edit(f"r{n}", x=f"new {n}")
    pair.right.edit("r40", born=None, x="old")  # nothing but a blank
    pair.left.edit("l50", y="by hand")
    before = pair.writes()
    await pair.sweep()
    assert {pair.left.records[f"l{n}"].fields["x"] for n in range(1, 26)} == {"old"}
    assert pair.right.records["r50"].fields["y"] == "by hand", "edits the other way are no part of it"
    assert pair.left.records["l40"].fields["born"] is None
    assert len([call for call in pair.left.writes[before:] if "x" in call.fields]) == 0
    (plan,) = await held(pair)
    assert (plan.reason, len(plan.links)) == ("mass_overwrite", 25)
    await pair.sweep(everything=True)
    assert await held(pair) == (plan,), "a second pass changes nothing of it"


async def test_an_approval_lets_exactly_the_plans_go_that_were_shown():
    pair = await office(60)
    for n in range(1, 26):
        pair.right.edit(f"r{n}", x=f"new {n}")
    await pair.sweep()
    (plan,) = await held(pair)
    assert await approve(pair.store, pair.clock, "0" * 16) is None
    pair.right.edit("r1", x="newer")
    assert await one_approval(pair) == "mass_overwrite"
    assert await approve(pair.store, pair.clock, plan.digest) is not None, "it waits until the next pass"
    await pair.sweep()
    assert {pair.left.records[f"l{n}"].fields["x"] for n in range(2, 26)} == {f"new {n}" for n in range(2, 26)}
    links = await pair.store.load([Ref(Side.LEFT, "l1")])
    assert pair.left.records["l1"].fields["x"] == "old", "what moved since is another plan"
    assert links[Ref(Side.LEFT, "l1")].state is LinkState.HELD
    assert await approve(pair.store, pair.clock, plan.digest) is None, "an approval is used once"


async def test_values_emptied_by_the_dozen_wait():
    pair = await office(100)
    for n in range(1, 24):
        pair.right.edit(f"r{n}", x=None)
    await pair.sweep()
    (plan,) = await held(pair)
    assert (plan.reason, len(plan.links)) == ("mass_blank", 23)


async def test_what_happened_within_a_day_counts_and_then_no_more():
    pair = await office(100)
    for n in range(1, 16):
        pair.right.edit(f"r{n}", x="first")
    await pair.sweep()
    assert not await held(pair)
    pair.clock.advance(3600)
    for n in range(21, 36):
        pair.right.edit(f"r{n}", x="second")
    await pair.sweep()
    (plan,) = await held(pair)
    assert len(plan.links) == 15
    pair.clock.advance(90_000)
    for n in range(41, 56):
        pair.right.edit(f"r{n}", x="third")
    await pair.sweep()
    assert {pair.left.records[f"l{n}"].fields["x"] for n in range(41, 56)} == {"third"}


async def test_edits_that_a_hint_names_are_no_mass():
    pair = await office(60)
    engine = await pair.engine()
    for n in range(1, 31):
        pair.right.edit(f"r{n}", x="by hand")
        await engine.sync(Ref(Side.RIGHT, f"r{n}"))
    assert {pair.left.records[f"l{n}"].fields["x"] for n in range(1, 31)} == {"by hand"}
    pair.right.edit("r40", x="one more")
    await pair.sweep()
    assert pair.left.records["l40"].fields["x"] == "one more", "nor do they count against a poll"


async def test_an_import_waits_but_the_first_contact_does_not():
    pair = await office(70)
    for n in range(60):
        pair.right.add(name=f"Import {n}", born=f"i{n}")
    await pair.sweep()
    assert len(pair.left.records) == 70
    (plan,) = await held(pair)
    assert (plan.reason, len(plan.links)) == ("mass_create", 60)
    await one_approval(pair)
    await pair.sweep()
    assert len(pair.left.records) == 130
    assert not await held(pair)


async def test_a_first_contact_that_is_killed_is_still_the_first_contact():
    class Killed(BaseException):
        pass

    pair = Pair()
    for n in range(90):
        pair.left.add(name=f"P{n}", born=f"b{n}")

    def kill(call: Call) -> None:
        if call.verb == "create" and len(pair.right.records) == 40:
            raise Killed

    pair.right.before = kill
    with pytest.raises(BaseExceptionGroup):
        await pair.sweep()
    pair.right.before = lambda call: None
    pair.clock.advance(600)
    await pair.sweep()
    assert len(pair.right.records) == 90
    assert not await held(pair)


async def test_all_records_of_a_list_changed_at_once_is_a_defect_of_something():
    pair = await office(30, bounds=Bounds(max_overwrite_percent=99.9))
    for n in range(1, 31):
        pair.right.edit(f"r{n}", x="2000-01-01")
    await pair.sweep(everything=True)
    (plan,) = await held(pair)
    assert (plan.reason, len(plan.links)) == ("everything_changed", 30)


async def test_a_side_that_answers_for_nobody_has_not_lost_everybody():
    pair = deleting(OnDelete.PROPAGATE)
    for n in range(30):
        pair.left.add(name=f"P{n}", born=f"b{n}", x=None, y=None)
    await pair.sweep(everything=True)
    records = dict(pair.right.records)
    pair.right.records.clear()
    for _ in range(3):
        pair.clock.advance(90_000)
        await pair.sweep(everything=True)
        assert pair.tally.states() == {LinkState.HELD: 30}
    assert len(pair.left.records) == 30
    pair.right.records.update(records)
    pair.left.calls.clear(), pair.right.calls.clear()
    await pair.sweep(everything=True)
    assert pair.tally.states() == {LinkState.IN_SYNC: 30}
    assert {call.fields for call in pair.left.writes + pair.right.writes} == {()}, "only how it stands is written"


async def test_a_few_deletions_travel_after_their_grace_and_many_wait():
    pair = deleting()
    for n in range(40):
        pair.left.add(name=f"P{n}", born=f"b{n}", x=None, y=None)
    await pair.sweep(everything=True)
    for n in range(1, 4):
        pair.right.remove(f"r{n}")
    await pair.sweep(everything=True)
    assert len(pair.left.records) == 40, "a pass that misses a record proves nothing yet"
    assert pair.tally.states()[LinkState.GONE] == 3
    await pair.sweep(everything=True)
    assert len(pair.left.records) == 37
    for n in range(10, 16):
        pair.right.remove(f"r{n}")
    for _ in range(3):
        await pair.sweep(everything=True)
    assert len(pair.left.records) == 37, "three and six are too many for a day, so none of the six goes"
    (plan,) = await held(pair)
    assert (plan.reason, len(plan.links)) == ("mass_delete", 6)
    await one_approval(pair)
    await pair.sweep()
    assert len(pair.left.records) == 31


async def test_deletions_that_hints_name_one_by_one_count_too():
    pair = deleting()
    for n in range(40):
        pair.left.add(name=f"P{n}", born=f"b{n}", x=None, y=None)
    await pair.sweep(everything=True)
    engine = await pair.engine()
    for n in range(1, 11):
        pair.right.remove(f"r{n}")
        for _ in range(2):
            await engine.sync(Ref(Side.RIGHT, f"r{n}"))
    assert len(pair.left.records) == 40, "two hints are no two passes: the grace goes on"
    pair.clock.advance(86_401)
    for n in range(1, 11):
        await engine.sync(Ref(Side.RIGHT, f"r{n}"))
    assert len(pair.left.records) == 35


async def test_a_hint_and_a_pass_are_no_two_passes():
    pair = deleting()
    for n in range(3):
        pair.left.add(name=f"P{n}", born=f"b{n}", x=None, y=None)
    await pair.sweep(everything=True)
    pair.right.remove("r1")
    await (await pair.engine()).sync(Ref(Side.RIGHT, "r1"))
    await pair.sweep(everything=True)
    assert len(pair.left.records) == 3, "one pass has missed it so far"
    await pair.sweep(everything=True)
    assert len(pair.left.records) == 2


async def test_a_record_that_shows_up_again_ends_its_deletion():
    pair = deleting()
    for n in range(3):
        pair.left.add(name=f"P{n}", born=f"b{n}", x=None, y=None)
    await pair.sweep(everything=True)
    record = pair.right.records.pop("r1")
    await pair.sweep(everything=True)
    pair.right.records["r1"] = record
    await pair.sweep(everything=True)
    pair.right.records.pop("r1")
    await pair.sweep(everything=True)
    assert len(pair.left.records) == 3, "the grace begins anew"
    assert pair.tally.states()[LinkState.GONE] == 1


async def test_a_deleted_record_that_somebody_brings_back_is_kept_in_step_again():
    pair = await office(3)
    left, right = pair.left.records.pop("l1"), pair.right.records.pop("r1")
    await pair.sweep(everything=True)
    await pair.sweep(everything=True)
    assert pair.tally.states()[LinkState.TOMBSTONED] == 0
    assert (await pair.store.count())["tombstoned"] == 1
    pair.left.records["l1"], pair.right.records["r1"] = left, right
    pair.left.edit("l1", x="back")
    await pair.sweep(everything=True)
    assert (await pair.store.count()) == {"in_sync": 2, "conflict": 1}, "what both agreed on is over"
    assert len(pair.left.records) == len(pair.right.records) == 3


async def test_a_tombstone_is_not_made_again_from_the_survivor():
    pair = deleting(OnDelete.IGNORE)
    for n in range(3):
        pair.left.add(name=f"P{n}", born=f"b{n}", x=None, y=None)
    await pair.sweep(everything=True)
    pair.left.remove("l1")
    await pair.sweep(everything=True)
    pair.right.edit("r1", x="edited")
    await pair.sweep(everything=True)
    assert set(pair.left.records) == {"l2", "l3"}
    assert "r1" in pair.right.records


async def test_another_mapping_begins_anew_and_deletes_nothing_in_that_pass():
    pair = deleting()
    pair.more["scope"] = {"": "the firm", "x": "x to x", "y": "y to y"}
    for n in range(4):
        pair.left.add(name=f"P{n}", born=f"b{n}", x="same", y="same")
    await pair.sweep(everything=True)
    for _ in range(2):
        pair.right.records.pop("r1", None)
        await pair.sweep(everything=True, side=Side.LEFT)
    pair.left.records["l2"].fields["x"] = "another field"
    pair.left.records["l2"].version += 100
    pair.more["scope"] = {"": "the firm", "x": "x to z", "y": "y to y"}
    await pair.sweep(everything=True)
    links = await pair.store.load([Ref(Side.LEFT, f"l{n}") for n in range(1, 5)])
    assert links[Ref(Side.LEFT, "l2")].state is LinkState.CONFLICT, "no base, both filled: a person"
    assert pair.right.records["r2"].fields["x"] == "same"
    assert links[Ref(Side.LEFT, "l3")].base["x"].left == "same", "what agrees is agreed on again"
    assert len(pair.left.records) == 4, "nothing is deleted in the pass that begins anew"
    await pair.sweep(everything=True)
    await pair.sweep(everything=True)
    assert len(pair.left.records) == 4, "nor later, as nobody knows what the other side had to say of that field"
    assert pair.tally.states()[LinkState.GONE] == 1


async def test_two_automations_that_fight_are_stopped():
    pair = await office(2)
    for _ in range(12):
        pair.left.edit("l1", x="A")
        await pair.sweep()
        pair.right.edit("r1", x="B")
        pair.right.edit("r2", y=f"at {pair.clock.at}")
        await pair.sweep()
        pair.clock.advance(30)
    (link,) = await pair.store.waiting()
    assert [(review.group, review.reason) for review in link.reviews] == [("g", "flapping")]
    assert len([call for call in pair.left.writes + pair.right.writes if "x" in call.fields]) <= 8
    assert pair.left.records["l2"].fields["y"] == pair.right.records["r2"].fields["y"], "others are not disturbed"


async def test_a_request_that_is_lost_again_and_again_is_no_loop():
    pair = await office(1)
    pair.left.edit("l1", x="new")
    lost = 0

    def lose(call: Call) -> None:
        nonlocal lost
        if call.verb == "update" and lost < 4:
            lost += 1
            raise Unconfirmed("lost")

    pair.right.before = lose
    for _ in range(8):
        pair.clock.advance(7200)
        await pair.sweep()
    assert pair.right.records["r1"].fields["x"] == "new"
    assert pair.tally.states() == {LinkState.IN_SYNC: 1} or not await pair.store.waiting()


async def test_a_twin_that_shows_up_late_goes_to_a_person_and_is_not_copied_back():
    pair = Pair()
    pair.left.add(name="Ada", born=None, x=None, y=None)

    def lose(call: Call) -> None:
        if call.verb == "create" and not pair.right.records:
            raise Unconfirmed("lost")

    pair.right.before = lose
    await pair.sweep(rounds=1)
    pair.clock.advance(600)
    pair.right.before = lambda call: None
    await pair.sweep()
    assert set(pair.right.records) == {"r1"}
    pair.right.add(name="Ada", born=None, x=None, y=None)  # the first request, at last
    pair.clock.advance(1000)
    await pair.sweep()
    assert len(pair.left.records) == 1
    links = await pair.store.load([Ref(Side.RIGHT, "r1"), Ref(Side.RIGHT, "r2")])
    assert {link.id: [review.reason for review in link.reviews] for link in links.values()} == {
        "left:l1": ["twin"],
        "right:r2": ["twin"],
    }
    pair.clock.advance(100_000)
    await pair.sweep(everything=True)
    assert not await pair.store.watched(), "after a day nobody looks any more"
    assert len(pair.left.records) == 1, "and still nobody is made a second time"


async def test_a_record_that_answers_under_a_foreign_id_is_for_a_person():
    pair = await office(2)
    pair.left.edit("l1", x="new")

    def merged(call: Call) -> None:
        if call == Call("get", "r1"):
            raise Merged("another record")

    pair.right.before = merged
    await pair.sweep(everything=True)
    (link,) = await pair.store.waiting()
    assert [(link.id, review.reason) for review in link.reviews] == [("left:l1", "merged")]
    pair.right.before = lambda call: None
    await pair.sweep(everything=True)
    assert pair.right.records["r1"].fields["x"] == "new"


async def test_the_dead_are_tried_again_after_a_day_after_a_change_and_when_told():
    pair = await office(3)

    def broken(call: Call) -> None:
        if call.verb == "update":
            raise Unavailable("this record only")

    pair.right.before = broken
    for n in range(1, 4):
        pair.left.edit(f"l{n}", x="new")
    for _ in range(6):
        pair.clock.advance(7200)
        await pair.sweep()
    assert (await pair.store.count()) == {"dead": 3}
    pair.right.before = lambda call: None
    pair.left.edit("l1", y="changed")
    await pair.sweep()
    assert (await pair.store.count()) == {"dead": 2, "in_sync": 1}
    links = await pair.store.load([Ref(Side.LEFT, "l2")])
    assert await rearm(pair.store, pair.clock, links.values()) == 1
    await pair.sweep()
    assert (await pair.store.count()) == {"dead": 1, "in_sync": 2}
    pair.clock.advance(90_000)
    await pair.sweep(everything=True)
    assert (await pair.store.count()) == {"in_sync": 3}
    assert {record.fields["x"] for record in pair.right.records.values()} == {"new"}


async def test_a_list_that_became_much_shorter_deletes_nothing_at_first():
    pair = deleting()
    for n in range(200):
        pair.left.add(name=f"P{n}", born=f"b{n}", x=None, y=None)
    pair.more["bounds"] = Bounds(max_deletes=1000)
    await pair.sweep(everything=True)
    for n in range(1, 31):
        pair.right.remove(f"r{n}")
    await pair.sweep(everything=True)
    await pair.sweep(everything=True)
    assert len(pair.left.records) == 170, "the second list of that length is believed"


def test_bounds_need_the_number_and_the_percentage():
    bounds = Bounds()
    from bidisync.guards import Act

    assert not bounds.passed(Act.DELETE, 5, 10)
    assert bounds.passed(Act.DELETE, 6, 100)
    assert not bounds.passed(Act.DELETE, 6, 400)
    assert not bounds.passed(Act.OVERWRITE, 19, 20)
    assert bounds.passed(Act.OVERWRITE, 20, 99)
    assert not bounds.passed(Act.OVERWRITE, 20, 100)
    assert bounds.passed(Act.CREATE, 51, 100)
    assert not bounds.passed(Act.CREATE, 50, 100)


def test_whoever_lets_every_record_be_overwritten_has_nothing_held_however_often_they_are():
    every = {f"left:{n}": ["overwrite:right", "blank:left"] for n in range(150)}
    others = {f"left:{n}" for n in range(100, 250)}  # a hundred of them are links no more
    lately = {"overwrite:right": others, "blank:left": others, "delete:right": {f"left:{n}" for n in range(150, 154)}}
    free = Bounds(max_overwrite_percent=100.0, max_blank_percent=100.0)
    assert too_much(free, every, lately, 150) == {}
    tight = Bounds(max_overwrite_percent=99.0, max_blank_percent=100.0)
    assert too_much(tight, every, lately, 150) == {"overwrite:right": "mass_overwrite"}
    deletes = {f"left:{n}": ["delete:right"] for n in range(3)}
    assert too_much(free, deletes, lately, 5) == {"delete:right": "mass_delete"}, "what is gone is no link any more"


def test_a_link_that_is_edited_today_and_again_counts_once():
    bounds, again = Bounds(max_overwrite_percent=20.0), {f"left:{n}": ["overwrite:right"] for n in range(20)}
    assert too_much(bounds, again, {"overwrite:right": set(again)}, 100) == {}
    one_more = {*again, "left:99"}
    assert too_much(bounds, again, {"overwrite:right": one_more}, 100) == {"overwrite:right": "mass_overwrite"}


async def test_the_same_records_edited_again_and_again_within_a_day_are_no_mass():
    pair = await office(100)
    for turn in ("first", "second", "third"):
        for n in range(1, 16):
            pair.right.edit(f"r{n}", x=turn)
        await pair.sweep()
        pair.clock.advance(3600)
    assert {pair.left.records[f"l{n}"].fields["x"] for n in range(1, 16)} == {"third"}
    assert not await held(pair)


def strangers(number: int, differing: int, **right: object) -> Pair:
    """So many people that both sides know and nobody linked; with so many of them a field differs."""
    pair = Pair()
    groups = [attrs.evolve(group, initial=prefer_right) for group in pair.policy.groups]
    pair.policy = attrs.evolve(pair.policy, groups=groups)
    for n in range(number):
        pair.left.add(name=f"P{n}", born=f"b{n}", x="left", y="y")
        pair.right.add(**{"name": f"P{n}", "born": f"b{n}", "x": "left", "y": "y", **(right if n < differing else {})})
    return pair


async def test_a_first_contact_that_would_overwrite_every_third_waits_and_then_goes_as_it_was_shown():
    pair = strangers(90, 30, x="right")
    for n in range(60):
        pair.left.add(name=f"New {n}", born=f"n{n}", x="left", y="y")
    await pair.sweep(everything=True)
    assert pair.tally.states() == {LinkState.IN_SYNC: 120, LinkState.HELD: 30}, (
        "makes sixty freely, links those in step"
    )
    assert {record.fields["x"] for record in pair.left.records.values()} == {"left"}
    (plan,) = await held(pair)
    assert (plan.reason, len(plan.links)) == ("mass_overwrite", 30)
    await pair.sweep(everything=True)
    assert await held(pair) == (plan,), "a second pass changes nothing of it"
    await one_approval(pair)
    await pair.sweep()
    assert [pair.left.records[f"l{n}"].fields["x"] for n in (1, 30, 31)] == ["right", "right", "left"]
    assert not await held(pair)


async def test_a_first_contact_that_would_empty_some_values_waits():
    pair = strangers(90, 22, x=None)
    await pair.sweep(everything=True)
    (plan,) = await held(pair)
    assert (plan.reason, len(plan.links)) == ("mass_blank", 22)
    assert {record.fields["x"] for record in pair.left.records.values()} == {"left"}


async def test_a_first_contact_that_overwrites_few_or_is_allowed_to_overwrite_all_goes_through():
    few, allowed = strangers(100, 20, x="right"), strangers(40, 40, x="right")
    allowed.more["bounds"] = Bounds(max_overwrite_percent=100.0)
    for pair, overwritten in ((few, 20), (allowed, 40)):
        await pair.sweep(everything=True)
        assert not await held(pair)
        assert [record.fields["x"] for record in pair.left.records.values()].count("right") == overwritten


async def test_where_nobody_can_tell_what_became_of_a_create_it_is_sent_once_until_a_person_says_so():
    pair = Pair()
    pair.right.capabilities = attrs.evolve(pair.right.capabilities, finds_created=False)
    pair.left.add(name="Ada", born=None, x=None, y=None)
    lost = 0

    def lose(call: Call) -> None:
        nonlocal lost
        if call.verb == "create" and not lost:
            lost += 1
            raise Unconfirmed("lost")

    pair.right.before = lose
    for _ in range(5):
        await pair.sweep(everything=True)
        pair.clock.advance(7200)
    assert [call.verb for call in pair.right.writes] == ["create"]
    (link,) = await pair.store.waiting()
    assert [review.reason for review in link.reviews] == ["create_unconfirmed"]
    assert pair.left.records["l1"].notes.state is LinkState.REVIEW
    await rearm(pair.store, pair.clock, [link])
    await pair.sweep()
    assert len(pair.right.records) == 1
    assert not await pair.store.waiting()


async def test_records_show_that_they_are_tried_again_given_up_and_right_again():
    pair = await office(2)
    pair.left.edit("l1", x="new")

    def broken(call: Call) -> None:
        if call.verb == "update":
            raise Unavailable("this record only")

    pair.right.before = broken
    await pair.sweep(rounds=1)
    assert pair.left.records["l1"].notes.state is LinkState.RETRY
    for _ in range(6):
        pair.clock.advance(7200)
        await pair.sweep(rounds=1)
    notes = pair.left.records["l1"].notes
    assert (notes.state, notes.reason, notes.attempts) == (LinkState.DEAD, "unavailable", 5)
    pair.right.before = lambda call: None
    await rearm(pair.store, pair.clock, await pair.store.waiting())
    await pair.sweep()
    assert pair.left.records["l1"].notes.state is LinkState.IN_SYNC


async def test_a_changed_policy_decides_anew_what_the_old_one_left_to_a_person():
    pair = await office(2, scope={"x": "x", ":policy": "ask"})
    asking = attrs.evolve(
        pair.policy, groups=[attrs.evolve(g, strategy=ask) if g.name == "g" else g for g in pair.policy.groups]
    )
    settling, pair.policy = pair.policy, asking
    pair.left.edit("l1", x="left")
    pair.right.edit("r1", x="right")
    await pair.sweep()
    assert pair.tally.states()[LinkState.CONFLICT] == 1
    pair.policy = settling
    await pair.sweep(everything=True)
    assert pair.tally.states()[LinkState.CONFLICT] == 1, "nobody said that the policy changed"
    pair.more["scope"] = {"x": "x", ":policy": "left"}
    await pair.sweep()
    assert pair.right.values("r1")["x"] == "left"
    assert not await pair.store.waiting()
