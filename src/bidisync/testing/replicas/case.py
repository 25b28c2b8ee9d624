"""One trial of one promise: the parts, and what the laws of all promises need from them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

import attrs

from bidisync.errors import Rejected
from bidisync.model import ABSENT, Capabilities, Seen, Snapshot, Value
from bidisync.testing.broken import NotJudgedError, broken, holds
from bidisync.testing.replicas.trial import Examples, Line, Mishap, Person, Trial
from bidisync.testing.replicas.watched import Watched

KEEP = "keep values as they are; where the system itself changes them, say so with Examples.keeps"
DELIVER = "deliver every field; one that nobody delivers may be misspelt, in the examples or where the replica names it"


@attrs.frozen
class Case:
    """A trial, the examples, and the watched replica between."""

    trial: Trial
    examples: Examples
    replica: Watched

    @property
    def person(self) -> Person:
        """Who works at the system."""
        return self.trial.person

    @property
    def line(self) -> Line:
        """The way to the system, where it can be cut."""
        if self.trial.line is None:
            raise NotJudgedError("the trial has no line")
        return self.trial.line

    @property
    def can(self) -> Capabilities:
        """What the replica says it guarantees."""
        return self.replica.capabilities

    def record(self, number: int = 0) -> Mapping[str, Value]:
        """One of the examples."""
        return dict(self.examples.records[number % len(self.examples.records)])

    def changing(self, number: int = 0) -> Mapping[str, Value]:
        """The fields of one of the examples that may be changed once it is there."""
        return {name: value for name, value in self.record(number).items() if name not in self.examples.fixed}

    def invalid(self) -> Mapping[str, Value]:
        """The record that the system refuses."""
        if self.examples.invalid is None:
            raise NotJudgedError("the examples name no invalid record")
        return dict(self.examples.invalid)

    def kept(self, name: str, value: Value) -> Value:
        """What the system makes of a value."""
        return self.examples.keeps(name, value)

    def another(self, name: str, than: Value) -> Value:
        """A value of this field that is not this one."""
        return next(value for one in self.examples.records if (value := one.get(name)) != than)

    def names(self) -> tuple[str, str]:
        """Two fields, filled in the first record where there are such."""
        first = self.changing()
        ordered = sorted(first, key=lambda name: first[name] is None or self.another(name, first[name]) is None)
        return ordered[0], ordered[1]

    async def added(self, number: int = 0, **fields: Value) -> str:
        """The id of a record that a person made, with what only a person fills in."""
        id = await self.person.add({**self.record(number), **self.examples.unmapped, **fields})
        holds(
            id != self.examples.nobody,
            f"Examples.nobody is {id!r}, and a record was just made under that id",
            "name an id that no record will ever have",
        )
        return id

    async def removed(self) -> str:
        """The id of a record that a person made and deleted again; another one is there still."""
        id, _ = await self.added(), await self.added(1)
        try:
            await self.person.remove(id)
        except Rejected as error:
            if not self.examples.nobody:
                raise NotJudgedError("nobody can delete a record, and the examples name no id of nobody") from error
            return self.examples.nobody
        return id

    def failing_reads(self) -> Sequence[Mishap]:
        """What may befall a read, where the line can be cut."""
        _ = self.line
        return Mishap.FORBIDDEN, Mishap.FAILED, Mishap.LIMITED, Mishap.REQUEST_LOST

    def row_fits(self, row: Snapshot, record: Snapshot, call: str) -> None:
        """A row says the same as the record, or leaves it out where rows are not complete."""
        holds(
            row.version is None or record.version is None or row.version == record.version,
            f"{call} gives another version than get for the same state",
            "use the same token for both, or None in rows",
        )
        for name in self.record():
            value, shown = record.fields.get(name, ABSENT), row.fields.get(name, ABSENT)
            if shown is ABSENT and not self.can.row_is_complete:
                continue
            holds(
                shown == value,
                f"{call} shows the field {name!r} otherwise than get",
                "declare row_is_complete=False, and leave out what a row does not hold",
            )

    async def ids(self) -> set[str]:
        """The records that a list shows."""
        return {row.id async for page in self.replica.list() for row in page.snapshots if not row.gone}

    async def noted(self, id: str, counterpart: str, fault: str) -> None:
        """The record shows this counterpart in its notes."""
        notes = (await self.replica.get(id)).notes
        remedy = "write Notes in the request that writes the fields, and leave alone what is None in them"
        holds(notes is not None and notes.counterpart == counterpart, fault, remedy)

    async def finds(self, id: str, counterpart: str) -> None:
        """The record is found by its counterpart, and no other."""
        found = [one.id for one in await self.replica.find_by_counterpart(counterpart)]
        holds(id in found, "find_by_counterpart misses the record that names it", "search for the id in the notes")
        foreign = set(found) - {id}
        holds(not foreign, "find_by_counterpart finds records of other counterparts", "search for the whole id")

    async def held(self, id: str) -> Mapping[str, Value]:
        """What the system holds of a record that has to be there."""
        found = await self.person.read(id)
        if found is None:
            broken("the record is not in the system", "a write must leave every other record, and its own, in place")
        return found

    def shows(self, snapshot: Snapshot, record: Mapping[str, Value], how: str) -> None:
        """The snapshot shows this record, as the system keeps it."""
        holds(not snapshot.gone, f"{how}, it is said to be gone", "gone is only what the system says is not there")
        for name, value in record.items():
            holds(
                name not in snapshot.unreadable,
                f"{how}, the field {name!r} can't be read",
                "what the system holds there is no value, or has no form in the mapping: its group would be blocked",
            )
            alike(name, self.kept(name, value), snapshot.fields.get(name, ABSENT), how)


def alike(name: str, wrote: Seen, read: Seen, how: str) -> None:
    """The same value, of the same type; else ``Broken`` with what became of it."""
    if type(wrote) is type(read) and wrote == read:
        return
    fault = f"{how}, the field {name!r} {_became(wrote, read)} ({wrote!r} is read as {read!r})"
    broken(fault, DELIVER if read is ABSENT else KEEP)


def _became(wrote: Seen, read: Seen) -> str:
    """What happened to a value, in a word or two."""
    if read is ABSENT:
        return "is ABSENT, as if it had not been delivered"
    if wrote is None:
        return "is no longer empty"
    if read is None:
        return "is emptied"
    if isinstance(wrote, str) and isinstance(read, str):
        return _text_became(wrote, read)
    if isinstance(wrote, float) and isinstance(read, int | float):
        return "is rounded"
    if isinstance(wrote, tuple) and isinstance(read, tuple):
        return "is sorted anew" if sorted(map(repr, wrote)) == sorted(map(repr, read)) else "loses items"
    return f"becomes {type(read).__name__}" if type(wrote) is not type(read) else "has another value"


def _text_became(wrote: str, read: str) -> str:
    ways = (
        ("is trimmed", str.strip),
        ("has its case folded", str.casefold),
        ("has its Unicode form changed", lambda text: unicodedata.normalize("NFC", text)),
        ("has its white space changed", lambda text: "".join(text.split())),
    )
    for word, way in ways:
        if way(wrote) == way(read):
            return word
    return "is cut off" if read and wrote.startswith(read) else "has another value"
