"""Fields that name a record of another kind: translated through that kind's own links.

A bank account names its party, a role names a case and a party, and each system calls those
by its own ids. ``Referring`` wraps a replica so that the shared record names them by the ids
of one side; which records belong together, the state of the other kind knows. As long as it
does not know, the record waits: parents come first, and waiting is no attempt.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import cast

import attrs

from bidisync.errors import Duplicate, ParentNotLinked, Unmappable
from bidisync.mapping import Codec
from bidisync.model import ABSENT, Capabilities, Created, Notes, Page, Ref, Seen, Side, Snapshot, Value
from bidisync.pages import aopened
from bidisync.protocols import Replica
from bidisync.state import Intent, Link
from bidisync.storage import StateStore


def _written(native: object) -> Value:
    if isinstance(native, bool) or not isinstance(native, int | str):
        raise Unmappable(f"expected an id, not {type(native).__name__}")
    return str(native) or None


def _number(value: Value) -> object:
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()):
        raise Unmappable("expected an id that is a number")
    return int(value)


NUMBERED = Codec("number of a record", _written, _number)
"""An id that the system writes as a number; in the shared record it is text, as every id is."""


@attrs.frozen
class Referring:
    """A replica whose records name others by the ids of ``names``, around one that uses this side's own.

    ``parents`` gives for each such field the state of the kind that it names. Wrap both sides:
    a record is dealt with once every record that it names has a counterpart.
    """

    replica: Replica
    side: Side
    parents: Mapping[str, StateStore]
    names: Side = Side.LEFT

    @property
    def capabilities(self) -> Capabilities:
        """Those of the replica within."""
        return self.replica.capabilities

    @property
    def newest(self) -> str | None:
        """That of the replica within."""
        return self.replica.newest

    async def get(self, id: str) -> Snapshot:
        """The record now."""
        (snapshot,) = await self._shared([await self.replica.get(id)])
        return snapshot

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """The records that a bulk read finds."""
        found = await self.replica.get_many(ids)
        return dict(zip(found, await self._shared(found.values()), strict=True))

    async def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """The pages of the replica within."""
        async with aopened(self.replica.list(since)) as pages:
            async for page in pages:
                yield attrs.evolve(page, snapshots=await self._shared(page.snapshots), tokens=None)

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Make a record; ``ParentNotLinked`` where it would name one that is not there."""
        own = await self._own(fields)
        try:
            created = await self.replica.create(own, notes=notes, despite_duplicates=despite_duplicates)
        except Duplicate as error:
            raise Duplicate(str(error), existing=await self._shared(error.existing)) from error
        if created.snapshot is None:
            return created
        (snapshot,) = await self._shared([created.snapshot])
        return attrs.evolve(created, snapshot=snapshot)

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Change only these fields."""
        now = await self.replica.update(cast(Snapshot, seen.native), await self._own(changes), notes=notes)
        return None if now is None else (await self._shared([now]))[0]

    async def delete(self, seen: Snapshot) -> None:
        """Delete the record."""
        await self.replica.delete(cast(Snapshot, seen.native))

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """The records whose notes name this id."""
        return await self._shared(await self.replica.find_by_counterpart(counterpart))

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """Records that may be the one which this create made."""
        own = attrs.evolve(intent, payload=await self._own(intent.payload))
        return await self._shared(await self.replica.find_created(own))

    async def _shared(self, found: Iterable[Snapshot]) -> tuple[Snapshot, ...]:
        """The records with the shared names of what they name, each field's links read at once."""
        inner = tuple(found)
        links: dict[str, Mapping[Ref, Link]] = {}
        for field, store in self.parents.items():
            refs = [ref for one in inner if (ref := self._ref(one.fields.get(field), self.side)) is not None]
            links[field] = await store.load(tuple(dict.fromkeys(refs)))
        return tuple(self._translated(one, links) for one in inner)

    def _translated(self, inner: Snapshot, links: Mapping[str, Mapping[Ref, Link]]) -> Snapshot:
        named: dict[str, Seen] = {}
        for field, known in links.items():
            ref = self._ref(inner.fields.get(field), self.side)
            if ref is not None:
                named[field] = _name(known.get(ref), self.names)
        awaits = frozenset(field for field, name in named.items() if name is ABSENT)
        return attrs.evolve(inner, fields={**inner.fields, **named}, awaits=inner.awaits | awaits, native=inner)

    async def _own(self, fields: Mapping[str, Value]) -> Mapping[str, Value]:
        """The same fields with this side's own ids."""
        own = dict(fields)
        for field, store in self.parents.items():
            ref = self._ref(fields.get(field), self.names)
            if ref is None:
                continue
            id = _name((await store.load([ref])).get(ref), self.side)
            if id is ABSENT:
                raise ParentNotLinked([field])
            own[field] = id
        return own

    def _ref(self, value: Seen, side: Side) -> Ref | None:
        return None if value is ABSENT or value is None else Ref(side, str(value))


def _name(link: Link | None, side: Side) -> Seen:
    """The id on that side of a link that has both; else nothing."""
    if link is None or link.tombstoned or len(link.refs) < len(Side):
        return ABSENT
    return link.on(side) or ABSENT
