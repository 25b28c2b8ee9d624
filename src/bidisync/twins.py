"""A create whose outcome was not known once may have happened twice: its twin is looked for again.

The reply of a create got lost, the record was found or made again, and a first request may
still have been on its way, or a list lagged. So the same values are searched twice within a
day after that. A twin is never merged or deleted by a program: both records go to a person.
"""

from __future__ import annotations

import attrs

from bidisync.create import TWIN, Creation
from bidisync.index import Index
from bidisync.journal import journaled
from bidisync.model import Ref, Review, ReviewKind, Snapshot
from bidisync.parts import Parts
from bidisync.state import Intent, Link


async def look_for_twin(parts: Parts, index: Index, creation: Creation, link: Link) -> Link:
    """The link after a look; both records are before a person where there is a twin."""
    watch = link.watch
    if watch is None:
        return link
    now = parts.clock.now()
    again = None if now >= watch.until else attrs.evolve(watch, next_at=watch.until)
    if link.tombstoned:
        return await parts.store.save(attrs.evolve(link, watch=again))
    twins = await _twins(parts, creation, link, watch.intent)
    if not twins:
        return await parts.store.save(attrs.evolve(link, watch=again))
    review = Review(ReviewKind.IDENTITY, TWIN)
    await index.learn(watch.intent.side, twins)
    known = [r for r in link.reviews if (r.kind, r.reason) != (review.kind, review.reason)]
    stored = await parts.store.save(
        attrs.evolve(link, watch=again, reviews=(*known, review), settled=True),
        journal=[journaled(parts, link, "review", reason=TWIN)],
    )
    for twin in twins:
        await _flag(parts, Ref(watch.intent.side, twin.id), review)
    return stored


async def _twins(parts: Parts, creation: Creation, link: Link, intent: Intent) -> list[Snapshot]:
    """Other records that this create may have made, and that are nobody's."""
    replica, mine = parts.replica(intent.side), intent.side.other
    if replica.capabilities.keeps_notes:
        named = await replica.find_by_counterpart(link.on(mine) or "")
        return [there for there in named if there.id != link.on(intent.side)]
    found = [there for there in await replica.find_created(intent) if creation.equal(intent.payload, there)]
    links = await parts.store.load([Ref(intent.side, there.id) for there in found])
    return [
        there
        for there in found
        if there.id != link.on(intent.side)
        and ((other := links.get(Ref(intent.side, there.id))) is None or other.on(mine) is None)
    ]


async def _flag(parts: Parts, ref: Ref, review: Review) -> None:
    link = (await parts.store.load([ref])).get(ref) or Link.begin(ref)
    if not any(known.reason == review.reason for known in link.reviews):
        await parts.store.save(attrs.evolve(link, reviews=(*link.reviews, review), settled=True))
