"""Lists that stand within a native record: as a list of objects, or one item spread over flat fields.

Each is a mapper of one field, made of the shape that it has there (``Objects``, ``Flat``);
``Together`` puts them beside the others. What an object holds besides the columns of the list
travels along untouched when the list is written as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, cast

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
        return None if value is None else self.codec.read(value)

    def put(self, value: Value) -> object:
        """The native value."""
        return None if value is None else self.codec.write(value)


class Shape(Protocol):
    """How the value of one field stands in a native record; ``Unmappable`` for what has no form on the other side."""

    def read(self, native: Mapping[str, object]) -> Seen:
        """The value; ``ABSENT`` where the record lacks it or a part of it."""
        ...

    def write(self, value: Value, native: Mapping[str, object]) -> Mapping[str, object]:
        """The native fields of this value, with what they held besides."""
        ...

    def holds(self, name: str) -> bool:
        """Whether the value, or a part of it, stands in that native field."""
        ...


@attrs.frozen
class OneField:
    """A mapper of one field, by the shape that it has in the native record."""

    field: str
    shape: Shape

    @property
    def fields(self) -> frozenset[str]:
        """The one field."""
        return frozenset({self.field})

    def get(self, native: Mapping[str, object]) -> Fields:
        """The value; ``ABSENT`` where the record lacks a part of it, or it can't be read."""
        try:
            return {self.field: self.shape.read(native)}
        except Unmappable:
            return {self.field: ABSENT}

    def unreadable(self, native: Mapping[str, object]) -> frozenset[str]:
        """The field, where a part of it has no form here."""
        try:
            self.shape.read(native)
        except Unmappable:
            return self.fields
        return frozenset()

    def unknown(self, native: Mapping[str, object]) -> frozenset[str]:
        """Nothing: codes within the value are kept as they are."""
        return frozenset()

    def put(self, changes: Mapping[str, Value], native: Mapping[str, object]) -> Mapping[str, object]:
        """The native fields of the value, if it is among the changes."""
        if self.field not in changes:
            return {}
        try:
            return self.shape.write(changes[self.field], native)
        except Unmappable as error:
            raise Unmappable(f"the field {self.field}: {error}", field=self.field) from error

    def field_of(self, native: str) -> str:
        """The field, if a part of it lives there."""
        return self.field if self.shape.holds(native) else ""


@attrs.frozen
class Layout:
    """How an item stands in a native object: a place for each of its columns, and for nothing else."""

    items: Items
    places: Mapping[str, Column]

    def __attrs_post_init__(self) -> None:
        if set(self.places) != set(self.items.columns):
            raise Misconfigured(f"a place is needed for each column of {self.items}, and for no other")

    def read(self, native: Mapping[str, object]) -> Item:
        """The item that stands there."""
        return tuple(self.places[name].get(native) for name in self.items.columns)

    def write(self, item: Item) -> dict[str, object]:
        """The native fields of an item."""
        columns = (self.places[name] for name in self.items.columns)
        return {column.native: column.put(value) for column, value in zip(columns, item, strict=True)}


@attrs.frozen
class Objects:
    """A list of items as a list of objects in one native field, which is written as a whole.

    The object of an item that was there before keeps what the list does not know.
    """

    native: str
    layout: Layout

    def read(self, native: Mapping[str, object]) -> Seen:
        """The list; ``ABSENT`` where the record lacks it."""
        if native.get(self.native, ABSENT) is ABSENT:
            return ABSENT
        return self.layout.items.value(map(self.layout.read, self._objects(native)))

    def write(self, value: Value, native: Mapping[str, object]) -> Mapping[str, object]:
        """The whole list, each object with what it held besides."""
        items, layout = self.layout.items, self.layout
        before = {items.identity(layout.read(known)): known for known in reversed(self._objects(native))}
        wanted = ({**before.get(items.identity(item), {}), **layout.write(item)} for item in items.of(value))
        return {self.native: tuple(wanted)}

    def holds(self, name: str) -> bool:
        """Whether the list stands there."""
        return name == self.native

    def _objects(self, native: Mapping[str, object]) -> list[Mapping[str, object]]:
        found = native.get(self.native)
        if found is None or found is ABSENT:
            return []
        if not isinstance(found, Iterable) or not all(isinstance(one, Mapping) for one in found):
            raise Unmappable("expected a list of objects")
        return cast(list[Mapping[str, object]], list(found))


@attrs.frozen
class Flat:
    """A list of at most one item, whose columns are native fields, empty ones where there is none."""

    layout: Layout

    def __attrs_post_init__(self) -> None:
        if self.layout.items.same_by:
            raise Misconfigured("flat fields hold one item: the items can't have columns that tell them apart")

    def read(self, native: Mapping[str, object]) -> Seen:
        """The item, or nothing; ``ABSENT`` where the record lacks a part of it."""
        if any(native.get(column.native, ABSENT) is ABSENT for column in self.layout.places.values()):
            return ABSENT
        return self.layout.items.value([self.layout.read(native)])

    def write(self, value: Value, native: Mapping[str, object]) -> Mapping[str, object]:
        """The native fields of the item."""
        items = self.layout.items
        return self.layout.write(next(iter(items.of(value)), (None,) * len(items.columns)))

    def holds(self, name: str) -> bool:
        """Whether a column of the item stands there."""
        return any(column.native == name for column in self.layout.places.values())


@attrs.frozen(init=False)
class ListMapper(OneField):
    """A list field that is a list of objects in the native record, and is written as a whole.

    An object of an item that was there before keeps what the list does not know.
    """

    def __init__(self, field: str, native: str, items: Items, places: Mapping[str, Column]) -> None:
        self.__attrs_init__(field, Objects(native, Layout(items, places)))


@attrs.frozen(init=False)
class FlatMapper(OneField):
    """A list field of at most one item, whose columns are fields of the native record."""

    def __init__(self, field: str, items: Items, places: Mapping[str, Column]) -> None:
        self.__attrs_init__(field, Flat(Layout(items, places)))


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
