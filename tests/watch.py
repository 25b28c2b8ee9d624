"""Keeps, during each test of ``python3 dev leaks``, what must not get out and what was said or stored.

Simulators hand in the values of their people and the secrets that reach them; commands what they
printed to somebody who did not ask for values; services their stderr and, before they end, every page
that a masked session or a stranger sees; loggers every line; states in memory their bytes as they are
closed, and PostgreSQL and Redis theirs before they are emptied. After the test all of it is searched,
and with it every file below the test's folder. States are encrypted unless the test says otherwise.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from bidisync.storage import Seal
from bidisync.stores.seal import AesSeal, Plain
from leaks import forms, leaks, values_of

KEY = "encrypts every state of the leak run"
SECRETS = ("api_key", "secret_key", "password", "encryption_key", "token")

GIVEN = (
    *("*.toml", "*.env", "*.key", "*.pem", "*.npmrc", "package*.json"),
    *("*.py", "*.js", "*.ts", "*.mjs", "*.lock"),
)
"""Files that hold the configuration and the project of a test: they were given to the product, not made by it."""
ASKED = ("values.json", "person.json")
"""Files that hold values because somebody chose them, or asked for them: for `resolve`, and by `export`."""
GIVEN_FOLDERS = {"node_modules", ".venv", "office"}

ENCRYPTED = "state files, encrypted"
IN_MEMORY = "states in memory, encrypted"
POSTGRES = "states in PostgreSQL, encrypted"
IN_THE_CLEAR = "states that a test wants in the clear (counted, not searched)"


class Watch(logging.Handler):
    """What must not get out, and what was said: by kind and place."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.on = os.environ.get("BIDISYNC_LEAKS") == "1"
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.secret: set[str] = set()
        self.said: dict[tuple[str, str], bytes] = {}
        self.plain: list[int] = []

    def keep(self, records: Iterable[Mapping[str, Any]], tables: Mapping[str, Mapping[str, Any]]) -> None:
        """Take on the people of a simulator, and the secrets in a configuration."""
        if not self.on:
            return
        self.secret |= values_of(records)
        found = [table.get(key) for table in tables.values() for key in SECRETS]
        found += dict(tables.get("espocrm", {}).get("webhooks") or {}).values()
        self.secret |= {value for value in found if isinstance(value, str) and value != KEY}

    def seal(self) -> Seal:
        """How a state is sealed whose test does not say."""
        return AesSeal.of(KEY) if self.on else Plain()

    def sealing(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The table of a state: with a key, unless it says whether it has one."""
        return {"encryption_key": KEY, **state} if self.on else dict(state)

    def hear(self, who: str, text: str | bytes, kind: str = "output of commands and services") -> None:
        """Take down what was said."""
        if self.on:
            said = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
            self.said[kind, who] = self.said.get((kind, who), b"") + said

    def emit(self, record: logging.LogRecord) -> None:
        """Take down a line of a log, with everything that came with it."""
        self.hear(f"the log {record.name}", f"{self.format(record)} {record.__dict__}\n", "log lines")

    def state(self, who: str, kind: str, stored: bytes, *, sealed: bool) -> None:
        """Take down a state as it is stored; one in the clear is only counted."""
        if sealed:
            self.hear(f"{who} #{len(self.said)}", stored, kind)
        else:
            self.plain.append(len(stored))

    def files(self, folder: Path) -> None:
        """Take down every file that is left below a folder, but what the test gave to the product."""
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            given = any(path.match(pattern) for pattern in (*GIVEN, *ASKED))
            if given or GIVEN_FOLDERS & set(inside.parts) or path.is_symlink() or not path.is_file():
                continue
            with suppress(OSError):
                sealed = _is_sealed(path)
                stored = path.read_bytes()
                if sealed is None:
                    self.hear(str(inside), stored, "other files that were left")
                else:
                    self.state(str(inside), ENCRYPTED, stored, sealed=sealed)

    def leaked(self) -> list[str]:
        """What got out."""
        return leaks(self.secret, {f"{who} ({kind})": said for (kind, who), said in self.said.items()})

    def count(self, test: str, hits: int) -> None:
        """Add what was searched to the counts of the whole run."""
        into = os.environ.get("BIDISYNC_LEAKS_COUNTS")
        if not into:
            return
        spelt = [forms(text) for text in self.secret if len(text) >= 6]
        line: dict[str, Any] = {"test": test, "hits": hits, "texts": len(spelt)}
        line["spellings"] = sum(len(one.folded) + len(one.exact) for one in spelt)
        kinds: dict[str, list[int]] = {}
        for (kind, _), said in self.said.items():
            kinds.setdefault(kind, []).append(len(said))
        if self.plain:
            kinds[IN_THE_CLEAR] = self.plain
        line["kinds"] = {kind: [len(sizes), sum(sizes)] for kind, sizes in kinds.items()}
        with Path(into).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


WATCH = Watch()


class Listened(sqlite3.Connection):
    """A connection that tells what its database holds when it is closed, if that is in no file."""

    def close(self) -> None:
        """Close it."""
        with suppress(sqlite3.Error):
            if self.execute("PRAGMA database_list").fetchone()[2] == "" and _has_states(self):
                WATCH.state("a state in memory", IN_MEMORY, self.serialize(), sealed=_seals(self))
        super().close()


def _has_states(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'mark'").fetchone() is not None


def _seals(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM mark WHERE name = 'seal:key'").fetchone() is not None


def _is_sealed(path: Path) -> bool | None:
    """Whether the state in this file is encrypted; None for what is no state. Its journals are like itself."""
    main = path.with_name(path.name.removesuffix("-wal").removesuffix("-shm").removesuffix("-journal"))
    with main.open("rb") as file:
        if not file.read(16).startswith(b"SQLite format 3"):
            return None
    try:
        with closing(sqlite3.connect(f"{main.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return _seals(connection) if _has_states(connection) else None
    except sqlite3.Error:
        return None


def watched(tests: Path | None) -> Iterator[None]:
    """One test under watch; ``tests`` is its folder, if it has one."""
    WATCH.clear()
    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **more: connect(*args, **{"factory": Listened, **more})  # type: ignore[assignment]
    root, ours = logging.getLogger(), [logging.getLogger(name) for name in ("bidisync", "bidisync_espo_advo")]
    levels = [logger.level for logger in ours]
    for logger in ours:
        logger.setLevel(logging.DEBUG)
    root.addHandler(WATCH)
    yield
    root.removeHandler(WATCH)
    for logger, level in zip(ours, levels, strict=True):
        logger.setLevel(level)
    sqlite3.connect = connect
    if tests is not None:
        WATCH.files(tests)


def postgres(url: str) -> None:
    """Take down all rows of the state at this address."""
    if not WATCH.on:
        return
    import psycopg

    with psycopg.connect(url) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY 1"
            ).fetchall()
        ]
        if "mark" not in names:
            return
        sealed = connection.execute("SELECT 1 FROM mark WHERE name = 'seal:key'").fetchone() is not None
        for name in names:
            rows = connection.execute(f'SELECT * FROM "{name}"'.encode()).fetchall()
            WATCH.state(f"table {name}", POSTGRES, "\n".join(map(repr, rows)).encode(), sealed=sealed)


def redis(url: str) -> None:
    """Take down all keys of a Redis server with what they hold."""
    if not WATCH.on:
        return
    from redis import Redis, RedisError

    reads = {b"hash": "hgetall", b"set": "smembers", b"string": "get"}
    with suppress(RedisError), closing(Redis.from_url(url, socket_timeout=2.0)) as server:
        for key in server.keys("*"):
            kind = server.type(key)
            if kind in reads:
                held: Any = getattr(server, reads[kind])(key)
            elif kind == b"list":
                held = server.lrange(key, 0, -1)
            elif kind == b"zset":
                held = server.zrange(key, 0, -1, withscores=True)
            else:
                held = server.xrange(key)
            WATCH.hear("a Redis server", key + b" " + repr(held).encode() + b"\n", "keys in Redis")


def table(counts: Path) -> str:
    """The counts of a run, as a table."""
    lines = [json.loads(line) for line in counts.read_text(encoding="utf-8").splitlines()]
    places, sizes = Counter[str](), Counter[str]()
    for line in lines:
        for kind, (number, size) in line["kinds"].items():
            places[kind] += number
            sizes[kind] += size
    rows = [f"| {kind} | {places[kind]:,} | {sizes[kind]:,} |" for kind in sorted(places)]
    texts, spelt, hits = (sum(line[key] for line in lines) for key in ("texts", "spellings", "hits"))
    head = f"{len(lines):,} tests; {texts:,} texts to look for in {spelt:,} spellings; {hits} hits."
    return "\n".join([head, "", "| searched | places | bytes |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(table(Path(sys.argv[1])))
