"""What becomes of a value on its way into Advoware's database.

A value may come out other than it went in: that is what the switches for strings, enums and
side effects are about, and why a client has to look at what was stored.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bidisync_espo_advo.simulators.advoware_rows import FIELDS, TOWNS, Field
from bidisync_espo_advo.simulators.advoware_switches import Switches


class Refused(Exception):
    """Advoware says no, in German: nothing was changed."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


def accepted(given: Mapping[str, Any], switches: Switches) -> dict[str, Any]:
    """The given fields as they are stored; names that are no field are left out.

    ``Refused`` (400) if a value does not fit its field.
    """
    return {
        name: None if value is None else _stored(FIELDS[name], value, switches)
        for name, value in given.items()
        if name in FIELDS
    }


def completed(values: dict[str, Any], switches: Switches) -> dict[str, Any]:
    """A whole record as it is stored: the name is there, and side effects have had their way."""
    if not (values["name"] or "").strip():
        raise Refused(400, "Das Feld name ist ein Pflichtfeld und darf nicht leer sein.")
    effect = switches["side_effects"]
    if effect == "name_uppercased":
        return {**values, "name": values["name"].upper()}
    if effect == "anrede_fills_bAnrede" and not values["bAnrede"] and values["anrede"] in ("Herr", "Frau"):
        ending = "r" if values["anrede"] == "Herr" else ""
        return {**values, "bAnrede": f"Sehr geehrte{ending} {values['anrede']} {values['name']}"}
    if effect == "plz_fills_ort" and not values["ort"]:
        return {**values, "ort": TOWNS.get(values["plz"])}
    return values


def _stored(field: Field, value: Any, switches: Switches) -> Any:
    match field.form, value:
        case "date", _:
            return _day(field, value, switches)
        case "text", str():
            return _text(field, value, switches)
        case ("flag", bool()) | ("object", dict()):
            return value
        case "number", int() | float() if not isinstance(value, bool):
            return value
    raise Refused(400, f"Der Wert des Feldes {field.name} hat den falschen Typ.")


def _day(field: Field, value: Any, switches: Switches) -> str | None:
    """The day; a time with an offset is first turned into the server's local time."""
    if value == "":
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.date() == date.min:
            return None
        if moment.tzinfo is not None:
            moment = moment.astimezone(ZoneInfo(switches["server_tz"]))
    except (TypeError, ValueError, OverflowError):
        raise Refused(400, f"Das Feld {field.name} enthält kein gültiges Datum.") from None
    return moment.date().isoformat()


def _text(field: Field, value: str, switches: Switches) -> str:
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise Refused(400, f"Das Feld {field.name} enthält ein halbes Zeichen.")
    if switches["charset"] == "cp1252_lossy":
        value = value.encode("cp1252", "replace").decode("cp1252")
    elif switches["charset"] == "nfd_to_nfc":
        value = unicodedata.normalize("NFC", value)
    if switches["string.trim"] == "trims":
        value = value.strip()
    elif switches["string.trim"] == "pads_to_length":
        value = value.rstrip(" ")
    if len(value) > field.length:
        if switches["string.max_len"] == "400":
            raise Refused(400, f"Das Feld {field.name} darf höchstens {field.length} Zeichen lang sein.")
        if switches["string.max_len"] == "truncates_silently":
            value = value[: field.length]
    if field.known and value and value.strip() not in field.known:
        if switches["enum.unknown"] == "400":
            raise Refused(400, f"Das Feld {field.name} hat einen unbekannten Wert.")
        if switches["enum.unknown"] == "mapped_to_default":
            value = "Sonstige"
    return value.ljust(field.length) if switches["string.trim"] == "pads_to_length" else value
