"""The HTTP side of the EspoCRM simulator: addresses, permission, shapes of replies.

A request is read and its sender known; then it reads or changes the store in one go, without an
``await``, so that two requests never mix. (The real one lets parallel ones slip past its version
and duplicate checks; whoever wants that orders a fault.)
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import attrs
from aiohttp import web

from bidisync_espo_advo.simulators.espocrm_entities import ENTITY_TYPES
from bidisync_espo_advo.simulators.espocrm_fields import EntityType
from bidisync_espo_advo.simulators.espocrm_lists import listed
from bidisync_espo_advo.simulators.espocrm_refusals import Refusal
from bidisync_espo_advo.simulators.espocrm_replies import HTML, encoded, fine, refused, too_long
from bidisync_espo_advo.simulators.espocrm_store import EspoStore
from bidisync_espo_advo.simulators.espocrm_system import ALLOWED, Asked, system
from bidisync_espo_advo.simulators.espocrm_table import Record
from bidisync_espo_advo.simulators.espocrm_users import SETTINGS, Action, SignIn, User, app_user

BASE = "/api/v1/"
MAX_TARGET = 8190 - len("GET  HTTP/1.1")  # Apache's request line
MAX_BODY = 16 * 1024**2
MANY, ONE = ("GET", "POST"), ("GET", "DELETE", "PUT", "PATCH")
SINCE = "2012-01-02 09:00:00"
MAINTENANCE = Refusal(
    503,
    "Application is in maintenance mode.",
    {"message": "The application currently is in maintenance mode."},
    {"Content-Type": HTML},
)
UNSAFE = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]")


@attrs.define
class EspoApi:
    """Every address of EspoCRM below ``api/v1/``, over one store."""

    store: EspoStore
    sign_in: SignIn

    def routes(self) -> list[web.RouteDef]:
        """One route for all; EspoCRM's own dispatch answers what there is not."""
        return [web.route("*", BASE + "{tail:.*}", self.serve)]

    async def serve(self, request: web.Request) -> web.Response:
        """One request, from sign-in to reply."""
        latency = int(self.store.switches["latency_ms"]) / 2000
        if latency:
            await asyncio.sleep(latency)
        if len(request.raw_path) > MAX_TARGET:
            return too_long()
        try:
            raw = await request.read() if request.body_exists else b""
        except web.HTTPRequestEntityTooLarge:
            return refused(Refusal(500))
        response = self._answer(request, raw)
        if latency:
            await asyncio.sleep(latency)
        return response

    def _answer(self, request: web.Request, raw: bytes) -> web.Response:
        parts = request.path.removeprefix(BASE).split("/")
        if self.store.switches["database"] == "down":
            return refused(Refusal(500, headers={"Content-Type": HTML}))
        if request.method == "HEAD" or not all(parts) or len(parts) > 3:
            return refused(Refusal(404, body={"message": "404 Not Found"}))
        allowed = _allowed(parts)
        if request.method not in allowed:
            status = 200 if request.method == "OPTIONS" else 405
            response = refused(Refusal(status, body={"message": "405 Method Not Allowed"}))
            response.headers["Allow"] = ", ".join(allowed)
            return response
        try:
            signed = f"{request.method} /{request.path.removeprefix(BASE)}"
            now = self.store.clock()
            self.sign_in.blocking = self.store.switches["login_block"] == "on"
            self.sign_in.inactive = frozenset({self.store.switches["inactive_user"]})
            user = self.sign_in.user(request.headers, signed, request.remote or "", now)
            if self.store.switches["maintenance"] == "on" and not user.is_admin:
                raise MAINTENANCE
            body = self._dispatch(request, parts, raw, user)
        except Refusal as refusal:
            return refused(refusal)
        response = fine(body, formatdate(now.timestamp(), usegmt=True))
        if parts == ["Webhook"] and request.method == "POST":
            response.set_status(201)  # the only create that says so
        return response

    def _dispatch(self, request: web.Request, parts: list[str], raw: bytes, user: User) -> bytes:
        if parts == ["App", "user"]:
            return encoded(app_user(user, SINCE))
        if parts == ["Settings"]:
            return encoded(SETTINGS)
        if parts == ["Metadata"]:
            return self._metadata(request.query.get("key", ""))
        if parts == ["User"] and request.method == "GET":
            return encoded({"total": 0, "list": []})
        if parts[0] in ALLOWED:
            asked = Asked(request.method, parts, request.query, _parsed(request, raw) if raw else {}, user)
            return encoded(system(self.store, asked))
        kind = ENTITY_TYPES.get(parts[0])
        if kind is None:
            raise Refusal(404, f"Controller '{UNSAFE.sub('', parts[0][:1].upper() + parts[0][1:])}' does not exist.")
        if len(parts) == 3:
            return self._beyond(request, kind, parts, raw, user)
        if request.method == "POST":
            return self._create(request, kind, _parsed(request, raw), user)
        if len(parts) == 1:
            self._permit(user, "read", kind)
            skip = request.headers.get("X-No-Total") == "true"
            return listed(self.store, kind, user, request.rel_url.raw_query_string, without_total=skip)
        if request.method == "GET":
            return self._get(kind, parts[1], user)
        if request.method == "DELETE":
            return self._delete(kind, parts[1], user)
        return self._update(request, kind, parts[1], _parsed(request, raw), user)

    def _get(self, kind: EntityType, id: str, user: User) -> bytes:
        level = self._permit(user, "read", kind)
        record = self.store.table(kind).records.get(id)
        if record is None or (record.deleted and not user.is_admin):
            raise Refusal(404, f"Record {UNSAFE.sub('', id)} does not exist.")
        if level == "own" and not _owns(user, record):
            raise Refusal(403, "No 'read' access.")
        if record.full_json is None or kind.shows_related:
            record.full_json = encoded(self.store.shown(kind, record))
        if user.role.hidden:
            return encoded(_seen(kind, user, json.loads(record.full_json)))
        return record.full_json

    def _create(self, request: web.Request, kind: EntityType, body: dict[str, Any], user: User) -> bytes:
        self._permit(user, "create", kind)
        skip = request.headers.get("X-Skip-Duplicate-Check") == "true" or body.get("_skipDuplicateCheck") is True
        reply = self.store.add(kind, _writable(kind, user, body), user, even_a_twin=skip)
        return encoded(_seen(kind, user, reply))

    def _update(self, request: web.Request, kind: EntityType, id: str, body: dict[str, Any], user: User) -> bytes:
        self._own(kind, id, user, "edit")
        header = request.headers.get("X-Version-Number", "")
        version = int(header) if header.isascii() and header.isdecimal() and len(header) < 19 else None
        reply = self.store.change(kind, id, _writable(kind, user, body), user, version=version)
        return encoded(_seen(kind, user, reply))

    def _delete(self, kind: EntityType, id: str, user: User) -> bytes:
        self._own(kind, id, user, "delete")
        self.store.remove(kind, id, user)
        return b"true"

    def _beyond(self, request: web.Request, kind: EntityType, parts: list[str], raw: bytes, user: User) -> bytes:
        """Actions, and the lists behind a record, which are empty here."""
        _, id, name = parts
        if id == "action":
            if name != "restoreDeleted" or request.method != "POST":
                raise Refusal(404, "Action does not exist.")
            if not user.is_admin:
                raise Refusal(403, "")
            try:
                self.store.restore(kind, str(_parsed(request, raw).get("id")))
            except KeyError:
                raise Refusal(404, "") from None
            return b"true"
        if name == "follow":
            raise Refusal(405, body={"message": "405 Method Not Allowed"})
        self._get(kind, id, user)
        if name == "stream":
            return encoded({"total": 0, "list": [], "pinnedList": []})
        if name not in kind.links:
            raise Refusal(404, "Link does not exist.")
        if request.method == "GET":
            return encoded(self._behind(kind, id, name))
        return encoded(self._relate(request.method, kind, id, name, _parsed(request, raw), user))

    def _behind(self, kind: EntityType, id: str, link: str) -> dict[str, Any]:
        """The records on the other end of a link."""
        foreign = ENTITY_TYPES.get(kind.links[link])
        if foreign is None:
            return {"total": 0, "list": []}
        table = self.store.table(foreign)
        if link in kind.relations:
            ids = self.store.behind(kind, id, foreign.name)
        else:
            one = self.store.table(kind).records[id].row[f"{link}Id"]
            ids = [] if one is None else [one]
        rows = [self.store.shown_in_list(foreign, table.records[other]) for other in ids if other in table.records]
        return {"total": len(rows), "list": rows}

    def _relate(self, method: str, kind: EntityType, id: str, link: str, body: dict[str, Any], user: User) -> bool:
        """Put records together or apart; no id, no change."""
        self._own(kind, id, user, "edit")
        foreign = kind.relations.get(link, "")
        wanted = body.get("ids") or ([body["id"]] if body.get("id") else [])
        for other in wanted:
            if not self.store.exists(foreign, str(other)):
                raise Refusal(404, "")
            act = self.store.related.part if method == "DELETE" else self.store.related.relate
            act((kind.name, id), (foreign, str(other)))
        return bool(wanted)

    def _metadata(self, key: str) -> bytes:
        occ = {"optimisticConcurrencyControl": True}
        place: Any = {
            "entityDefs": {
                name: {"fields": kind.definitions(), **(occ if self.store.counts_versions(kind) else {})}
                for name, kind in ENTITY_TYPES.items()
            }
        }
        for part in key.split(".") if key else ():
            place = place.get(part) if isinstance(place, dict) else None
        return b"" if place is None else encoded(place)

    def _permit(self, user: User, action: Action, kind: EntityType) -> str:
        level = user.role.level(action, kind.name)
        if level == "no":
            raise Refusal(403, f"No {action} access.")
        return level

    def _own(self, kind: EntityType, id: str, user: User, action: Action) -> None:
        """Refuse unless the record is there and the user may do that to it."""
        level = self._permit(user, action, kind)
        try:
            record = self.store.table(kind).live(id)
        except KeyError:
            raise Refusal(404, f"Record {UNSAFE.sub('', id)} not found.") from None
        if level == "own" and not _owns(user, record):
            raise Refusal(403, f"No {action} access.")


