"""The Advoware simulator keeps to what is known of Advoware. Everything goes over real HTTP,
with a client of these tests' own, so that a mistake of the simulator is not repeated here."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import aiohttp
import attrs
import pytest

from bidisync_espo_advo.simulators.advoware import AdvowareServer, advoware_simulator
from bidisync_espo_advo.simulators.advoware_signin import signature
from bidisync_espo_advo.simulators.advoware_switches import VALUES, Switches
from bidisync_espo_advo.simulators.espocrm import espocrm_simulator
from bidisync_espo_advo.simulators.server import FaultRule

NOW = datetime(2026, 2, 7, 13, 30, 0, 123456, tzinfo=UTC)
WINTER_LOCAL = "2026-02-07T14:30:00"
NONCES = itertools.count()
CLASS_R = ("handelsRegisterNummer", "registergericht", "geburtsname", "familienstand", "kurzname", "art")
MINIMAL = {"name": "Köster"}


def signed(api_key: str, product: int, app_id: str, nonce: str, sent_at: str) -> str:
    message = ":".join([str(product), app_id, nonce, sent_at])
    return base64.b64encode(hmac.new(base64.b64decode(api_key), message.encode(), hashlib.sha512).digest()).decode()


@attrs.define
class SetClock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@attrs.define
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@attrs.define
class Caller:
    """A bare client: discovery, token, then calls."""

    server: AdvowareServer
    clock: SetClock
    http: aiohttp.ClientSession
    config: Mapping[str, Any]
    api: str = ""
    security: str = ""
    token: str = ""

    async def discover(self) -> Any:
        address = f"{self.config['discovery_url']}AdvonetConfigurator/api/Url"
        async with self.http.get(address, params={"Kanzlei": self.config["kanzlei"]}) as reply:
            found = await reply.json()
        self.api = (found["connectorUrl"] or found["relayUrl"]) + self.config.get("path", "api/v1/advonet/")
        self.security = found["securityGateway"] or self.config["security_url"]
        return found

    def token_request(self, **changes: Any) -> dict[str, Any]:
        config = self.config
        body = {
            "AppID": config["app_id"],
            "Kanzlei": config["kanzlei"],
            "Database": config["database"],
            "User": config["user"],
            "Role": config["role"],
            "Product": config["product"],
            "Password": config["password"],
            "Nonce": f"nonce-{next(NONCES)}",
            "RequestTimeStamp": f"{self.clock.now:%Y-%m-%dT%H:%M:%S}.000Z",
        } | changes
        body.setdefault(
            "HMAC512Signature",
            signed(config["api_key"], body["Product"], body["AppID"], body["Nonce"], body["RequestTimeStamp"]),
        )
        return body

    async def ask_token(self, body: Mapping[str, Any]) -> Answer:
        async with self.http.post(f"{self.security}api/v1/Token", json=body) as reply:
            return Answer(reply.status, await reply.text(), reply.headers)

    async def sign_in(self) -> Caller:
        if not self.security:
            await self.discover()
        answer = await self.ask_token(self.token_request())
        assert answer.status == 200, answer.text
        self.token = answer.json["access_token"]
        return self

    async def call(self, method: str, resource: str = "", body: Any = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        address = f"{self.api}Beteiligte{resource}"
        async with self.http.request(method, address, json=body, headers=headers) as reply:
            return Answer(reply.status, await reply.text(), reply.headers)

    async def get(self, betnr: int) -> Any:
        answer = await self.call("GET", f"/{betnr}")
        assert answer.status == 200, answer.text
        return answer.json


@pytest.fixture
async def start() -> AsyncIterator[Any]:
    """Starts simulators and signs a caller in; stops them all afterwards."""
    async with aiohttp.ClientSession() as http:
        running: list[AdvowareServer] = []

        async def make(switches: Mapping[str, str] | None = None, records: int = 0, seed: int = 0) -> Caller:
            clock = SetClock()
            server = advoware_simulator(records=records, seed=seed, switches=switches or {}, clock=clock)
            await server.start()
            running.append(server)
            return await Caller(server, clock, http, server.config).sign_in()

        yield make
        for server in running:
            await server.stop()


# Discovery and sign-in


def test_the_published_signature_vector_comes_out() -> None:
    assert signed("dGVzdC1zZWNyZXQta2V5", 64, "app-123", "nonce-abc", "2026-08-30T00:00:00.000Z") == (
        "o7rz9KmoXZs550HfzO6ffiG17XwiPmlBHlksUYKZ3jcfolELow51Fw5KlrQqCK5y41aIValDjrh1iQ2GZ2WtqQ=="
    )


def test_the_simulator_signs_like_the_published_vector() -> None:
    assert signature("dGVzdC1zZWNyZXQta2V5", 64, "app-123", "nonce-abc", "2026-08-30T00:00:00.000Z") == (
        "o7rz9KmoXZs550HfzO6ffiG17XwiPmlBHlksUYKZ3jcfolELow51Fw5KlrQqCK5y41aIValDjrh1iQ2GZ2WtqQ=="
    )


async def test_discovery_names_addresses_on_this_server(start: Any) -> None:
    caller = await start()
    url = caller.server.url
    assert await caller.discover() == {
        "relayUrl": url,
        "connectorUrl": None,
        "securityGateway": f"{url}security/",
    }


async def test_an_unknown_kanzlei_gets_a_german_text(start: Any) -> None:
    caller = await start()
    async with caller.http.get(f"{caller.server.url}AdvonetConfigurator/api/Url?Kanzlei=Nirgends") as reply:
        assert reply.status == 404
        assert "nicht registriert" in await reply.text()


async def test_a_connector_url_replaces_the_relay(start: Any) -> None:
    caller = await start({"discovery": "connector_set"}, records=1)
    assert "/connector/" in caller.api
    assert (await caller.call("GET")).status == 200
    caller.api = f"{caller.server.url}api/v1/advonet/"
    assert (await caller.call("GET")).status == 404


async def test_the_token_reply_says_when_it_expires_with_a_fraction(start: Any) -> None:
    caller = await start()
    reply = (await caller.ask_token(caller.token_request())).json
    assert set(reply) == {"access_token", "expiration_utc"}
    assert reply["expiration_utc"] == "2026-02-07T14:25:00.1234567Z"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"HMAC512Signature": "AAAA"}, "Signatur"),
        ({"AppID": "app-other"}, "freigeschaltet"),
        ({"Password": "falsch"}, "Falscher Name oder falsches Kennwort"),
        ({"User": "XXX"}, "Falscher Name oder falsches Kennwort"),
        ({"Kanzlei": "Nirgends"}, "nicht registriert"),
        ({"Database": "Andere"}, "nicht registriert"),
        ({"Role": 1}, "freigeschaltet"),
        ({"Product": 1}, "freigeschaltet"),
        ({"Nonce": ""}, "Nonce"),
        ({"RequestTimeStamp": "gestern"}, "Zeitstempel"),
        ({"RequestTimeStamp": "2026-02-07T13:24:59Z"}, "Zeitstempel"),
        ({"RequestTimeStamp": "2026-02-07T13:35:01Z"}, "Zeitstempel"),
    ],
)
async def test_a_wrong_token_request_is_refused_in_german(start: Any, changes: dict[str, Any], says: str) -> None:
    caller = await start()
    answer = await caller.ask_token(caller.token_request(**changes))
    assert answer.status == 401
    assert says in answer.text


@pytest.mark.parametrize(
    "sent_at", ["2026-02-07T13:34:59Z", "2026-02-07T13:30:00+0000", "2026-02-07T13:30:00.7955547Z"]
)
async def test_all_attested_timestamp_forms_within_the_skew_are_taken(start: Any, sent_at: str) -> None:
    caller = await start()
    assert (await caller.ask_token(caller.token_request(RequestTimeStamp=sent_at))).status == 200


async def test_a_nonce_is_good_once(start: Any) -> None:
    caller = await start()
    request = caller.token_request()
    assert (await caller.ask_token(request)).status == 200
    again = await caller.ask_token(request)
    assert (again.status, "Nonce" in again.text) == (401, True)


async def test_calls_need_a_token_that_has_not_expired(start: Any) -> None:
    caller = await start(records=1)
    token, caller.token = caller.token, ""
    assert (await caller.call("GET")).status == 401
    caller.token = "made-up"
    assert (await caller.call("GET")).status == 401
    caller.token = token
    caller.clock.now += timedelta(seconds=3299)
    assert (await caller.call("GET")).status == 200
    caller.clock.now += timedelta(seconds=1)
    expired = await caller.call("GET")
    assert (expired.status, "nicht angemeldet" in expired.text) == (401, True)
    await caller.sign_in()
    assert (await caller.call("GET")).status == 200


# Reading


async def test_the_list_is_an_array_of_complete_rows_by_rising_betnr(start: Any) -> None:
    caller = await start(records=450)
    rows = (await caller.call("GET")).json
    assert [row["betNr"] for row in rows] == list(range(104_711, 104_711 + 450))
    assert rows[7] == await caller.get(rows[7]["betNr"])
    assert {tuple(row) for row in rows} == {tuple(rows[0])}


async def test_an_empty_list_is_an_empty_array(start: Any) -> None:
    caller = await start()
    assert (await caller.call("GET")).json == []


async def test_a_row_has_an_opaque_id_and_naive_local_times_and_days_at_midnight(start: Any) -> None:
    caller = await start(records=20)
    for row in (await caller.call("GET")).json:
        assert re.fullmatch("[A-P]{40}", row["rowId"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", row["geaendertAm"])
        assert row["geburtsdatum"] is None or re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00", row["geburtsdatum"])


async def test_some_records_have_fields_that_no_mapping_knows(start: Any) -> None:
    caller = await start(records=20)
    rows = (await caller.call("GET")).json
    rich = [row for row in rows if row["bemerkung"]]
    assert 5 < len(rich) < 20
    assert all(isinstance(row["zusatzfelder"]["herkunft"], dict) for row in rich)
    assert any(row["kommunikation"] for row in rows)


async def test_an_absent_party_is_404(start: Any) -> None:
    caller = await start()
    for method, body in (("GET", None), ("PUT", MINIMAL)):
        assert (await caller.call(method, "/999", body)).status == 404


async def test_one_seed_gives_one_firm(start: Any) -> None:
    one, two, other = (
        await start(records=5, seed=3),
        await start(records=5, seed=3),
        await start(records=5, seed=4),
    )
    assert one.server.store.records == two.server.store.records != other.server.store.records
    assert one.config["api_key"] == two.config["api_key"] != other.config["api_key"]


# Creating


async def test_a_post_answers_the_betnr_alone_and_stores_class_r_fields_too(start: Any) -> None:
    caller = await start()
    sent = {"name": "Köster", "geburtsdatum": "1940-07-01T00:00:00"} | dict.fromkeys(CLASS_R, "x")
    first, second = await caller.call("POST", body=sent), await caller.call("POST", body=sent)
    assert (first.json, second.json) == ({"betNr": 104_711}, {"betNr": 104_712})
    stored = await caller.get(104_711)
    assert {name: stored[name] for name in sent} == sent
    assert stored["geaendertAm"] == stored["angelegtAm"] == WINTER_LOCAL
    assert stored["angelegtVon"] == "SYN"


async def test_the_server_fields_in_a_post_are_not_the_callers(start: Any) -> None:
    caller = await start()
    sent = MINIMAL | {
        "betNr": 1,
        "rowId": "A" * 40,
        "geaendertAm": "1999-01-01T00:00:00",
        "kommunikation": [{"tlf": "1"}],
    }
    assert (await caller.call("POST", body=sent)).json == {"betNr": 104_711}
    stored = await caller.get(104_711)
    assert (stored["rowId"] != "A" * 40, stored["geaendertAm"], stored["kommunikation"]) == (
        True,
        WINTER_LOCAL,
        [],
    )


@pytest.mark.parametrize("name", [None, "", "  \t"])
async def test_a_name_is_required_in_post_and_put(start: Any, name: str | None) -> None:
    caller = await start(records=1)
    before = caller.server.store.records
    for method, resource in (("POST", ""), ("PUT", "/104711")):
        for body in ({"name": name}, {"vorname": "Ada"}):
            answer = await caller.call(method, resource, body)
            assert (answer.status, "Pflichtfeld" in answer.text) == (400, True)
    assert caller.server.store.records == before


@pytest.mark.parametrize(
    "body",
    [
        [],
        "x",
        3,
        None,
        {"name": 5},
        {"name": "A", "geburtsdatum": "1960-05"},
        {"name": "A", "geburtsdatum": 3},
    ],
)
async def test_a_body_that_does_not_fit_is_400_and_changes_nothing(start: Any, body: Any) -> None:
    caller = await start()
    assert (await caller.call("POST", body=body)).status == 400
    assert caller.server.store.records == {}


async def test_a_body_that_is_no_json_is_400(start: Any) -> None:
    caller = await start()
    headers = {"Authorization": f"Bearer {caller.token}"}
    for raw in (b"", b"{", b"\xff", b'{"name": NaN}', b'{"name": "\\ud800"}', b"[" * 100_000):
        async with caller.http.post(f"{caller.api}Beteiligte", data=raw, headers=headers) as reply:
            assert reply.status == 400


async def test_a_birth_date_with_an_offset_is_moved_into_local_time(start: Any) -> None:
    caller = await start()
    await caller.call("POST", body={"name": "Früh", "geburtsdatum": "2001-01-04T23:30:00Z"})
    assert (await caller.get(104_711))["geburtsdatum"] == "2001-01-05T00:00:00"


# Replacing


async def test_a_put_of_what_was_read_changes_nothing_but_the_rowid_and_the_time(start: Any) -> None:
    caller = await start(records=12)
    for betnr in caller.server.store.records:
        before = await caller.get(betnr)
        reply = await caller.call("PUT", f"/{betnr}", before)
        after = await caller.get(betnr)
        assert reply.json == [after]
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"rowId", "geaendertAm", "geaendertVon"}


async def test_the_rowid_moves_at_every_put(start: Any) -> None:
    caller = await start(records=1)
    seen = {(await caller.call("PUT", "/104711", MINIMAL)).json[0]["rowId"] for _ in range(5)}
    assert len(seen) == 5


async def test_a_put_replaces_the_whole_record_and_unmapped_fields_not_sent_are_lost(start: Any) -> None:
    caller = await start(records=20)
    before = next(row for row in (await caller.call("GET")).json if row["bemerkung"] and row["kommunikation"])
    await caller.call("PUT", f"/{before['betNr']}", {"name": "Neu", "ort": "Celle"})
    after = await caller.get(before["betNr"])
    kept = {*CLASS_R, "betNr", "kommunikation", "angelegtAm", "angelegtVon"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert (after["name"], after["ort"]) == ("Neu", "Celle")
    gone = set(after) - kept - {"name", "ort", "rowId", "geaendertAm", "geaendertVon"}
    assert {"vorname", "geburtsdatum", "bemerkung", "strasse", "zusatzfelder", "stundensatz"} <= gone
    assert all(after[name] is None for name in gone)


async def test_a_put_ignores_class_r_and_server_fields_and_children(start: Any) -> None:
    caller = await start(records=1)
    before = await caller.get(104_711)
    sent = before | dict.fromkeys(CLASS_R, "anders") | {"betNr": 7, "angelegtVon": "X", "kommunikation": []}
    assert (await caller.call("PUT", "/104711", sent | {"nieGehört": 1})).status == 200
    after = await caller.get(104_711)
    assert {n for n in before if before[n] != after[n]} == {"rowId", "geaendertAm", "geaendertVon"}
    assert "nieGehört" not in after


async def test_a_party_cannot_be_deleted(start: Any) -> None:
    caller = await start(records=1)
    assert (await caller.call("DELETE", "/104711")).status == 403
    assert (await caller.call("GET", "/104711")).status == 200


async def test_times_follow_the_clock_in_summer_and_winter(start: Any) -> None:
    caller = await start(records=1)
    for moment, local in (
        (NOW, WINTER_LOCAL),
        (datetime(2026, 7, 1, 12, 30, tzinfo=UTC), "2026-07-01T14:30:00"),
    ):
        caller.clock.now = moment
        await caller.sign_in()
        assert (await caller.call("PUT", "/104711", MINIMAL)).json[0]["geaendertAm"] == local


# A person at the desktop


async def test_a_person_edits_creates_and_deletes_at_the_desktop(start: Any) -> None:
    caller = await start(records=2)
    advo = caller.server.store
    before = await caller.get(104_711)
    advo.edit(104_711, kurzname="NEU", zusatz="", bemerkung=None)
    after = await caller.get(104_711)
    assert (after["kurzname"], after["zusatz"], after["bemerkung"]) == ("NEU", "", None)
    assert (after["rowId"] != before["rowId"], after["geaendertAm"]) == (True, WINTER_LOCAL)
    betnr = advo.create(name="Kaya", geburtsdatum="2004-02-29")
    assert (await caller.get(betnr))["geburtsdatum"] == "2004-02-29T00:00:00"
    assert advo.records[betnr] == await caller.get(betnr)
    advo.delete(betnr)
    assert (await caller.call("GET", f"/{betnr}")).status == 404
    assert len((await caller.call("GET")).json) == 2


async def test_a_person_who_gets_it_wrong_is_told_and_nothing_changes(start: Any) -> None:
    advo = (await start(records=1)).server.store
    before = advo.records
    for changes in ({"name": " "}, {"nachname": "X"}, {"geburtsdatum": "neulich"}):
        with pytest.raises(ValueError, match=r"Pflichtfeld|no such field|gültiges Datum"):
            advo.edit(104_711, **changes)
    with pytest.raises(ValueError, match="Pflichtfeld"):
        advo.create(vorname="Ada")
    with pytest.raises(KeyError):
        advo.edit(1, name="X")
    assert advo.records == before


async def test_a_change_of_a_phone_number_leaves_the_rowid_alone(start: Any) -> None:
    caller = await start(records=1)
    before = await caller.get(104_711)
    caller.server.store.edit(104_711, kommunikation=[{"tlf": "0511/12345-60", "kommKz": 1}])
    after = await caller.get(104_711)
    assert after["rowId"] == before["rowId"]
    assert after["kommunikation"][0].items() >= {"tlf": "0511/12345-60", "kommArt": 1, "betNr": 104_711}.items()


async def test_what_the_store_hands_out_is_a_copy(start: Any) -> None:
    advo = (await start(records=20)).server.store
    before = json.dumps(advo.records)
    for row in advo.records.values():
        row["kommunikation"].clear()
        (row["zusatzfelder"] or {}).clear()
    assert json.dumps(advo.records) == before


async def test_a_person_may_also_use_the_api_with_an_own_token(start: Any) -> None:
    caller = await start(records=1)
    person = attrs.evolve(caller, config=caller.server.person_config)
    await person.sign_in()
    await person.call("PUT", "/104711", MINIMAL)
    assert (await caller.get(104_711))["geaendertVon"] == "MUS"


async def test_a_person_in_another_process_works_over_the_control_channel_unlogged(start: Any) -> None:
    caller = await start(records=1)
    caller.server.control.log.clear()
    records = f"{caller.server.url}_simulator/records"
    async with caller.http.post(records, json={"name": "Kaya"}) as reply:
        betnr = (await reply.json())["betNr"]
    async with caller.http.patch(f"{records}/{betnr}", json={"titel": "Dr."}) as reply:
        assert reply.status == 200
    async with caller.http.patch(f"{records}/{betnr}", json={"name": ""}) as reply:
        assert (reply.status, "Pflichtfeld" in await reply.text()) == (400, True)
    async with caller.http.delete(f"{records}/104711") as reply:
        assert reply.status == 200
    async with caller.http.delete(f"{records}/104711") as reply:
        assert reply.status == 404
    async with caller.http.put(f"{caller.server.url}_simulator/switches", json={"delete": "405"}) as reply:
        assert reply.status == 200
    assert caller.server.store.switches["delete"] == "405"
    async with caller.http.get(records) as reply:
        assert [row["titel"] for row in await reply.json()] == ["Dr."]
    assert caller.server.control.log == []


# Ordered faults and the log


async def test_the_log_may_be_cleared_while_a_request_is_held(start: Any) -> None:
    caller = await start(records=1)
    control = caller.server.control
    control.rules.append(FaultRule("hold", "GET", seconds=0.1))
    held = asyncio.create_task(caller.get(104_711))
    await control.wait_until_held()
    control.log.clear()
    await held
    assert control.log == []


async def test_every_request_is_logged_by_path(start: Any) -> None:
    caller = await start(records=1)
    await caller.get(104_711)
    assert [(entry.method, entry.path, entry.status) for entry in caller.server.control.log] == [
        ("GET", "/AdvonetConfigurator/api/Url", 200),
        ("POST", "/security/api/v1/Token", 200),
        ("GET", "/api/v1/advonet/Beteiligte/104711", 200),
    ]


@pytest.mark.parametrize(("when", "committed"), [("before", 0), ("after", 1)])
async def test_a_dropped_post_took_effect_only_if_the_reply_was_lost(start: Any, when: Any, committed: int) -> None:
    caller = await start()
    caller.server.control.rules.append(FaultRule("drop", "POST", "Beteiligte$", when=when))
    with pytest.raises(aiohttp.ClientError):
        await caller.call("POST", body=MINIMAL)
    assert len(caller.server.store.records) == committed


async def test_a_held_put_is_overtaken_and_then_overwrites(start: Any) -> None:
    caller = await start(records=1)
    control = caller.server.control
    control.rules.append(FaultRule("hold", "PUT", seconds=0.2))
    held = asyncio.create_task(caller.call("PUT", "/104711", {"name": "Spät"}))
    await control.wait_until_held()
    await caller.call("PUT", "/104711", {"name": "Früh"})
    assert (await caller.get(104_711))["name"] == "Früh"
    assert (await held).status == 200
    assert (await caller.get(104_711))["name"] == "Spät"


@pytest.mark.parametrize(("when", "name"), [("before", "Alt"), ("after", "Neu")])
async def test_a_held_put_whose_caller_hangs_up_stays_as_it_was(start: Any, when: Any, name: str) -> None:
    caller = await start()
    caller.server.store.create(name="Alt")
    control = caller.server.control
    control.rules.append(FaultRule("hold", "PUT", when=when))
    put = asyncio.create_task(caller.call("PUT", "/104711", {"name": "Neu"}))
    await control.wait_until_held()
    put.cancel()
    while control.held:
        await asyncio.sleep(0.01)
    assert (await caller.get(104_711))["name"] == name


async def test_a_dropped_list_breaks_off_without_rows(start: Any) -> None:
    caller = await start(records=300)
    caller.server.control.rules.append(
        FaultRule("drop", "GET", "Beteiligte$", when="after", times=2)
    )  # aiohttp asks again
    with pytest.raises(aiohttp.ClientError):
        await caller.call("GET")


async def test_a_list_shows_one_moment_even_if_it_is_held(start: Any) -> None:
    caller = await start(records=300)
    control = caller.server.control
    control.rules.append(FaultRule("hold", "GET", "Beteiligte$", when="after", seconds=0.1))
    listing = asyncio.create_task(caller.call("GET"))
    await control.wait_until_held()
    caller.server.store.edit(104_711, name="Danach")
    assert (await listing).json[0]["name"] != "Danach"


# Switches


@pytest.mark.parametrize("switches", [{"put.semantic": "partial"}, {"put.semantics": "merge"}, {"latency_ms": "-1"}])
def test_an_unknown_switch_or_value_is_refused_in_one_line_naming_the_allowed(
    switches: dict[str, str],
) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*(put\.semantics|full_replace|0, 200)[^\n]*$"):
        advoware_simulator(switches=switches)


def test_every_listed_value_can_be_chosen() -> None:
    for name, values in VALUES.items():
        for value in values:
            assert advoware_simulator(records=8, switches={name: value}).store.switches[name] == value
    assert advoware_simulator(switches={"token.ttl_s": "9"}).store.switches["token.ttl_s"] == "9"


async def test_the_announcement_holds_the_config_and_no_users(start: Any) -> None:
    server = (await start()).server
    assert json.loads(json.dumps(server.announcement())) == {
        "system": "advoware",
        "url": server.url,
        "config": server.config,
        "users": {},
    }
    assert server.config["password"] not in repr(server)
    assert server.config["api_key"] not in repr(server)


async def test_a_get_costs_little_even_among_many_parties(start: Any) -> None:
    caller = await start(records=2000)

    async def read() -> None:
        for betnr in range(104_711, 104_711 + 50):
            await caller.get(betnr)

    started = time.process_time()
    await asyncio.gather(*(read() for _ in range(10)))
    assert 500 / (time.process_time() - started) > 300  # of this process, client included


SWITCHED_GET = [
    ({"get.shape": "list_of_one"}, lambda v: isinstance(v, list) and len(v) == 1),
    ({"json_case": "PascalCase"}, lambda v: v["Name"] == "Kaya" and v["BAnrede"] is None and "name" not in v),
    ({"null_style": "empty"}, lambda v: v["vorname"] == "" and v["geburtsdatum"] is None),
    ({"null_style": "absent"}, lambda v: "vorname" not in v and "geburtsdatum" not in v),
    ({"null_style": "0001-01-01"}, lambda v: v["geburtsdatum"] == "0001-01-01T00:00:00"),
    ({"rowId.format": "uuid"}, lambda v: len(v["rowId"]) == 36),
    ({"rowId.format": "base64"}, lambda v: len(base64.b64decode(v["rowId"])) == 20),
    ({"geaendertAm": "naive_utc"}, lambda v: v["geaendertAm"] == "2026-02-07T13:30:00"),
    ({"geaendertAm": "Z"}, lambda v: v["geaendertAm"] == "2026-02-07T13:30:00Z"),
    ({"geaendertAm": "missing"}, lambda v: "geaendertAm" not in v),
    ({"server_tz": "UTC"}, lambda v: v["geaendertAm"] == "2026-02-07T13:30:00"),
    ({"time.fraction_digits": "7"}, lambda v: v["geaendertAm"] == "2026-02-07T14:30:00.1234567"),
    ({"time.fraction_digits": "3"}, lambda v: v["geaendertAm"] == "2026-02-07T14:30:00.123"),
    ({"string.trim": "pads_to_length"}, lambda v: v["name"] == "Kaya".ljust(100)),
    ({"side_effects": "name_uppercased"}, lambda v: v["name"] == "KAYA"),
    ({"side_effects": "anrede_fills_bAnrede"}, lambda v: v["bAnrede"] == "Sehr geehrte Frau Kaya"),
    ({"side_effects": "plz_fills_ort"}, lambda v: v["ort"] == "Köln"),
    ({"redundant_twins": "twin_overrides"}, lambda v: v["geburtsdatumTicks"] == 0),
    ({"child.in_parent_get": "none"}, lambda v: "kommunikation" not in v),
    ({"child.in_parent_get": "all"}, lambda v: v["kommunikation"] == v["adressen"] == v["bankverbindungen"] == []),
]


@pytest.mark.parametrize(("switches", "holds"), SWITCHED_GET)
async def test_a_switch_changes_what_a_get_shows(start: Any, switches: dict[str, str], holds: Any) -> None:
    caller = await start(switches)
    betnr = caller.server.store.create(name="Kaya", anrede="Frau", plz="50667")
    assert holds(await caller.get(betnr))


SWITCHED_VALUE = [
    ({"string.trim": "trims"}, {"zusatz": " c/o "}, "zusatz", "c/o"),
    ({"string.max_len": "truncates_silently"}, {"titel": "x" * 41}, "titel", "x" * 40),
    ({"charset": "cp1252_lossy"}, {"vorname": "Łukasz"}, "vorname", "?ukasz"),
    ({"charset": "nfd_to_nfc"}, {"vorname": "Jo\u0308rg"}, "vorname", "Jörg"),
    ({}, {"vorname": "Jo\u0308rg 🙂"}, "vorname", "Jo\u0308rg 🙂"),
    ({"enum.unknown": "mapped_to_default"}, {"rechtsform": "Ltd."}, "rechtsform", "Sonstige"),
    ({}, {"rechtsform": "Ltd."}, "rechtsform", "Ltd."),
    ({"string.max_len": "400"}, {"titel": "x" * 41}, "titel", 400),
    ({"enum.unknown": "400"}, {"anrede": "S. D."}, "anrede", 400),
    ({"put.unknown_field": "400"}, {"nieGehört": 1}, "name", 400),
]


@pytest.mark.parametrize(("switches", "sent", "name", "becomes"), SWITCHED_VALUE)
async def test_a_switch_changes_what_becomes_of_a_value(
    start: Any, switches: dict[str, str], sent: dict[str, Any], name: str, becomes: Any
) -> None:
    caller = await start(switches)
    answer = await caller.call("POST", body=MINIMAL | sent)
    if becomes == 400:
        assert answer.status == 400
    else:
        assert (await caller.get(104_711))[name] == becomes


SWITCHED_POST = [
    ({"post.reply": "dict_with_rowId"}, 200, lambda a: set(a.json) == {"betNr", "rowId"}),
    ({"post.reply": "list_with_rowId"}, 200, lambda a: set(a.json[0]) == {"betNr", "rowId"}),
    ({"post.reply": "bare_int"}, 200, lambda a: a.json == 104_711),
    ({"post.reply": "201_location"}, 201, lambda a: a.headers["Location"].endswith("/Beteiligte/104711")),
    ({"post.commit_then_drop": "504_after_commit"}, 504, lambda a: True),
]


@pytest.mark.parametrize(("switches", "status", "holds"), SWITCHED_POST)
async def test_a_switch_changes_the_reply_to_a_post_that_took_effect(
    start: Any, switches: dict[str, str], status: int, holds: Any
) -> None:
    caller = await start(switches)
    answer = await caller.call("POST", body=MINIMAL)
    assert (answer.status, holds(answer), list(caller.server.store.records)) == (status, True, [104_711])


async def test_the_same_payload_within_a_minute_may_be_one_party(start: Any) -> None:
    caller = await start({"post.idempotency": "dedupe_same_payload_60s"})
    for wait, betnr in ((0, 104_711), (60, 104_711), (1, 104_712)):
        caller.clock.now += timedelta(seconds=wait)
        assert (await caller.call("POST", body=MINIMAL)).json == {"betNr": betnr}


PUT_SENT = {"name": "Neu", "vorname": None, "kurzname": "ANDERS", "rowId": "alt"}
OLD = {"name": "Alt", "vorname": "Ada", "titel": "Dr.", "kurzname": "ALT", "bemerkung": "bleibt?"}
SWITCHED_PUT = [
    (
        {"put.semantics": "partial"},
        lambda a, r: (r["vorname"], r["titel"], r["bemerkung"]) == (None, "Dr.", "bleibt?"),
    ),
    ({"put.semantics": "partial_null_ignored"}, lambda a, r: r["vorname"] == "Ada"),
    (
        {"put.semantics": "partial", "put.unknown_field": "clears_when_absent"},
        lambda a, r: (r["titel"], r["bemerkung"]) == ("Dr.", None),
    ),
    ({"put.readonly_field": "400"}, lambda a, r: (a.status, r["name"]) == (400, "Alt")),
    (
        {"put.readonly_field": "accepted_not_persisted"},
        lambda a, r: (a.json[0]["kurzname"], r["kurzname"]) == ("ANDERS", "ALT"),
    ),
    ({"put.reply": "object"}, lambda a, r: a.json == r),
    (
        {"put.reply": "object_without_rowId"},
        lambda a, r: a.json == {n: v for n, v in r.items() if n != "rowId"},
    ),
    ({"put.reply": "204"}, lambda a, r: (a.status, a.text, r["name"]) == (204, "", "Neu")),
    (
        {"put.reply_stale": "echo_of_request"},
        lambda a, r: a.json[0]["rowId"] != r["rowId"] and a.json[0]["kurzname"] == "ANDERS",
    ),
    ({"if_match": "rowId_in_body_checked"}, lambda a, r: (a.status, r["name"]) == (409, "Alt")),
]


@pytest.mark.parametrize(("switches", "holds"), SWITCHED_PUT)
async def test_a_switch_changes_what_a_put_does(start: Any, switches: dict[str, str], holds: Any) -> None:
    caller = await start(switches)
    caller.server.store.create(**OLD)
    answer = await caller.call("PUT", "/104711", PUT_SENT)
    assert holds(answer, await caller.get(104_711))


async def test_a_put_with_the_rowid_just_read_passes_the_check(start: Any) -> None:
    caller = await start({"if_match": "rowId_in_body_checked"}, records=1)
    assert (await caller.call("PUT", "/104711", await caller.get(104_711))).status == 200


@pytest.mark.parametrize(
    ("switches", "same_put", "real_put", "child"),
    [
        ({}, True, True, False),
        ({"rowId.changes_on": "only_real_change"}, False, True, False),
        ({"rowId.changes_on": "child_write_too"}, True, True, True),
        ({"rowId.changes_on": "never"}, False, False, False),
    ],
)
async def test_a_switch_decides_what_moves_the_rowid(
    start: Any, switches: dict[str, str], same_put: bool, real_put: bool, child: bool
) -> None:
    caller = await start(switches, records=1)
    seen = [await caller.get(104_711)]
    await caller.call("PUT", "/104711", seen[0])
    seen.append(await caller.get(104_711))
    await caller.call("PUT", "/104711", MINIMAL)
    seen.append(await caller.get(104_711))
    caller.server.store.edit(104_711, kommunikation=[{"tlf": "1", "kommKz": 1}])
    seen.append(await caller.get(104_711))
    moved = [before["rowId"] != after["rowId"] for before, after in itertools.pairwise(seen)]
    assert moved == [same_put, real_put, child]


async def test_a_rowid_may_come_back_with_other_values(start: Any) -> None:
    caller = await start({"rowId.reuse": "returns_to_old_value"})
    caller.server.store.create(name="Eins")
    first = await caller.get(104_711)
    for name in ("Zwei", "Drei"):
        caller.server.store.edit(104_711, name=name)
    third = await caller.get(104_711)
    assert (third["rowId"] == first["rowId"], third["name"]) == (True, "Drei")


async def test_a_rowid_may_be_missing(start: Any) -> None:
    caller = await start({"rowId.missing": "absent_in_list"}, records=2)
    assert all("rowId" not in row for row in (await caller.call("GET")).json)
    assert (await caller.get(104_711))["rowId"]
    some = await start({"rowId.missing": "null_on_some_rows"}, records=9)
    assert {row["rowId"] is None for row in (await some.call("GET")).json} == {True, False}


@pytest.mark.parametrize(
    ("switches", "query", "count", "rows_of"),
    [
        ({"list.shape": "data_total"}, "", 250, lambda v: v["data"] if v["total"] == 250 else []),
        ({"list.shape": "value"}, "", 250, lambda v: v["value"]),
        ({"list.paging": "silently_capped_100"}, "", 100, lambda v: v),
        ({"list.paging": "page_size"}, "", 100, lambda v: v),
        ({"list.paging": "page_size"}, "?page=3&size=100", 50, lambda v: v),
        ({"list.paging": "unstable_order"}, "", 250, lambda v: v),
    ],
)
async def test_a_switch_changes_the_list(
    start: Any, switches: dict[str, str], query: str, count: int, rows_of: Any
) -> None:
    caller = await start(switches, records=250)
    assert len({row["betNr"] for row in rows_of((await caller.call("GET", query)).json)}) == count


@pytest.mark.parametrize(("style", "status"), [("200_text", 200), ("500_german_text", 500), ("503_retry_after", 503)])
async def test_a_refused_sign_in_may_look_otherwise(start: Any, style: str, status: int) -> None:
    caller = await start({"auth.error_style": style})
    caller.token = ""
    for answer in (await caller.call("GET"), await caller.ask_token(caller.token_request(Password="falsch"))):
        assert answer.status == status
        assert "angemeldet" in answer.text or "Kennwort" in answer.text
        assert (answer.headers.get("Retry-After") == "70") == (status == 503)


async def test_a_token_may_be_revoked_early_and_its_reply_may_name_no_expiry(start: Any) -> None:
    caller = await start({"token.early_revoke": "after_n_calls", "token.expiry_field": "none"})
    assert [(await caller.call("GET")).status for _ in range(21)] == [200] * 20 + [401]
    assert set((await caller.ask_token(caller.token_request())).json) == {"access_token"}
    caller.server.store.behave({"token.expiry_field": "expires_in", "token.ttl_s": "7"})
    assert (await caller.ask_token(caller.token_request())).json["expires_in"] == 7


@pytest.mark.parametrize(
    ("behaviour", "status", "left"), [("405", 405, 2), ("404_then_gone", 404, 1), ("soft_flag", 204, 2)]
)
async def test_a_delete_may_do_otherwise(start: Any, behaviour: str, status: int, left: int) -> None:
    caller = await start({"delete": behaviour}, records=2)
    assert (await caller.call("DELETE", "/104711")).status == status
    rows = (await caller.call("GET")).json
    assert len(rows) == left
    assert rows[0].get("geloescht") == (True if behaviour == "soft_flag" else None)


async def test_a_deleted_party_may_answer_empty_or_as_another(start: Any) -> None:
    caller = await start({"deleted_party_get": "200_empty_list"}, records=3)
    caller.server.store.delete(104_711, merged_into=104_713)
    assert await caller.get(104_711) == []
    caller.server.store.behave({"deleted_party_get": "200_merged_into_other_betNr"})
    assert (await caller.get(104_711))["betNr"] == 104_713
    assert (await caller.call("GET", "/5")).status == 404


async def test_an_open_party_may_be_locked_until_it_is_closed(start: Any) -> None:
    caller = await start({"lock_in_ui": "423"}, records=1)
    caller.server.store.open(104_711)
    assert (await caller.call("PUT", "/104711", MINIMAL)).status == 423
    caller.server.store.close(104_711)
    assert (await caller.call("PUT", "/104711", MINIMAL)).status == 200


async def test_the_way_to_the_firm_may_be_broken(start: Any) -> None:
    caller = await start(records=1)
    behave = caller.server.store.behave
    behave({"connector_offline": "503"})
    assert (await caller.call("PUT", "/104711", MINIMAL)).status == 503
    behave({"connector_offline": "502_html"})
    assert "<html>" in (await caller.call("GET")).text
    for style, says in (
        ("error_json", '"error"'),
        ("german_text", "nicht erreichbar"),
        ("html_login_page", "<form"),
    ):
        behave({"http200_error_body": style})
        answers = [await caller.call("GET") for _ in range(5)]
        assert all(answer.status == 200 for answer in answers)
        assert sum(says in answer.text for answer in answers) == 1
    behave({"rate_limit": "429_retry_after"})
    limited = [await caller.call("GET") for _ in range(51)][-1]
    assert (limited.status, limited.headers["Retry-After"]) == (429, "1")
    behave({"rate_limit": "silent_drop"})
    with pytest.raises(aiohttp.ClientError):
        await caller.call("POST", body=MINIMAL)
    assert len(caller.server.store.records) == 1


async def test_latency_delays_every_reply(start: Any) -> None:
    caller = await start({"latency_ms": "200"}, records=1)
    started = time.perf_counter()
    await caller.get(104_711)
    assert time.perf_counter() - started >= 0.19


async def test_the_other_path_family_is_named_in_the_config(start: Any) -> None:
    caller = await start({"path_prefix": "/api/v1"}, records=1)
    assert caller.config["path"] == "api/v1/"
    assert (await caller.get(104_711))["betNr"] == 104_711


async def test_without_a_security_gateway_the_config_names_the_token_service(start: Any) -> None:
    caller = await start({"discovery": "no_security_gateway"})
    assert (await caller.call("GET")).status == 200


async def test_a_pascal_case_record_survives_a_round_trip(start: Any) -> None:
    caller = await start({"json_case": "PascalCase"}, records=6)
    before = caller.server.store.records
    for row in (await caller.call("GET")).json:
        assert (await caller.call("PUT", f"/{row['BetNr']}", row)).status == 200
    after = caller.server.store.records
    moving = {"rowId", "geaendertAm", "geaendertVon"}
    for betnr in before:
        assert {n for n in before[betnr] if before[betnr][n] != after[betnr][n]} == moving


async def test_a_twin_that_is_sent_back_wins_over_the_field_that_it_repeats(start: Any) -> None:
    caller = await start({"redundant_twins": "twin_overrides"})
    betnr = caller.server.store.create(name="Kaya", geburtsdatum="1980-02-29T00:00:00")
    read = await caller.get(betnr)
    days = (date(1980, 2, 29) - date(1, 1, 1)).days
    assert read["geburtsdatumTicks"] == days * 24 * 3600 * 10**7  # as .NET counts: tenths of a microsecond
    await caller.call("PUT", f"/{betnr}", {**read, "geburtsdatum": "1990-01-01T00:00:00"})
    assert (await caller.get(betnr))["geburtsdatum"] == "1980-02-29T00:00:00"
    del read["geburtsdatumTicks"]
    await caller.call("PUT", f"/{betnr}", {**read, "geburtsdatum": "1990-01-01T00:00:00"})
    assert (await caller.get(betnr))["geburtsdatum"] == "1990-01-01T00:00:00"


async def test_children_may_be_numbered_anew_and_say_nothing_of_their_kind(start: Any) -> None:
    caller = await start({"child.id_stability": "re-numbered_on_parent_put", "child.kommKz_get": "0_always"})
    betnr = caller.server.store.create(name="Kaya", kommunikation=[{"tlf": "0511/1", "kommKz": 4}])
    before = await caller.get(betnr)
    await caller.call("PUT", f"/{betnr}", before)
    (old,), (new,) = before["kommunikation"], (await caller.get(betnr))["kommunikation"]
    assert (old["tlf"], old["kommKz"], old["kommArt"]) == (new["tlf"], 0, 4)
    assert new["id"] > old["id"]


@pytest.mark.parametrize(("value", "query", "count"), [
    ("absent", "?geaendertSeit=2026-01-01T00:00:00", 5),
    ("present", "?geaendertSeit=2026-01-01T00:00:00", 1),
    ("present", "?GeaendertSeit=2026-01-01T00:00:00", 5),
    ("present", "", 5),
])  # fmt: skip
async def test_a_list_may_know_a_filter_for_changes(start: Any, value: str, query: str, count: int) -> None:
    caller = await start({"list.filter_changed_since": value}, records=4)
    caller.server.store.create(name="Neu")
    assert len((await caller.call("GET", query)).json) == count


async def test_the_letters_of_a_query_key_may_matter(start: Any) -> None:
    for value, rows in (("case_sensitive_ignored", 100), ("insensitive", 50)):
        caller = await start({"query_key_case": value, "list.paging": "page_size"}, records=250)
        assert len((await caller.call("GET", "?PAGE=3&Size=100")).json) == rows


async def test_faults_are_the_same_for_the_same_seed(start: Any) -> None:
    async def lived(seed: int) -> list[int]:
        caller = await start({"faults": "all"}, records=2, seed=seed)
        for _ in range(60):
            with contextlib.suppress(aiohttp.ClientError):
                await caller.call("GET", "/104711")
        return [entry.status for entry in caller.server.control.log if "Beteiligte" in entry.path]

    first, again, other = await lived(1), await lived(1), await lived(2)
    assert first == again != other
    assert 0 < first.count(0) < 30


def test_values_may_be_spelled_as_in_the_notes_that_they_come_from() -> None:
    spelled = {"token.clock_skew_max_s": "∞", "list.shape": "{data,total}", "rowId.format": "A-P×40", "null_style": ""}
    switches = Switches(spelled)
    assert [switches[name] for name in spelled] == ["unlimited", "data_total", "A-P_40", "empty"]


async def test_an_advoware_may_know_the_first_of_espocrms_parties_and_some_by_their_name_alone():
    crm, erp = espocrm_simulator(records=30), advoware_simulator(records=30, shared=20, alike=4)
    theirs = [(r["lastName"], r["firstName"], r["dateOfBirth"]) for r in crm.store.records.values()]
    ours = [(p["name"], p["vorname"], (p["geburtsdatum"] or "")[:10] or None) for p in erp.store.records.values()]
    assert ours[:20] == theirs[:20]
    assert [party[:2] for party in ours[20:24]] == [record[:2] for record in theirs[20:24]]
    assert {party[2] for party in ours[20:24]} == {None}
    assert not {party[:2] for party in ours[24:]} & {record[:2] for record in theirs}
    with pytest.raises(ValueError, match="30 parties can't hold 25 shared and 6 alike ones"):
        advoware_simulator(records=30, shared=25, alike=6)
