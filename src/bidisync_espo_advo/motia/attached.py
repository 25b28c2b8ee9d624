"""A process whose parent has gone stops before its next write.

When Motia dies or is restarted, its steps live on: it delivers their events again, and knows
nothing of those that still run. What they write would be done twice, or late.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import attrs

from bidisync.errors import Unavailable
from bidisync.model import Capabilities, Created, Notes, Page, Snapshot, Value
from bidisync.protocols import Replica
from bidisync.state import Intent

PARENT = os.getppid()
"""Who started this process, as seen when it was still young."""


@attrs.frozen(eq=False, repr=False)
class Attached:
    """Wraps a replica: reads go through, writes only as long as the parent is the one of the start."""

    replica: Replica
    parent: int = PARENT
    parent_now: Callable[[], int] = os.getppid

    def _may_write(self) -> None:
        if self.parent_now() != self.parent:
            raise Unavailable("the process that started this step is gone: nothing more is written", system="step")

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
        return await self.replica.get(id)

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """Those that a bulk read finds."""
        return await self.replica.get_many(ids)

    def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """The pages of the replica within."""
        return self.replica.list(since)

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Make a record, unless nobody waits for it any more."""
        self._may_write()
        return await self.replica.create(fields, notes=notes, despite_duplicates=despite_duplicates)

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Change fields, unless nobody waits for it any more."""
        self._may_write()
        return await self.replica.update(seen, changes, notes=notes)

    async def delete(self, seen: Snapshot) -> None:
        """Delete the record, unless nobody waits for it any more."""
        self._may_write()
        await self.replica.delete(seen)

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """What the replica within finds."""
        return await self.replica.find_by_counterpart(counterpart)

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """What the replica within finds."""
        return await self.replica.find_created(intent)
