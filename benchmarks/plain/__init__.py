"""What benchmarks over HTTP share: both simulators in another process, and plain aiohttp sending the same calls."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time  # noqa: TID251 - it measures
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import aiohttp
import attrs

from bidisync_espo_advo.simulators import advoware_simulator, espocrm_simulator
from bidisync_espo_advo.transport import HttpTransport, Request, Response

CONCURRENCY = 10


async def _serve(ready: Any, crm: Mapping[str, Any], erp: Mapping[str, Any]) -> None:
    async with espocrm_simulator(**crm) as left, advoware_simulator(**erp) as right:
        ready.send({"espocrm": dict(left.config), "advoware": dict(right.config)})
        await asyncio.Event().wait()


def _process(ready: Any, crm: Mapping[str, Any], erp: Mapping[str, Any]) -> None:
    asyncio.run(_serve(ready, crm, erp))


@contextlib.contextmanager
def systems(crm: Mapping[str, Any], erp: Mapping[str, Any]) -> Iterator[dict[str, dict[str, Any]]]:
    """The configuration tables of both simulators, which run in one process of their own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_process, args=(there, crm, erp), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()


@attrs.define(eq=False)
class Recorded:
    """HTTP that remembers what was sent, in order."""

    within: HttpTransport
    sent: list[Request] = attrs.Factory(list)
    lanes: dict[object, list[Request]] = attrs.Factory(dict)

    async def send(self, request: Request) -> Response:
        """Send it and remember it, and which task sent it."""
        self.sent.append(request)
        self.lanes.setdefault(asyncio.current_task(), []).append(request)
        return await self.within.send(request)

    async def close(self) -> None:
        """Close the connections."""
        await self.within.close()


def by_record(requests: Sequence[Request], pairs: Mapping[str, str]) -> tuple[list[list[Request]], list[Request]]:
    """The requests of each record in their order, and those that name none."""
    jobs: dict[str, list[Request]] = {}
    others = []
    for request in requests:
        last = request.url.rpartition("/")[2]
        key = pairs.get(last)
        (others if key is None else jobs.setdefault(key, [])).append(request)
    return list(jobs.values()), others


async def replay(session: aiohttp.ClientSession, jobs: Sequence[Sequence[Request]], others: Sequence[Request]) -> float:
    """Seconds that plain aiohttp takes: the first of the others, then all jobs ten at once, the rest beside them."""
    waiting = iter(jobs)

    async def send(request: Request) -> None:
        async with session.request(
            request.method, request.url, params=request.query or None, headers=request.headers, data=request.body
        ) as response:
            await response.read()

    async def worker() -> None:
        for job in waiting:
            for request in job:
                await send(request)

    async def rest() -> None:
        for request in others[1:]:
            await send(request)

    began = time.perf_counter()
    for request in others[:1]:
        await send(request)
    await asyncio.gather(rest(), *(worker() for _ in range(CONCURRENCY)))
    return time.perf_counter() - began
