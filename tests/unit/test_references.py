"""Records that name others: by whose ids, in which order, and what is written where nothing is changed any more."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import CRM, ERP, Pair

from bidisync import (
    NUMBERED,
    Capabilities,
    Field,
    Group,
    LinkState,
    Mapped,
    Misconfigured,
    NeedsApproval,
    ParentNotLinked,
    Parts,
    Policy,
    Ref,
    Referring,
    ReviewKind,
    Side,
    Snapshot,
    Unmappable,
    prefer_left,
    tasks,
)
from bidisync.approval import approve
from bidisync.guards import Bounds
from bidisync.locks.local import LocalLocks
from bidisync.mapping import FieldMap, FieldMapper
from bidisync.stores.memory import MemoryStore
from bidisync.testing.broken import Broken
from bidisync.testing.replica import MemoryReplica
from bidisync.testing.replicas.watched import Watched

NAMES = ("name", "born", "parent", "x")
CHILDREN = Policy([Field(name, "g", required=name == "parent") for name in NAMES], [Group("g")])


def left(id: str) -> Ref:
    return Ref(Side.LEFT, id)


def right(id: str) -> Ref:
    return Ref(Side.RIGHT, id)


@attrs.define
class Family:
    """Parents, and children that name them: each kind with its own state."""

    parents: Pair = attrs.Factory(Pair)
    children: Pair = attrs.field(init=False)
    crm: MemoryReplica = attrs.Factory(lambda: MemoryReplica("cl", capabilities=CRM, names=NAMES))
    erp: MemoryReplica = attrs.Factory(lambda: MemoryReplica("cr", capabilities=ERP, names=NAMES))
    more: dict[str, Any] = attrs.Factory(dict)
    policy: Policy = CHILDREN

    def __attrs_post_init__(self) -> None:
        states = {"parent": self.parents.store}
        self.children = Pair(self.policy, Pair().left, Pair().right, more=self.more)
        self.children.left = Referring(self.crm, Side.LEFT, states)
        self.children.right = Referring(self.erp, Side.RIGHT, states)
        for replica in (self.crm, self.erp):
            replica.now = self.children.clock.now


async def a_family(**options: Any) -> Family:
    """One linked parent, ``l1`` and ``r1``."""
    family = Family(**options)
    family.parents.left.add(name="Ada", x=None, y=None, born="2000-01-01")
    await family.parents.sweep(everything=True)
    return family


async def test_a_new_child_names_its_parent_by_the_ids_of_each_side():
    family = await a_family()
    family.crm.add(name="one", born="1", parent="l1", x="5")
    family.erp.add(name="two", born="2", parent="r1", x="6")
    await family.children.sweep(everything=True)
    assert family.erp.values("cr2") == {"name": "one", "born": "1", "parent": "r1", "x": "5"}
    assert family.crm.values("cl2") == {"name": "two", "born": "2", "parent": "l1", "x": "6"}
    assert family.children.tally.states() == {LinkState.IN_SYNC: 2}


async def test_a_child_that_moves_to_another_parent_moves_on_the_other_side_too():
    family = await a_family()
    family.parents.left.add(name="Bea", x=None, y=None, born="2001-01-01")
    await family.parents.sweep(everything=True)
    family.crm.add(name="one", born="1", parent="l1", x="5")
    await family.children.sweep(everything=True)
    family.erp.edit("cr1", parent="r2")
    await family.children.sweep(everything=True)
    assert family.crm.values("cl1")["parent"] == "l2"


@pytest.mark.parametrize("side", Side)
async def test_a_child_waits_until_its_parent_is_linked_and_waiting_is_no_attempt(side):
    family = Family()
    parents, own = (family.parents.left, family.crm) if side is Side.LEFT else (family.parents.right, family.erp)
    other = family.erp if side is Side.LEFT else family.crm
    parent = parents.add(name="Ada", x=None, y=None, born="2000-01-01")
    child = own.add(name="one", born="1", parent=parent, x="5")
    for _ in range(9):
        await family.children.sweep(everything=True)
    (outcome,) = family.children.tally.outcomes.values()
    assert (outcome.state, outcome.reason, outcome.retry_at) == (LinkState.RETRY, "parent_not_linked", None)
    assert not other.records
    link = (await family.children.store.load([Ref(side, child)]))[Ref(side, child)]
    assert (link.attempts.count, link.attempts.dead, link.intent) == (0, False, None)

    revision = link.revision
    await family.children.sweep()
    link = (await family.children.store.load([Ref(side, child)]))[Ref(side, child)]
    assert link.revision == revision, "a pass that finds it waiting as before stores nothing"

    await family.parents.sweep(everything=True)
    await family.children.sweep()
    assert len(other.records) == 1
    assert family.children.tally.states() == {LinkState.IN_SYNC: 1}


SIDES = st.sampled_from(Side)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("parent"), SIDES),
        st.tuples(st.just("child"), SIDES, st.integers(0, 4)),
        st.tuples(st.just("move"), SIDES, st.integers(0, 4), st.integers(0, 4)),
        st.sampled_from([("parents",), ("children",)]),
    ),
    min_size=10,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(ACTS)
def test_in_whatever_order_things_come_every_child_ends_with_its_parent_on_both_sides(acts):
    asyncio.run(in_order(acts))


async def in_order(acts: list[tuple[Any, ...]]) -> None:
    """Do all that, then a few passes; each child is on both sides once, and belongs to the same parent there."""
    family = Family(policy=attrs.evolve(CHILDREN, groups=[Group("g", strategy=prefer_left)]))
    parents = {Side.LEFT: family.parents.left, Side.RIGHT: family.parents.right}
    own = {Side.LEFT: family.crm, Side.RIGHT: family.erp}
    for number, (what, *rest) in enumerate(acts):
        if what in ("parents", "children"):
            await getattr(family, what).sweep(everything=True)
        elif what == "parent":
            parents[rest[0]].add(name=f"parent {number}", x=None, y=None, born=f"{number}")
        elif known := list(parents[rest[0]].records):
            parent, children = known[rest[-1] % len(known)], list(own[rest[0]].records)
            if what == "child":
                own[rest[0]].add(name=f"child {number}", born=f"{number}", parent=parent, x=None)
            elif children:
                own[rest[0]].edit(children[rest[1] % len(children)], parent=parent)
    for _ in range(2):
        await family.parents.sweep(everything=True)
        await family.children.sweep(everything=True)
    found = {
        side: sorted([(r.fields["name"], await shared(family, side, r)) for r in own[side].records.values()])
        for side in Side
    }
    assert found[Side.LEFT] == found[Side.RIGHT]
    assert len({name for name, _ in found[Side.LEFT]}) == len(found[Side.LEFT])
    links = [link async for group in family.children.store.links() for link in group]
    assert {link.attempts.count for link in links} <= {0}


async def shared(family: Family, side: Side, record: Any) -> Any:
    """The parent of a child by its left id, as the links of the parents say."""
    ref = Ref(side, str(record.fields["parent"]))
    return (await family.parents.store.load([ref]))[ref].left_id


@pytest.mark.parametrize("edit", [{"x": "7"}, {}], ids=["and edited", "and nothing else"])
async def test_a_linked_child_that_is_given_to_a_stranger_waits_and_loses_no_edit(edit):
    family = await a_family()
    family.crm.add(name="one", born="1", parent="l1", x="5")
    await family.children.sweep(everything=True)
    stranger = family.parents.left.add(name="Bea", x=None, y=None, born="2001-01-01")
    family.crm.edit("cl1", parent=stranger, **edit)
    outcome = await (await family.children.engine()).sync(left("cl1"))
    assert outcome.reason == "parent_not_linked"
    await family.children.sweep(everything=True)
    assert family.erp.values("cr1")["parent"] == "r1"
    await family.parents.sweep(everything=True)
    await family.children.sweep()
    assert family.erp.values("cr1") == {"name": "one", "born": "1", "parent": "r2", "x": "5", **edit}


async def test_a_write_that_would_name_nobody_is_refused_before_it_is_sent():
    family = await a_family()
    with pytest.raises(ParentNotLinked, match="waits for what parent names"):
        await family.children.right.create({"name": "one", "parent": "l9"})
    assert not family.erp.writes


async def test_a_child_without_a_parent_or_one_that_is_gone_waits_for_nothing():
    family = await a_family()
    id = family.crm.add(name="one", born="1", parent=None, x=None)
    seen = await family.children.left.get(id)
    assert (seen.awaits, seen.fields["parent"]) == (frozenset(), None)
    family.crm.remove(id)
    assert (await family.children.left.get(id)).gone


async def test_many_that_wait_are_no_wave_of_creates_that_a_guard_holds():
    family = await a_family(more={"bounds": Bounds(max_creates=3, max_create_percent=1.0)})
    family.crm.add(name="one", born="1", parent="l1", x="5")
    await family.children.sweep(everything=True)
    stranger = family.parents.left.add(name="Bea", x=None, y=None, born="2001-01-01")
    for number in range(9):
        family.crm.add(name=f"waits {number}", born="2", parent=stranger, x=None)
    family.crm.add(name="goes", born="3", parent="l1", x=None)
    await family.children.sweep(everything=True)
    assert [values.fields["name"] for values in family.erp.records.values()] == ["one", "goes"]


def test_a_mapping_without_a_place_is_refused_within_the_wrapper_too():
    empty = Referring(Mapped(MemoryReplica("l"), FieldMapper(())), Side.LEFT, {})
    with pytest.raises(Misconfigured, match="the left side has no place"):
        Parts(left=empty, right=MemoryReplica("r"), policy=CHILDREN, store=MemoryStore(), locks=LocalLocks())


def test_an_id_that_is_a_number_there_is_text_here():
    mapper = FieldMapper((FieldMap("party", "betNr", NUMBERED),))
    assert mapper.get({"betNr": 104711}) == {"party": "104711"}
    assert mapper.put({"party": "104711"}, {}) == {"betNr": 104711}
    assert mapper.unreadable({"betNr": True}) == {"party"}
    with pytest.raises(Unmappable, match="the field party"):
        mapper.put({"party": "١٢"}, {})


ONCE = attrs.evolve(ERP, updates=False)


async def test_an_edit_of_what_the_other_side_takes_once_is_one_task_and_no_write():
    family = await a_family()
    family.erp.capabilities = ONCE
    family.crm.add(name="one", born="1", parent="l1", x="5")
    await family.children.sweep(everything=True)
    family.crm.edit("cl1", x="6")
    for _ in range(3):
        await family.children.sweep(everything=True)
    assert [call.verb for call in family.erp.writes] == ["create"]
    found = await tasks(family.children.store, {"read_only": "Change {fields} of {right} there by hand: {left}."})
    assert [task.text for task in found] == ["Change x of cr1 there by hand: cl1."]
    assert found[0].kind is ReviewKind.READ_ONLY

    family.crm.edit("cl1", x="7", name="two")
    await family.children.sweep(everything=True)
    fields = [task.fields for task in await tasks(family.children.store, {})]
    assert fields == [("name",), ("x",)], "one task for each field and its newest value"

    family.crm.edit("cl1", x="5", name="one")
    await family.children.sweep(everything=True)
    assert await tasks(family.children.store, {}) == []


async def test_an_edit_on_the_side_that_is_written_once_still_reaches_the_other():
    family = await a_family()
    family.erp.capabilities = ONCE
    family.crm.add(name="one", born="1", parent="l1", x="5")
    await family.children.sweep(everything=True)
    family.erp.edit("cr1", x="6")
    await family.children.sweep(everything=True)
    assert family.crm.values("cl1")["x"] == "6"


async def test_where_people_alone_make_records_a_new_one_waits_for_its_counterpart():
    pair = Pair(right=MemoryReplica("r", capabilities=attrs.evolve(ERP, creates=False), names=("name", "x", "born")))
    pair.left.add(name="Ada", x="1", y=None, born="2000-01-01")
    await pair.sweep(everything=True)
    assert not pair.right.writes
    assert [task.reason for task in await tasks(pair.store, {})] == ["made_by_people"]
    pair.right.add(name="Ada", x="1", born="2000-01-01")
    await pair.sweep(everything=True)
    assert pair.tally.adopted == 1
    assert await tasks(pair.store, {}) == []


async def test_a_value_that_needs_approval_goes_once_somebody_approved_exactly_that():
    pair = Pair(more={"guard": NeedsApproval({"x"}, {Side.RIGHT})})
    pair.left.add(name="Ada", x="1", y=None, born="2000-01-01")
    await pair.sweep(everything=True)
    assert not pair.right.records
    (task,) = await tasks(pair.store, {"needs_approval": "Somebody else confirms it."})
    assert (task.text, task.kind) == ("Somebody else confirms it.", ReviewKind.HELD)

    pair.left.edit("l1", x="2")
    await approve(pair.store, pair.clock, task.approves)
    await pair.sweep(everything=True)
    assert not pair.right.records, "what was approved is not what would be sent now"

    (task,) = await tasks(pair.store, {})
    await approve(pair.store, pair.clock, task.approves)
    await pair.sweep(everything=True)
    assert pair.right.values("r1")["x"] == "2"

    pair.left.edit("l1", y="9")
    pair.right.edit("r1", x="3")
    await pair.sweep(everything=True)
    assert (pair.right.values("r1")["y"], pair.left.values("l1")["x"]) == ("9", "3"), "only x towards the right waits"


async def test_what_a_replica_can_do_passes_through_the_wrappers():
    can = Capabilities(creates=False, updates=False)
    within = MemoryReplica("r", capabilities=can)
    wrapped = Referring(Mapped(within, FieldMapper(())), Side.RIGHT, {})
    assert (wrapped.capabilities, wrapped.newest) == (can, "0")
    assert not Snapshot("r1", {}).awaits


async def test_a_row_that_awaits_its_parent_is_well_formed_though_it_is_known_by_no_version():
    inner = MemoryReplica("c", names=("parent",))
    inner.add(parent="nobody")
    watched = Watched(Referring(inner, Side.LEFT, {"parent": MemoryStore()}))
    (page,) = [page async for page in watched.list()]
    assert page.snapshots[0].awaits
    assert page.known_by == [("c1", None)]
    with pytest.raises(Broken, match="tokens of a page"):
        [page async for page in Watched(Careless(inner)).list()]


@attrs.frozen
class Careless:
    """Tells the version of a row that proves nothing."""

    replica: MemoryReplica

    async def list(self, since: str | None = None) -> Any:
        async for page in self.replica.list(since):
            rows = [attrs.evolve(row, awaits=frozenset({"parent"})) for row in page.snapshots]
            yield attrs.evolve(page, snapshots=rows, tokens=page.known_by)
