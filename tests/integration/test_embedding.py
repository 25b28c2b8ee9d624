"""The library inside somebody else's service: several at once, and nothing closed that is not ours."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from bidisync import LinkState
from bidisync.errors import Misconfigured
from bidisync.stores.memory import MemoryStore
from bidisync_espo_advo import Settings, open_sync
from office import opened


async def test_two_syncs_work_side_by_side_over_one_foreign_session_that_stays_open():
    async with opened(crm_records=5) as one, opened(erp_records=5) as two, aiohttp.ClientSession() as session:
        async with (
            open_sync(one.settings, session=session) as first,
            open_sync(two.settings, session=session) as second,
        ):
            tallies = await asyncio.gather(first.sweep(everything=True), second.sweep(everything=True))
            assert [tally.states() for tally in tallies] == [{LinkState.IN_SYNC: 5}] * 2
            assert len(one.erp.store.records) == len(two.crm.store.records) == 5
            assert len(one.crm.store.records) == len(two.erp.store.records) == 5, "no record crossed over"
        assert not session.closed
        async with session.get(one.crm.url + "api/v1/App/user") as response:
            assert response.status == 401, "the session still works, and carries none of our credentials"


async def test_one_ends_while_the_other_goes_on():
    async with opened(crm_records=2) as office, aiohttp.ClientSession() as session:
        async with open_sync(office.settings, session=session) as outer:
            async with open_sync(office.settings, session=session):
                pass
            tally = await outer.sweep(everything=True)
            assert tally.states() == {LinkState.IN_SYNC: 2}


async def test_a_store_that_was_given_stays_open_and_keeps_the_links():
    store = MemoryStore()
    async with opened(crm_records=2) as office:
        async with open_sync(office.settings, store=store) as sync:
            await sync.sweep(everything=True)
        office.forget_calls()
        async with open_sync(office.settings, store=store) as sync:
            await sync.sweep(everything=True)
        assert office.writes() == 0
    assert await store.count() == {"in_sync": 2}


async def test_it_leaves_no_task_behind():
    before = asyncio.all_tasks()
    async with opened(crm_records=2) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()


async def test_a_strategy_for_a_group_that_does_not_exist_is_found_at_the_start():
    async with opened() as office:
        with pytest.raises(Misconfigured, match="adressen"):
            async with open_sync(office.settings, strategies={"adressen": lambda conflict: {}}):
                pass
    with pytest.raises(Misconfigured, match=r"espocrm\.url"):
        async with open_sync(Settings.from_tables({})):
            pass
