"""Links, journal, index, marks and hints in SQL that SQLite and PostgreSQL both understand.

What must hold between machines holds in single statements, without a lock that anybody has
to ask for: a link is replaced where its revision and fence are those that were read, a
record is bound where nobody else has bound it, and how many rows a statement touched tells
whether it did.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

import attrs

from bidisync.chain import Check, Head, Verdict
from bidisync.errors import Misconfigured
from bidisync.model import Ref, Side
from bidisync.rest import from_rest, to_rest
from bidisync.state import Hint, Journaled, Known, Link, Living, Traces, without_values
from bidisync.storage import Seal
from bidisync.stores import chaining, hinting, linking, resting
from bidisync.stores.closing import MOVED, StateMoved
from bidisync.stores.seal import Plain
from bidisync.stores.sealing import SEAL_MARKS
from bidisync.stores.texts import plain_text, stored_text
from bidisync.stores.writer import Connection, Transaction, Writer

T = TypeVar("T")
CHUNK = 400
GROUP = 500


_INSERT_ACT = "INSERT INTO act (at, name, link_id) VALUES (?, ?, ?)"


class NoState(Misconfigured):
    """There is no state at this place, and none may be made."""


@attrs.define(eq=False)
class SqlStore:
    """Everything in one database; ``where`` names it, without a secret."""

    where: str
    _writer: Writer = attrs.field(repr=False)
    _seal: Seal = attrs.field(default=Plain(), repr=False)
    _shred: Callable[[], None] = attrs.field(default=lambda: None, repr=False)
    _creates: dict[str, Link] = attrs.field(factory=dict, init=False, repr=False)  # the open ones, by what is stored

    @property
    def commits(self) -> int:
        """How many commits there were: fewer than saves, as those that wait share one."""
        return self._writer.commits

    async def close(self) -> None:
        """Finish what was handed in and let go of the database."""
        await self._writer.stop()

    async def shred(self) -> None:
        """Leave nothing of what was overwritten in the database's files, as far as it can be done from here."""
        await asyncio.to_thread(self._shred)

    async def load(self, refs: Sequence[Ref]) -> Mapping[Ref, Link]:
        """The links of those records that have one."""
        found: dict[Ref, Link] = {}
        for start in range(0, len(refs), CHUNK):
            rows = await self._look(linking.loading(refs[start : start + CHUNK]))
            links: dict[str, Link] = {}
            for side, id, link_id, document in rows:
                if link_id not in links:
                    links[link_id] = self._link(document)
                found[Ref(Side(side), plain_text(id))] = links[link_id]
        return found

    async def links(self) -> AsyncIterator[Sequence[Link]]:
        """All links by id, 500 at a time."""
        last = ""
        sql = f"SELECT id, document FROM link WHERE id > ? ORDER BY id LIMIT {GROUP}"
        while rows := await self._query(sql, last):
            yield [self._link(document) for _, document in rows]
            last = rows[-1][0]

    async def resting(self, side: Side, tokens: Sequence[tuple[str, str | None]]) -> Mapping[str, str]:
        """Those of the records that need no look at these versions."""
        return await self._run(resting.resting(self._seal, side, tokens)) if tokens else {}

    async def living(self, side: Side) -> AsyncIterator[Sequence[Living]]:
        """The records of that side whose links are not over, 1000 at a time."""
        last = ""
        while group := await self._run(resting.living(side, last)):
            yield group
            last = stored_text(group[-1][0])

    async def save(self, link: Link, *, journal: Sequence[Journaled] = (), absorbs: Sequence[Link] = ()) -> Link:
        """Store the link in place of the revision that it was read at, with all that belongs to it."""
        stored, transaction = self._saving(link, journal, absorbs)
        await self._run(transaction, [self._leaf(line) for line in journal])
        return stored

    async def save_many(self, links: Sequence[tuple[Link, Sequence[Journaled]]]) -> Sequence[Link]:
        """Store each link in place of the revision that it was read at, all or none."""
        if not links:  # how many rows nothing touched is not said everywhere
            return []
        stored = [attrs.evolve(link, revision=link.revision + 1) for link, _ in links]
        rows = [(*self._row(now), link.revision, link.fence) for now, (link, _) in zip(stored, links, strict=True)]
        records = [record for link in stored for record in self._records(link)]
        acts = [act for _, journal in links for act in _acts(journal)]

        def transaction(connection: Connection) -> None:
            linking.replace_many(connection, rows, records)
            if acts:
                connection.executemany(_INSERT_ACT, acts)

        await self._run(transaction, [self._leaf(line) for _, journal in links for line in journal])
        return stored

    async def erase(self, link: Link, *, journal: Sequence[Journaled] = ()) -> Link:
        """Store the link, take the values out of its journal, and leave nothing of them in the files."""
        stored, saving = self._saving(link, journal)
        names = [stored_text(name) for name in (link.id, *(str(ref) for ref in link.refs if str(ref) != link.id))]
        sql = f"SELECT document, number FROM journal WHERE link_id IN ({', '.join('?' for _ in names)})"

        def transaction(connection: Connection) -> None:
            saving(connection)
            self._take_values_out(connection, connection.execute(sql, names).fetchall())

        await self._run(transaction, [self._leaf(line) for line in journal])
        await self.shred()
        return stored

    def _saving(
        self, link: Link, journal: Sequence[Journaled], absorbs: Sequence[Link] = ()
    ) -> tuple[Link, Transaction[None]]:
        """The link as it will be stored, and what stores it; the lines of its journal come at the commit's end."""
        stored = attrs.evolve(link, revision=link.revision + 1)
        row, acts, records = self._row(stored), _acts(journal), self._records(stored)

        def transaction(connection: Connection) -> None:
            for old in absorbs:
                linking.end(connection, old)
            linking.replace(connection, link, row)
            linking.bind(connection, link, records)
            if acts:
                connection.executemany(_INSERT_ACT, acts)

        return stored, transaction

    def _row(self, link: Link) -> tuple[object, ...]:
        """A link as it stands in its table, the id last."""
        return (
            link.state.value,
            self._seal.seal(stored_text(to_rest(link))),
            link.revision,
            link.fence,
            int(link.creating),
            int(link.due),
            int(link.waits),
            int(link.watch is not None),
            stored_text(link.id),
        )

    def _records(self, link: Link) -> list[tuple[object, ...]]:
        """The records of a link as they stand beside it."""
        id = stored_text(link.id)
        return [(*linking.key(ref), id, resting.token_of(self._seal, link, ref.side)) for ref in link.refs]

    async def fade(
        self, numbers: Sequence[int], *, journal: Sequence[Journaled] = (), decided_on: Sequence[Link] = ()
    ) -> None:
        """Take the values out of these entries of the journal, all or none."""

        def transaction(connection: Connection) -> None:
            linking.unchanged(connection, decided_on, self._writer.driver.lock)
            for start in range(0, len(numbers), CHUNK):
                some = numbers[start : start + CHUNK]
                places = ", ".join("?" for _ in some)
                sql = f"SELECT document, number FROM journal WHERE number IN ({places})"
                self._take_values_out(connection, connection.execute(sql, some).fetchall())

        await self._run(transaction, [self._leaf(line) for line in journal])

    def _take_values_out(self, connection: Connection, rows: Sequence[tuple[str, int]]) -> None:
        bare = [(without_values(self._line(document)), number) for document, number in rows]
        erased = [(self._seal.seal(stored_text(to_rest(line))), number) for line, number in bare]
        connection.executemany("UPDATE journal SET document = ?, salt = '' WHERE number = ?", erased)

    async def fence(self, link: Link) -> int:
        """The fence that is stored now; of a state that was moved away nobody writes to a remote any more."""
        sql = "SELECT (SELECT fence FROM link WHERE id = ?), (SELECT 1 FROM mark WHERE name = ?)"
        ((fence, moved),) = await self._query(sql, stored_text(link.id), MOVED)
        if moved:
            raise await self._moved()
        return int(fence or 0)

    async def open_creates(self) -> Sequence[Link]:
        """Links with a create that nobody has finished; asked before each create, so those of before are kept read."""
        found = await self._query("SELECT document FROM link WHERE intent = 1 ORDER BY id")
        self._creates = {text: self._creates.get(text) or self._link(text) for (text,) in found}
        return [link for link in self._creates.values() if link.creating]

    async def unsettled(self) -> Sequence[Link]:
        """Links that are due again by themselves."""
        return await self._links_where("due = 1")

    async def waiting(self) -> Sequence[Link]:
        """Links about which a person is asked something."""
        return await self._links_where("waits = 1")

    async def watched(self) -> Sequence[Link]:
        """Links with a create whose twin is still looked for."""
        return await self._links_where("watch = 1")

    async def acts_since(self, at: float, *, only: Sequence[str] | None = None) -> Mapping[str, AbstractSet[str]]:
        """The links that each act concerned since then; what is older than a week is let go."""

        def transaction(connection: Connection) -> dict[str, set[str]]:
            connection.execute("DELETE FROM act WHERE at < ?", (at - 604_800.0,))
            these = "" if only is None else f" AND name IN ({', '.join('?' for _ in only)})"
            sql = f"SELECT DISTINCT name, link_id FROM act WHERE at >= ?{these}"
            found: dict[str, set[str]] = {}
            for name, link_id in connection.execute(sql, (at, *(only or ()))).fetchall():
                found.setdefault(name, set()).add(plain_text(link_id))
            return found

        return await self._run(transaction)

    async def count(self) -> Mapping[str, int]:
        """How many links there are in each state."""
        return dict(await self._query("SELECT state, count(*) FROM link GROUP BY state"))

    async def learn(self, known: Sequence[Known]) -> None:
        """Put records into the index in place of what it held of them."""
        entries = {entry.ref: entry.keys for entry in known}  # the last one counts
        rows = [
            (*linking.key(ref), name, value)
            for ref, keys in sorted(entries.items(), key=linking.by_ref)
            for name, value in keys.items()
        ]

        def transaction(connection: Connection) -> None:
            old = sorted(linking.key(ref) for ref in entries)
            connection.executemany("DELETE FROM known WHERE side = ? AND id = ?", old)
            if rows:
                sql = (
                    "INSERT INTO known (side, id, name, hash) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (side, id, name) DO UPDATE SET hash = excluded.hash"
                )
                connection.executemany(sql, rows)

        if entries:
            await self._run(transaction)

    async def forget(self, refs: Sequence[Ref]) -> None:
        """Take records out of the index."""
        rows = sorted({linking.key(ref) for ref in refs})
        if rows:
            await self._run(lambda c: c.executemany("DELETE FROM known WHERE side = ? AND id = ?", rows) and None)

    async def matches(self, side: Side, keys: Mapping[str, str]) -> Sequence[Known]:
        """The records of that side which share one of these keys."""
        if not keys:
            return []
        pairs = " OR ".join("(name = ? AND hash = ?)" for _ in keys)
        rows = await self._query(
            "SELECT id, name, hash FROM known WHERE side = ? AND id IN"
            f" (SELECT id FROM known WHERE side = ? AND ({pairs})) ORDER BY id, name",
            *(side.value, side.value, *(part for pair in keys.items() for part in pair)),
        )
        found: dict[str, dict[str, str]] = {}
        for id, name, value in rows:
            found.setdefault(plain_text(id), {})[name] = value
        return [Known(Ref(side, id), theirs) for id, theirs in found.items()]

    async def traces(self, link: Link) -> Traces:
        """What else is held of this link's records."""
        known, hints = [], []
        for ref in link.refs:
            sql = "SELECT name, hash FROM known WHERE side = ? AND id = ? ORDER BY name"
            keys = await self._query(sql, *linking.key(ref))
            known += [Known(ref, dict(keys))] if keys else []
            sql = "SELECT number, first_at, taken_until FROM hint WHERE side = ? AND id = ?"
            hints += [Hint(ref, *row) for row in await self._query(sql, *linking.key(ref))]
        acts = await self._query("SELECT at, name FROM act WHERE link_id = ? ORDER BY at, name", stored_text(link.id))
        return Traces(tuple(known), tuple(hints), tuple((at, name) for at, name in acts))

    async def journal(self, link_id: str) -> Sequence[Journaled]:
        """The journal of a link, oldest first."""
        rows = await self._query("SELECT document FROM journal WHERE link_id = ? ORDER BY number", stored_text(link_id))
        return [self._line(document) for (document,) in rows]

    async def history(self, *, before: int | None = None, limit: int = 100) -> Sequence[tuple[int, Journaled]]:
        """The newest entries of the journal, newest first."""
        rows = await self._query(
            "SELECT number, document FROM journal WHERE number < ? ORDER BY number DESC LIMIT ?",
            before if before is not None else 1 << 62,
            limit,
        )
        return [(int(number), self._line(document)) for number, document in rows]

    async def head(self) -> Head:
        """Where the log ends."""
        return (await self._run(chaining.key_and_head(self._seal)))[1]

    async def verify(self, given: Head | None = None, *, newest: int | None = None) -> Verdict:
        """Whether every line of the log is as it was written, or every one of the newest."""
        key, head = await self._run(chaining.key_and_head(self._seal))
        check = Check(key, given, await self._since(head, given, newest))
        while True:
            lines = await self._run(chaining.lines_after(self._seal, check.last))
            for line in lines:
                check.add(line)
            if not lines:
                now = (await self._run(chaining.key_and_head(self._seal)))[1]
                if now == head or now.number <= check.last:
                    head = now
                    break
                head = now  # lines came meanwhile: look once more before any of them is missed
        for link_id in check.doubtful:
            check.again(link_id, await self._run(chaining.lines_of(self._seal, link_id)))
        return check.verdict(head)

    async def _since(self, head: Head, given: Head | None, newest: int | None) -> Head:
        """The line after which a look at so many of the newest lines begins."""
        first = 0 if newest is None else max(0, head.number - newest)
        if first and given is not None and first <= given.number <= head.number:
            return given
        return await self._run(chaining.head_at(first)) if first else Head(0, "")

    async def get_mark(self, name: str) -> str | None:
        """A small value by its name."""
        rows = await self._query("SELECT value FROM mark WHERE name = ?", stored_text(name))
        return plain_text(self._seal.unseal(rows[0][0])) if rows else None

    async def set_mark(self, name: str, value: str | None) -> None:
        """Set or remove it."""
        if name in SEAL_MARKS:
            raise ValueError(f"the mark {name} is the store's own")
        if value is None:
            await self._run(lambda c: c.execute("DELETE FROM mark WHERE name = ?", (stored_text(name),)) and None)
            return
        sealed = self._seal.seal(stored_text(value))
        sql = "INSERT INTO mark (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        await self._run(lambda c: c.execute(sql, (stored_text(name), sealed)) and None)

    async def first_mark(self, name: str, value: str) -> str:
        """Set it unless it is set; what stands there then."""
        sealed = self._seal.seal(stored_text(value))

        def claim(connection: Connection) -> str:
            connection.execute(
                "INSERT INTO mark (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (name, sealed)
            )
            return str(connection.execute("SELECT value FROM mark WHERE name = ?", (name,)).fetchall()[0][0])

        return plain_text(self._seal.unseal(await self._run(claim)))

    async def hint(self, refs: Sequence[Ref], at: float, *, not_before: float = 0.0) -> None:
        """Keep a hint for each record."""
        if refs:
            await self._run(hinting.keep(sorted({linking.key(ref) for ref in refs}), at, not_before))

    async def take(self, now: float, *, limit: int, until: float, only: Ref | None = None) -> Sequence[Hint]:
        """The oldest due hints that nobody holds, held by the caller from now on."""
        key = None if only is None else linking.key(only)
        rows = await self._run(hinting.take(now, limit, until, self._writer.driver.skip_locked, key))
        return [
            Hint(Ref(Side(side), plain_text(id)), number, first_at, until)
            for first_at, side, id, number in sorted(rows)
        ]

    async def hold(self, hint: Hint, until: float) -> Hint | None:
        """Hold it longer."""
        held = await self._run(hinting.hold((*linking.key(hint.ref), hint.taken_until, hint.number), until))
        return attrs.evolve(hint, taken_until=until) if held else None

    async def done(self, hints: Sequence[Hint]) -> None:
        """Remove those that nobody repeated."""
        if hints:
            await self._run(hinting.done(sorted((*linking.key(h.ref), h.taken_until, h.number) for h in hints)))

    async def put_off(self, hint: Hint, not_before: float) -> None:
        """Give it back until then."""
        await self._run(hinting.put_off((*linking.key(hint.ref), hint.taken_until, hint.number), not_before))

    async def hints_waiting(self) -> tuple[int, float | None]:
        """How many hints are not done, and since when the oldest is kept."""
        ((number, oldest),) = await self._query("SELECT count(*), min(first_at) FROM hint")
        return int(number), oldest

    async def copy_into(self, other: SqlStore) -> None:
        """Give the other store, which is empty, all of this one's links, journal, index and marks.

        Both must have the same seal.
        """

        def rows(connection: Connection) -> dict[str, list[Sequence[Any]]]:
            return {table: connection.execute(_reading(table)).fetchall() for table in _TABLES}

        copied = await self._run(rows)

        def transaction(connection: Connection) -> None:
            for table, columns in _TABLES.items():
                values = ", ".join("?" for _ in columns.split(","))
                connection.execute(f"DELETE FROM {table}")
                connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({values})", copied[table])

        await other._run(transaction)

    async def _links_where(self, condition: str) -> list[Link]:
        rows = await self._query(f"SELECT document FROM link WHERE {condition} ORDER BY id")
        return [self._link(document) for (document,) in rows]

    def _leaf(self, line: Journaled) -> chaining.Leaf:
        plain = to_rest(line)
        return chaining.Leaf(stored_text(line.link_id), plain, self._seal.seal(stored_text(plain)))

    def _link(self, document: str) -> Link:
        return from_rest(plain_text(self._seal.unseal(document)), Link)

    def _line(self, document: str) -> Journaled:
        return from_rest(plain_text(self._seal.unseal(document)), Journaled)

    async def _query(self, sql: str, *values: object) -> Sequence[tuple[Any, ...]]:
        return await self._look(lambda connection: connection.execute(sql, values).fetchall())

    async def _look(self, reading: Transaction[T]) -> T:
        with self._writer.driver.translated():
            return await self._writer.look(reading)

    async def _run(self, transaction: Transaction[T], leaves: Sequence[chaining.Leaf] = ()) -> T:
        try:
            return await self._writer.run(transaction, leaves)
        except Exception as error:
            told: BaseException = error
        try:
            with self._writer.driver.translated():
                raise told
        except StateMoved as error:
            raise await self._moved() from error

    async def _moved(self) -> StateMoved:
        """The error for whoever writes to a state that was moved: it says where to."""
        return StateMoved.to(await self.get_mark(MOVED) or "another place")


def _acts(journal: Sequence[Journaled]) -> list[tuple[float, str, str]]:
    """What guards count of these lines."""
    return [(line.at, act, stored_text(line.link_id)) for line in journal for act in line.acts]


_TABLES = {
    "link": "id, state, document, revision, fence, intent, due, waits, watch",
    "record": "side, id, link_id, token",
    "journal": "number, link_id, document, salt, content, previous, chain",
    "log": "id, number, chain, secret",
    "known": "side, id, name, hash",
    "mark": "name, value",
    "act": "at, name, link_id",
}


CONTENT = {**_TABLES, "hint": "side, id, number, first_at, last_at, not_before, taken_until"}
"""Every table with its columns: all that makes a state."""


def _reading(table: str) -> str:
    return f"SELECT {_TABLES[table]} FROM {table}"
