"""What Advoware keeps of a party, and how it shows it.

The mapped field names are those of the default mapping. Beside them stand fields that no
mapping knows: a client that sends back less than it read destroys them.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import random
import uuid
from datetime import UTC, date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import attrs

from bidisync_espo_advo.simulators.advoware_switches import Switches
from bidisync_espo_advo.simulators.people import LEGAL_FORMS, SyntheticParty

NO_DATE = "0001-01-01T00:00:00"
LEGAL_FORMS_KNOWN = frozenset({*LEGAL_FORMS, "OHG", "KG", "GbR", "Einzelkaufmann", "Stiftung", "Sonstige"})
FORMS_OF_ADDRESS_KNOWN = frozenset({"Herr", "Herrn", "Frau", "Firma", "Eheleute", "Sonstige"})
TOWNS = {"30159": "Hannover", "01067": "Dresden", "50667": "Köln", "20095": "Hamburg", "80331": "München"}


@attrs.frozen
class Field:
    """One field that a client may send: W is writable, R is taken at POST and ignored by PUT."""

    name: str
    access: Literal["W", "R"] = "W"
    form: Literal["text", "date", "flag", "number", "object"] = "text"
    length: int = 80
    mapped: bool = True
    known: frozenset[str] = frozenset()


FIELDS = {
    field.name: field
    for field in (
        Field("name", length=100),
        Field("vorname"),
        Field("rechtsform", length=60, known=LEGAL_FORMS_KNOWN),
        Field("titel", length=40),
        Field("anrede", length=30, known=FORMS_OF_ADDRESS_KNOWN),
        Field("bAnrede", length=120),
        Field("zusatz"),
        Field("geburtsdatum", form="date"),
        Field("handelsRegisterNummer", "R", length=30),
        Field("registergericht", "R", length=60),
        Field("geburtsname", "R"),
        Field("familienstand", "R", length=30),
        Field("kurzname", "R", length=30),
        Field("art", "R", length=30),
        Field("bemerkung", length=500, mapped=False),
        Field("strasse", mapped=False),
        Field("plz", length=10, mapped=False),
        Field("ort", length=60, mapped=False),
        Field("land", length=3, mapped=False),
        Field("mandantSeit", form="date", mapped=False),
        Field("stundensatz", form="number", mapped=False),
        Field("rechnungPerPost", form="flag", mapped=False),
        Field("zusatzfelder", form="object", mapped=False),
    )
}
SERVER_FIELDS = ("betNr", "rowId", "geaendertAm", "geaendertVon", "angelegtAm", "angelegtVon")
CHILDREN = "kommunikation"
OTHER_CHILDREN = ("adressen", "bankverbindungen")
TWIN = "geburtsdatumTicks"
"""The birth date once more, as .NET counts; in a PUT it wins over the date."""
TICKS_PER_DAY = 864_000_000_000
KEYS = frozenset({*FIELDS, *SERVER_FIELDS, CHILDREN, *OTHER_CHILDREN, TWIN, "geloescht"})


@attrs.define
class Party:
    """One stored party; dates are kept as ``YYYY-MM-DD``, instants with their zone."""

    betnr: int
    values: dict[str, Any]
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    children: list[dict[str, Any]] = attrs.Factory(list)
    others: dict[str, list[dict[str, Any]]] = attrs.Factory(dict)  # by the names of OTHER_CHILDREN
    version: int = 0
    flagged_deleted: bool = False


def shown(party: Party, seed: int, switches: Switches, *, in_list: bool = False) -> dict[str, Any]:
    """The party as a reply has it: a new dict, in the order of the field table."""
    missing = switches["rowId.missing"]
    record: dict[str, Any] = {"betNr": party.betnr}
    if not (in_list and missing == "absent_in_list"):
        hidden = missing == "null_on_some_rows" and party.betnr % 5 == 0
        record["rowId"] = None if hidden else row_id(party, seed, switches)
    for field in FIELDS.values():
        value = _shown_value(field, party.values[field.name], switches)
        if value is not None or switches["null_style"] != "absent":
            record[field.name] = value
    if switches["redundant_twins"] == "twin_overrides":
        record[TWIN] = ticks_of(party.values["geburtsdatum"])
    if switches["child.in_parent_get"] != "none":
        record[CHILDREN] = shown_children(party, switches)
    if switches["child.in_parent_get"] == "all":
        record |= {name: copy.deepcopy(party.others.get(name, [])) for name in OTHER_CHILDREN}
    if switches["delete"] == "soft_flag":
        record["geloescht"] = party.flagged_deleted
    record["angelegtAm"] = stamp(party.created_at, switches)
    record["angelegtVon"] = party.created_by
    if switches["geaendertAm"] != "missing":
        record["geaendertAm"] = stamp(party.changed_at, switches)
    record["geaendertVon"] = party.changed_by
    return record


def shown_children(party: Party, switches: Switches) -> list[dict[str, Any]]:
    """The rows of ``kommunikation`` as a reply has them."""
    rows = copy.deepcopy(party.children)
    return [{**row, "kommKz": 0} for row in rows] if switches["child.kommKz_get"] == "0_always" else rows


def ticks_of(day: str | None) -> int:
    """Tenths of a microsecond since the year 1; 0 for no day."""
    return 0 if day is None else (date.fromisoformat(day).toordinal() - 1) * TICKS_PER_DAY


def day_of_ticks(ticks: int) -> str | None:
    """The day of so many ticks; none for 0."""
    return None if ticks <= 0 else date.fromordinal(ticks // TICKS_PER_DAY + 1).isoformat()


def _shown_value(field: Field, value: Any, switches: Switches) -> Any:
    if value is None:
        if field.form == "date" and switches["null_style"] == "0001-01-01":
            return NO_DATE
        return "" if field.form == "text" and switches["null_style"] == "empty" else None
    return f"{value}T00:00:00" if field.form == "date" else copy.deepcopy(value)


def stamp(instant: datetime, switches: Switches) -> str:
    """A time as Advoware writes it: local and without an offset, unless a switch says otherwise."""
    style = switches["geaendertAm"]
    local = instant.astimezone(UTC if style in ("naive_utc", "Z") else ZoneInfo(switches["server_tz"]))
    digits = int(switches["time.fraction_digits"])
    fraction = "." + f"{local.microsecond:06d}7"[:digits] if digits else ""
    return f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{'Z' if style == 'Z' else ''}"


def row_id(party: Party, seed: int, switches: Switches) -> str:
    """The rowId of the party's present version; the same for the same seed."""
    version = party.version % 2 if switches["rowId.reuse"] == "returns_to_old_value" else party.version
    return opaque_id(f"{seed}/{party.betnr}/{version}", switches["rowId.format"])


