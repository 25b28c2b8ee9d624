"""The HTTP side of the Advoware simulator: addresses, sign-in, shapes of replies, trouble.

A call waits and may be turned away; then it reads or changes the store in one go, without an
``await``, so that two calls never mix.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import attrs
from aiohttp import web

from bidisync_espo_advo.simulators import advoware_faults as faults
from bidisync_espo_advo.simulators.advoware_rows import FIELDS, camel, pascal
from bidisync_espo_advo.simulators.advoware_signin import Account, NotSignedIn, TokenService
from bidisync_espo_advo.simulators.advoware_store import AdvowareStore
from bidisync_espo_advo.simulators.advoware_values import Refused

DISCOVERY = "/AdvonetConfigurator/api/Url"
CONNECTOR, SECURITY = "/connector", "/security"
ROWS_PER_CHUNK = 200
ROWS_PER_PAGE = 100
CALLS_PER_SECOND = 50  # with rate_limit on
ERROR_EVERY = 5  # calls, with http200_error_body on
OFFLINE = "Der advoware Manager der Kanzlei ist nicht erreichbar."
OFFLINE_PAGE = f"<html><body>{OFFLINE}</body></html>"
LOGIN_PAGE = "<!DOCTYPE html><html><body><form action='/login'>Bitte melden Sie sich an.</form></body></html>"

Act = Callable[[web.Request, Any, str], web.Response]  # request, its JSON, the user's Kürzel


@attrs.define
class AdvowareApi:
    """Every route of Advoware, over one store."""

    store: AdvowareStore
    account: Account
    tokens: TokenService
    _calls: int = 0
    _recent: deque[float] = attrs.Factory(deque)
    _rng: random.Random = attrs.Factory(lambda: random.Random("advoware/api"))
    _faults: faults.Faults = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._faults = faults.Faults(self.store.seed)

    def routes(self) -> list[web.RouteDef]:
        """Relay and connector side by side; which of them works is a switch."""
        found = [web.get(DISCOVERY, self.discover), web.post(f"{SECURITY}/api/v1/Token", self.sign_in)]
        for base in ("", CONNECTOR):
            many = f"{base}{self.store.switches['path_prefix']}/Beteiligte"
            one = many + r"/{betnr:\d{1,18}}"
            found += [
                web.get(many, self._serving(self._list), allow_head=False),
                web.post(many, self._serving(self._post)),
                web.get(one, self._serving(self._get), allow_head=False),
                web.put(one, self._serving(self._put)),
                web.delete(one, self._serving(self._delete)),
            ]
        return found

    def also(self, path: str, **acts: Act) -> list[web.RouteDef]:
        """Routes of another collection, by verb, with everything that calls have in common."""
        return [
            web.route(verb.upper(), f"{base}{self.store.switches['path_prefix']}/{path}", self._serving(act))
            for base in ("", CONNECTOR)
            for verb, act in acts.items()
        ]

    async def discover(self, request: web.Request) -> web.Response:
        """The addresses to use, seen from where the caller is."""
        await self._wait()
        behaviour = self.store.switches["discovery"]
        if behaviour == "500":
            return web.Response(status=500, text="Interner Fehler im AdvonetConfigurator.")
        if self._asked(request, "Kanzlei") != self.account.kanzlei:
            return web.Response(status=404, text="Die angegebene Kanzlei ist nicht registriert.")
        here = f"{request.scheme}://{request.host}"
        return web.json_response(
            {
                "relayUrl": f"{here}/",
                "connectorUrl": f"{here}{CONNECTOR}/" if behaviour == "connector_set" else None,
                "securityGateway": None if behaviour == "no_security_gateway" else f"{here}{SECURITY}/",
            }
        )

    async def sign_in(self, request: web.Request) -> web.Response:
        """A token, or why there is none."""
        await self._wait()
        try:
            body = _parsed(await request.read())
            if not isinstance(body, dict):
                raise Refused(400, "Die Anfrage enthält kein JSON-Objekt.")
            return web.json_response(self.tokens.sign_in(body))
        except NotSignedIn as refusal:
            return self._not_signed_in(str(refusal))
        except Refused as refused:
            return web.Response(status=refused.status, text=refused.text)

    def _serving(self, act: Act) -> Callable[[web.Request], Any]:
        """A route that does what every call has in common; ``act`` happens in one go."""

        async def serve(request: web.Request) -> web.Response:
            await self._wait()
            raw = await request.read()
            fault = self._faults.next(self.store.switches["faults"])
            await faults.before(fault, request)
            trouble = await self._trouble(request)
            if trouble is not None:
                return trouble
            try:
                user = self.tokens.user_of(request.headers.get("Authorization", ""))
                body = _parsed(raw) if raw else None
                response = act(request, body, user)
                if fault == "dup" and request.method == "PUT":
                    response = act(request, body, user)
            except NotSignedIn as refusal:
                response = self._not_signed_in(str(refusal))
            except Refused as refused:
                response = web.Response(status=refused.status, text=refused.text)
            await self._wait()
            return faults.after(fault, request, response)

        return serve

    async def _wait(self) -> None:
        """Half of the latency: once on the way in, once on the way out."""
        latency = self.store.switches["latency_ms"]
        if latency != "0":
            jitter = self._rng.random() if latency == "3000_jitter" else 1.0
            await asyncio.sleep(jitter * int(latency.removesuffix("_jitter")) / 2000)

    async def _trouble(self, request: web.Request) -> web.Response | None:
        """What keeps a call from getting through at all."""
        switches = self.store.switches
        if request.path.startswith(CONNECTOR) != (switches["discovery"] == "connector_set"):
            return web.Response(status=404, text="Unter dieser Adresse ist die Kanzlei nicht angemeldet.")
        if switches["connector_offline"] == "hang_30s":
            await asyncio.sleep(30)
        if switches["connector_offline"] == "502_html":
            return web.Response(status=502, text=OFFLINE_PAGE, content_type="text/html")
        if switches["connector_offline"] != "off":
            return web.Response(status=503, text=OFFLINE)
        if switches["rate_limit"] != "none" and self._too_many():
            if switches["rate_limit"] == "silent_drop":
                faults.hang_up(request)
            return web.Response(status=429, text="Zu viele Anfragen.", headers={"Retry-After": "1"})
        self._calls += 1
        if switches["http200_error_body"] == "off" or self._calls % ERROR_EVERY:
            return None
        if switches["http200_error_body"] == "error_json":
            return web.json_response({"error": OFFLINE})
        if switches["http200_error_body"] == "german_text":
            return web.Response(text=OFFLINE)
        return web.Response(text=LOGIN_PAGE, content_type="text/html")

    def _too_many(self) -> bool:
        now = asyncio.get_running_loop().time()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= CALLS_PER_SECOND:
            return True
        self._recent.append(now)
        return False

    def _not_signed_in(self, text: str) -> web.Response:
        style = self.store.switches["auth.error_style"]
        if style == "401_json":
            return web.json_response({"message": text}, status=401, headers={"WWW-Authenticate": "Bearer"})
        if style == "503_retry_after":
            return web.Response(status=503, text=text, headers={"Retry-After": "70"})
        return web.Response(status=200 if style == "200_text" else 500, text=text)

    # The five calls

    def _get(self, request: web.Request, _body: Any, _user: str) -> web.Response:
        betnr = int(request.match_info["betnr"])
        gone = self.store.switches["deleted_party_get"]
        other = self.store.merged_into(betnr)
        if other is not None and gone == "200_empty_list":
            return _json(b"[]")
        if other and gone == "200_merged_into_other_betNr":
            betnr = other
        try:
            row = self.store.encoded(betnr)
        except KeyError:
            raise _absent(betnr) from None
        return _json(b"[" + row + b"]" if self.store.switches["get.shape"] == "list_of_one" else row)

    def _list(self, request: web.Request, _body: Any, _user: str) -> web.Response:
        changed_since = self._asked(request, "geaendertSeit")
        if self.store.switches["list.filter_changed_since"] == "absent":
            changed_since = None
        rows = self.store.encoded_list(None if changed_since is None else _moment(changed_since))
        total, paging = len(rows), self.store.switches["list.paging"]
        if paging == "silently_capped_100":
            rows = rows[:100]
        elif paging == "unstable_order":
            self._rng.shuffle(rows)
        elif paging == "page_size":
            page = _whole("page", self._asked(request, "page"), 1)
            size = _whole("size", self._asked(request, "size"), ROWS_PER_PAGE)
            rows = rows[(page - 1) * size : page * size]
        before, after = {
            "array": (b"[", b"]"),
            "data_total": (b'{"data":[', b'],"total":%d}' % total),
            "value": (b'{"value":[', b"]}"),
        }[self.store.switches["list.shape"]]
        return _json(_streamed(before, rows, after))

    def _post(self, request: web.Request, body: Any, user: str) -> web.Response:
        betnr = self.store.post(self.taken(body), user)
        return self.created(request, betnr, {"betNr": betnr, "rowId": self.store.shown(betnr)["rowId"]})

    def created(self, request: web.Request, number: int, row: dict[str, Any]) -> web.Response:
        """What a create answers: the number, the first item of ``row``, or all of it."""
        if self.store.switches["post.commit_then_drop"] == "504_after_commit":
            return web.Response(status=504, text="Zeitüberschreitung bei der Verbindung zur Kanzlei.")
        style = self.store.switches["post.reply"]
        if style == "201_location":
            return web.Response(status=201, headers={"Location": f"{request.path}/{number}"})
        if style == "bare_int":
            return self.reply(number)
        if style == "list_with_rowId":
            return self.reply([row])
        return self.reply(row if style == "dict_with_rowId" else dict([next(iter(row.items()))]))

    def _put(self, request: web.Request, body: Any, user: str) -> web.Response:
        betnr, sent = int(request.match_info["betnr"]), self.taken(body)
        switches = self.store.switches
        try:
            before = self.store.shown(betnr)
        except KeyError:
            raise _absent(betnr) from None
        self.store.put(betnr, sent, user)
        row = self.store.shown(betnr)
        if switches["put.reply_stale"] == "echo_of_request":
            row = {**sent, "betNr": betnr, "rowId": before["rowId"]}
        elif switches["put.readonly_field"] == "accepted_not_persisted":
            row |= {name: sent[name] for name in FIELDS if FIELDS[name].access == "R" and name in sent}
        style = switches["put.reply"]
        if style == "204":
            return web.Response(status=204)
        if style == "object_without_rowId":
            row.pop("rowId")
        return self.reply([row] if style == "list_with_rowId" else row)

    def _delete(self, request: web.Request, _body: Any, _user: str) -> web.Response:
        betnr, behaviour = int(request.match_info["betnr"]), self.store.switches["delete"]
        if behaviour in ("403", "405"):
            raise Refused(int(behaviour), "Das Löschen von Beteiligten ist nicht vorgesehen.")
        try:
            self.store.delete(betnr)
        except KeyError:
            raise _absent(betnr) from None
        if behaviour == "404_then_gone":
            raise _absent(betnr)
        return web.Response(status=204)

    def _asked(self, request: web.Request, name: str) -> str | None:
        """A parameter of the query; whether one in other letters is the same is a switch."""
        if self.store.switches["query_key_case"] == "insensitive":
            return next((value for key, value in request.query.items() if key.lower() == name.lower()), None)
        return request.query.get(name)

    def taken(self, body: Any) -> dict[str, Any]:
        """The JSON object in a request, with names that begin with a small letter."""
        if not isinstance(body, dict):
            raise Refused(400, "Die Anfrage enthält kein JSON-Objekt.")
        return camel(body) if self.store.switches["json_case"] == "PascalCase" else body

    def reply(self, value: Any) -> web.Response:
        """The value as this Advoware spells it."""
        shaped = pascal(value) if self.store.switches["json_case"] == "PascalCase" else value
        return _json(json.dumps(shaped, ensure_ascii=False).encode())


def _absent(betnr: int) -> Refused:
    return Refused(404, f"Der Beteiligte {betnr} wurde nicht gefunden.")


def _json(body: bytes | AsyncIterator[bytes]) -> web.Response:
    return web.Response(body=body, content_type="application/json", charset="utf-8")


async def _streamed(before: bytes, rows: list[bytes], after: bytes) -> AsyncIterator[bytes]:
    """The rows as one JSON document, some at a time; they are those of the moment of the call."""
    yield before
    for start in range(0, len(rows), ROWS_PER_CHUNK):
        yield (b"," if start else b"") + b",".join(rows[start : start + ROWS_PER_CHUNK])
    yield after


def _parsed(raw: bytes) -> Any:
    """The JSON in a request; numbers and letters that no JSON has are refused."""

    def no_number(_text: str) -> None:
        raise ValueError

    try:
        value = json.loads(raw, parse_constant=no_number)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refused(400, "Die Anfrage enthält kein gültiges JSON.") from None
    return value


def _moment(text: str) -> datetime:
    """A time with or without a zone; without one it is meant in German time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, "Der Parameter geaendertSeit ist ungültig.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo("Europe/Berlin"))


def _whole(name: str, asked: str | None, default: int) -> int:
    text = str(default) if asked is None else asked
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 10**6):
        raise Refused(400, f"Der Parameter {name} ist ungültig.")
    return int(text)
