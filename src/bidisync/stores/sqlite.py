"""State in one SQLite file: the embedded default, durable before a call returns.

Not for network drives, and for one machine: several processes may share the file, but each
commit is a lock on all of it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import attrs

from bidisync.errors import Misconfigured, Unavailable
from bidisync.storage import Seal
from bidisync.stores.chaining import begin, grow
from bidisync.stores.closing import REFUSED, StateMoved
from bidisync.stores.migrating import migrate
from bidisync.stores.resting import fill
from bidisync.stores.seal import Plain
from bidisync.stores.sealing import check
from bidisync.stores.sql import NoState, SqlStore
from bidisync.stores.writer import Connection, Driver, Writer

BUSY_S = 15.0
SWITCHES = 500
PLAIN = Plain()


@attrs.define(eq=False)
class SqliteStore(SqlStore):
    """Links, journal, index, marks and hints in one file. Open it with ``SqliteStore.open``."""

    @classmethod
    async def open(cls, path: str | Path, *, create: bool = True, seal: Seal = PLAIN) -> SqliteStore:
        """The store in this file, brought to the newest form; ``:memory:`` lasts until it is closed.

        ``Misconfigured`` for a file that is none of ours, is newer than this version, is sealed
        by another key, or is missing where it must not be made.
        """
        return await cls._opened(str(path), str(path), lambda: _connect(str(path), create), seal)

    @classmethod
    async def rehearse(cls, path: str | Path, *, seal: Seal = PLAIN) -> SqliteStore:
        """A copy in memory of the store in this file, or an empty one if there is none: the file stays as it is."""
        return await cls._opened(f"a copy of {path}", ":memory:", lambda: _copied(str(path)), seal)

    @classmethod
    async def _opened(cls, where: str, path: str, connect: Callable[[], sqlite3.Connection], seal: Seal) -> SqliteStore:
        driver = Driver("sqlite", connect, "BEGIN IMMEDIATE", partial(_translated, where))
        store = cls(where, Writer(driver, grow(seal, driver.lock)), seal, partial(_shred, path))

        def prepare(connection: Connection) -> None:
            migrate(connection, "sqlite")
            check(connection, seal)
            begin(connection, seal)
            fill(connection, seal)

        with _translated(where):
            await store._writer.start()
        try:
            await store._run(prepare)
        except BaseException:
            await store.close()
            raise
        return store


def _connect(path: str, create: bool) -> sqlite3.Connection:
    if path != ":memory:":
        if not create and not Path(path).exists():
            raise NoState(f"there is no state in {path}")
        try:
            _exist(Path(path))
        except OSError as error:
            raise Misconfigured(f"the state file {path} can't be opened: {error.strerror}; check state.url") from error
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")  # an intent is on disk before its request is sent
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _exist(path: Path) -> None:
    """Make the file, for its owner alone, unless it is there.

    A file that is there is never opened here: to close it would end the locks that other
    connections of this process hold on it, and let two writers in at once.
    """
    if path.exists():
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return
    made, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(made)
    try:
        os.link(name, path)
    except FileExistsError:
        pass  # another process was first
    finally:
        os.unlink(name)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Log writes ahead; SQLite refuses the switch at once while others open the file, so wait for them by a lock."""
    for _ in range(SWITCHES):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
        connection.execute("BEGIN IMMEDIATE")  # waits, up to the timeout
        connection.execute("ROLLBACK")
    connection.execute("PRAGMA journal_mode = WAL")


def _copied(path: str) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    if Path(path).exists():
        original = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
        try:
            original.backup(copy)
        finally:
            original.close()
    return copy


def _shred(path: str) -> None:
    """Write the file anew without its free pages, and empty its log."""
    if path == ":memory:":
        return
    with _translated(path), closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as connection:
        connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise Unavailable(
                f"the state in {path} is written anew, but another process reads an old copy of it: do this again",
                system="state",
            )


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """SQLite's errors in words that say what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if text == REFUSED:
            raise StateMoved(REFUSED) from error
        if "not a database" in text or "malformed" in text:
            raise Misconfigured(f"{path} is not a state file of bidisync, or is damaged; check state.url") from error
        advice = {
            "disk is full": "there is no room left: make room, nothing was lost",
            "disk I/O": "writing to it fails: look for a full or damaged disk or a limit of its size, nothing was lost",
            "locked": "another process holds it for too long",
            "readonly": "it can't be written: check its owner and mode",
        }
        what = next((words for sign, words in advice.items() if sign in text), text)
        raise Unavailable(f"the state in {path} can't be used: {what}", system="state") from error
