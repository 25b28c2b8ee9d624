"""Where a remote makes something impossible, a named state says so, and nothing is lost or silently changed."""

from __future__ import annotations

import time

import attrs
import pytest

from bidisync import LinkState
from bidisync.errors import Unavailable
from bidisync.testing import ManualClock
from bidisync_espo_advo import open_sync
from office import Office, opened

pytestmark = pytest.mark.usefixtures("impatient")


async def linked(office: Office, sync) -> tuple[str, int]:
    await sync.sweep(everything=True, rounds=3)
    id = next(i for i, r in office.crm.store.records.items() if r["anrede"])
    return id, office.crm.store.records[id]["betnr"]


async def quiet(office: Office, sync) -> None:
    office.forget_calls()
    await sync.sweep(everything=True)
    assert office.writes() == 0, "quiet, although something waits"


async def test_an_advoware_that_ignores_nulls_keeps_its_value_and_the_review_names_the_field():
    async with opened(crm_records=3, erp_switches={"put.semantics": "partial_null_ignored"}) as office:
        async with open_sync(office.settings) as sync:
            id, number = await linked(office, sync)
            office.crm.store.edit(id, anrede=None)
            outcome = await sync.sync(f"left:{id}")
            assert (outcome.state, outcome.reason) == (LinkState.REVIEW, "ignored")
            crm, erp = office.pair(id)
            assert crm["anrede"] is None, "what a person emptied stays empty"
            assert erp["anrede"], "and what Advoware keeps is not brought back"
            assert (crm["syncStatus"], crm["syncErrorMessage"]) == ("conflict", "ignored")
            await quiet(office, sync)


async def test_an_advoware_that_capitalises_names_is_seen_and_the_name_in_espocrm_stays():
    async with opened(crm_records=3, erp_switches={"side_effects": "name_uppercased"}) as office:
        async with open_sync(office.settings) as sync:
            await sync.sweep(everything=True, rounds=3)
            names = {r["lastName"] for r in office.crm.store.records.values()}
            assert not any(name.isupper() for name in names)
            assert len(office.erp.store.records) == 3, "nobody is doubled"
            assert set(await sync.states()) == {LinkState.BLOCKED}
            await quiet(office, sync)


@pytest.mark.parametrize("value", ["400", "mapped_to_default"])
async def test_a_code_that_advoware_does_not_take_blocks_or_is_seen(value):
    async with opened(crm_records=3, erp_switches={"enum.unknown": value}) as office:
        async with open_sync(office.settings) as sync:
            id, number = await linked(office, sync)
            office.crm.store.edit(id, anrede="Durchlaucht")
            outcome = await sync.sync(f"left:{id}")
            assert office.crm.store.records[id]["anrede"] == "Durchlaucht", "never a silent change"
            assert outcome.state is LinkState.BLOCKED
            await quiet(office, sync)


async def test_an_advoware_that_refuses_read_only_fields_never_gets_one():
    async with opened(crm_records=3, erp_switches={"put.readonly_field": "400"}) as office:
        async with open_sync(office.settings) as sync:
            id, number = await linked(office, sync)
            office.crm.store.edit(id, kurzname="anders", zusatz="Hinterhaus")
            outcome = await sync.sync(f"left:{id}")
            assert (outcome.state, outcome.reason) == (LinkState.REVIEW, "read_only")
            assert office.pair(id)[1]["zusatz"] == "Hinterhaus"
            await quiet(office, sync)


async def test_an_advoware_whose_parties_lack_empty_fields_and_nobody_certified_keeps_its_values():
    async with opened(crm_records=3, erp_switches={"null_style": "absent"}) as office:
        async with open_sync(office.settings) as sync:
            id, number = await linked(office, sync)
            office.erp.store.edit(number, anrede=None)
            await sync.sync(f"right:{number}")
            assert office.crm.store.records[id]["anrede"], "not delivered is not emptied"
            await quiet(office, sync)


