"""A list within a record: phone numbers, addresses. Which items are the same, how two lists are merged, what to write.

The list is **one field** of the record, and its value a tuple of items, each a tuple of
columns. So base, shadow, decision table, review and journal know nothing of lists. Three
things make it more than a tuple, and stand here, pure:

    Items        which columns there are, and by which of them two items are one: no ids are
                 needed, since one of the systems has none
    MergeItems   a strategy: both sides' additions, removals and edits of items come together
    operations   what has to be done to the records beneath a record that hold the items, one
                 by one, where some columns can never change and nothing can be deleted
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, cast

import attrs

from bidisync.errors import Misconfigured, Unmappable
from bidisync.model import ABSENT, Conflict, Contested, Defer, Key, Resolution, Seen, Side, Value

Item: TypeAlias = tuple[Value, ...]
"""One item: the values of its columns, in their order."""

_Identity: TypeAlias = tuple[Value, ...]


@attrs.frozen
class Items:
    """What a list field holds: columns by name, and those by which two items are the same one.

    Without ``same_by`` the field holds one item at most. ``keys`` tell when two spellings of
    a column are equal. A list has no order, and no item twice. An item is none where all
    columns of ``filled_by`` (else those of ``same_by``) are empty.
    """

    columns: tuple[str, ...]
    same_by: tuple[str, ...] = ()
    keys: Mapping[str, Key] = attrs.field(factory=dict)
    filled_by: tuple[str, ...] = attrs.field()

    @filled_by.default
    def _filled_by(self) -> tuple[str, ...]:
        return self.same_by or self.columns

    def __attrs_post_init__(self) -> None:
        strange = sorted({*self.same_by, *self.keys, *self.filled_by} - set(self.columns))
        if strange:
            raise Misconfigured(f"the items have no column {strange[0]!r}")

    def __str__(self) -> str:
        return f"items of {', '.join(self.columns)}"

    def key(self, value: Value) -> Value:
        """The form in which two spellings of a list are equal: for ``Field.key``. An empty list is an empty field."""
        keyed = [tuple(map(self._keyed, self.columns, item)) for item in self.of(value)]
        return tuple(sorted(keyed, key=repr)) or None

    def of(self, value: Seen) -> tuple[Item, ...]:
        """The items of a field's value; ``Unmappable`` for what is no list of such items."""
        if value is None or value is ABSENT:
            return ()
        if not isinstance(value, tuple) or not all(isinstance(i, tuple) and len(i) == len(self.columns) for i in value):
            raise Unmappable(f"expected a list of {self}")
        return cast(tuple[Item, ...], value)

    def value(self, items: Iterable[Item]) -> Value:
        """The field's value: the items that are some, the first where several are the same one."""
        return tuple(self.by_identity(items).values()) or None

    def by_identity(self, items: Iterable[Item]) -> dict[_Identity, Item]:
        """The items in their order, without those that are none or were there before."""
        found: dict[_Identity, Item] = {}
        for item in items:
            if not self.blank(item):
                found.setdefault(self.identity(item), item)
        return found

    def identity(self, item: Item) -> _Identity:
        """What is equal for two items that are the same one."""
        return tuple(self._keyed(name, item[self.columns.index(name)]) for name in self.same_by)

    def blank(self, item: Item) -> bool:
        """Whether nothing stands in it."""
        return all(self._keyed(name, item[self.columns.index(name)]) is None for name in self.filled_by)

    def alike(self, name: str, one: Value, other: Value) -> bool:
        """Whether two spellings of a column mean the same."""
        return one == other or self._keyed(name, one) == self._keyed(name, other)

    def changed(self, before: Item, after: Item) -> dict[str, Value]:
        """The columns of ``after`` that mean something else than in ``before``."""
        triples = zip(self.columns, before, after, strict=True)
        return {name: new for name, old, new in triples if not self.alike(name, old, new)}

    def _keyed(self, name: str, value: Value) -> Value:
        key = self.keys.get(name)
        return value if key is None or value is None else key(value)


@attrs.frozen
class MergeItems:
    """Both sides' changes of a list come together, item by item and column by column.

    What one side added or removed is added or removed; an item that one side removed and the
    other one edited stays. Where both put something else into one column of one item,
    ``prefer`` wins; without it a person is asked. At first contact the lists are united.
    """

    items: Items
    prefer: Side | None = None

    def __str__(self) -> str:
        return f"merge {self.items}" + (f", prefer {self.prefer.value}" if self.prefer else "")

    def __call__(self, conflict: Conflict) -> Resolution:
        """The merged lists, or ``Defer`` where somebody has to say what wins."""
        settled: dict[str, Value] = {}
        for name, contested in conflict.fields.items():
            merged = self._merged(contested)
            if isinstance(merged, Defer):
                return merged
            settled[name] = merged
        return settled

    def _merged(self, contested: Contested) -> Value | Defer:
        base, left, right = (
            self.items.by_identity(self.items.of(value)) for value in (contested.base, contested.left, contested.right)
        )
        merged = []
        for identity in dict.fromkeys((*left, *right)):
            item = self._item(base.get(identity), left.get(identity), right.get(identity))
            if isinstance(item, Defer):
                return item
            if item is not None:
                merged.append(item)
        return tuple(merged) or None

    def _item(self, base: Item | None, left: Item | None, right: Item | None) -> Item | Defer | None:
        if left is None or right is None:
            kept = left or right
            removed = base is not None and kept is not None and not self.items.changed(base, kept)
            return None if removed else kept
        columns = []
        for place, name in enumerate(self.items.columns):
            before = ABSENT if base is None else base[place]
            column = self._column(name, before, left[place], right[place])
            if isinstance(column, Defer):
                return column
            columns.append(column)
        return tuple(columns)

    def _column(self, name: str, base: Seen, left: Value, right: Value) -> Value | Defer:
        if self.items.alike(name, left, right):
            return left
        if base is not ABSENT:
            if self.items.alike(name, left, base):
                return right
            if self.items.alike(name, right, base):
                return left
        elif left is None or right is None:
            return right if left is None else left
        if self.prefer is None:
            return Defer("conflict")
        return left if self.prefer is Side.LEFT else right


