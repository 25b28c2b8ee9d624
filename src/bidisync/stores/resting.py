"""At which version each record rests, beside its link: so that a pass over everybody reads no whole link.

The column ``token`` of ``record`` is empty where somebody has to look, whatever the version.
It holds the seal's name of the version, for a version may be a hash of values. ``NULL`` is
what a state from before has there, and one that gets another key; ``fill`` ends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter

from bidisync.model import Side
from bidisync.rest import from_rest
from bidisync.state import Link, Living
from bidisync.storage import Seal
from bidisync.stores.texts import plain_text, stored_text
from bidisync.stores.writer import Connection, Transaction

CHUNK = 400
_NOBODY = ("", "", "")
GROUP = 1000


def token_of(seal: Seal, link: Link, side: Side) -> str:
    """What stands beside a record."""
    version = link.rests_at(side)
    return stored_text(seal.name(version)) if version else ""


def resting(seal: Seal, side: Side, tokens: Sequence[tuple[str, str | None]]) -> Transaction[Mapping[str, str]]:
    """Those of the records that rest at these versions: their links, by id.

    A list is often in the order of its ids: then all of a page lie between its first and its
    last, and one reading gives them.
    """
    ids = [id for id, _ in tokens]
    names = ids if _plain("".join(ids)) else [stored_text(id) for id in ids]
    at = _versions(seal, [version for _, version in tokens])

    def transaction(connection: Connection) -> Mapping[str, str]:
        sql = "SELECT id, link_id, token FROM record WHERE side = ? AND id BETWEEN ? AND ? LIMIT ?"
        most = 2 * len(names)
        rows = connection.execute(sql, (side.value, min(names), max(names), most + 1)).fetchall()
        if len(rows) > most:
            rows = _one_by_one(connection, side, names)
        if list(map(itemgetter(0), rows)) != names:
            found_at = {row[0]: row for row in rows}
            rows = [found_at.get(name, _NOBODY) for name in names]
        found = {
            id: link_id
            for id, version, (_, link_id, token) in zip(ids, at, rows, strict=True)
            if token == version and token
        }
        if "".join(found.values()).isascii():
            return found
        return {id: plain_text(link_id) for id, link_id in found.items()}

    return transaction


def _one_by_one(connection: Connection, side: Side, names: Sequence[str]) -> list[tuple[str, str, str | None]]:
    rows: list[tuple[str, str, str | None]] = []
    for start in range(0, len(names), CHUNK):
        part = names[start : start + CHUNK]
        places = ", ".join("?" for _ in part)
        sql = f"SELECT id, link_id, token FROM record WHERE side = ? AND id IN ({places})"
        rows += connection.execute(sql, (side.value, *part)).fetchall()
    return rows


def _versions(seal: Seal, versions: Sequence[str | None]) -> Sequence[str | None]:
    """The versions as they stand beside a record; an empty one is none."""
    if not seal.prefix and _plain("".join(version or "" for version in versions)):
        return versions
    return [stored_text(seal.name(version)) if version else None for version in versions]


def _plain(text: str) -> bool:
    """Whether the text is stored as it is."""
    return text.isascii() and "\x00" not in text


def living(side: Side, after: str) -> Transaction[list[Living]]:
    """The next records of a side whose links are not over, by their stored ids."""
    sql = (
        "SELECT id, link_id, coalesce(token, '') <> '' FROM record WHERE side = ? AND id > ?"
        " AND (token <> '' OR link_id NOT IN (SELECT id FROM link WHERE state = 'tombstoned'))"
        f" ORDER BY id LIMIT {GROUP}"
    )

    def transaction(connection: Connection) -> list[Living]:
        rows: list[Living] = connection.execute(sql, (side.value, after)).fetchall()
        if "".join(map(itemgetter(1), rows)).isascii() and "".join(map(itemgetter(0), rows)).isascii():
            return rows
        return [(plain_text(id), plain_text(link_id), rests) for id, link_id, rests in rows]

    return transaction


def fill(connection: Connection, seal: Seal) -> None:
    """Put at which version it rests beside every record of which that is not known."""
    sql = (
        "SELECT id, document FROM link WHERE id IN"
        f" (SELECT link_id FROM record WHERE token IS NULL ORDER BY link_id LIMIT {CHUNK})"
    )
    while rows := connection.execute(sql).fetchall():
        links = [(id, from_rest(plain_text(seal.unseal(document)), Link)) for id, document in rows]
        connection.executemany(
            "UPDATE record SET token = ? WHERE link_id = ? AND side = ? AND token IS NULL",
            [(token_of(seal, link, side), id, side.value) for id, link in links for side in Side],
        )


def unfill(connection: Connection) -> None:
    """Forget all versions: they are to be named by another key."""
    connection.execute("UPDATE record SET token = NULL")