async def test_an_advoware_that_marks_no_date_by_the_year_1_has_no_date():
    async with opened(crm_records=3, erp_records=3, erp_switches={"null_style": "0001-01-01"}) as office:
        async with open_sync(office.settings) as sync:
            id, number = await linked(office, sync)
            office.erp.store.edit(number, geburtsdatum=None)
            await sync.sync(f"right:{number}")
            assert office.crm.store.records[id]["dateOfBirth"] is None
            assert set(await sync.states()) == {LinkState.IN_SYNC}
            await quiet(office, sync)


async def test_a_list_that_is_silently_capped_makes_nobody_gone_and_nobody_twice():
    async with opened(crm_records=60, erp_records=60, erp_switches={"list.paging": "silently_capped_100"}) as office:
        async with open_sync(office.settings) as sync:
            await sync.sweep(everything=True, rounds=3)
            assert len(office.crm.store.records) == len(office.erp.store.records) == 120
            number = max(office.erp.store.records)
            office.erp.store.edit(number, zusatz="jenseits der Liste")
            await sync.sweep(everything=True)
            assert LinkState.GONE not in await sync.states(), "what a list lacks is not gone"
            (crm,) = [r for r in office.crm.store.records.values() if r["betnr"] == number]
            assert crm["zusatz"] == "jenseits der Liste", "a linked party is asked for by its number"
            await quiet(office, sync)
            office.erp.store.edit(number, zusatz="noch einmal")
            tally = await sync.sweep()
            (crm,) = [r for r in office.crm.store.records.values() if r["betnr"] == number]
            assert crm["zusatz"] == "noch einmal", "an ordinary pass looks at unlisted parties in rotation"
            assert tally.rounds == 1


async def test_a_rotation_reaches_every_record_that_a_list_leaves_out():
    async with opened(crm_records=60, erp_records=60, erp_switches={"list.paging": "silently_capped_100"}) as office:
        async with open_sync(office.settings) as sync:
            await sync.sweep(everything=True, rounds=3)
            await sync.sweep(everything=True)  # which finds that the list leaves some out
            few = attrs.evolve(sync.sweeps, rotation=8)
            hidden = sorted(office.erp.store.records)[-20:]
            for number in hidden:
                office.erp.store.edit(number, zusatz="hinten")
            for _ in range(4):
                await few.run()
            arrived = {r["betnr"] for r in office.crm.store.records.values() if r["zusatz"] == "hinten"}
            assert arrived == set(hidden)


async def test_a_party_merged_into_another_one_is_never_written_over():
    async with opened(crm_records=3, erp_switches={"deleted_party_get": "200_merged_into_other_betNr"}) as office:
        async with open_sync(office.settings) as sync:
            id, number = await linked(office, sync)
            before = {n: dict(p) for n, p in office.erp.store.records.items() if n != number}
            office.erp.store.delete(number)
            office.crm.store.edit(id, zusatz="neu")
            outcome = await sync.sync(f"left:{id}")
            assert outcome.state.waits_for_a_person or outcome.state is LinkState.RETRY
            assert {n: dict(p) for n, p in office.erp.store.records.items()} == before, "nobody else's party is touched"


@pytest.mark.parametrize("kind", ["503", "502_html"])
async def test_a_connector_that_is_off_for_an_hour_loses_nothing(kind):
    clock = ManualClock(at=time.time())
    skew = {"token.clock_skew_max_s": "unlimited"}  # the hour passes for the sync alone
    async with (
        opened(crm_records=3, erp_records=3, erp_switches=skew) as office,
        open_sync(office.settings, clock=clock) as sync,
    ):
        id, number = await linked(office, sync)
        office.erp.store.behave({**skew, "connector_offline": kind})
        office.crm.store.edit(id, zusatz="während der Nacht")
        new = office.crm.store.create(lastName="Neumann", firstName="Nora", dateOfBirth="1990-01-01")
        for _ in range(2):
            with pytest.raises(Unavailable, match="advoware"):
                await sync.sweep()
            clock.advance(1800)
        assert office.crm.store.records[id]["syncStatus"] == "clean", "a system that is off is nobody's failure"
        office.erp.store.behave(skew)
        await sync.sweep(rounds=3)
        assert office.pair(id)[1]["zusatz"] == "während der Nacht"
        assert office.crm.store.records[new]["betnr"] in office.erp.store.records
        assert set(await sync.states()) == {LinkState.IN_SYNC}
        await quiet(office, sync)
