"""A person at a store of your own: what ``check_replica`` needs beside a ``RecordReplica``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Collection, Iterable, Mapping
from typing import Any, TypeVar, cast

import attrs

from bidisync.errors import Rejected
from bidisync.model import Value
from bidisync.records import RecordReplica, Records, Removes
from bidisync.testing.replicas.trial import Trial

T = TypeVar("T")


@attrs.frozen
class Keeper:
    """Somebody who works with a store through its own methods; ``id`` and ``version`` as in ``RecordReplica``."""

    store: Records
    id: str = "id"
    version: str = "version"

    async def add(self, fields: Mapping[str, Value]) -> str:
        """Make a record."""
        made: Mapping[str, Any] = await _told(self.store.add(fields))
        return str(made[self.id])

    async def edit(self, id: str, fields: Mapping[str, Value]) -> None:
        """Change these fields."""
        await _told(self.store.change(id, fields, await self._version(id)))

    async def remove(self, id: str) -> None:
        """Delete the record."""
        if not isinstance(self.store, Removes):
            raise Rejected("this store deletes no records")
        await _told(self.store.remove(id, await self._version(id)))

    async def read(self, id: str) -> Mapping[str, Value] | None:
        """All fields of the record, but for its id and version."""
        record = await _told(self.store.get(id))
        if record is None:
            return None
        return {name: value for name, value in record.items() if name not in (self.id, self.version)}

    async def trash(self) -> Collection[str]:
        """There is none."""
        return ()

    async def _version(self, id: str) -> str:
        return str(cast(Mapping[str, Any], await _told(self.store.get(id)))[self.version])


def store_trial(store: Records, names: Iterable[str], *, person: Records | None = None) -> Trial:
    """A trial of a store; the person works at the same store, or at another way into it."""
    return Trial(replica=RecordReplica(store, tuple(names)), person=Keeper(person or store))


async def _told(answer: T | Awaitable[T]) -> T:
    return await cast("Awaitable[T]", answer) if inspect.isawaitable(answer) else answer
