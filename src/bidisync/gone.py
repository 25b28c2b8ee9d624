"""A record that is not there: deleted by somebody, or merely not shown.

An answer by id that a record does not exist is believed only if another linked record of the
same side, the *canary*, answers by id after that. What follows a deletion waits for its
grace, and is held where anybody has a reason to hold it. What a system refuses to delete is
not asked for again before its record moves. A record that shows up again ends all that.
"""

from __future__ import annotations

import attrs

from bidisync.guards import Occasion
from bidisync.model import Plan, Ref, Review, ReviewKind, Side, Snapshot
from bidisync.parts import Parts
from bidisync.proof import Looks
from bidisync.state import BROUGHT_BACK, DELETE_REFUSED, Link, Missing

CANARIES = 3
PASSES = 2
TRUSTED_S = 60.0
SIDE_LOOKS_EMPTY = "side_looks_empty"
NO_CANARY = "no_canary"
RETENTION_HOLD = "retention_hold"
LASTING = (BROUGHT_BACK, DELETE_REFUSED)
"""Reasons that stay known while a side looks empty: what they say is not found out a second time."""


@attrs.define(eq=False, repr=False)
class Canaries:
    """Which side was lately seen to answer for a record by its id."""

    _alive: dict[Side, tuple[str, float]] = attrs.Factory(dict)
    _dead: dict[Side, float] = attrs.Factory(dict)
    _missed: dict[tuple[Side, str], float] = attrs.Factory(dict)

    def heard(self, side: Side, snapshot: Snapshot, now: float) -> None:
        """Remember a record that answered by id, or was found missing."""
        if snapshot.gone:
            self._missed[side, snapshot.id] = now
        if not snapshot.gone and not snapshot.row:
            self._alive[side] = (snapshot.id, now)
            self._dead.pop(side, None)

    async def alive(self, parts: Parts, side: Side, link: Link) -> bool | None:
        """Whether another linked record of that side answers; ``None`` where there is no other one."""
        now = parts.clock.now()
        id, at = self._alive.get(side, ("", 0.0))
        missed = self._missed.pop((side, link.on(side) or ""), now)
        if id and id != link.on(side) and missed < at:
            return True
        if now - self._dead.get(side, float("-inf")) < TRUSTED_S:
            return False
        if id and id != link.on(side) and await self._answers(parts, side, id, now):
            return True
        asked = 0
        for other in await _others(parts, side, link):
            if await self._answers(parts, side, other, now):
                return True
            asked += 1
        if asked:
            self._dead[side] = now
        return False if asked else None

    async def _answers(self, parts: Parts, side: Side, id: str, now: float) -> bool:
        """Whether this record is there now."""
        snapshot = await parts.replica(side).get(id)
        self.heard(side, snapshot, now)
        return not snapshot.gone


async def _others(parts: Parts, side: Side, link: Link) -> list[str]:
    """A few other records of that side; those that were there when last looked at, if there are any."""
    found: list[str] = []
    missed: list[str] = []
    mine = link.id
    async for living in parts.store.living(side):
        others = [(id, rests) for id, link_id, rests in living if link_id != mine]
        resting = [id for id, rests in others if rests]
        if len(found) + len(resting) < CANARIES:
            doubtful = [id for id, rests in others if not rests]
            links = await parts.store.load([Ref(side, id) for id in doubtful])
            missing = {ref.id for ref, other in links.items() if other.missing and other.missing.side is side}
            found += [id for id, _ in others if id not in missing]
            missed += [id for id in doubtful if id in missing]
        else:
            found += resting
        if len(found) >= CANARIES:
            break
    return (found or missed)[:CANARIES]


async def weigh(parts: Parts, canaries: Canaries, link: Link, looks: Looks, plan: Plan) -> tuple[Link, Plan]:
    """The link and what to do with it, now that one of its records is not there."""
    gone = [side for side, snapshot in looks.items() if snapshot.gone]
    missing = _missing(parts, link, gone[0])
    link = attrs.evolve(link, missing=missing, settled=link.settled and missing == link.missing)  # or it is not stored
    certain = True
    for side in gone:
        alive = await canaries.alive(parts, side, link)
        if alive is False:
            # that it is not there counts for nothing yet: the grace begins now, at the earliest
            missing = attrs.evolve(missing, since=parts.clock.now(), passes=0)
            told = [review for review in link.reviews if review.reason in LASTING]
            held = Review(ReviewKind.HELD, SIDE_LOOKS_EMPTY)
            return attrs.evolve(link, missing=missing), Plan(reviews=(held, *told))
        certain = certain and alive is True
    if plan.reviews and not link.base and await _was_over(parts, link):
        return link, _for_a_person(BROUGHT_BACK)
    if not plan.writes:
        return link, plan
    lost, kept = gone[0], gone[0].other
    if link.retained(parts.clock.now()):
        return link, _for_a_person(RETENTION_HOLD)
    if kept not in parts.policy.deletes_on or not _ripe(parts, link):
        return link, _for_a_person(f"deleted_{lost.value}")
    if _refused_already(link, kept, looks[kept]):
        return link, _for_a_person(DELETE_REFUSED)
    return link, plan if certain else _for_a_person(NO_CANARY)


def _refused_already(link: Link, kept: Side, survivor: Snapshot) -> bool:
    """Whether this very state of the survivor was refused to be deleted; its values are as agreed on, or it is kept."""
    shadow = link.shadow(kept)
    return _told(link, DELETE_REFUSED) and shadow is not None and shadow.version == survivor.version


async def _was_over(parts: Parts, link: Link) -> bool:
    """Whether the link had ended before its record was brought back; of earlier versions only the log tells that."""
    if _told(link, BROUGHT_BACK):
        return True
    return any(entry.what in ("end", "delete") for entry in await parts.store.journal(link.id))


def _told(link: Link, reason: str) -> bool:
    """Whether a person has been told of the link for this reason."""
    return any(review.reason == reason for review in link.reviews)


def _missing(parts: Parts, link: Link, side: Side) -> Missing:
    before, run, now = link.missing, parts.run.id, parts.clock.now()
    named = parts.run.occasion is Occasion.NAMED  # hints come in dozens, and are no passes
    if before is None or before.side is not side:
        return Missing(side, now, run, passes=0) if named else Missing(side, now, run, at=now)
    if before.run == run or named or before.passes >= PASSES:
        return before
    if before.passes and 0.0 < parts.run.began < before.at:  # under way when another one found that
        return before
    return attrs.evolve(before, run=run, passes=before.passes + 1, at=now)


def _ripe(parts: Parts, link: Link) -> bool:
    """Whether the record has been missing for long enough, or was found so in two passes."""
    missing = link.missing
    return missing is not None and (
        missing.passes >= PASSES or parts.clock.now() - missing.since >= parts.limits.grace_s
    )


def _for_a_person(reason: str) -> Plan:
    return Plan(reviews=(Review(ReviewKind.GONE, reason),))
