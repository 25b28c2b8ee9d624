"""The cases of Advoware and who plays which part in them: read through the API, kept at the desk.

The list shows cases without their parties; one case by its number shows them. A party may
have several parts in one case, and its rows have no ids.
"""

from __future__ import annotations

from typing import Any

import attrs
from aiohttp import web

from bidisync_espo_advo.simulators.advoware_api import AdvowareApi
from bidisync_espo_advo.simulators.advoware_rows import opaque_id, stamp
from bidisync_espo_advo.simulators.advoware_values import Refused

FIRST_NUMBER = 2001
FIELDS = ("az", "rubrum", "pfad", "ablage")


@attrs.define
class Cases:
    """All cases by number; a person at the desktop program uses the methods that are no routes."""

    api: AdvowareApi
    rows: dict[int, dict[str, Any]] = attrs.Factory(dict)
    parts: dict[int, list[dict[str, Any]]] = attrs.Factory(dict)
    _next: int = FIRST_NUMBER
    _version: int = 0

    def routes(self) -> list[web.RouteDef]:
        """The list and one case; nothing is written."""
        one = r"Akten/{number:\d{1,18}}"
        return [
            *self.api.also("Akten", get=self._list, post=self._refuse),
            *self.api.also(one, get=self._get, put=self._refuse, delete=self._refuse),
        ]

    def create(self, **values: Any) -> int:
        """A new case; returns its number."""
        number, self._next = self._next, self._next + 1
        self.parts[number] = []
        self._put(number, {"aktNr": number, **dict.fromkeys(FIELDS), "ablage": False, **values})
        return number

    def edit(self, number: int, **changes: Any) -> None:
        """Change these fields and no others; ``KeyError`` if there is no such case."""
        self._put(number, {**self.rows[number], **changes})

    def involve(self, number: int, betnr: int, part: str) -> None:
        """Give a party a part in the case, beside those that it has."""
        self.parts[number].append({"betNr": betnr, "rolle": part})

    def dismiss(self, number: int, betnr: int, part: str) -> None:
        """Take that part from the party; ``ValueError`` if it does not have it."""
        self.parts[number].remove({"betNr": betnr, "rolle": part})

    def _put(self, number: int, row: dict[str, Any]) -> None:
        self._version += 1
        store = self.api.store
        row["rowId"] = opaque_id(f"{store.seed}/case/{number}/{self._version}", store.switches["rowId.format"])
        row["geaendertAm"] = stamp(store.clock(), store.switches)
        self.rows[number] = row

    def _list(self, _request: web.Request, _body: Any, _user: str) -> web.Response:
        return self.api.reply(list(self.rows.values()))

    def _get(self, request: web.Request, _body: Any, _user: str) -> web.Response:
        number = int(request.match_info["number"])
        if number not in self.rows:
            raise Refused(404, f"Die Akte {number} wurde nicht gefunden.")
        return self.api.reply({**self.rows[number], "beteiligte": self.parts[number]})

    def _refuse(self, _request: web.Request, _body: Any, _user: str) -> web.Response:
        raise Refused(403, "Akten werden nur in advoware angelegt und geändert.")
