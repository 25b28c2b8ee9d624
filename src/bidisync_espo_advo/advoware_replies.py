"""What Advoware's replies look like: parties and lists in every shape that was ever seen, and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import attrs

from bidisync.model import ABSENT, Seen
from bidisync_espo_advo.transport import Response

KEY, VERSION = "betNr", "rowId"
LONGEST = 18
"""Digits that a number may have."""
TWIN = "Ticks"
"""How a field is called that says once more what another one says, and wins over it in a PUT."""


@attrs.frozen
class Resource:
    """A collection of Advoware's: where it lies, what its records' numbers are called, and what may be done there."""

    path: str = "Beteiligte"
    key: str = KEY
    creates: bool = True
    updates: bool = True


PARTIES = Resource()


def value_of(value: object) -> Seen:
    """A native value as it is; what is no single value stays in the native record alone."""
    return value if value is None or isinstance(value, str | int | float | bool) else ABSENT


def one_party(document: object, key: str = KEY) -> dict[str, object] | None:
    """A party, or another record with such a key, that comes as an object or as a list of one."""
    if isinstance(document, list):
        document = document[0] if len(document) == 1 else None
    return cast(dict[str, object], document) if isinstance(document, dict) and number_of(camel(document), key) else None


def camel(native: Mapping[str, object]) -> dict[str, object]:
    """The same party with names that begin with a small letter, as the mapping has them."""
    return {name[:1].lower() + name[1:]: value for name, value in native.items()}


def about_a_party(response: Response, key: str = KEY) -> bool:
    """Whether a reply is one about parties at all: not an error page, nor an error in a reply of success."""
    if not response.body.strip():
        return True
    try:
        document = response.json()
    except ValueError:
        return False
    if isinstance(document, dict):
        return bool({key, VERSION} & set(camel(document)))
    return isinstance(document, list | int) and not isinstance(document, bool)


def a_list(response: Response) -> bool:
    """Whether a reply is a list of parties, in any shape."""
    try:
        return rows_of(response.json()) is not None
    except ValueError:
        return False


def rows_of(document: object) -> list[dict[str, object]] | None:
    """The rows of a list in any of its shapes."""
    if isinstance(document, dict):
        small = camel(document)
        document = small.get("data", small.get("value"))
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        return None
    return document


def number_of(party: Mapping[str, object] | None, key: str = KEY) -> str | None:
    """The number of a party, with names as the mapping has them; nothing if it has none."""
    number = None if party is None else party.get(key)
    return str(number) if type(number) is int and 0 < number < 10**LONGEST else None


def bare_number(document: object) -> str | None:
    """The number that a reply is, where it is one and nothing else."""
    if isinstance(document, bool) or not isinstance(document, int | str):
        return None
    return _digits(str(document).strip())


def located(response: Response) -> str | None:
    """The number at the end of the address of what was made."""
    tail = response.headers.get("location", "").rstrip("/").rpartition("/")[2]
    return _digits(tail)


def _digits(text: str) -> str | None:
    """A number as a key is written, and nothing else that Python takes for one."""
    return text if text.isascii() and text.isdigit() and len(text) <= LONGEST and int(text) > 0 else None


def total_of(document: object) -> int | None:
    """How many parties there are, where a list says so."""
    total = camel(document).get("total") if isinstance(document, dict) else None
    return total if type(total) is int else None


def without_twins(native: Mapping[str, object]) -> dict[str, object]:
    """The party without the fields that only repeat another one: sent along, they would win over it."""
    fields = set(camel(native))
    return {
        name: value
        for name, value in native.items()
        if not (name.endswith(TWIN) and name[:1].lower() + name[1 : -len(TWIN)] in fields)
    }
