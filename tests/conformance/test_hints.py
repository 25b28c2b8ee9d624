"""Durable hints in every store, and what a store that loses some is told."""

from __future__ import annotations

import time

import attrs
import pytest

from bidisync import Ref, Side
from bidisync.stores.memory import MemoryStore
from bidisync.stores.postgres import PostgresStore
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing import Broken, check_hint_store


async def test_the_hints_of_the_store_in_memory_keep_every_promise():
    async def make():
        return MemoryStore()

    await check_hint_store(make)


async def test_the_hints_of_the_store_in_sqlite_keep_every_promise():
    async def make():
        return await SqliteStore.open(":memory:")

    await check_hint_store(make)


async def test_the_hints_of_the_store_in_postgres_keep_every_promise(postgres_url):
    async def make():
        return await PostgresStore.open(postgres_url())

    await check_hint_store(make)


async def drops_repeats(self, hints):
    for hint in hints:
        self._hints.pop(hint.ref, None)


async def keeps_for_ever(self, hints):
    pass


async def hands_out_twice(self, now, *, limit, until):
    taken = await MemoryStore.take(self, now, limit=limit, until=until)
    self._hints.update({h.ref: attrs.evolve(self._hints[h.ref], taken_until=0.0) for h in taken})
    return taken


async def newest_first(self, now, *, limit, until):
    return list(reversed(await MemoryStore.take(self, now, limit=limit, until=until)))


async def never_back(self, now, *, limit, until):
    return await MemoryStore.take(self, now, limit=limit, until=until + 1e9)


async def forgets_put_off(self, hint, not_before):
    await MemoryStore.put_off(self, hint, 0.0)


async def later_wins(self, refs, at, *, not_before=0.0):
    await MemoryStore.hint(self, refs, at, not_before=not_before)
    self._hints.update({ref: attrs.evolve(self._hints[ref], not_before=not_before) for ref in refs})


@pytest.mark.parametrize(
    ("name", "fault", "law"),
    [
        ("done", drops_repeats, "loses a hint that came meanwhile"),
        ("done", keeps_for_ever, "is done still waits"),
        ("take", hands_out_twice, "is handed out again|is done still waits"),
        ("take", newest_first, "does not give the oldest first"),
        ("take", never_back, "with other times|does not come back"),
        ("put_off", forgets_put_off, "was put off is handed out before"),
        ("hint", later_wins, "a later time puts a hint off"),
    ],
)
async def test_a_store_that_mistreats_hints_is_found_out(name, fault, law):
    faulty = type("Faulty", (MemoryStore,), {name: fault})

    async def make():
        return faulty()

    with pytest.raises(Broken, match=law):
        await check_hint_store(make)


async def test_ten_thousand_hints_take_one_commit_and_little_time(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    before, began = store.commits, time.perf_counter()
    await store.hint([Ref(Side.LEFT, str(n)) for n in range(10_000)], 1.0)
    assert store.commits - before == 1
    assert time.perf_counter() - began < 5
    await store.close()
    store = await SqliteStore.open(tmp_path / "s.db")
    assert await store.hints_waiting() == (10_000, 1.0)
    await store.close()
