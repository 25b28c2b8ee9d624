"""A whole state brought from one database to another: all of it, checked, or nothing.

The new place is filled in one transaction, which reads the old one in portions, and reads
back what it wrote. It is committed only if both places then hold the same rows, and the old
one still does: so a kill leaves nothing behind, and whoever wrote to the old place meanwhile
is noticed. Texts are copied as they are stored, so both places have the same key.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from bidisync.errors import Contended, Misconfigured
from bidisync.stores.sealing import SEAL_MARKS
from bidisync.stores.sql import CONTENT, SqlStore
from bidisync.stores.writer import Connection

GROUP = 500
MOVED = "moved"
"""The mark of a state that was moved: where to."""

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
    """Fill the target, which is open and empty, with all that the source holds; then mark the source as moved.

    ``Misconfigured`` where the target holds a state already; ``Contended`` where somebody
    wrote to the source meanwhile. In both cases the target is as it was.
    """
    loop, stopped = asyncio.get_running_loop(), threading.Event()

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

    def transaction(connection: Connection) -> Mapping[str, int]:
        require_empty(connection, target.where)
        found = {}
        for table in CONTENT:
            found[table] = _copy(connection, table, from_source(table))
        _go_on_counting(connection, target._writer.driver.name)
        for table, copied in found.items():
            if _printed(_pages(connection, table)).name != copied.name:
                raise Misconfigured(f"{target.where} does not give back what was written to it: nothing was moved")
        for table, copied in found.items():
            if _printed(from_source(table)).name != copied.name:
                raise Contended("somebody wrote to the old state meanwhile: stop serve and all workers first")
        return {table: copied.rows for table, copied in found.items()}

    try:
        rows = await target._run(transaction)
    except asyncio.CancelledError:
        stopped.set()
        raise
    await source.set_mark(MOVED, target.where)
    return Moved(rows)


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
