"""The durable hints, as transactions: one row for each record, held by whoever took it until a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bidisync.stores.writer import Connection, Transaction

Taken = tuple[str, str, float, int]
"""Side, id, until when it was taken, and its number then: what tells one taking from another."""


def keep(keys: Sequence[tuple[str, str]], at: float, not_before: float) -> Transaction[None]:
    """A hint for each key; a repeat gets a new number, and the earlier time."""
    sql = (
        "INSERT INTO hint (side, id, number, first_at, last_at, not_before, taken_until) VALUES (?, ?, 1, ?, ?, ?, 0)"
        " ON CONFLICT (side, id) DO UPDATE SET number = hint.number + 1, last_at = excluded.last_at, not_before ="
        " CASE WHEN excluded.not_before < hint.not_before THEN excluded.not_before ELSE hint.not_before END"
    )
    rows = [(side, id, at, at, not_before) for side, id in keys]

    def transaction(connection: Connection) -> None:
        connection.executemany(sql, rows)

    return transaction


def take(
    now: float, limit: int, until: float, skip_locked: str, only: tuple[str, str] | None = None
) -> Transaction[list[tuple[float, str, str, int]]]:
    """The oldest that are due and free, marked as taken: since when, side, id and number, in any order."""
    named, key = ("", ()) if only is None else (" AND side = ? AND id = ?", only)
    sql = (
        "WITH free AS MATERIALIZED (SELECT side, id FROM hint WHERE not_before <= ? AND taken_until <= ?"
        f"{named} ORDER BY first_at, side, id LIMIT ? {skip_locked})"
        " UPDATE hint SET taken_until = ? FROM free WHERE hint.side = free.side AND hint.id = free.id"
        " RETURNING hint.first_at, hint.side, hint.id, hint.number"
    )
    return lambda connection: [tuple(row) for row in connection.execute(sql, (now, now, *key, limit, until)).fetchall()]


def hold(taken: Taken, until: float) -> Transaction[bool]:
    """Held until that time; whether it still was."""
    side, id, before, _ = taken
    sql = "UPDATE hint SET taken_until = ? WHERE side = ? AND id = ? AND taken_until = ?"
    return lambda connection: connection.execute(sql, (until, side, id, before)).rowcount == 1


def done(taken: Sequence[Taken]) -> Transaction[None]:
    """Remove what nobody repeated; what was repeated is free, and as old as its repeat."""

    def transaction(connection: Connection) -> None:
        connection.executemany("DELETE FROM hint WHERE side = ? AND id = ? AND taken_until = ? AND number = ?", taken)
        connection.executemany(
            "UPDATE hint SET taken_until = 0, first_at = last_at"
            " WHERE side = ? AND id = ? AND taken_until = ? AND number > ?",
            taken,
        )

    return transaction


def put_off(taken: Taken, not_before: float) -> Transaction[None]:
    """Free, but due at that time only; one that was repeated stays due when its repeat says."""
    sql = (
        "UPDATE hint SET taken_until = 0, not_before = CASE WHEN number = ? THEN ? ELSE not_before END"
        " WHERE side = ? AND id = ? AND taken_until = ?"
    )
    side, id, until, number = taken
    arguments: tuple[Any, ...] = (number, not_before, side, id, until)

    def transaction(connection: Connection) -> None:
        connection.execute(sql, arguments)

    return transaction
