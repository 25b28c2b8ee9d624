"""Signed in whatever Advoware says and however it says it, and nothing sent where it must not go."""

from __future__ import annotations

import itertools

import pytest

from bidisync import LinkState
from bidisync.errors import Unavailable
from bidisync_espo_advo import open_sync
from bidisync_espo_advo.simulators.server import FaultRule
from office import opened

STYLES = ["401_json", "200_text", "500_german_text", "503_retry_after"]


@pytest.mark.parametrize("style", STYLES)
async def test_a_token_that_is_revoked_early_is_renewed_however_the_refusal_looks(style):
    switches = {"token.early_revoke": "after_n_calls", "auth.error_style": style}
    async with opened(crm_records=1, erp_switches=switches) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        (id,) = office.crm.store.records
        number = office.crm.store.records[id]["betnr"]
        for turn in range(30):  # more calls than a token lives for, reads and writes
            office.crm.store.edit(id, zusatz=f"Tür {turn}")
            assert (await sync.sync(f"left:{id}")).state is LinkState.IN_SYNC
            assert office.erp.store.records[number]["zusatz"] == f"Tür {turn}"
        sign_ins = sum(entry.path.endswith("Token") for entry in office.erp.control.log)
        calls = sum("Beteiligte" in entry.path for entry in office.erp.control.log)
        assert 2 <= sign_ins <= 1 + calls // 20, "one renewal for each token that ended"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, "Der advoware Manager der Kanzlei ist nicht angemeldet."),
        (500, "Der advoware Manager der Kanzlei ist nicht erreichbar."),
        (200, '{"error": "Der advoware Manager der Kanzlei ist nicht erreichbar."}'),
        (404, "Unter dieser Adresse ist die Kanzlei nicht angemeldet."),
    ],
)
async def test_a_firm_that_is_offline_is_nobody_s_failure_whatever_the_status(status, text):
    async with opened(crm_records=1) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        (record,) = office.crm.store.records.values()
        office.erp.control.rules.append(
            FaultRule("status", method="GET", path="Beteiligte", status=status, body=text, times=100)
        )
        with pytest.raises(Unavailable) as caught:
            await sync.sync(f"right:{record['betnr']}")
        assert caught.value.system == "advoware", "the whole system, so no record counts an attempt"
        office.erp.control.rules.clear()
        assert (await sync.sync(f"right:{record['betnr']}")).state is LinkState.IN_SYNC


@pytest.mark.parametrize("shape", ['"²"', '"' + "9" * 5000 + '"', '"0"', "true", "-5"])
async def test_a_create_whose_reply_names_no_number_is_looked_for(shape):
    async with opened(crm_records=1) as office, open_sync(office.settings) as sync:
        real = FaultRule("status", method="POST", path="Beteiligte$", when="after", status=200, body=shape)
        office.erp.control.rules.append(real)
        await sync.sweep(everything=True, rounds=3)
        assert len(office.erp.store.records) == 1
        assert await sync.states() == {LinkState.IN_SYNC: 1}


async def test_a_twin_of_a_field_is_not_sent_back_and_so_does_not_undo_a_change():
    async with opened(crm_records=1, erp_switches={"redundant_twins": "twin_overrides"}) as office:
        async with open_sync(office.settings) as sync:
            id = office.crm.store.create(lastName="Beispiel", firstName="Ada", dateOfBirth="1980-02-29")
            await sync.sweep(everything=True)
            office.crm.store.edit(id, dateOfBirth="1981-03-30")
            assert (await sync.sync(f"left:{id}")).state is LinkState.IN_SYNC
            assert office.pair(id)[1]["geburtsdatum"] == "1981-03-30T00:00:00"


async def test_new_parties_beyond_a_capped_list_are_found_by_their_numbers():
    async with opened(erp_records=104, erp_switches={"list.paging": "silently_capped_100"}) as office:
        async with open_sync(office.settings) as sync:
            await sync.sweep(everything=True, rounds=2)
            assert len(office.crm.store.records) == 104, "a complete pass asks for the numbers behind the last row"
            office.erp.store.create(name="Neu", vorname="Nora", geburtsdatum="1990-01-01T00:00:00")
        async with open_sync(office.settings) as sync:  # another process: memory store, so all is read again
            await sync.sweep(everything=True, rounds=2)
            await sync.sweep()
            office.forget_calls()
            number = office.erp.store.create(name="Neuer", vorname="Nils", geburtsdatum="1991-01-01T00:00:00")
            await sync.sweep()
            assert number in {record["betnr"] for record in office.crm.store.records.values()}
            assert office.counts()["right GET"] < 30, "and an ordinary one only behind the last that it knows"
    async with opened(erp_records=104) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        office.forget_calls()
        await sync.sweep()
        await sync.sweep(everything=True)
        assert office.calls() == [], "a list that is not cut off costs nothing more"


async def test_a_create_beyond_a_capped_list_whose_reply_was_lost_is_not_made_twice():
    async with opened(erp_records=100, erp_switches={"list.paging": "silently_capped_100"}) as office:
        async with open_sync(office.settings) as sync:
            await sync.sweep(everything=True)
            id = office.crm.store.create(lastName="Neu", firstName="Nora", dateOfBirth="1990-01-01")
            office.erp.control.rules.append(FaultRule("drop", method="POST", path="Beteiligte$", when="after"))
            await sync.sync(f"left:{id}")
            await sync.sweep(rounds=3)
            assert len(office.erp.store.records) == 101
            assert office.crm.store.records[id]["betnr"] == max(office.erp.store.records)


@pytest.mark.parametrize("fault", ["drop", "dup", "reorder", "reset", "partial_json", "all"])
async def test_a_bad_line_loses_nothing_and_doubles_nobody(fault):
    async with opened(crm_records=6, erp_records=6, erp_switches={"faults": fault}) as office:
        async with open_sync(office.settings) as sync:
            for _ in itertools.repeat(None, 6):
                await sync.sweep(everything=True, rounds=4)
                if set(await sync.states()) == {LinkState.IN_SYNC}:
                    break
            assert await sync.states() == {LinkState.IN_SYNC: 12}
            assert len(office.crm.store.records) == len(office.erp.store.records) == 12
