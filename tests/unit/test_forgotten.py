"""Whoever was forgotten does not come back by itself, and what is on hold is not deleted."""

from __future__ import annotations

import attrs
import pytest
from pairs import Pair
from test_deletions_and_approvals import filled
from test_guarded_passes import deleting

from bidisync import LinkState, OnDelete, Ref, Side
from bidisync.approval import forget, readmit, release, retain, unlink
from bidisync.errors import Unconfirmed
from bidisync.testing import Call


async def link_of(pair, id="l1", side=Side.LEFT):
    return (await pair.store.load([Ref(side, id)]))[Ref(side, id)]


async def reasons(pair):
    return {link.id: [review.reason for review in link.reviews] for link in await pair.store.waiting()}


async def swept(pair, times=3):
    for _ in range(times):
        await pair.sweep(everything=True)
        await pair.sweep()
        pair.clock.advance(90_000)


async def test_edits_on_both_sides_of_the_forgotten_move_nothing_and_store_nothing():
    pair = await filled(Pair(), 3)
    await forget(pair.store, pair.clock, await link_of(pair))
    before, link = pair.writes(), await link_of(pair)
    pair.left.edit("l1", x="left again")
    pair.right.edit("r1", y="right again")
    await swept(pair)
    for ref in (Ref(Side.LEFT, "l1"), Ref(Side.RIGHT, "r1")):
        outcome = await (await pair.engine()).sync(ref)
        assert outcome.state is LinkState.TOMBSTONED
    assert pair.writes() == before
    assert await link_of(pair) == link
    assert (link.left_shadow, link.right_shadow, link.base, link.reviews) == (None, None, {}, ())
    assert not [entry.lost for entry in await pair.store.journal(link.id) if entry.lost]


@pytest.mark.parametrize("side", Side)
async def test_a_new_record_of_the_same_person_waits_whichever_side_it_is_on(side):
    pair = await filled(Pair(), 3)
    await forget(pair.store, pair.clock, await link_of(pair))
    replica, id = (pair.left, "l1") if side is Side.LEFT else (pair.right, "r1")
    replica.remove(id)
    replica.add(name="P0", born="b0", x=None, y=None)
    await swept(pair)
    assert len(pair.left.records) == len(pair.right.records) == 3
    assert list((await reasons(pair)).values()) == [["forgotten"]]


@pytest.mark.parametrize("side", Side)
async def test_it_waits_also_where_only_one_record_was_known_to_be_forgotten(side):
    pair = await filled(Pair(), 3)
    held = pair.left if side is Side.LEFT else pair.right

    def closed(call: Call) -> None:
        if call.verb == "create":
            raise Unconfirmed("nobody knows")

    other = pair.right if side is Side.LEFT else pair.left
    other.before = closed
    lonely = held.add(name="Lonely", born="b9", x=None, y=None)
    await pair.sweep(everything=True, rounds=1)
    other.before = lambda call: None
    link = await link_of(pair, lonely, side)
    assert link.on(side.other) is None
    await forget(pair.store, pair.clock, link)
    other.add(name="Lonely", born="b9", x=None, y=None)
    held.add(name="Lonely", born="b9", x="twin", y=None)
    await swept(pair)
    assert (await link_of(pair, lonely, side)).forgotten
    assert len(pair.left.records) + len(pair.right.records) == 6 + 3, "nothing was made"
    assert {reason for found in (await reasons(pair)).values() for reason in found} == {"forgotten"}


async def test_somebody_with_another_birthday_is_somebody_else():
    pair = await filled(Pair(), 3)
    await forget(pair.store, pair.clock, await link_of(pair))
    pair.left.add(name="P0", born="another day", x=None, y=None)
    await swept(pair)
    assert len(pair.right.records) == 4


async def test_a_forgotten_link_that_is_taken_back_is_in_step_again():
    pair = await filled(Pair(), 3)
    await forget(pair.store, pair.clock, await link_of(pair))
    pair.left.edit("l1", x="while it was forgotten")
    await swept(pair, times=1)
    await readmit(pair.store, pair.clock, await link_of(pair))
    await swept(pair, times=1)
    assert pair.right.records["r1"].fields["x"] == "while it was forgotten"
    assert (await link_of(pair)).state is LinkState.IN_SYNC


async def test_a_link_that_was_ended_is_in_step_again_once_that_is_taken_back():
    pair = await filled(Pair(), 3)
    await unlink(pair.store, pair.clock, [await link_of(pair)])
    pair.left.edit("l1", x="while it was ended")
    await swept(pair, times=2)
    assert pair.right.records["r1"].fields.get("x") is None
    assert (await link_of(pair)).tombstoned
    await readmit(pair.store, pair.clock, await link_of(pair))
    await swept(pair, times=1)
    assert pair.right.records["r1"].fields["x"] == "while it was ended"
    assert (await link_of(pair)).state is LinkState.IN_SYNC
    assert len(pair.left.records) == len(pair.right.records) == 3, "nobody was made twice"


async def test_no_record_of_a_link_on_hold_is_deleted_until_it_is_released():
    pair = await filled(deleting(OnDelete.PROPAGATE), 6)
    for id in ("l1", "l2"):
        await retain(pair.store, pair.clock, [await link_of(pair, id)])
    for id in ("r1", "r2", "r3"):
        pair.right.remove(id)
    await swept(pair)
    assert {"l1", "l2"} <= pair.left.records.keys()
    assert "l3" not in pair.left.records
    assert await reasons(pair) == {"left:l1": ["retention_hold"], "left:l2": ["retention_hold"]}
    await release(pair.store, pair.clock, [await link_of(pair, "l1")])
    await swept(pair)
    assert "l1" not in pair.left.records
    assert "l2" in pair.left.records


async def test_a_hold_outlives_that_its_link_becomes_part_of_another():
    pair = Pair()
    await filled(pair, 2)
    pair.right.add(name="Ida", born=None, x=None, y=None)
    pair.left.add(name="Ida", born=None, x=None, y=None)
    await pair.sweep(everything=True)
    assert sorted((await reasons(pair)).values()) == [["match_weak"], ["match_weak"]]
    await retain(pair.store, pair.clock, [await link_of(pair, "r3", Side.RIGHT)])
    pair.left.edit("l3", born="b3")
    pair.right.edit("r3", born="b3")
    await swept(pair)
    link = await link_of(pair, "l3")
    assert (link.left_id, link.right_id) == ("l3", "r3")
    assert link.retained(pair.clock.now())
    assert attrs.evolve(link, retention=None) != link
