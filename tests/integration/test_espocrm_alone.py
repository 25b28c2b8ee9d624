"""EspoCRM alone as one side, over real HTTP."""

from __future__ import annotations

import pytest

from bidisync import FieldMap, FieldMapper, Misconfigured
from bidisync_espo_advo import Settings, open_espocrm
from bidisync_espo_advo.simulators import espocrm_simulator

MAPPER = FieldMapper((FieldMap("name", "lastName"), FieldMap("title", "titel")))


async def test_records_come_in_the_shared_form_and_observers_hear_of_every_call():
    heard = []
    async with espocrm_simulator(records=3) as server:
        settings = Settings.from_tables({"espocrm": server.config})
        async with open_espocrm(settings, MAPPER, observers=[heard.append]) as crm:
            rows = [row async for page in crm.list() for row in page.snapshots]
    assert sorted(row.fields["name"] for row in rows) == sorted(r["lastName"] for r in server.store.records.values())
    assert {frozenset(row.fields) for row in rows} == {frozenset({"name", "title"})}
    assert [type(event).__name__ for event in heard] == ["Called"]


async def test_without_an_address_nothing_is_opened():
    with pytest.raises(Misconfigured, match=r"espocrm\.url"):
        async with open_espocrm(Settings.from_tables({}), MAPPER):
            pass
