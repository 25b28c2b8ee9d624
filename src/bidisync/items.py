"""A list within a record, like phone numbers: which items are the same, and how two lists are merged.

The list is **one field** of the record, and its value a tuple of items, each a tuple of
columns. So base, shadow, decision table, review and journal know nothing of lists. Items need
no ids, since one of the systems has none: ``Items`` names the columns by which two are the
same, and ``MergeItems`` brings both sides' additions, removals and edits together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
