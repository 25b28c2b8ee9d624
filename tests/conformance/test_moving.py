"""A state is brought to another database whole, or not at all."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys

import attrs
import psycopg
import pytest

from bidisync import Ref, Side
from bidisync.errors import Contended, Misconfigured
from bidisync.model import ABSENT, Decision, Row, Versions
from bidisync.state import Journaled, Known, Link
from bidisync.stores import moving
from bidisync.stores.closing import MOVED, StateMoved
from bidisync.stores.moving import ARRIVING, move
from bidisync.stores.postgres import PostgresStore
from bidisync.stores.seal import AesSeal, Plain
from bidisync.stores.sql import CONTENT
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing.stores import rich_link
from command import environment

SEAL = AesSeal.of("a key")
ODD = "\ufdd0 \x00 Zeisig-Ümläut 😀 '; --"


async def filled(store, links=603):
    decision = Decision("family_name", "g", Row.BOTH_CHANGED, Versions(ABSENT, ODD, "b"), "p", (Side.RIGHT,), ODD)
    rich = rich_link()
    line = Journaled(rich.id, 12.25, "update", (decision,), run="r", acts=("overwrite:right",))
    await store.save(rich, journal=[line, attrs.evolve(line, acts=("blank:right", "overwrite:right"))])
    for start in range(0, links, 200):
        some = [Link.begin(Ref(Side.LEFT, f"n{n:05}")) for n in range(start, min(links, start + 200))]
        await asyncio.gather(
            *(store.save(link, journal=[attrs.evolve(line, link_id=link.id, acts=())]) for link in some)
        )
    await store.learn([Known(Ref(Side.LEFT, ODD), {"k": "h", "n": "x"})])
    await store.hint([Ref(Side.RIGHT, ODD), Ref(Side.LEFT, "1")], 5.5)
    await store.set_mark(ODD, ODD)
    return store


async def content(store):
    links = [link async for group in store.links() for link in group]
    return {
        "links": links,
        "history": await store.history(limit=10_000),
        "known": await store.matches(Side.LEFT, {"k": "h"}),
        "mark": await store.get_mark(ODD),
        "hints": await store.hints_waiting(),
        "acts": await store.acts_since(1.0),
        "due": [link.id for link in await store.unsettled()],
    }


async def counts(store):
    return {t: (await store._query(f"SELECT count(*) FROM {t}"))[0][0] for t in CONTENT}


async def empty(store):
    await store._run(lambda connection: moving.require_empty(connection, "there"))


@pytest.mark.parametrize("seal", [Plain(), SEAL], ids=["plain", "sealed"])
async def test_a_state_goes_to_a_server_and_back_and_is_the_same(tmp_path, postgres_url, seal):
    url = postgres_url()
    first = await filled(await SqliteStore.open(tmp_path / "a.db", seal=seal))
    there = await PostgresStore.open(url, seal=seal)
    before = await content(first)
    done = await move(first, there)
    assert done.rows == await counts(there)
    assert done.rows["link"] == 604
    assert await content(there) == before
    assert await first.get_mark(MOVED) == there.where
    assert await there.get_mark(MOVED) is None
    link = (await there.load([Ref(Side.LEFT, "n00000")]))[Ref(Side.LEFT, "n00000")]
    await there.save(link, journal=[Journaled(link.id, 20.0, "update")])
    newest, second = await there.history(limit=2)
    assert newest[0] > second[0], "the journal goes on with numbers of its own"
    await first.close()
    await there.close()
    there = await PostgresStore.open(url, seal=seal)
    back = await SqliteStore.open(tmp_path / "b.db", seal=seal)
    await move(there, back)
    assert await content(back) == await content(there)
    await back.save((await back.load([link.origin]))[link.origin], journal=[Journaled(link.id, 21.0, "update")])
    await there.close()
    await back.close()


async def test_everything_that_makes_a_state_is_moved(tmp_path, postgres_url):
    await (await SqliteStore.open(tmp_path / "a.db")).close()
    with sqlite3.connect(tmp_path / "a.db") as db:
        tables = {t for (t,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        tables -= {"migration", "sqlite_sequence"}
        assert tables == set(CONTENT)
        for table, columns in CONTENT.items():
            assert {row[1] for row in db.execute(f"PRAGMA table_info({table})")} == set(columns.split(", ")), table
    url = postgres_url()
    await (await PostgresStore.open(url)).close()
    with psycopg.connect(url) as server:
        sql = (
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name <> 'migration'"
        )
        found = set(server.execute(sql).fetchall())
    assert found == {(table, column) for table, columns in CONTENT.items() for column in columns.split(", ")}


async def test_a_place_that_holds_a_state_is_refused_and_left_alone(tmp_path):
    source = await filled(await SqliteStore.open(tmp_path / "a.db"), links=3)
    for prepare in (
        lambda store: store.save(Link.begin(Ref(Side.LEFT, "1"))),
        lambda store: store.hint([Ref(Side.LEFT, "1")], 1.0),
        lambda store: store.set_mark("m", "1"),
        lambda store: store.learn([Known(Ref(Side.LEFT, "1"), {"k": "h"})]),
    ):
        target = await SqliteStore.open(":memory:")
        await prepare(target)
        before = await counts(target)
        with pytest.raises(Misconfigured, match="holds a state already"):
            await move(source, target)
        assert await counts(target) == before
        await target.close()
    assert await source.get_mark(MOVED) is None
    with pytest.raises(Misconfigured, match="holds a state already"):
        await move(source, source)
    await source.close()


async def test_whoever_writes_to_the_old_place_meanwhile_is_noticed_and_nothing_is_moved(tmp_path, monkeypatch):
    source, target = (
        await filled(await SqliteStore.open(tmp_path / "a.db"), links=3),
        await SqliteStore.open(tmp_path / "b.db"),
    )
    real = moving._go_on_counting

    def meanwhile(connection, dialect):
        with sqlite3.connect(tmp_path / "a.db") as other:
            other.execute("UPDATE link SET document = document || ' ' WHERE id = 'left:n00001'")
        other.close()
        real(connection, dialect)

    monkeypatch.setattr(moving, "_go_on_counting", meanwhile)
    with pytest.raises(Contended, match="stop serve"):
        await move(source, target)
    await empty(target)
    assert await source.get_mark(MOVED) is None
    await source.close()
    await target.close()


async def test_what_does_not_come_back_as_it_was_written_is_noticed(tmp_path, monkeypatch):
    source, target = await filled(await SqliteStore.open(tmp_path / "a.db"), 3), await SqliteStore.open(":memory:")
    monkeypatch.setattr(
        moving, "_go_on_counting", lambda connection, _: connection.execute("UPDATE link SET fence = fence + 1")
    )
    with pytest.raises(Misconfigured, match="nothing was moved"):
        await move(source, target)
    await empty(target)
    await source.close()
    await target.close()


WRITES = {
    "a link": lambda store, link: store.save(link, journal=[Journaled(link.id, 30.0, "update")]),
    "erasing": lambda store, link: store.erase(link),
    "fading": lambda store, _: store.fade([1]),
    "the index": lambda store, _: store.learn([Known(Ref(Side.LEFT, "9"), {"k": "h"})]),
    "out of the index": lambda store, _: store.forget([Ref(Side.LEFT, ODD)]),
    "a mark": lambda store, _: store.set_mark("m", "1"),
    "no mark": lambda store, _: store.set_mark(ODD, None),
    "a hint": lambda store, _: store.hint([Ref(Side.LEFT, "9")], 1.0),
    "a hint's turn": lambda store, _: store.take(1e9, limit=9, until=2e9),
    "the fence before a write": lambda store, link: store.fence(link),
}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_who_opened_the_state_before_it_was_moved_writes_nothing_to_it_afterwards(tmp_path, kind, request):
    make = request.getfixturevalue("postgres_url") if kind == "postgres" else None
    url = make() if make else str(tmp_path / "a.db")
    store = PostgresStore if make else SqliteStore
    running = await filled(await store.open(url), links=2)
    link = (await running.load([Ref(Side.LEFT, "n00000")]))[Ref(Side.LEFT, "n00000")]
    source, target = await store.open(url), await SqliteStore.open(tmp_path / "b.db")
    await move(source, target)
    before = await content(running)
    for what, write in WRITES.items():
        with pytest.raises(StateMoved, match=r"b\.db: set state\.url") as told:
            await write(running, link)
        assert "stop" in str(told.value), what
    assert await content(running) == before == await content(target)
    await write_everything(target)
    for one in (running, source, target):
        await one.close()


async def write_everything(store):
    link = (await store.load([Ref(Side.LEFT, "n00000")]))[Ref(Side.LEFT, "n00000")]
    for write in WRITES.values():
        await write(store, (await store.load([link.origin]))[link.origin])


async def test_every_write_that_was_acknowledged_is_in_the_new_place_whenever_it_came(tmp_path):
    source, target = await SqliteStore.open(tmp_path / "a.db"), await SqliteStore.open(tmp_path / "b.db")
    running = await SqliteStore.open(tmp_path / "a.db")
    written, tried = [], 0

    async def work():
        nonlocal tried
        while tried < 40:
            tried += 1
            await running.save(Link.begin(Ref(Side.LEFT, f"w{tried}")))
            written.append(f"left:w{tried}")

    working = asyncio.create_task(work())
    while True:
        try:
            await move(source, target)
            break
        except Contended:
            await empty(target)
    if tried < 40:
        with pytest.raises(StateMoved):
            await working
    else:
        await working
    with pytest.raises(StateMoved):
        await running.save(Link.begin(Ref(Side.LEFT, "late")))
    assert sorted([link.id async for group in target.links() for link in group]) == sorted(written)
    for one in (running, source, target):
        await one.close()


KILLED_BETWEEN = """
import asyncio, os, sys
from bidisync.stores import moving
from bidisync.stores.sqlite import SqliteStore

