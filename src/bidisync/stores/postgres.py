"""State in PostgreSQL: for several machines, durable before a call returns.

A few threads with a connection each. What others write at the same time is settled by single
statements (``stores.sql``); a deadlock or a lost serialization is run again, a connection
that was lost is made anew. Behind a pooler the sessions must be kept for a connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from bidisync.errors import Misconfigured, Unavailable
from bidisync.storage import Seal
from bidisync.stores.chaining import begin, grow
from bidisync.stores.closing import REFUSED, REFUSED_CODE, StateMoved
from bidisync.stores.migrating import migrate, missing
from bidisync.stores.resting import fill
from bidisync.stores.seal import Plain
from bidisync.stores.sealing import check
from bidisync.stores.sql import NoState, SqlStore
from bidisync.stores.writer import Connection, Driver, Rows, Transaction, Writer

CONNECTIONS = 4
PLAIN = Plain()
_MIGRATING = 7_102_024_001  # the key of the advisory lock: two that open an empty database take turns
_PATIENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "bidisync",
}
_SESSION = (
    "SET synchronous_commit = on; SET statement_timeout = 60000; SET lock_timeout = 15000;"
    " SET idle_in_transaction_session_timeout = 60000; SET standard_conforming_strings = on"
)


@attrs.define(eq=False)
class PostgresStore(SqlStore):
    """Links, journal, index, marks and hints in one database. Open it with ``PostgresStore.open``."""

    @classmethod
    async def open(
        cls, url: str, *, create: bool = True, seal: Seal = PLAIN, connections: int = CONNECTIONS
    ) -> PostgresStore:
        """The store at this address, brought to the newest form; its tables lie in the first schema of the search path.

        ``Misconfigured`` for an address that can't be right, refused credentials, a state that
        is newer than this version or sealed by another key, or none where it must not be made.
        """

        def prepare(connection: Connection) -> None:
            connection.execute("SELECT pg_advisory_xact_lock(?)", (_MIGRATING,))
            if not create and not _exists(connection):
                raise NoState(f"there is no state in {where_of(url)}")
            migrate(connection, "postgres")
            check(connection, seal)
            begin(connection, seal)
            fill(connection, seal)

        return await cls._opened(url, prepare, seal, connections, "BEGIN ISOLATION LEVEL READ COMMITTED")

    @classmethod
    async def look(cls, url: str, *, seal: Seal = PLAIN) -> PostgresStore | None:
        """The store at this address, read-only and as of one moment for each call; ``None`` if there is none yet."""
        found = True

        def prepare(connection: Connection) -> None:
            nonlocal found
            found = _exists(connection)
            if found and missing(connection, "postgres"):
                raise Misconfigured("the state is in an older form: a sync, or check, brings it to the newest first")
            if found:
                check(connection, _NeverSeals(seal))

        store = await cls._opened(url, prepare, seal, 1, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if not found:
            await store.close()
            return None
        return store

    @classmethod
    async def _opened(
        cls, url: str, prepare: Transaction[None], seal: Seal, connections: int, begin: str
    ) -> PostgresStore:
        where = where_of(url)
        translated = partial(_translated, where)
        driver = Driver(
            "postgres",
            partial(_connect, url),
            begin,
            translated,
            again=_again,
            lost=_lost,
            skip_locked="FOR UPDATE SKIP LOCKED",
            lock="FOR UPDATE",
            threads=connections,
            most_at_once=100,
        )
        store = cls(where, Writer(driver, grow(seal, driver.lock)), seal, partial(_shred, url))
        with translated():
            await store._writer.start()
        try:
            await store._run(prepare)
        except BaseException:
            await store.close()
            raise
        return store


@attrs.frozen
class _NeverSeals:
    """A seal that a state can be checked by, and that puts nothing into it."""

    seal_: Seal
    prefix: str = ""

    def seal(self, text: str) -> str:
        """Nothing is written through this one."""
        raise NotImplementedError

    def name(self, text: str) -> str:
        """Nothing is written through this one."""
        raise NotImplementedError

    def unseal(self, text: str) -> str:
        """What the seal within reads."""
        return self.seal_.unseal(text)


@attrs.define
class _Session:
    """A connection of psycopg under the words of ``stores.writer``."""

    connection: psycopg.Connection[tuple[Any, ...]]

    @property
    def in_transaction(self) -> bool:
        return self.connection.info.transaction_status is not TransactionStatus.IDLE

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        return self.connection.execute(sql.replace("?", "%s").encode(), parameters or None)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Rows:
        cursor = self.connection.cursor()  # a closed one no longer says how many rows it touched
        cursor.executemany(sql.replace("?", "%s").encode(), parameters)
        return cursor

    def close(self) -> None:
        self.connection.close()


def where_of(url: str) -> str:
    """Server and database of an address, without user and password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:  # its text holds the address
        raise Misconfigured(
            "state.url is no address of PostgreSQL: postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        ) from None
    host, port, name = parts.get("host") or "this machine", parts.get("port"), parts.get("dbname") or parts.get("user")
    return f"PostgreSQL at {host}{f':{port}' if port else ''}/{name or ''}"


def _connect(url: str) -> Connection:
    parts = {**_PATIENCE, **conninfo_to_dict(url)}
    connection = psycopg.connect("", autocommit=True, **parts)  # type: ignore[arg-type]  # named by psycopg itself
    try:
        connection.execute(_SESSION)
        row = connection.execute("SHOW server_encoding").fetchone()
        if row != ("UTF8",):
            raise Misconfigured(
                f"the database of {where_of(url)} does not keep text as UTF8: make another for the state"
            )
    except BaseException:
        connection.close()
        raise
    return _Session(connection)


def _exists(connection: Connection) -> bool:
    row = connection.execute("SELECT to_regclass('migration') IS NOT NULL").fetchone()
    return bool(row[0])


def _shred(url: str) -> None:
    with _translated(where_of(url)):
        session = _connect(url)
        try:
            for table in ("link", "record", "journal", "mark"):
                session.execute("SET statement_timeout = 0")
                session.execute(f"VACUUM FULL {table}")
        finally:
            session.close()


def _again(error: BaseException) -> bool:
    return isinstance(error, psycopg.errors.SerializationFailure | psycopg.errors.DeadlockDetected)


def _lost(error: BaseException) -> bool:
    """Whether the server has ended the connection, or can't be reached through it."""
    if isinstance(
        error,
        psycopg.errors.AdminShutdown | psycopg.errors.CrashShutdown | psycopg.errors.IdleInTransactionSessionTimeout,
    ):
        return True
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """PostgreSQL's errors in words that say what to do; psycopg's own texts can hold values and stay out."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate == REFUSED_CODE:
            raise StateMoved(REFUSED) from error
        raise _in_words(where, error) from (None if error.sqlstate else error)


_WRONG = {
    "28": "it refuses the user or the password of state.url",
    "3D": "it has no database of that name",
    "3F": "the schema that state.url names does not exist",
    "42501": "its user may not make or use the tables: grant them",
}
_LATER = {
    "53100": "there is no room left: make room, nothing was lost",
    "53300": "it takes no more connections",
    "25006": "it can't be written: it is read-only",
    "55P03": "another process holds it for too long",
    "57014": "it takes too long",
    "57P": "it starts or ends",
    "40": "others write the same at once",
}
_REFUSALS = {  # at the sign-in libpq gives no code, only the server's words
    "authentication failed": "28",
    "no password supplied": "28",
    "no pg_hba.conf entry": "28",
    "does not exist": "28",
    "remaining connection slots": "53300",
    "too many clients": "53300",
    "is not permitted to log in": "28",
}


def _in_words(where: str, error: psycopg.Error) -> Misconfigured | Unavailable:
    code = error.sqlstate or next((code for sign, code in _REFUSALS.items() if sign in str(error)), "")
    if 'database "' in str(error) and "does not exist" in str(error):
        code = "3D"
    for codes, kind in ((_WRONG, Misconfigured), (_LATER, Unavailable)):
        for start, words in codes.items():
            if code.startswith(start):
                text = f"the state in {where} can't be used: {words}"
                return kind(text) if kind is Misconfigured else Unavailable(text, system="state")
    what = f"it answers with the error {code}" if code else "it can't be reached"
    return Unavailable(f"the state in {where} can't be used: {what}", system="state")
