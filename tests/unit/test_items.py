"""Lists as fields: what is the same item, how two lists are merged, what is done to the children that hold them."""

from __future__ import annotations

import itertools

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidisync.errors import Misconfigured, Unmappable
from bidisync.items import Item, Items, MergeItems
from bidisync.model import ABSENT, Conflict, Contested, Defer, Seen, Side, Value
from bidisync.operations import Abilities, Add, Alter, Child, Drop, Operation, Removal, operations
from bidisync.operations import left_over as stands_beside
from bidisync.schema import alike
from bidisync.testing import check_conflict_strategy


def fold(value: Value) -> Value:
    return value.casefold() if isinstance(value, str) else value


PHONES = Items(("number", "kind", "remark"), same_by=("number",), keys={"number": fold})
ADDRESS = Items(("street", "town", "country"), filled_by=("street", "town"))
KINDS = {
    "deletes": Abilities(),
    "blanks": Abilities({"kind"}, Removal.BLANK),
    "frozen": Abilities({"kind"}),
}
MERGE = MergeItems(PHONES, prefer=Side.LEFT)

numbers = st.sampled_from(["a", "A", "b", "c"])
phones = st.tuples(numbers, st.sampled_from(["Office", "Mobile", None]), st.sampled_from([None, "x", "y"]))
lists = st.lists(phones, max_size=4).map(lambda found: tuple(PHONES.by_identity(found).values()) or None)


def merged(base: Seen, left: Value, right: Value, strategy: MergeItems = MERGE) -> Value:
    if alike(PHONES.key, left, right):
        return left
    if base is not ABSENT and alike(PHONES.key, left, base):
        return right
    if base is not ABSENT and alike(PHONES.key, right, base):
        return left
    answer = strategy(Conflict("g", {"phones": Contested(base, left, right)}))
    assert not isinstance(answer, Defer)
    return answer["phones"]


def phone(number: str, kind: str | None = "Office", remark: str | None = None) -> Item:
    return (number, kind, remark)


# Lists


def test_a_list_has_no_order_no_item_twice_and_no_blank_one():
    one, two = phone("a"), phone("b")
    assert PHONES.key((one, two)) == PHONES.key((two, one))
    assert PHONES.value([one, phone("A", "Mobile"), phone(None), two]) == (one, two)
    assert PHONES.value([phone(None)]) is None
    assert PHONES.key(()) is None, "an empty list is an empty field"


def test_two_spellings_of_an_item_are_one():
    assert alike(PHONES.key, (phone("a"),), (phone("A"),))
    assert not alike(PHONES.key, (phone("a"),), (phone("a", "Mobile"),))


def test_what_is_no_list_of_such_items_is_unmappable():
    for value in ("text", ("text",), (("too", "short"),)):
        with pytest.raises(Unmappable):
            PHONES.of(value)


def test_items_name_only_columns_that_there_are():
    with pytest.raises(Misconfigured, match="colour"):
        Items(("number",), same_by=("colour",))


# Merging


def test_what_either_side_did_to_different_items_comes_together():
    base = (phone("a"), phone("b"))
    left = (phone("a"), phone("b"), phone("c"))
    right = (phone("a", "Mobile"),)
    assert merged(base, left, right) == (phone("a", "Mobile"), phone("c"))


def test_both_changed_different_columns_of_one_item():
    assert merged((phone("a"),), (phone("a", "Mobile"),), (phone("a", remark="x"),)) == (phone("a", "Mobile", "x"),)


def test_an_edit_goes_before_a_removal():
    assert merged((phone("a"), phone("b")), (phone("b"), phone("c")), (phone("a", "Mobile"), phone("b"))) == (
        phone("b"),
        phone("c"),
        phone("a", "Mobile"),
    )


def test_both_changed_one_column_differently_and_somebody_has_to_win():
    contested = Contested((phone("a"),), (phone("a", "Mobile"),), (phone("a", "Fax"),))
    conflict = Conflict("g", {"phones": contested})
    assert MergeItems(PHONES)(conflict) == Defer("conflict")
    assert MergeItems(PHONES, Side.LEFT)(conflict) == {"phones": (phone("a", "Mobile"),)}
    assert MergeItems(PHONES, Side.RIGHT)(conflict) == {"phones": (phone("a", "Fax"),)}


