"""A store of your own as a side of a sync: say how its records are listed, read, added and changed.

Whatever keeps records that have an id and a version (a table, a file, a service behind a
client of yours) becomes a replica by wrapping it in ``RecordReplica``. Its methods may be
plain functions or coroutines; what they raise besides ``SyncError`` ends the pass.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Protocol, TypeAlias, TypeGuard, TypeVar, cast, runtime_checkable

import attrs

from bidisync.clock import SystemClock
from bidisync.errors import Misconfigured, Rejected
from bidisync.model import ABSENT, Capabilities, Conditional, Created, Deletion, Notes, Page, Snapshot, Value
from bidisync.pages import Lazily, aopened, opened
from bidisync.state import Intent
from bidisync.values import SEEN, read

T = TypeVar("T")
Record: TypeAlias = Mapping[str, Any]
"""A record as a store has it: its fields, its id and its version, by name."""

Listed: TypeAlias = Iterable[Record] | AsyncIterable[Record]
"""Records one after the other, of a plain function or a coroutine."""

PAGE = 1000


@runtime_checkable
class Records(Protocol):
    """A store of records, each with an id and a version that moves with every change.

    Must not keep a record that it handed out and change it later in place: a change makes
    the next ``get`` answer otherwise, not the last one.
    """

    def all(self) -> Listed | Awaitable[Listed]:
        """Every record, in any order; read once, a page at a time."""
        ...

    def get(self, id: str) -> Record | Awaitable[Record | None] | None:
        """The record now; ``None`` only if there is none."""
        ...

    def add(self, fields: Mapping[str, Value]) -> Record | Awaitable[Record]:
        """Make a record of these fields: it, with its id and version."""
        ...

    def change(
        self, id: str, fields: Mapping[str, Value], version: str | None
    ) -> Record | Awaitable[Record | None] | None:
        """Change only these fields: the record as it is now, ``None`` if that has to be read.

        ``Stale`` if the record has another version by now, or is not there.
        """
        ...


@runtime_checkable
class Removes(Protocol):
    """Records that can be deleted."""

    def remove(self, id: str, version: str | None) -> Awaitable[None] | None:
        """Delete the record, if it is there; ``Stale`` if it has another version by now."""
        ...


@attrs.frozen
class Changes:
    """What changed since a place in a store's history: the records now, the ids of those deleted, the place now.

    * ``records``: each record that was made or changed since, once, as it is now.
    * ``gone``: the ids of those that were deleted since, as text.
    * ``position``: the place up to which this is everything, as text: ``changed`` is asked from there
      next time. Too early a place costs reading; too late a one loses what lies between.
    """

    records: Listed = attrs.field(repr=False)
    gone: Sequence[str]
    position: str


@runtime_checkable
class Feed(Protocol):
    """Records that know what changed: a pass costs what changed, not what there is."""

    def position(self) -> str | Awaitable[str]:
        """The place in the history where it is now."""
        ...

    def changed(self, since: str) -> Changes | Awaitable[Changes]:
        """What changed after that place: each record once, and none left out."""
        ...


def _as_names(names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise Misconfigured(f"the names of a RecordReplica are a tuple: write ({names!r},)")
    return tuple(names)


@attrs.define
class RecordReplica:
    """A replica of the records of a store: ``names`` are the fields that take part in the sync.

    ``id`` and ``version`` are the names under which a record has those; the id may be a
    field of the sync, too. A record that lacks one of them, or whose id is empty, is
    ``Misconfigured`` where it is read; in the answer to a write it is a ``TypeError``, which
    ends the pass: the write has happened, so what is done about it is looked for, and not sent
    again. A field that holds no value (a date, a dictionary) is ``unreadable``; a mapper around
    this replica may read it.
    """

    records: Records
    names: tuple[str, ...] = attrs.field(converter=_as_names)
    id: str = "id"
    version: str = "version"
    now: Callable[[], float] = attrs.Factory(lambda: SystemClock().now)
    newest: str | None = None
    capabilities: Capabilities = attrs.field()
    _tried: bool = attrs.field(default=False, init=False, repr=False, eq=False)  # whether it answers to text

    @capabilities.default
    def _by_what_the_store_can_do(self) -> Capabilities:
        return Capabilities(
            conditional_write=Conditional.CHECKED,
            partial_write=True,
            deletion=Deletion.HARD if isinstance(self.records, Removes) else Deletion.FORBIDDEN,
            finds_created=True,
            changed_since=isinstance(self.records, Feed),
            row_is_complete=True,
            row_can_be_written=True,
        )

    async def get(self, id: str) -> Snapshot:
        """The record now."""
        asked, found = self.now(), await _answer(self.records.get(id))
        return self._gone(asked, id) if found is None else self._seen(asked, False, found)

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """Those of the records that are there."""
        found = {}
        for id in ids:
            asked, record = self.now(), await _answer(self.records.get(id))
            if record is not None:
                found[id] = self._seen(asked, True, record)
        return found

    async def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """All records, or what the store says has changed."""
        asked, records = self.now(), self.records
        if since is not None and isinstance(records, Feed):
            changes = await _answer(records.changed(since))
            async with aopened(_batches(changes.records)) as batches:
                async for batch in batches:
                    yield self._page(asked, batch)
            gone = tuple(self._gone(asked, str(id)) for id in changes.gone)
            yield Page(gone, str(changes.position))
            return
        position = str(await _answer(records.position())) if isinstance(records, Feed) else None
        async with aopened(_batches(await _answer(records.all()))) as batches:
            async for batch in batches:
                page = self._page(asked, batch)
                if not self._tried:
                    await self._try(batch[0][self.id])
                yield page
        yield Page((), position)

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Add a record."""
        snapshot = self._written("add", await _answer(self.records.add(fields)))
        return Created(snapshot.id, snapshot, snapshot.version)

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Change these fields of a record that is as it was seen."""
        now = await _answer(self.records.change(seen.id, changes, seen.version))
        return None if now is None else self._written("change", now)

    async def delete(self, seen: Snapshot) -> None:
        """Delete a record that is as it was seen."""
        if not isinstance(self.records, Removes):
            raise Rejected("this store deletes no records")
        await _answer(self.records.remove(seen.id, seen.version))

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """None: such records name no counterpart."""
        return ()

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """All records: any of them may be the one."""
        return [snapshot async for page in self.list() for snapshot in page.snapshots]

    async def _try(self, id: object) -> None:
        """``Misconfigured`` where the store has nothing for the text of an id that it lists: all would seem deleted."""
        if not isinstance(id, str | None) and await _answer(self.records.get(str(id))) is None:
            async with aopened(_batches(await _answer(self.records.all()))) as batches:
                async for batch in batches:
                    if any(record[self.id] == id for record in batch):  # nobody has deleted it meanwhile
                        store, kind = type(self.records).__name__, type(id).__name__
                        raise Misconfigured(f"{store}.get finds none by the text of an id of the type {kind}")
        self._tried = True

    def _page(self, asked: float, batch: Sequence[Record]) -> Page:
        try:
            found = list(map(itemgetter(self.id, self.version), batch))
        except KeyError:
            self._demand_names(batch)
            raise
        tokens = found if _are_texts(found) else [(str(id), None if v is None else str(v)) for id, v in found]
        return Page(Lazily(partial(self._seen, asked, True), batch), tokens=tokens)

    def _seen(self, asked: float, row: bool, record: Record) -> Snapshot:
        try:
            id, token = record[self.id], record[self.version]
        except KeyError:
            self._demand_names([record])
            raise
        if id is None or id == "":
            store = type(self.records).__name__
            raise Misconfigured(f"a record of {store} has an empty {self.id!r}: nobody could name it")
        version = None if token is None else str(token)
        fields = {name: record.get(name, ABSENT) for name in self.names}
        if SEEN.issuperset(map(type, fields.values())):
            return Snapshot(str(id), fields, version=version, row=row, seen_at=asked)
        values, unread = read(fields)
        strange = frozenset() if unread is None else frozenset(unread.kinds)
        return Snapshot(str(id), values, version=version, unreadable=strange, row=row, seen_at=asked, native=unread)

    def _written(self, method: str, record: Record) -> Snapshot:
        """What a write answered; no error that would say that the write has not happened."""
        try:
            return self._seen(self.now(), False, record)
        except Misconfigured as error:
            raise TypeError(f"what {method} answered: {error}") from error

    def _demand_names(self, records: Sequence[Record]) -> None:
        """``Misconfigured`` if one of them lacks its id or its version."""
        for name in (self.id, self.version):
            if any(name not in record for record in records):
                raise Misconfigured(
                    f"a record has no {name!r}: each needs an id, and a version that moves with every change; "
                    "where they have other names, write RecordReplica(records, names, id=…, version=…)"
                ) from None

    def _gone(self, asked: float, id: str) -> Snapshot:
        return Snapshot(id, {}, gone=True, seen_at=asked)


def _are_texts(tokens: Iterable[tuple[object, object]]) -> TypeGuard[Sequence[tuple[str, str]]]:
    """Whether each of them is text already, found as fast as can be."""
    try:
        "".join(chain.from_iterable(tokens))  # type: ignore[arg-type]  # whether they are texts is the question
    except TypeError:
        return False
    return True


async def _answer(answer: T | Awaitable[T]) -> T:
    """What a plain function returned, or what a coroutine returns."""
    return await cast("Awaitable[T]", answer) if hasattr(answer, "__await__") else answer


async def _batches(records: Listed) -> AsyncIterator[Sequence[Record]]:
    if not isinstance(records, AsyncIterable):
        with opened(records) as rest:
            while batch := list(islice(rest, PAGE)):
                yield batch
        return
    held: list[Record] = []
    async with aopened(records) as coming:
        async for record in coming:
            held.append(record)
            if len(held) == PAGE:
                yield held
                held = []
        if held:
            yield held
