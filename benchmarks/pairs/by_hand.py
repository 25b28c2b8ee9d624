"""What a competent engineer writes for one pair of stores: a compare of dictionaries, with its state in SQLite.

No journal, no intents, no policies, no audit: a crash between two writes, an edit in between,
or a question why a value is what it is, is not provided for.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pairs.workload import NAMES, Followed, Table

Row = Mapping[str, Any]
Mark = Callable[[Row], str]
"""What is remembered of a row, to see whether it is another one."""


def token(row: Row) -> str:
    """Its version."""
    return str(row["version"])


def digest(row: Row) -> str:
    """A digest of its fields: what is needed where there are no versions."""
    return hashlib.blake2b("\x1f".join([row[name] for name in NAMES]).encode(), digest_size=8).hexdigest()


def opened(path: Path) -> sqlite3.Connection:
    """The state, with the same safety of a commit as that of the sync."""
    state = sqlite3.connect(path, isolation_level=None)
    state.execute("PRAGMA journal_mode = WAL")
    state.execute("PRAGMA synchronous = FULL")
    state.execute("CREATE TABLE IF NOT EXISTS base (id TEXT PRIMARY KEY, l TEXT, r TEXT, fields TEXT) WITHOUT ROWID")
    state.execute("CREATE TABLE IF NOT EXISTS place (side TEXT PRIMARY KEY, position TEXT) WITHOUT ROWID")
    return state


def first(path: Path, left: Table, right: Table, mark: Mark) -> None:
    """Remember two stores that are equal."""
    state = opened(path)
    state.execute("BEGIN")
    rows = ((id, mark(row), mark(right.rows[id]), json.dumps(_fields(row))) for id, row in left.rows.items())
    state.executemany("INSERT INTO base VALUES (?, ?, ?, ?)", rows)
    places = [("l", str(len(left.history))), ("r", str(len(right.history)))]
    state.executemany("INSERT INTO place VALUES (?, ?)", places)
    state.execute("COMMIT")
    state.close()


def whole(path: Path, left: Table, right: Table, mark: Mark) -> None:
    """Compare both stores in full with what is remembered, and bring the changed records into step."""
    state = opened(path)
    known = {id: (mine, theirs) for id, mine, theirs in state.execute("SELECT id, l, r FROM base")}
    moved = {id for id, row in left.rows.items() if id not in known or known[id][0] != mark(row)}
    moved |= {id for id, row in right.rows.items() if id not in known or known[id][1] != mark(row)}
    moved |= {id for id in known if id not in left.rows or id not in right.rows}
    _bring(state, moved, left, right, mark)
    state.close()


def by_feed(path: Path, left: Followed, right: Followed) -> None:
    """Look only at what both stores say has changed."""
    state = opened(path)
    places = dict(state.execute("SELECT side, position FROM place"))
    moved: set[str] = set()
    for side, table in (("l", left), ("r", right)):
        changes = table.changed(places[side])
        moved.update(row["id"] for row in changes.records)
        moved.update(changes.gone)
    _bring(state, moved, left, right, token)
    state.close()


def _bring(state: sqlite3.Connection, moved: Iterable[str], left: Table, right: Table, mark: Mark) -> None:
    kept, ended = [], []
    for id in sorted(moved):
        found = state.execute("SELECT fields FROM base WHERE id = ?", (id,)).fetchone()
        mine, theirs = left.rows.get(id), right.rows.get(id)
        if found is None:
            made = mine or theirs
            assert made is not None
            (right if theirs is None else left).add(_fields(made))
        elif mine is None or theirs is None:
            if mine is not None:
                left.remove(id, mine["version"])
            if theirs is not None:
                right.remove(id, theirs["version"])
            ended.append((id,))
            continue
        else:
            _merge(id, json.loads(found[0]), mine, theirs, left, right)
        mine, theirs = left.rows[id], right.rows[id]
        kept.append((id, mark(mine), mark(theirs), json.dumps(_fields(mine))))
    state.execute("BEGIN")
    state.executemany("INSERT OR REPLACE INTO base VALUES (?, ?, ?, ?)", kept)
    state.executemany("DELETE FROM base WHERE id = ?", ended)
    places = [(str(len(left.history)), "l"), (str(len(right.history)), "r")]
    state.executemany("UPDATE place SET position = ? WHERE side = ?", places)
    state.execute("COMMIT")


def _merge(id: str, base: Row, mine: Row, theirs: Row, left: Table, right: Table) -> None:
    """Three versions of each field; the left side wins."""
    to_left, to_right = {}, {}
    for name in NAMES:
        if mine[name] == theirs[name]:
            continue
        if mine[name] != base[name]:
            to_right[name] = mine[name]
        else:
            to_left[name] = theirs[name]
    if to_left:
        left.change(id, to_left, mine["version"])
    if to_right:
        right.change(id, to_right, theirs["version"])


def _fields(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in NAMES}
