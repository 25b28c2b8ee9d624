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
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidisync import Ref, Side, StateStore
from bidisync.errors import Contended, Misconfigured, Unavailable
from bidisync.state import Journaled, Known, Link
from bidisync.stores.memory import MemoryStore
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing import check_state_store
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

    with pytest.raises(AssertionError, match="older revision"):
        await check_state_store(make)


ids = st.sampled_from(["1", "2", "3"])
steps = st.one_of(
    st.tuples(st.just("save"), ids, ids | st.none(), st.booleans()),
    st.tuples(st.just("stale"), ids),
    st.tuples(st.just("learn"), ids, st.dictionaries(st.sampled_from(["k", "n"]), st.sampled_from(["x", "y"]))),
    st.tuples(st.just("forget"), ids),
    st.tuples(st.just("mark"), ids, st.none() | ids),
)


@settings(max_examples=40)
@given(script=st.lists(steps, max_size=25))
def test_both_stores_answer_alike(script):
    asyncio.run(_compare(script))


async def _compare(script):
    memory, disk = MemoryStore(), await SqliteStore.open(":memory:")
    for step in script:
        assert await _answer(memory, step) == await _answer(disk, step)
    for store_answers in zip([g async for g in memory.links()], [g async for g in disk.links()], strict=True):
        assert list(store_answers[0]) == list(store_answers[1])
    assert dict(await memory.count()) == await disk.count()
    await disk.close()


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