def test_two_lists_that_meet_are_united_and_what_both_have_stays_one():
    met = Contested(ABSENT, (phone("a", None), phone("b")), (phone("A", "Fax"), phone("c")))
    assert MERGE(Conflict("g", {"phones": met})) == {"phones": (phone("a", "Fax"), phone("b"), phone("c"))}


def test_of_a_list_of_one_item_the_columns_are_merged():
    merge = MergeItems(ADDRESS)
    contested = Contested((("s", "t", "D"),), (("S 2", "t", "D"),), (("s", "T", "D"),))
    assert merge(Conflict("g", {"address": contested})) == {"address": (("S 2", "T", "D"),)}


@pytest.mark.parametrize("prefer", [Side.LEFT, Side.RIGHT, None])
def test_the_merge_keeps_the_laws_of_every_strategy(prefer):
    values = [None, *((phone(*one),) for one in itertools.product("ab", ("Office", "Fax"), (None, "x")))]
    pairs = [(phone("a"), phone("b", "Fax")), (phone("b"), phone("a", "Office", "x")), (phone("A"), phone("c"))]
    check_conflict_strategy(MergeItems(PHONES, prefer), values=[*values, *pairs], invents=True)


@given(base=lists, left=lists, right=lists, prefer=st.sampled_from(Side))
def test_the_answer_on_one_side_leads_to_the_same_answer(base, left, right, prefer):
    strategy = MergeItems(PHONES, prefer)
    once = merged(base, left, right, strategy)
    assert alike(PHONES.key, merged(base, left, once, strategy), once)
    assert alike(PHONES.key, merged(base, once, right, strategy), once)


@given(base=lists, left=lists, right=lists)
def test_no_edit_of_either_side_is_lost_where_the_other_left_the_item_alone(base, left, right):
    result = PHONES.by_identity(PHONES.of(merged(base, left, right)))
    versions = [PHONES.by_identity(PHONES.of(value)) for value in (base, left, right)]
    for before, mine, theirs in (versions, [versions[0], versions[2], versions[1]]):
        for identity in {*before, *mine, *theirs}:
            if same(before.get(identity), theirs.get(identity)):
                assert same(result.get(identity), mine.get(identity)), "what one side did alone is done"


def same(one: Item | None, other: Item | None) -> bool:
    return one is other or (one is not None and other is not None and not PHONES.changed(one, other))


# Operations


@attrs.define
class Shelf:
    """Children as a system keeps them, with what it does to each operation."""

    items: Items
    can: Abilities
    children: list[Child]
    number: int = 100

    def do(self, operation: Operation) -> None:
        match operation:
            case Add(item):
                self.number += 1
                self.children.append(Child(str(self.number), item))
            case Alter(child, changes):
                assert not changes.keys() & self.can.frozen, "a frozen column is never changed"
                item = tuple(changes.get(c, v) for c, v in zip(self.items.columns, child.item, strict=True))
                place = self.children.index(child)
                self.children[place] = attrs.evolve(child, item=item)
            case Drop(child):
                assert self.can.removal is Removal.DELETE, "what can't be deleted is never deleted"
                self.children.remove(child)

    @property
    def value(self) -> Value:
        return self.items.value(child.item for child in self.children)


def shelf(value: Value, can: Abilities, *blank: Item) -> Shelf:
    return Shelf(PHONES, can, [Child(str(n), item) for n, item in enumerate([*PHONES.of(value), *blank])])


def done(shelf: Shelf, wanted: Value) -> list[Operation]:
    found = operations(shelf.items, shelf.can, shelf.children, wanted)
    for operation in found:
        shelf.do(operation)
    return found


