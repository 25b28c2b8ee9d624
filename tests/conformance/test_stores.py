"""Every store through the same checks, and what is special about the one on disk."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import attrs
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidisync import Ref, Side, StateStore
from bidisync.errors import Contended, Misconfigured, Unavailable
from bidisync.state import Hint, Journaled, Known, Link, Shadow
from bidisync.stores.memory import MemoryStore
from bidisync.stores.migrating import checksum, migrations
from bidisync.stores.postgres import PostgresStore
from bidisync.stores.resting import fill
from bidisync.stores.seal import Plain
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing import Broken, check_state_store
from bidisync.testing.stores import rich_link
from command import environment


async def test_the_store_in_memory_keeps_every_promise():
    async def make() -> StateStore:
        return MemoryStore()

    await check_state_store(make)


async def test_the_store_in_sqlite_keeps_every_promise(tmp_path):
    numbers = itertools.count()

    async def make() -> StateStore:
        return await SqliteStore.open(tmp_path / f"{next(numbers)}.db")

    await check_state_store(make)


async def test_a_store_that_forgets_to_compare_is_found_out():
    @attrs.define
    class Careless(MemoryStore):
        async def save(self, link, *, journal=(), absorbs=()):
            stored = self._links.get(link.id)
            revision = 0 if stored is None else stored.revision
            return await MemoryStore.save(self, attrs.evolve(link, revision=revision), journal=journal, absorbs=absorbs)

    async def make() -> StateStore:
        return Careless()

    with pytest.raises(Broken, match="a save over an older revision is not refused"):
        await check_state_store(make)


async def test_a_store_that_ignores_the_fence_is_found_out():
    @attrs.define
    class Careless(MemoryStore):
        async def save(self, link, *, journal=(), absorbs=()):
            for old in (link, *absorbs):
                if old.id in self._links and self._links[old.id].revision == old.revision:
                    self._links[old.id] = attrs.evolve(self._links[old.id], fence=0)
            return await MemoryStore.save(self, link, journal=journal, absorbs=absorbs)

    async def make() -> StateStore:
        return Careless()

    with pytest.raises(Broken, match="a writer with a smaller fence absorbs a link"):
        await check_state_store(make)


ids = st.sampled_from(["1", "2", "3"])
steps = st.one_of(
    st.tuples(st.just("save"), ids, ids | st.none(), st.booleans()),
    st.tuples(st.just("stale"), ids),
    st.tuples(st.just("learn"), ids, st.dictionaries(st.sampled_from(["k", "n"]), st.sampled_from(["x", "y"]))),
    st.tuples(st.just("forget"), ids),
    st.tuples(st.just("mark"), ids, st.none() | ids),
    st.tuples(st.just("absorb"), ids, ids),
    st.tuples(st.just("hint"), ids, st.integers(0, 5), st.integers(0, 5)),
    st.tuples(st.just("take"), ids, st.integers(0, 9), st.integers(1, 3)),
    st.tuples(st.just("done"), ids, st.integers(1, 3), st.integers(0, 12)),
    st.tuples(st.just("put_off"), ids, st.integers(1, 3), st.integers(0, 12)),
)


@settings(max_examples=40)
@given(script=st.lists(steps, max_size=25))
def test_all_stores_answer_alike(postgres_place, script):
    asyncio.run(_compare(script, postgres_place))


@pytest.fixture(scope="module")
def postgres_place(postgres_server_url):
    """One place in PostgreSQL, emptied before each script."""
    with psycopg.connect(postgres_server_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA alike")
        yield f"{postgres_server_url}{'&' if '?' in postgres_server_url else '?'}options=-csearch_path%3Dalike"
        connection.execute("DROP SCHEMA alike CASCADE")


async def _compare(script, place):
    server = await PostgresStore.open(place, connections=1)
    for table in ("link", "record", "journal", "known", "mark", "act", "hint"):
        await server._run(lambda c, table=table: c.execute(f"DELETE FROM {table}"))
    stores = [MemoryStore(), await SqliteStore.open(":memory:"), server]
    for step in script:
        first, *others = [await _answer(store, step) for store in stores]
        assert others == [first, first]
    first, *others = [[list(group) async for group in store.links()] for store in stores]
    assert others == [first, first]
    first, *others = [dict(await store.count()) for store in stores]
    assert others == [first, first]
    for store in stores:
        await store.close()


async def _answer(store: StateStore, step):
    ref = Ref(Side.LEFT, step[1])
    try:
        match step[0]:
            case "save":
                link = (await store.load([ref])).get(ref) or Link.begin(ref)
                return await store.save(attrs.evolve(link.with_id(Side.RIGHT, step[2]), settled=step[3]))
            case "stale":
                return await store.save(attrs.evolve(Link.begin(ref), revision=99))
            case "learn":
                await store.learn([Known(ref, step[2])])
                found = await store.matches(Side.LEFT, step[2])
                return sorted((str(known.ref), sorted(known.keys.items())) for known in found)
            case "forget":
                return await store.forget([ref])
            case "mark":
                await store.set_mark(step[1], step[2])
                return await store.get_mark(step[1])
            case "absorb":
                other = Ref(Side.RIGHT, step[2])
                links = await store.load([ref, other])
                if ref not in links or other not in links or links[ref].id == links[other].id:
                    return None
                return await store.save(links[ref].with_id(Side.RIGHT, step[2]), absorbs=[links[other]])
            case "hint":
                await store.hint([ref], float(step[2]), not_before=float(step[3]))
            case "take":
                return await store.take(float(step[2]), limit=step[3], until=float(step[2] + 3))
            case "done":
                await store.done([Hint(ref, step[2], 0.0, float(step[3]))])
            case "put_off":
                await store.put_off(Hint(ref, step[2], 0.0, float(step[3])), 4.0)
        return await store.hints_waiting()
    except Contended:
        return "contended"


async def test_what_was_saved_is_there_after_opening_again(tmp_path):
    path = tmp_path / "s.db"
    store = await SqliteStore.open(path)
    saved = await store.save(rich_link(), journal=[Journaled("left:1", 1, "update", (), "x")])
    await store.close()
    await store.close()
    store = await SqliteStore.open(path)
    assert (await store.load(saved.refs))[saved.refs[0]] == saved
    assert len(await store.journal("left:1")) == 1
    await store.close()


def test_a_loop_that_ended_before_its_turn_came_leaves_the_store_to_others(tmp_path):
    loop = asyncio.new_event_loop()
    store = loop.run_until_complete(SqliteStore.open(tmp_path / "s.db"))

    async def left_behind() -> asyncio.Task[None]:
        return asyncio.ensure_future(store.set_mark("m", "1"))

    begun = loop.run_until_complete(left_behind())

    async def later() -> None:
        async with asyncio.timeout(30):  # for ever, if nobody hands it on
            assert await store.get_mark("m") is None, "nobody was told that it was done"
            await store.set_mark("m", "2")
            assert await store.get_mark("m") == "2"

    asyncio.run(later())
    begun.cancel()
    loop.run_until_complete(asyncio.gather(begun, return_exceptions=True))
    loop.run_until_complete(store.close())
    loop.close()


async def test_a_version_that_is_saved_while_others_are_filled_in_stays(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    shadow = Shadow({}, "then")
    await store.save(attrs.evolve(Link.begin(Ref(Side.LEFT, "1")), right_id="2", left_shadow=shadow, settled=True))
    await store.close()
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute("UPDATE record SET token = NULL")

        class Meanwhile:
            def execute(self, sql, parameters=()):
                rows = connection.execute(sql, parameters)
                connection.execute("UPDATE record SET token = 'now' WHERE side = 'left' AND token IS NULL")
                return rows

            executemany = connection.executemany

        fill(Meanwhile(), Plain())
        assert connection.execute("SELECT token FROM record ORDER BY side").fetchall() == [("now",), ("",)]
    connection.close()


async def test_saves_that_wait_share_a_commit(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    before = store.commits
    await asyncio.gather(*(store.save(Link.begin(Ref(Side.LEFT, str(n)))) for n in range(200)))
    assert store.commits - before < 50
    await store.close()


SAVER = """
import asyncio, sys
from bidisync import Ref, Side
from bidisync.state import Link
from bidisync.stores.migrating import checksum, migrations
from bidisync.stores.postgres import PostgresStore
from bidisync.stores.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(sys.argv[1])
    async def one(worker):
        n = 0
        while n < int(sys.argv[3]):
            id = f"{sys.argv[2]}-{worker}-{n}"
            await store.save(Link.begin(Ref(Side.LEFT, id)))
            print(id, flush=True)
            n += 1
    await asyncio.gather(*(one(worker) for worker in range(5)))
    await store.close()

