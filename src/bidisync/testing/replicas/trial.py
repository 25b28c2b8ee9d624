"""What ``check_replica`` is given: a replica, a person at its system, and records to try.

The check needs two ways to one system. The replica is the one that is judged; a ``Person``
is the other: somebody who works in the system itself, so that what the replica says can be
compared with what is there.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol, TypeAlias, cast

import attrs

from bidisync.clock import SystemClock
from bidisync.model import Value
from bidisync.protocols import Replica
from bidisync.testing.broken import ALLOWED
from bidisync.values import read


class Person(Protocol):
    """Somebody who works in the system itself, behind the replica's back.

    Fields have the replica's names. Must not go through the replica that is judged.
    """

    async def add(self, fields: Mapping[str, Value]) -> str:
        """Make a record and tell its id; fields that are not named are empty."""
        ...

    async def edit(self, id: str, fields: Mapping[str, Value]) -> None:
        """Change these fields."""
        ...

    async def remove(self, id: str) -> None:
        """Delete the record. ``Rejected`` where nobody can."""
        ...

    async def read(self, id: str) -> Mapping[str, Value] | None:
        """All fields as the system holds them, also those that the replica does not map; ``None``: not there."""
        ...

    async def trash(self) -> Collection[str]:
        """The ids of deleted records that can be brought back; empty where the system has no trash."""
        ...


class Mishap(enum.Enum):
    """What befalls a request on its way."""

    REQUEST_LOST = "request lost"
    """It never arrives, and the sender is told nothing."""
    REPLY_LOST = "reply lost"
    """It takes effect, and the sender is told nothing."""
    LIMITED = "429"
    """Refused with a request for patience; nothing takes effect."""
    FAILED = "500"
    """Refused with an error of the server; nothing takes effect."""
    FORBIDDEN = "403"
    """Refused for want of a permission; nothing takes effect."""


class Line(Protocol):
    """The way between the replica and its system, where a check can count and cut: below the replica."""

    @property
    def writes(self) -> int:
        """How many requests that write have been sent so far, those that got lost included."""
        ...

    def befall(self, mishap: Mishap) -> AbstractContextManager[None]:
        """Until the block is left, this befalls every request."""
        ...


async def at_once() -> None:
    """Lists and searches show at once what was written."""


@attrs.frozen(kw_only=True)
class Trial:
    """One replica to judge, and a person at the same system.

    ``line`` allows to judge what the replica does when requests fail. ``withhold`` makes the
    system leave a field out of its replies from now on, as where a permission was taken
    away. ``now`` is the time by the clock that the replica uses, in seconds since 1970.
    ``settle`` waits until lists and searches of a lagging system show what was written.
    ``tells_deletions`` says that what a list names from a cursor on includes what was deleted,
    as the ``Feed`` of a store does: nobody else looks for it then.
    """

    replica: Replica
    person: Person
    line: Line | None = None
    withhold: Callable[[str], Awaitable[None]] | None = None
    now: Callable[[], float] = SystemClock().now
    settle: Callable[[], Awaitable[None]] = at_once
    tells_deletions: bool = False


MakeTrial: TypeAlias = Callable[[], AbstractAsyncContextManager[Trial] | Awaitable[Trial]]
"""Makes a trial on a system of its own, or on a sandbox whose other records nobody edits meanwhile.

An async function, or an asynchronous context manager where something has to be closed. It is
called once for each promise, so that no promise meets what another one left behind.
"""


def _record(record: Mapping[str, Value]) -> Mapping[str, Value]:
    """The record as the engine has it: its lists are tuples. ``ValueError`` for what no field may hold."""
    found, unread = read(record)
    for name, kind in unread.kinds.items() if unread else ():
        raise ValueError(f"the field {name!r} holds a {kind}: a value is {ALLOWED}")
    return cast("Mapping[str, Value]", found)


def _records(records: Sequence[Mapping[str, Value]]) -> Sequence[Mapping[str, Value]]:
    return [_record(record) for record in records]


def _further(values: Mapping[str, Sequence[Value]]) -> Mapping[str, Sequence[Value]]:
    return {name: [_record({name: value})[name] for value in some] for name, some in values.items()}


def as_written(field: str, value: Value) -> Value:
    """A system that keeps every value as it was written."""
    return value


@attrs.frozen(kw_only=True)
class Examples:
    """Made-up records that the system takes, in the replica's names; what is read only has no place here.

    ``records`` are two or more that differ in each field, with at least two fields. ``fixed``
    are those of them that a record is made with and keeps, as the parent that it lies in. ``texts``
    are the fields that take any text, ``values`` further values to try in a field.
    ``unmapped`` is what only a person fills in. ``invalid`` is a record that the system
    refuses. ``keeps`` says what the system itself makes of a value, if not the same.
    ``counterparts`` are two ids of the other side as notes hold them, ``nobody`` is an id that
    no record has or will have, and ``crowd`` are more records than one page holds.
    """

    records: Sequence[Mapping[str, Value]] = attrs.field(converter=_records)
    fixed: Collection[str] = ()
    texts: Sequence[str] = ()
    values: Mapping[str, Sequence[Value]] = attrs.field(factory=dict, converter=_further)
    unmapped: Mapping[str, Value] = attrs.field(factory=dict)
    invalid: Mapping[str, Value] | None = None
    keeps: Callable[[str, Value], Value] = as_written
    counterparts: tuple[str, str] = ("4711", "4712")
    nobody: str = ""
    crowd: int = 120

    def __attrs_post_init__(self) -> None:
        if len(self.records) < 2 or len(set(self.records[0]) - set(self.fixed)) < 2:
            raise ValueError(
                "two records of at least two fields are needed, to see whether a write touches only its own"
            )
        for name, value in self.records[0].items():
            if all(one.get(name) == value for one in self.records[1:]):
                raise ValueError(f"the field {name!r} is the same in all records: nobody sees whether it was written")
