"""What moved on one side since it was last looked at.

A detector gets the shadow and a snapshot and answers a ``Change`` (empty: nothing moved),
or ``None`` where it can't tell. A token that moved proves nothing by itself: systems move
it on writes that change no value.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from bidisync.model import ABSENT, Change, Key, Snapshot
from bidisync.protocols import ChangeDetector
from bidisync.schema import Policy, exact
from bidisync.state import Shadow


def by_version(shadow: Shadow, snapshot: Snapshot) -> Change | None:
    """Nothing moved if both carry the same token; else it can't tell."""
    if snapshot.gone or snapshot.version is None or snapshot.version != shadow.version:
        return None
    return Change(snapshot, frozenset())


@attrs.frozen
class ByContent:
    """The fields whose values differ by their keys; always knows."""

    keys: Mapping[str, Key]

    @classmethod
    def of(cls, policy: Policy) -> ByContent:
        """Compare the fields of a policy."""
        return cls({field.name: field.key for field in policy.fields})

    def __call__(self, shadow: Shadow, snapshot: Snapshot) -> Change | None:
        moved = sorted(snapshot.unreadable ^ shadow.unreadable)
        for name, value in snapshot.fields.items():
            if value is ABSENT:
                continue
            before = shadow.fields.get(name, ABSENT)
            key = self.keys.get(name, exact)
            if before is ABSENT or (value != before and key(value) != key(before)):
                moved.append(name)
        return Change(snapshot, frozenset(moved))


@attrs.frozen
class FirstThatKnows:
    """Asks one detector after the other until one can tell."""

    detectors: tuple[ChangeDetector, ...]

    def __call__(self, shadow: Shadow, snapshot: Snapshot) -> Change | None:
        for detector in self.detectors:
            change = detector(shadow, snapshot)
            if change is not None:
                return change
        return None


def first_that_knows(*detectors: ChangeDetector) -> FirstThatKnows:
    """A chain of detectors: cheap ones first, one that always knows last."""
    return FirstThatKnows(detectors)
