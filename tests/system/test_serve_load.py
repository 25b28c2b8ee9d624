"""Everybody edits at once: every edit arrives, none twice, whatever becomes of the webhooks.

Advoware checks here what a PUT was based on. One that does not can't be kept from losing an
edit that falls between our read and our write; the whole minute also counts how many do.

``BIDISYNC_LOAD_S=60`` makes it the whole minute that `dev night` runs, and the pace of webhooks
and polls that of an installation with its defaults.
"""

from __future__ import annotations

import asyncio
import os
import random
import time

import pytest

from command import run
from office import Office, opened
from served import begun, drained, free_port, hooked, running, until, write_config

LOAD_S = float(os.environ.get("BIDISYNC_LOAD_S", "8"))
PER_S = 20
RECORDS = 150
WHOLE = LOAD_S >= 60
MODES = ["on", "half lost", "all lost", "real pace", *(["on, Advoware checks nothing"] if WHOLE else [])]
FREE = {"max_overwrite_percent": 100.0, "max_blank_percent": 100.0, "max_creates": 10_000}


class People:
    """Edit both sides at a steady pace, and see when their edits arrive; different fields on each side."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.rng = random.Random(7)
        self.pairs = [(id, record["betnr"]) for id, record in office.crm.store.records.items()]
        self.waiting: dict[tuple[str, str], tuple[str, float]] = {}
        self.lags: list[float] = []

    def edit(self, number: int) -> None:
        id, betnr = self.rng.choice(self.pairs)
        if number % 2:
            self.office.crm.store.edit(id, zusatz=f"Z{number}")
            self.waiting[id, "zusatz"] = (f"Z{number}", time.monotonic())
        else:
            self.office.erp.store.edit(betnr, titel=f"T{number}")
            self.waiting[id, "titel"] = (f"T{number}", time.monotonic())

    def look(self) -> bool:
        """Whether everything has arrived."""
        records, parties = self.office.crm.store.records, self.office.erp.store.records
        for (id, field), (value, since) in list(self.waiting.items()):
            record = records[id]
            party = parties[record["betnr"]]
            if (party if field == "zusatz" else record)[field] == value:
                self.lags.append(time.monotonic() - since)
                del self.waiting[id, field]
        return not self.waiting

    async def overwritten(self, within_s: float) -> int:
        """How many edits are on neither side once nothing more is to come."""
        ends = time.monotonic() + within_s
        while not self.look() and time.monotonic() < ends:
            await asyncio.sleep(0.2)
        for id, field in self.waiting:
            assert self.office.pair(id)[0][field] == self.office.pair(id)[1][field], "both sides agree all the same"
        return len(self.waiting)

    async def work(self) -> int:
        began, number = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < LOAD_S:
            while number < elapsed * PER_S:
                number += 1
                self.edit(number)
            self.look()
            await asyncio.sleep(0.2)
        return number

    def p95(self) -> float:
        return sorted(self.lags)[int(0.95 * (len(self.lags) - 1))]


@pytest.mark.parametrize("webhooks", MODES)
async def test_twenty_edits_a_second_all_arrive_and_none_twice(tmp_path, webhooks, record_property):
    port = free_port()
    switches = {"webhook.interval_s": "1", "webhook.portion": "50"}
    poll_s = 2.0
    if webhooks == "real pace":  # EspoCRM sends far less than is edited: the polls carry most of it
        switches = {"webhook.interval_s": "120" if WHOLE else "4", "webhook.portion": "20"}
        poll_s = 60.0 if WHOLE else 2.0
    checks = {} if "nothing" in webhooks else {"if_match": "rowId_in_body_checked"}
    async with opened(crm_records=RECORDS, crm_switches=switches, erp_switches=checks) as office:
        write_config(tmp_path, office, guards=FREE)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        office.crm.store.webhooks.queue.clear()
        keys = hooked(office, port)
        if webhooks == "half lost":
            secrets = list(keys)
            keys[secrets[1]] = "not the key"  # updates are refused, and sent once more after ten minutes
        if webhooks == "all lost":
            for hook in office.crm.store.webhooks.hooks.values():
                hook.url = f"http://127.0.0.1:{free_port()}/nobody"
        sync = {"poll_interval_s": poll_s, "inventory_interval_s": 3600.0}
        write_config(tmp_path, office, guards=FREE, espocrm={"webhooks": keys}, sync=sync)
        async with running("serve", "--port", str(port), cwd=tmp_path) as served:
            await begun(served)
            office.forget_calls()
            people = People(office)
            edits = await people.work()
            lost = 0
            if checks:
                await until(people.look, 60 + 2 * poll_s, "every edit", every_s=0.2)
            else:
                lost = await people.overwritten(60)
            await drained(served, 60)
            writes = office.counts()
            assert not [line for line in served.told if "failed" in line], served.told
        told = "" if checks else f"{lost} overwritten, "
        print(f"\n{webhooks}: {edits} edits in {LOAD_S:g} s, {told}p95 lag {people.p95():.2f} s, {dict(writes)}")
        assert writes["right PUT"] + writes["left PUT"] <= 2 * edits, "a data and a bookkeeping write for each"
        assert writes["right POST"] == writes["left POST"] == 0, "none twice"
        assert len(office.erp.store.records) == RECORDS
        assert {record["syncStatus"] for record in office.crm.store.records.values()} == {"clean"}
