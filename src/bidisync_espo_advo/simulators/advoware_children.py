"""Phone numbers and addresses of a party in the Advoware simulator.

They are made by POST, and of what is made only a part can be changed: the rest is frozen,
and whatever a PUT says of it is ignored. Nothing is ever deleted. The party's own rowId may
stay as it was, while each of them has one of its own.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import attrs
from aiohttp import web

from bidisync_espo_advo.simulators.advoware_api import AdvowareApi
from bidisync_espo_advo.simulators.advoware_rows import Party, opaque_id, shown_children
from bidisync_espo_advo.simulators.advoware_store import PERSON
from bidisync_espo_advo.simulators.advoware_values import Refused

KINDS = range(1, 13)
ADDRESSES = "adressen"

Check = Callable[[Any], bool]
Form = Mapping[str, tuple[Check, bool]]
"""Which fields there are: what they may hold besides nothing, and whether a PUT changes them."""


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 250


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _kind(value: Any) -> bool:
    return type(value) is int and value in KINDS


def _number(value: Any) -> bool:
    return type(value) is int


def _day(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


COMMUNICATION: Form = {
    "tlf": (_text, True),
    "bemerkung": (_text, True),
    "kommKz": (_kind, False),
    "online": (_flag, True),
}
ADDRESS: Form = {
    "strasse": (_text, True),
    "plz": (_text, True),
    "ort": (_text, True),
    "anschrift": (_text, True),
    "land": (_text, False),
    "postfach": (_text, False),
    "postfachPLZ": (_text, False),
    "standardAnschrift": (_flag, False),
    "bemerkung": (_text, False),
    "gueltigVon": (_day, False),
    "gueltigBis": (_day, False),
    "reihenfolgeIndex": (_number, False),
}


@attrs.define(eq=False)
class Communication:
    """The phone numbers and mail addresses of parties: ``Kommunikationen`` beneath each."""

    api: AdvowareApi

    def routes(self) -> list[web.RouteDef]:
        """All of them, and one."""
        return _routes(self.api, "Kommunikationen", self._get, self._post, self._put)

    def _get(self, request: web.Request, _body: Any, _user: str) -> web.Response:
        party = _party(self.api, request)
        return self.api.reply(shown_children(party, self.api.store.switches))

    def _post(self, request: web.Request, body: Any, user: str) -> web.Response:
        party = _party(self.api, request)
        given = {"tlf": None, **_given(COMMUNICATION, self.api.taken(body))}
        if given.get("kommKz") is None:
            raise Refused(400, "Das Feld kommKz ist ein Pflichtfeld.")
        stored = self.api.store.keep_children(party.betnr, [*party.children, given], user)
        return _made(self.api, stored[-1])

    def _put(self, request: web.Request, body: Any, user: str) -> web.Response:
        party, id = _party(self.api, request), int(request.match_info["child"])
        changed = _changed(self.api, COMMUNICATION, _one(party.children, id), self.api.taken(body))
        rows = [changed if row["id"] == id else row for row in party.children]
        return self.api.reply(_one(self.api.store.keep_children(party.betnr, rows, user), id))


@attrs.define(eq=False)
class Addresses:
    """The addresses of parties: ``Adressen`` beneath each. A person may do with them what no request can."""

    api: AdvowareApi

    def routes(self) -> list[web.RouteDef]:
        """All of them, and one."""
        return _routes(self.api, "Adressen", self._get, self._post, self._put)

    def of(self, betnr: int) -> list[dict[str, Any]]:
        """A copy of a party's addresses, oldest first."""
        return copy.deepcopy(self.api.store.party(betnr).others.get(ADDRESSES, []))

    def add(self, betnr: int, **values: Any) -> int:
        """A person enters an address; returns its id."""
        return int(self._add(betnr, _given(ADDRESS, values), PERSON)["id"])

    def edit(self, betnr: int, id: int, **changes: Any) -> None:
        """A person changes an address, also what is frozen to requests."""
        row = _one(self.of(betnr), id)
        self._keep(betnr, {**row, **_given(ADDRESS, changes)}, PERSON)

    def _get(self, request: web.Request, _body: Any, _user: str) -> web.Response:
        return self.api.reply(self.of(_party(self.api, request).betnr))

    def _post(self, request: web.Request, body: Any, user: str) -> web.Response:
        betnr = _party(self.api, request).betnr
        return _made(self.api, self._add(betnr, _given(ADDRESS, self.api.taken(body)), user))

    def _put(self, request: web.Request, body: Any, user: str) -> web.Response:
        betnr, id = _party(self.api, request).betnr, int(request.match_info["child"])
        row = _changed(self.api, ADDRESS, _one(self.of(betnr), id), self.api.taken(body))
        return self.api.reply(self._keep(betnr, row, user))

    def _add(self, betnr: int, given: Mapping[str, Any], by: str) -> dict[str, Any]:
        row = {"id": self.api.store.next_child(), "betNr": betnr, **dict.fromkeys(ADDRESS), **given}
        row["standardAnschrift"] = bool(row["standardAnschrift"])
        return self._keep(betnr, row, by)

    def _keep(self, betnr: int, row: dict[str, Any], by: str) -> dict[str, Any]:
        """The row in the place of the one with its id, or at the end, with a rowId of its own."""
        rows = self.of(betnr)
        if row in rows:
            return row
        source = f"{self.api.store.seed}/address/{json.dumps(row, sort_keys=True)}"
        row = {**row, "rowId": opaque_id(source, self.api.store.switches["rowId.format"])}
        known = [other["id"] for other in rows]
        kept = [row if other["id"] == row["id"] else other for other in rows]
        self.api.store.keep_others(betnr, ADDRESSES, kept if row["id"] in known else [*rows, row], by)
        return row


