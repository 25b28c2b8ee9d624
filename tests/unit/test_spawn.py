"""Work side by side: bounded, in order, and without a wait between groups."""

from __future__ import annotations

import asyncio

import pytest

from bidisync.spawn import beside, group_by_group, side_by_side
from bidisync.stores.sqlite import SqliteStore


async def test_the_next_group_is_begun_while_the_slowest_job_of_the_last_one_is_under_way():
    slow, begun = asyncio.Event(), []

    async def groups():
        yield ["slow", "a"]
        yield ["b", "last"]

    async def work(job: str) -> None:
        begun.append(job)
        if job == "slow":
            await slow.wait()
        if job == "last":
            slow.set()

    async with asyncio.timeout(20):
        await group_by_group(groups(), work, 2)
    assert begun == ["slow", "a", "b", "last"]


async def test_a_group_is_asked_for_only_when_few_jobs_are_left():
    asked, done = [], []

    async def groups():
        for start in range(0, 30, 10):
            asked.append((start, len(done)))
            yield list(range(start, start + 10))

    async def work(job: int) -> None:
        await asyncio.sleep(0)
        done.append(job)

    await group_by_group(groups(), work, 2)
    assert done == list(range(30))
    assert all(finished >= start - 4 for start, finished in asked)


@pytest.mark.parametrize("where", ["job", "group"])
async def test_the_first_error_lets_what_is_under_way_end_and_begins_nothing_more(where):
    ended = []

    async def groups():
        yield [1, 2]
        if where == "group":
            raise LookupError(where)
        yield [3, 4, 5, 6]

    async def work(job: int) -> None:
        await asyncio.sleep(0)
        if job == 3:
            raise LookupError(where)
        ended.append(job)

    with pytest.raises(LookupError, match=where):
        await group_by_group(groups(), work, 2)
    assert ended in ([1, 2], [1, 2, 4])
    with pytest.raises(LookupError):
        await side_by_side([3], work, 2)


async def test_what_is_done_beside_ends_before_its_error_or_the_works_is_told():
    ended = []

    async def other() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("other")

    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError("work")

    with pytest.raises(LookupError, match="work"):
        await beside(fails(), other())
    assert ended == ["other"]
    with pytest.raises(LookupError):
        await beside(asyncio.sleep(0), fails())


async def test_a_look_at_the_state_waits_for_nobodys_commit(tmp_path):
    store = await SqliteStore.open(tmp_path / "state.db")
    looked, loop = asyncio.Event(), asyncio.get_running_loop()

    def holds_up(_connection: object) -> None:
        asyncio.run_coroutine_threadsafe(looked.wait(), loop).result(20)

    async def look() -> None:
        assert await store.get_mark("nothing") is None
        looked.set()

    await asyncio.gather(store._run(holds_up), look())
    await store.close()
