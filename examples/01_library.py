"""The library in ten lines: two systems, one sync, what became of it."""

import asyncio

from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.simulators import advoware_simulator, espocrm_simulator

MEMORY = {"url": "sqlite:///:memory:"}


async def main() -> None:
    async with espocrm_simulator(records=3) as crm, advoware_simulator(records=2) as erp:
        settings = Settings.from_tables({"espocrm": crm.config, "advoware": erp.config, "state": MEMORY})
        async with open_sync(settings) as sync:
            tally = await sync.sweep(everything=True)
            print("created:", {side.value: number for side, number in tally.created.items()})


asyncio.run(main())
