"""What settles a field that both sides changed differently.

A strategy is any callable with the shape of ``ConflictStrategy``: a function will do, one
with parameters is a frozen class. These are the first of them; write your own beside them.
"""

from __future__ import annotations

import attrs

from bidisync.model import Conflict, Contested, Defer, Resolution, Side, Value
from bidisync.protocols import ConflictStrategy


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
prefer_right = Prefer(Side.RIGHT)


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
        settled: dict[str, Value] = {}
        rest: dict[str, Contested] = {}
        for name, contested in conflict.fields.items():
            base, left, right = contested.base, contested.left, contested.right
            if isinstance(left, tuple) and isinstance(right, tuple):
                settled[name] = _merge_lists(base if isinstance(base, tuple) else (), left, right)
            else:
                rest[name] = contested
        if rest:
            answer = self.otherwise(attrs.evolve(conflict, fields=rest))
            if isinstance(answer, Defer):
                return answer
            settled.update(answer)
        return settled


def _merge_lists(base: tuple[object, ...], left: tuple[object, ...], right: tuple[object, ...]) -> tuple[object, ...]:
    gone = [item for item in base if item not in left or item not in right]
    kept = [item for item in left if item not in gone]
    return (*kept, *(item for item in right if item not in gone and item not in kept))