def _allowed(parts: list[str]) -> tuple[str, ...]:
    if parts[0] in ALLOWED and len(parts) < 3:
        return ALLOWED[parts[0]][len(parts) - 1]
    if parts[0] in ("App", "Settings", "Metadata", "User"):
        return ("GET",)
    if len(parts) == 3:
        return ("POST",) if parts[1] == "action" else ("GET", "POST", "DELETE", "PUT")
    return MANY if len(parts) == 1 else ONE


def _owns(user: User, record: Record) -> bool:
    return bool(record.row["assignedUserId"] == user.id)


def _seen(kind: EntityType, user: User, shown: dict[str, Any]) -> dict[str, Any]:
    hidden = {name for field in user.role.hidden & set(kind.by_name) for name in kind.attributes_of(field)}
    return {name: value for name, value in shown.items() if name not in hidden}


def _writable(kind: EntityType, user: User, body: Mapping[str, Any]) -> dict[str, Any]:
    fields = (user.role.hidden | user.role.locked) & set(kind.by_name)
    kept_away = {name for field in fields for name in kind.attributes_of(field)}
    return {name: value for name, value in body.items() if name not in kept_away}


def _parsed(request: web.Request, raw: bytes) -> dict[str, Any]:
    """The JSON object in a request; whatever has another content type is an empty one."""

    def no_number(_text: str) -> None:
        raise ValueError

    if request.content_type != "application/json" or not raw:
        return {}
    try:
        value = json.loads(raw.decode(), parse_constant=no_number)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refusal(500) from None
    if isinstance(value, dict):
        return value
    if isinstance(value, list) or value is None:
        return {}
    raise Refusal(400, "Body is not a JSON object.")
