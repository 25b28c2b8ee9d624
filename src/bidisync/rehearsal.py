"""A replica that reads for real and only pretends to write: what a dry run stands on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import attrs

from bidisync.model import Capabilities, Created, Notes, Page, Snapshot, Value
from bidisync.protocols import Replica
from bidisync.state import Intent


@attrs.define
class Rehearsal:
    """Wraps a replica: reads go through, writes are answered as if they had happened."""

    replica: Replica
    new_id: str
    _made: dict[str, Snapshot] = attrs.Factory(dict)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the replica within."""
        return self.replica.capabilities

    @property
    def newest(self) -> str | None:
        """That of the replica within."""
        return self.replica.newest

    async def get(self, id: str) -> Snapshot:
        """The record as it would be now."""
        return self._made[id] if id in self._made else await self.replica.get(id)

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """The records that a bulk read finds."""
        return {**await self.replica.get_many(ids), **{id: self._made[id] for id in ids if id in self._made}}

    def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """The pages of the replica within."""
        return self.replica.list(since)

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Pretend to make a record."""
        id = f"{self.new_id}{len(self._made)}"
        self._made[id] = Snapshot(id, dict(fields), version="rehearsed")
        return Created(id, self._made[id])

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Pretend to change it."""
        self._made[seen.id] = attrs.evolve(seen, fields={**seen.fields, **changes}, version="rehearsed", row=False)
        return self._made[seen.id]

    async def delete(self, seen: Snapshot) -> None:
        """Pretend to delete it."""
        self._made[seen.id] = Snapshot(seen.id, {}, gone=True)

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """What the replica within finds."""
        return await self.replica.find_by_counterpart(counterpart)

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """What the replica within finds."""
        return await self.replica.find_created(intent)
