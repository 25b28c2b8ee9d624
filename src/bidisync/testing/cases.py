"""Hypothesis strategies: schemas, policies, records, and what people make of them.

Needs hypothesis. Everything generated is valid; what is rare in practice is not rare here.
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st

from bidisync.conflicts import (
    FillBlanks,
    Longest,
    Merge,
    Newest,
    Union,
    ask,
    fill_blanks,
    prefer_left,
    prefer_right,
)
from bidisync.model import ABSENT, Seen, Side, Value
from bidisync.protocols import ConflictStrategy
from bidisync.schema import Drift, Field, Group, Owner, Policy, exact
from bidisync.state import Agreement


def folded(value: Value) -> Value:
    """The key of generated fields that compare case aside."""
    return value.casefold() if isinstance(value, str) else value


def values() -> st.SearchStrategy[Value]:
    """A few texts, two of them spellings of one, numbers, lists, and the empty field."""
    lists: tuple[Value, ...] = (("p",), ("p", "q"), ("q", "r"))
    return st.sampled_from((None, None, "x", "X", "y", "longer", 7, *lists))


def strategies() -> st.SearchStrategy[ConflictStrategy]:
    """Every strategy that is shipped, plain and with another one behind it."""
    plain: tuple[ConflictStrategy, ...] = (ask, prefer_left, prefer_right, fill_blanks)
    chained = [kind(otherwise=one) for kind in (Newest, Merge, Union, Longest, FillBlanks) for one in plain]
    return st.sampled_from([*plain, *chained])


@st.composite
def owners(draw: st.DrawFn) -> Owner:
    """A side that owns a field, and what becomes of drift."""
    return Owner(draw(st.sampled_from(list(Side))), draw(st.sampled_from(list(Drift))))


@st.composite
def policies(draw: st.DrawFn, *, groups: dict[str, Any] | None = None, fields: dict[str, Any] | None = None) -> Policy:
    """A schema of one to seven fields in one to four groups; the arguments fix what is not to vary."""
    names = [f"g{n}" for n in range(draw(st.integers(1, 4)))]
    made = []
    for name in names:
        unit = draw(st.booleans())
        free: dict[str, Any] = {
            "strategy": draw(strategies()),
            "initial": draw(strategies()),
            "unit": unit,
            "allow_clear": draw(st.booleans()),
            "owner": draw(st.none() | st.none() | owners()),
        }
        made.append(Group(name, **{**free, **(groups or {})}))
    units = {group.name for group in made if group.unit}
    placed = []
    for number in range(draw(st.integers(1, 7))):
        group = draw(st.sampled_from(names))
        own = group not in units and draw(st.integers(0, 3)) == 0
        free = {
            "key": draw(st.sampled_from([folded, folded, exact])),
            "required": draw(st.integers(0, 5)) == 0,
            "create_only": frozenset(draw(st.sampled_from([(), (), (Side.RIGHT,)]))),
            "read_only": frozenset(draw(st.sampled_from([(), (), (), (Side.LEFT,)]))),
            "strategy": draw(strategies()) if own else None,
            "owner": draw(st.none() | owners()) if own else None,
        }
        placed.append(Field(f"f{number}", group, **{**free, **(fields or {})}))
    return Policy(placed, made)


@attrs.frozen
class Moment:
    """A record at one moment: what was agreed on, and what both sides hold."""

    base: dict[str, Agreement]
    left: dict[str, Seen]
    right: dict[str, Seen]


@st.composite
def moments(draw: st.DrawFn, policy: Policy, *, absent: bool = True) -> Moment:
    """A base that both sides once had, in their own spellings, and what each made of it since."""
    base: dict[str, Agreement] = {}
    left: dict[str, Seen] = {}
    right: dict[str, Seen] = {}
    for field in policy.fields:
        name, common = field.name, draw(values())
        other = draw(st.sampled_from([common, common, common, _respelled(common)])) if field.key is folded else common
        if draw(st.integers(0, 9)) > 0:
            base[name] = Agreement(common, other)
        left[name] = draw(st.one_of(st.just(common), st.just(common), values()))
        right[name] = draw(st.one_of(st.just(other), st.just(other), values()))
        if absent and draw(st.integers(0, 15)) == 0:
            (left if draw(st.booleans()) else right)[name] = ABSENT
    return Moment(base, left, right)


@st.composite
def situations(draw: st.DrawFn, /, **fixed: Any) -> tuple[Policy, Moment]:
    """A policy and a record under it."""
    policy = draw(policies(**fixed))
    return policy, draw(moments(policy))


def _respelled(value: Value) -> Value:
    return value.swapcase() if isinstance(value, str) else value


@st.composite
def records(draw: st.DrawFn, policy: Policy) -> dict[str, Value]:
    """A record under this policy: what is required is filled in."""
    full = values().filter(lambda value: value is not None)
    return {field.name: draw(full if field.required else values()) for field in policy.fields}


@attrs.frozen
class Edit:
    """What one person does to one record: change fields, make it, or (with ``fields`` of ``None``) delete it.

    ``record`` counts the records in the order in which they were made.
    """

    side: Side
    record: int
    fields: dict[str, Value] | None


@st.composite
def edits(draw: st.DrawFn, policy: Policy, *, most: int = 8, deletes: bool = False) -> list[Edit]:
    """What people do on both sides: the first edit of each number makes that record."""
    made = 0
    found: list[Edit] = []
    for _ in range(draw(st.integers(1, most))):
        side, number = draw(st.sampled_from(list(Side))), draw(st.integers(0, made))
        if number == made:
            found.append(Edit(side, number, draw(records(policy))))
            made += 1
        elif deletes and draw(st.integers(0, 9)) == 0:
            found.append(Edit(side, number, None))
        else:
            field = draw(st.sampled_from(policy.fields))
            full = values().filter(lambda value: value is not None)
            found.append(Edit(side, number, {field.name: draw(full if field.required else values())}))
    return found
