"""Looks for texts that must not be there, in every spelling in which they might have got out."""

from __future__ import annotations

import base64
import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import attrs

LEAST = 6
"""Shorter texts are in everything by chance."""

PERSONAL = (
    *("lastName", "firstName", "name", "vorname", "zusatz", "geburtsname", "kurzname", "briefanrede", "bAnrede"),
    *("dateOfBirth", "geburtsdatum", "handelsregisterNummer", "handelsRegisterNummer"),
)


def values_of(records: Iterable[Mapping[str, Any]]) -> set[str]:
    """What tells somebody from others in these records of a simulator."""
    return {
        text.removesuffix("T00:00:00")
        for record in records
        for name in PERSONAL
        if isinstance(text := record.get(name), str) and len(text) >= LEAST
    }


@attrs.frozen
class Forms:
    """The spellings of one text: some are searched for without regard to the case of ASCII letters."""

    folded: Mapping[bytes, str]
    exact: Mapping[bytes, str]


@lru_cache(maxsize=20_000)
def forms(text: str) -> Forms:
    """Every spelling of a text that is looked for, with its name."""
    folded: dict[bytes, str] = {}
    exact: dict[bytes, str] = {}
    for said in dict.fromkeys(_said(text)):
        for name, spell in _SPELLINGS.items():
            folded.setdefault(spell(said).lower(), name)
        for name, raw in _raw(said):
            folded.setdefault(raw.lower(), name)
            folded.setdefault(raw.hex().encode(), f"hex of {name}")
            for pattern in _in_base64(raw) if name in ("utf-8", "utf-16-le") else ():
                exact.setdefault(pattern, f"base64 of {name}")
                exact.setdefault(pattern.replace(b"+", b"-").replace(b"/", b"_"), f"URL-safe base64 of {name}")
    return Forms(folded, exact)


def _said(text: str) -> Iterator[str]:
    """The text in every case, composed and decomposed."""
    for cased in (text, text.upper(), text.lower(), text.casefold(), text[::-1]):
        for form in ("NFC", "NFD"):
            yield unicodedata.normalize(form, cased)


def _raw(text: str) -> Iterator[tuple[str, bytes]]:
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "latin-1"):
        try:
            yield encoding, text.encode(encoding)
        except UnicodeEncodeError:
            continue


_SPELLINGS: Mapping[str, Callable[[str], bytes]] = {
    "percent": lambda text: quote(text, safe="").encode(),
    "path": lambda text: quote(text).encode(),
    "form": lambda text: quote_plus(text).encode(),
    "JSON": lambda text: json.dumps(text)[1:-1].encode(),
    "JSON within JSON": lambda text: json.dumps(json.dumps(text))[3:-3].encode(),
    "Python": lambda text: text.encode("unicode_escape"),
    "bytes in Python": lambda text: repr(text.encode())[2:-1].encode(),
    "HTML": lambda text: html.escape(text).encode(),
    "XML": lambda text: text.encode("ascii", "xmlcharrefreplace"),
    "quoted-printable": lambda text: quote(text, safe=" -'./&,").replace("%", "=").encode(),
}


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """What base64 of anything that contains these bytes must contain, wherever they begin in it."""
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw)
        start = (0, 2, 3)[shift]
        ends = (shift + len(raw)) % 3
        yield coded[start : len(coded) - (0, 3, 2)[ends]]


def leaks(texts: Iterable[str], places: Mapping[str, bytes]) -> list[str]:
    """Where which of these texts is found, and how it is spelt there; empty if all is well."""
    wanted = [(text, forms(text)) for text in sorted(set(texts)) if len(text) >= LEAST]
    return [hit for place, blob in places.items() for hit in dict.fromkeys(_hits(wanted, place, blob))]


PIECE = 1 << 20
LONGEST = 4096
GRAM = 6


def _hits(wanted: list[tuple[str, Forms]], place: str, blob: bytes) -> Iterator[str]:
    """The hits in one place, looked through in pieces that overlap, so that a large file costs little memory."""
    for at in range(0, max(1, len(blob)), PIECE):
        piece = blob[at : at + PIECE + LONGEST]
        folded = piece.lower()
        grams = [_grams(part) if len(wanted) > 20 else None for part in (folded, piece)]
        for text, spelt in wanted:
            for part, patterns, known in ((folded, spelt.folded, grams[0]), (piece, spelt.exact, grams[1])):
                name = next((name for pattern, name in patterns.items() if _stands(pattern, part, piece, known)), None)
                if name is not None:
                    yield f"{place}: {text!r} as {name}"


def _grams(part: bytes) -> set[bytes]:
    return {part[at : at + GRAM] for at in range(len(part) - GRAM + 1)}


def _stands(pattern: bytes, part: bytes, piece: bytes, known: set[bytes] | None) -> bool:
    if known is not None and pattern[:GRAM] not in known:
        return False
    at = part.find(pattern)
    if at < 0 or not _SHORT.fullmatch(pattern):
        return at >= 0
    while at >= 0:
        if _as_people_write(piece[at : at + len(pattern)]):
            return True
        at = part.find(pattern, at + 1)
    return False


_SHORT = re.compile(rb"[a-z]{1,8}")
"""So few letters stand by chance in the base64 of what is encrypted, if their case is not looked at: once in
some ten megabytes. Written by somebody, they are all small, all large, or begin or end with a large one."""


def _as_people_write(letters: bytes) -> bool:
    small = (letters.lower(), letters.upper(), letters.capitalize())
    return letters in small or letters[::-1] == letters[::-1].capitalize()


def files(folder: Path, *but: str) -> dict[str, bytes]:
    """What the files below a folder hold, by name; without those named."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in but
    }
