"""Brings a database to the newest form by numbered files of SQL, each applied once and never changed.

All that is missing runs in one transaction, so a kill in the middle leaves the form from
before. Documents are opaque to migrations from number 4 on: they may be sealed.
"""

from __future__ import annotations

import hashlib
from importlib import resources

from bidisync.errors import Misconfigured
from bidisync.stores.writer import Connection


def migrate(connection: Connection, dialect: str) -> None:
    """Bring the schema to the newest number, in the transaction that the caller has begun."""
    connection.execute("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, checksum TEXT NOT NULL)")
    for number, text in missing(connection, dialect):
        for statement in text.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute("INSERT INTO migration (number, checksum) VALUES (?, ?)", (number, checksum(text)))


def missing(connection: Connection, dialect: str) -> list[tuple[int, str]]:
    """The migrations that this database has not seen; ``Misconfigured`` if it has seen others."""
    done = dict(connection.execute("SELECT number, checksum FROM migration").fetchall())
    known = migrations(dialect)
    if set(done) - set(known):
        raise Misconfigured("the state was written by a newer version of bidisync: upgrade this installation")
    for number, seen in sorted(done.items()):
        if seen != checksum(known[number]):
            raise Misconfigured(f"the state's migration {number} is not the one of this version")
    return sorted((number, text) for number, text in known.items() if number not in done)


def migrations(dialect: str) -> dict[int, str]:
    """All migrations of that database, by number."""
    folder = resources.files("bidisync.stores") / "migrations" / dialect
    files = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    return {int(file.name.split("_")[0]): file.read_text(encoding="utf-8") for file in files}


def checksum(text: str) -> str:
    """What tells a migration from another of the same number."""
    return hashlib.sha256(text.encode()).hexdigest()
