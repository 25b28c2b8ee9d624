"""``espo-advo serve`` and ``worker`` as processes, over simulators in the test's own loop."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import attrs

from bidisync.clock import utc_text
from bidisync_espo_advo.webhook import signature
from command import configure, start
from office import FAST, Office
from watch import WATCH

TOKEN = "token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@attrs.frozen
class Served:
    """A running process and where it listens."""

    url: str
    process: asyncio.subprocess.Process
    told: list[str]  # its stderr so far

    async def stop(self) -> tuple[int, float]:
        """Its exit status after SIGTERM, and how long that took."""
        began = time.monotonic()
        if self.process.returncode is None:
            self.process.terminate()
        await asyncio.wait_for(self.process.wait(), 20)
        return self.process.returncode or 0, time.monotonic() - began

    def kill(self) -> None:
        self.process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hooked(office: Office, port: int, *, skip_own: bool = False) -> dict[str, str]:
    """Webhooks for every event of the office's EspoCRM to that port: the table of their keys."""
    keys = {}
    for event in ("create", "update", "delete"):
        url = f"http://127.0.0.1:{port}/webhooks/espocrm/{event}"
        body = {"event": f"CBeteiligte.{event}", "url": url, "skipOwn": skip_own}
        made = office.crm.store.webhooks.register(body, office.crm.store.users["sync"])
        keys[made["id"]] = made["secretKey"]
    return keys


def write_config(folder: Path, office: Office, **more: dict[str, Any]) -> None:
    tables: dict[str, Any] = {**office.tables, "state": {"url": f"sqlite:///{folder / 'state.db'}"}, **FAST}
    tables["web"] = {"token": TOKEN}
    for name, table in more.items():
        tables[name] = {**tables.get(name, {}), **table}
    configure(folder, tables)


@asynccontextmanager
async def running(*command: str, cwd: Path) -> AsyncIterator[Served]:
    """The command, ready; ended with SIGTERM unless it has ended."""
    process = await start(*command, cwd=cwd)
    assert process.stdout is not None
    assert process.stderr is not None
    told: list[str] = []
    ready = asyncio.Event()

    async def read_errors(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            told.append(line.decode())
            WATCH.hear("stderr of a service", line)
            ready.set()

    reader = asyncio.create_task(read_errors(process.stderr))
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 40)
        assert line, "".join(told)
        served = Served(json.loads(line).get("url", ""), process, told)
        yield served
        if WATCH.on and served.url and process.returncode is None:
            await _look_around(served)
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 20)
        await reader


PAGES = ("/", "/conflicts", "/dead", "/held", "/search", "/api/status", "/api/conflicts", "/metrics", "/readyz")
OPEN = ("/", "/conflicts", "/login", "/metrics", "/healthz", "/api/conflicts")


async def _look_around(served: Served) -> None:
    """Take down what a masked session and a stranger see."""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
            for path in OPEN:
                async with session.get(served.url + path) as answer:
                    WATCH.hear(f"{path} to a stranger", await answer.read(), "pages and metrics of services")
            paths, seen = list(PAGES), set[str]()
            while paths and len(seen) < 60:
                seen.add(path := paths.pop(0))
                async with session.get(served.url + path, headers=BEARER) as answer:
                    page = await answer.read()
                WATCH.hear(f"{path}, masked", page, "pages and metrics of services")
                links = re.findall(rb'href="(/records/[^"]+)"', page)
                paths += [link.decode() for link in dict.fromkeys(links) if link.decode() not in {*paths, *seen}]


async def until(true: Callable[[], bool], within_s: float = 30.0, what: str = "", every_s: float = 0.02) -> float:
    """How long it took until that was so."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < within_s, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(every_s)
    return time.monotonic() - began


async def status(served: Served) -> dict[str, Any]:
    async with aiohttp.ClientSession(headers=BEARER) as session, session.get(served.url + "/api/status") as response:
        assert response.status == 200
        return dict(await response.json())


async def begun(served: Served, within_s: float = 30.0) -> None:
    """Return once the passes of the start have ended: guards hold what everybody edits during one."""
    began = time.monotonic()
    while min((await status(served))["next"].values()) <= utc_text(time.time()):
        assert time.monotonic() - began < within_s, "the passes of the start do not end"
        await asyncio.sleep(0.1)


async def drained(served: Served, within_s: float = 30.0) -> None:
    """Return once no hint waits."""
    began = time.monotonic()
    while (now := await status(served))["hints"]["waiting"]:
        assert time.monotonic() - began < within_s, now
        await asyncio.sleep(0.1)


def signed(id: str, secret: str, body: bytes) -> dict[str, str]:
    return {"Signature": signature(id, body, secret), "Content-Type": "application/json"}


def signed_as_before(id: str, secret: str, body: bytes) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return {"X-Signature": base64.b64encode(f"{id}:".encode() + digest).decode()}
