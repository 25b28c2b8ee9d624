"""How dates, names and addresses are written in German law firms, and what they mean.

For mappings of one's own: each function reads a spelling and gives the shared form. Nothing
here guesses, and nothing that is not understood is dropped.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Literal

import attrs

from bidisync.clock import local_seconds, utc_text
from bidisync.errors import Unmappable
from bidisync.mapping import CodeTable
from bidisync.model import Value

_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_GERMAN_DAY = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})$")


def day(native: object) -> Value:
    """The day of a date, ``YYYY-MM-DD``, whatever time is glued to it; the year 1 means no date."""
    if not isinstance(native, str):
        raise Unmappable("expected a date")
    text = native.strip()
    if not text or text.startswith("0001-01-01"):
        return None
    if (german := _GERMAN_DAY.match(text)) is not None:
        dd, mm, yyyy = german.groups()
        text = f"{yyyy}-{mm:0>2}-{dd:0>2}"
    match = _DAY.match(text)
    if match is None:
        raise Unmappable("expected a date as YYYY-MM-DD")
    try:
        return date(*map(int, match.groups())).isoformat()
    except ValueError as error:
        raise Unmappable("this day does not exist") from error


def instant(text: str, zone: str = "Europe/Berlin") -> tuple[str, Literal["ok", "ambiguous", "nonexistent"]]:
    """A local time as UTC (``YYYY-MM-DD HH:MM:SS``), and whether that hour was there once, twice or never.

    An offset in the text wins over ``zone``. ``Unmappable`` for what is no ISO 8601 time.
    """
    try:
        local = local_seconds(text, zone)
    except ValueError as error:
        raise Unmappable("expected a time as YYYY-MM-DDTHH:MM:SS") from error
    return utc_text(local.at), local.kind


SALUTATION = CodeTable(
    "salutation",
    {
        "Herr": ("Herr", "Herrn", "Hr.", "Mr."),
        "Frau": ("Frau", "Fr.", "Mrs.", "Ms.", "Miss"),
        "divers": ("divers", "d", "Mx."),
        "Eheleute": ("Eheleute", "Ehepaar", "Familie"),
    },
)
"""Forms of address in the two systems; the accusative of the address block is the same one."""

_GENDERS = {"Herr": ("m", "Herr"), "Frau": ("w", "Frau"), "divers": ("d", None), "Eheleute": ("multi", "Eheleute")}


def salutation(text: str | None) -> tuple[str, str | None]:
    """A gender (``m``, ``w``, ``d``, ``multi``; ``u`` for nothing, ``?`` for unknown) and the form of address.

    Never guessed from a first name; an unknown form is kept.
    """
    if text is None or not text.strip():
        return "u", None
    meaning = SALUTATION.meaning(text)
    return ("?", text) if meaning is None else _GENDERS[meaning]


LEGAL_FORM = CodeTable(
    "legal form",
    {
        form: (form, *others)
        for form, *others in (
            ("AG",),
            ("AG & Co. KG",),
            ("e. K.", "eK", "e.Kfm.", "e.Kfr."),
            ("eG",),
            ("eGbR",),
            ("e. V.", "eV"),
            ("GbR",),
            ("gGmbH",),
            ("GmbH",),
            ("GmbH & Co. KG", "GmbH u. Co. KG", "GmbH und Co. KG"),
            ("GmbH & Co. KGaA",),
            ("KG",),
            ("KGaA",),
            ("OHG",),
            ("PartG",),
            ("PartG mbB", "PartGmbB"),
            ("SE",),
            ("Stiftung",),
            ("UG (haftungsbeschränkt)", "UG", "UG haftungsbeschränkt"),
            ("UG (haftungsbeschränkt) & Co. KG", "UG & Co. KG"),
        )
    },
)
"""Legal forms of companies; spaces and case aside."""

_TITLE = re.compile(
    r"(?:(?:Prof|Dr|Dipl|Mag|Lic|PD|Priv)\b\.?(?:[- ]?(?:Ing|Jur|Kfm|Doz)\b\.?)?"
    r"|h\. ?c\.|e\. ?h\.|mult\.|habil\."
    r"|(?:jur|iur|med|phil|rer|nat|pol|oec|theol|vet|dent|ing)\.)\s*",
    re.IGNORECASE,
)


def split_title(text: str) -> tuple[str | None, str]:
    """Academic titles before a first name, as they are written, and the rest."""
    end = 0
    while (match := _TITLE.match(text, end)) is not None and match.end() > end:
        end = match.end()
    title = text[:end].strip()
    return title or None, text[end:].strip()


def postcode(text: str, country: str = "DE") -> str:
    """A postcode without a country prefix; a German one with the zeros that a number loses."""
    bare = re.sub(r"^[A-Z]{1,3}[- ]\s*", "", text.strip().upper())
    return bare.zfill(5) if country == "DE" and bare.isdigit() else bare


@attrs.frozen
class RegisterEntry:
    """An entry in a German register: only kind, number and court together name one company."""

    kind: str
    number: str
    court: str | None


_ENTRY = re.compile(r"\b(HRA|HRB|GnR|GsR|PR|VR)\s*(\d+(?:\s?[A-Z]{1,2})?)\b", re.IGNORECASE)
_KINDS = {kind.casefold(): kind for kind in ("HRA", "HRB", "GnR", "GsR", "PR", "VR")}


def register_entry(text: str) -> RegisterEntry:
    """The parts of an entry such as ``Amtsgericht Hannover HRB 12345``; ``Unmappable`` without kind and number."""
    match = _ENTRY.search(text)
    if match is None:
        raise Unmappable("expected an entry such as 'Amtsgericht Hannover HRB 12345'")
    rest = f"{text[: match.start()]} {text[match.end() :]}"
    court = re.sub(r"\b(?:Amtsgericht|Registergericht|AG)\b", " ", rest)
    court = " ".join(re.sub(r"^[\s,;:()]+|[\s,;:()]+$", "", court).split())
    return RegisterEntry(_KINDS[match[1].casefold()], " ".join(match[2].upper().split()), court or None)
