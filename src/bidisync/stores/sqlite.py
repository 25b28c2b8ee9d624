"""State in one SQLite file: the embedded default, durable before a call returns.

Not for network drives, and for one machine: several processes may share the file, but each
commit is a lock on all of it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import attrs

from bidisync.errors import Contended, Misconfigured, Unavailable
from bidisync.model import Ref, Side
from bidisync.state import Journaled, Known, Link, from_rest, to_rest
from bidisync.stores.writer import Transaction, Writer

T = TypeVar("T")
CHUNK = 400
BUSY_S = 15.0


@attrs.define(eq=False)
class SqliteStore:
    """Links, journal, index and marks in one file. Open it with ``SqliteStore.open``."""

    path: str
    _writer: Writer = attrs.field(repr=False)

    @classmethod
    async def open(cls, path: str | Path, *, create: bool = True) -> SqliteStore:
        """The store in this file, brought to the newest form; ``:memory:`` lasts until it is closed.

        ``Misconfigured`` for a file that is none of ours, is newer than this version, or is
        missing where it must not be made.
        """
        store = cls(str(path), Writer(lambda: _connect(str(path), create)))
        with _translated(str(path)):
            await store._writer.start()
        await store._run(_migrate)
        return store

    @classmethod
    async def rehearse(cls, path: str | Path) -> SqliteStore:
        """A copy in memory of the store in this file, or an empty one if there is none: the file stays as it is."""
        store = cls(f"a copy of {path}", Writer(lambda: _copied(str(path))))
        with _translated(str(path)):
            await store._writer.start()
        await store._run(_migrate)
        return store

    @property
    def commits(self) -> int:
        """How many commits there were: fewer than saves, as those that wait share one."""
        return self._writer.commits

    async def close(self) -> None:
        """Finish what was handed in and let go of the file."""
        await self._writer.stop()

    async def load(self, refs: Sequence[Ref]) -> Mapping[Ref, Link]:
        """The links of those records that have one."""
        found: dict[Ref, Link] = {}
        for start in range(0, len(refs), CHUNK):
            rows = await self._run(_loading(refs[start : start + CHUNK]))
            links: dict[str, Link] = {}
            for side, id, link_id, document in rows:
                if link_id not in links:
                    links[link_id] = from_rest(document, Link)
                found[Ref(Side(side), id)] = links[link_id]
        return found

    async def links(self) -> AsyncIterator[Sequence[Link]]:
        """All links by id, 500 at a time."""
        last = ""
        while rows := await self._run(_listing(last)):
            yield [from_rest(document, Link) for _, document in rows]
            last = rows[-1][0]

    async def save(self, link: Link, *, journal: Sequence[Journaled] = (), absorbs: Sequence[Link] = ()) -> Link:
        """Store the link in place of the revision that it was read at, with all that belongs to it."""
        stored = attrs.evolve(link, revision=link.revision + 1)
        document = to_rest(stored)
        lines = [(line.link_id, to_rest(line)) for line in journal]

        def transaction(connection: sqlite3.Connection) -> None:
            for old in absorbs:
                _check(connection, old)
                connection.execute("DELETE FROM record WHERE link_id = ?", (old.id,))
                connection.execute("DELETE FROM link WHERE id = ?", (old.id,))
            _check(connection, link)
            connection.execute("DELETE FROM record WHERE link_id = ?", (link.id,))
            try:
                connection.executemany(
                    "INSERT INTO record (side, id, link_id) VALUES (?, ?, ?)",
                    [(ref.side.value, ref.id, link.id) for ref in link.refs],
                )
            except sqlite3.IntegrityError as error:
                raise Contended("this record belongs to another link") from error
            connection.execute(
                "INSERT OR REPLACE INTO link (id, state, document, revision, fence, intent, due)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    link.id,
                    stored.state.value,
                    document,
                    stored.revision,
                    stored.fence,
                    int(stored.intent is not None),
                    int(stored.due),
                ),
            )
            connection.executemany("INSERT INTO journal (link_id, document) VALUES (?, ?)", lines)

        await self._run(transaction)
        return stored

    async def fence(self, link: Link) -> int:
        """The fence that is stored now."""
        rows = await self._query("SELECT fence FROM link WHERE id = ?", (link.id,))
        return int(rows[0][0]) if rows else 0

    async def open_intents(self) -> Sequence[Link]:
        """Links with an intent that nobody has finished."""
        return await self._links_where("intent = 1")

    async def unsettled(self) -> Sequence[Link]:
        """Links that are due again by themselves."""
        return await self._links_where("due = 1")

    async def count(self) -> Mapping[str, int]:
        """How many links there are in each state."""
        return dict(await self._query("SELECT state, count(*) FROM link GROUP BY state", ()))

    async def learn(self, known: Sequence[Known]) -> None:
        """Put records into the index in place of what it held of them."""

        def transaction(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "DELETE FROM known WHERE side = ? AND id = ?", [(k.ref.side.value, k.ref.id) for k in known]
            )
            connection.executemany(
                "INSERT INTO known (side, id, name, hash) VALUES (?, ?, ?, ?)",
                [(k.ref.side.value, k.ref.id, name, value) for k in known for name, value in k.keys.items()],
            )

        if known:
            await self._run(transaction)

    async def forget(self, refs: Sequence[Ref]) -> None:
        """Take records out of the index."""
        rows = [(ref.side.value, ref.id) for ref in refs]
        await self._run(lambda c: c.executemany("DELETE FROM known WHERE side = ? AND id = ?", rows) and None)

    async def matches(self, side: Side, keys: Mapping[str, str]) -> Sequence[Known]:
        """The records of that side which share one of these keys."""
        if not keys:
            return []
        pairs = " OR ".join("(name = ? AND hash = ?)" for _ in keys)
        arguments = [side.value, side.value, *(part for pair in keys.items() for part in pair)]
        rows = await self._query(
            "SELECT id, name, hash FROM known WHERE side = ? AND id IN"
            f" (SELECT id FROM known WHERE side = ? AND ({pairs})) ORDER BY id",
            arguments,
        )
        found: dict[str, dict[str, str]] = {}
        for id, name, value in rows:
            found.setdefault(id, {})[name] = value
        return [Known(Ref(side, id), theirs) for id, theirs in found.items()]

    async def journal(self, link_id: str) -> Sequence[Journaled]:
        """The journal of a link, oldest first."""
        rows = await self._query("SELECT document FROM journal WHERE link_id = ? ORDER BY number", (link_id,))
        return [from_rest(document, Journaled) for (document,) in rows]

    async def get_mark(self, name: str) -> str | None:
        """A small value by its name."""
        rows = await self._query("SELECT value FROM mark WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    async def set_mark(self, name: str, value: str | None) -> None:
        """Set or remove it."""
        if value is None:
            await self._run(lambda c: c.execute("DELETE FROM mark WHERE name = ?", (name,)) and None)
        else:
            sql = "INSERT OR REPLACE INTO mark (name, value) VALUES (?, ?)"
            await self._run(lambda c: c.execute(sql, (name, value)) and None)

    async def first_mark(self, name: str, value: str) -> str:
        """Set it unless it is set; what stands there then."""

        def claim(connection: sqlite3.Connection) -> str:
            connection.execute("INSERT OR IGNORE INTO mark (name, value) VALUES (?, ?)", (name, value))
            return str(connection.execute("SELECT value FROM mark WHERE name = ?", (name,)).fetchone()[0])

        return await self._run(claim)

    async def _links_where(self, condition: str) -> list[Link]:
        rows = await self._query(f"SELECT document FROM link WHERE {condition} ORDER BY id", ())
        return [from_rest(document, Link) for (document,) in rows]

    async def _query(self, sql: str, arguments: Sequence[object]) -> Sequence[tuple[Any, ...]]:
        return await self._run(lambda connection: connection.execute(sql, tuple(arguments)).fetchall())

    async def _run(self, transaction: Transaction[T]) -> T:
        with _translated(self.path):
            return await self._writer.run(transaction)


def _check(connection: sqlite3.Connection, link: Link) -> None:
    row = connection.execute("SELECT revision, fence FROM link WHERE id = ?", (link.id,)).fetchone()
    revision, fence = row or (0, 0)
    if revision != link.revision:
        raise Contended("somebody else changed this link")
    if link.fence < fence:
        raise Contended("somebody else took this link over")


def _loading(refs: Sequence[Ref]) -> Transaction[list[tuple[str, str, str, str]]]:
    pairs = ", ".join("(?, ?)" for _ in refs)
    arguments = [part for ref in refs for part in (ref.side.value, ref.id)]
    sql = (
        "SELECT r.side, r.id, l.id, l.document FROM record r JOIN link l ON l.id = r.link_id"
        f" WHERE (r.side, r.id) IN (VALUES {pairs})"
    )
    return lambda connection: connection.execute(sql, arguments).fetchall()


def _listing(last: str) -> Transaction[list[tuple[str, str]]]:
    sql = "SELECT id, document FROM link WHERE id > ? ORDER BY id LIMIT 500"
    return lambda connection: connection.execute(sql, (last,)).fetchall()


def _connect(path: str, create: bool) -> sqlite3.Connection:
    if path != ":memory:":
        if not create and not Path(path).exists():
            raise Misconfigured(f"there is no state in {path}")
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise Misconfigured(f"the state file {path} can't be opened: {error.strerror}; check state.url") from error
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # an intent is on disk before its request is sent
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _copied(path: str) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    if Path(path).exists():
        original = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
        try:
            original.backup(copy)
        finally:
            original.close()
    return copy


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema to the newest number, in the transaction that the caller has begun."""
    connection.execute("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, checksum TEXT NOT NULL)")
    done = dict(connection.execute("SELECT number, checksum FROM migration").fetchall())
    known = dict(_migrations())
    if set(done) - set(known):
        raise Misconfigured("the state was written by a newer version of bidisync: upgrade this installation")
    for number, text in sorted(known.items()):
        checksum = hashlib.sha256(text.encode()).hexdigest()
        if number in done:
            if done[number] != checksum:
                raise Misconfigured(f"the state's migration {number} is not the one of this version")
            continue
        for statement in text.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute("INSERT INTO migration VALUES (?, ?)", (number, checksum))


def _migrations() -> Iterator[tuple[int, str]]:
    folder = resources.files("bidisync.stores") / "migrations" / "sqlite"
    for file in folder.iterdir():
        if file.name.endswith(".sql"):
            yield int(file.name.split("_")[0]), file.read_text(encoding="utf-8")


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """SQLite's errors in words that say what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "not a database" in text or "malformed" in text:
            raise Misconfigured(f"{path} is not a state file of bidisync, or is damaged; check state.url") from error
        advice = {
            "disk is full": "there is no room left: make room, nothing was lost",
            "locked": "another process holds it for too long",
            "readonly": "it can't be written: check its owner and mode",
        }
        what = next((words for sign, words in advice.items() if sign in text), text)
        raise Unavailable(f"the state in {path} can't be used: {what}", system="state") from error
