"""Pairs of remotes in memory that are simulated with every build, each with one thing special."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from bidisync.conflicts import prefer_left
from bidisync.guards import Bounds
from bidisync.identity import Identity
from bidisync.model import Conditional, Side
from bidisync.schema import Field, Group, OnDelete, Policy
from bidisync.testing.replica import FULL
from bidisync.testing.simulation import strain
from bidisync.testing.simulation.drills import Exercise, approvals, empty_side, mass_delete, quarrel
from bidisync.testing.simulation.plain import NOTED, Pair
from bidisync.testing.simulation.world import World

FIELDS = (Field("name", "g", required=True), Field("a", "g"), Field("b", "g"), Field("c", "h"))
GROUPS = (Group("g", strategy=prefer_left), Group("h"))
BOUNDS = Bounds(max_deletes=1, max_delete_percent=0.0)


def _pair(**special: object) -> Pair:
    policy = Policy(list(FIELDS), list(GROUPS))
    known = {"policy": policy, "identity": Identity(strong=(("name",),)), "edited": ("a", "b", "c")}
    return Pair(**{**known, **special})  # type: ignore[arg-type]


def pair() -> Pair:
    """Two groups, one that the left side wins and one that a person settles."""
    return _pair()


def guarded() -> Pair:
    """Deletions are carried through, one a day unasked; sides that look empty; mass deletions; approvals."""
    return _pair(
        policy=Policy(list(FIELDS), list(GROUPS), on_delete=OnDelete.PROPAGATE),
        bounds=BOUNDS,
        exercise=Exercise((mass_delete, empty_side, approvals), deletes=1, grace_s=60.0),
    )


def asking() -> Pair:
    """One field is written only by an approved plan, and automations of both sides quarrel about another."""
    return _pair(exercise=Exercise((quarrel, approvals, strain.dry_runs), asks=("c",)))


def unsearchable() -> Pair:
    """The right side can't be searched for what a create made: it is sent once."""
    return _pair(right=attrs.evolve(FULL, finds_created=False))


def forgetful() -> Pair:
    """No side keeps notes."""
    return _pair(left=FULL)


def noted() -> Pair:
    """Both sides keep notes."""
    return _pair(right=NOTED)


def partial() -> Pair:
    """Lists leave out a third of the records, which are there."""
    return _pair(partial=frozenset(Side), exercise=Exercise(unlisted=True))


def barely_checked() -> Pair:
    """The right side compares versions, and not in one step with the write."""
    return _pair(right=attrs.evolve(FULL, conditional_write=Conditional.CHECKED))


def unconditional() -> Pair:
    """The right side takes every write, whatever it stands on."""
    return _pair(right=attrs.evolve(FULL, conditional_write=Conditional.IGNORED))


def unconditional_on_both() -> Pair:
    """Both sides take every write."""
    ignored = Conditional.IGNORED
    return _pair(
        left=attrs.evolve(NOTED, conditional_write=ignored), right=attrs.evolve(FULL, conditional_write=ignored)
    )


def whole() -> Pair:
    """The right side replaces the whole record at a write, and takes every write."""
    can = attrs.evolve(FULL, conditional_write=Conditional.IGNORED, partial_write=False)
    return _pair(right=attrs.evolve(can, row_is_complete=False, row_can_be_written=False))


def unversioned() -> Pair:
    """Neither side has versions: values are compared, and every write is taken."""
    ignored = Conditional.IGNORED
    return _pair(
        left=attrs.evolve(NOTED, conditional_write=ignored),
        right=attrs.evolve(FULL, conditional_write=ignored),
        versions=False,
    )


PAIRS: Mapping[str, Callable[[], Pair]] = {
    make.__name__.replace("_", "-"): make
    for make in (
        pair,
        guarded,
        asking,
        unsearchable,
        forgetful,
        noted,
        partial,
        barely_checked,
        unconditional,
        unconditional_on_both,
        whole,
        unversioned,
    )
}


def _strained(*drills: Callable[[World], None], **special: object) -> Callable[[], Pair]:
    exercise = {name: special.pop(name) for name in list(special) if hasattr(Exercise(), name)}
    return lambda: _pair(**special, exercise=Exercise(drills, **exercise))  # type: ignore[arg-type]


def _later_ones(number: int) -> bool:
    return number > 2


PROPAGATED = Policy(list(FIELDS), list(GROUPS), on_delete=OnDelete.PROPAGATE)
IGNORANT = {
    "left": attrs.evolve(NOTED, conditional_write=Conditional.IGNORED),
    "right": attrs.evolve(FULL, conditional_write=Conditional.IGNORED),
}
MANY = {"bounds": Bounds(max_deletes=50), "deletes": 50}

STRAINED: Mapping[str, Callable[[], Pair]] = {
    "crossings": _strained(strain.crossings, edits_in_window=0.4, **IGNORANT),
    "newcomers": _strained(strain.newcomers, requests_faulty=0.15),
    "unhinted-newcomers": _strained(strain.newcomers, requests_faulty=0.3, hinting=()),
    "unsearchable-newcomers": _strained(
        strain.newcomers, requests_faulty=0.15, right=attrs.evolve(FULL, finds_created=False)
    ),
    "copies": _strained(strain.copies),
    "triplets": _strained(strain.triplets),
    "second-thoughts": _strained(strain.second_thoughts, asks=("c",)),
    "same-again": _strained(strain.same_again, asks=("c",)),
    "old-state": _strained(strain.old_state, hinting=tuple(Side)),
    "looks-empty": _strained(empty_side, mass_delete, policy=PROPAGATED, grace_s=6.0, **MANY),
    "deletions-at-once": _strained(strain.deletions_at_once, policy=PROPAGATED, grace_s=6.0, bounds=BOUNDS, deletes=1),
    "new-scope": _strained(strain.new_scope, policy=PROPAGATED, grace_s=6.0, **MANY),
    "brought-back": _strained(strain.brought_back, policy=PROPAGATED, grace_s=6.0, **MANY),
    "alone": _strained(strain.crossings, policy=PROPAGATED, grace_s=6.0, alone=True, **MANY),
    "broken": _strained(strain.broken_records),
    "dry-runs": _strained(strain.dry_runs),
    "short-leases": _strained(strain.crossings, lease_s=14.0),
    "taken-over": _strained(strain.crossings, clocks_apart_s=120.0, requests_faulty=0.2, leases_faulty=0.5, **IGNORANT),
    "polled": _strained(
        strain.newcomers, partial=frozenset(Side), hidden=_later_ones, unlisted=True, polls=True, requests_faulty=0.15
    ),
    "slow": _strained(strain.crossings, requests_faulty=0.25),
    "slow-unversioned": _strained(strain.crossings, requests_faulty=0.25, versions=False, **IGNORANT),
}
"""Pairs that put a strain on one safeguard each."""
