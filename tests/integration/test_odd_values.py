"""Values that real people and old systems enter: they arrive as they are, or their group says why not."""

from __future__ import annotations

import pytest

from bidisync import LinkState, Row
from bidisync.mapping import same_text
from bidisync_espo_advo import open_sync
from office import Office, opened

ODD = {
    "umlauts": "Müller-Lüdenscheidt ß ẞ",
    "as a Mac spells it": "Mu\u0308ller",
    "another alphabet": "Łukasz Şahin-Nguyễn",
    "an emoji": "Kanzlei 😀",
    "quotes": 'Ltd. "Muster" & Söhne O’Brien',
    "backslashes": "a\\b\\u0041 \\n",
    "JSON in a text": '{"a": [1, null]}',
    "many lines": "c/o Kanzlei\r\nHinterhaus\n2. Stock",
    "slashes": "0511/12345-60",
    "a number": "007",
    "a word that YAML knows": "no",
    "NUL within": "a\0b",
    "no-break spaces": "\u00a0x\u00a0",
    "right to left": "\u202eabc",
    "control characters": "a\x01\x1fb",
    "no characters": "a\ufffe\uffff",
}


async def office_with_one(office: Office, sync) -> tuple[str, int]:
    await sync.sweep(everything=True)
    id = next(iter(office.crm.store.records))
    return id, office.crm.store.records[id]["betnr"]


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
@pytest.mark.parametrize("from_crm", [True, False], ids=["from EspoCRM", "from Advoware"])
async def test_an_odd_text_arrives_as_it_is_and_rests(value, from_crm):
    async with opened(crm_records=1) as office, open_sync(office.settings) as sync:
        id, number = await office_with_one(office, sync)
        if from_crm:
            office.crm.store.edit(id, zusatz=value)
        else:
            office.erp.store.edit(number, zusatz=value)
        await sync.sweep()
        crm, erp = office.pair(id)
        assert same_text(crm["zusatz"]) == same_text(erp["zusatz"]) == same_text(value)
        assert await sync.states() == {LinkState.IN_SYNC: 1}
        office.forget_calls()
        await sync.sweep(everything=True)
        assert office.writes() == 0


async def test_what_a_charset_loses_is_blocked_with_a_reason_and_the_source_stays():
    async with opened(crm_records=1, erp_switches={"charset": "cp1252_lossy"}) as office:
        async with open_sync(office.settings) as sync:
            id, number = await office_with_one(office, sync)
            office.crm.store.edit(id, zusatz="Łukasz Şahin-Nguyễn", titel="Dr.")
            outcome = await sync.sync(f"left:{id}")
            assert (outcome.state, outcome.reason) == (LinkState.BLOCKED, "altered")
            assert office.crm.store.records[id]["zusatz"] == "Łukasz Şahin-Nguyễn", "never a silent change"
            assert office.crm.store.records[id]["syncStatus"] == "conflict"
            assert office.crm.store.records[id]["syncErrorMessage"] == "altered", "a code, no value"
            office.forget_calls()
            await sync.sweep(everything=True)
            assert office.writes() == 0


async def test_a_name_with_characters_that_espocrm_refuses_is_blocked_with_its_field():
    async with opened(crm_records=1) as office, open_sync(office.settings) as sync:
        id, number = await office_with_one(office, sync)
        name = office.crm.store.records[id]["lastName"]
        office.erp.store.edit(number, name="Muster <=> GmbH", kurzname="neu")
        outcome = await sync.sync(f"right:{number}")
        assert outcome.state is LinkState.BLOCKED
        crm = office.crm.store.records[id]
        assert (crm["lastName"], crm["kurzname"]) == (name, "neu"), "other groups go on"
        rows = {d.field: d.row for d in (await sync.explain(f"left:{id}")).now}
        assert rows["family_name"] is Row.BLOCKED
        office.erp.store.edit(number, name="Muster GmbH")
        await sync.sync(f"right:{number}")
        assert office.crm.store.records[id]["lastName"] == "Muster GmbH", "a change starts it again"


