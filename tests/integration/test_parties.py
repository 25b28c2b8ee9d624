"""Parties between both simulators: what must never be lost, doubled or touched."""

from __future__ import annotations

import pytest

from bidisync import Conflict, LinkState, Resolution
from bidisync_espo_advo import open_sync
from office import Office, opened

MAPPED = {
    "name", "vorname", "rechtsform", "titel", "anrede", "bAnrede", "zusatz", "geburtsdatum", "handelsRegisterNummer",
    "registergericht", "geburtsname", "familienstand", "kurzname", "art",
}  # fmt: skip
SERVERS = {"rowId", "geaendertAm", "geaendertVon"}


@pytest.fixture
async def office():
    async with opened(crm_records=6, erp_records=6) as office:
        yield office


def unmapped(party: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in party.items() if name not in MAPPED | SERVERS}


async def test_what_the_mapping_does_not_know_stays_untouched_on_both_sides(office: Office):
    async with open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        before = {number: unmapped(party) for number, party in office.erp.store.records.items()}
        remarks = {id: r["description"] for id, r in office.crm.store.records.items()}
        for id in office.crm.store.records:
            office.crm.store.edit(id, zusatz="Hinterhaus")
        await sync.sweep()
        assert {number: unmapped(party) for number, party in office.erp.store.records.items()} == before
        assert {id: r["description"] for id, r in office.crm.store.records.items()} == remarks


async def test_a_cleared_value_travels_both_ways(office: Office):
    async with open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        (id, record), *_ = [(i, r) for i, r in office.crm.store.records.items() if r["anrede"]]
        office.crm.store.edit(id, anrede=None)
        office.erp.store.edit(record["betnr"], bAnrede=None)
        await sync.sweep()
        crm, erp = office.pair(id)
        assert (crm["anrede"], erp["anrede"]) == (None, None)
        assert (crm["briefanrede"], erp["bAnrede"]) == (None, None)


async def test_a_field_that_advoware_ignores_becomes_one_quiet_review(office: Office):
    async with open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        id = next(iter(office.crm.store.records))
        office.crm.store.edit(id, kurzname="Anders")
        office.forget_calls()
        outcome = await sync.sync(f"left:{id}")
        assert outcome.state is LinkState.REVIEW
        assert "right PUT" not in office.counts(), "no write for a field that would be ignored"
        assert office.pair(id)[0]["syncStatus"] == "conflict"
        office.forget_calls()
        await sync.sweep(everything=True)
        assert office.writes() == 0, "quiet until either side changes again"
        office.erp.store.edit(office.pair(id)[0]["betnr"], kurzname="Neu")
        await sync.sweep()
        assert office.pair(id)[0]["kurzname"] == "Neu"
        assert (await sync.states()).get(LinkState.REVIEW, 0) == 0


async def test_strategies_differ_by_group_and_come_from_python_too(office: Office):
    asked: list[str] = []

    def longest(conflict: Conflict) -> Resolution:
        asked.append(conflict.group)
        return {name: max(str(v.left), str(v.right), key=len) for name, v in conflict.fields.items()}

    async with open_sync(office.settings, strategies={"stammdaten": longest}) as sync:
        await sync.sweep(everything=True)
        id = next(iter(office.crm.store.records))
        number = office.pair(id)[0]["betnr"]
        office.crm.store.edit(id, zusatz="kurz", art="Kontakt")
        office.erp.store.edit(number, zusatz="viel länger", art="Mandant")
        await sync.sweep()
        crm, erp = office.pair(id)
        assert crm["zusatz"] == erp["zusatz"] == "viel länger"
        assert crm["art"] == erp["art"] == "Mandant", "the group personenstand is Advoware's"
        assert set(asked) == {"stammdaten"}


async def test_two_espocrm_records_with_one_number_are_both_left_to_a_person(office: Office):
    async with open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        id = next(iter(office.crm.store.records))
        number = office.pair(id)[0]["betnr"]
        copy = office.crm.store.create(lastName="Kopie", firstName="Eine", betnr=number)
        await sync.sweep()
        states = {i: (await sync.sync(f"left:{i}")).state for i in (id, copy)}
        assert states == {id: LinkState.REVIEW, copy: LinkState.REVIEW}
        office.forget_calls()
        await sync.sweep(everything=True)
        assert office.writes() == 0


async def test_a_lost_state_is_rebuilt_from_the_numbers_without_a_write(office: Office):
    async with open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
    office.forget_calls()
    async with open_sync(office.settings) as sync:
        tally = await sync.sweep(everything=True)
        assert tally.adopted == 12
        assert tally.states() == {LinkState.IN_SYNC: 12}
    assert office.writes() <= 12, "at most the bookkeeping"
    assert len(office.crm.store.records) == len(office.erp.store.records) == 12


async def test_a_party_that_vanished_in_advoware_is_shown_and_neither_made_again_nor_deleted(office: Office):
    async with open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        id = next(iter(office.crm.store.records))
        office.erp.store.delete(office.pair(id)[0]["betnr"])
        for _ in range(2):
            await sync.sweep(everything=True)
        assert office.crm.store.records[id]["syncStatus"] == "deleted_in_advoware"
        assert len(office.erp.store.records) == 11
        office.forget_calls()
        await sync.sweep(everything=True)
        assert office.writes() == 0


@pytest.mark.parametrize("lost", ["before", "after"])
@pytest.mark.parametrize(("system", "method"), [("erp", "POST"), ("erp", "PUT"), ("crm", "POST"), ("crm", "PUT")])
async def test_a_lost_request_or_reply_loses_no_edit_and_makes_no_duplicate(lost, system, method):
    from bidisync_espo_advo.simulators.server import FaultRule

    async with opened(crm_records=2, erp_records=2) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        office.crm.store.create(lastName="Beispiel", firstName="Ada", dateOfBirth="1980-02-29")
        office.erp.store.create(name="Muster", vorname="Bob", geburtsdatum="1970-01-01T00:00:00")
        (left, _), (right, number), *_ = [(i, r["betnr"]) for i, r in office.crm.store.records.items() if r["betnr"]]
        office.crm.store.edit(left, zusatz="Hinterhaus")
        office.erp.store.edit(number, titel="Dr. h. c.")
        server = getattr(office, system)
        server.control.rules.append(FaultRule("drop", method=method, path="eteiligte", when=lost))
        await sync.sweep(rounds=5)
        assert not [rule for rule in server.control.rules if rule.times], "the fault happened"
        assert len(office.crm.store.records) == len(office.erp.store.records) == 6
        assert office.pair(left)[1]["zusatz"] == "Hinterhaus"
        assert office.pair(right)[0]["titel"] == "Dr. h. c."
        assert await sync.states() == {LinkState.IN_SYNC: 6}
