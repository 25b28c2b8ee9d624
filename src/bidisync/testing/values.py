"""What a field may hold: text, number, truth value, nothing, or a tuple of those."""

from __future__ import annotations

from typing import TypeGuard

from bidisync.model import Value

ALLOWED = "text, number, truth value, None or a tuple of those"


def is_value(thing: object) -> TypeGuard[Value]:
    """Whether a field may hold this."""
    if isinstance(thing, tuple):
        return all(map(is_value, thing))
    return thing is None or isinstance(thing, str | int | float)


def as_value(thing: object) -> object:
    """Lists as the tuples that they become in a record; anything else as it is."""
    return tuple(map(as_value, thing)) if isinstance(thing, list | tuple) else thing
