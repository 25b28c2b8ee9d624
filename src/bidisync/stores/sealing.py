"""The state as a whole under a key: told at open whether it is the right one, and changed in place.

Two marks of the store's own say how it stands. ``seal:key`` holds a known text, sealed by the
key in use; it is missing where nothing is sealed. ``seal:old`` is there only while a state is
brought from one key to another: a known text, sealed by the one before. Whoever can't read
both can't open the state, so a change that was killed in the middle goes on where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bidisync.errors import Misconfigured
from bidisync.storage import Seal
from bidisync.stores.resting import fill, unfill
from bidisync.stores.seal import Plain, Rekeyed, is_sealed_by
from bidisync.stores.writer import Connection, Transaction

if TYPE_CHECKING:
    from bidisync.stores.sql import SqlStore

CURRENT, BEFORE = SEAL_MARKS = ("seal:key", "seal:old")
_KNOWN_TEXT = "bidisync"
_DOCUMENTS = (("link", "id", "document", ""), ("journal", "number", "document", 0), ("mark", "name", "value", ""))
_SEALED = (*_DOCUMENTS, ("log", "id", "secret", 0))
GROUP = 500


def check(connection: Connection, seal: Seal) -> None:
    """``Misconfigured`` unless all that is stored can be read with this seal; an empty state takes it on."""
    marks = _marks(connection)
    if BEFORE in marks and not isinstance(seal, Rekeyed):
        raise Misconfigured(
            "a change of keys was begun and did not end, so this is not the key of all that is stored:"
            " finish that change first, with the old key and the new one"
        )
    for text in marks.values():
        seal.unseal(text)
    if marks or not seal.prefix or isinstance(seal, Rekeyed):
        return
    for table, _, column, _ in _DOCUMENTS:
        row = connection.execute(f"SELECT {column} FROM {table} LIMIT 1").fetchone()
        if row is not None:
            seal.unseal(row[0])
    connection.execute("UPDATE log SET secret = '' WHERE number = 0")  # of a log without lines: it gets another
    _set(connection, CURRENT, seal.seal(_KNOWN_TEXT))


async def reseal(store: SqlStore, old: Seal, new: Seal) -> int:
    """Bring all that is stored from one seal to the other, in place: how many texts it were.

    ``store`` is opened with ``Rekeyed(new, old)``; nobody else may have the state open. A kill
    in the middle loses nothing: open it so again, and call this again. ``Plain()`` stands for
    no encryption. The marks and documents from before are overwritten in the file too.
    """
    both, changed = Rekeyed(new, old), 0

    def begin(connection: Connection) -> None:
        check(connection, both)
        _set(connection, BEFORE, old.seal(_KNOWN_TEXT))
        _set(connection, CURRENT, new.seal(_KNOWN_TEXT))

    def end(connection: Connection) -> None:
        connection.execute("DELETE FROM mark WHERE name = ?", (BEFORE,))
        if isinstance(new, Plain):
            connection.execute("DELETE FROM mark WHERE name = ?", (CURRENT,))
        unfill(connection)
        fill(connection, new)

    await store._run(begin)
    for table, key, column, start in _SEALED:
        last: object = start
        while (step := await store._run(_resealing(both, table, key, column, last)))[0] is not None:
            last = step[0]
            changed += step[1]
    await store._run(end)
    await store.shred()
    return changed


def _resealing(seal: Rekeyed, table: str, key: str, column: str, last: object) -> Transaction[tuple[object, int]]:
    """The next texts of a table, resealed where they have to be: the last key looked at, and how many it were."""

    def transaction(connection: Connection) -> tuple[object, int]:
        rows = connection.execute(
            f"SELECT {key}, {column} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {GROUP}", (last,)
        ).fetchall()
        texts = [
            (seal.seal(seal.unseal(text)), at)
            for at, text in rows
            if at not in SEAL_MARKS and not is_sealed_by(seal.new, text)
        ]
        if texts:
            connection.executemany(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", texts)
        return (rows[-1][0], len(texts)) if rows else (None, 0)

    return transaction


def _marks(connection: Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, value FROM mark WHERE name IN (?, ?)", SEAL_MARKS).fetchall())


def _set(connection: Connection, name: str, value: str) -> None:
    sql = "INSERT INTO mark (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    connection.execute(sql, (name, value))
