"""The bank accounts of Advoware's parties: made through the API, and changed at the desk alone.

Nothing is checked: whatever is sent stays.
"""

from __future__ import annotations

from typing import Any

import attrs
from aiohttp import web

from bidisync_espo_advo.simulators.advoware_api import AdvowareApi
from bidisync_espo_advo.simulators.advoware_rows import opaque_id
from bidisync_espo_advo.simulators.advoware_values import Refused

FIRST_ID = 501
FIELDS = ("iban", "bic", "kontoinhaber", "bankname")


@attrs.define
class Accounts:
    """All accounts by id; a person at the desktop program uses ``create``, ``edit`` and ``delete``."""

    api: AdvowareApi
    rows: dict[int, dict[str, Any]] = attrs.Factory(dict)
    _next: int = FIRST_ID
    _version: int = 0

    def routes(self) -> list[web.RouteDef]:
        """A list and a create; every other verb is refused."""
        many = r"Beteiligte/{betnr:\d{1,18}}/Bankverbindungen"
        one = many + r"/{id:\d{1,18}}"
        return [
            *self.api.also(many, get=self._list, post=self._post),
            *self.api.also(one, put=self._refuse, delete=self._refuse),
        ]

    def of(self, betnr: int) -> list[dict[str, Any]]:
        """A copy of every account of a party."""
        return [dict(row) for row in self.rows.values() if row["betNr"] == betnr]

    def create(self, betnr: int, **values: Any) -> int:
        """A new account; returns its id."""
        id, self._next = self._next, self._next + 1
        self._put(id, {"id": id, "betNr": betnr, **dict.fromkeys(FIELDS), **values})
        return id

    def edit(self, id: int, **changes: Any) -> None:
        """Change these fields and no others; ``KeyError`` if there is no such account."""
        self._put(id, {**self.rows[id], **changes})

    def delete(self, id: int) -> None:
        """Remove the account; ``KeyError`` if there is none."""
        del self.rows[id]

    def _put(self, id: int, row: dict[str, Any]) -> None:
        self._version += 1
        store = self.api.store
        row["rowId"] = opaque_id(f"{store.seed}/account/{id}/{self._version}", store.switches["rowId.format"])
        self.rows[id] = row

    def _party(self, request: web.Request) -> int:
        betnr = int(request.match_info["betnr"])
        try:
            self.api.store.shown(betnr)
        except KeyError:
            raise Refused(404, f"Der Beteiligte {betnr} wurde nicht gefunden.") from None
        return betnr

    def _list(self, request: web.Request, _body: Any, _user: str) -> web.Response:
        return self.api.reply(self.of(self._party(request)))

    def _post(self, request: web.Request, body: Any, _user: str) -> web.Response:
        betnr, sent = self._party(request), self.api.taken(body)
        if not isinstance(sent.get("iban"), str) or not sent["iban"].strip():
            raise Refused(400, "Das Feld iban ist ein Pflichtfeld.")
        id = self.create(betnr, **{name: sent[name] for name in FIELDS if name in sent})
        return self.api.created(request, id, {"id": id, **self.rows[id]})

    def _refuse(self, _request: web.Request, _body: Any, _user: str) -> web.Response:
        raise Refused(403, "Bankverbindungen können nicht geändert oder gelöscht werden.")
