"""Phone numbers and mail addresses between both simulators, as the example binds them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bidisync import LinkState
from bidisync.testing import check_children
from bidisync_espo_advo.simulators.server import FaultRule
from lists import PERSON, SAME_PERSON, Lists, running

OFFICE, MOBILE, MAIL = "0511/12345-60", "0171 1234567", "ida@beispiel.example"
AS_E164 = {OFFICE: "+495111234560", MOBILE: "+491711234567"}
ROWS = [
    {"tlf": OFFICE, "kommKz": 1, "bemerkung": "nur vormittags"},
    {"tlf": MAIL, "kommKz": 4},
    {"tlf": "www.beispiel.example", "kommKz": 5},
]


@pytest.fixture
async def both() -> AsyncIterator[Lists]:
    async with running("04_communication") as lists:
        yield lists


async def linked(both: Lists) -> tuple[str, int]:
    """One party in both systems, which has the rows above."""
    number = both.office.erp.store.create(**PERSON, kommunikation=ROWS)
    assert (await both.sweep(everything=True)).states() == {LinkState.IN_SYNC: 1}
    (id,) = both.office.crm.store.records
    return id, number


def phones(both: Lists, id: str) -> dict[str, str]:
    return {item["phoneNumber"]: item["type"] for item in both.office.crm.store.records[id]["phoneNumberData"]}


def rows(both: Lists, number: int) -> list[tuple[Any, Any]]:
    return [(row["tlf"], row["kommArt"]) for row in both.office.erp.store.records[number]["kommunikation"]]


def items(**numbers: str) -> list[dict[str, str]]:
    return [{"phoneNumber": number, "type": kind} for kind, number in numbers.items()]


async def test_what_advoware_has_comes_to_espocrm_in_a_form_that_it_takes(both: Lists):
    id, _ = await linked(both)
    assert phones(both, id) == {AS_E164[OFFICE]: "Office"}
    assert [item["emailAddress"] for item in both.office.crm.store.records[id]["emailAddressData"]] == [MAIL]
    both.office.forget_calls()
    await both.sweep()
    assert both.office.writes() == 0, "one number in two spellings is no difference"


async def test_added_changed_and_removed_in_espocrm(both: Lists):
    id, number = await linked(both)
    both.office.crm.store.edit(id, phoneNumberData=items(Office=AS_E164[OFFICE], Mobile=AS_E164[MOBILE]))
    await both.sweep()
    assert rows(both, number)[3:] == [(AS_E164[MOBILE], 3)]
    both.office.crm.store.edit(id, phoneNumberData=items(Office=AS_E164[OFFICE], Mobile="+491719999999"))
    await both.sweep()
    assert rows(both, number)[3:] == [("+491719999999", 3)], "the number changed in its row"
    both.office.crm.store.edit(id, phoneNumberData=items(Mobile="+491719999999"), emailAddressData=[])
    await both.sweep()
    kept = [("www.beispiel.example", 5), ("+491719999999", 3)]
    assert rows(both, number) == [(None, 1), (None, 4), *kept], "nothing is deleted in Advoware"
    assert both.office.counts()["right DELETE"] == 0


async def test_added_changed_and_removed_in_advoware_though_the_partys_rowid_stays(both: Lists):
    id, number = await linked(both)
    before = both.office.erp.store.records[number]
    office, mail, web = before["kommunikation"]
    both.office.erp.store.edit(
        number, kommunikation=[{**office, "tlf": "0511/999999"}, web, {"tlf": MOBILE, "kommKz": 3}]
    )
    await both.sweep()
    assert both.office.erp.store.records[number]["rowId"] == before["rowId"]
    assert phones(both, id) == {"+49511999999": "Office", AS_E164[MOBILE]: "Mobile"}
    assert both.office.crm.store.records[id]["emailAddressData"] == []
    assert mail["tlf"] == MAIL


async def test_another_kind_is_another_row_and_the_blank_one_is_used_again(both: Lists):
    id, number = await linked(both)
    both.office.erp.store.edit(number, kommunikation=[{"tlf": OFFICE, "kommKz": 1}])
    both.office.crm.store.edit(id, phoneNumberData=items(Home=AS_E164[OFFICE]))
    await both.sweep()
    assert rows(both, number) == [(None, 1), (AS_E164[OFFICE], 6)]
    both.office.crm.store.edit(id, phoneNumberData=items(Home=AS_E164[OFFICE], Office="+495118888888"))
    await both.sweep()
    assert rows(both, number) == [("+495118888888", 1), (AS_E164[OFFICE], 6)]


async def test_both_sides_changed_different_numbers_and_both_have_all(both: Lists):
    id, number = await linked(both)
    stored = both.office.erp.store.records[number]["kommunikation"]
    both.office.erp.store.edit(number, kommunikation=[*stored, {"tlf": "0511/777777", "kommKz": 2}])
    both.office.crm.store.edit(id, phoneNumberData=items(Office=AS_E164[OFFICE], Mobile=AS_E164[MOBILE]))
    assert (await both.sweep()).states() == {LinkState.IN_SYNC: 1}
    assert phones(both, id) == {AS_E164[OFFICE]: "Office", AS_E164[MOBILE]: "Mobile", "+49511777777": "Fax"}
    assert set(rows(both, number)) >= {(OFFICE, 1), ("0511/777777", 2), (AS_E164[MOBILE], 3)}


async def test_two_records_that_meet_have_every_number_once(both: Lists):
    number = both.office.erp.store.create(**PERSON, kommunikation=ROWS)
    both.office.crm.store.create(**SAME_PERSON, phoneNumberData=items(Office=AS_E164[OFFICE], Mobile=AS_E164[MOBILE]))
    await both.sweep(everything=True)
    (id,) = both.office.crm.store.records
    assert phones(both, id) == {AS_E164[OFFICE]: "Office", AS_E164[MOBILE]: "Mobile"}
    assert rows(both, number) == [*((row["tlf"], row["kommKz"]) for row in ROWS), (AS_E164[MOBILE], 3)]


async def test_a_party_made_in_espocrm_gets_its_rows_once_it_is_there(both: Lists):
    both.office.crm.store.create(
        **SAME_PERSON, phoneNumberData=items(Office=AS_E164[OFFICE]), emailAddressData=[{"emailAddress": MAIL}]
    )
    assert (await both.sweep(everything=True)).states() == {LinkState.IN_SYNC: 1}
    (number,) = both.office.erp.store.records
    assert rows(both, number) == [(AS_E164[OFFICE], 1), (MAIL, 4)]


async def test_a_lost_reply_to_a_new_row_makes_no_second_one(both: Lists):
    id, number = await linked(both)
    both.office.erp.control.rules.append(FaultRule("drop", method="POST", path="/Kommunikationen$", when="after"))
    both.office.crm.store.edit(id, phoneNumberData=items(Office=AS_E164[OFFICE], Mobile=AS_E164[MOBILE]))
    tally = await both.sweep()
    assert tally.states() == {LinkState.IN_SYNC: 1}
    assert rows(both, number)[3:] == [(AS_E164[MOBILE], 3)]
    assert sum(entry.method == "POST" and "Komm" in entry.path for entry in both.office.erp.control.log) == 1


async def test_remarks_are_never_written_and_a_blank_row_with_one_is_left_alone(both: Lists):
    id, number = await linked(both)
    both.office.crm.store.edit(id, phoneNumberData=[])
    await both.sweep()
    both.office.crm.store.edit(id, phoneNumberData=items(Office="+495118888888"))
    await both.sweep()
    found = both.office.erp.store.records[number]["kommunikation"]
    assert [(row["tlf"], row["bemerkung"]) for row in found if row["kommKz"] == 1] == [
        (None, "nur vormittags"),
        ("+495118888888", None),
    ]


async def test_a_row_keeps_its_remark_when_its_number_changes(both: Lists):
    id, number = await linked(both)
    both.office.crm.store.edit(id, phoneNumberData=items(Office="+495118888888"))
    await both.sweep()
    office = both.office.erp.store.records[number]["kommunikation"][0]
    assert (office["tlf"], office["bemerkung"]) == ("+495118888888", "nur vormittags")


async def test_a_number_without_an_area_code_waits_for_a_person_and_the_rest_goes_on(both: Lists):
    id, number = await linked(both)
    stored = both.office.erp.store.records[number]["kommunikation"]
    both.office.erp.store.edit(number, zusatz="Hinterhaus", kommunikation=[*stored, {"tlf": "123456", "kommKz": 1}])
    assert (await both.sweep()).states() == {LinkState.BLOCKED: 1}
    assert both.office.crm.store.records[id]["zusatz"] == "Hinterhaus"
    assert phones(both, id) == {AS_E164[OFFICE]: "Office"}
    (link,) = await both.waiting()
    assert [(review.group, review.reason) for review in link.reviews] == [("phones", "unmappable")]
    assert "123456" not in repr(link)


@pytest.mark.parametrize(
    "switches",
    [
        {"json_case": "PascalCase", "get.shape": "list_of_one", "list.shape": "value"},
        {"child.in_parent_get": "none", "rowId.format": "uuid"},
        {"child.id_stability": "re-numbered_on_parent_put", "child.kommKz_get": "0_always"},
        {"put.semantics": "partial", "rowId.changes_on": "child_write_too", "put.readonly_field": "400"},
    ],
    ids=["spelled otherwise", "not in the party", "numbered anew", "partial and strict"],
)
async def test_however_this_advoware_behaves(switches: dict[str, str]):
    async with running("04_communication", switches) as both:
        id, number = await linked(both)
        both.office.crm.store.edit(
            id, zusatz="Hinterhaus", phoneNumberData=items(Home=AS_E164[OFFICE], Mobile=AS_E164[MOBILE])
        )
        await both.sweep()
        assert both.office.erp.store.party(number).values["zusatz"] == "Hinterhaus"
        found = [(row["tlf"], row["kommKz"]) for row in both.office.erp.store.party(number).children if row["tlf"]]
        assert found == [(MAIL, 4), ("www.beispiel.example", 5), (AS_E164[OFFICE], 6), (AS_E164[MOBILE], 3)]
        both.office.forget_calls()
        await both.sweep()
        assert both.office.writes() == 0


@pytest.mark.parametrize("name", ["phones", "emails"])
@pytest.mark.parametrize("switches", [{}, {"json_case": "PascalCase"}], ids=["as usual", "spelled otherwise"])
async def test_advowares_rows_keep_what_children_promise(name: str, switches: dict[str, str]):
    samples = {
        "phones": tuple((number, "Office") for number in (OFFICE, MOBILE, "0511/777777")),
        "emails": ((MAIL,), ("zwei@beispiel.example",), ("drei@beispiel.example",)),
    }
    async with running("04_communication", switches) as both:
        number = both.office.erp.store.create(**PERSON)
        right = both.engine.parts.right
        kept = right.lists[name]  # type: ignore[attr-defined]
        within = right.replica  # type: ignore[attr-defined]
        await check_children(kept.children, lambda: within.get(str(number)), kept.items, samples[name], kept.can)
