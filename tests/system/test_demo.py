"""The demo that goes on: simulators, worker and site in one process, until somebody ends it."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import attrs
import pytest

from command import start

ADDRESSES = re.compile(r"Still running: EspoCRM on (\S+)/, Advoware on (\S+)/")
SITE = re.compile(r"The site is (\S+), its token (\S+);")


@attrs.frozen
class Demo:
    process: asyncio.subprocess.Process
    crm: str
    erp: str
    site: str
    session: aiohttp.ClientSession

    async def ended_by(self, number: signal.Signals) -> tuple[int, float]:
        """Its exit status, and how long it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 20), time.monotonic() - began

    async def puts(self) -> int:
        """How many writes EspoCRM has taken."""
        async with self.session.get(f"{self.crm}/_simulator/log") as response:
            return int((await response.json())["calls"].get("PUT", 0))


@asynccontextmanager
async def demo(*arguments: str, cwd: Path) -> AsyncIterator[Demo]:
    process = await start("demo", "--serve", *arguments, cwd=cwd)
    assert process.stdout is not None
    told = ""
    try:
        while not (site := SITE.search(told)):
            line = await asyncio.wait_for(process.stdout.readline(), 90)
            assert line, told
            told += line.decode()
        addresses = ADDRESSES.search(told)
        assert addresses is not None, told
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {site[2]}"}) as session:
            yield Demo(process, addresses[1], addresses[2], site[1], session)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_demo_goes_on_syncing_until_it_is_told_to_stop_and_ends_in_order(tmp_path):
    async with demo("--records", "12", cwd=tmp_path) as running:
        async with running.session.get(f"{running.site}/api/status") as response:
            assert response.status == 200
            assert (await response.json())["links"]
        async with running.session.get(f"{running.site}/readyz", headers={"Authorization": ""}) as response:
            assert response.status == 401
        async with running.session.get(f"{running.erp}/_simulator/records") as response:
            number = (await response.json())[-1]["betNr"]  # it came from EspoCRM: nothing of it waits for a person
        before = await running.puts()
        url = f"{running.erp}/_simulator/records/{number}"
        async with running.session.patch(url, json={"titel": "Prof. Dr."}) as response:
            assert response.status == 200
        async with asyncio.timeout(30):
            while await running.puts() == before:
                await asyncio.sleep(0.1)
        status, took = await running.ended_by(signal.SIGTERM)
        assert status == 0
        assert took < 10
        for url in (running.crm, running.erp, running.site):
            with pytest.raises(aiohttp.ClientConnectionError):
                await running.session.get(url)
    assert not list(tmp_path.iterdir()), "it leaves nothing behind"


async def test_a_hostile_demo_comes_to_rest_and_is_ended_from_the_keyboard(tmp_path):
    async with demo("--hostile", "--records", "6", cwd=tmp_path) as running:
        status, took = await running.ended_by(signal.SIGINT)
        assert status == 0
        assert took < 10
