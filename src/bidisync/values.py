"""What a field of a record may hold: text, numbers, truth values, nothing, and tuples of these.

Such values are compared, stored and read back as they were. Anything else is told by its field
and its type, and never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from bidisync.model import ABSENT, Seen, Value

PLAIN: Final = frozenset({str, int, float, bool, type(None)})
"""Types of which every object is a value as it is."""
SEEN: Final = PLAIN | {type(ABSENT)}
"""The same, and the type of what was not delivered."""


def value_of(found: object) -> Value:
    """The value that was found, with lists as tuples; ``TypeError`` names the type of what is none."""
    if found is None or isinstance(found, str | int | float):
        return found
    if isinstance(found, list | tuple):
        return tuple([value_of(item) for item in found])
    raise TypeError(type(found).__name__)


def is_value(found: object) -> bool:
    """Whether it is a value as it is."""
    if isinstance(found, tuple):
        return all(map(is_value, found))
    return found is None or isinstance(found, str | int | float)


@attrs.frozen
class Unread:
    """What fields hold that is no value: its type by field, and the thing itself for a mapper that can read it."""

    kinds: Mapping[str, str]
    found: Mapping[str, object] = attrs.field(repr=False, eq=False)


def read(found: Mapping[str, object]) -> tuple[dict[str, Seen], Unread | None]:
    """The fields of a record, with ``ABSENT`` for those that hold no value, and what these hold."""
    fields: dict[str, Seen] = {}
    kinds: dict[str, str] = {}
    for name, one in found.items():
        try:
            fields[name] = ABSENT if one is ABSENT else value_of(one)
        except TypeError as error:
            fields[name], kinds[name] = ABSENT, str(error)
    return fields, Unread(kinds, {name: found[name] for name in kinds}) if kinds else None
