"""The first contact of 2,000 parties with simulators that answer at once: how much of their own rate is used.

    python3 dev bench first_contact

Both simulators run in one other process, over real HTTP; a third of the parties is on both
sides, a third on either alone. One complete pass reads both lists, links and creates, with a
state in a file. Its requests are recorded, and plain aiohttp sends the very same again, ten at
once, as the pass did: that is the simulators' own rate for this mix.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time  # noqa: TID251 - it measures
from pathlib import Path
from typing import Any

import aiohttp
from plain import Recorded, replay, systems

from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.transport import HttpTransport

PARTIES, ROUNDS, GOAL = 2000, 3, 0.6


async def measure(tables: dict[str, dict[str, Any]], folder: Path) -> tuple[float, float]:
    """Requests a second of the pass, and of plain aiohttp."""
    lanes: dict[object, list[Any]] = {}
    wires = {name: Recorded(HttpTransport(), lanes=lanes) for name in ("espocrm", "advoware")}
    settings = Settings.from_tables({**tables, "state": {"url": f"sqlite:///{folder / 'state.db'}"}})
    async with open_sync(settings, transports=wires) as sync:
        began = time.perf_counter()
        tally = await sync.sweep(everything=True)
        took = time.perf_counter() - began
        assert sum(tally.created.values()) >= PARTIES // 3 * 2, tally.created  # noqa: S101
        number = sum(map(len, lanes.values()))
    first, *rest = lanes.values()  # the lists, then what worked side by side
    async with aiohttp.ClientSession() as session:
        again = await replay(session, rest, first)
    return number / took, number / again


def main() -> int:
    """Print the share; 1 if it is below the goal."""
    shares = []
    on_each, on_both = PARTIES * 2 // 3, PARTIES // 3
    for _ in range(ROUNDS):
        with (
            tempfile.TemporaryDirectory() as folder,
            systems({"records": on_each}, {"records": on_each, "shared": on_both}) as tables,
        ):
            ours, own = asyncio.run(measure(tables, Path(folder)))
        shares.append(ours / own)
        print(f"first contact {ours:,.0f} requests/s, the simulators' own rate {own:,.0f}/s: {ours / own:.2f}")
    share = statistics.median(shares)
    print(f"median {share:.2f}, goal at least {GOAL}: {'reached' if share >= GOAL else 'not reached'}")
    return int(share < GOAL)


if __name__ == "__main__":
    sys.exit(main())
