"""A replica in memory: real behaviour without a server, for tests and for trying things out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import attrs

from bidisync.errors import Rejected, Stale
from bidisync.model import (
    ABSENT,
    Capabilities,
    Conditional,
    Created,
    Deletion,
    Notes,
    Page,
    Seen,
    Snapshot,
    Value,
)
from bidisync.state import Intent

FULL = Capabilities(
    conditional_write=Conditional.ENFORCED,
    partial_write=True,
    deletion=Deletion.HARD,
    finds_created=True,
    row_is_complete=True,
    row_can_be_written=True,
)
"""A remote that can do everything but keep notes."""


@attrs.define
class Stored:
    """A record as the replica holds it."""

    fields: dict[str, Value]
    version: int
    created_at: float
    notes: Notes | None = None


@attrs.frozen
class Call:
    """A call of the replica that would have been a request.

    ``verb`` is ``get``, ``list``, ``create``, ``update``, ``delete`` or ``search``; ``id`` is empty
    where no single record is meant, ``fields`` are the names of those that are written.
    """

    verb: str
    id: str = ""
    fields: tuple[str, ...] = ()


@attrs.define
class MemoryReplica:
    """Records in a dictionary, with versions, capabilities and a list of the calls made.

    ``names`` are fields that every record has, empty if nothing else was said.
    ``edit``, ``add`` and ``remove`` are what a person does. ``ignores`` are fields that only
    a create takes. ``before`` is called with each call before it takes effect and may raise
    or edit: a request lost, a person in between; ``after`` once it took effect: a reply lost.
    """

    prefix: str = "r"
    capabilities: Capabilities = FULL
    names: tuple[str, ...] = ()
    ignores: frozenset[str] = frozenset()
    now: Callable[[], float] = lambda: 0.0
    before: Callable[[Call], None] = lambda call: None
    after: Callable[[Call], None] = lambda call: None
    records: dict[str, Stored] = attrs.Factory(dict)
    calls: list[Call] = attrs.Factory(list)
    _number: int = 0
    _tokens: int = 0

    @property
    def newest(self) -> str | None:
        """The number of the last record that was made."""
        return str(self._number)

    @property
    def writes(self) -> list[Call]:
        """The calls that changed something, or tried to."""
        return [call for call in self.calls if call.verb in ("create", "update", "delete")]

    def add(self, **fields: Value) -> str:
        """A person makes a record."""
        self._number += 1
        id = f"{self.prefix}{self._number}"
        self.records[id] = Stored(dict(fields), self._token(), self.now())
        return id

    def edit(self, id: str, **fields: Value) -> None:
        """A person changes a record."""
        record = self.records[id]
        record.fields.update(fields)
        record.version = self._token()

    def remove(self, id: str) -> None:
        """A person deletes a record."""
        del self.records[id]

    def values(self, id: str) -> dict[str, Value]:
        """What a record holds now."""
        return dict(self.records[id].fields)

    async def get(self, id: str) -> Snapshot:
        """The record now."""
        self._call(call := Call("get", id))
        found = self._snapshot(id, row=False)
        self.after(call)
        return found

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """The records that there are, as rows."""
        self._call(Call("list"))
        return {id: self._snapshot(id, row=True) for id in ids if id in self.records}

    async def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """All records in pages of 50, or those changed since a cursor, if it can."""
        self._call(Call("list"))
        here, can = str(self._tokens), self.capabilities.changed_since
        after = int(since or 0) if can else 0
        ids = [id for id, record in self.records.items() if record.version > after]
        for start in range(0, max(len(ids), 1 if can else 0), 50):
            rows = tuple(self._snapshot(id, row=True) for id in ids[start : start + 50] if id in self.records)
            yield Page(rows, here if can and start + 50 >= len(ids) else None)

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Make a record; the reply proves it where writes are conditional."""
        self._call(call := Call("create", fields=tuple(fields)))
        if not self.capabilities.creates:
            raise Rejected("records of this side are made by people alone")
        id = self.add(**fields)
        self.records[id].notes = notes
        self.after(call)
        return Created(id, self._snapshot(id, row=False) if self.capabilities.partial_write else None)

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Change these fields, against the version seen where the remote enforces it."""
        self._call(call := Call("update", seen.id, tuple(changes)))
        if not self.capabilities.updates:
            raise Rejected("records of this side are changed by people alone")
        record = self.records.get(seen.id)
        enforced = self.capabilities.conditional_write is Conditional.ENFORCED
        if record is None or (enforced and str(record.version) != seen.version):
            raise Stale("the record moved")
        if not self.capabilities.partial_write:
            record.fields = {name: value for name, value in seen.fields.items() if value is not ABSENT}
        record.fields.update({name: value for name, value in changes.items() if name not in self.ignores})
        record.version = self._token()
        record.notes = _noted(record.notes, notes)
        self.after(call)
        return self._snapshot(seen.id, row=False) if self.capabilities.partial_write else None

    async def delete(self, seen: Snapshot) -> None:
        """Delete the record, where that is allowed and it is as it was seen."""
        self._call(call := Call("delete", seen.id))
        if self.capabilities.deletion is Deletion.FORBIDDEN:
            raise Rejected("records of this side can't be deleted")
        record = self.records.get(seen.id)
        if record is not None and str(record.version) != seen.version:
            raise Stale("the record moved")
        self.records.pop(seen.id, None)
        self.after(call)

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """The records whose notes name this counterpart."""
        self._call(Call("search"))
        return [
            self._snapshot(id, row=True)
            for id, record in self.records.items()
            if record.notes is not None and record.notes.counterpart == counterpart
        ]

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """The records made since the intent, by their numbers."""
        self._call(Call("search"))
        after = int(intent.watermark or 0)
        return [self._snapshot(id, row=True) for id in self.records if int(id.removeprefix(self.prefix)) > after]

    def _call(self, call: Call) -> None:
        self.calls.append(call)
        self.before(call)

    def _snapshot(self, id: str, *, row: bool) -> Snapshot:
        record = self.records.get(id)
        if record is None:
            return Snapshot(id, {}, gone=True, seen_at=self.now())
        fields: dict[str, Seen] = {**dict.fromkeys(self.names), **record.fields}
        return Snapshot(
            id,
            fields,
            version=str(record.version),
            notes=record.notes if self.capabilities.keeps_notes else None,
            row=row,
            seen_at=self.now(),
        )

    def _token(self) -> int:
        self._tokens += 1
        return self._tokens


def _noted(before: Notes | None, notes: Notes | None) -> Notes | None:
    """The notes after a write: what it leaves out stays."""
    if before is None or notes is None:
        return notes or before
    written = {field.name: getattr(notes, field.name) for field in attrs.fields(Notes)}
    return attrs.evolve(before, **{name: value for name, value in written.items() if value is not None})
