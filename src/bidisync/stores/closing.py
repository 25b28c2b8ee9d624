"""A state that was moved away takes no write any more: the database itself refuses it, whoever asks.

Triggers do that, so it holds for a process that opened the state long before as well, whatever
version it has. They are set in the transaction that compares both places for the last time: a
write is either in there, and then in the new place too, or it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from bidisync.errors import Misconfigured
from bidisync.stores.writer import Connection

MOVED = "moved"
"""The mark of a state that was moved: where to."""
REFUSED = "bidisync: this state was moved"
REFUSED_CODE = "BM001"


class StateMoved(Misconfigured):
    """The state was moved to another place, and takes no write here any more."""

    @classmethod
    def to(cls, where: str) -> StateMoved:
        """The same, told where it is now."""
        return cls(f"this state was moved to {where}: set state.url to that place, and stop what still uses this one")


def hold_back(connection: Connection, dialect: str, tables: Iterable[str]) -> None:
    """Let nobody else write until the commit; SQLite lets one write at a time anyway."""
    if dialect == "postgres":
        connection.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE")


def close(connection: Connection, dialect: str, tables: Iterable[str]) -> None:
    """Refuse every write to these tables from the commit on."""
    if dialect == "postgres":
        connection.execute(
            "CREATE OR REPLACE FUNCTION bidisync_moved() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION '{REFUSED}' USING ERRCODE = '{REFUSED_CODE}'; END $$"
        )
    for table in tables:
        if dialect == "postgres":
            for verbs, each in (("INSERT OR UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
                connection.execute(
                    f"CREATE TRIGGER moved_{each} BEFORE {verbs} ON {table}"
                    f" FOR EACH {each} EXECUTE FUNCTION bidisync_moved()"
                )
            continue
        for verb in ("INSERT", "UPDATE", "DELETE"):
            connection.execute(
                f"CREATE TRIGGER moved_{table}_{verb} BEFORE {verb} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
            )