asyncio.run(main())
"""


async def saved_in(path: Path) -> set[str]:
    store = await SqliteStore.open(path)
    found = {link.origin.id async for links in store.links() for link in links}
    await store.close()
    return found


async def test_a_killed_process_leaves_every_save_that_it_was_told_of(tmp_path):
    path = tmp_path / "s.db"
    process = subprocess.Popen(
        [sys.executable, "-c", SAVER, str(path), "a", "1000000"], stdout=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(300)]
    process.kill()
    told += [line.strip() for line in process.stdout.read().splitlines()[:-1]]
    process.wait()
    process.stdout.close()
    assert set(told) <= await saved_in(path)


async def test_two_processes_share_one_file(tmp_path):
    path = tmp_path / "s.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SAVER, str(path), name, "40"], stdout=subprocess.DEVNULL, env=environment()
        )
        for name in "ab"
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(await saved_in(path)) == 2 * 5 * 40


OPENER = """
import asyncio, sys
from bidisync.stores.sqlite import SqliteStore

async def once():
    await (await SqliteStore.open(sys.argv[1])).close()

async def main():
    await asyncio.gather(*(once() for _ in range(8)))

asyncio.run(main())
"""


def test_a_new_file_may_be_opened_by_many_at_once(tmp_path):
    command = [sys.executable, "-c", OPENER]
    for file in (tmp_path / f"{number}.db" for number in range(5)):
        processes = [subprocess.Popen([*command, str(file)], env=environment()) for _ in range(4)]
        assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
        asyncio.run(opened_alone(file))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".db"] * 5


async def opened_alone(file):
    """Who closes last removes SQLite's log; two that close at the same moment each leave that to the other."""
    await (await SqliteStore.open(file)).close()


