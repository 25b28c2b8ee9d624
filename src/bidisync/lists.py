"""Lists that stand within a native record: as a list of objects, or one item spread over flat fields.

Each is a mapper of one field; ``Together`` puts them beside the others. What an object holds
besides the columns of the list travels along untouched when the list is written as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import attrs

from bidisync.errors import Misconfigured, Unmappable
from bidisync.items import Item, Items
from bidisync.mapping import TEXT, Codec
from bidisync.model import ABSENT, Fields, Seen, Value
from bidisync.protocols import Mapper


@attrs.frozen
class Column:
    """Where a column of an item stands in a native object, and how it is written there."""

    native: str
    codec: Codec = TEXT

    def get(self, native: Mapping[str, object]) -> Value:
        """The column's value; empty where the object lacks it."""
        value = native.get(self.native)
        return None if value is None else self.codec.decode(value)

    def put(self, value: Value) -> object:
        """The native value."""
        return None if value is None else self.codec.encode(value)


@contextmanager
def _named(field: str) -> Iterator[None]:
    """What has no form is refused by the name of its field."""
    try:
        yield
    except Unmappable as error:
        raise Unmappable(f"the field {field}: {error}", field=field) from error


def _in_order(items: Items, places: Mapping[str, Column]) -> tuple[Column, ...]:
    if set(places) != set(items.columns):
        raise Misconfigured(f"a place is needed for each column of {items}, and for no other")
    return tuple(places[name] for name in items.columns)


@attrs.frozen
class ListMapper:
    """A list field that is a list of objects in the native record, and is written as a whole.

    An object of an item that was there before keeps what the list does not know.
    """

    field: str
    native: str
    items: Items
    places: Mapping[str, Column]
    _columns: tuple[Column, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_columns", _in_order(self.items, self.places))

    @property
    def fields(self) -> frozenset[str]:
        """The one field."""
        return frozenset({self.field})

    def get(self, native: Mapping[str, object]) -> Fields:
        """The list; ``ABSENT`` where the record lacks it, or it can't be read."""
        try:
            return {self.field: self._read(native)}
        except Unmappable:
            return {self.field: ABSENT}

    def unreadable(self, native: Mapping[str, object]) -> frozenset[str]:
        """The field, where an object has no form here."""
        try:
            self._read(native)
        except Unmappable:
            return self.fields
        return frozenset()

    def unknown(self, native: Mapping[str, object]) -> frozenset[str]:
        """Nothing: codes within items are kept as they are."""
        return frozenset()

    def put(self, changes: Mapping[str, Value], native: Mapping[str, object]) -> Mapping[str, object]:
        """The whole list, each object with what it held besides."""
        if self.field not in changes:
            return {}
        with _named(self.field):
            objects = _objects(native, self.native)
            before = {self.items.identity(self._item(known)): known for known in reversed(objects)}
            wanted = self.items.of(changes[self.field])
            written = tuple({**before.get(self.items.identity(item), {}), **self._object(item)} for item in wanted)
        return {self.native: written}

    def field_of(self, native: str) -> str:
        """The field, if it lives there."""
        return self.field if native == self.native else ""

    def _read(self, native: Mapping[str, object]) -> Seen:
        if self.native not in native or native[self.native] is ABSENT:
            return ABSENT
        return self.items.value(self._item(known) for known in _objects(native, self.native))

    def _item(self, native: Mapping[str, object]) -> Item:
        return tuple(column.get(native) for column in self._columns)

    def _object(self, item: Item) -> dict[str, object]:
        return {column.native: column.put(value) for column, value in zip(self._columns, item, strict=True)}


@attrs.frozen
class FlatMapper:
    """A list field of at most one item, whose columns are fields of the native record."""

    field: str
    items: Items
    places: Mapping[str, Column]
    _columns: tuple[Column, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_columns", _in_order(self.items, self.places))
        if self.items.same_by:
            raise Misconfigured("flat fields hold one item: the items can't have columns that tell them apart")

    @property
    def fields(self) -> frozenset[str]:
        """The one field."""
        return frozenset({self.field})

    def get(self, native: Mapping[str, object]) -> Fields:
        """The item, or nothing; ``ABSENT`` where the record lacks a part of it, or it can't be read."""
        try:
            return {self.field: self._read(native)}
        except Unmappable:
            return {self.field: ABSENT}

    def unreadable(self, native: Mapping[str, object]) -> frozenset[str]:
        """The field, where a part of it has no form here."""
        try:
            self._read(native)
        except Unmappable:
            return self.fields
        return frozenset()

    def unknown(self, native: Mapping[str, object]) -> frozenset[str]:
        """Nothing: codes within an item are kept as they are."""
        return frozenset()

    def put(self, changes: Mapping[str, Value], native: Mapping[str, object]) -> Mapping[str, object]:
        """The native fields of the item; empty ones where there is none."""
        if self.field not in changes:
            return {}
        with _named(self.field):
            item = next(iter(self.items.of(changes[self.field])), (None,) * len(self._columns))
            return {column.native: column.put(value) for column, value in zip(self._columns, item, strict=True)}

    def field_of(self, native: str) -> str:
        """The field, if a part of it lives there."""
        return self.field if any(column.native == native for column in self._columns) else ""

    def _read(self, native: Mapping[str, object]) -> Seen:
        if any(native.get(column.native, ABSENT) is ABSENT for column in self._columns):
            return ABSENT
        return self.items.value([tuple(column.get(native) for column in self._columns)])


def _as_mappers(mappers: Iterable[Mapper]) -> tuple[Mapper, ...]:
    return tuple(mappers)


@attrs.frozen
class Together:
    """Several mappers as one: each has its own fields and its own places."""

    mappers: tuple[Mapper, ...] = attrs.field(converter=_as_mappers)

    def __attrs_post_init__(self) -> None:
        names = [name for mapper in self.mappers for name in sorted(mapper.fields)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise Misconfigured(f"the field {twice[0]!r} stands twice in the mapping")

    @property
    def fields(self) -> frozenset[str]:
        """The fields of all of them."""
        return frozenset().union(*(mapper.fields for mapper in self.mappers))

    def get(self, native: Mapping[str, object]) -> Fields:
        """The record's fields."""
        return {name: value for mapper in self.mappers for name, value in mapper.get(native).items()}

    def unreadable(self, native: Mapping[str, object]) -> frozenset[str]:
        """The fields whose native values have no form here."""
        return frozenset().union(*(mapper.unreadable(native) for mapper in self.mappers))

    def unknown(self, native: Mapping[str, object]) -> frozenset[str]:
        """The fields that hold a code which their table does not know."""
        return frozenset().union(*(mapper.unknown(native) for mapper in self.mappers))

    def put(self, changes: Mapping[str, Value], native: Mapping[str, object]) -> Mapping[str, object]:
        """The native fields of these changes."""
        placed: dict[str, object] = {}
        for mapper in self.mappers:
            own = {name: value for name, value in changes.items() if name in mapper.fields}
            if own or not native:
                placed |= mapper.put(own, native)
        return placed

    def field_of(self, native: str) -> str:
        """The field that lives there; empty where none does."""
        return next((field for mapper in self.mappers if (field := mapper.field_of(native))), "")


def _objects(native: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """The objects of a native list; ``Unmappable`` for what is none."""
    found = native.get(name)
    if found is None or found is ABSENT:
        return []
    if not isinstance(found, Iterable) or not all(isinstance(one, Mapping) for one in found):
        raise Unmappable("expected a list of objects")
    return cast(list[Mapping[str, object]], list(found))