@pytest.mark.parametrize(("field", "length"), [("zusatz", 101), ("zusatz", 65_536), ("titel", 61)])
async def test_a_text_that_is_too_long_for_the_other_side_is_blocked_and_not_cut(field, length):
    async with opened(crm_records=1, erp_switches={"string.max_len": "none"}) as office:
        async with open_sync(office.settings) as sync:
            id, number = await office_with_one(office, sync)
            office.erp.store.edit(number, **{field: "x" * length})
            outcome = await sync.sync(f"right:{number}")
            assert outcome.state is LinkState.BLOCKED
            assert office.crm.store.records[id][field] != "x" * length
            assert len(office.erp.store.records[number][field]) == length


async def test_a_text_that_espocrm_trims_is_seen_and_stays_as_it_is():
    async with opened(crm_records=1) as office, open_sync(office.settings) as sync:
        id, number = await office_with_one(office, sync)
        office.erp.store.edit(number, zusatz="ab\0")
        outcome = await sync.sync(f"right:{number}")
        assert (outcome.state, outcome.reason) == (LinkState.BLOCKED, "altered")
        assert office.erp.store.records[number]["zusatz"] == "ab\0", "never a silent change"


async def test_half_a_character_blocks_its_group_and_nothing_else(tmp_path):
    state = {"url": f"sqlite:///{tmp_path / 'state.db'}"}
    async with opened(crm_records=2, state=state) as office, open_sync(office.settings) as sync:
        id, number = await office_with_one(office, sync)
        office.crm.store.edit(id, zusatz="a\ud83db")
        await sync.sweep()
        assert await sync.states() == {LinkState.IN_SYNC: 1, LinkState.BLOCKED: 1}
        office.crm.store.edit(id, zusatz="ganz")
        await sync.sweep()
        assert office.erp.store.records[number]["zusatz"] == "ganz"


async def test_64_kib_arrive_where_both_sides_take_them_and_block_where_one_does_not():
    async with opened(crm_records=1) as office, open_sync(office.settings) as sync:
        id, number = await office_with_one(office, sync)
        big = "ä" * 65_536
        office.erp.store.edit(number, bemerkung=big, zusatz="Hof")
        assert (await sync.sync(f"right:{number}")).state is LinkState.IN_SYNC
        office.crm.store.edit(id, titel="Dr.")
        assert (await sync.sync(f"left:{id}")).state is LinkState.IN_SYNC
        assert office.erp.store.records[number]["bemerkung"] == big, "what no mapping knows travels along whole"


async def test_a_text_that_advoware_cuts_is_seen_and_the_long_one_stays():
    async with opened(crm_records=1, erp_switches={"string.max_len": "truncates_silently"}) as office:
        async with open_sync(office.settings) as sync:
            id, number = await office_with_one(office, sync)
            office.crm.store.edit(id, zusatz="x" * 99)
            outcome = await sync.sync(f"left:{id}")
            cut = office.erp.store.records[number]["zusatz"]
            if cut == "x" * 99:
                assert outcome.state is LinkState.IN_SYNC
            else:
                assert (outcome.state, outcome.reason) == (LinkState.BLOCKED, "altered")
            assert office.crm.store.records[id]["zusatz"] == "x" * 99


async def test_one_record_that_always_fails_among_500_stops_nobody():
    guards = {"max_overwrite_percent": 100.0}  # somebody edits everybody here
    async with opened(crm_records=250, erp_records=250, guards=guards) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        numbers = [record["betnr"] for record in office.crm.store.records.values()]
        for number in numbers:
            office.erp.store.edit(
                number, zusatz="Hinterhaus", name="<poison>" if number == numbers[7] else f"N{number}"
            )
        await sync.sweep()
        states = await sync.states()
        assert states == {LinkState.IN_SYNC: 499, LinkState.BLOCKED: 1}
        assert sum(r["zusatz"] == "Hinterhaus" for r in office.crm.store.records.values()) == 499
