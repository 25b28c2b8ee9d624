"""Filters that the recording lacks, answered as the description and the source have them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from bidisync_espo_advo.simulators import EspoServer, espocrm_simulator

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


async def asked(crm: EspoServer, search: Any) -> tuple[int, list[str], str]:
    headers = {"X-Api-Key": crm.users["sync"]["api_key"]}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{crm.url}api/v1/CBeteiligte", params={"searchParams": json.dumps(search)}) as reply,
    ):
        text = await reply.text()
        return (
            reply.status,
            sorted(r["lastName"] for r in json.loads(text)["list"]) if reply.status == 200 else [],
            text,
        )


@pytest.mark.parametrize(
    ("how", "value", "found"),
    [
        ("lastSevenDays", None, ["today", "yesterday"]),
        ("lastXDays", 40, ["october", "today", "yesterday"]),
        ("nextXDays", 1, ["today", "tomorrow"]),
        ("olderThanXDays", 40, ["last year"]),
        ("afterXDays", 0, ["tomorrow"]),
        ("currentMonth", None, ["today", "tomorrow", "yesterday"]),
        ("lastMonth", None, ["october"]),
        ("currentQuarter", None, ["october", "today", "tomorrow", "yesterday"]),
        ("lastYear", None, ["last year"]),
    ],
)
async def test_periods_count_from_today(how, value, found):
    async with espocrm_simulator(clock=lambda: NOW) as crm:
        days = {"today": "2026-11-24", "yesterday": "2026-11-23", "tomorrow": "2026-11-25", "october": "2026-10-31",
                "last year": "2025-06-01"}  # fmt: skip
        for name, day in days.items():
            crm.store.create(lastName=name, dateOfBirth=day)
        item = {"type": how, "attribute": "dateOfBirth", "value": value}
        assert (await asked(crm, {"where": [item]}))[:2] == (200, found)


@pytest.mark.parametrize(
    ("how", "found"),
    [("linkedWith", ["with"]), ("notLinkedWith", ["without"]), ("isLinked", ["with"]), ("isNotLinked", ["without"]),
     ("linkedWithAll", ["with"])],
)  # fmt: skip
async def test_a_link_of_many_to_many_can_be_asked_for(how, found):
    async with espocrm_simulator() as crm:
        one, _ = crm.store.create(lastName="with"), crm.store.create(lastName="without")
        headers = {"X-Api-Key": crm.users["sync"]["api_key"]}
        async with aiohttp.ClientSession(headers=headers) as session:
            akte = {"name": "A", "aktenzeichen": "1/26"}
            async with session.post(f"{crm.url}api/v1/CAkte", json=akte) as reply:
                file = (await reply.json())["id"]
            async with session.post(f"{crm.url}api/v1/CBeteiligte/{one}/akten", json={"id": file}) as reply:
                assert await reply.json() is True
        item = {"type": how, "attribute": "akten", "value": [file]}
        assert (await asked(crm, {"where": [item]}))[:2] == (200, found)


@pytest.mark.parametrize("search", [{"orderBy": ["a"]}, {"order": {}}, {"where": [{"type": {"a": 1}}]}, {"where": [5]}])
async def test_nonsense_is_a_500_with_an_empty_body_as_php_gives(search):
    async with espocrm_simulator() as crm:
        assert await asked(crm, search) == (500, [], "")
