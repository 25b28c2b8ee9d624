"""Recorded requests, sent again to the simulator: the state before each one, and what counts as the same answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import aiohttp
import attrs

from bidisync_espo_advo.simulators.espocrm import EspoServer, espocrm_simulator
from bidisync_espo_advo.simulators.espocrm_entities import ENTITY_TYPES
from bidisync_espo_advo.simulators.espocrm_fields import BETEILIGTE, EntityType
from bidisync_espo_advo.simulators.espocrm_related import Deletion
from bidisync_espo_advo.simulators.espocrm_users import token_of
from bidisync_espo_advo.simulators.espocrm_webhooks import Item, Queued

FILE = Path(__file__).parent / "transcripts.jsonl"
OCC_SINCE = "2026-11-24 03:42:14"
ID = re.compile(r"\b[0-9a-f]{17}\b")
SECRET = re.compile(r"\b[0-9a-f]{32}\b")
TIME = re.compile(r"\b\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\b")
BEHIND: Mapping[str, Mapping[str, Any]] = {
    "where_email_secondary": {
        "emailAddressData": [
            {"emailAddress": "first@example.com", "lower": "first@example.com", "primary": True},
            {"emailAddress": "new@example.com", "lower": "new@example.com", "primary": False},
        ]
    },
    "where_notEquals_excludes_null": {"modifiedById": "f" * 17},
}
"""What a found row has that the answer does not show."""
ADDED = {"briefanrede", "zusatz", "registergericht", "geburtsname", "familienstand", "kurzname", "art"}
"""Mapped fields that the recorded entity did not have."""


@attrs.frozen
class Transcript:
    """One recorded request and its answer."""

    name: str
    at: str
    auth: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any
    status: int
    answer_headers: Mapping[str, str]
    answer: Any
    rows: int | None = None

    @property
    def parts(self) -> list[str]:
        return self.path.split("/")

    @property
    def kind(self) -> EntityType | None:
        return ENTITY_TYPES.get(self.parts[0])

    @property
    def shown(self) -> list[Mapping[str, Any]]:
        """The records in the answer."""
        if isinstance(self.answer, dict):
            rows = self.answer.get("list", [self.answer])
            return [row for row in rows if isinstance(row, dict) and "id" in row]
        return [row for row in self.answer or () if isinstance(row, dict)] if isinstance(self.answer, list) else []


class Transcripts:
    """All of them, in the order in which they were recorded."""

    @cached_property
    def all(self) -> list[Transcript]:
        return [Transcript(**json.loads(line)) for line in FILE.read_text(encoding="utf-8").splitlines()]

    def before(self, transcript: Transcript) -> Mapping[str, Any] | None:
        """The record of a request as it was before it.

        What a request did not touch is as its own answer shows it; what it changed is as an
        earlier look has it, else empty. Without a full answer: the last look before it.
        """
        id, place = transcript.parts[1], self.all.index(transcript)
        if transcript.status == 409 and isinstance(transcript.answer, dict):
            return {**(self._look(id, place) or {"id": id, "lastName": "Somebody"}), **_refused_state(transcript)}
        looks = [
            (number, row)
            for number, other in enumerate(self.all)
            if other.status == 200 and other.parts[0] == transcript.parts[0]
            for row in other.shown
            if row["id"] == id and "modifiedById" in row
        ]
        earlier = next((row for number, row in reversed(looks) if number < place), None)
        own = next((row for number, row in looks if number == place), None)
        if own is None:
            return earlier or next((row for _, row in looks), None)
        if transcript.method not in ("PUT", "PATCH") or not isinstance(transcript.body, dict):
            return own
        if transcript.name == "occ_put_version_in_body_ignored":
            return {**own, "titel": None, "versionNumber": own["versionNumber"] - 1}
        if "noop" in transcript.name or "no_change" in transcript.name or "same" in transcript.name:
            changed: set[str] = set()
        else:
            changed = {name for name in transcript.body if name in own and name != "lastName"}
        before = {**own, **{name: (earlier or {}).get(name) for name in changed}}
        if isinstance(before.get("versionNumber"), int):
            before["versionNumber"] -= 1
        return before

    def _look(self, id: str, before: int) -> Mapping[str, Any] | None:
        rows = (row for other in reversed(self.all[:before]) for row in other.shown)
        return next((row for row in rows if row["id"] == id and "modifiedById" in row), None)


def _refused_state(transcript: Transcript) -> dict[str, Any]:
    """What a refused write tells of the record: the values it has, and its version."""
    return {**transcript.answer["values"], "versionNumber": transcript.answer["versionNumber"]}


def users_of(transcript: Transcript) -> str:
    """Who sent it."""
    name, auth = transcript.name, transcript.auth
    if "admin" in auth:
        return "admin"
    if "read-only" in auth:
        return "syncro"
    if "sync2" in auth:
        return "sync2"
    if name.startswith("acl_get_forbidden"):
        return "syncfld"
    if name.startswith("acl_"):
        return "synclim"
    if "Hmac" in auth or name.startswith("hmac_"):
        return "synchmac"
    return "sync" if "user sync" in auth or name == "auth_espo_authorization_token" else ""


def credentials(server: EspoServer, transcript: Transcript) -> dict[str, str]:
    """The headers that prove it, or try to."""
    name, known = transcript.name, server.users
    if name in ("auth_none", "hmac_wrong_method_fails", "hmac_including_query_fails", "auth_bad_hmac"):
        signed = {
            "hmac_wrong_method_fails": f"POST /{transcript.path}",
            "hmac_including_query_fails": f"GET /{transcript.path}?{transcript.query}",
            "auth_bad_hmac": "nonsense",
        }.get(name)
        return {} if signed is None else _signature(known["synchmac"], signed)
    if name in ("auth_bad_key", "auth_limit_bad_key_while_blocked"):
        return {"X-Api-Key": "wrong"}
    if name == "auth_apikey_of_hmac_user":
        return {"X-Api-Key": known["synchmac"]["api_key"]}
    if name == "auth_espo_authorization_token":
        token = token_of(server.store.users["admin"])
        return {"Espo-Authorization": base64.b64encode(f"admin:{token}".encode()).decode()}
    who = users_of(transcript)
    if who == "admin":
        text = f"{known['admin']['username']}:{known['admin']['password']}"
        return {"Espo-Authorization": base64.b64encode(text.encode()).decode()}
    if who == "synchmac":
        return _signature(known[who], f"{transcript.method} /{transcript.path}", raw="legacy" in name)
    more = {"Authorization": "Basic " + base64.b64encode(b"a:b").decode()} if "bad_basic" in name else {}
    return {"X-Api-Key": known[who]["api_key"], **more} if who else {}


def _signature(user: Mapping[str, str], signed: str, *, raw: bool = False) -> dict[str, str]:
    mac = hmac.new(user["secret_key"].encode(), signed.encode(), hashlib.sha256)
    proof = mac.digest() if raw else mac.hexdigest().encode()
    return {"X-Hmac-Authorization": base64.b64encode(user["api_key"].encode() + b":" + proof).decode()}


def place(server: EspoServer, kind: EntityType, look: Mapping[str, Any], owner: str | None = None) -> None:
    """A record as it was seen, under its own id and with its own times."""
    store, table = server.store, server.store.table(kind)
    if look["id"] in table.records:
        return
    firm = look.get("firmaId")
    if firm is not None and firm not in store.table(ENTITY_TYPES["CFirma"]).records:
        place(server, ENTITY_TYPES["CFirma"], {"id": firm, "name": look.get("firmaName") or "Firma"})
    values: dict[str, Any] = {name: value for name, value in look.items() if name in kind.kinds}
    for name in kind.shared:
        rows = look.get(f"{name}Data")
        if rows is None and look.get(name):
            one = {name: look[name], "primary": True, "optOut": False, "invalid": False}
            rows = [{**one, "lower": str(look[name]).lower()} if name == "emailAddress" else {**one, "type": "Mobile"}]
        flags = {"optOut": False, "invalid": False}
        values[f"{name}Data"] = [{**flags, **row} for row in rows or []]
    by = store.users["sync"]
    record = store._insert(kind, values, by, datetime(2026, 11, 24, 3, tzinfo=UTC))
    table.leave(record)
    del table.records[record.id]
    record.id = str(look["id"])
    record.row |= {name: value for name, value in look.items() if name in record.row and name[0] != "_"}
    if owner is not None:
        record.row["assignedUserId"] = store.users[owner].id
    table.records[record.id] = record
    record.forget_json()
    if not record.deleted:
        table.enter(record)


@attrs.frozen
class Replayed:
    """What a transcript gave: empty ``difference`` is the same answer."""

    transcript: Transcript
    difference: str


async def replayed(transcripts: Transcripts, transcript: Transcript, session: aiohttp.ClientSession) -> Replayed:
    """Send it to a simulator of its own, in the state before it, and compare the answers."""
    switches = {"occ": "on"} if transcript.at >= OCC_SINCE else {}
    switches |= {
        "maintenance": {"maintenance": "on"},
        "db_unreachable": {"database": "down"},
        "auth_inactive_user": {"inactive_user": "sync2"},
    }.get(transcript.name.removesuffix("_mode").removesuffix("_mode_admin"), {})
    at = datetime.fromisoformat(transcript.at).replace(tzinfo=UTC)
    async with espocrm_simulator(switches=switches, clock=lambda: at) as server:
        await _prepare(server, transcripts, transcript, session)
        headers = {**transcript.headers, **credentials(server, transcript)}
        body = transcript.body
        raw = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        if transcript.name == "body_latin1":
            raw = '{"lastName":"Latin ä"}'.encode("latin-1")
        url = f"{server.url}api/v1/{transcript.path}" + (f"?{transcript.query}" if transcript.query else "")
        async with session.request(
            transcript.method, aiohttp.client.URL(url, encoded=True), data=raw, headers=headers
        ) as response:
            text = await response.text()
            return Replayed(transcript, _difference(transcript, response.status, dict(response.headers), text))


async def _prepare(
    server: EspoServer, transcripts: Transcripts, transcript: Transcript, session: aiohttp.ClientSession
) -> None:
    """The state before the request, as far as other transcripts and its own answer tell."""
    if transcript.name.startswith("auth_limit"):
        for _ in range(12):
            async with session.get(f"{server.url}api/v1/App/user", headers={"X-Api-Key": "wrong"}):
                pass
    if transcript.parts[0] in ("Webhook", "WebhookQueueItem", "WebhookEventQueueItem", "ActionHistoryRecord"):
        _place_system(server, transcript)
    if transcript.parts[0] == "MassAction" and isinstance(transcript.body, dict):
        params = transcript.body["params"]
        for number, id in enumerate(params.get("ids", ["0" * 17])):
            place(server, BETEILIGTE, {"id": id, "lastName": f"Mass {number}", "betnr": 200001})
    kind = transcript.kind
    if kind is None:
        return
    owner = "synclim" if users_of(transcript) == "synclim" and "not_own" not in transcript.name else None
    beyond = len(transcript.parts) > 2
    if len(transcript.parts) > 1 and (beyond or transcript.status not in (404, 405)):
        look = transcripts.before(transcript)
        if look is not None and transcript.method != "GET":
            look = {**look, "deleted": False}
        if look is not None:
            place(server, kind, look, owner)
        elif ID.fullmatch(transcript.parts[1]):
            place(server, kind, {"id": transcript.parts[1], "lastName": "Somebody", "name": "Somebody"}, owner)
    if beyond:
        _place_related(server, transcript)
    if isinstance(transcript.answer, dict) and transcript.answer.get("beteiligteIds"):
        for id, name in transcript.answer["beteiligteNames"].items():
            place(server, BETEILIGTE, {"id": id, "lastName": name})
            server.store.related.relate(("CAkte", transcript.answer["id"]), ("CBeteiligte", id))
    if transcript.status == 409 and isinstance(transcript.answer, list):
        for row in transcript.answer:
            place(server, kind, row)
    if transcript.method == "GET" and len(transcript.parts) == 1:
        for row in transcript.shown:
            whole = transcripts._look(row["id"], len(transcripts.all)) or {}
            more = {name: whole[name] for name in ("emailAddressData", "phoneNumberData") if name in whole}
            place(server, kind, {"lastName": "Unnamed", **more, **row, **BEHIND.get(transcript.name, {})})
        _place_unseen(server, kind, transcript)
    if isinstance(transcript.body, dict) and ID.fullmatch(str(transcript.body.get("firmaId"))):
        names = [row.get("firmaName") for row in transcript.shown]
        place(server, ENTITY_TYPES["CFirma"], {"id": transcript.body["firmaId"], "name": (names or ["Firma"])[0]})


def _place_related(server: EspoServer, transcript: Transcript) -> None:
    """What a request for a link needs on the other end of it."""
    if isinstance(transcript.body, dict) and ID.fullmatch(str(transcript.body.get("id"))):
        place(server, ENTITY_TYPES["CAkte"], {"id": transcript.body["id"], "name": "A1"})
    if transcript.method == "GET":
        link = {"akten": "CAkte", "firma": "CFirma", "beteiligte": "CBeteiligte"}.get(transcript.parts[2])
        for row in transcript.shown if link else []:
            place(server, ENTITY_TYPES[str(link)], row)
            server.store.related.relate((transcript.parts[0], transcript.parts[1]), (str(link), row["id"]))


def _place_unseen(server: EspoServer, kind: EntityType, transcript: Transcript) -> None:
    """Rows that a page leaves out: newer ones before its offset, one older one where more follow."""
    if "where" in transcript.query or not isinstance(transcript.answer, dict):
        return
    offset = re.search(r"offset=(\d+)", transcript.query)
    for number in range(int(offset[1]) if offset and transcript.shown else 0):
        newer = f"2026-11-24 23:00:{number:02}"
        row = {"id": f"{number:017x}", "lastName": f"Newer {number}", "createdAt": newer, "modifiedAt": newer}
        place(server, kind, row)
    if transcript.answer.get("total") == -1:
        for number in range(1 if not transcript.rows else transcript.rows + 1):
            older = f"2001-01-01 00:{number // 60:02}:{number % 60:02}"
            row = {
                "id": f"{number + 4096:017x}",
                "lastName": f"Older {number}",
                "createdAt": older,
                "modifiedAt": older,
            }
            place(server, kind, row)


def _place_system(server: EspoServer, transcript: Transcript) -> None:
    """Webhooks, what is queued for them, and deletions, as an answer shows them."""
    store = server.store
    sync = store.users["sync"]
    rows = transcript.shown
    if transcript.parts[0] == "Webhook":
        if transcript.method == "POST":
            return
        if not rows and len(transcript.parts) > 1:
            rows = [{"id": transcript.parts[1], "event": "CBeteiligte.create", "url": "http://127.0.0.1:9/"}]
        for row in reversed(rows):
            told = store.webhooks.register({"event": row["event"], "url": row["url"]}, sync)
            hook = store.webhooks.hooks.pop(told["id"])
            hook.id, hook.secret = row["id"], row.get("secretKey", hook.secret)
            store.webhooks.hooks[hook.id] = hook
    if transcript.parts[0] == "WebhookEventQueueItem":
        for row in rows:
            entity_type, _, rest = row["event"].partition(".")
            type_, _, field = rest.partition(".")
            store.webhooks._queue(entity_type, type_, field or None, row["data"], sync, row["targetName"])
    if transcript.parts[0] == "WebhookQueueItem":
        _place_items(server, rows)
    if transcript.parts[0] == "ActionHistoryRecord":
        for row in reversed(rows):
            by = next((user for user in store.users.values() if user.full_name == row["userName"]), sync)
            store.deletions.append(
                Deletion(row["targetType"], row["targetId"], row["targetName"], by, row["createdAt"])
            )
        extra = Deletion("CBeteiligte", "0" * 17, None, store.users["sync"], "2001-01-01 00:00:00")
        store.deletions[:0] = [extra] if transcript.answer.get("total") == -1 else []


def _place_items(server: EspoServer, rows: list[Mapping[str, Any]]) -> None:
    webhooks, sync = server.store.webhooks, server.store.users["sync"]
    for row in reversed(rows):
        entity_type, _, rest = row["event"].partition(".")
        type_, _, field = rest.partition(".")
        told = webhooks.register({"event": row["event"], "url": "http://127.0.0.1:9/"}, sync)
        change = Queued(
            row["id"], 1, entity_type, type_, field or None, row["data"], sync, row["createdAt"], row["targetName"]
        )
        at = row["processAt"]
        webhooks.items.append(
            Item(
                row["id"],
                row["number"],
                webhooks.hooks[told["id"]],
                change,
                row["createdAt"],
                row["status"],
                row["attempts"],
                None if at is None else datetime.fromisoformat(at).replace(tzinfo=UTC),
                row["processedAt"],
            )
        )


def _difference(transcript: Transcript, status: int, headers: Mapping[str, str], text: str) -> str:
    if status != transcript.status:
        return f"status {status}, recorded {transcript.status}"
    for header in ("X-Status-Reason", "WWW-Authenticate"):
        mine, theirs = headers.get(header), transcript.answer_headers.get(header.lower())
        if _plain(mine) != _plain(theirs):
            return f"{header} {mine!r}, recorded {theirs!r}"
    mine: Any = text
    if isinstance(transcript.answer, str) and "<html" in transcript.answer.lower():
        return "" if "<html" in text.lower() else "no page, recorded a page"
    if text and transcript.answer != "" and not isinstance(transcript.answer, str):
        mine = json.loads(text)
        if transcript.rows and isinstance(mine, dict) and len(mine["list"]) == transcript.rows:
            mine = {**mine, "list": mine["list"][: len(transcript.shown)]}  # of a long page two rows are kept
    return next(_differences(_bare(mine), _bare(transcript.answer), transcript, ""), "")


def _plain(text: Any) -> Any:
    text = SECRET.sub("<secret>", text) if isinstance(text, str) else text
    return TIME.sub("<time>", ID.sub("<id>", text)) if isinstance(text, str) else text


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(name): _bare(one) for name, one in value.items() if name not in ADDED}
    return [_bare(one) for one in value] if isinstance(value, list) else _plain(value)


def _differences(mine: Any, theirs: Any, transcript: Transcript, where: str) -> Iterator[str]:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for name in sorted(set(mine) | set(theirs), key=str):
            if name == "number" and "targetType" in mine:
                continue  # a count over everything that ever happened there
            if name == "total" and not where and isinstance(theirs[name], int) and theirs[name] > len(transcript.shown):
                continue  # of the many records of that day only those that are shown are known
            if name not in mine or name not in theirs:
                yield f"{where}.{name} {'missing' if name not in mine else 'too many'}"
            else:
                yield from _differences(mine[name], theirs[name], transcript, f"{where}.{name}")
    elif isinstance(mine, list) and isinstance(theirs, list):
        if len(mine) != len(theirs):
            yield f"{where} has {len(mine)} items, recorded {len(theirs)}"
        for number, (one, other) in enumerate(zip(mine, theirs, strict=False)):
            yield from _differences(one, other, transcript, f"{where}[{number}]")
    elif mine != theirs or type(mine) is not type(theirs):
        yield f"{where} {str(mine)[:60]!r}, recorded {str(theirs)[:60]!r}"


__all__ = ["BETEILIGTE", "Replayed", "Transcript", "Transcripts", "replayed"]
