"""What every conflict strategy promises: run the check on yours."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import attrs

from bidisync.conflicts import is_code
from bidisync.model import ABSENT, Conflict, Contested, Defer, Resolution, Seen, Settled, Side, Value
from bidisync.protocols import ConflictStrategy
from bidisync.testing.broken import ALLOWED, Broken, broken, holds
from bidisync.values import is_value

VALUES: tuple[Value, ...] = (None, "", "a", "A", "ab", "b", 0, 1, 2.5, True, (), ("a",), ("a", "b"), ("b", "c"))
"""Values of every kind, among them an empty text, which is no empty field, and lists."""


def check_conflict_strategy(
    strategy: ConflictStrategy,
    *,
    values: Sequence[Value] = VALUES,
    invents: bool = False,
    cases: int = 2000,
    seed: int = 0,
) -> None:
    """Ask the strategy about many conflicts, and fail with the first law that it breaks.

    ``values`` are what the fields may hold. One that ``invents`` values may answer with what
    neither side held; all others choose, or merge lists. The same seed asks the same
    questions. Not to be awaited.
    """
    holds(callable(strategy), f"{type(strategy).__name__} is no strategy", "hand over a function of a Conflict")
    rng = random.Random(seed)
    for _ in range(cases):
        conflict = _conflict(rng, values)
        answer = _ask(strategy, conflict)
        holds(_ask(strategy, conflict) == answer, "the same conflict gets the same answer")
        if isinstance(answer, Defer):
            _says_why(answer)
            continue
        _answers_what_was_asked(conflict, answer)
        _is_stable(strategy, conflict, answer)
        if not invents:
            _chooses(conflict, answer)


def _conflict(rng: random.Random, values: Sequence[Value]) -> Conflict:
    names = ["one", "two", "three"][: rng.randint(1, 3)]
    fields = {}
    for name in names:
        base: Seen = rng.choice([ABSENT, *values])
        left = rng.choice(values)
        right = rng.choice([value for value in values if value != left])
        fields[name] = Contested(base, left, right)
    stamps = [rng.choice([None, 1000.0, 1003.0, 1060.0]) for _ in Side]
    return Conflict("group", fields, *stamps)


def _ask(strategy: ConflictStrategy, conflict: Conflict) -> Resolution:
    """The answer, if it is one; what the strategy raises is told by the kinds of values that it was asked about."""
    try:
        answer: object = strategy(conflict)
    except Exception as error:
        kinds = {type(one).__name__ for c in conflict.fields.values() for one in (c.left, c.right)}
        raise Broken(
            f"the strategy raises {type(error).__name__} for a conflict of {' and '.join(sorted(kinds))}",
            "answer for every value, None too, or Defer; or name in values what its fields may hold",
        ) from error
    if not isinstance(answer, Mapping | Defer):
        broken(
            f"the answer is {type(answer).__name__}: neither fields with their values nor a Defer",
            "a class was handed over, make one of it" if isinstance(strategy, type) else "answer {name: value, …}",
        )
    return answer


def _says_why(answer: Defer) -> None:
    holds(answer.reason, "an answer that defers says why")
    holds(
        is_code(answer.reason),
        "the reason of a Defer is no code",
        "write it in small letters, digits, _ and : alone, and never a value into it: it is shown, logged and counted",
    )


def _answers_what_was_asked(conflict: Conflict, answer: Settled) -> None:
    holds(set(answer) == set(conflict.fields), "every field of the conflict is answered, and no other")
    for name, value in answer.items():
        holds(_seen(value) is not ABSENT, "an answer is never ABSENT")
        kind = type(value).__name__
        holds(is_value(value), f"the answer for {name!r} is {kind}, which is no value", f"answer with {ALLOWED}")


def _seen(value: Seen) -> Seen:
    return value


def _is_stable(strategy: ConflictStrategy, conflict: Conflict, answer: Settled) -> None:
    """A crash between two writes is healed by asking again: with the answer on one side it must stay the answer."""
    for side in Side:
        half = {
            name: _written(contested, side, answer[name])
            for name, contested in conflict.fields.items()
            if answer[name] != contested.on(side.other)
        }
        if not half:
            continue
        again = _ask(strategy, attrs.evolve(conflict, fields=half))
        if isinstance(again, Defer):
            broken("asked again with its own answer on one side, it must not defer")
        holds(all(again[name] == answer[name] for name in half), "asked again with its own answer, it answers the same")


def _written(contested: Contested, side: Side, value: Value) -> Contested:
    return attrs.evolve(contested, left=value) if side is Side.LEFT else attrs.evolve(contested, right=value)


def _chooses(conflict: Conflict, answer: Settled) -> None:
    for name, contested in conflict.fields.items():
        value, known = answer[name], (contested.base, contested.left, contested.right)
        if isinstance(value, tuple):
            items = {item for one in known if isinstance(one, tuple) for item in one}
            holds(value in known or set(value) <= items, "a merged list holds items of the three versions alone")
        else:
            holds(value in known, "the answer is one of the three versions")
