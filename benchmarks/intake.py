"""Webhook intake, signature and durable storing included, against bare aiohttp with the same HMAC.

Both servers run in processes of their own, one after the other, under the same clients. The
goal is at least half of the bare one.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import multiprocessing
import sys
import tempfile
import time  # noqa: TID251 - it measures
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bidisync.runners.local import LocalQueue
from bidisync.stores.sqlite import SqliteStore
from bidisync_espo_advo.web import listening
from bidisync_espo_advo.web.access import Access
from bidisync_espo_advo.web.intake import Intake
from bidisync_espo_advo.web.keeping import Keeping
from bidisync_espo_advo.webhook import signature

HOOK, SECRET = "65f0c0ffee", "0123456789abcdef0123456789abcdef"
CLIENTS, SECONDS, ROUNDS = 64, 3.0, 3
PATH = "/webhooks/espocrm/update"


async def bare(ready: Any) -> None:
    """The least that proves who sent a body."""

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        wanted = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return web.Response(status=200 if hmac.compare_digest(request.headers["X-Digest"], wanted) else 401)

    app = web.Application()
    app.add_routes([web.post(PATH, take)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ready.send(f"http://127.0.0.1:{runner.addresses[0][1]}")
    await asyncio.Event().wait()


async def ours(ready: Any) -> None:
    """The intake of ``serve``, behind its guard of every route, over a state in a file."""
    with tempfile.TemporaryDirectory() as folder:
        store = await SqliteStore.open(Path(folder) / "state.db")
        intake = Intake({HOOK: SECRET}, Keeping(LocalQueue(store).submit))
        app = web.Application(middlewares=[Access("token").middleware])
        app.add_routes(intake.routes())
        async with listening(app, "127.0.0.1", 0) as url:
            ready.send(url)
            await asyncio.Event().wait()


async def rate(url: str) -> float:
    """Requests a second, every one of them answered with 200."""
    done, until = 0, time.perf_counter() + SECONDS

    async def client(session: aiohttp.ClientSession, place: int) -> None:
        nonlocal done
        number = 0
        while time.perf_counter() < until:
            number += 1
            body = json.dumps([{"id": f"{place:03}{number:014}", "modifiedById": "x" * 17, "zusatz": "c/o"}]).encode()
            digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            headers = {"Signature": signature(HOOK, body, SECRET), "X-Digest": digest}
            async with session.post(url + PATH, data=body, headers=headers) as response:
                assert response.status == 200, response.status  # noqa: S101
            done += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CLIENTS)) as session:
        began = time.perf_counter()
        await asyncio.gather(*(client(session, place) for place in range(CLIENTS)))
        return done / (time.perf_counter() - began)


def run_server(serve: Any, ready: Any) -> None:
    """The process of a server."""
    asyncio.run(serve(ready))


def measured(serve: Any) -> float:
    """The rate of a server in a process of its own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=run_server, args=(serve, there), daemon=True)
    process.start()
    try:
        return asyncio.run(rate(here.recv()))
    finally:
        process.kill()
        process.join()


def main() -> int:
    """Print both rates; 1 if ours is below half of the bare one."""
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(ROUNDS):
        rates["bare"].append(measured(bare))
        rates["ours"].append(measured(ours))
    best = {name: max(found) for name, found in rates.items()}
    ratio = best["ours"] / best["bare"]
    print(f"bare aiohttp with HMAC {best['bare']:,.0f}/s, intake with durable hints {best['ours']:,.0f}/s: {ratio:.2f}")
    print(f"goal at least 0.5: {'reached' if ratio >= 0.5 else 'not reached'}")
    return 0 if ratio >= 0.5 else 1


if __name__ == "__main__":
    sys.exit(main())
