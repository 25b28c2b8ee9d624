"""Three workers on one state: killed, woken by a Redis that restarts, and never two at one record."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

from aiohttp import web

from bidisync.model import Ref, Side
from bidisync.runners.docket import DocketQueue
from bidisync.runners.timetable import Timetable
from bidisync.stores.postgres import PostgresStore
from bidisync_espo_advo.simulators import advoware_simulator, espocrm_simulator
from command import run
from office import FAST, Office
from served import TOKEN, configure, running, until
from watch import WATCH

ONE_RECORD = re.compile(r"/(CBeteiligte|Beteiligte)/\w+$")


class Watch:
    """Counts requests of one record of one system that were under way at once, and lists read in full."""

    def __init__(self) -> None:
        self.at: Counter[str] = Counter()
        self.overlaps: list[str] = []
        self.lists = 0

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.lists += request.method == "GET" and request.path.endswith("/Beteiligte") and not request.query_string
        if not ONE_RECORD.search(request.path) or request.path.startswith("/_simulator"):
            return await handler(request)
        self.at[request.path] += 1
        if self.at[request.path] > 1:
            self.overlaps.append(f"{request.method} {request.path}")
        try:
            return await handler(request)
        finally:
            self.at[request.path] -= 1


async def opened_office(
    stack: AsyncExitStack, records: int, watch: Watch, url: str, redis: str, **sync: float
) -> Office:
    crm, erp = espocrm_simulator(records=records), advoware_simulator()
    for server in (crm, erp):
        server.app.middlewares.append(watch.middleware)
        await stack.enter_async_context(server)
    tables = {
        "espocrm": {**crm.config, "timeout_s": 3.0},
        "advoware": {**erp.config, "timeout_s": 3.0},
        "state": {"url": url},
        "lock": {"url": redis, "lease_s": FAST["lock"]["lease_s"]},
        "queue": {"url": redis},
        "sync": {**FAST["sync"], "poll_interval_s": 3600.0, "inventory_interval_s": 3600.0, **sync},
        "web": {"token": TOKEN},
        "guards": {"max_overwrite_percent": 100.0},
    }
    return Office(crm, erp, tables)


def all_have(office: Office, wanted: Mapping[str, str]) -> bool:
    records, parties = office.crm.store.records, office.erp.store.records
    return all(parties[records[id]["betnr"]]["zusatz"] == text for id, text in wanted.items())


async def begun(store: PostgresStore) -> None:
    """Return once the passes of the start have ended: guards hold what everybody edits during one."""
    times = Timetable(store)
    async with asyncio.timeout(30):
        while not (await times.wait("inventory") and await times.wait("poll")):
            await asyncio.sleep(0.1)


async def test_three_workers_survive_kills_and_a_restart_of_redis(tmp_path, postgres_url, redis_server):
    watch, rng, url = Watch(), random.Random(3), postgres_url()
    async with AsyncExitStack() as stack:
        office = await opened_office(stack, 40, watch, url, redis_server.url)
        configure(tmp_path, office.tables)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        store = await PostgresStore.open(url, seal=WATCH.seal())
        stack.push_async_callback(store.close)
        queue = await stack.enter_async_context(DocketQueue.open(redis_server.url, store, hold_s=4.0))
        workers = [await stack.enter_async_context(running("worker", cwd=tmp_path)) for _ in range(3)]
        await begun(store)
        for server in (office.crm, office.erp):
            server.store.behave({"latency_ms": "20"})
        ids = list(office.crm.store.records)
        wanted: dict[str, str] = {}
        for number in range(200):
            id = rng.choice(ids)
            wanted[id] = f"Stand {number}"
            office.crm.store.edit(id, zusatz=wanted[id])
            await queue.submit([Ref(Side.LEFT, id)])
            if number in (60, 140):
                workers.pop(0).kill()
                workers.append(await stack.enter_async_context(running("worker", cwd=tmp_path)))
            if number == 100:
                redis_server.kill()
                await asyncio.sleep(0.5)
                redis_server.start()
            await asyncio.sleep(0.03)
        took = await until(partial(all_have, office, wanted), 60, "all", every_s=0.2)
        print(f"\nthree workers, two killed, one restart of Redis: at rest {took:.1f} s after the last edit")
        assert watch.overlaps == [], "never two runs of one record at once"
        assert len(office.erp.store.records) == 40


async def test_a_scheduled_poll_happens_once_on_three_machines(tmp_path, postgres_url, redis_url):
    watch, url = Watch(), postgres_url()
    async with AsyncExitStack() as stack:
        office = await opened_office(stack, 3, watch, url, redis_url, poll_interval_s=2.0)
        configure(tmp_path, office.tables)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        began = time.monotonic()
        for _ in range(3):
            await stack.enter_async_context(running("worker", cwd=tmp_path))
        watch.lists = 0
        await asyncio.sleep(8.0)  # the time itself is what is measured
        due = (time.monotonic() - began) / 2.0 + 2
        assert 3 <= watch.lists <= due, f"{watch.lists} polls where at most {due:.0f} were due"


async def test_more_workers_do_more_against_slow_systems(tmp_path, postgres_url, redis_url):
    took = {}
    for number in (1, 2, 3):
        watch, url = Watch(), postgres_url()
        async with AsyncExitStack() as stack:
            office = await opened_office(stack, 60, watch, url, redis_url, concurrency=2)
            store = await PostgresStore.open(url, seal=WATCH.seal())
            stack.push_async_callback(store.close)
            (folder := tmp_path / str(number)).mkdir()
            configure(folder, office.tables)
            assert (await run("sync", "--all", cwd=folder)).status in (0, 1)
            for server in (office.crm, office.erp):
                server.store.behave({"latency_ms": "50"})
            queue = await stack.enter_async_context(DocketQueue.open(redis_url, store, hold_s=4.0))
            for _ in range(number):
                await stack.enter_async_context(running("worker", cwd=folder))
            await begun(store)
            ids = list(office.crm.store.records)
            for id in ids:
                office.crm.store.edit(id, zusatz="von vielen")
            await queue.submit([Ref(Side.LEFT, id) for id in ids])
            took[number] = await until(partial(all_have, office, dict.fromkeys(ids, "von vielen")), 60, every_s=0.1)
    ratios = ", ".join(f"{number}: {took[1] / seconds:.2f}" for number, seconds in took.items())
    print(f"\nthroughput by workers against 50 ms systems, as a ratio to one: {ratios}")
