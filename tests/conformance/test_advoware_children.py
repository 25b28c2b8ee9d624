"""Phone numbers and addresses in the simulated Advoware: what is frozen, what is refused, who notices."""

from __future__ import annotations

from typing import Any

import pytest
from test_advoware_simulator import start  # noqa: F401

PHONE = {"tlf": "0511/12345-60", "bemerkung": "nur vormittags", "kommKz": 1, "online": False}
HOME = {
    "strasse": "Beispielstraße 5", "plz": "30159", "ort": "Hannover", "land": "D", "anschrift": None, "postfach": None,
    "postfachPLZ": None, "standardAnschrift": True, "bemerkung": None, "gueltigVon": "2020-01-01T00:00:00",
    "gueltigBis": None, "reihenfolgeIndex": 1,
}  # fmt: skip


@pytest.fixture
async def caller(start: Any) -> Any:  # noqa: F811
    return await start(records=1)


async def made(caller: Any, resource: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await caller.call("POST", f"/104711/{resource}", body)
    assert answer.status == 200, answer.text
    return dict(answer.json)


async def test_a_new_number_comes_back_with_its_id_and_stands_in_the_party(caller: Any) -> None:
    row = await made(caller, "Kommunikationen", PHONE)
    assert row.items() >= {**PHONE, "betNr": 104_711, "kommArt": 1}.items()
    assert len(row["rowId"]) == 40
    assert row in (await caller.get(104_711))["kommunikation"]
    assert row in (await caller.call("GET", "/104711/Kommunikationen")).json


async def test_the_kind_of_a_number_is_frozen_and_the_rest_is_replaced(caller: Any) -> None:
    row = await made(caller, "Kommunikationen", PHONE)
    answer = await caller.call("PUT", f"/104711/Kommunikationen/{row['id']}", {"tlf": "0511/9", "kommKz": 3})
    now = answer.json
    assert (now["tlf"], now["kommKz"], now["kommArt"], now["bemerkung"]) == ("0511/9", 1, 1, None)
    assert now["id"] == row["id"]
    assert now["rowId"] != row["rowId"]


@pytest.mark.parametrize(("resource", "body"), [("Kommunikationen", PHONE), ("Adressen", HOME)])
async def test_nothing_beneath_a_party_can_be_deleted_and_its_own_version_is_blind_to_it(
    caller: Any, resource: str, body: dict[str, Any]
) -> None:
    before = (await caller.get(104_711))["rowId"]
    row = await made(caller, resource, body)
    assert (await caller.call("DELETE", f"/104711/{resource}/{row['id']}")).status == 403
    assert row in (await caller.call("GET", f"/104711/{resource}")).json
    assert (await caller.get(104_711))["rowId"] == before


async def test_the_same_put_again_leaves_the_rowid_as_it_is(caller: Any) -> None:
    row = await made(caller, "Adressen", HOME)
    assert (await caller.call("PUT", f"/104711/Adressen/{row['id']}", row)).json == row


async def test_of_an_address_only_four_fields_can_be_changed(caller: Any) -> None:
    row = await made(caller, "Adressen", HOME)
    texts = dict.fromkeys(
        ("strasse", "plz", "ort", "land", "anschrift", "postfach", "postfachPLZ", "bemerkung"), "anders"
    )
    days = dict.fromkeys(("gueltigVon", "gueltigBis"), "2030-01-01T00:00:00")
    sent = {**texts, **days, "standardAnschrift": False, "reihenfolgeIndex": 9}
    assert sent.keys() == HOME.keys()
    now = (await caller.call("PUT", f"/104711/Adressen/{row['id']}", sent)).json
    assert {name for name in HOME if now[name] != row[name]} == {"strasse", "plz", "ort", "anschrift"}
    lacking = (await caller.call("PUT", f"/104711/Adressen/{row['id']}", {"ort": "Celle"})).json
    assert (lacking["strasse"], lacking["ort"], lacking["land"]) == (None, "Celle", "D")


async def test_a_person_at_the_desk_ends_an_address(caller: Any) -> None:
    row = await made(caller, "Adressen", HOME)
    caller.server.addresses.edit(104_711, row["id"], gueltigBis="2026-01-31T00:00:00")
    (now,) = caller.server.addresses.of(104_711)
    assert now["gueltigBis"] == "2026-01-31T00:00:00"
    assert now["rowId"] != row["rowId"]


@pytest.mark.parametrize(
    ("resource", "body"),
    [
        ("Kommunikationen", {"tlf": "0511/1"}),
        ("Kommunikationen", {**PHONE, "kommKz": 13}),
        ("Kommunikationen", {**PHONE, "tlf": 511}),
        ("Kommunikationen", {**PHONE, "online": 1}),
        ("Adressen", {**HOME, "gueltigVon": "morgen"}),
        ("Adressen", {**HOME, "plz": 30159}),
    ],
)
async def test_what_does_not_fit_is_refused(caller: Any, resource: str, body: dict[str, Any]) -> None:
    assert (await caller.call("POST", f"/104711/{resource}", body)).status == 400


async def test_nobody_has_children_and_no_child_is_not_found(caller: Any) -> None:
    assert (await caller.call("GET", "/1/Adressen")).status == 404
    assert (await caller.call("POST", "/1/Kommunikationen", PHONE)).status == 404
    assert (await caller.call("PUT", "/104711/Adressen/1", HOME)).status == 404


async def test_switches_hold_for_children_too(start: Any) -> None:  # noqa: F811
    caller = await start(
        {"put.readonly_field": "400", "post.commit_then_drop": "504_after_commit", "child.in_parent_get": "all"}, 1
    )
    assert (await caller.call("POST", "/104711/Adressen", HOME)).status == 504
    (row,) = (await caller.get(104_711))["adressen"]
    assert (await caller.call("PUT", f"/104711/Adressen/{row['id']}", {**row, "land": "A"})).status == 400
    caller.server.store.behave({"put.semantics": "partial_null_ignored"})
    kept = (await caller.call("PUT", f"/104711/Adressen/{row['id']}", {"ort": None, "plz": "1"})).json
    assert (kept["ort"], kept["plz"], kept["strasse"]) == ("Hannover", "1", "Beispielstraße 5")
