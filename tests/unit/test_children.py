"""A list on one side, records beneath a record on the other: kept in step by the engine as any field."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from pairs import CRM, ERP, Pair, fold

from bidisync import (
    Engine,
    Field,
    FieldMap,
    FieldMapper,
    Group,
    LinkState,
    Mapped,
    Policy,
    Ref,
    Side,
    Value,
    prefer_left,
)
from bidisync.children import ChildList, WithChildren
from bidisync.errors import Rejected, Stale, Unconfirmed, Unmappable
from bidisync.items import Items, MergeItems
from bidisync.operations import Abilities, Removal
from bidisync.testing import (
    FULL,
    Broken,
    Call,
    Examples,
    ManualClock,
    MemoryChildren,
    MemoryReplica,
    Trial,
    check_children,
    check_replica,
    memory_trial,
)

PHONES = Items(("number", "kind"), same_by=("number",), keys={"number": fold})
BLANKS = Abilities({"kind"}, Removal.BLANK)
PERSON = Abilities({"kind"}, Removal.PERSON)
PLAIN = Abilities()
A, B, C = ("a", "Office"), ("b", "Mobile"), ("c", "Fax")


def policy_of(items: Items) -> Policy:
    return Policy(
        [
            Field("name", "g", required=True),
            Field("born", "g"),
            Field("phones", "contact", key=items.key, update_only=frozenset({Side.RIGHT})),
        ],
        [
            Group("g", strategy=prefer_left),
            Group("contact", MergeItems(items, Side.LEFT), MergeItems(items, Side.LEFT)),
        ],
    )


@attrs.define
class Beneath(Pair):
    """A pair whose right side keeps phones as children."""

    children: MemoryChildren = attrs.Factory(lambda: MemoryChildren(PHONES, BLANKS))
    left: MemoryReplica = attrs.Factory(lambda: MemoryReplica("l", capabilities=CRM, names=("name", "born", "phones")))
    people: MemoryReplica = attrs.Factory(lambda: MemoryReplica("r", capabilities=ERP, names=("name", "born")))

    def __attrs_post_init__(self) -> None:
        self.policy = policy_of(self.children.items)
        listed = {"phones": ChildList(self.children.items, self.children, self.children.can)}
        self.right: Any = WithChildren(self.people, listed, clock=self.clock)
        self.left.now = self.people.now = self.clock.now

    async def linked(self, *phones: tuple[Value, ...]) -> tuple[str, str]:
        """The ids of two records that agree on these phones."""
        left = self.left.add(name="Kaya", born="1980", phones=phones or None)
        right = self.people.add(name="Kaya", born="1980")
        for phone in phones:
            self.children.add(right, *phone)
        await self.sweep(everything=True)
        assert self.tally.states() == {LinkState.IN_SYNC: 1}
        assert not self.children.writes
        return left, right

    async def sync(self, ref: str) -> Any:
        engine: Engine = await self.engine()
        return await engine.sync(Ref.parse(ref))

    def numbers(self, right: str) -> set[Any]:
        return {item for item in self.children.values(right) if not self.children.items.blank(item)}


async def test_what_was_added_changed_and_removed_on_the_left_becomes_calls_for_single_children():
    pair = Beneath()
    left, right = await pair.linked(A, B)
    pair.left.edit(left, phones=(("a", "Office"), C))
    outcome = await pair.sync(f"left:{left}")
    assert outcome.state is LinkState.IN_SYNC
    assert pair.numbers(right) == {A, C}
    assert [call.verb for call in pair.children.writes] == ["update", "create"], "the blank one was of another kind"


async def test_what_a_person_did_to_children_comes_to_the_left_though_their_record_did_not_move():
    pair = Beneath()
    left, right = await pair.linked(A, B)
    version = pair.people.records[right].version
    pair.children.add(right, *C)
    pair.children.edit(right, "c2", number=None)
    await pair.sweep()
    assert pair.people.records[right].version == version
    assert set(pair.left.values(left)["phones"]) == {A, C}  # type: ignore[arg-type]


async def test_a_list_tells_the_versions_of_whole_records_not_those_of_the_records_within():
    children = MemoryChildren(PHONES, BLANKS)
    people = MemoryReplica("r", capabilities=ERP, names=("name",))
    children.add(people.add(name="Kaya"), *A)
    within = Mapped(people, FieldMapper([FieldMap("name", "name")]))
    whole = WithChildren(within, {"phones": ChildList(children.items, children, children.can)})
    (page,) = [page async for page in whole.list()]
    assert list(page.known_by) == [(row.id, row.version) for row in page.snapshots]


async def test_a_poll_of_a_side_without_children_in_its_list_reads_them():
    pair = Beneath(children=MemoryChildren(PHONES, BLANKS, comes_along=False))
    left, right = await pair.linked(A)
    pair.children.add(right, *B)
    await pair.sweep()
    assert pair.left.values(left)["phones"] == (A, B)


async def test_both_sides_changed_different_items_and_both_have_everything():
    pair = Beneath()
    left, right = await pair.linked(A, B)
    pair.left.edit(left, phones=(A, B, C))
    pair.children.edit(right, "c1", number=None)
    await pair.sweep()
    assert pair.left.values(left)["phones"] == (B, C)
    assert pair.numbers(right) == {B, C}


async def test_another_kind_is_another_child_and_the_old_one_is_blank():
    pair = Beneath()
    left, right = await pair.linked(A)
    pair.left.edit(left, phones=(("a", "Mobile"),))
    await pair.sync(f"left:{left}")
    assert pair.children.values(right) == [(None, "Office"), ("a", "Mobile")]
    pair.left.edit(left, phones=(("a", "Mobile"), ("z", "Office")))
    await pair.sync(f"left:{left}")
    assert pair.children.values(right) == [("z", "Office"), ("a", "Mobile")], "the blank one is filled again"


async def test_first_contact_matches_by_value_and_makes_nothing_twice():
    pair = Beneath()
    left = pair.left.add(name="Kaya", born="1980", phones=(("A ", "Office"), B))
    right = pair.people.add(name="Kaya", born="1980")
    for phone in (A, C):
        pair.children.add(right, *phone)
    await pair.sweep(everything=True)
    assert pair.numbers(right) == {A, B, C}
    assert [call.verb for call in pair.children.writes] == ["create"]
    assert {fold(number) for number, _ in pair.left.values(left)["phones"]} == {"a", "b", "c"}  # type: ignore[union-attr]


@pytest.mark.parametrize("phones", [(A, B), None])
async def test_a_record_that_is_made_gets_its_list_once_it_is_there(phones):
    pair = Beneath()
    left = pair.left.add(name="Kaya", born="1980", phones=phones)
    outcome = await pair.sync(f"left:{left}")
    assert outcome.state is LinkState.IN_SYNC
    (right,) = pair.people.records
    assert pair.numbers(right) == set(phones or ())
    assert len(pair.people.writes) == 1
    assert pair.left.values(left)["phones"] == phones


async def test_a_record_made_on_the_left_has_its_list_at_once():
    pair = Beneath()
    right = pair.people.add(name="Kaya", born="1980")
    pair.children.add(right, *A)
    await pair.sync(f"right:{right}")
    (left,) = pair.left.records
    assert pair.left.values(left)["phones"] == (A,)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_lost_reply_to_a_child_makes_no_second_one(moment):
    pair = Beneath()
    left, right = await pair.linked(A)

    def lost(call: Call) -> None:
        if call.verb == "create" and len(pair.children.writes) == 1:
            raise Unconfirmed("nobody answered")

    setattr(pair.children, moment, lost)
    pair.left.edit(left, phones=(A, B, C))
    first = await pair.sync(f"left:{left}")
    assert first.retry_at is not None, "nothing is sent again while the first request may still arrive"
    assert len(pair.children.writes) == 1
    await pair.clock.sleep(first.retry_at - pair.clock.now())
    again = await pair.sync(f"left:{left}")
    if again.retry_at is not None:
        await pair.clock.sleep(again.retry_at - pair.clock.now())
        again = await pair.sync(f"left:{left}")
    assert again.state is LinkState.IN_SYNC
    assert sorted(pair.children.values(right)) == [A, B, C]


async def test_a_crash_between_two_children_is_healed_by_the_next_look():
    class Crash(BaseException):
        pass

    pair = Beneath()
    left, right = await pair.linked(A)

    def crash(call: Call) -> None:
        if len(pair.children.writes) == 2:
            raise Crash

    pair.children.before = crash
    pair.left.edit(left, phones=(("a", "Fax"), B))
    pair.children.add(right, "d", "Office")
    with pytest.raises(Crash):
        await pair.sync(f"left:{left}")
    pair.children.before = lambda call: None
    await pair.clock.sleep(200.0)
    await pair.sweep()
    assert pair.numbers(right) == {("a", "Fax"), B, ("d", "Office")}
    assert set(pair.left.values(left)["phones"]) == pair.numbers(right)  # type: ignore[arg-type]


async def test_own_fields_and_children_are_written_together():
    pair = Beneath()
    left, right = await pair.linked(A)
    pair.left.edit(left, name="Kaya-Köster", phones=(B,))
    assert (await pair.sync(f"left:{left}")).state is LinkState.IN_SYNC
    assert pair.people.values(right)["name"] == "Kaya-Köster"
    assert pair.numbers(right) == {B}


async def test_a_child_that_moved_since_it_was_seen_makes_the_record_stale():
    pair = Beneath()
    _, right = await pair.linked(A)
    seen = await pair.right.get(right)
    pair.children.edit(right, "c1", number="changed")
    with pytest.raises(Stale):
        await pair.right.update(seen, {"phones": (A, B)})
    seen = await pair.right.get(right)
    pair.people.edit(right, name="changed")
    with pytest.raises(Stale):
        await pair.right.update(seen, {"phones": (A, B)})
    assert not pair.children.writes


async def test_what_takes_too_long_goes_on_at_the_next_look():
    pair = Beneath()
    left, right = await pair.linked(A)
    wanted = (A, B, C, ("d", "Fax"), ("e", "Fax"))
    pair.children.after = lambda call: pair.clock.advance(6.0)
    with pytest.raises(Stale, match="not every child"):
        await pair.right.update(await pair.right.get(right), {"phones": wanted})
    assert len(pair.children.writes) == 2
    pair.left.edit(left, phones=wanted)
    assert (await pair.sync(f"left:{left}")).state is LinkState.IN_SYNC
    assert sorted(pair.children.values(right)) == sorted(wanted)


async def test_a_refused_child_stops_its_list_and_nothing_else():
    pair = Beneath()
    left, right = await pair.linked(A)

    def refuse(call: Call) -> None:
        raise Rejected("not that one")

    pair.children.before = refuse
    pair.left.edit(left, name="Kaya-Köster", phones=(A, B))
    assert (await pair.sync(f"left:{left}")).state is LinkState.BLOCKED
    assert pair.people.values(right)["name"] == "Kaya-Köster"
    (link,) = await pair.store.waiting()
    assert [(review.group, set(review.fields)) for review in link.reviews] == [("contact", {"phones"})]


@pytest.mark.parametrize("kind", [Rejected, Unmappable])
async def test_what_is_refused_of_a_child_names_its_list(kind):
    pair = Beneath()
    _, right = await pair.linked(A)

    def refuse(call: Call) -> None:
        raise kind("not that one")

    pair.children.before = lambda call: refuse(call) if call.verb == "create" else None
    with pytest.raises(kind) as refused:
        await pair.right.update(await pair.right.get(right), {"phones": (A, B)})
    assert refused.value.field == "phones"


async def test_a_record_whose_create_got_no_reply_is_known_again_though_somebody_gave_it_a_child():
    pair = Beneath()

    def lost(call: Call) -> None:
        if call.verb == "create":
            pair.children.add("r1", *C)
            raise Unconfirmed("nobody answered")

    pair.people.after = lost
    left = pair.left.add(name="Kaya", phones=(A,))
    first = await pair.sync(f"left:{left}")
    if first.retry_at is not None:
        await pair.clock.sleep(first.retry_at - pair.clock.now())
        await pair.sync(f"left:{left}")
    assert list(pair.people.records) == ["r1"]
    assert pair.numbers("r1") == set(pair.left.values(left)["phones"]) == {A, C}  # type: ignore[arg-type]


async def test_a_list_is_refused_where_its_record_is_made():
    pair = Beneath()
    with pytest.raises(Unmappable, match="once its record exists"):
        await pair.right.create({"name": "Kaya", "phones": (A,)})


async def test_what_only_a_person_can_end_waits_for_one_and_the_rest_goes_on():
    one = Items(("number", "kind"), filled_by=("number",))
    pair = Beneath(children=MemoryChildren(one, PERSON, newest_first=True))
    left, right = await pair.linked(A)
    pair.left.edit(left, phones=(("a", "Fax"),))
    outcome = await pair.sync(f"left:{left}")
    assert outcome.state is LinkState.REVIEW
    assert outcome.reason == "left_over"
    assert pair.children.values(right) == [A, ("a", "Fax")]
    pair.left.edit(left, phones=(("a 2", "Fax"),))
    await pair.sweep()
    assert pair.children.values(right) == [A, ("a 2", "Fax")], "the review freezes nothing"
    (link,) = await pair.store.waiting()
    assert [review.reason for review in link.reviews] == ["left_over"]
    pair.children.edit(right, "c1", number=None)
    await pair.sweep()
    assert not await pair.store.waiting(), "what was ended is asked for no more"
    assert pair.left.values(left)["phones"] == (("a 2", "Fax"),)


async def test_a_removal_that_nobody_can_carry_out_is_told_once_and_written_nowhere():
    pair = Beneath(children=MemoryChildren(PHONES, PERSON))
    left, right = await pair.linked(A)
    pair.left.edit(left, phones=None)
    outcome = await pair.sync(f"left:{left}")
    assert (outcome.state, outcome.reason) == (LinkState.REVIEW, "ignored")
    assert not pair.children.writes
    await pair.sweep()
    assert pair.numbers(right) == {A}
    assert pair.left.values(left)["phones"] is None


# The checks of the kit


@pytest.mark.parametrize("comes_along", [True, False])
async def test_a_replica_with_children_keeps_the_promises_of_one_without(comes_along):
    async def make() -> Trial:
        trial = memory_trial(MemoryReplica(capabilities=FULL, names=("name", "city")))
        children = MemoryChildren(PHONES, BLANKS, comes_along=comes_along)
        lists = {"phones": ChildList(PHONES, children, BLANKS)}
        return attrs.evolve(trial, replica=WithChildren(trial.replica, lists, clock=ManualClock()))

    records = [{"name": "Ada", "city": "Ulm"}, {"name": "Eva", "city": None}]
    judged = await check_replica(make, Examples(records=records, texts=["name"], unmapped={"size": 38}))
    assert not judged.broken
    assert len(judged.kept) > 20


SAMPLES = (("a", "Office"), ("b", "Office"), ("c", "Office"))


class TellsTwice(MemoryChildren):
    def told(self, parent):
        return (*self._all(parent), *self._all(parent))

    async def list(self, parent):
        return self.told(parent)


class ComesLate(MemoryChildren):
    def told(self, parent):
        return self._all(parent)[:-1]


class MakesTwice(MemoryChildren):
    async def create(self, parent, item):
        await super().create(parent, item)
        await super().create(parent, item)


class LosesAColumn(MemoryChildren):
    async def create(self, parent, item):
        await super().create(parent, {**item, "kind": None})


class ReplacesByAnother(MemoryChildren):
    async def update(self, parent, child, changes):
        await self.delete(parent, child)
        await self.create(parent, {**dict(zip(("number", "kind"), child.item, strict=True)), **changes})


class ChangesTheNeighbour(MemoryChildren):
    async def update(self, parent, child, changes):
        await super().update(parent, child, changes)
        self.edit(parent.id, self.held[parent.id][-1].id)


class KeepsItsToken(MemoryChildren):
    async def update(self, parent, child, changes):
        await super().update(parent, child, changes)
        held = self.held[parent.id]
        held[:] = [attrs.evolve(one, version=child.version) if one.id == child.id else one for one in held]


class DeletesAll(MemoryChildren):
    async def delete(self, parent, child):
        self.held[parent.id] = []


class HidesBlanks(MemoryChildren):
    def _all(self, parent):
        return tuple(child for child in super()._all(parent) if child.item[0] is not None)


class EmptiesNothing(MemoryChildren):
    async def update(self, parent, child, changes):
        await super().update(parent, child, {name: value for name, value in changes.items() if value is not None})


WRONG = [
    (TellsTwice, PLAIN, "a child is told twice"),
    (ComesLate, PLAIN, "comes along with the record is not what is read"),
    (MakesTwice, PLAIN, "held by no child, by two"),
    (LosesAColumn, PLAIN, "not read again as it was written"),
    (ReplacesByAnother, PLAIN, "was changed has another id"),
    (ChangesTheNeighbour, PLAIN, "changes another one"),
    (KeepsItsToken, PLAIN, "token of a child stays"),
    (DeletesAll, PLAIN, "or another one is gone"),
    (HidesBlanks, BLANKS, "a blank child is not told of"),
    (EmptiesNothing, BLANKS, "not read as empty"),
]


async def checked(children: MemoryChildren) -> None:
    people = MemoryReplica("r", names=("name",))
    id = people.add(name="Kaya")
    await check_children(children, lambda: people.get(id), PHONES, SAMPLES, children.can)


@pytest.mark.parametrize("can", [PLAIN, BLANKS, PERSON], ids=["deletes", "blanks", "a person"])
@pytest.mark.parametrize("comes_along", [True, False])
async def test_children_in_memory_keep_the_promises(can, comes_along):
    await checked(MemoryChildren(PHONES, can, comes_along=comes_along))


@pytest.mark.parametrize(("wrong", "can", "fault"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
async def test_a_wrong_implementation_is_told_by_its_fault(wrong, can, fault):
    with pytest.raises(Broken, match=fault):
        await checked(wrong(PHONES, can))
