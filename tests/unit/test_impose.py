"""What a person decides goes over every policy; everything else goes on as ever."""

from __future__ import annotations

import pytest
from pairs import Pair

from bidisync import ABSENT, Field, Group, LinkState, Policy, Ref, Side, Versions, ask, prefer_left
from bidisync.model import ReviewKind, Seen
from bidisync.outcome import NOT_FOUND, NOT_LINKED

POLICY = Policy(
    [Field("name", "g", required=True), Field("x", "g"), Field("y", "h"), Field("born", "g")],
    [Group("g", strategy=ask), Group("h", strategy=prefer_left)],
)
ONE = Ref(Side.LEFT, "l1")


async def conflict() -> Pair:
    pair = Pair(policy=POLICY)
    pair.left.add(name="Ada", born="b", x="old", y="old")
    await pair.sweep(everything=True)
    pair.left.edit("l1", x="left")
    pair.right.edit("r1", x="right")
    await pair.sweep()
    assert pair.tally.states() == {LinkState.CONFLICT: 1}
    return pair


def only(name: str, value: Seen):
    def choose(field: str, versions: Versions) -> Seen:
        return value if field == name else ABSENT

    return choose


async def test_a_persons_choice_settles_a_conflict_on_both_sides():
    for value in ("left", "right", "old", "something else"):
        pair = await conflict()
        outcome = await (await pair.engine()).impose(ONE, only("x", value), by="operator")
        assert outcome.state is LinkState.IN_SYNC
        assert pair.left.values("l1")["x"] == pair.right.values("r1")["x"] == value
        writes = pair.writes()
        await pair.sweep(everything=True)
        assert pair.writes() == writes, "quiet afterwards"
        (*_, entry) = await pair.store.journal("left:l1")
        decided = next(decision for decision in entry.decisions if decision.field == "x")
        assert (decided.policy, decided.row.value) == ("operator", "person")
        overwritten = {value for _, _, value in entry.lost}
        assert overwritten == {"left", "right"} - {value}, "what the choice overwrote is kept"


async def test_other_fields_are_decided_as_ever_in_the_same_pass():
    pair = await conflict()
    pair.left.edit("l1", y="left")
    pair.right.edit("r1", y="right", born="c")
    await (await pair.engine()).impose(ONE, only("x", "right"), by="operator")
    assert pair.right.values("r1")["y"] == "left"
    assert pair.left.values("l1")["born"] == "c"
    assert not await pair.store.waiting()


async def test_a_choice_for_one_field_leaves_the_conflict_of_another_open():
    pair = await conflict()
    pair.left.edit("l1", born="left")
    pair.right.edit("r1", born="right")
    await pair.sweep()
    await (await pair.engine()).impose(ONE, only("born", "left"), by="operator")
    (link,) = await pair.store.waiting()
    assert [(review.kind, set(review.fields)) for review in link.reviews] == [(ReviewKind.CONFLICT, {"x"})]
    assert pair.right.values("r1") == {"name": "Ada", "born": "left", "x": "right", "y": "old"}


async def test_nothing_required_is_emptied_and_nothing_without_a_counterpart_is_touched():
    pair = await conflict()
    engine = await pair.engine()
    await engine.impose(ONE, only("name", None), by="operator")
    assert pair.right.values("r1")["name"] == "Ada"
    alone = pair.left.add(name="Bob", born="b")
    outcome = await engine.impose(Ref(Side.LEFT, alone), only("x", "1"), by="operator")
    assert outcome.state is not LinkState.IN_SYNC
    assert "x" not in pair.left.values(alone)


async def test_a_choice_for_a_record_that_nobody_has_or_nobody_linked_says_so():
    pair = await conflict()
    engine = await pair.engine()
    nobody = await engine.impose("left:nobody", only("x", "1"), by="operator")
    assert (nobody.state, nobody.reason, nobody.open) == (LinkState.TOMBSTONED, NOT_FOUND, False)
    alone = pair.left.add(name="Bob", born="b")
    unlinked = await engine.impose(f"left:{alone}", only("x", "1"), by="operator")
    assert (unlinked.state, unlinked.reason) == (LinkState.RETRY, NOT_LINKED)
    assert not await pair.store.load([Ref(Side.LEFT, "nobody"), Ref(Side.LEFT, alone)]), "and leaves nothing behind"


async def test_records_may_be_named_as_they_are_written():
    pair = await conflict()
    engine = await pair.engine()
    assert (await engine.explain("left:l1")).link.refs == (ONE, Ref(Side.RIGHT, "r1"))
    assert await engine.decide("right:r1") == await engine.decide(Ref(Side.RIGHT, "r1"))
    assert (await engine.impose("left:l1", only("x", "chosen"), by="operator")).state is LinkState.IN_SYNC
    assert (await engine.sync("right:r1")).ref == Ref(Side.RIGHT, "r1")


@pytest.mark.parametrize("name", ["sync", "explain", "decide"])
async def test_what_is_no_reference_is_refused_in_a_sentence(name):
    ask_for = getattr(await (await conflict()).engine(), name)
    with pytest.raises(TypeError, match="a reference is a Ref, or written left:ID or right:ID; not int"):
        await ask_for(1)
    with pytest.raises(ValueError, match="a reference is written left:ID or right:ID"):
        await ask_for("l1")
