"""The state in a real PostgreSQL: promises, several machines, kills, restarts, and what it says when it can't."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import attrs
import psycopg
import pytest

from bidisync import Ref, Side
from bidisync.errors import Contended, Misconfigured, Unavailable
from bidisync.state import Link
from bidisync.stores.postgres import PostgresStore
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing import check_state_store
from bidisync.testing.stores import rich_link
from command import environment

SAVER = """
import asyncio, sys
from bidisync import Ref, Side
from bidisync.errors import Contended
from bidisync.state import Link
from bidisync.stores.postgres import PostgresStore

async def main():
    store = await PostgresStore.open(sys.argv[1])
    async def one(worker):
        for n in range(int(sys.argv[3])):
            try:
                await store.save(Link.begin(Ref(Side.LEFT, f"{sys.argv[2]}-{worker}-{n}")))
            except Contended:
                continue
            print(f"{sys.argv[2]}-{worker}-{n}", flush=True)
    await asyncio.gather(*(one(worker) for worker in range(5)))
    await store.close()

asyncio.run(main())
"""


def saver(url, name, number):
    command = [sys.executable, "-c", SAVER, url, name, str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())


async def saved_in(url):
    store = await PostgresStore.open(url)
    found = {link.origin.id async for links in store.links() for link in links}
    await store.close()
    return found


async def test_the_store_in_postgres_keeps_every_promise(postgres_url):
    async def make():
        return await PostgresStore.open(postgres_url())

    await check_state_store(make)


async def test_a_killed_process_leaves_every_save_that_it_was_told_of(postgres_url):
    url = postgres_url()
    process = saver(url, "a", 1_000_000)
    told = [process.stdout.readline().strip() for _ in range(300)]
    process.kill()
    told += [line.strip() for line in process.stdout.read().splitlines()[:-1]]
    process.wait()
    process.stdout.close()
    assert set(told) <= await saved_in(url)


async def test_of_two_processes_that_save_the_same_one_wins_each_time(postgres_url):
    url = postgres_url()
    processes = [saver(url, "same", 40) for _ in range(2)]
    outputs = await asyncio.gather(*(asyncio.to_thread(process.communicate, None, 60) for process in processes))
    assert [process.returncode for process in processes] == [0, 0]
    told = [line for out, _ in outputs for line in out.split()]
    assert len(told) == len(set(told)) == 200
    assert set(told) == await saved_in(url)


async def test_stores_on_two_machines_refuse_late_writers_and_bind_a_record_once(postgres_url):
    url = postgres_url()
    here, there = await PostgresStore.open(url), await PostgresStore.open(url)
    saved = await here.save(attrs.evolve(rich_link(), fence=5))
    tries = [store.save(attrs.evolve(saved, approved=str(n))) for n in range(20) for store in (here, there)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(answer, Link) for answer in answers) == 1
    assert all(isinstance(answer, Link | Contended) for answer in answers)
    pairs = [attrs.evolve(Link.begin(Ref(Side.LEFT, f"x{n}")), right_id="the one") for n in range(20)]
    answers = await asyncio.gather(
        *((here, there)[n % 2].save(link) for n, link in enumerate(pairs)), return_exceptions=True
    )
    assert sum(isinstance(answer, Link) for answer in answers) == 1
    assert all(isinstance(answer, Link | Contended) for answer in answers)
    await here.close()
    await there.close()


async def test_links_that_absorb_each_other_at_once_do_not_hang(postgres_url):
    url = postgres_url()
    here, there = await PostgresStore.open(url), await PostgresStore.open(url)
    for n in range(5):
        one = await here.save(Link.begin(Ref(Side.LEFT, f"l{n}")))
        two = await here.save(Link.begin(Ref(Side.RIGHT, f"r{n}")))
        answers = await asyncio.gather(
            here.save(one.with_id(Side.RIGHT, f"r{n}"), absorbs=[two]),
            there.save(two.with_id(Side.LEFT, f"l{n}"), absorbs=[one]),
            return_exceptions=True,
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Contended", "Link"]
    assert sum((await here.count()).values()) == 5
    await here.close()
    await there.close()


@pytest.mark.skipif("BIDISYNC_TEST_POSTGRES_URL" in os.environ, reason="that server is not ours to restart")
async def test_a_server_that_comes_back_is_used_again_and_one_that_is_away_is_named(postgres_server, postgres_url):
    store = await PostgresStore.open(postgres_url())
    kept = await store.save(Link.begin(Ref(Side.LEFT, "kept")))
    postgres_server.crash()
    with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{postgres_server.port}/postgres") as caught:
        await store.save(attrs.evolve(kept, settled=True))
    assert caught.value.system == "state"
    assert "geheim" not in str(caught.value)
    postgres_server.start()
    again = await asyncio.gather(*(store.save(Link.begin(Ref(Side.LEFT, str(n)))) for n in range(50)))
    postgres_server.crash()  # nobody uses the connections at that moment
    postgres_server.start()
    assert (await store.load(kept.refs))[kept.refs[0]] == kept
    assert sum((await store.count()).values()) == 1 + len(again)
    await store.close()


@pytest.mark.skipif("BIDISYNC_TEST_POSTGRES_URL" in os.environ, reason="that server is not ours to restart")
async def test_what_was_told_is_there_after_a_server_died_under_load(postgres_server, postgres_url):
    url = postgres_url()
    store = await PostgresStore.open(url)

    async def save(worker):
        told = []
        for n in range(200):
            link = Link.begin(Ref(Side.LEFT, f"{worker}-{n}"))
            try:
                told.append((await store.save(link)).origin.id)
            except (Unavailable, Contended):
                continue
        return told

    workers = [asyncio.create_task(save(n)) for n in range(8)]
    while sum((await store.count()).values()) < 100:
        pass
    await asyncio.to_thread(postgres_server.crash)
    await asyncio.to_thread(postgres_server.start)
    told = {id for ids in await asyncio.gather(*workers) for id in ids}
    await store.close()
    assert len(told) >= 100
    assert told <= await saved_in(url)


async def test_wrong_addresses_are_said_plainly_without_the_password(postgres_url):
    url = postgres_url()
    wrong = {
        url.replace("p%40ss-geheim", "geheim"): (Misconfigured, "refuses the user or the password"),
        url.replace("/postgres?", "/nowhere?"): (Misconfigured, "no database of that name"),
        "postgresql://u:geheim@127.0.0.1:1/x": (Unavailable, "127.0.0.1:1/x"),
        "postgresql://u:%zzgeheim@127.0.0.1:1/x": (Misconfigured, "no address"),
    }
    for address, (kind, words) in wrong.items():
        if address == url:
            continue  # another server than our own, with another password
        with pytest.raises(kind, match=words) as caught:
            await PostgresStore.open(address)
        assert "geheim" not in f"{caught.value!r}{caught.value.__cause__!r}"
    store = await PostgresStore.open(url)
    assert "geheim" not in repr(store)
    await store.close()


async def test_a_server_that_is_read_only_is_said_plainly(postgres_url):
    url = postgres_url()
    await (await PostgresStore.open(url)).close()
    store = await PostgresStore.open(url, connections=1)
    await store._run(lambda c: c.execute("SET default_transaction_read_only = on"))
    with pytest.raises(Unavailable, match="read-only"):
        await store.save(rich_link())
    await store.close()


async def test_states_that_are_not_ours_are_refused(postgres_url):
    url = postgres_url()
    with pytest.raises(Misconfigured, match="no state"):
        await PostgresStore.open(url, create=False)
    store = await PostgresStore.open(url)
    await store._run(lambda c: c.execute("INSERT INTO migration VALUES (9999, 'x')"))
    await store.close()
    with pytest.raises(Misconfigured, match="newer version"):
        await PostgresStore.open(url)


async def test_many_that_open_an_empty_database_at_once_make_one_state(postgres_url):
    url = postgres_url()
    stores = await asyncio.gather(*(PostgresStore.open(url, connections=1) for _ in range(6)))
    await asyncio.gather(*(store.close() for store in stores))


async def test_a_look_writes_nothing_and_can_be_copied(postgres_url):
    url = postgres_url()
    assert await PostgresStore.look(url) is None
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('migration')").fetchone() == (None,)
    store = await PostgresStore.open(url)
    saved = await store.save(rich_link())
    await store.set_mark("m", "1")
    look, copy = await PostgresStore.look(url), await SqliteStore.open(":memory:")
    await look.copy_into(copy)
    with pytest.raises(Unavailable, match="read-only"):
        await look.save(attrs.evolve(saved, settled=True))
    await copy.save(attrs.evolve(saved, settled=True))
    assert await copy.get_mark("m") == "1"
    assert (await store.load(saved.refs))[saved.refs[0]] == saved
    for each in (look, copy, store):
        await each.close()
