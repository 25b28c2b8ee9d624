"""What keeping a link durably costs: saves in groups and one by one, beside a bare upsert in SQLite.

    python3 dev bench state

Prints ratios to the floor measured in the same run: the same documents, put by one
``INSERT … ON CONFLICT`` and one commit each into a file with the same safety. Groups are what
a sync does, as ten records are written at once; those "with lines" also grow the chain of the
decision log, by a line of two decisions each. PostgreSQL is measured where
``BIDISYNC_TEST_POSTGRES_URL`` names one; the schema ``bidisync_bench`` is made in it and dropped.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
import timeit
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs

from bidisync import Ref, Side
from bidisync.model import Decision, Row, Versions
from bidisync.rest import to_rest
from bidisync.state import Grounds, Journaled
from bidisync.storage import HintStore, StateStore
from bidisync.stores.seal import AesSeal
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing.stores import rich_link

SINGLE, GROUPED, AT_ONCE = 300, 3000, 100


def floor(path: Path) -> float:
    """Bare upserts a second, one commit each."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE link (id TEXT PRIMARY KEY, document TEXT) WITHOUT ROWID")
    document = to_rest(rich_link())
    sql = "INSERT INTO link VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document"
    began = timeit.default_timer()
    for n in range(SINGLE):
        connection.execute(sql, (str(n), document))
    took = timeit.default_timer() - began
    connection.close()
    return SINGLE / took


async def single(store: StateStore) -> float:
    """Saves a second, one after the other."""
    began = timeit.default_timer()
    for n in range(SINGLE):
        await store.save(rich_link(f"s{n}"))
    return SINGLE / (timeit.default_timer() - began)


async def grouped(store: StateStore) -> float:
    """Saves a second, a hundred at once."""
    began = timeit.default_timer()
    for start in range(0, GROUPED, AT_ONCE):
        await asyncio.gather(*(store.save(rich_link(f"g{n}")) for n in range(start, start + AT_ONCE)))
    return GROUPED / (timeit.default_timer() - began)


def line(id: str) -> Journaled:
    """What a sync remembers of a record in which two fields were changed."""
    decision = Decision("a", "g", Row.BOTH_CHANGED, Versions("x", "X", "Y"), "prefer left", (Side.RIGHT,), "X")
    both = (decision, attrs.evolve(decision, field="b"))
    return Journaled(f"left:{id}", 1.0, "update", both, run="0123456789abcdef", grounds=Grounds("0123abcd"))


async def logged(store: StateStore) -> float:
    """Saves with a line of the log each, a hundred at once."""
    began = timeit.default_timer()
    for start in range(0, GROUPED, AT_ONCE):
        ids = [f"l{n}" for n in range(start, start + AT_ONCE)]
        await asyncio.gather(*(store.save(rich_link(id), journal=[line(id)]) for id in ids))
    return GROUPED / (timeit.default_timer() - began)


async def hints(store: HintStore) -> float:
    """Hints a second, ten thousand in one call."""
    refs = [Ref(Side.LEFT, str(n)) for n in range(10_000)]
    began = timeit.default_timer()
    await store.hint(refs, 1.0)
    return len(refs) / (timeit.default_timer() - began)


async def measure(name: str, open_: Callable[[], Awaitable[SqliteStore]], bare: float) -> None:
    """Print one store's ratios."""
    store = await open_()
    try:
        for what, run in (("one by one", single), ("in groups", grouped), ("with lines", logged), ("hints", hints)):
            rate = await run(store)
            print(f"{name:>18} {what:<12} {rate / bare:7.2f} x the floor  ({rate:8.0f}/s)")
    finally:
        await store.close()


async def postgres(url: str, bare: float) -> None:
    """The same in PostgreSQL, in a schema of its own."""
    import psycopg

    from bidisync.stores.postgres import PostgresStore

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA bidisync_bench")
        try:
            place = f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dbidisync_bench"
            await measure("PostgreSQL", lambda: PostgresStore.open(place), bare)  # type: ignore[arg-type, return-value]
        finally:
            connection.execute("DROP SCHEMA bidisync_bench CASCADE")


async def main() -> int:
    """Print all ratios."""
    with tempfile.TemporaryDirectory() as folder:
        bare = floor(Path(folder) / "floor.db")
        print(f"{'floor':>18} {'one by one':<12} {1:7.2f} x            ({bare:8.0f}/s)")
        await measure("SQLite", lambda: SqliteStore.open(Path(folder) / "s.db"), bare)
        await measure("SQLite, sealed", lambda: SqliteStore.open(Path(folder) / "e.db", seal=AesSeal.of("key")), bare)
        if url := os.environ.get("BIDISYNC_TEST_POSTGRES_URL"):
            await postgres(url, bare)
        else:
            print("        PostgreSQL not measured: BIDISYNC_TEST_POSTGRES_URL names none")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