def opaque_id(source: str, form: str) -> str:
    """An id that tells nothing, in the chosen form, always the same for one source."""
    digest = hashlib.sha256(source.encode()).digest()[:20]
    if form == "base64":
        return base64.b64encode(digest[:-1] + b"\xff").decode()
    if form == "uuid":
        return str(uuid.UUID(bytes=digest[:16]))
    return "".join(chr(ord("A") + nibble) for byte in digest for nibble in (byte >> 4, byte & 15))


def values_of(person: SyntheticParty, rng: random.Random) -> dict[str, Any]:
    """A synthetic party in Advoware's fields; two thirds also have what no mapping knows."""
    company = person.kind == "company"
    values: dict[str, Any] = {
        "name": person.family_name,
        "vorname": person.given_name,
        "rechtsform": person.legal_form,
        "titel": person.title,
        "anrede": person.form_of_address,
        "bAnrede": person.letter_salutation,
        "zusatz": person.addition,
        "geburtsdatum": person.birth_date and f"{person.birth_date}T00:00:00",
        "handelsRegisterNummer": person.register_number,
        "registergericht": person.register_court,
        "geburtsname": None if company else rng.choice((None, None, "Beispiel")),
        "familienstand": None if company else rng.choice((None, "ledig", "verheiratet", "geschieden")),
        "kurzname": person.family_name[:20].upper(),
        "art": "Firma" if company else "Person",
    }
    if rng.random() < 2 / 3:
        plz, town = rng.choice(sorted(TOWNS.items()))
        values |= {
            "bemerkung": f"Altbestand, Karteikarte {rng.randint(1, 9999)}\nnur nachmittags erreichbar",
            "strasse": f"Beispielstraße {rng.randint(1, 99)}",
            "plz": plz,
            "ort": town,
            "land": "D",
            "mandantSeit": f"{rng.randint(1998, 2024)}-01-15T00:00:00",
            "stundensatz": rng.choice((180, 212.5, 250)),
            "rechnungPerPost": rng.choice((True, False)),
            "zusatzfelder": {
                "merkmale": ["Bestand", rng.choice(("A", "B"))],
                "herkunft": {"quelle": "Übernahme", "laufNr": rng.randint(1, 10**12)},
            },
        }
    return values


def pascal(value: Any) -> Any:
    """The value with every key, at any depth, beginning with a capital."""
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: pascal(inner) for key, inner in value.items()}
    return [pascal(inner) for inner in value] if isinstance(value, list) else value


def camel(value: Any) -> Any:
    """The value with every key, at any depth, beginning with a small letter."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: camel(inner) for key, inner in value.items()}
    return [camel(inner) for inner in value] if isinstance(value, list) else value