def _routes(api: AdvowareApi, name: str, get: Any, post: Any, put: Any) -> list[web.RouteDef]:
    many = r"Beteiligte/{betnr:\d{1,18}}/" + name
    return [*api.also(many, get=get, post=post), *api.also(many + r"/{child:\d{1,18}}", put=put, delete=_refused)]


def _refused(_request: web.Request, _body: Any, _user: str) -> web.Response:
    raise Refused(403, "Das Löschen ist nicht vorgesehen.")


def _party(api: AdvowareApi, request: web.Request) -> Party:
    betnr = int(request.match_info["betnr"])
    try:
        return api.store.party(betnr)
    except KeyError:
        raise Refused(404, f"Der Beteiligte {betnr} wurde nicht gefunden.") from None


def _one(rows: list[dict[str, Any]], id: int) -> dict[str, Any]:
    for row in rows:
        if row["id"] == id:
            return row
    raise Refused(404, f"Ein Eintrag {id} wurde nicht gefunden.")


def _given(form: Form, body: Mapping[str, Any]) -> dict[str, Any]:
    """What the body says of the fields that there are."""
    for name, value in body.items():
        if name in form and value is not None and not form[name][0](value):
            raise Refused(400, f"Der Wert des Feldes {name} ist ungültig.")
    return {name: body[name] for name in form if name in body}


def _changed(api: AdvowareApi, form: Form, row: dict[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """The row after a PUT of this body: what is frozen stays, a writable field that it lacks becomes empty."""
    given = _given(form, body)
    frozen = [name for name, (_, writable) in form.items() if not writable]
    if api.store.switches["put.readonly_field"] == "400":
        for name in frozen:
            if name in given and given[name] != row.get(name):
                raise Refused(400, f"Das Feld {name} kann nicht geändert werden.")
    if api.store.switches["put.semantics"] == "partial_null_ignored":
        given = {name: value for name, value in given.items() if value is not None}
    missing = [name for name in form if name not in given]
    emptied = missing if api.store.switches["put.semantics"] == "full_replace" else []
    new = {**dict.fromkeys(emptied), **given}
    return {**row, **{name: value for name, value in new.items() if name not in frozen}}


def _made(api: AdvowareApi, row: Mapping[str, Any]) -> web.Response:
    """The new row as a reply, unless that is lost on its way."""
    if api.store.switches["post.commit_then_drop"] == "504_after_commit":
        return web.Response(status=504, text="Zeitüberschreitung bei der Verbindung zur Kanzlei.")
    return api.reply(dict(row))
