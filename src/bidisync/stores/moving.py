"""A whole state brought from one database to another: all of it, checked, or nothing.

Three steps, each one transaction. The new place is filled, reads back what it wrote, and is
marked as arriving: nobody may use it yet. Then the old place, while nobody else can write to
it, is compared with what was read of it, marked as moved, and closed to every writer
(``stores.closing``). Last the new place loses its mark. So at no moment do both take writes,
and none is lost: who wrote before the comparison is noticed, who writes after it is refused.

A kill after the first step leaves the old place in use, and the next move fills the new one
again; after the second, it leaves none, and the same move done again ends it. Texts are copied
as they are stored, so both places have the same key.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from bidisync.errors import Contended, Misconfigured
from bidisync.storage import Seal
from bidisync.stores.chaining import begin
from bidisync.stores.closing import MOVED, StateMoved, close, hold_back
from bidisync.stores.sealing import SEAL_MARKS
from bidisync.stores.sql import CONTENT, SqlStore
from bidisync.stores.texts import stored_text
from bidisync.stores.writer import Connection, Transaction

GROUP = 500
ARRIVING = "moved:arriving"
"""The mark of a place that is being filled: by which state."""
_OWN = "moved:own"
"""The mark of a state that is being moved: the name that its new place knows it by."""

_TIMEOUT_S = 120.0
_KEYS = {
    "link": ("id",),
    "record": ("side", "id"),
    "journal": ("number",),
    "known": ("side", "id", "name"),
    "mark": ("name",),
    "hint": ("side", "id"),
}
"""What a table's rows are read in portions by; the others are small."""


@attrs.frozen
class Moved:
    """What a move carried over: how many rows of each table."""

    rows: Mapping[str, int]


@attrs.define
class _Print:
    """What tells the content of a table from any other: how many rows, and a hash of them in their order."""

    rows: int = 0
    _hash: Any = attrs.Factory(hashlib.sha256)

    def add(self, rows: Sequence[Sequence[object]]) -> None:
        self.rows += len(rows)
        for row in rows:
            self._hash.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))

    @property
    def name(self) -> tuple[int, str]:
        return self.rows, self._hash.hexdigest()


async def move(source: SqlStore, target: SqlStore) -> Moved:
    """Fill the target, which is open and empty, with all that the source holds; then close the source.

    A move that was killed is ended. ``Misconfigured`` where the target holds another state, or
    the source was moved already; ``Contended`` where somebody wrote to the source meanwhile. In
    all these cases the target is as it was.
    """
    moved = await source.get_mark(MOVED)
    own = await source.get_mark(_OWN)
    if moved is not None:
        if own is None or await target.get_mark(ARRIVING) != own:
            raise StateMoved.to(moved)
        return await target._run(_open)
    own = own or await source.first_mark(_OWN, secrets.token_hex(16))
    copied = await _fill(source, target, own)
    try:
        await source._run(_closing(source, target.where, copied))
    except Contended:
        await target._run(_empty(target._seal))
        raise
    return await target._run(_open)


async def _fill(source: SqlStore, target: SqlStore, own: str) -> Mapping[str, _Print]:
    """The first step: what was read of each table."""
    loop, stopped = asyncio.get_running_loop(), threading.Event()
    arriving = target._seal.seal(own)

    def from_source(table: str) -> Iterator[Sequence[Sequence[Any]]]:
        """Called in the target's thread; the source reads in its own."""
        after: tuple[object, ...] | None = ()
        while after is not None:
            if stopped.is_set():
                raise Contended("the move was stopped: nothing was moved")
            reading = source._run(_page(table, after))
            rows = asyncio.run_coroutine_threadsafe(reading, loop).result(_TIMEOUT_S)
            yield rows
            after = _next(table, rows)

    def transaction(connection: Connection) -> Mapping[str, _Print]:
        row = connection.execute("SELECT value FROM mark WHERE name = ?", (ARRIVING,)).fetchone()
        if row is None or target._seal.unseal(row[0]) != own:
            require_empty(connection, target.where)
        copied = {table: _copy(connection, table, from_source(table)) for table in CONTENT}
        _go_on_counting(connection, target._writer.driver.name)
        for table, read in copied.items():
            if _printed(_pages(connection, table)).name != read.name:
                raise Misconfigured(f"{target.where} does not give back what was written to it: nothing was moved")
        connection.execute("INSERT INTO mark (name, value) VALUES (?, ?)", (ARRIVING, arriving))
        return copied

    try:
        return await target._run(transaction)
    except asyncio.CancelledError:
        stopped.set()
        raise


