"""An own conflict strategy for one field group: the longer text wins, and a draw goes to a person.

A strategy is any function of a ``Conflict``. It is asked only about fields that both sides
changed differently; whatever it decides, the value that loses is kept in the journal.
"""

import asyncio

from bidisync import Conflict, Defer, Resolution, Value
from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.simulators import advoware_simulator, espocrm_simulator


def longer(conflict: Conflict) -> Resolution:
    """The longer text of each field; a person decides between two of one length."""
    settled: dict[str, Value] = {}
    for name, versions in conflict.fields.items():
        left, right = str(versions.left or ""), str(versions.right or "")
        if len(left) == len(right):
            return Defer("same_length")
        settled[name] = max(left, right, key=len)
    return settled


async def main() -> None:
    async with espocrm_simulator(records=2) as crm, advoware_simulator() as erp:
        tables = {"espocrm": crm.config, "advoware": erp.config, "state": {"url": "sqlite:///:memory:"}}
        async with open_sync(Settings.from_tables(tables), strategies={"stammdaten": longer}) as sync:
            await sync.sweep(everything=True)
            (one, first), (two, second) = [(id, r["betnr"]) for id, r in crm.store.records.items()]

            crm.store.edit(one, zusatz="Hinterhaus")
            erp.store.edit(first, zusatz="Hinterhaus, 2. Stock")
            crm.store.edit(two, zusatz="links")
            erp.store.edit(second, zusatz="recht")
            await sync.sweep()

            print("both sides now hold:", crm.store.records[one]["zusatz"], "/", erp.store.records[first]["zusatz"])
            outcome = await sync.sync(f"left:{two}")
            print("the other record:", outcome.state.value, "-", outcome.reason)
            assert crm.store.records[one]["zusatz"] == erp.store.records[first]["zusatz"] == "Hinterhaus, 2. Stock"


asyncio.run(main())
