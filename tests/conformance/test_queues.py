"""Both work queues through the same checks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bidisync.protocols import WorkQueue
from bidisync.runners.docket import DocketQueue
from bidisync.runners.local import LocalQueue
from bidisync.stores.memory import MemoryStore
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing.queues import check_work_queue


async def test_workers_in_a_process_keep_every_promise():
    store = MemoryStore()

    @asynccontextmanager
    async def make() -> AsyncIterator[WorkQueue]:
        yield LocalQueue(store, hold_s=1.5, look_every_s=0.1, grace_s=0.2)

    await check_work_queue(make)


async def test_workers_that_redis_wakes_keep_every_promise(redis_url, tmp_path):
    store = await SqliteStore.open(tmp_path / "state.db")

    @asynccontextmanager
    async def make() -> AsyncIterator[WorkQueue]:
        async with DocketQueue.open(redis_url, store, hold_s=1.5, resend_s=0.5, name="check") as queue:
            yield queue

    await check_work_queue(make, within_s=10.0)
    await store.close()