class Removal(enum.Enum):
    """How an item goes that is wanted no more."""

    DELETE = "delete"
    BLANK = "blank"  # what can change of it is emptied; it may be filled again later
    PERSON = "person"  # not at all: somebody ends it by hand


def _as_names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


@attrs.frozen
class Abilities:
    """What a system lets one do to the records that hold the items of a list.

    ``frozen`` are columns that never change once such a record is made: another value there
    is another record.
    """

    frozen: frozenset[str] = attrs.field(default=frozenset(), converter=_as_names)
    removal: Removal = Removal.DELETE


@attrs.frozen
class Child:
    """A record beneath another one, which holds an item of a list.

    ``reusable`` says that a blank one may be filled with another item: nothing else stands in it.
    """

    id: str
    item: Item = attrs.field(repr=False)
    version: str | None = None
    reusable: bool = True
    native: object = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Add:
    """Make a child that holds this item."""

    item: Item = attrs.field(repr=False)


@attrs.frozen
class Alter:
    """Change these columns of a child."""

    child: Child
    changes: Mapping[str, Value] = attrs.field(repr=lambda changes: f"<{', '.join(changes)}>")


@attrs.frozen
class Drop:
    """Delete a child."""

    child: Child


Operation: TypeAlias = Add | Alter | Drop


def operations(items: Items, can: Abilities, seen: Sequence[Child], wanted: Value) -> list[Operation]:
    """What makes the children hold the items that are wanted; nothing where they do.

    Children are matched by their items, for ids may have moved. An item that only changes its
    identity stays in its child, if that may hold it; so do blank children get a new item
    before one is made. Where an item needs another child it is there before the old one goes,
    and all other removals come first: whatever part of it was done, a merge of what is there
    then leads to the same list.
    """
    now = items.by_identity(child.item for child in seen)
    then = items.by_identity(items.of(wanted))
    spare = [child for child in seen if items.blank(child.item) and child.reusable]
    gone: list[Child] = []  # hold what is wanted no more
    outgrown: list[Child] = []  # hold what has to stand in another child
    moving: list[Item] = []
    altered: list[Operation] = []
    for identity, before in now.items():
        held = [c for c in seen if not items.blank(c.item) and items.identity(c.item) == identity]
        item = then.get(identity)
        if item is None:
            gone += held
        elif items.changed(before, item):
            home = _home(items, can, held[:1] if can.removal is Removal.PERSON else held, item)
            outgrown += [child for child in held if child is not home]
            if home is None:
                moving.append(item)
            elif changes := items.changed(home.item, item):
                altered.append(Alter(home, changes))
    free = [] if can.removal is Removal.PERSON else gone
    moved = [_placed(items, can, item, free, spare) for item in moving]
    added = [_placed(items, can, item, free, spare) for item in then.values() if items.identity(item) not in now]
    return [*moved, *_removals(items, can, [*outgrown, *gone]), *altered, *added]


def left_over(items: Items, can: Abilities, seen: Sequence[Child]) -> bool:
    """Whether several children hold one item, and only a person can end those that are too many."""
    if can.removal is not Removal.PERSON:
        return False
    held = [items.identity(child.item) for child in seen if not items.blank(child.item)]
    return len(held) > len(set(held))


def _placed(items: Items, can: Abilities, item: Item, free: list[Child], spare: list[Child]) -> Operation:
    """What puts a new item into a child: one of those that are free, else another one."""
    home = _home(items, can, [*free, *spare], item)
    if home is None:
        return Add(item)
    (free if home in free else spare).remove(home)
    return Alter(home, items.changed(home.item, item))


def _home(items: Items, can: Abilities, among: Iterable[Child], item: Item) -> Child | None:
    """The first child that may hold the item, one that does before the others."""
    fits = [child for child in among if not items.changed(child.item, item).keys() & can.frozen]
    return next((child for child in fits if not items.changed(child.item, item)), fits[0] if fits else None)


def _removals(items: Items, can: Abilities, free: Iterable[Child]) -> list[Operation]:
    match can.removal:
        case Removal.DELETE:
            return [Drop(child) for child in free]
        case Removal.BLANK:
            emptied: dict[str, Value] = {name: None for name in items.columns if name not in can.frozen}
            return [Alter(child, emptied) for child in free]
        case Removal.PERSON:
            return []