@pytest.mark.parametrize("can", KINDS.values(), ids=KINDS)
@given(seen=lists, wanted=lists, blanks=st.lists(st.sampled_from(["Office", "Mobile"]), max_size=2))
def test_the_operations_lead_to_what_is_wanted_and_then_there_is_nothing_to_do(can, seen, wanted, blanks):
    held = shelf(seen, can, *(phone(None, kind) for kind in blanks))
    done(held, wanted)
    assert alike(PHONES.key, held.value, wanted)
    assert not operations(PHONES, can, held.children, wanted)


@pytest.mark.parametrize("can", KINDS.values(), ids=KINDS)
@given(base=lists, left=lists, right=lists)
def test_wherever_a_crash_leaves_the_children_the_merge_goes_on_to_the_same_list(can, base, left, right):
    wanted = merged(base, left, right)
    held = shelf(right, can)
    for operation in operations(PHONES, can, held.children, wanted):
        held.do(operation)
        assert alike(PHONES.key, merged(base, left, held.value), wanted)


def test_an_item_that_gets_another_identity_stays_in_its_child():
    held = shelf((phone("a"),), KINDS["blanks"])
    assert done(held, (phone("b"),)) == [Alter(Child("0", phone("a")), {"number": "b"})]


def test_another_value_in_a_frozen_column_is_another_child_which_is_there_before_the_old_one_is_emptied():
    held = shelf((phone("a"),), KINDS["blanks"])
    first, second = done(held, (phone("a", "Mobile"),))
    assert first == Add(phone("a", "Mobile"))
    assert second == Alter(Child("0", phone("a")), {"number": None, "remark": None})


def test_a_blank_child_of_the_right_kind_is_filled_before_one_is_made():
    held = shelf(None, KINDS["blanks"], phone(None, "Fax"), phone(None, "Office"))
    (operation,) = done(held, (phone("a"),))
    assert isinstance(operation, Alter)
    assert operation.child.id == "1"
    full = shelf(None, KINDS["blanks"])
    full.children = [Child("9", phone(None, "Office"), reusable=False)]
    assert done(full, (phone("a"),)) == [Add(phone("a"))], "something else stands in it"


def test_children_that_hold_the_same_item_are_left_alone_until_it_changes():
    twice = [Child("1", phone("a")), Child("2", phone("A", "Mobile")), Child("3", phone("b"))]
    held = Shelf(PHONES, KINDS["deletes"], list(twice))
    assert not done(held, (phone("a"), phone("b")))
    done(held, (phone("a"), phone("c")))
    assert [child.id for child in held.children] == ["1", "2", "3"]
    done(held, (phone("c"),))
    assert [child.id for child in held.children] == ["3"], "both of them are gone with the item"


def test_what_only_a_person_can_end_is_kept_and_told():
    can = Abilities({"country"}, Removal.PERSON)
    held = Shelf(ADDRESS, can, [Child("1", ("s", "t", "D"))])
    assert done(held, (("s", "t", "A"),)) == [Add(("s", "t", "A"))]
    held.children.reverse()  # the newest counts
    assert not operations(ADDRESS, can, held.children, (("s", "t", "A"),))
    assert stands_beside(ADDRESS, can, held.children)
    assert not operations(ADDRESS, can, held.children[:1], None), "nothing can be done about a removal"
    assert not stands_beside(ADDRESS, can, held.children[:1])
    (operation,) = operations(ADDRESS, can, held.children, (("s 2", "t", "A"),))
    assert isinstance(operation, Alter)
    assert operation.child is held.children[0], "the one that counts"


def test_a_child_that_only_a_person_can_end_takes_no_other_item_nor_does_one_that_does_not_count():
    can = Abilities({"kind"}, Removal.PERSON)
    assert operations(PHONES, can, [Child("1", phone("a"))], (phone("b"),)) == [Add(phone("b"))]
    can = Abilities({"country"}, Removal.PERSON)
    seen = [Child("2", ("s", "t", "D")), Child("1", ("s", "t", "A"))]  # the newest counts
    assert operations(ADDRESS, can, seen, (("s 2", "t", "A"),)) == [Add(("s 2", "t", "A"))]
