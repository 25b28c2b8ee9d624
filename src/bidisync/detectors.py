"""What moved on one side since it was last looked at.

A detector gets the shadow and a snapshot and answers a ``Change`` (empty: nothing moved),
or ``None`` where it can't tell. A token that moved proves nothing by itself: systems move
it on writes that change no value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from bidisync.model import ABSENT, Change, ClockTrust, Key, Snapshot
from bidisync.protocols import ChangeDetector
from bidisync.schema import Policy, alike, exact
from bidisync.state import Shadow


def never(stamp: float) -> bool:
    """No time stamp is ambiguous: those of a side that writes UTC."""
    return False


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
        moved = sorted((snapshot.unreadable ^ shadow.unreadable) | (snapshot.left_over ^ shadow.left_over))
        shown = shadow.fields
        for name, value in snapshot.fields.items():
            before = shown.get(name, ABSENT)
            if value is ABSENT or value == before:
                continue
            if not alike(self.keys.get(name, exact), value, before):
                moved.append(name)
        return Change(snapshot, frozenset(moved))


@attrs.frozen
class ByTimestamp:
    """Nothing moved if the record's own time stamp is the one of the shadow; else it can't tell.

    The stamp proves nothing where the shadow was taken so soon after it that another edit
    could carry the same one: within ``resolution_s`` of the stamp, or ``skew_s`` if the
    remote's clock is behind ours by so much. ``fold_s`` is added for stamps that
    ``in_fold`` calls ambiguous: local times in the hour that a clock change repeats.
    """

    resolution_s: float = 1.0
    skew_s: float = 5.0
    fold_s: float = 3600.0
    in_fold: Callable[[float], bool] = never

    def __call__(self, shadow: Shadow, snapshot: Snapshot) -> Change | None:
        stamp = snapshot.modified_at
        if snapshot.gone or stamp is None or shadow.modified_at != stamp:
            return None
        doubt = self.resolution_s + self.skew_s + (self.fold_s if self.in_fold(stamp) else 0.0)
        return Change(snapshot, frozenset()) if shadow.seen_at > stamp + doubt else None


def outdated(shadow: Shadow, snapshot: Snapshot, now: float) -> bool:
    """Whether a read shows the state from before our own last write: row 13 of the table.

    A side that answers from a copy may do so for a while. Its own token decides where there
    is one; else the replaced values do, and an edit back to exactly those waits as long.
    """
    replaced = shadow.replaced
    if replaced is None or now >= replaced.until or snapshot.gone:
        return False
    if snapshot.version is not None and replaced.version is not None:
        return snapshot.version == replaced.version != shadow.version
    seen = {name: snapshot.fields.get(name, ABSENT) for name in replaced.fields}
    return seen == replaced.fields and any(shadow.fields.get(name) != value for name, value in seen.items())


def dated(snapshot: Snapshot, shadow: Shadow | None, clock: ClockTrust) -> Snapshot:
    """The snapshot with the time of somebody's last edit; without one where that can't be known.

    It can't where the side's clock is not trusted, and where our own write was the last: the
    record's stamp is that write's then, and says nothing of the edit before it.
    """
    ours = shadow is not None and shadow.replaced is not None and shadow.modified_at == snapshot.modified_at
    if snapshot.modified_at is None or (clock is ClockTrust.TRUSTED and not (ours or snapshot.modified_by_us)):
        return snapshot
    return attrs.evolve(snapshot, modified_at=None)


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


def trusts_versions(detector: ChangeDetector) -> bool:
    """Whether an equal version is all that this detector asks for, so that nobody has to make the record first."""
    first = detector.detectors[0] if isinstance(detector, FirstThatKnows) and detector.detectors else detector
    return first is by_version


def first_that_knows(*detectors: ChangeDetector) -> FirstThatKnows:
    """A chain of detectors: cheap ones first, one that always knows last."""
    return FirstThatKnows(detectors)
