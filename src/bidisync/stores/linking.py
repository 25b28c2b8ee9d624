"""Links and whose records they are, in SQL: stored only in the place of what was read.

How many rows a statement touched tells whether somebody else was first.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from bidisync.errors import Contended
from bidisync.model import Ref, Side
from bidisync.state import Link
from bidisync.stores.texts import stored_text
from bidisync.stores.writer import Connection, Transaction


def end(connection: Connection, link: Link) -> None:
    """Remove a link that another absorbs, if it is as it was read."""
    id = stored_text(link.id)
    ended = connection.execute(
        "DELETE FROM link WHERE id = ? AND revision = ? AND fence <= ?", (id, link.revision, link.fence)
    )
    if ended.rowcount != (0 if link.revision == 0 else 1):
        raise _contended(connection, link)
    if link.revision == 0 and connection.execute("SELECT 1 FROM link WHERE id = ?", (id,)).fetchone():
        raise _contended(connection, link)
    connection.execute("DELETE FROM record WHERE link_id = ?", (id,))


_REPLACE = (
    "UPDATE link SET state = ?, document = ?, revision = ?, fence = ?, intent = ?, due = ?, waits = ?, watch = ?"
    " WHERE id = ? AND revision = ? AND fence <= ?"
)


def replace_many(
    connection: Connection, links: Sequence[Sequence[object]], records: Sequence[tuple[object, ...]]
) -> None:
    """Put each row in the place of the revision and fence that stand at its end, its records staying as they are.

    Sorted, so that two who store several do not block each other.
    """
    if connection.executemany(_REPLACE, sorted(links, key=itemgetter(-3))).rowcount != len(links):
        raise Contended("somebody else changed one of these links, or took it over")
    sql = "UPDATE record SET token = ? WHERE side = ? AND id = ? AND link_id = ?"
    rows = sorted(((token, side, id, link_id) for side, id, link_id, token in records), key=itemgetter(1, 2))
    if connection.executemany(sql, rows).rowcount != len(records):
        raise Contended("a record of these links belongs to another one")


def replace(connection: Connection, link: Link, row: Sequence[object]) -> None:
    """Put the row in the place of the revision that was read."""
    if link.revision == 0:
        written = connection.execute(
            "INSERT INTO link (state, document, revision, fence, intent, due, waits, watch, id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            row,
        )
    else:
        written = connection.execute(_REPLACE, (*row, link.revision, link.fence))
    if written.rowcount != 1:
        raise _contended(connection, link)


def bind(connection: Connection, link: Link, records: Sequence[tuple[object, ...]]) -> None:
    """Make the link's records its own, and those that it let go nobody's."""
    if link.revision:
        others = "".join(" AND NOT (side = ? AND id = ?)" for _ in records)
        values = [part for record in records for part in record[:2]]
        connection.execute(f"DELETE FROM record WHERE link_id = ?{others}", (stored_text(link.id), *values))
    if records:
        places = ", ".join("(?, ?, ?, ?)" for _ in records)
        sql = (
            f"INSERT INTO record (side, id, link_id, token) VALUES {places} ON CONFLICT (side, id) DO UPDATE"
            " SET token = excluded.token WHERE record.link_id = excluded.link_id"
        )
        if connection.execute(sql, [part for record in records for part in record]).rowcount != len(records):
            raise Contended("this record belongs to another link")


def _contended(connection: Connection, link: Link) -> Contended:
    row = connection.execute("SELECT revision FROM link WHERE id = ?", (stored_text(link.id),)).fetchone()
    if row is not None and row[0] == link.revision:
        return Contended("somebody else took this link over")
    return Contended("somebody else changed this link")


def loading(refs: Sequence[Ref]) -> Transaction[list[tuple[str, str, str, str]]]:
    """Reads the links of these records: side and id of each, with its link's id and document.

    One side after the other, or SQLite would look at every record there is.
    """
    by_side: dict[str, list[str]] = {}
    for ref in refs:
        side, id = key(ref)
        by_side.setdefault(side, []).append(id)

    def transaction(connection: Connection) -> list[tuple[str, str, str, str]]:
        rows: list[tuple[str, str, str, str]] = []
        for side, ids in by_side.items():
            sql = (
                "SELECT r.side, r.id, l.id, l.document FROM record r JOIN link l ON l.id = r.link_id"
                f" WHERE r.side = ? AND r.id IN ({', '.join('?' for _ in ids)})"
            )
            rows += connection.execute(sql, (side, *ids)).fetchall()
        return rows

    return transaction


def unchanged(connection: Connection, links: Sequence[Link], lock: str) -> None:
    """Hold these links as they are until the commit; ``Contended`` if one of them is not as it was read."""
    for link in sorted(links, key=lambda link: stored_text(link.id)):
        sql = f"SELECT revision FROM link WHERE id = ? {lock}"
        row = connection.execute(sql, (stored_text(link.id),)).fetchone()
        if (0 if row is None else row[0]) != link.revision:
            raise Contended("somebody else changed this link")


def key(ref: Ref) -> tuple[str, str]:
    """Side and id of a record as they are stored."""
    return "left" if ref.side is Side.LEFT else "right", stored_text(ref.id)


def by_ref(entry: tuple[Ref, object]) -> tuple[str, str]:
    """What entries about records are sorted by, so that two that write several do not block each other."""
    return key(entry[0])
