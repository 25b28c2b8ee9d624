"""The chain of the decision log in SQL: begun once, grown at the end of each commit, read from end to end.

Where the log ends stands in the one row of ``log``. Whoever appends holds that row until the
commit, so several processes grow one chain; it is taken last, so nobody waits for anything
else while holding it. The key of the chain is random, made with the state, and kept in that
row under the state's seal: who has the database but not the seal's key can't forge a line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from bidisync.chain import Head, Line, chained
from bidisync.errors import Misconfigured
from bidisync.storage import Seal
from bidisync.stores.texts import plain_text, stored_text
from bidisync.stores.writer import Connection, Ending

_SECRET = re.compile("chain:[0-9a-f]{64}")
_COLUMNS = "number, link_id, document, salt, content, previous, chain"
GROUP = 500


@attrs.frozen
class Leaf:
    """A line of the journal that a transaction leaves for the end of its commit: plain, and as it is stored."""

    link_id: str
    plain: str = attrs.field(repr=False)
    stored: str = attrs.field(repr=False)


def begin(connection: Connection, seal: Seal) -> None:
    """Give the log a key unless it has one, and bring the lines from before into the chain.

    ``Misconfigured`` where there is a chain, but not its key.
    """
    number, _, secret = _row(connection, "")
    if secret:
        _key(secret, seal)
        return
    if number or connection.execute("SELECT 1 FROM journal WHERE chain <> '' LIMIT 1").fetchone():
        raise Misconfigured("the decision log has lost its key: the state is damaged; restore it from a backup")
    secret = f"chain:{os.urandom(32).hex()}"
    key, head = bytes.fromhex(secret.removeprefix("chain:")), Head(0, "")
    while rows := _page(connection, head.number):
        lines: list[Line] = []
        for row in rows:
            lines.append(chained(key, head, row[0], plain_text(row[1]), _plain(seal, row[2]), _salt()))
            head = Head(row[0], lines[-1].chain)
        connection.executemany(
            "UPDATE journal SET salt = ?, content = ?, previous = ?, chain = ? WHERE number = ?",
            [(line.salt, line.content, line.previous, line.chain, line.number) for line in lines],
        )
    sql = "UPDATE log SET number = ?, chain = ?, secret = ? WHERE id = 1"
    connection.execute(sql, (head.number, head.chain, seal.seal(secret)))


def grow(seal: Seal, lock: str) -> Ending:
    """What appends the lines that the transactions of a commit leave."""

    def ending(connection: Connection, leaves: Sequence[Leaf]) -> None:
        number, chain, secret = _row(connection, lock)
        key, head = _key(secret, seal), Head(number, chain)
        newest = connection.execute("SELECT max(number) FROM journal").fetchone()[0]
        number, rows = max(number, newest or 0), []
        for leaf in leaves:
            number += 1
            line = chained(key, head, number, plain_text(leaf.link_id), leaf.plain, _salt())
            rows.append((number, leaf.link_id, leaf.stored, line.salt, line.content, line.previous, line.chain))
            head = Head(number, line.chain)
        connection.executemany(f"INSERT INTO journal ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute("UPDATE log SET number = ?, chain = ? WHERE id = 1", (head.number, head.chain))

    return ending


def key_and_head(seal: Seal) -> Callable[[Connection], tuple[bytes, Head]]:
    """Reads the chain's key, and where the log says that it ends."""

    def read(connection: Connection) -> tuple[bytes, Head]:
        number, chain, secret = _row(connection, "")
        return _key(secret, seal), Head(number, chain)

    return read


def lines_after(seal: Seal, number: int) -> Callable[[Connection], list[Line]]:
    """Reads the next lines of the log."""

    def read(connection: Connection) -> list[Line]:
        return [Line(row[0], plain_text(row[1]), _plain(seal, row[2]), *row[3:]) for row in _page(connection, number)]

    return read


def lines_of(seal: Seal, link_id: str) -> Callable[[Connection], list[Line]]:
    """Reads the lines of one link."""

    def read(connection: Connection) -> list[Line]:
        sql = f"SELECT {_COLUMNS} FROM journal WHERE link_id = ? ORDER BY number"
        rows = connection.execute(sql, (stored_text(link_id),)).fetchall()
        return [Line(row[0], plain_text(row[1]), _plain(seal, row[2]), *row[3:]) for row in rows]

    return read


def head_at(number: int) -> Callable[[Connection], Head]:
    """Reads the last line up to this number."""

    def read(connection: Connection) -> Head:
        sql = "SELECT number, chain FROM journal WHERE number <= ? ORDER BY number DESC LIMIT 1"
        row = connection.execute(sql, (number,)).fetchone()
        return Head(0, "") if row is None else Head(*row)

    return read


def _page(connection: Connection, after: int) -> list[tuple[Any, ...]]:
    return connection.execute(
        f"SELECT {_COLUMNS} FROM journal WHERE number > ? ORDER BY number LIMIT {GROUP}", (after,)
    ).fetchall()


def _row(connection: Connection, lock: str) -> tuple[int, str, str]:
    row = connection.execute(f"SELECT number, chain, secret FROM log WHERE id = 1 {lock}").fetchone()
    if row is None:
        raise Misconfigured("the decision log has lost its end: the state is damaged; restore it from a backup")
    return int(row[0]), str(row[1]), str(row[2])


def _key(secret: str, seal: Seal) -> bytes:
    """The key; another sealed text in its place is none."""
    text = seal.unseal(secret)
    if not _SECRET.fullmatch(text):
        raise Misconfigured("the key of the decision log was changed: the state is damaged; restore it from a backup")
    return bytes.fromhex(text.removeprefix("chain:"))


def _plain(seal: Seal, document: str) -> str:
    """The document as it was written; empty if somebody without the seal's key changed it."""
    try:
        return plain_text(seal.unseal(document))
    except (Misconfigured, ValueError):
        return ""


def _salt() -> str:
    return os.urandom(16).hex()