def killed(*_):
    os.kill(os.getpid(), 9)

async def main():
    setattr(moving, sys.argv[3], killed)
    await moving.move(await SqliteStore.open(sys.argv[1]), await SqliteStore.open(sys.argv[2]))

asyncio.run(main())
"""


@pytest.mark.parametrize(("step", "closed"), [("_closing", False), ("_open", True)])
async def test_a_move_that_was_killed_between_its_steps_never_leaves_two_places_and_is_ended(tmp_path, step, closed):
    old, new = tmp_path / "a.db", tmp_path / "b.db"
    source = await filled(await SqliteStore.open(old), links=3)
    before = await content(source)
    await source.close()
    ended = subprocess.run([sys.executable, "-c", KILLED_BETWEEN, str(old), str(new), step], env=environment())
    assert ended.returncode == -signal.SIGKILL
    source, target = await SqliteStore.open(old), await SqliteStore.open(new)
    assert await target.get_mark(ARRIVING) is not None, "nobody may use it yet"
    assert (await source.get_mark(MOVED) is not None) is closed
    if closed:
        with pytest.raises(StateMoved, match=r"b\.db"):
            await source.set_mark("m", "1")
        elsewhere = await SqliteStore.open(":memory:")
        with pytest.raises(StateMoved, match=r"b\.db"):
            await move(source, elsewhere)
        await empty(elsewhere)
        await elsewhere.close()
    else:
        other = await filled(await SqliteStore.open(":memory:"), links=1)
        with pytest.raises(Misconfigured, match="holds a state already"):
            await move(other, target)
        await other.close()
    done = await move(source, target)
    assert await content(target) == before
    assert done.rows == await counts(target)
    assert await target.get_mark(ARRIVING) is None
    await target.set_mark("m", "1")
    with pytest.raises(StateMoved, match=r"b\.db"):
        await move(source, target)
    await source.close()
    await target.close()


KILLED = """
import asyncio, os, sys
from bidisync.stores import moving
from bidisync.stores.postgres import PostgresStore
from bidisync.stores.sqlite import SqliteStore

