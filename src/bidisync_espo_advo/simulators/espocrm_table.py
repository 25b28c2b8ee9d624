"""The records of one entity type, and the indexes that keep lists and searches quick."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from bidisync_espo_advo.simulators.espocrm_fields import EntityType
from bidisync_espo_advo.simulators.espocrm_query import ListQuery
from bidisync_espo_advo.simulators.espocrm_where import Test

NAMELESS = ("", "")


@attrs.define(eq=False)
class Record:
    """One record: ``row`` is what a list shows, ``keys`` which addresses and numbers it has."""

    id: str
    row: dict[str, Any] = attrs.field(repr=False)
    keys: dict[str, list[str]] = attrs.field(factory=dict, repr=False)
    full_json: bytes | None = attrs.field(default=None, repr=False)
    row_json: bytes | None = attrs.field(default=None, repr=False)

    @property
    def deleted(self) -> bool:
        """Whether it was deleted; it is kept all the same."""
        return bool(self.row["deleted"])

    def forget_json(self) -> None:
        """Encode it anew when it is next asked for."""
        self.full_json = self.row_json = None


@attrs.define
class Table:
    """All records by id, deleted ones too; the indexes hold only those that are not."""

    kind: EntityType
    records: dict[str, Record] = attrs.field(factory=dict, repr=False)
    _by_time: list[tuple[str, str]] = attrs.field(factory=list, repr=False)
    _by_name: dict[tuple[str, str], dict[str, None]] = attrs.field(factory=dict, repr=False)
    _by_key: dict[tuple[str, str], dict[str, None]] = attrs.field(factory=dict, repr=False)

    def live(self, id: str) -> Record:
        """The record with this id; ``KeyError`` if there is none or it was deleted."""
        record = self.records[id]
        if record.deleted:
            raise KeyError(id)
        return record

    def all_live(self) -> Iterator[Record]:
        """Every record that was not deleted, oldest first."""
        return (record for record in self.records.values() if not record.deleted)

    def enter(self, record: Record) -> None:
        """Index the record, which is new or has changed."""
        insort(self._by_time, (record.row["modifiedAt"], record.id))
        self._by_name.setdefault(self._name(record.row), {})[record.id] = None
        for key in self._keys(record):
            self._by_key.setdefault(key, {})[record.id] = None

    def leave(self, record: Record) -> None:
        """Take the record out of the indexes, before it changes."""
        entry = (record.row["modifiedAt"], record.id)
        del self._by_time[bisect_left(self._by_time, entry)]
        self._by_name[self._name(record.row)].pop(record.id, None)
        for key in self._keys(record):
            self._by_key[key].pop(record.id, None)

    def with_key(self, field: str, key: str) -> list[Record]:
        """The records that have this address or number."""
        return [self.records[id] for id in self._by_key.get((field, key), ())]

    def twins(self, row: Mapping[str, Any], addresses: list[str]) -> list[Record]:
        """The records that count as the same person or company, oldest first."""
        if self.kind.template == "Base":
            return []
        name = self._name(row)
        found = dict(self._by_name.get(name, {})) if name != NAMELESS else {}
        for address in addresses:
            found |= self._by_key.get(("emailAddress", address), {})
        return [self.records[id] for id in found]

    def matching(self, query: ListQuery, test: Test, since: str | None) -> list[Record]:
        """The records that pass, in the order asked for; none of them is older than ``since``."""
        entries = self._by_time
        if since is not None:
            entries = entries[bisect_left(entries, (since, "")) :]
        found = [self.records[id] for _, id in entries]
        found = [record for record in found if test(record.row)]
        if query.order_by == "modifiedAt":
            if query.descending:
                found.reverse()
            return found
        return sorted(found, key=self._order(query.order_by), reverse=query.descending)

    def _order(self, name: str) -> Any:
        names: tuple[str, ...] = (name,)
        if name == "name" and self.kind.template == "Person":
            names = ("lastName", "firstName")
        elif name not in self.kind.kinds:  # a link
            names = (f"{name}Name",)

        def place(record: Record) -> tuple[Any, ...]:
            return (*(_sortable(record.row.get(one)) for one in names), record.id)

        return place

    def _name(self, row: Mapping[str, Any]) -> tuple[str, str]:
        names = ("firstName", "lastName") if self.kind.template == "Person" else ("", "name")
        first, last = ((row.get(name) or "").casefold() for name in names)
        return first, last

    def _keys(self, record: Record) -> Iterator[tuple[str, str]]:
        return ((field, key) for field, keys in record.keys.items() for key in keys)


def _sortable(value: Any) -> tuple[bool, Any]:
    """NULL first, text without regard to case."""
    if value is None:
        return (False, "")
    return (True, value if isinstance(value, int | float) else str(value).casefold())
