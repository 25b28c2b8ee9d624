"""The decision log as a chain, in every store: whatever is changed behind its back is found and named."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys

import attrs
import psycopg
import pytest

from bidisync import Ref, Side
from bidisync.approval import forget
from bidisync.chain import Head
from bidisync.errors import Misconfigured
from bidisync.model import Decision, Row, Versions
from bidisync.rest import to_rest
from bidisync.state import Journaled, Link
from bidisync.stores import chaining
from bidisync.stores.memory import MemoryStore
from bidisync.stores.migrating import checksum, migrations
from bidisync.stores.postgres import PostgresStore
from bidisync.stores.seal import AesSeal, Plain
from bidisync.stores.sql import SqlStore
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing import ManualClock, check_decision_log
from command import environment

SEAL = AesSeal.of("the key")
NAME = "Zeisig"


@pytest.fixture(params=["sqlite", "sqlite sealed", "postgres", "postgres sealed"])
def places(request, tmp_path):
    """Opens a store; each call with a new name makes a new one."""
    kind, sealed = request.param.split()[0], request.param.endswith("sealed")
    seal = SEAL if sealed else Plain()
    urls: dict[str, str] = {}
    if kind == "postgres":
        make = request.getfixturevalue("postgres_url")

    async def opened(name: str = "s"):
        if kind == "sqlite":
            return await SqliteStore.open(tmp_path / f"{name}.db", seal=seal)
        if name not in urls:
            urls[name] = make()
        return await PostgresStore.open(urls[name], seal=seal, connections=2)

    return opened


def entry(id: str, what: str = "update", value: str = NAME) -> Journaled:
    decision = Decision("name", "g", Row.BOTH_CHANGED, Versions(None, value, "Fink"), "p", (Side.RIGHT,), value)
    return Journaled(f"left:{id}", 1.0, what, (decision,), run="r", acts=("overwrite:right",))


async def filled(store, number: int = 6):
    """A line for each link, and each another one."""
    for n in range(1, number + 1):
        await store.save(Link.begin(Ref(Side.LEFT, str(n))), journal=[entry(str(n), value=f"{NAME} {n}")])
    return await store.head()


async def do(store, sql: str, *values) -> None:
    await store._run(lambda connection: connection.execute(sql, values) and None)


async def found(store, head: Head | None = None) -> list[tuple[int, str]]:
    return [(one.number, one.what) for one in (await store.verify(head)).breaks]


async def test_the_store_in_memory_keeps_every_promise_about_its_log():
    async def make():
        return MemoryStore()

    await check_decision_log(make)


async def test_every_store_keeps_every_promise_about_its_log(places):
    numbers = itertools.count()

    async def make():
        return await places(str(next(numbers)))

    await check_decision_log(make)


async def test_a_changed_column_of_a_line_is_found_and_the_line_named(places):
    store = await places()
    await filled(store)
    columns = ("link_id", "document", "salt", "content", "previous", "chain")
    rows = await store._query(f"SELECT {', '.join(columns)} FROM journal WHERE number = 3")
    other = (await store._query(f"SELECT {', '.join(columns)} FROM journal WHERE number = 4"))[0]
    for column, value, theirs in zip(columns, rows[0], other, strict=True):
        for tampered in (theirs, "", "x"):
            await do(store, f"UPDATE journal SET {column} = ? WHERE number = 3", tampered)
            breaks = await found(store)
            assert breaks, f"{column} may not be {tampered!r}"
            assert {number for number, _ in breaks} == {3}, (column, breaks)
        await do(store, f"UPDATE journal SET {column} = ? WHERE number = 3", value)
    await do(store, "UPDATE journal SET number = 30 WHERE number = 3")
    assert (30, "altered") in await found(store)
    await do(store, "UPDATE journal SET number = 3 WHERE number = 30")
    assert await found(store) == []
    await store.close()


async def test_every_value_and_every_word_of_a_plain_line_counts(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await filled(store)
    text = (await store._query("SELECT document FROM journal WHERE number = 2"))[0][0]
    for old, new in (
        ('"update"', '"agree"'),
        (f'"{NAME} 2"', f'"{NAME} 3"'),
        ('"Fink"', "null"),
        ('"5"', '"2"'),
        ('"at":1.0', '"at":2.0'),
        ('["right"]', '["left"]'),
        ('"run":"r"', '"run":"s"'),
        ('"what":', '"reason":"why","what":'),
        (",", "?"),
    ):
        assert old in text
        await do(store, "UPDATE journal SET document = ? WHERE number = 2", text.replace(old, new))
        assert {number for number, _ in await found(store)} == {2}, (old, new)
    await store.close()


async def test_a_line_that_was_taken_out_is_missed(places):
    for gone, named in (
        ((1,), (1, "missing")),
        ((3,), (3, "missing")),
        ((2, 3), (2, "missing")),
        ((6,), (6, "cut_off")),
    ):
        store = await places(str(gone))
        await filled(store)
        for number in gone:
            await do(store, "DELETE FROM journal WHERE number = ?", number)
        assert await found(store) == [named]
        await store.save(Link.begin(Ref(Side.LEFT, "later")), journal=[entry("later")])
        assert (await store.verify()).breaks, "and later lines cover nothing up"
        await store.close()


async def test_swapped_and_added_lines_are_named(places):
    store = await places()
    await filled(store)
    for one, other in ((100, 2), (2, 4), (4, 100)):
        await do(store, "UPDATE journal SET number = ? WHERE number = ?", one, other)
    assert {2, 4} <= {number for number, what in await found(store) if what == "altered"}
    for one, other in ((100, 2), (2, 4), (4, 100)):
        await do(store, "UPDATE journal SET number = ? WHERE number = ?", one, other)
    assert await found(store) == []
    documents = [row[0] for row in await store._query("SELECT document FROM journal ORDER BY number")]
    await do(store, "UPDATE journal SET document = ? WHERE number = 2", documents[4])
    await do(store, "UPDATE journal SET document = ? WHERE number = 5", documents[1])
    assert [number for number, _ in await found(store)] == [2, 5]
    await do(store, "UPDATE journal SET document = ? WHERE number = 2", documents[1])
    await do(store, "UPDATE journal SET document = ? WHERE number = 5", documents[4])
    copied = "INSERT INTO journal (number, link_id, document, salt, content, previous, chain) SELECT 7, link_id,"
    await do(store, f"{copied} document, salt, content, previous, chain FROM journal WHERE number = 6")
    assert [number for number, _ in await found(store)] == [7]
    await store.save(Link.begin(Ref(Side.LEFT, "later")), journal=[entry("later")])
    assert [number for number, _ in await found(store)] == [7], "the log itself goes on"
    await store.close()


async def test_a_tail_cut_off_with_care_is_missed_by_whoever_kept_a_head(places):
    store = await places()
    head = await filled(store)
    number, chain = (await store._query("SELECT number, chain FROM journal WHERE number = 4"))[0]
    await do(store, "DELETE FROM journal WHERE number > 4")
    await do(store, "UPDATE log SET number = ?, chain = ? WHERE id = 1", number, chain)
    assert await found(store) == [], "nothing in the state shows it"
    assert await found(store, head) == [(5, "cut_off")]
    for n in range(10, 14):
        await store.save(Link.begin(Ref(Side.LEFT, str(n))), journal=[entry(str(n))])
    assert await found(store, head) == [(6, "other_head")]
    await do(store, "UPDATE log SET chain = ? WHERE id = 1", chain)
    assert (8, "own_head") in await found(store)
    await store.close()


async def test_forgetting_breaks_nothing_and_is_no_excuse_for_others(places):
    store = await places()
    head = await filled(store)
    link = (await store.load([Ref(Side.LEFT, "2")]))[Ref(Side.LEFT, "2")]
    before = (await store._query("SELECT document, salt FROM journal WHERE number = 2"))[0]
    await forget(store, ManualClock(), link)
    verdict = await store.verify(head)
    assert (verdict.holds, verdict.lines, verdict.erased) == (True, 7, 1)
    ((salt, content),) = await store._query("SELECT salt, content FROM journal WHERE number = 2")
    assert (salt, len(content)) == ("", 32), "the hash that stays can't be tried against a value"
    empty = (await store._query("SELECT document FROM journal WHERE number = 2"))[0][0]
    await do(store, "UPDATE journal SET document = ?, salt = ? WHERE number = 2", *before)
    assert await found(store) == [(2, "not_erased")], "values that came back from a copy are told"
    await do(store, "UPDATE journal SET document = ?, salt = '' WHERE number = 2", empty)
    if store._seal == Plain():
        await do(
            store, "UPDATE journal SET document = ?, salt = '' WHERE number = 4", empty.replace("left:2", "left:4")
        )
        assert await found(store) == [(4, "values_missing")]
    await store.close()
    store = await places()
    await do(store, "DELETE FROM journal WHERE number = 7")
    assert {(2, "values_missing"), (7, "cut_off")} <= set(await found(store))
    await store.close()


async def test_lines_of_a_link_that_was_absorbed_are_forgotten_with_it(places):
    for store in (MemoryStore(), await places()):
        stranger = await store.save(
            Link.begin(Ref(Side.RIGHT, "9")), journal=[attrs.evolve(entry("9"), link_id="right:9")]
        )
        link = await store.save(Link.begin(Ref(Side.LEFT, "1")), journal=[entry("1")])
        link = await store.save(link.with_id(Side.RIGHT, "9"), absorbs=[stranger])
        await forget(store, ManualClock(), link)
        assert [line.lost for line in await store.journal("right:9")] == [(), ()]
        verdict = await store.verify()
        assert (verdict.holds, verdict.lines, verdict.erased) == (True, 4, 2)
        await store.close()


async def test_a_state_from_before_the_chain_is_brought_along(places):
    store = await places()
    await filled(store)
    for sql in (
        "DELETE FROM journal WHERE number = 4",  # an old log may have gaps
        "UPDATE journal SET salt = '', content = '', previous = '', chain = ''",
        "UPDATE log SET number = 0, chain = '', secret = ''",
    ):
        await do(store, sql)
    await store.close()
    store = await places()
    await store.save(Link.begin(Ref(Side.LEFT, "later")), journal=[entry("later")])
    verdict = await store.verify()
    assert (verdict.holds, verdict.lines, verdict.head.number) == (True, 6, 7)
    await store.close()


async def test_a_state_of_the_older_form_in_postgres_gets_its_chain(postgres_url):
    url = postgres_url()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE migration (number INTEGER PRIMARY KEY, checksum TEXT NOT NULL)")
        text = migrations("postgres")[1]
        connection.execute(text.encode())
        connection.execute("INSERT INTO migration VALUES (1, %s)", (checksum(text),))
        for n in range(700):
            sql = "INSERT INTO journal (link_id, document) VALUES (%s, %s)"
            connection.execute(sql, (f"left:{n}", to_rest(entry(str(n)))))
    store = await PostgresStore.open(url)
    await store.save(Link.begin(Ref(Side.LEFT, "later")), journal=[entry("later")])
    verdict = await store.verify()
    assert (verdict.holds, verdict.lines, verdict.head.number) == (True, 701, 701)
    await store.close()


async def test_a_chain_that_has_lost_its_key_is_not_begun_anew(places):
    for sql in ("UPDATE log SET secret = ''", "DELETE FROM log", "UPDATE log SET secret = 'chain:0'"):
        store = await places(sql)
        await filled(store)
        await do(store, sql)
        await store.close()
        with pytest.raises(Misconfigured):
            await places(sql)


async def test_another_sealed_text_is_no_key(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db", seal=SEAL)
    await store.set_mark("known", "pending")
    await do(store, "UPDATE log SET secret = (SELECT value FROM mark WHERE name = 'known')")
    await store.close()
    with pytest.raises(Misconfigured, match="key of the decision log"):
        await SqliteStore.open(tmp_path / "s.db", seal=SEAL)


async def test_lines_that_come_during_a_look_are_not_missed(places):
    store = await places()
    over = asyncio.Event()

    async def write() -> None:
        for n in range(40):
            await store.save(Link.begin(Ref(Side.LEFT, str(n))), journal=[entry(str(n))])
        over.set()

    async def look() -> None:
        while not over.is_set():
            assert await found(store) == []

    await asyncio.gather(write(), look())
    assert (await store.verify()).lines == 40
    await store.close()


async def test_a_copy_of_a_state_goes_on_with_its_chain(places, tmp_path):
    store = await places()
    head = await filled(store)
    copy = await SqliteStore.open(tmp_path / "copy.db", seal=store._seal)
    await store.copy_into(copy)
    await copy.save(Link.begin(Ref(Side.LEFT, "later")), journal=[entry("later")])
    assert (await copy.verify(head)).holds
    await copy.close()
    await store.close()


WRITER = """
import asyncio, sys
from bidisync import Ref, Side
from bidisync.state import Journaled, Link
from bidisync.stores.postgres import PostgresStore
from bidisync.stores.sql import SqlStore
from bidisync.stores.sqlite import SqliteStore

