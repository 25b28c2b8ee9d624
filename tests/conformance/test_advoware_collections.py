"""Accounts, cases and appointments in the simulated Advoware: what is taken, what is refused, how it is shown."""

from __future__ import annotations

from typing import Any

import pytest
from test_advoware_simulator import start  # noqa: F401

IBAN = "DE89370400440532013000"


@pytest.fixture
async def caller(start: Any) -> Any:  # noqa: F811
    return await start(records=1)


async def test_an_account_is_taken_as_it_is_sent_and_never_changed_or_deleted(caller: Any) -> None:
    made = await caller.call("POST", "/104711/Bankverbindungen", {"iban": "no number", "strange": 1})
    assert made.json == {"id": 501}
    (row,) = (await caller.call("GET", "/104711/Bankverbindungen")).json
    assert row.items() >= {"id": 501, "betNr": 104_711, "iban": "no number", "bic": None}.items()
    assert len(row["rowId"]) == 40
    assert "strange" not in row
    for method in ("PUT", "DELETE"):
        answer = await caller.call(method, "/104711/Bankverbindungen/501", {"iban": IBAN})
        assert (answer.status, "nicht" in answer.text) == (403, True)
    assert (await caller.call("GET", "/104711/Bankverbindungen")).json == [row]


@pytest.mark.parametrize(("path", "body", "status"), [("/1", {"iban": IBAN}, 404), ("/104711", {"bic": "X"}, 400)])
async def test_an_account_needs_its_party_and_a_number(caller: Any, path: str, body: Any, status: int) -> None:
    assert (await caller.call("POST", f"{path}/Bankverbindungen", body)).status == status
    assert not caller.server.accounts.rows


async def test_an_account_moves_its_own_version_and_not_that_of_its_party(caller: Any) -> None:
    before = await caller.get(104_711)
    id = caller.server.accounts.create(104_711, iban=IBAN)
    first = dict(caller.server.accounts.rows[id])
    caller.server.accounts.edit(id, bankname="Musterbank")
    assert caller.server.accounts.rows[id]["rowId"] != first["rowId"]
    assert (await caller.get(104_711))["rowId"] == before["rowId"]
    caller.server.accounts.delete(id)
    assert (await caller.call("GET", "/104711/Bankverbindungen")).json == []


async def test_a_list_shows_cases_without_their_parties_and_one_case_shows_them(caller: Any) -> None:
    cases = caller.server.cases
    number = cases.create(az="12/26", rubrum="Nachlass")
    for part in ("Mandant", "Zeuge"):
        cases.involve(number, 104_711, part)
    (row,) = (await caller.call("GET", "/../Akten")).json
    assert row.items() >= {"aktNr": number, "az": "12/26", "ablage": False}.items()
    assert "beteiligte" not in row
    one = (await caller.call("GET", f"/../Akten/{number}")).json
    parts = [{"betNr": 104_711, "rolle": "Mandant"}, {"betNr": 104_711, "rolle": "Zeuge"}]
    assert one == {**row, "beteiligte": parts}
    cases.dismiss(number, 104_711, "Zeuge")
    cases.edit(number, ablage=True)
    now = (await caller.call("GET", f"/../Akten/{number}")).json
    assert (now["ablage"], now["beteiligte"]) == (True, parts[:1])
    assert now["rowId"] != row["rowId"]


async def test_no_case_is_made_or_changed_from_outside(caller: Any) -> None:
    number = caller.server.cases.create(az="12/26")
    for method, path in (("POST", ""), ("PUT", f"/{number}"), ("DELETE", f"/{number}")):
        assert (await caller.call(method, f"/../Akten{path}", {"az": "1"})).status == 403
    assert caller.server.cases.rows[number]["az"] == "12/26"
    assert (await caller.call("GET", "/../Akten/9")).status == 404


async def test_a_calendar_is_asked_by_days_and_people_and_has_names_with_capitals(caller: Any) -> None:
    calendar = caller.server.appointments
    one = calendar.create("MUS", "2026-03-02", "09:00", "09:30", Text="Besprechung")
    calendar.create("BEI", "2026-03-02")
    calendar.create("MUS", "2026-02-01", until="2026-02-28")
    far = calendar.create("MUS", "2026-01-01", until="2026-12-31", derived=True)
    asked = "from=2026-03-01&to=2026-03-31&kuerzel=MUS"
    found = (await caller.call("GET", f"/../TermineActiveSync?{asked}")).json
    assert [row["FrNr"] for row in found] == [one, far]
    assert far < 0
    row = (await caller.call("GET", f"/../TermineActiveSync?frnr={one}")).json
    assert (row["Datum"], row["UhrzeitVon"], row["Text"]) == ("2026-03-02T00:00:00", "09:00", "Besprechung")
    assert row["GeloeschtAm"] == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("query", "status"), [("frnr=1", 404), ("frNr=1", 400), ("from=x&to=2026-01-01", 400), ("frnr=x", 404)]
)
async def test_a_calendar_refuses_what_it_does_not_know(caller: Any, query: str, status: int) -> None:
    assert (await caller.call("GET", f"/../TermineActiveSync?{query}")).status == status


@pytest.mark.parametrize("path", ["/104711/Bankverbindungen", "/../Akten", "/../TermineActiveSync?from=2026-01-01"])
async def test_every_collection_asks_who_is_calling(caller: Any, path: str) -> None:
    caller.token = "nobody's"
    assert (await caller.call("GET", path)).status == 401
