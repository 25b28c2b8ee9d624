"""200 changed records against remotes that take 20 ms, ten at once: what the sync adds to its own calls.

    python3 dev bench remotes

Both simulators run in one other process, over real HTTP. Half of the records were edited in
EspoCRM, half in Advoware; ``sync_many`` brings them into step with everything on (a state in a
file, journal, intents, leases). Its requests are recorded, and plain aiohttp then sends the
very same: those of each record one after the other, ten records at once, bodies read and
thrown away. Nothing shorter carries these calls in that order.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time  # noqa: TID251 - it measures
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
from plain import CONCURRENCY, Recorded, by_record, replay, systems

from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.transport import HttpTransport

RECORDS, LATENCY_MS, ROUNDS, GOAL = 200, 20, 7, 1.05


async def edit(session: aiohttp.ClientSession, tables: dict[str, dict[str, Any]], turn: int) -> list[str]:
    """Let people edit every record on one side; a ref to each, and nothing else is told."""
    crm, erp = tables["espocrm"]["url"], tables["advoware"]["discovery_url"]
    async with session.get(f"{crm}_simulator/records") as response:
        records = await response.json()
    refs = []
    for place, (id, number) in enumerate(sorted((record["id"], record["betnr"]) for record in records)):
        if place % 2:
            url, body, ref = f"{crm}_simulator/records/{id}", {"zusatz": f"c/o {turn}"}, f"left:{id}"
        else:
            url, body, ref = f"{erp}_simulator/records/{number}", {"titel": f"Dr. {turn}"}, f"right:{number}"
        async with session.patch(url, json=body) as response:
            assert response.status == 200, await response.text()  # noqa: S101
        refs.append(ref)
    return refs


async def pairs_of(session: aiohttp.ClientSession, crm: str) -> dict[str, str]:
    """Either id of a record to the one that names its pair."""
    async with session.get(f"{crm}_simulator/records") as response:
        records = await response.json()
    return {name: record["id"] for record in records for name in (record["id"], str(record["betnr"]))}


async def slow(session: aiohttp.ClientSession, tables: dict[str, dict[str, Any]], latency_ms: int) -> None:
    """Let both remotes take that long."""
    for url in (tables["espocrm"]["url"], tables["advoware"]["discovery_url"]):
        async with session.put(f"{url}_simulator/switches", json={"latency_ms": str(latency_ms)}) as response:
            assert response.status == 200, await response.text()  # noqa: S101


async def measure(tables: dict[str, dict[str, Any]], folder: Path) -> tuple[list[float], Counter[str], float]:
    """The ratio of each round, the calls of the last one, and its seconds of plain aiohttp."""
    wires = {name: Recorded(HttpTransport()) for name in ("espocrm", "advoware")}
    settings = Settings.from_tables({**tables, "state": {"url": f"sqlite:///{folder / 'state.db'}"}})
    ratios, calls, plain = [], Counter[str](), 0.0
    async with aiohttp.ClientSession() as session, open_sync(settings, transports=wires) as sync:
        await sync.sweep(everything=True)
        pairs = await pairs_of(session, tables["espocrm"]["url"])
        await slow(session, tables, LATENCY_MS)
        for turn in range(ROUNDS):
            refs = await edit(session, tables, turn)
            sent: list[Any] = []
            for wire in wires.values():
                wire.sent = sent
            began = time.perf_counter()
            outcomes = await sync.sync_many(refs)
            took = time.perf_counter() - began
            if [bool(outcome.updated) for outcome in outcomes] != [True] * RECORDS:
                raise RuntimeError("not every record was brought into step")
            jobs, others = by_record(sent, pairs)
            plain = await replay(session, jobs, others)
            calls = Counter(request.method for request in sent)
            ratios.append(took / plain)
    return ratios, calls, plain


def main() -> int:
    """Print the ratio; 1 if it is above the goal."""
    with (
        tempfile.TemporaryDirectory() as folder,
        systems({"records": RECORDS}, {"records": RECORDS, "shared": RECORDS}) as tables,
    ):
        ratios, calls, plain = asyncio.run(measure(tables, Path(folder)))
    ratio = statistics.median(ratios)
    number = sum(calls.values())
    ideal = number * LATENCY_MS / 1000 / CONCURRENCY
    print(f"{number} calls for {RECORDS} changed records: {', '.join(f'{n} {verb}' for verb, n in calls.items())}")
    print(f"plain aiohttp {plain:.2f} s, which is {plain / ideal:.2f} x the ideal")
    print(
        f"sync / plain aiohttp: {' '.join(f'{ratio:.2f}' for ratio in ratios)}; median {ratio:.2f}, goal at most {GOAL}"
    )
    print("reached" if ratio <= GOAL else "not reached")
    return int(ratio > GOAL)


if __name__ == "__main__":
    sys.exit(main())