async def main():
    kind = PostgresStore if sys.argv[1].startswith("postgresql") else SqliteStore
    store = await kind.open(sys.argv[1])
    async def one(n):
        id = f"{sys.argv[2]}-{n}"
        await store.save(Link.begin(Ref(Side.LEFT, id)), journal=[Journaled(f"left:{id}", 1.0, "update")])
    for start in range(0, 60, 20):
        await asyncio.gather(*(one(start + n) for n in range(20)))
    await store.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_processes_that_share_a_state_grow_one_chain(kind, tmp_path, request):
    where = str(tmp_path / "s.db") if kind == "sqlite" else request.getfixturevalue("postgres_url")()
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, where, name], env=environment()) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    store = await (SqliteStore if kind == "sqlite" else PostgresStore).open(where)
    verdict = await store.verify()
    assert (verdict.holds, verdict.lines, verdict.head.number) == (True, 180, 180)
    await store.close()


def test_a_head_is_written_and_read():
    assert Head.parse(str(Head(12, "ab"))) == Head(12, "ab")
    for text in ("", "12", "x:ab", "-1:ab", "¹:ab"):
        with pytest.raises(ValueError, match="NUMBER:CHAIN"):
            Head.parse(text)


async def test_who_is_forgotten_while_the_log_is_looked_at_is_no_finding(places, monkeypatch):
    store, other = await places(), await places()
    await filled(store)
    monkeypatch.setattr(chaining, "GROUP", 2)
    run, looks = SqlStore._run, []

    async def meanwhile(self, *arguments):
        found = await run(self, *arguments)
        if self is store:
            looks.append(self)
            if len(looks) == 2:  # the head and the first two lines were read, values and all
                link = (await other.load([Ref(Side.LEFT, "2")]))[Ref(Side.LEFT, "2")]
                await forget(other, ManualClock(), link)
        return found

    monkeypatch.setattr(SqlStore, "_run", meanwhile)
    verdict = await store.verify()
    assert len(looks) > 4
    assert (verdict.breaks, verdict.lines, verdict.erased) == ((), 7, 1)
    monkeypatch.undo()
    await store.close()
    await other.close()


async def test_a_short_look_goes_over_the_newest_lines_and_notices_what_is_wrong_there(places):
    store = await places()
    await filled(store, 4)
    kept = await store.head()
    for n in range(5, 9):
        await store.save(Link.begin(Ref(Side.LEFT, str(n))), journal=[entry(str(n))])
    looked = await store.verify(kept, newest=5)
    assert (looked.holds, looked.lines) == (True, 4), "those after a head from before"
    assert (await store.verify(kept, newest=2)).lines == 2, "never more than that"
    assert (await store.verify(kept, newest=100)).lines == 8, "all, where there are no more"
    assert (await store.verify(Head(99, "x"), newest=2)).breaks[-1].what == "cut_off"
    last = (await store._query("SELECT chain FROM journal WHERE number = 3"))[0][0]
    await do(store, "DELETE FROM journal WHERE number > 3")
    await do(store, "UPDATE log SET number = 3, chain = ? WHERE id = 1", last)
    assert [(one.number, one.what) for one in (await store.verify(kept, newest=2)).breaks] == [(4, "cut_off")]
    await store.close()
