"""What each change costs, counted in the request logs of both systems: the table of the contract."""

from __future__ import annotations

from collections import Counter

import pytest

from bidisync import LinkState
from bidisync_espo_advo import PartySync, open_sync
from office import Office, opened

ADA = {"lastName": "Beispiel", "firstName": "Ada", "dateOfBirth": "1980-02-29"}
BOB = {"name": "Muster", "vorname": "Bob", "geburtsdatum": "1970-01-01T00:00:00"}


@pytest.fixture
async def office():
    async with opened(crm_records=3, erp_records=3) as office:
        yield office


@pytest.fixture
async def sync(office: Office):
    async with open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        office.forget_calls()
        yield sync


def linked(office: Office) -> tuple[str, int]:
    return next((id, r["betnr"]) for id, r in office.crm.store.records.items() if r.get("betnr"))


async def test_create_from_espocrm_to_advoware_takes_four_calls(office, sync):
    id = office.crm.store.create(**ADA)
    outcome = await sync.sync(f"left:{id}")
    assert outcome.state is LinkState.IN_SYNC
    assert office.counts() == Counter(["left GET", "right POST", "right GET", "left PUT"])
    crm, erp = office.pair(id)
    assert (erp["name"], erp["vorname"], erp["geburtsdatum"]) == ("Beispiel", "Ada", "1980-02-29T00:00:00")
    assert (crm["syncStatus"], crm["advowareRowId"]) == ("clean", erp["rowId"])


async def test_create_takes_three_calls_where_the_reply_of_advoware_proves_it():
    async with opened(erp_switches={"post.reply": "dict_with_rowId"}) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        office.forget_calls()
        id = office.crm.store.create(**ADA)
        await sync.sync(f"left:{id}")
        counts = office.counts()
        assert counts["left GET"] == counts["right POST"] == counts["left PUT"] == 1
        assert sum(counts.values()) <= 4


async def test_create_from_advoware_to_espocrm_takes_three_calls(office, sync):
    number = office.erp.store.create(**BOB)
    await sync.sync(f"right:{number}")
    assert office.counts() == Counter(["right GET", "left search", "left POST"])
    (crm,) = [r for r in office.crm.store.records.values() if r.get("betnr") == number]
    assert (crm["lastName"], crm["dateOfBirth"], crm["syncStatus"]) == ("Muster", "1970-01-01", "clean")


async def test_a_duplicate_that_a_birthday_disproves_costs_one_more_post(office, sync):
    office.crm.store.create(**{**ADA, "dateOfBirth": "1999-12-31"})
    await sync.sweep()
    office.forget_calls()
    number = office.erp.store.create(name="Beispiel", vorname="Ada", geburtsdatum="1980-02-29T00:00:00")
    await sync.sync(f"right:{number}")
    assert office.counts() == Counter({"right GET": 1, "left search": 1, "left POST": 2})


async def test_update_from_espocrm_to_advoware_takes_four_calls(office, sync):
    id, _ = linked(office)
    office.crm.store.edit(id, zusatz="Hinterhaus")
    await sync.sync(f"left:{id}")
    assert office.counts() == Counter(["left GET", "right GET", "right PUT", "left PUT"])
    crm, erp = office.pair(id)
    assert erp["zusatz"] == "Hinterhaus"
    assert crm["advowareRowId"] == erp["rowId"]


async def test_update_takes_one_read_more_where_the_reply_proves_nothing():
    async with opened(crm_records=1, erp_switches={"put.reply": "204"}) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        office.forget_calls()
        id, _ = linked(office)
        office.crm.store.edit(id, zusatz="Hinterhaus")
        await sync.sync(f"left:{id}")
        assert office.counts() == Counter({"left GET": 1, "right GET": 2, "right PUT": 1, "left PUT": 1})


async def test_update_from_advoware_to_espocrm_takes_three_calls(office, sync):
    id, number = linked(office)
    office.erp.store.edit(number, titel="Dr. h. c.")
    await sync.sync(f"right:{number}")
    assert office.counts() == Counter(["right GET", "left GET", "left PUT"])
    crm, erp = office.pair(id)
    assert crm["titel"] == "Dr. h. c."
    assert crm["advowareRowId"] == erp["rowId"]


async def test_edits_of_both_sides_in_one_record_take_four_calls(office, sync):
    id, number = linked(office)
    office.crm.store.edit(id, zusatz="Hinterhaus")
    office.erp.store.edit(number, titel="Dr. h. c.")
    await sync.sync(f"left:{id}")
    assert office.counts() == Counter(["left GET", "right GET", "right PUT", "left PUT"])
    crm, erp = office.pair(id)
    assert (crm["titel"], erp["zusatz"]) == ("Dr. h. c.", "Hinterhaus")


async def test_the_echo_of_an_own_write_takes_one_read(office, sync):
    id, number = linked(office)
    office.crm.store.edit(id, zusatz="Hinterhaus")
    await sync.sync(f"left:{id}")
    office.forget_calls()
    await sync.sync(f"left:{id}")
    assert office.calls() == ["left GET"]
    office.forget_calls()
    await sync.sync(f"right:{number}")
    assert office.calls() == ["right GET"]


async def test_a_hundred_hints_for_records_in_sync_write_nothing(office, sync):
    ids = [f"left:{id}" for id in office.crm.store.records]
    numbers = [f"right:{number}" for number in office.erp.store.records]
    for _ in range(9):
        await sync.sync_many([*ids, *numbers])
    assert office.writes() == 0
    assert set(office.counts()) <= {"left GET", "right GET"}


async def test_a_rowid_that_moved_with_equal_values_writes_nothing(office, sync):
    id, number = linked(office)
    office.erp.store.edit(number, bemerkung="nicht im Abgleich")
    await sync.sync(f"right:{number}")
    assert office.calls() == ["right GET"]
    await sync.sweep(everything=True)
    assert office.writes() == 0


async def test_in_a_batch_the_lists_bring_the_reads():
    async with opened(crm_records=20, erp_records=20) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        counts = office.counts()
        assert counts["right POST"] == counts["right GET"] == counts["left PUT"] == 20
        assert counts["left POST"] == 20
        assert counts["left search"] <= 20
        assert counts["left GET"] == 0, office.calls()
        office.forget_calls()
        pairs = [(id, r["betnr"]) for id, r in office.crm.store.records.items()]
        for id, _ in pairs[:10]:
            office.crm.store.edit(id, zusatz="Hinterhaus")
        for _, number in pairs[10:20]:
            office.erp.store.edit(number, titel="Dr. h. c.")
        await sync.sweep()
        assert office.counts() == Counter({"right GET": 10, "right PUT": 10, "left PUT": 20})
        office.forget_calls()
        await sync.sweep()
        assert office.calls() == []


async def test_with_the_status_off_espocrm_only_learns_the_number():
    async with opened(crm_records=1, sync={"visible_status": "off"}) as office:
        async with open_sync(office.settings) as sync:
            await sync.sweep(everything=True)
            (crm,) = office.crm.store.records.values()
            assert crm["betnr"] in office.erp.store.records
            assert (crm["syncStatus"], crm["advowareRowId"]) == ("pending_sync", None)
            office.forget_calls()
            office.crm.store.edit(crm["id"], zusatz="Hinterhaus")
            await sync.sync(f"left:{crm['id']}")
            assert office.counts() == Counter(["left GET", "right GET", "right PUT"])


async def test_a_pass_over_records_in_sync_writes_nothing(office, sync: PartySync):
    for everything in (True, False):
        await sync.sweep(everything=everything)
    assert office.writes() == 0
