"""What settles a field that both sides changed differently.

A strategy is any callable with the shape of ``ConflictStrategy``: a function will do, one
with parameters is a frozen class. These are the first of them; write your own beside them.
The same strategies settle the first contact of two records; the base is ``ABSENT`` then.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs

from bidisync.model import Conflict, Contested, Defer, Resolution, Side, Value
from bidisync.protocols import ConflictStrategy

_CODE = re.compile(r"[a-z0-9_:]{1,64}")


def is_code(reason: str) -> bool:
    """Whether a reason may be shown, logged and counted: it is a code, in which no sentence and no value fits."""
    return isinstance(reason, str) and _CODE.fullmatch(reason) is not None


def ask(conflict: Conflict) -> Resolution:
    """Leave it to a person."""
    return Defer("conflict")


@attrs.frozen
class Prefer:
    """One side wins."""

    side: Side

    def __str__(self) -> str:
        return f"prefer {self.side.value}"

    def __call__(self, conflict: Conflict) -> Resolution:
        return {name: contested.on(self.side) for name, contested in conflict.fields.items()}


prefer_left = Prefer(Side.LEFT)
"""The left side's value."""

prefer_right = Prefer(Side.RIGHT)
"""The right side's value."""


@attrs.frozen
class Newest:
    """The record that was changed later wins, if that can be known; else ``otherwise``.

    It can be known only where the clocks of both sides are trusted, somebody else than this
    sync wrote last, and the times are more than ``skew_s`` seconds apart.
    """

    skew_s: float = 5.0
    otherwise: ConflictStrategy = ask

    def __str__(self) -> str:
        return "newest"

    def __call__(self, conflict: Conflict) -> Resolution:
        left, right = conflict.left_modified_at, conflict.right_modified_at
        if left is None or right is None or abs(left - right) <= self.skew_s:
            return self.otherwise(conflict)
        return (prefer_left if left > right else prefer_right)(conflict)


@attrs.frozen
class Merge:
    """Lists are merged three-way: what either side added stays, what either removed goes.

    Single values can't be merged; ``otherwise`` says who wins then.
    """

    otherwise: ConflictStrategy = ask

    def __str__(self) -> str:
        return "merge"

    def __call__(self, conflict: Conflict) -> Resolution:
        return _field_by_field(conflict, _merged, self.otherwise)


@attrs.frozen
class Union:
    """Lists keep every item of both sides: nothing is ever removed. Single values: ``otherwise``."""

    otherwise: ConflictStrategy = ask

    def __str__(self) -> str:
        return "union"

    def __call__(self, conflict: Conflict) -> Resolution:
        return _field_by_field(conflict, _united, self.otherwise)


@attrs.frozen
class Longest:
    """The longer text or list wins, an empty field being the shortest; equally long: ``otherwise``."""

    otherwise: ConflictStrategy = ask

    def __str__(self) -> str:
        return "longest"

    def __call__(self, conflict: Conflict) -> Resolution:
        return _field_by_field(conflict, _longer, self.otherwise)


@attrs.frozen
class FillBlanks:
    """The filled value wins over an empty one; both filled: ``otherwise``."""

    otherwise: ConflictStrategy = ask

    def __str__(self) -> str:
        return "fill blanks"

    def __call__(self, conflict: Conflict) -> Resolution:
        return _field_by_field(conflict, _filled, self.otherwise)


fill_blanks = FillBlanks()
"""The value that is there where the other side has none; both filled and different: a person."""

_Merger = Callable[[Contested], Contested | tuple[Value]]


def _field_by_field(conflict: Conflict, settle: _Merger, otherwise: ConflictStrategy) -> Resolution:
    """Each field by ``settle``, which gives it back where it knows no answer; those go on to ``otherwise``."""
    settled: dict[str, Value] = {}
    rest: dict[str, Contested] = {}
    for name, contested in conflict.fields.items():
        answer = settle(contested)
        if isinstance(answer, Contested):
            rest[name] = answer
        else:
            settled[name] = answer[0]
    if rest:
        others = otherwise(attrs.evolve(conflict, fields=rest))
        if isinstance(others, Defer):
            return others
        settled.update(others)
    return settled


def _merged(contested: Contested) -> Contested | tuple[Value]:
    left, right = contested.left, contested.right
    if not (isinstance(left, tuple) and isinstance(right, tuple)):
        return contested
    base = contested.base if isinstance(contested.base, tuple) else ()
    gone = [item for item in base if item not in left or item not in right]
    kept = [item for item in left if item not in gone]
    return ((*kept, *(item for item in right if item not in gone and item not in kept)),)


def _united(contested: Contested) -> Contested | tuple[Value]:
    left, right = (() if value is None else value for value in (contested.left, contested.right))
    if not (isinstance(left, tuple) and isinstance(right, tuple)):
        return contested
    return ((*left, *(item for item in right if item not in left)),)


def _longer(contested: Contested) -> Contested | tuple[Value]:
    left, right = contested.left, contested.right
    sizes = [0 if v is None else len(v) if isinstance(v, str | tuple) else None for v in (left, right)]
    if None in sizes or sizes[0] == sizes[1]:
        return contested
    return (left if (sizes[0] or 0) > (sizes[1] or 0) else right,)


def _filled(contested: Contested) -> Contested | tuple[Value]:
    if contested.left is None:
        return (contested.right,)
    return (contested.left,) if contested.right is None else contested
