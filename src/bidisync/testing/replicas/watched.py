"""A replica around the judged one that looks at every answer, so that each law may take them for granted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import attrs

from bidisync.errors import SyncError
from bidisync.model import ABSENT, Capabilities, Created, Notes, Page, Snapshot, Value
from bidisync.protocols import Replica
from bidisync.state import Intent
from bidisync.testing.broken import ALLOWED, Broken, NotJudgedError, broken, holds
from bidisync.testing.replicas.trial import at_once
from bidisync.values import Unread, is_value

T = TypeVar("T")
TRANSLATE = "translate what goes wrong into bidisync.errors, at the edge, with `from`"
ABOUT_NOBODY = (
    "a record that is not there is no mishap: get answers gone=True (a store: None), a write raises Stale,"
    " a delete is content; translate the rest into bidisync.errors"
)


@attrs.frozen
class Given:
    """An answer, and what it said when it was given."""

    call: str
    snapshot: Snapshot
    fields: Mapping[str, object]


@attrs.define
class Watched:
    """A replica whose answers are well formed, or ``Broken``; its own errors go through."""

    replica: Replica
    settle: Callable[[], Awaitable[None]] = at_once
    given: list[Given] = attrs.Factory(list)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the judged one, the same each time."""
        found = self.replica.capabilities
        holds(isinstance(found, Capabilities), "capabilities are not a Capabilities", "answer one, frozen")
        return found

    @property
    def newest(self) -> str | None:
        """A text, or nothing."""
        found = self.replica.newest
        holds(
            found is None or isinstance(found, str),
            f"newest is of the type {type(found).__name__}",
            "answer a text or None: it is stored with the intent",
        )
        return found

    async def get(self, id: str) -> Snapshot:
        """A snapshot of the record asked for, no row."""
        found = await self._ask("get", self.replica.get(id))
        self._look_at("get", found)
        holds(found.id == id, "get answers with the id of another record", "raise Merged if the system sent another")
        holds(
            not found.row, "get answers with a row of a list", "set row=True only on what comes from list or get_many"
        )
        return found

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """Rows under their own ids."""
        await self.settle()
        found = await self._ask("get_many", self.replica.get_many(ids))
        holds(isinstance(found, Mapping), "get_many answers something else than a mapping", "key the rows by their ids")
        for id, snapshot in found.items():
            self._look_at("get_many", snapshot)
            holds(
                snapshot.id == id, "get_many answers with a record under the id of another", "key rows by their own id"
            )
            holds(
                snapshot.row or snapshot.gone,
                "get_many answers with rows that are not marked",
                "set row=True on what a bulk read gave",
            )
        return found

    async def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """Pages of rows."""
        async for page in self.unread(since):
            holds(
                page.cursor is None or isinstance(page.cursor, str),
                "a cursor is no text",
                "it is stored: make it a str",
            )
            holds(
                _told_truly(page),
                "the tokens of a page are not those of its rows",
                "tell them in one order, and none (None) for a row that is gone or awaits another record",
            )
            for snapshot in page.snapshots:
                self._look_at("list", snapshot)
                marked = snapshot.row or snapshot.gone or page.beyond
                holds(marked, "list gives rows that are not marked", "set row=True on what a list gave")
            yield page

    async def unread(self, since: str | None = None) -> AsyncIterator[Page]:
        """The pages of a list before anybody has looked at their rows."""
        await self.settle()
        pages = self.replica.list(since)
        if not hasattr(pages, "__anext__"):
            close = getattr(pages, "close", None)  # a coroutine that nobody awaits
            if close is not None:
                close()
            broken("list is no asynchronous iterator", "write it as an async generator of Page")
        while True:
            try:
                page = await self._ask("list", pages.__anext__())
            except StopAsyncIteration:
                return
            holds(
                isinstance(page, Page), "list gives something else than Page", "put the rows of each page into a Page"
            )
            yield page

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """An id, and a snapshot of that record where the reply proves it."""
        if not self.capabilities.creates:
            raise NotJudgedError("records are made by people alone")
        before = dict(fields)
        call = self.replica.create(fields, notes=notes, despite_duplicates=despite_duplicates)
        made = await self._ask("create", call)
        holds(isinstance(made, Created), "create answers something else than Created", "answer Created(id)")
        _is_id("create", made.id)
        holds(dict(fields) == before, "create changes the fields that it is given", "copy them first")
        if made.snapshot is not None:
            self._look_at("create", made.snapshot)
            holds(made.snapshot.id == made.id, "create answers with the snapshot of another record", "use the new id")
        return made

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """A snapshot of the record as it is now, or nothing."""
        if not self.capabilities.updates:
            raise NotJudgedError("records are changed by people alone")
        before, saw = dict(changes), dict(seen.fields)
        now = await self._ask("update", self.replica.update(seen, changes, notes=notes))
        holds(dict(changes) == before, "update changes the fields that it is given", "copy them first")
        holds(
            dict(seen.fields) == saw,
            "update changes the snapshot that it is given",
            "make a new one: snapshots are frozen",
        )
        if now is not None:
            self._look_at("update", now)
            holds(
                now.id == seen.id,
                "update answers with the id of another record",
                "raise Merged if the system sent another",
            )
        return now

    async def delete(self, seen: Snapshot) -> None:
        """Nothing."""
        await self._ask("delete", self.replica.delete(seen))

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """Snapshots."""
        await self.settle()
        found = await self._ask("find_by_counterpart", self.replica.find_by_counterpart(counterpart))
        return self._found("find_by_counterpart", found)

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """Snapshots."""
        await self.settle()
        return self._found("find_created", await self._ask("find_created", self.replica.find_created(intent)))

    def unchanged(self) -> None:
        """Every answer still says what it said when it was given."""
        for one in self.given:
            holds(
                dict(one.snapshot.fields) == dict(one.fields),
                f"a snapshot that {one.call} gave has changed since",
                "copy the fields: a snapshot is how the record was seen",
            )

    def _found(self, call: str, found: Sequence[Snapshot]) -> Sequence[Snapshot]:
        holds(isinstance(found, Sequence), f"{call} answers something else than a sequence", "() for nothing")
        for snapshot in found:
            self._look_at(call, snapshot)
            holds(not snapshot.gone, f"{call} finds a record that is gone", "leave out what is deleted")
        return found

    async def _ask(self, call: str, awaitable: Awaitable[T]) -> T:
        try:
            return await awaitable
        except (SyncError, Broken, StopAsyncIteration):
            raise
        except Exception as error:
            raise Broken(
                f"{call} raises {type(error).__module__}.{type(error).__qualname__}, which is no SyncError"
                + (f" ({error})" if str(error) else ""),
                ABOUT_NOBODY if isinstance(error, LookupError | FileNotFoundError) else TRANSLATE,
            ) from error

    def _look_at(self, call: str, snapshot: Snapshot) -> None:
        holds(
            isinstance(snapshot, Snapshot), f"{call} answers something else than a Snapshot", "build one from the reply"
        )
        _is_id(call, snapshot.id)
        version = snapshot.version
        holds(
            version is None or isinstance(version, str),
            f"{call} gives a version of the type {type(version).__name__}",
            "make it a text: it is opaque to the engine and stored",
        )
        for moment in (snapshot.seen_at, snapshot.modified_at):
            holds(
                moment is None or isinstance(moment, int | float),
                f"{call} gives a time of the type {type(moment).__name__}",
                "times are seconds since 1970 in UTC, as a float",
            )
        holds(
            not (snapshot.gone and snapshot.fields), f"{call} gives fields of a record that is gone", "leave them out"
        )
        odd = snapshot.native.kinds if isinstance(snapshot.native, Unread) else {}
        odd = odd or {n: type(v).__name__ for n, v in snapshot.fields.items() if v is not ABSENT and not is_value(v)}
        for name, kind in odd.items():
            broken(
                f"{call} gives the field {name!r} as {kind}, which is no value",
                f"translate it into {ALLOWED}; ABSENT if it was not delivered",
            )
        self.given.append(Given(call, snapshot, dict(snapshot.fields)))


def _is_id(call: str, id: object) -> None:
    if not isinstance(id, str):
        broken(f"{call} gives an id of the type {type(id).__name__}", "ids are texts: write str(id) where it is read")
    holds(id, f"{call} gives an empty id", "a record without an id can't be linked: raise Unavailable")


def _told_truly(page: Page) -> bool:
    """Whether each row is known by its own id and version, or by no version where that proves nothing."""
    tokens = page.known_by
    return [id for id, _ in tokens] == [row.id for row in page.snapshots] and all(
        token is None or (token == row.version and not (row.gone or row.awaits))
        for (_, token), row in zip(tokens, page.snapshots, strict=True)
    )