async def test_the_file_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "s.db"
    await (await SqliteStore.open(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_full_disk_is_said_plainly_and_nothing_is_lost(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    kept = await store.save(Link.begin(Ref(Side.LEFT, "kept")))
    await store._run(lambda c: c.execute(f"PRAGMA max_page_count = {c.execute('PRAGMA page_count').fetchone()[0]}"))
    big = attrs.evolve(rich_link("big"), attempts=attrs.evolve(rich_link().attempts, reason="x" * 500_000))
    with pytest.raises(Unavailable, match="no room left"):
        await store.save(big)
    assert (await store.load(kept.refs))[kept.refs[0]] == kept
    await store._run(lambda c: c.execute("PRAGMA max_page_count = 1000000"))
    await store.save(big)
    await store.close()


async def test_files_that_are_not_ours_are_refused(tmp_path):
    foreign, newer = tmp_path / "foreign", tmp_path / "newer.db"
    foreign.write_text("no database at all, and long enough to be seen as none" * 40)
    with pytest.raises(Misconfigured, match="not a state file"):
        await SqliteStore.open(foreign)
    store = await SqliteStore.open(newer)
    await store._run(lambda c: c.execute("INSERT INTO migration VALUES (9999, 'x')"))
    await store.close()
    with pytest.raises(Misconfigured, match="newer version"):
        await SqliteStore.open(newer)
    with pytest.raises(Misconfigured, match="no state"):
        await SqliteStore.open(tmp_path / "none.db", create=False)
    with pytest.raises(Misconfigured, match=r"state\.url"):
        await SqliteStore.open(tmp_path / "no" / "folder.db")


async def test_a_changed_migration_is_found(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await store.close()
    connection = sqlite3.connect(tmp_path / "s.db")
    connection.execute("UPDATE migration SET checksum = 'other'")
    connection.commit()
    connection.close()
    with pytest.raises(Misconfigured, match="migration 1"):
        await SqliteStore.open(tmp_path / "s.db")


async def test_a_rehearsal_sees_the_links_and_changes_nothing(tmp_path):
    path = tmp_path / "s.db"
    store = await SqliteStore.open(path)
    saved = await store.save(Link.begin(Ref(Side.LEFT, "1")))
    copy = await SqliteStore.rehearse(path)
    await copy.save(attrs.evolve(saved, settled=True))
    assert (await store.load(saved.refs))[saved.refs[0]] == saved
    await copy.close()
    await store.close()
    empty = await SqliteStore.rehearse(tmp_path / "none.db")
    assert await empty.count() == {}
    await empty.close()
    assert os.listdir(tmp_path) == ["s.db"]


async def test_a_journal_from_before_the_decision_log_can_still_be_read(tmp_path):
    path = tmp_path / "old.db"
    store = await SqliteStore.open(path)
    saved = await store.save(rich_link())
    await store.close()
    old = [
        {"at": 5.0, "side": "right", "field": "a", "row": "5", "lost": "ü", "kept": None},
        {"at": 6.0, "side": "left", "field": "b", "row": "3", "lost": ["x", 1], "kept": 2.5},
    ]
    with sqlite3.connect(path) as connection:
        rows = [(saved.id, json.dumps({"link_id": saved.id, "policy": "p", **line})) for line in old]
        connection.executemany("INSERT INTO journal (link_id, document) VALUES (?, ?)", rows)
        connection.execute("DELETE FROM migration WHERE number = 2")
    connection.close()
    store = await SqliteStore.open(path)
    first, second = await store.journal(saved.id)
    await store.close()
    assert (first.at, first.what, first.lost) == (5.0, "update", (("a", Side.RIGHT, "ü"),))
    assert (first.decisions[0].policy, first.decisions[0].result) == ("p", None)
    assert second.lost == (("b", Side.LEFT, ("x", 1)),)
    assert second.decisions[0].result == 2.5


def old_form(path: Path, newest: int) -> sqlite3.Connection:
    """A file in the form that the migrations up to this number made."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE migration (number INTEGER PRIMARY KEY, checksum TEXT NOT NULL)")
    for number, text in sorted(migrations("sqlite").items()):
        if number <= newest:
            connection.executescript(text)
            connection.execute("INSERT INTO migration VALUES (?, ?)", (number, checksum(text)))
            connection.commit()
    return connection


def old_link(connection: sqlite3.Connection, number: int, document: dict[str, object], state: str) -> None:
    id = str(document["origin"])
    connection.execute(
        "INSERT INTO link (id, state, document, revision, fence, intent, due) VALUES (?, ?, ?, 1, 0, 0, ?)",
        (id, state, json.dumps({**document, "revision": 1}), int("settled" not in document)),
    )
    connection.execute("INSERT INTO record (side, id, link_id) VALUES ('left', ?, ?)", (document["left_id"], id))
    journal = {
        "link_id": id,
        "at": 5.0,
        "side": "right",
        "field": "a",
        "row": "5",
        "lost": "x",
        "kept": "y",
        "policy": "p",
    }
    if number > 1:
        journal = {"link_id": id, "at": 5.0, "what": "update"}
    connection.execute("INSERT INTO journal (link_id, document) VALUES (?, ?)", (id, json.dumps(journal)))


@pytest.mark.parametrize("newest", sorted(migrations("sqlite")))
async def test_a_state_of_every_older_form_is_brought_to_the_newest(tmp_path, newest):
    over = {"tombstone": {"at": 7.0}} if newest >= 3 else {"tombstoned": True}
    blocked = [{"kind": "blocked", "reason": "why"}]
    with old_form(tmp_path / "s.db", newest) as connection:
        old_link(connection, newest, {"origin": "left:1", "left_id": "1", "settled": True}, "in_sync")
        old_link(connection, newest, {"origin": "left:2", "left_id": "2", **over}, "tombstoned")
        old_link(connection, newest, {"origin": "left:3", "left_id": "3", "reviews": blocked}, "blocked")
        if newest >= 3:
            connection.execute("UPDATE link SET waits = 1 WHERE id = 'left:3'")
    connection.close()
    store = await SqliteStore.open(tmp_path / "s.db")
    links = {link.id: link for group in [g async for g in store.links()] for link in group}
    assert [links[id].tombstoned for id in ("left:1", "left:2", "left:3")] == [False, True, False]
    assert [link.id for link in await store.waiting()] == ["left:3"]
    assert [line.what for line in await store.journal("left:2")] == ["update"]
    verdict = await store.verify()
    assert (verdict.holds, verdict.lines) == (True, 3)
    saved = await store.save(attrs.evolve(links["left:1"], right_id="R"))
    assert (await store.load([Ref(Side.RIGHT, "R")]))[Ref(Side.RIGHT, "R")] == saved
    await store.hint([Ref(Side.LEFT, "1")], 1.0)
    assert await store.hints_waiting() == (1, 1.0)
    await store.close()


async def test_a_migration_that_was_killed_leaves_the_form_from_before(tmp_path):
    path = tmp_path / "s.db"
    old_form(path, 2).close()
    code = "import os, sys, asyncio\nfrom bidisync.stores import sqlite\n" + (
        "sqlite.check = lambda *_: os.kill(os.getpid(), 9)\nasyncio.run(sqlite.SqliteStore.open(sys.argv[1]))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], env=environment())
    assert ended.returncode == -9
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT max(number) FROM migration").fetchone() == (2,)
    connection.close()
    await (await SqliteStore.open(path)).close()
