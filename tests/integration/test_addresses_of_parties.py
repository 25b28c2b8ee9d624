"""Addresses between both simulators, as the example binds them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bidisync import LinkState
from bidisync_espo_advo.simulators.server import FaultRule
from lists import PERSON, SAME_PERSON, Lists, running

HOME = {"strasse": "Beispielstraße 5", "plz": "30159", "ort": "Hannover", "land": "D"}
IN_ESPOCRM = {
    "addressStreet": "Beispielstraße 5",
    "addressPostalCode": "30159",
    "addressCity": "Hannover",
    "addressCountry": "Deutschland",
}
VIENNA = {
    "addressStreet": "Musterweg 1",
    "addressPostalCode": "1010",
    "addressCity": "Wien",
    "addressCountry": "Österreich",
}


@pytest.fixture
async def both() -> AsyncIterator[Lists]:
    async with running("07_addresses") as lists:
        yield lists


async def linked(both: Lists) -> tuple[str, int, int]:
    """One party in both systems: its ids, and the id of its standard address; an older one beside it is over."""
    number = both.office.erp.store.create(**PERSON)
    both.office.erp.addresses.add(
        number, strasse="Altweg 9", standardAnschrift=True, gueltigVon="1999-01-01T00:00:00", gueltigBis="2009-12-31"
    )
    address = both.office.erp.addresses.add(number, **HOME, standardAnschrift=True, bemerkung="Hinterhof")
    both.office.erp.addresses.add(number, strasse="Ferienweg 1", ort="Norden", standardAnschrift=False)
    assert (await both.sweep(everything=True)).states() == {LinkState.IN_SYNC: 1}
    (id,) = both.office.crm.store.records
    return id, number, address


def in_espocrm(both: Lists, id: str) -> dict[str, Any]:
    return {name: both.office.crm.store.records[id][name] for name in IN_ESPOCRM}


def row(both: Lists, number: int, id: int) -> dict[str, Any]:
    return next(row for row in both.office.erp.addresses.of(number) if row["id"] == id)


async def test_the_standard_address_that_holds_today_is_the_one_of_espocrm(both: Lists):
    id, _, _ = await linked(both)
    assert in_espocrm(both, id) == IN_ESPOCRM
    both.office.forget_calls()
    await both.sweep()
    assert both.office.writes() == 0


async def test_street_postcode_and_town_change_in_the_row_both_ways_and_merge(both: Lists):
    id, number, address = await linked(both)
    both.office.crm.store.edit(id, addressStreet="Beispielstraße 6")
    both.office.erp.addresses.edit(number, address, plz="30161")
    assert (await both.sweep()).states() == {LinkState.IN_SYNC: 1}
    now = row(both, number, address)
    assert (now["strasse"], now["plz"], now["bemerkung"]) == ("Beispielstraße 6", "30161", "Hinterhof")
    assert in_espocrm(both, id) == IN_ESPOCRM | {"addressStreet": "Beispielstraße 6", "addressPostalCode": "30161"}
    assert len(both.office.erp.addresses.of(number)) == 3


async def test_another_country_is_another_address_and_a_person_ends_the_old_one(both: Lists):
    id, number, address = await linked(both)
    both.office.crm.store.edit(id, **VIENNA)
    outcome = await both.sync(f"left:{id}")
    assert (outcome.state, outcome.reason) == (LinkState.REVIEW, "left_over")
    *_, new = both.office.erp.addresses.of(number)
    assert (new["strasse"], new["land"], new["standardAnschrift"], new["gueltigBis"]) == (
        "Musterweg 1",
        "A",
        True,
        None,
    )
    assert row(both, number, address)["gueltigBis"] is None, "that can't be changed by a request"
    both.office.crm.store.edit(id, addressStreet="Musterweg 2")
    await both.sweep()
    assert row(both, number, new["id"])["strasse"] == "Musterweg 2", "the task freezes nothing"
    assert len(await both.waiting()) == 1
    both.office.erp.addresses.edit(number, address, gueltigBis="2020-12-31T00:00:00")
    await both.sweep()
    assert not await both.waiting()
    assert in_espocrm(both, id) == VIENNA | {"addressStreet": "Musterweg 2"}
    assert len(both.office.erp.addresses.of(number)) == 4


async def test_a_new_standard_address_of_advoware_comes_to_espocrm(both: Lists):
    id, number, address = await linked(both)
    both.office.erp.addresses.edit(number, address, gueltigBis="2020-12-31")
    vienna = dict(zip(HOME, (*list(VIENNA.values())[:3], "A"), strict=True))
    both.office.erp.addresses.add(number, **vienna, standardAnschrift=True)
    assert (await both.sweep()).states() == {LinkState.IN_SYNC: 1}
    assert in_espocrm(both, id) == VIENNA


async def test_an_address_that_was_emptied_is_a_task_and_no_write(both: Lists):
    id, number, address = await linked(both)
    before = both.office.erp.addresses.of(number)
    both.office.crm.store.edit(id, **dict.fromkeys(IN_ESPOCRM))
    outcome = await both.sync(f"left:{id}")
    assert (outcome.state, outcome.reason) == (LinkState.REVIEW, "ignored")
    assert both.office.erp.addresses.of(number) == before
    both.office.erp.addresses.edit(number, address, gueltigBis="2020-12-31")
    await both.sweep()
    assert not await both.waiting()


async def test_two_records_that_meet_with_the_same_address_have_it_once(both: Lists):
    number = both.office.erp.store.create(**PERSON)
    both.office.erp.addresses.add(number, **HOME, standardAnschrift=True)
    both.office.crm.store.create(**SAME_PERSON, **(IN_ESPOCRM | {"addressStreet": "Beispielstraße  5"}))
    assert (await both.sweep(everything=True)).states() == {LinkState.IN_SYNC: 1}
    assert len(both.office.erp.addresses.of(number)) == 1


async def test_a_party_made_in_espocrm_gets_its_address_and_a_lost_reply_makes_no_second_one(both: Lists):
    both.office.erp.control.rules.append(FaultRule("drop", method="POST", path="/Adressen$", when="after"))
    both.office.crm.store.create(**SAME_PERSON, **IN_ESPOCRM)
    assert (await both.sweep(everything=True)).states() == {LinkState.IN_SYNC: 1}
    (number,) = both.office.erp.store.records
    (address,) = both.office.erp.addresses.of(number)
    assert address.items() >= {**HOME, "standardAnschrift": True}.items()
    assert address["gueltigVon"] is not None


async def test_what_advoware_refuses_waits_for_a_person_and_the_rest_goes_on(both: Lists):
    id, number, address = await linked(both)
    both.office.crm.store.edit(id, addressStreet="x" * 255, zusatz="Hinterhaus")
    assert (await both.sweep()).states() == {LinkState.BLOCKED: 1}
    assert both.office.erp.store.records[number]["zusatz"] == "Hinterhaus"
    assert row(both, number, address)["strasse"] == HOME["strasse"]
