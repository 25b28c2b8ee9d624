"""Persons and lines for replicas in memory, and for mapped ones: what ``check_replica`` needs beside the replica."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import attrs

from bidisync.errors import RateLimited, Unauthorized, Unavailable, Unconfirmed
from bidisync.model import ABSENT, Value
from bidisync.protocols import Mapper
from bidisync.testing.replica import Call, MemoryReplica
from bidisync.testing.replicas.trial import Mishap, Person, Trial

WRITING = ("create", "update", "delete")


@attrs.frozen
class MemoryPerson:
    """Somebody who works with the records of a ``MemoryReplica``."""

    replica: MemoryReplica

    async def add(self, fields: Mapping[str, Value]) -> str:
        """Make a record."""
        return self.replica.add(**fields)

    async def edit(self, id: str, fields: Mapping[str, Value]) -> None:
        """Change these fields."""
        self.replica.edit(id, **fields)

    async def remove(self, id: str) -> None:
        """Delete the record."""
        self.replica.remove(id)

    async def read(self, id: str) -> Mapping[str, Value] | None:
        """All its fields."""
        return self.replica.values(id) if id in self.replica.records else None

    async def trash(self) -> Collection[str]:
        """There is none."""
        return ()


@attrs.define
class MemoryLine:
    """The way to a ``MemoryReplica``: where its calls are counted and cut."""

    replica: MemoryReplica
    _mishap: Mishap | None = None

    def __attrs_post_init__(self) -> None:
        self.replica.before, self.replica.after = self._on_the_way, self._on_the_way_back

    @property
    def writes(self) -> int:
        """How many writes it was called with."""
        return len(self.replica.writes)

    @contextmanager
    def befall(self, mishap: Mishap) -> Iterator[None]:
        """Until the block is left, this befalls every call."""
        before, self._mishap = self._mishap, mishap
        try:
            yield
        finally:
            self._mishap = before

    def _on_the_way(self, call: Call) -> None:
        writes = call.verb in WRITING
        match self._mishap:
            case Mishap.REQUEST_LOST:
                raise Unconfirmed("no answer") if writes else Unavailable("no answer")
            case Mishap.FAILED:
                raise Unavailable("500")
            case Mishap.LIMITED:
                raise RateLimited("429", retry_after=1.0)
            case Mishap.FORBIDDEN:
                raise Unauthorized("403")

    def _on_the_way_back(self, call: Call) -> None:
        if self._mishap is Mishap.REPLY_LOST and call.verb in WRITING:
            raise Unconfirmed("no answer")


def memory_trial(replica: MemoryReplica) -> Trial:
    """A trial of a replica in memory, which may be one of yours that is derived from it."""
    return Trial(replica=replica, person=MemoryPerson(replica), line=MemoryLine(replica), now=replica.now)


@attrs.frozen
class MappedPerson:
    """Somebody at a system's own records, told in the shared form: for replicas in ``Mapped``.

    ``person`` works with the system's own fields, ``mapper`` is the one that the replica has.
    """

    person: Person
    mapper: Mapper

    async def add(self, fields: Mapping[str, Value]) -> str:
        """Make a record; fields that the mapper does not know are the system's own."""
        return await self.person.add(self._native(fields, {}))

    async def edit(self, id: str, fields: Mapping[str, Value]) -> None:
        """Change these fields."""
        native = await self.person.read(id) or {}
        await self.person.edit(id, self._native(fields, native))

    async def remove(self, id: str) -> None:
        """Delete the record."""
        await self.person.remove(id)

    async def read(self, id: str) -> Mapping[str, Value] | None:
        """The shared fields, and those that the mapper does not know under their own names."""
        native = await self.person.read(id)
        if native is None:
            return None
        own = {name: value for name, value in native.items() if not self.mapper.field_of(name)}
        return {**own, **{name: v for name, v in self.mapper.get(native).items() if v is not ABSENT}}

    async def trash(self) -> Collection[str]:
        """That of the system."""
        return await self.person.trash()

    def _native(self, fields: Mapping[str, Value], native: Mapping[str, object]) -> dict[str, Value]:
        shared = {name: value for name, value in fields.items() if name in self.mapper.fields}
        own = {name: value for name, value in fields.items() if name not in shared}
        return {**own, **cast(Mapping[str, Value], self.mapper.put(shared, native))}
