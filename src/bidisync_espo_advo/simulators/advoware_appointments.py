"""The appointments of an Advoware, as its calendar interface shows them; they are only read here.

Names begin with a capital whatever the switches say; times are what a clock in Germany shows, and
a date that there is not is the first of January of the year 1.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import attrs
from aiohttp import web

from bidisync_espo_advo.simulators.advoware_api import AdvowareApi
from bidisync_espo_advo.simulators.advoware_rows import NO_DATE, stamp
from bidisync_espo_advo.simulators.advoware_values import Refused

FIRST_NUMBER = 7001
BLANK = {"Text": "", "Notiz": "", "Ort": "", "Dauertermin": 0, "Turnus": 0, "TurnusArt": 0, "Privat": 0, "AzRubrum": ""}


@attrs.define
class Appointments:
    """All entries by number. Those that Advoware derives from others have negative ones."""

    api: AdvowareApi
    rows: dict[int, dict[str, Any]] = attrs.Factory(dict)
    _next: int = FIRST_NUMBER

    def routes(self) -> list[web.RouteDef]:
        """The one address of the calendar."""
        return self.api.also("TermineActiveSync", get=self._get)

    def create(
        self,
        who: str,
        day: str,
        start: str = "00:00",
        end: str = "23:59",
        *,
        until: str = "",
        derived: bool = False,
        **values: Any,
    ) -> int:
        """An entry of that person on a day, or until a last one; returns its number."""
        number, self._next = -self._next if derived else self._next, self._next + 1
        self.rows[number] = {
            "FrNr": number,
            "Anwalt": who,
            "Datum": f"{day}T00:00:00",
            "UhrzeitVon": start,
            "DatumBis": f"{until or day}T00:00:00",
            "UhrzeitBis": end,
            "ZuletztGeaendertAm": stamp(self.api.store.clock(), self.api.store.switches),
            "GeloeschtAm": f"{NO_DATE}Z",
            **BLANK,
            **values,
        }
        return number

    def _get(self, request: web.Request, _body: Any, _user: str) -> web.Response:
        asked = request.query
        if "frnr" in asked:
            row = self.rows.get(int(asked["frnr"])) if asked["frnr"].lstrip("-").isdecimal() else None
            if row is None:
                raise Refused(404, "Der Termin wurde nicht gefunden.")
            return _json(row)
        try:
            first, last = (date.fromisoformat(asked[name]) for name in ("from", "to"))
        except (KeyError, ValueError):
            raise Refused(400, "Der Zeitraum ist ungültig.") from None
        people = asked.get("kuerzel", "").split(",")
        return _json([row for row in self.rows.values() if row["Anwalt"] in people and _within(row, first, last)])


def _within(row: dict[str, Any], first: date, last: date) -> bool:
    begins, ends = (date.fromisoformat(row[name][:10]) for name in ("Datum", "DatumBis"))
    return begins <= last and ends >= first


def _json(value: Any) -> web.Response:
    return web.Response(
        body=json.dumps(value, ensure_ascii=False).encode(), content_type="application/json", charset="utf-8"
    )
