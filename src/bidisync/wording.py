"""What a value says of itself is the same at every start.

The text of a set is in another order in each process, and so is the text of whatever holds one.
Here sets are told in order; what holds none says of itself what it always says.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import fields as fields_of_dataclass
from dataclasses import is_dataclass
from types import MappingProxyType

import attrs


def worded(value: object) -> str:
    """What a value says of itself; field by field where it holds a set."""
    return _in_order(value) if _holds_a_set(value) else str(value)


def _holds_a_set(value: object, within: tuple[int, ...] = ()) -> bool:
    if isinstance(value, set | frozenset):
        return True
    inner = (*within, id(value))
    return id(value) not in within and any(_holds_a_set(part, inner) for _, part in _parts(value))


def _in_order(value: object, within: tuple[int, ...] = ()) -> str:
    """The value in words that are made here; ``…`` for what it is itself a part of."""
    if id(value) in within:
        return "…"
    inner = (*within, id(value))
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(_in_order(item, inner) for item in value)) + "}"
    parts = _parts(value)
    if parts:
        return f"{type(value).__qualname__}({', '.join(name + _in_order(part, inner) for name, part in parts)})"
    name = getattr(value, "__name__", None)
    return name if isinstance(name, str) else repr(value)


def _parts(value: object) -> Sequence[tuple[str, object]]:
    """What a value consists of, each with its name if it has one."""
    if isinstance(value, list | tuple):
        return [("", item) for item in value]
    if isinstance(value, dict | MappingProxyType):
        return [("", item) for item in value.items()]
    if isinstance(value, functools.partial):
        return [("", part) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, type):
        return []
    kind, names = type(value), list[str]()
    if attrs.has(kind):
        names = [field.name for field in attrs.fields(kind) if field.repr]
    elif is_dataclass(value):
        names = [field.name for field in fields_of_dataclass(value) if field.repr]
    return [(f"{name}=", getattr(value, name, None)) for name in names]
