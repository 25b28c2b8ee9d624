"""What every change detector promises: run it on yours.

The check plays a system that moves its token and its time stamp with every edit, sometimes
without one, whose clock may be behind ours, and whose stamps are coarse: what a detector may
not be fooled by.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import attrs

from bidisync.model import ABSENT, Change, Key, Seen, Snapshot, Value
from bidisync.protocols import ChangeDetector
from bidisync.schema import alike, exact
from bidisync.state import Shadow
from bidisync.testing.broken import broken, holds

NAMES = ("one", "two", "three")
VALUES: tuple[Value, ...] = (None, "", "a", "A", "b", 0, 1, 2.5, True, ("p",), ("p", "q"))


@attrs.frozen(kw_only=True)
class _Look:
    """A shadow, the snapshot of a later look, and what really moved between."""

    shadow: Shadow
    snapshot: Snapshot
    moved: frozenset[str]


def check_detector(
    detector: ChangeDetector,
    *,
    keys: Mapping[str, Key] | None = None,
    always_knows: bool = False,
    resolution_s: float = 1.0,
    skew_s: float = 2.0,
    cases: int = 2000,
    seed: int = 0,
) -> None:
    """Show the detector many looks at one record, and fail with the first promise that it breaks.

    The record has the fields ``one``, ``two`` and ``three``; ``keys`` are those by which the
    detector compares them. One that ``always_knows`` never answers ``None``. Time stamps are
    as coarse as ``resolution_s`` and up to ``skew_s`` behind. The same seed asks the same.
    """
    rng = random.Random(seed)
    by = {**dict.fromkeys(NAMES, exact), **(keys or {})}
    for _ in range(cases):
        look = _look(rng, by, resolution_s, skew_s)
        before = dict(look.shadow.fields), dict(look.snapshot.fields)
        answer = detector(look.shadow, look.snapshot)
        now = dict(look.shadow.fields), dict(look.snapshot.fields)
        holds(before == now, "the detector changes what it is shown", "it is pure: make new values")
        again = detector(look.shadow, look.snapshot)
        holds(again == answer, "the same look is answered in two ways", "keep nothing between two looks")
        if answer is None:
            fault = "a detector that always knows answers None"
            holds(not always_knows, fault, "answer a Change in every case, or put one behind it that does")
            continue
        _fits(look, answer)


def _fits(look: _Look, answer: Change) -> None:
    if not isinstance(answer, Change):
        broken(f"the answer is {type(answer).__name__} and no Change", "answer Change(snapshot, fields), or None")
    holds(answer.snapshot is look.snapshot, "the answer is about another snapshot", "hand on the one that was given")
    absent = {name for name in answer.fields if look.snapshot.fields.get(name, ABSENT) is ABSENT}
    absent -= look.snapshot.unreadable | look.shadow.unreadable
    holds(not absent, "a field that was not delivered counts as a change", "leave out what is ABSENT in the snapshot")
    missed = look.moved - answer.fields
    holds(
        not missed,
        f"the change of a field is missed ({_why(look)})",
        "answer None where an equal token or time stamp proves nothing, so that the next detector looks at the values",
    )
    invented = answer.fields - look.moved
    holds(
        not invented,
        "a difference in spelling, or none at all, counts as a change",
        "compare by the field's key: a false change is written to the other side",
    )


def _why(look: _Look) -> str:
    """Under which circumstance a change was missed."""
    if look.snapshot.modified_at is not None and look.snapshot.modified_at == look.shadow.modified_at:
        return "its time stamp is the same: the edit came soon after the look"
    if look.snapshot.unreadable != look.shadow.unreadable:
        return "it can't be read any more, or again"
    return "there is no version" if look.snapshot.version is None else "the values differ"


def _look(rng: random.Random, keys: Mapping[str, Key], resolution_s: float, skew_s: float) -> _Look:
    was: dict[str, Seen] = {name: rng.choice(VALUES) for name in NAMES}
    shown, edited = dict(was), rng.random() < 0.6
    unreadable_was = unreadable = frozenset(name for name in NAMES if rng.random() < 0.05)
    if edited:
        shown |= {name: rng.choice(VALUES) for name in NAMES if rng.random() < 0.5}
        unreadable = frozenset(name for name in NAMES if rng.random() < 0.1)
    was |= dict.fromkeys(unreadable_was, ABSENT)
    shown |= dict.fromkeys(unreadable, ABSENT)
    differs = shown != was or unreadable != unreadable_was
    shown |= {name: ABSENT for name in NAMES if rng.random() < 0.1}
    moved = {n for n in NAMES if shown[n] is not ABSENT and not alike(keys[n], shown[n], was[n])}
    shadow, snapshot = _stamped(rng, differs, resolution_s, skew_s)
    return _Look(
        shadow=attrs.evolve(shadow, fields=was, unreadable=unreadable_was),
        snapshot=attrs.evolve(snapshot, fields=shown, unreadable=unreadable),
        moved=frozenset(moved | (unreadable ^ unreadable_was)),
    )


def _stamped(rng: random.Random, differs: bool, resolution_s: float, skew_s: float) -> tuple[Shadow, Snapshot]:
    """Tokens and times of a record that was edited between two looks, or was not."""
    behind = rng.choice((0.0, skew_s))
    edited_at = 1_700_000_000.0 + rng.random() * 100
    seen_at = edited_at + rng.choice((0.0, 0.3, 0.9, 2.0, 60.0)) * resolution_s
    again_at = seen_at + rng.choice((0.05, 0.5, 2.0, 600.0)) * resolution_s
    touched = differs or rng.random() < 0.2  # a write that changed no value moves tokens too
    versions, times = rng.random() < 0.6, rng.random() < 0.7
    first, second = (_coarse(at - behind, resolution_s) for at in (edited_at, again_at if touched else edited_at))
    shadow = Shadow({}, "1" if versions else None, seen_at, frozenset(), first if times else None)
    snapshot = Snapshot(
        "x",
        {},
        version=("2" if touched else "1") if versions else None,
        modified_at=second if times else None,
        seen_at=again_at + 1.0,
    )
    return shadow, snapshot


def _coarse(at: float, resolution_s: float) -> float:
    return at // resolution_s * resolution_s
