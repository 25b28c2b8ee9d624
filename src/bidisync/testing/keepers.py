"""A person at a store of your own: what ``check_replica`` needs beside a ``RecordReplica``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar, cast

import attrs

from bidisync.errors import Rejected, SyncError
from bidisync.model import Value
from bidisync.records import Feed, RecordReplica, Records, Removes
from bidisync.testing.broken import Broken, broken
from bidisync.testing.replicas.trial import Trial
from bidisync.values import read

T = TypeVar("T")


@attrs.frozen
class Keeper:
    """Somebody who works with a store through its own methods; ``id`` and ``version`` as in ``RecordReplica``.

    What a method of the store does wrong is told by its name.
    """

    store: Records
    id: str = "id"
    version: str = "version"

    async def add(self, fields: Mapping[str, Value]) -> str:
        """Make a record."""
        made: object = await _told("add", lambda: self.store.add(fields))
        return str(self._of("add", made, self.id))

    async def edit(self, id: str, fields: Mapping[str, Value]) -> None:
        """Change these fields."""
        version = await self._version(id)
        await _told("change", lambda: self.store.change(id, fields, version))

    async def remove(self, id: str) -> None:
        """Delete the record."""
        if not isinstance(store := self.store, Removes):
            raise Rejected("this store deletes no records")
        version = await self._version(id)
        await _told("remove", lambda: store.remove(id, version))

    async def read(self, id: str) -> Mapping[str, Value] | None:
        """All fields of the record, but for its id and version; lists as the tuples that the engine has."""
        record = await self._get(id)
        if record is None:
            return None
        shown = {name: value for name, value in record.items() if name not in (self.id, self.version)}
        fields, unread = read(shown)
        return cast("Mapping[str, Value]", {**fields, **(unread.found if unread else {})})

    async def trash(self) -> Collection[str]:
        """There is none."""
        return ()

    async def _get(self, id: str) -> Mapping[str, Any] | None:
        return await _told("get", lambda: self.store.get(id))

    async def _version(self, id: str) -> str:
        record = await self._get(id)
        if record is None:
            broken(
                "the store's get answers None for a record that was added",
                "an id comes back as the text that it was read as: where your keys are numbers, look up int(id)",
            )
        return str(self._of("get", record, self.version))

    def _of(self, call: str, record: object, name: str) -> object:
        """What stands under this name in a record that the store gave."""
        if not isinstance(record, Mapping):
            kind = type(record).__name__
            broken(f"the store's {call} answers {kind} and no record", "answer the record, with its id and version")
        if name not in record:
            broken(
                f"the store's {call} answers a record without {name!r}",
                "fill it in, or say what it is called: store_trial(store, names, id=…, version=…)",
            )
        return record[name]


def store_trial(
    store: Records, names: Iterable[str], *, person: Records | None = None, id: str = "id", version: str = "version"
) -> Trial:
    """A trial of a store; the person works at the same store, or at another way into it.

    ``names`` are the fields that take part; ``id`` and ``version`` the names under which a
    record has those, as in ``RecordReplica``.
    """
    return Trial(
        replica=RecordReplica(store, tuple(names), id=id, version=version),
        person=Keeper(person or store, id, version),
        tells_deletions=isinstance(store, Feed),
    )


async def _told(call: str, ask: Callable[[], T | Awaitable[T]]) -> T:
    """What a method of the store answers, plain or awaited."""
    try:
        answer = ask()
        return await answer if inspect.isawaitable(answer) else answer
    except (SyncError, Broken):
        raise
    except Exception as error:
        raise Broken(
            f"the store's {call} raises {type(error).__name__} for what a person does ({error})",
            "get answers None for a record that is not there, change raises Stale; all else is told by a SyncError",
        ) from error
