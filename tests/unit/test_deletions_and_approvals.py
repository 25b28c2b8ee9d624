"""What deletes, what does not yet, and what an approval is good for."""

from __future__ import annotations

from pairs import Pair
from test_guarded_passes import deleting, held, office, one_approval

from bidisync import LinkState, OnDelete, Ref, Side
from bidisync.errors import Unavailable
from bidisync.guards import Bounds
from bidisync.testing import Call


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
