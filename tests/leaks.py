"""Looks for texts that must not be there, in every spelling in which they might have got out."""

from __future__ import annotations

import base64
import html
import json
import logging
import os
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
    found = []
    wanted = [(text, forms(text)) for text in sorted(set(texts)) if len(text) >= LEAST]
    for place, blob in places.items():
        folded = blob.lower()
        for text, spelt in wanted:
            for blob_, patterns in ((folded, spelt.folded), (blob, spelt.exact)):
                name = next((name for pattern, name in patterns.items() if pattern in blob_), None)
                if name is not None:
                    found.append(f"{place}: {text!r} as {name}")
    return found


def files(folder: Path, *but: str) -> dict[str, bytes]:
    """What the files below a folder hold, by name; without those named."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in but
    }


class Watch(logging.Handler):
    """Keeps, during one test, what must not get out and what was said: ``python3 dev leaks`` compares them.

    Simulators hand in the values of their people and the secrets that reach them; commands
    what they printed to somebody who did not ask for values; loggers every line.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.on = os.environ.get("BIDISYNC_LEAKS") == "1"
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.secret: set[str] = set()
        self.said: dict[str, bytes] = {}

    def keep(self, records: Iterable[Mapping[str, Any]], tables: Mapping[str, Mapping[str, Any]]) -> None:
        """Take on the people of a simulator, and the secrets in a configuration."""
        if self.on:
            self.secret |= values_of(records)
            self.secret |= {
                value
                for table in tables.values()
                for key in ("api_key", "secret_key", "password", "encryption_key", "token")
                if isinstance(value := table.get(key), str)
            }

    def hear(self, who: str, text: str | bytes) -> None:
        """Take down what was said."""
        if self.on:
            said = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
            self.said[who] = self.said.get(who, b"") + said

    def emit(self, record: logging.LogRecord) -> None:
        """Take down a line of a log, with everything that came with it."""
        self.hear(f"the log {record.name}", f"{self.format(record)} {record.__dict__}\n")

    def leaked(self) -> list[str]:
        """What got out."""
        return leaks(self.secret, self.said)


WATCH = Watch()
