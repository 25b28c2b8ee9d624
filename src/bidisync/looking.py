"""A look at one record: as fresh as a decision needs it, and whether there is anything to decide."""

from __future__ import annotations

from collections.abc import Mapping

from bidisync.detectors import outdated
from bidisync.errors import Outdated
from bidisync.gone import Canaries
from bidisync.model import Ref, ReviewKind, Side, Snapshot
from bidisync.parts import Parts
from bidisync.state import Link, Shadow

Rows = Mapping[Ref, Snapshot]
"""Snapshots that a list has brought along, so that a batch needs fewer reads."""


async def look(parts: Parts, canaries: Canaries, ref: Ref, link: Link, rows: Rows) -> Snapshot:
    """The record as it is: the row that a list brought along, else a read by id."""
    row = listed(parts, ref, link, rows)
    if row is not None:
        return row
    replica, shadow, limits = parts.replica(ref.side), link.shadow(ref.side), parts.limits
    asked, snapshot = parts.clock.now(), await replica.get(ref.id)
    canaries.heard(ref.side, snapshot, parts.clock.now())
    for _ in range(limits.rereads):
        if not _outdated(shadow, snapshot, asked):
            return snapshot
        await parts.clock.sleep(limits.consistency_s / limits.rereads)
        asked, snapshot = parts.clock.now(), await replica.get(ref.id)
    if _outdated(shadow, snapshot, asked):
        raise Outdated("the record is still shown as it was before our last write")
    return snapshot


def listed(parts: Parts, ref: Ref, link: Link, rows: Rows) -> Snapshot | None:
    """The row that a list brought along, if a decision may stand on it.

    A row from before the last write or read of the record shows the past, and would take
    back what was written since. Another machine may have made that: where the difference of
    the clocks leaves it open which was first, the record is read. So it is where an earlier
    write was interrupted: that may have arrived since the row.
    """
    row, shadow = rows.get(ref), link.shadow(ref.side)
    if row is None or link.intent is not None or not parts.replica(ref.side).capabilities.row_is_complete:
        return None
    newer = shadow is None or row.seen_at > shadow.seen_at + parts.limits.clocks_apart_s
    return row if newer and not _outdated(shadow, row, row.seen_at) else None


def _outdated(shadow: Shadow | None, snapshot: Snapshot, asked: float) -> bool:
    """Whether that is the record of before our last write: what was asked within the time for that may answer late."""
    return shadow is not None and outdated(shadow, snapshot, asked)


def nothing_new(parts: Parts, link: Link, side: Side, snapshot: Snapshot) -> bool:
    """Whether there is nothing to look into: the record is as it was, and so is what it waits for.

    A saved plan says nothing of the side on which somebody edited, so it is carried out after a look at both.
    """
    if parts.run.only is not None:  # a saved plan names both sides as they were
        return False
    if not (link.settled or link.attempts.dead):
        return False
    if link.attempts.dead and link.missing is not None:
        return _as_given_up(parts, link, side, snapshot)
    doubted = any(review.kind in (ReviewKind.IDENTITY, ReviewKind.GONE) for review in link.reviews)
    missed = link.missing is not None and not link.tombstoned
    return not (doubted or missed or twin_due(parts, link)) and unmoved(parts, link, side, snapshot)


def _as_given_up(parts: Parts, link: Link, side: Side, snapshot: Snapshot) -> bool:
    """Whether a deletion that could not be carried out is what it was: one record gone, the other unmoved."""
    if link.missing is not None and link.missing.side is side:
        return snapshot.gone
    return unmoved(parts, link, side, snapshot)


def brought_news(parts: Parts, link: Link, side: Side, rows: Rows) -> bool:
    """Whether a list has shown the record of that side otherwise than it was, or so poorly that it proves nothing.

    A row counts unless it is older than the shadow by every clock.
    """
    id = link.on(side)
    row = None if id is None else rows.get(Ref(side, id))
    shadow = link.shadow(side)
    if row is None or (shadow is not None and row.seen_at + parts.limits.clocks_apart_s < shadow.seen_at):
        return False
    return not unmoved(parts, link, side, row)


def unmoved(parts: Parts, link: Link, side: Side, snapshot: Snapshot) -> bool:
    """Whether the record is as it was when the link was last settled, given up, or put off."""
    if snapshot.awaits:  # the token may be the one of before, and says nothing of what is named
        return False
    if link.tombstone is not None and side in link.tombstone.gone and not snapshot.gone:
        return False  # somebody brought it back
    shadow = link.shadow(side)
    put_off = link.attempts.next_at > parts.clock.now()
    if put_off and shadow is None:
        return True
    if shadow is None or not (link.settled or link.attempts.dead or put_off) or snapshot.gone:
        return False
    poor = snapshot.row and not parts.replica(side).capabilities.row_is_complete
    if poor and (snapshot.version is None or snapshot.version != shadow.version):
        return False  # what the row lacks may have moved
    change = parts.detector(shadow, snapshot)
    return change is not None and not change


def twin_due(parts: Parts, link: Link) -> bool:
    """Whether it is time to look for a twin of what a create made."""
    return link.watch is not None and link.watch.next_at <= parts.clock.now()
