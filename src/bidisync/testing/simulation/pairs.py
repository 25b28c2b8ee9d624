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

FIELDS = (Field("name", "g", required=True), Field("a", "g"), Field("b", "g"), Field("c", "h"))
GROUPS = (Group("g", strategy=prefer_left), Group("h"))
BOUNDS = Bounds(max_deletes=1, max_delete_percent=0.0)


PLAIN = Pair(policy=Policy(list(FIELDS), list(GROUPS)), identity=Identity(strong=(("name",),)), edited=("a", "b", "c"))


def pair() -> Pair:
    """Two groups, one that the left side wins and one that a person settles."""
    return PLAIN


def guarded() -> Pair:
    """Deletions are carried through, one a day unasked; sides that look empty; mass deletions; approvals."""
    return attrs.evolve(
        PLAIN,
        policy=Policy(list(FIELDS), list(GROUPS), on_delete=OnDelete.PROPAGATE),
        bounds=BOUNDS,
        exercise=Exercise((mass_delete, empty_side, approvals), deletes=1, grace_s=60.0),
    )


def asking() -> Pair:
    """One field is written only by an approved plan, and automations of both sides quarrel about another."""
    return attrs.evolve(PLAIN, exercise=Exercise((quarrel, approvals, strain.dry_runs), asks=("c",)))


def unsearchable() -> Pair:
    """The right side can't be searched for what a create made: it is sent once."""
    return attrs.evolve(PLAIN, right=attrs.evolve(FULL, finds_created=False))


def forgetful() -> Pair:
    """No side keeps notes."""
    return attrs.evolve(PLAIN, left=FULL)


def noted() -> Pair:
    """Both sides keep notes."""
    return attrs.evolve(PLAIN, right=NOTED)


def partial() -> Pair:
    """Lists leave out a third of the records, which are there."""
    return attrs.evolve(PLAIN, partial=frozenset(Side), exercise=Exercise(unlisted=True))


def barely_checked() -> Pair:
    """The right side compares versions, and not in one step with the write."""
    return attrs.evolve(PLAIN, right=attrs.evolve(FULL, conditional_write=Conditional.CHECKED))


def unconditional() -> Pair:
    """The right side takes every write, whatever it stands on."""
    return attrs.evolve(PLAIN, right=attrs.evolve(FULL, conditional_write=Conditional.IGNORED))


def unconditional_on_both() -> Pair:
    """Both sides take every write."""
    ignored = Conditional.IGNORED
    return attrs.evolve(
        PLAIN, left=attrs.evolve(NOTED, conditional_write=ignored), right=attrs.evolve(FULL, conditional_write=ignored)
    )


def whole() -> Pair:
    """The right side replaces the whole record at a write, and takes every write."""
    can = attrs.evolve(FULL, conditional_write=Conditional.IGNORED, partial_write=False)
    return attrs.evolve(PLAIN, right=attrs.evolve(can, row_is_complete=False, row_can_be_written=False))


def unversioned() -> Pair:
    """Neither side has versions: values are compared, and every write is taken."""
    ignored = Conditional.IGNORED
    return attrs.evolve(
        PLAIN,
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


def _strained(exercise: Exercise, pair: Pair = PLAIN) -> Callable[[], Pair]:
    return lambda: attrs.evolve(pair, exercise=exercise)


def _later_ones(number: int) -> bool:
    return number > 2


IGNORANT = attrs.evolve(
    PLAIN,
    left=attrs.evolve(NOTED, conditional_write=Conditional.IGNORED),
    right=attrs.evolve(FULL, conditional_write=Conditional.IGNORED),
)
PROPAGATING = attrs.evolve(PLAIN, policy=Policy(list(FIELDS), list(GROUPS), on_delete=OnDelete.PROPAGATE))
UNBOUNDED = attrs.evolve(PROPAGATING, bounds=Bounds(max_deletes=50))
BOUNDED = attrs.evolve(PROPAGATING, bounds=BOUNDS)
POLLED = attrs.evolve(PLAIN, partial=frozenset(Side), hidden=_later_ones)

STRAINED: Mapping[str, Callable[[], Pair]] = {
    "crossings": _strained(Exercise((strain.crossings,), edits_in_window=0.4), IGNORANT),
    "newcomers": _strained(Exercise((strain.newcomers,), requests_faulty=0.15)),
    "unhinted-newcomers": _strained(
        Exercise((strain.newcomers,), requests_faulty=0.3), attrs.evolve(PLAIN, hinting=())
    ),
    "unsearchable-newcomers": _strained(Exercise((strain.newcomers,), requests_faulty=0.15), unsearchable()),
    "copies": _strained(Exercise((strain.copies,))),
    "triplets": _strained(Exercise((strain.triplets,))),
    "second-thoughts": _strained(Exercise((strain.second_thoughts,), asks=("c",))),
    "same-again": _strained(Exercise((strain.same_again,), asks=("c",))),
    "old-state": _strained(Exercise((strain.old_state,)), attrs.evolve(PLAIN, hinting=tuple(Side))),
    "looks-empty": _strained(Exercise((empty_side, mass_delete), grace_s=6.0, deletes=50), UNBOUNDED),
    "deletions-at-once": _strained(Exercise((strain.deletions_at_once,), grace_s=6.0, deletes=1), BOUNDED),
    "new-scope": _strained(Exercise((strain.new_scope,), grace_s=6.0, deletes=50), UNBOUNDED),
    "brought-back": _strained(Exercise((strain.brought_back,), grace_s=6.0, deletes=50), UNBOUNDED),
    "alone": _strained(Exercise((strain.crossings,), grace_s=6.0, deletes=50, alone=True), UNBOUNDED),
    "broken": _strained(Exercise((strain.broken_records,))),
    "dry-runs": _strained(Exercise((strain.dry_runs,))),
    "short-leases": _strained(Exercise((strain.crossings,)), attrs.evolve(PLAIN, lease_s=14.0)),
    "taken-over": _strained(
        Exercise((strain.crossings,), clocks_apart_s=120.0, requests_faulty=0.2, leases_faulty=0.5), IGNORANT
    ),
    "clocks-apart": _strained(
        Exercise(
            (strain.crossings,), clocks_apart_s=120.0, clocks_allowed_s=240.0, requests_faulty=0.2, leases_faulty=0.5
        )
    ),
    "polled": _strained(Exercise((strain.newcomers,), unlisted=True, polls=True, requests_faulty=0.15), POLLED),
    "slow": _strained(Exercise((strain.crossings,), requests_faulty=0.25)),
    "slow-unversioned": _strained(
        Exercise((strain.crossings,), requests_faulty=0.25), attrs.evolve(IGNORANT, versions=False)
    ),
}
"""Pairs that put a strain on one safeguard each."""
