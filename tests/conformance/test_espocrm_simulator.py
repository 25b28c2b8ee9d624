"""The EspoCRM simulator behaves as EspoCRM 9.2.7 was recorded. Everything goes over real HTTP,
with a client of these tests' own, so that a mistake of the simulator is not repeated here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import aiohttp
import attrs
import pytest

from bidisync_espo_advo.simulators.espocrm import EspoServer, espocrm_simulator
from bidisync_espo_advo.simulators.people import parties
from bidisync_espo_advo.simulators.server import FaultRule

NOW = datetime(2026, 2, 7, 13, 30, 0, 123456, tzinfo=UTC)
STAMP = "2026-02-07 13:30:00"
LATER = "2026-02-07 13:31:00"
ABSENT = "0123456789abcdef0"


@attrs.define
class SetClock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float = 60) -> None:
        self.now += timedelta(seconds=seconds)


@attrs.define
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def reason(self) -> str | None:
        return self.headers.get("X-Status-Reason")


@attrs.define
class Caller:
    """A client of one user; ``user`` empty sends no credentials."""

    server: EspoServer
    session: aiohttp.ClientSession
    user: str = "sync"

    def as_(self, user: str) -> Caller:
        return attrs.evolve(self, user=user)

    def credentials(self, method: str, path: str) -> dict[str, str]:
        if not self.user:
            return {}
        known = self.server.users[self.user]
        if "password" in known:
            text = f"{known['username']}:{known['password']}"
            return {"Espo-Authorization": base64.b64encode(text.encode()).decode()}
        if "secret_key" in known:
            message = f"{method} /{path}".encode()
            signature = hmac.new(known["secret_key"].encode(), message, hashlib.sha256).hexdigest()
            text = f"{known['api_key']}:{signature}"
            return {"X-Hmac-Authorization": base64.b64encode(text.encode()).decode()}
        return {"X-Api-Key": known["api_key"]}

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        params: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = {"Content-Type": "application/json", **self.credentials(method, path), **(headers or {})}
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        async with self.session.request(
            method, f"{self.server.url}api/v1/{path}", data=data, params=params, headers=sent
        ) as response:
            return Answer(response.status, await response.text(), response.headers)

    async def get(self, id: str) -> Answer:
        return await self.call("GET", f"CBeteiligte/{id}")

    async def post(self, headers: Mapping[str, str] | None = None, **body: Any) -> Answer:
        return await self.call("POST", "CBeteiligte", body, headers=headers)

    async def put(self, id: str, /, headers: Mapping[str, str] | None = None, **body: Any) -> Answer:
        return await self.call("PUT", f"CBeteiligte/{id}", body, headers=headers)

    async def delete(self, id: str) -> Answer:
        return await self.call("DELETE", f"CBeteiligte/{id}")

    async def find(self, *where: Mapping[str, Any], **params: Any) -> Answer:
        """A list by ``searchParams``."""
        search = {"where": list(where), **params}
        return await self.call("GET", "CBeteiligte", params={"searchParams": json.dumps(search)})

    async def names(self, *where: Mapping[str, Any], **params: Any) -> list[str]:
        """The last names that such a list gives, in order."""
        answer = await self.find(*where, **{"orderBy": "lastName", "order": "asc", **params})
        assert answer.status == 200, answer
        return [row["lastName"] for row in answer.json["list"]]


def item(how: str, attribute: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": how, "attribute": attribute, "value": value, **more}


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def server(clock: SetClock) -> AsyncIterator[EspoServer]:
    async with espocrm_simulator(seed=7, clock=clock) as server:
        yield server


@pytest.fixture
async def espo(server: EspoServer) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(server, session)


async def made(espo: Caller, **values: Any) -> str:
    answer = await espo.post(**{"lastName": "Köster", **values})
    assert answer.status == 200, answer
    return str(answer.json["id"])


# Sign-in


async def test_every_kind_of_credentials_gets_in(espo: Caller) -> None:
    for user in ("sync", "sync2", "synchmac", "syncro", "synclim", "syncfld", "admin"):
        answer = await espo.as_(user).call("GET", "App/user")
        assert answer.status == 200
        assert answer.json["user"]["id"] == espo.server.users[user]["id"]


async def test_the_password_also_works_in_a_basic_header(espo: Caller) -> None:
    admin = espo.server.users["admin"]
    basic = base64.b64encode(f"admin:{admin['password']}".encode()).decode()
    answer = await espo.as_("").call("GET", "CBeteiligte", headers={"Authorization": f"Basic {basic}"})
    assert answer.status == 200


async def test_a_bad_key_is_401_without_body_and_reason(espo: Caller) -> None:
    answer = await espo.as_("").call("GET", "CBeteiligte", headers={"X-Api-Key": "wrong"})
    assert (answer.status, answer.text, answer.reason) == (401, "", None)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "WWW-Authenticate" not in answer.headers


async def test_only_a_request_without_any_credentials_is_asked_for_them(espo: Caller) -> None:
    answer = await espo.as_("").call("GET", "CBeteiligte")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm=""')


async def test_the_key_of_a_signing_user_does_not_do_alone(espo: Caller) -> None:
    key = espo.server.users["synchmac"]["api_key"]
    answer = await espo.as_("").call("GET", "CBeteiligte", headers={"X-Api-Key": key})
    assert answer.status == 401


async def test_a_signature_of_another_method_is_refused(espo: Caller) -> None:
    header = espo.as_("synchmac").credentials("POST", "CBeteiligte")
    assert (await espo.as_("").call("GET", "CBeteiligte", headers=header)).status == 401


async def test_more_than_ten_failed_logins_block_the_address_for_a_minute(espo: Caller, clock: SetClock) -> None:
    for _ in range(11):
        bad = await espo.as_("").call("GET", "CBeteiligte", headers={"X-Api-Key": "wrong"})
        assert bad.status == 401
    blocked = await espo.find()
    assert (blocked.status, blocked.text, blocked.reason) == (403, "", None)
    clock.wait(61)
    assert (await espo.find()).status == 200


async def test_the_block_can_be_switched_off(espo: Caller) -> None:
    espo.server.store.behave({"login_block": "off"})
    for _ in range(20):
        await espo.as_("").call("GET", "CBeteiligte", headers={"X-Api-Key": "wrong"})
    assert (await espo.find()).status == 200


# Reading


async def test_a_get_has_every_attribute_and_null_for_what_is_unset(espo: Caller) -> None:
    answer = await espo.call("GET", f"CBeteiligte/{await made(espo)}", params={"select": "id"})
    assert answer.status == 200
    assert answer.json["firstName"] is None
    assert answer.json["emailAddressData"] == []
    assert answer.json["teamsNames"] == {}
    assert len(answer.json) == 52 + 7
    assert "versionNumber" not in answer.json


async def test_what_is_absent_is_404_with_the_reason_in_a_header(espo: Caller) -> None:
    for method, reason in (("GET", "does not exist."), ("PUT", "not found."), ("DELETE", "not found.")):
        answer = await espo.call(method, f"CBeteiligte/{ABSENT}", {})
        assert (answer.status, answer.text) == (404, "")
        assert answer.reason == f"Record {ABSENT} {reason}"


async def test_addresses_that_there_are_not_are_told_apart(espo: Caller) -> None:
    unknown = await espo.call("GET", "cnope")
    assert (unknown.status, unknown.reason) == (404, "Controller 'Cnope' does not exist.")
    assert (await espo.call("GET", "CBeteiligte/")).json == {"message": "404 Not Found"}
    assert (await espo.call("HEAD", "CBeteiligte")).status == 404
    wrong = await espo.call("PUT", "CBeteiligte", {})
    assert (wrong.status, wrong.headers["Allow"]) == (405, "GET, POST")


async def test_the_schema_and_the_settings_can_be_read(espo: Caller) -> None:
    answer = await espo.call("GET", "Metadata", params={"key": "entityDefs.CBeteiligte.fields"})
    assert answer.json["betnr"] == {"type": "int", "isCustom": True}
    assert answer.json["syncStatus"]["default"] == "pending_sync"
    assert (await espo.call("GET", "Metadata", params={"key": "entityDefs.CNope"})).text == ""
    assert (await espo.call("GET", "Settings")).json["version"] == "9.2.7"


# Creating


async def test_a_create_answers_200_and_leaves_unset_attributes_out(espo: Caller) -> None:
    answer = await espo.post(lastName="Köster")
    assert answer.status == 200
    assert len(answer.json["id"]) == 17
    assert answer.json["createdAt"] == answer.json["modifiedAt"] == STAMP
    assert (answer.json["syncStatus"], answer.json["syncRetryCount"]) == ("pending_sync", 0)
    assert answer.json["istAktiv"] is True
    assert not {"name", "firstName", "modifiedById", "betnr"} & set(answer.json)


async def test_unknown_and_system_attributes_are_dropped_without_a_word(espo: Caller) -> None:
    answer = await espo.post(id=ABSENT, lastName="Köster", createdAt="2001-01-01 00:00:00", nope=1, deleted=True)
    assert answer.json["id"] != ABSENT
    assert (answer.json["createdAt"], answer.json["deleted"]) == (STAMP, False)
    assert "nope" not in answer.json


@pytest.mark.parametrize(
    ("field", "sent", "stored"),
    [
        ("betnr", "123", 123),
        ("betnr", 12.7, 12),
        ("betnr", "", 0),
        ("rechtsform", 123, "123"),
        ("rechtsform", ["a"], "Array"),
        ("rechtsform", {"a": 1}, "Object"),
        ("rechtsform", True, "1"),
        ("rechtsform", "  x ", "x"),
        ("rechtsform", "", None),
        ("rechtsform", "UG (haftungsbeschränkt)", "UG (haftungsbeschränkt)"),
        ("istAktiv", "yes", False),
        ("istAktiv", "false", False),
        ("istAktiv", 0, False),
        ("quote", "1.25", 1.25),
        ("quote", 0.1 + 0.2, 0.3),
        ("rohdaten", [1, 2], None),
        ("rohdaten", "text", None),
        ("rollen", None, []),
        ("phoneNumber", "+49 30 1234567", "+49301234567"),
        ("advowareLastSync", "2026-11-24T02:02:03+01:00", "2026-11-24 01:02:03"),
        ("advowareLastSync", "2026-11-24 01:02", "2026-11-24 01:02:00"),
    ],
)
async def test_values_of_another_type_are_coerced(espo: Caller, field: str, sent: Any, stored: Any) -> None:
    id = await made(espo, **{field: sent})
    assert (await espo.get(id)).json[field] == stored


@pytest.mark.parametrize(
    ("field", "sent", "rule"),
    [
        ("lastName", "", "required"),
        ("lastName", None, "required"),
        ("lastName", "x" * 101, "maxLength"),
        ("betnr", "abc", "valid"),
        ("betnr", True, "valid"),
        ("betnr", 2**31, "rangeInternal"),
        ("syncStatus", "bogus", "valid"),
        ("syncStatus", None, "valid"),
        ("dateOfBirth", "29.02.1980", "valid"),
        ("dateOfBirth", "1981-02-29", "valid"),
        ("dateOfBirth", "", "valid"),
        ("advowareLastSync", "2026-11-24", "valid"),
        ("advowareLastSync", "2026-11-24T01:02:03", "valid"),
        ("advowareLastSync", "2026-11-24 01:02:03.456", "valid"),
        ("quote", "abc", "valid"),
        ("webseite", "not a url", "valid"),
        ("emailAddress", "not an email", "emailAddress"),
        ("phoneNumber", "0301234567", "valid"),
        ("rollen", "Mandant", "array"),
        ("rollen", ["Bogus"], "valid"),
    ],
)
async def test_the_first_broken_rule_is_named(espo: Caller, field: str, sent: Any, rule: str) -> None:
    refused = await espo.post(**{"lastName": "Köster", field: sent})
    assert refused.status == 400
    assert refused.reason == f"Field validation failure; entityType: CBeteiligte, field: {field}, type: {rule}."
    assert refused.json["messageTranslation"]["data"] == {"field": field, "type": rule}
    id = await made(espo)
    assert (await espo.put(id, **{field: sent})).status == 400
    assert (await espo.get(id)).json["lastName"] == "Köster"


async def test_a_bool_that_is_null_breaks_the_server(espo: Caller) -> None:
    answer = await espo.post(lastName="Köster", istAktiv=None)
    assert (answer.status, answer.text, answer.reason) == (500, "", None)


async def test_a_link_to_nothing_is_forbidden(espo: Caller) -> None:
    answer = await espo.post(lastName="Köster", assignedUserId=ABSENT)
    assert answer.status == 403
    assert answer.json["messageTranslation"]["label"] == "cannotRelateNonExisting"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b'{"lastName": ', 500),
        ('{"lastName": "ä"}'.encode("latin-1"), 500),
        (b'"text"', 400),
        (b"[1]", 400),
        (b"", 400),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(espo: Caller, raw: bytes, status: int) -> None:
    assert (await espo.call("POST", "CBeteiligte", raw=raw)).status == status


async def test_without_the_json_content_type_all_fields_are_lost(espo: Caller) -> None:
    id = await made(espo)
    answer = await espo.put(id, {"Content-Type": "text/plain"}, titel="Dr.")
    assert (answer.status, answer.json["titel"]) == (200, None)


# Duplicates


async def test_the_same_name_or_address_is_a_duplicate(espo: Caller) -> None:
    id = await made(espo, firstName="Ada", emailAddress="Ada@example.com")
    twins: list[dict[str, Any]] = [
        {"firstName": "ADA", "lastName": "köster"},
        {"lastName": "Anders", "emailAddress": "ada@EXAMPLE.com"},
    ]
    for body in twins:
        answer = await espo.post(**body)
        assert (answer.status, answer.reason) == (409, "duplicate")
        assert [row["id"] for row in answer.json] == [id]
        assert "emailAddressData" not in answer.json[0]
    assert (await espo.post(lastName="Köster")).status == 200


async def test_only_the_word_true_skips_the_duplicate_check(espo: Caller) -> None:
    await made(espo)
    assert (await espo.post({"X-Skip-Duplicate-Check": "1"}, lastName="Köster")).status == 409
    assert (await espo.post({"X-Skip-Duplicate-Check": "true"}, lastName="Köster")).status == 200
    assert (await espo.post(lastName="Köster", _skipDuplicateCheck=True)).status == 200


async def test_neither_updates_nor_deleted_records_make_duplicates(espo: Caller) -> None:
    first = await made(espo, lastName="Köster")
    second = await made(espo, lastName="Anders")
    assert (await espo.put(second, lastName="Köster")).status == 200
    await espo.delete(first)
    await espo.delete(second)
    assert (await espo.post(lastName="Köster")).status == 200


# Updating


async def test_put_and_patch_change_only_what_they_carry(espo: Caller, clock: SetClock) -> None:
    id = await made(espo, titel="Dr.", anrede="Frau")
    clock.wait()
    for method, title in (("PUT", "Prof."), ("PATCH", "Prof. Dr.")):
        answer = await espo.as_("sync2").call(method, f"CBeteiligte/{id}", {"titel": title})
        assert (answer.json["titel"], answer.json["anrede"]) == (title, "Frau")
        assert answer.json["modifiedAt"] == LATER
        assert answer.json["modifiedById"] == espo.server.users["sync2"]["id"]
        assert answer.json == (await espo.get(id)).json


async def test_a_put_that_changes_nothing_leaves_no_trace(espo: Caller, clock: SetClock) -> None:
    id = await made(espo, titel="Dr.", betnr=5, advowareLastSync="2026-11-24 01:02:03", emailAddress="a@example.com")
    before = (await espo.get(id)).json
    clock.wait()
    for body in (
        {},
        {"nope": 1},
        {"titel": " Dr. "},
        {"betnr": "5"},
        {"advowareLastSync": "2026-11-24T01:02:03Z"},
        {"zusatz": ""},
        {"modifiedAt": "2001-01-01 00:00:00", "modifiedById": "1", "versionNumber": 3},
        before,
    ):
        assert (await espo.call("PUT", f"CBeteiligte/{id}", body)).status == 200
        assert (await espo.get(id)).json == before


async def test_bookkeeping_is_a_change_like_any_other(espo: Caller, clock: SetClock) -> None:
    id = await made(espo)
    clock.wait()
    answer = await espo.put(id, advowareRowId="ROW1")
    assert answer.json["modifiedAt"] == LATER


async def test_an_empty_selection_is_not_the_same_as_none(espo: Caller, clock: SetClock) -> None:
    id = await made(espo)
    clock.wait()
    assert (await espo.put(id, rollen=None)).json["modifiedAt"] == STAMP
    assert (await espo.put(id, rollen=[])).json["modifiedAt"] == LATER


async def test_the_reply_to_a_put_still_has_the_old_addresses(espo: Caller) -> None:
    id = await made(espo, emailAddress="old@example.com")
    answer = await espo.put(id, emailAddress="new@example.com")
    assert answer.json["emailAddress"] == "new@example.com"
    assert [row["emailAddress"] for row in answer.json["emailAddressData"]] == ["old@example.com"]
    data = (await espo.get(id)).json["emailAddressData"]
    assert [row["emailAddress"] for row in data] == ["new@example.com"]


async def test_a_sent_name_comes_back_and_is_not_stored(espo: Caller) -> None:
    id = await made(espo, firstName="Ada")
    assert (await espo.put(id, name="Anders")).json["name"] == "Anders"
    assert (await espo.get(id)).json["name"] == "Ada Köster"


async def test_address_data_with_fewer_keys_counts_as_a_change(espo: Caller, clock: SetClock) -> None:
    id = await made(espo, emailAddress="a@example.com")
    full = (await espo.get(id)).json["emailAddressData"]
    clock.wait()
    assert (await espo.put(id, emailAddressData=full)).json["modifiedAt"] == STAMP
    short = [{"emailAddress": "a@example.com", "primary": True}]
    answer = await espo.put(id, emailAddressData=short)
    assert (answer.json["modifiedAt"], answer.json["emailAddressData"]) == (LATER, short)
    assert (await espo.get(id)).json["emailAddressData"] == full


async def test_an_address_is_shared_by_all_records_that_have_it(espo: Caller, clock: SetClock) -> None:
    first = await made(espo, emailAddress="a@example.com")
    second = await espo.post({"X-Skip-Duplicate-Check": "true"}, lastName="Anders", emailAddress="a@example.com")
    clock.wait()
    await espo.put(first, emailAddressData=[{"emailAddress": "a@example.com", "primary": True, "optOut": True}])
    other = (await espo.get(second.json["id"])).json
    assert (other["emailAddressIsOptedOut"], other["modifiedAt"]) == (True, STAMP)


async def test_without_concurrency_control_the_version_header_is_ignored(espo: Caller) -> None:
    id = await made(espo)
    assert (await espo.put(id, {"X-Version-Number": "99"}, titel="Dr.")).status == 200


async def test_with_concurrency_control_a_stale_version_is_refused(espo: Caller) -> None:
    espo.server.store.behave({"occ": "on"})
    created = (await espo.post(lastName="Köster")).json
    id = created["id"]
    assert created["versionNumber"] == 1
    assert (await espo.put(id, {"X-Version-Number": "1"}, titel="Dr.")).json["versionNumber"] == 2
    stale = await espo.put(id, {"X-Version-Number": "1"}, titel="Prof.", anrede=None)
    assert (stale.status, stale.reason) == (409, "modified")
    assert stale.json == {"values": {"titel": "Dr."}, "versionNumber": 2}
    assert (await espo.put(id, {"X-Version-Number": "1"}, titel="Dr.")).status == 200
    unchanged = (await espo.put(id)).json
    assert (unchanged["versionNumber"], unchanged["modifiedAt"]) == (4, STAMP)


# Deleting


async def test_a_deletion_hides_the_record_from_all_but_the_admin(espo: Caller, clock: SetClock) -> None:
    id = await made(espo)
    clock.wait()
    assert (await espo.delete(id)).text == "true"
    assert (await espo.delete(id)).status == (await espo.get(id)).status == (await espo.put(id)).status == 404
    seen = (await espo.as_("admin").get(id)).json
    assert (seen["deleted"], seen["modifiedAt"]) == (True, LATER)
    assert (await espo.as_("admin").find(item("equals", "deleted", True))).json["total"] == 0


async def test_only_the_admin_restores_and_the_id_stays(espo: Caller) -> None:
    id = await made(espo)
    await espo.delete(id)
    refused = await espo.call("POST", "CBeteiligte/action/restoreDeleted", {"id": id})
    assert (refused.status, refused.text) == (403, "")
    answer = await espo.as_("admin").call("POST", "CBeteiligte/action/restoreDeleted", {"id": id})
    assert answer.text == "true"
    assert (await espo.get(id)).json["deleted"] is False
    assert await espo.names() == ["Köster"]


# Permission


async def test_the_read_only_user_reads_and_nothing_else(espo: Caller) -> None:
    id = await made(espo)
    reader = espo.as_("syncro")
    assert (await reader.get(id)).status == 200
    for answer, action in (
        (await reader.post(lastName="x"), "create"),
        (await reader.put(id, titel="x"), "edit"),
        (await reader.delete(id), "delete"),
        (await reader.call("GET", f"CAkte/{id}"), "read"),
    ):
        assert (answer.status, answer.text, answer.reason) == (403, "", f"No {action} access.")


async def test_the_limited_user_sees_only_what_is_assigned_to_them(espo: Caller) -> None:
    limited = espo.as_("synclim")
    own = await made(espo, lastName="Eigen", assignedUserId=espo.server.users["synclim"]["id"])
    other = await made(espo, lastName="Fremd")
    assert await limited.names() == ["Eigen"]
    assert (await limited.put(own, titel="Dr.")).status == 200
    assert (await limited.get(other)).reason == "No 'read' access."
    assert (await limited.put(other, titel="Dr.")).reason == "No edit access."


async def test_a_forbidden_field_is_neither_seen_nor_written_nor_searched(espo: Caller) -> None:
    id = await made(espo, quote=1.5, betnr=1)
    limited = espo.as_("syncfld")
    answer = await limited.put(id, quote=2.5, betnr=2, titel="Dr.")
    assert answer.status == 200
    assert "quote" not in answer.json
    assert "quote" not in (await limited.get(id)).json
    assert "quote" not in (await limited.find()).json["list"][0]
    stored = (await espo.get(id)).json
    assert (stored["quote"], stored["betnr"], stored["titel"]) == (1.5, 1, "Dr.")
    assert (await limited.find(item("equals", "quote", 1))).status == 400
    assert (await limited.find(orderBy="quote")).status == 400


# Lists


async def test_a_list_row_lacks_what_only_a_get_has(espo: Caller) -> None:
    full = (await espo.get(await made(espo))).json
    row = (await espo.find()).json["list"][0]
    assert set(full) - set(row) == {"emailAddressData", "phoneNumberData", "teamsIds", "teamsNames"}
    assert row.items() <= full.items()


async def test_a_list_holds_200_rows_newest_first_and_no_page_may_be_larger(espo: Caller, clock: SetClock) -> None:
    for number in range(205):
        clock.wait(1)
        espo.server.store.create(lastName=f"N{number:03}")
    answer = (await espo.call("GET", "CBeteiligte")).json
    assert (answer["total"], len(answer["list"]), answer["list"][0]["lastName"]) == (205, 200, "N204")
    for user in ("sync", "admin"):
        refused = await espo.as_(user).call("GET", "CBeteiligte", params={"maxSize": 201})
        assert (refused.status, refused.reason) == (
            403,
            "Max size should not exceed 200. Use offset and limit.",
        )
    assert (await espo.call("GET", "CBeteiligte", params={"maxSize": "abc"})).json == {
        "total": 205,
        "list": [],
    }
    assert (await espo.call("GET", "CBeteiligte", params={"maxSize": -1})).status == 500
    last = (await espo.find(maxSize=10, offset=200)).json
    assert [row["lastName"] for row in last["list"]] == ["N004", "N003", "N002", "N001", "N000"]
    assert (await espo.find(offset=999)).json["list"] == []


async def test_the_total_is_left_out_on_request(espo: Caller) -> None:
    for name in "ABC":
        await made(espo, lastName=name)
    wish = {"X-No-Total": "true"}
    more = await espo.call("GET", "CBeteiligte", params={"maxSize": 2}, headers=wish)
    end = await espo.call("GET", "CBeteiligte", params={"maxSize": 2, "offset": 2}, headers=wish)
    assert (more.json["total"], end.json["total"]) == (-1, -2)


async def test_rows_of_one_second_are_ordered_by_id_in_the_same_direction(espo: Caller) -> None:
    ids = [await made(espo, lastName=f"N{number}") for number in range(8)]
    for order in ("asc", "desc"):
        rows = (await espo.find(orderBy="modifiedAt", order=order)).json["list"]
        assert [row["id"] for row in rows] == sorted(ids, reverse=order == "desc")


async def test_keyset_paging_finds_every_row_once() -> None:
    async with espocrm_simulator(records=2_100, seed=3) as server, aiohttp.ClientSession() as session:
        espo = Caller(server, session)
        seen: list[str] = []
        where: list[dict[str, Any]] = []
        while True:
            page = (await espo.find(*where, orderBy="modifiedAt", order="asc", select="id,modifiedAt")).json["list"]
            if not page:
                break
            seen += [row["id"] for row in page]
            at, id = page[-1]["modifiedAt"], page[-1]["id"]
            same = [item("equals", "modifiedAt", at), item("greaterThan", "id", id)]
            where = [
                {
                    "type": "or",
                    "value": [item("greaterThan", "modifiedAt", at), {"type": "and", "value": same}],
                }
            ]
        assert len(seen) == len(set(seen)) == 2_100


async def test_a_selection_always_has_the_owner_and_what_it_is_ordered_by(espo: Caller) -> None:
    await made(espo)
    row = (await espo.call("GET", "CBeteiligte", params={"select": "lastName,nope"})).json["list"][0]
    assert set(row) == {"id", "lastName", "createdAt", "createdById", "assignedUserId"}


async def test_brackets_and_search_params_ask_for_the_same(espo: Caller) -> None:
    await made(espo, lastName="A", betnr=1)
    await made(espo, lastName="B", betnr=2)
    await made(espo, lastName="C", betnr=3)
    brackets = {
        "where[0][type]": "or",
        "where[0][value][0][type]": "in",
        "where[0][value][0][field]": "betnr",
        "where[0][value][0][value][]": "1",
        "where[0][value][1][type]": "greaterThan",
        "where[0][value][1][attribute]": "betnr",
        "where[0][value][1][value]": "2",
        "orderBy": "lastName",
        "order": "desc",
    }
    rows = (await espo.call("GET", "CBeteiligte", params=brackets)).json["list"]
    same = {"type": "or", "value": [item("in", "betnr", [1]), item("greaterThan", "betnr", 2)]}
    assert [row["lastName"] for row in rows] == await espo.names(same, order="desc") == ["C", "A"]
    assert (await espo.call("GET", "CBeteiligte", params={"where": "abc"})).json["total"] == 3


async def test_a_request_line_over_8_kb_is_414(espo: Caller) -> None:
    answer = await espo.find(item("in", "id", [ABSENT] * 450))
    assert answer.status == 414


@pytest.mark.parametrize(
    ("where", "names"),
    [
        (item("equals", "lastName", "ahrens"), ["Ahrens"]),
        (item("equals", "betnr", None), ["Brandt"]),
        (item("equals", "emailAddress", "SECOND@example.com"), ["Ahrens"]),
        (item("notEquals", "betnr", 1), ["Claasen"]),
        (item("in", "betnr", ["1", 3]), ["Ahrens", "Claasen"]),
        (item("in", "betnr", []), []),
        (item("notIn", "betnr", [3]), ["Ahrens"]),
        (item("isNull", "betnr"), ["Brandt"]),
        (item("isNotNull", "betnr"), ["Ahrens", "Claasen"]),
        (item("greaterThan", "betnr", 1), ["Claasen"]),
        (item("greaterThanOrEquals", "betnr", "1"), ["Ahrens", "Claasen"]),
        (item("lessThan", "betnr", 3), ["Ahrens"]),
        (item("lessThanOrEquals", "betnr", 3), ["Ahrens", "Claasen"]),
        (item("between", "betnr", [2, 4]), ["Claasen"]),
        (item("like", "lastName", "%RAN%"), ["Brandt"]),
        (item("startsWith", "lastName", "cla"), ["Claasen"]),
        (item("endsWith", "lastName", "SEN"), ["Claasen"]),
        (item("contains", "lastName", "a"), ["Ahrens", "Brandt", "Claasen"]),
        (item("isTrue", "istAktiv"), ["Ahrens", "Claasen"]),
        (item("isFalse", "istAktiv"), ["Brandt"]),
        (item("equals", "istAktiv", "false"), ["Brandt"]),
        (item("after", "modifiedAt", "2026-02-07 13:30:00"), ["Claasen"]),
        (
            item("after", "modifiedAt", "2026-02-07 14:30:00", dateTime=True, timeZone="Europe/Berlin"),
            ["Claasen"],
        ),
        (item("greaterThan", "modifiedAt", "2026-02-07T13:30:00Z"), ["Claasen"]),
        (item("before", "modifiedAt", "2026-02-07T14:31:00+01:00"), ["Ahrens", "Brandt"]),
        (
            item("on", "modifiedAt", "2026-02-07", dateTime=True, timeZone="UTC"),
            ["Ahrens", "Brandt", "Claasen"],
        ),
        (item("today", "modifiedAt"), ["Ahrens", "Brandt", "Claasen"]),
        (item("on", "dateOfBirth", "1980-02-29"), ["Ahrens"]),
        (item("arrayAnyOf", "rollen", ["Zeuge"]), ["Ahrens"]),
        (item("arrayIsEmpty", "rollen"), ["Brandt", "Claasen"]),
        (item("isNotLinked", "firma"), ["Ahrens", "Brandt", "Claasen"]),
    ],
)
async def test_filters_choose_as_sql_would(
    espo: Caller, clock: SetClock, where: dict[str, Any], names: list[str]
) -> None:
    addresses = [{"emailAddress": "a@example.com", "primary": True}, {"emailAddress": "second@example.com"}]
    await made(
        espo, lastName="Ahrens", betnr=1, emailAddressData=addresses, rollen=["Mandant", "Zeuge"],
        dateOfBirth="1980-02-29",
    )  # fmt: skip
    await made(espo, lastName="Brandt", istAktiv=False)
    clock.wait()
    await made(espo, lastName="Claasen", betnr=3)
    assert await espo.names(where) == names


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ({"type": "not", "value": [item("equals", "betnr", 1)]}, 400),
        (item("equals", "bogus", 1), 400),
        (item("bogus", "betnr", 1), 400),
        (item("in", "betnr"), 400),
        ({"attribute": "betnr"}, 500),
        (item("linkedWith", "akten", ["x"]), 400),
    ],
)
async def test_bad_filters_are_refused(espo: Caller, where: dict[str, Any], status: int) -> None:
    assert (await espo.find(where)).status == status


async def test_an_order_that_there_is_not_is_refused(espo: Caller) -> None:
    assert (await espo.find(orderBy="bogus")).reason == "Order by non-existing field 'bogus'."
    assert (await espo.find(orderBy="modifiedAt,id")).status == 400
    assert (await espo.find(orderBy="betnr", order="sideways")).reason == "order value is bad."


# People, populations, switches


async def test_a_person_edits_as_the_admin(espo: Caller, clock: SetClock) -> None:
    store = espo.server.store
    id = store.create(lastName="Köster", anrede="Frau")
    clock.wait()
    store.edit(id, titel="Dr.")
    seen = (await espo.get(id)).json
    assert seen == store.records[id]
    assert (seen["titel"], seen["modifiedAt"]) == ("Dr.", LATER)
    assert seen["modifiedById"] == espo.server.users["admin"]["id"]
    with pytest.raises(ValueError, match="no such attribute: nope"):
        store.edit(id, nope=1)
    with pytest.raises(ValueError, match="betnr"):
        store.edit(id, betnr="abc")
    store.delete(id)
    assert store.records == {}
    with pytest.raises(KeyError):
        store.edit(id, titel="x")


async def test_a_person_in_another_process_can_do_the_same(espo: Caller) -> None:
    base = f"{espo.server.url}_simulator/"
    async with espo.session.post(f"{base}records", json={"lastName": "Köster"}) as response:
        id = (await response.json())["id"]
    async with espo.session.patch(f"{base}records/{id}", json={"titel": "Dr."}) as response:
        assert response.status == 200
    async with espo.session.get(f"{base}records") as response:
        assert [record["titel"] for record in await response.json()] == ["Dr."]
    async with espo.session.put(f"{base}switches", json={"occ": "on"}) as response:
        assert response.status == 200
    assert (await espo.put(id)).json["versionNumber"] == 1
    async with espo.session.patch(f"{base}records/{id}", json={"nope": 1}) as response:
        assert response.status == 400
    async with espo.session.delete(f"{base}records/{id}") as response:
        assert response.status == 200
    async with espo.session.delete(f"{base}records/{id}") as response:
        assert response.status == 404


def test_the_same_seed_makes_the_same_records_and_credentials() -> None:
    one, same, other = (espocrm_simulator(records=50, seed=seed) for seed in (1, 1, 2))
    assert (one.store.records, one.users) == (same.store.records, same.users)
    assert not set(one.store.records) & set(other.store.records)
    assert one.users != other.users


def test_both_systems_start_with_people_of_their_own() -> None:
    for seed in range(3):
        left, right = (
            {(party.family_name, party.given_name) for party in islice(parties(seed, start=start), 5_000)}
            for start in (0, 1_000_000)
        )
        assert len(left) == len(right) == 5_000
        assert not left & right


async def test_the_configuration_and_the_users_are_told(espo: Caller) -> None:
    told = espo.server.announcement()
    assert told["config"] == {
        "url": espo.server.url,
        "api_key": told["users"]["sync"]["api_key"],
        "entity_type": "CBeteiligte",
    }
    assert set(told["users"]["synchmac"]) == {"id", "api_key", "secret_key"}
    assert set(told["users"]["admin"]) == {"id", "username", "password"}


@pytest.mark.parametrize("switches", [{"nope": "on"}, {"occ": "maybe"}, {"latency_ms": "-1"}])
def test_an_unknown_switch_is_one_clear_line(switches: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"^(unknown switch|switch)") as wrong:
        espocrm_simulator(switches=switches)
    assert "\n" not in str(wrong.value)


async def test_a_lost_reply_has_taken_effect(espo: Caller) -> None:
    espo.server.control.rules.append(FaultRule("status", method="POST", when="after", status=503))
    assert (await espo.post(lastName="Köster")).status == 503
    assert [record["lastName"] for record in espo.server.store.records.values()] == ["Köster"]


async def test_no_credential_is_in_the_log_or_a_repr(espo: Caller) -> None:
    await made(espo, lastName="Köster")
    secrets = [value for user in espo.server.users.values() for name, value in user.items() if name != "username"]
    told = repr(espo.server)
    secrets = [secret for secret in secrets if secret not in {user["id"] for user in espo.server.users.values()}]
    assert not [secret for secret in secrets if secret in told]
    assert "Köster" not in told