def _closing(source: SqlStore, where: str, copied: Mapping[str, _Print]) -> Transaction[None]:
    """The second step: compare, mark, close; nobody writes in between."""
    moved, dialect = source._seal.seal(stored_text(where)), source._writer.driver.name

    def transaction(connection: Connection) -> None:
        hold_back(connection, dialect, CONTENT)
        for table, read in copied.items():
            if _printed(_pages(connection, table)).name != read.name:
                raise Contended("somebody wrote to the old state meanwhile: stop serve and all workers first")
        connection.execute("INSERT INTO mark (name, value) VALUES (?, ?)", (MOVED, moved))
        close(connection, dialect, CONTENT)

    return transaction


def _open(connection: Connection) -> Moved:
    """The last step: the new place may be used."""
    connection.execute("DELETE FROM mark WHERE name IN (?, ?)", (ARRIVING, _OWN))
    counted = "SELECT count(*) FROM {}"
    return Moved({table: connection.execute(counted.format(table)).fetchone()[0] for table in CONTENT})


def _empty(seal: Seal) -> Transaction[None]:
    """Leave nothing of a move that came to nothing."""

    def transaction(connection: Connection) -> None:
        for table in CONTENT:
            own = " WHERE name NOT IN (?, ?)" if table == "mark" else ""
            connection.execute(f"DELETE FROM {table}{own}", SEAL_MARKS if own else ())
        connection.execute("INSERT INTO log (id, number, chain, secret) VALUES (1, 0, '', '')")
        begin(connection, seal)

    return transaction


def require_empty(connection: Connection, where: str) -> None:
    """``Misconfigured`` unless nothing is stored there but the key."""
    for table in ("link", "record", "journal", "known", "act", "hint", "mark"):
        own = " WHERE name NOT IN (?, ?)" if table == "mark" else ""
        row = connection.execute(f"SELECT 1 FROM {table}{own} LIMIT 1", SEAL_MARKS if own else ()).fetchone()
        if row is not None:
            raise Misconfigured(f"{where} holds a state already: name an empty place, or remove that state first")


def _copy(connection: Connection, table: str, pages: Iterator[Sequence[Sequence[Any]]]) -> _Print:
    columns = CONTENT[table]
    places = ", ".join("?" for _ in columns.split(","))
    copied = _Print()
    connection.execute(f"DELETE FROM {table}")
    for rows in pages:
        if rows:
            connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)
        copied.add(rows)
    return copied


def _printed(pages: Iterator[Sequence[Sequence[Any]]]) -> _Print:
    found = _Print()
    for rows in pages:
        found.add(rows)
    return found


def _pages(connection: Connection, table: str) -> Iterator[Sequence[Sequence[Any]]]:
    after: tuple[object, ...] | None = ()
    while after is not None:
        rows = _page(table, after)(connection)
        yield rows
        after = _next(table, rows)


def _page(table: str, after: tuple[object, ...]) -> Any:
    """Rows of a table in the order of its key, those after one of them."""
    columns = CONTENT[table]
    if table not in _KEYS:
        return lambda connection: connection.execute(f"SELECT {columns} FROM {table} ORDER BY {columns}").fetchall()
    key, places = ", ".join(_KEYS[table]), ", ".join("?" for _ in _KEYS[table])
    where = f" WHERE ({key}) > ({places})" if after else ""
    sql = f"SELECT {columns} FROM {table}{where} ORDER BY {key} LIMIT {GROUP}"
    return lambda connection: connection.execute(sql, after).fetchall()


def _next(table: str, rows: Sequence[Sequence[Any]]) -> tuple[object, ...] | None:
    """The key to go on after; ``None`` at the end."""
    if table not in _KEYS or len(rows) < GROUP:
        return None
    names = CONTENT[table].split(", ")
    return tuple(rows[-1][names.index(name)] for name in _KEYS[table])


def _go_on_counting(connection: Connection, dialect: str) -> None:
    """Have the next entry of the journal get a number of its own; SQLite sees to that by itself."""
    if dialect == "postgres":
        connection.execute(
            "SELECT setval(pg_get_serial_sequence('journal', 'number'), (SELECT coalesce(max(number), 0) + 1"
            " FROM journal), false)"
        )