async def main():
    left, copy = [int(sys.argv[3])], moving._copy
    def counted(*arguments):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), 9)
        return copy(*arguments)
    moving._copy = counted
    await moving.move(await SqliteStore.open(sys.argv[1]), await PostgresStore.open(sys.argv[2]))

asyncio.run(main())
"""


@pytest.mark.parametrize("tables", [5])
async def test_a_move_that_was_killed_leaves_nothing_and_is_done_again(tmp_path, postgres_url, tables):
    path, url = tmp_path / "a.db", postgres_url()
    source = await filled(await SqliteStore.open(path), links=600)
    before = await content(source)
    await source.close()
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path), url, str(tables)], env=environment())
    assert ended.returncode == -signal.SIGKILL
    source, target = await SqliteStore.open(path), await PostgresStore.open(url)
    await empty(target)
    await move(source, target)
    assert await content(target) == before
    await source.close()
    await target.close()


async def test_a_move_that_is_interrupted_leaves_nothing(tmp_path):
    source, target = await filled(await SqliteStore.open(tmp_path / "a.db")), await SqliteStore.open(":memory:")
    moved = asyncio.create_task(move(source, target))
    await asyncio.sleep(0)
    moved.cancel()
    with pytest.raises(asyncio.CancelledError):
        await moved
    await empty(target)
    await source.close()
    await target.close()


def test_no_file_is_left_readable_by_others(tmp_path):
    asyncio.run(_closed(tmp_path / "a.db"))
    assert not [file for file in tmp_path.iterdir() if os.stat(file).st_mode & 0o077]


async def _closed(path):
    await (await filled(await SqliteStore.open(path), 3)).close()
