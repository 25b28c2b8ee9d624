"""Two commands at once on one state: nobody is doubled and nothing is written twice, with leases and without."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter

import pytest
from siege import Town, town

from command import run

NIGHT = bool(os.environ.get("BIDISYNC_NIGHT"))
ROUNDS, EDITED, NEW = 2, 10, 2


async def edits_of_a_day(town: Town, day: int) -> Counter[str]:
    """Edits of different records, and new ones; the writes that they call for."""
    people = town.people
    for number in range(EDITED):
        text = f"Tag {day}.{number}"
        if number % 2:
            people.replaced[text] = await people.crm.edit(people.crm_ids[number], "titel", text)
        else:
            people.replaced[text] = await people.erp.edit(people.erp_ids[number], "titel", text)
    for number in range(NEW):
        name = f"Neu{day}.{number}"
        people.names.add(name)
        await people.crm.create({"lastName": name, "firstName": "Ada", "dateOfBirth": "1980-02-29"})
        people.names.add(f"Anders{name}")
        await people.erp.create({"name": f"Anders{name}", "vorname": "Bob", "geburtsdatum": "1970-01-01T00:00:00"})
    data, new = EDITED // 2, NEW
    return Counter({"crm POST": new, "erp POST": new, "erp PUT": data, "crm PUT": data + data + new})


async def written(town: Town) -> Counter[str]:
    """The writes that were carried out, refused ones aside."""
    found: Counter[str] = Counter()
    for name, system in (("crm", town.people.crm), ("erp", town.people.erp)):
        for entry in await system.requests():
            if entry["method"] in ("POST", "PUT", "DELETE") and "eteiligte" in entry["path"] and entry["status"] < 400:
                found[f"{name} {entry['method']}"] += 1
    return found


@pytest.mark.parametrize(
    ("lock", "enforced"),
    [("redis", False), ("off", False), *([("off", True), ("redis", True)] if NIGHT else [])],
)
async def test_two_syncs_at_once_write_everything_once(tmp_path, redis_server, lock: str, enforced: bool):
    tables = {"lock": {"url": redis_server.url if lock == "redis" else "off://"}}
    began = time.monotonic()
    async with town(tmp_path, redis_server, 1, enforced=enforced, **tables) as both:
        total: Counter[str] = Counter()
        for day in range(ROUNDS):
            await both.people.crm.forget_requests()
            await both.people.erp.forget_requests()
            wanted = await edits_of_a_day(both, day)
            ended = await asyncio.gather(*(run("sync", "--all", "--json", cwd=tmp_path) for _ in range(2)))
            assert [(end.status, end.err) for end in ended] == [(0, ""), (0, "")], [end.out for end in ended]
            total += await written(both)
            assert await written(both) == wanted
        await both.nothing_is_wrong()
        print(f"{ROUNDS} times two syncs at once, lock {lock}: {dict(total)} in {time.monotonic() - began:.1f} s")
