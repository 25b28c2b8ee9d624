"""A record that has no counterpart yet: it is found among those known, or made.

What a person would call *the same client* is decided by strong keys alone; everything less
waits for a person.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from bidisync.apply import Again
from bidisync.create import TWIN, UNCONFIRMED, Creation, is_making
from bidisync.identity import shares_strong
from bidisync.index import Index
from bidisync.model import Defer, Ref, Review, ReviewKind, Side, Snapshot
from bidisync.outcome import Effects
from bidisync.parts import Parts
from bidisync.protocols import Lease
from bidisync.state import Known, Link
from bidisync.strangers import Strangers, belongs

FORGOTTEN = "forgotten"
"""The reason under which a record waits that answers to somebody whose values were erased."""

MADE_BY_PEOPLE = "made_by_people"
"""The reason under which a record waits for the counterpart that only a person can make."""
SHARED, MISSING = "counterpart_shared", "counterpart_missing"
"""Reasons under which a record waits although it names its counterpart."""

AT_MOST_ONCE = (UNCONFIRMED, TWIN)
"""Reasons why nothing is made any more until a person says so."""


@attrs.frozen(eq=False, repr=False)
class Meeting:
    """One record without a counterpart, and what is needed to find or make it."""

    parts: Parts
    index: Index
    strangers: Strangers
    creation: Creation

    @classmethod
    def under(cls, lease: Lease, parts: Parts, index: Index, effects: Effects) -> Meeting:
        """A meeting while this lease lasts."""
        strangers = Strangers(parts, effects)
        return cls(parts, index, strangers, Creation(parts, index, lease, effects, strangers))

    async def meet(self, link: Link, mine: Snapshot, side: Side) -> Link:
        """The link with a counterpart, or stored as waiting; freshly made ones are complete."""
        verdict = await self._find(link, mine, side)
        if isinstance(verdict, Ref):
            return await self.strangers.adopt(link, verdict)
        if isinstance(verdict, Defer):
            return await self.strangers.review(link, mine, side, verdict.reason)
        doubt = next((review.reason for review in link.reviews if review.reason in AT_MOST_ONCE), None)
        if doubt is not None:
            return await self.strangers.review(link, mine, side, doubt)
        if not self.parts.replica(side.other).capabilities.creates:
            return await self.strangers.review(link, mine, side, MADE_BY_PEOPLE)
        return await self.creation.create(link, mine, side)

    async def _find(self, link: Link, mine: Snapshot, side: Side) -> Ref | Defer | None:
        """The one counterpart, nobody, or why a person has to say."""
        named = link.given_up if mine.notes is None else mine.notes.counterpart or link.given_up
        if named is not None:
            there = await self._named(mine, side, named)
            if named != link.given_up or there != Defer(MISSING):  # who was given up may be back
                return there
        await self.index.ready(side.other)
        await self.creation.not_just_made(link, mine, side)
        if await self._is_twin(mine, side):
            return Defer(TWIN)
        candidates = await self.index.matches(side.other, mine)
        links = await self.parts.store.load([known.ref for known in candidates])
        verdict = self.parts.identity.judge(
            self.index.keys(mine),
            candidates,
            taken=lambda ref: ref in links and belongs(links[ref], "", side),
        )
        if any(links[one.ref].forgotten for one in self._same(mine, candidates) if one.ref in links):
            return Defer(FORGOTTEN)
        return verdict if isinstance(verdict, Defer) else await self._beside(mine, side, verdict) or verdict

    def _same(self, mine: Snapshot, known: Sequence[Known]) -> list[Known]:
        """Those that answer to a strong key of this record."""
        keys = self.index.keys(mine)
        return [one for one in known if shares_strong(keys, one.keys)]

    async def _beside(self, mine: Snapshot, side: Side, found: Ref | None) -> Defer | None:
        """Why another record of the same side that answers to a strong key of this one leaves it to a person.

        It was forgotten: then this one may be somebody who is not to come back. Or there is a
        counterpart: then nobody knows whose it is.
        """
        same = [one.ref for one in self._same(mine, await self.index.matches(side, mine)) if one.ref.id != mine.id]
        if any(link.forgotten for link in (await self.parts.store.load(same)).values()):
            return Defer(FORGOTTEN)
        return Defer("match_several") if same and found is not None else None

    async def _named(self, mine: Snapshot, side: Side, counterpart: str) -> Ref | Defer:
        """The counterpart that the record itself names, unless another record names it too."""
        there = Ref(side.other, counterpart)
        linked = (await self.parts.store.load([there])).get(there)
        if linked is not None and linked.forgotten:
            return Defer(FORGOTTEN)
        if linked is not None and is_making(linked, side):
            await self.creation.recover(linked)
            raise Again("a create that was open has made this record")
        namesakes = {known.ref for known in await self.index.naming(side, counterpart)} - {Ref(side, mine.id)}
        if linked is not None and linked.on(side) not in (None, mine.id):
            namesakes.add(Ref(side, linked.on(side) or ""))
        if namesakes:
            await self._flag(namesakes)
            return Defer(SHARED)
        if (await self.parts.replica(side.other).get(counterpart)).gone:
            return Defer(MISSING)
        return there

    async def _flag(self, refs: set[Ref]) -> None:
        """Put the records that claim the same counterpart before a person as well."""
        review = Review(ReviewKind.IDENTITY, SHARED)
        for link in (await self.parts.store.load(sorted(refs, key=str))).values():
            if review not in link.reviews:
                await self.parts.store.save(attrs.evolve(link, reviews=(*link.reviews, review), settled=False))

    async def _is_twin(self, mine: Snapshot, side: Side) -> bool:
        """Whether a create that went through long ago, with an unknown outcome at first, made this one as well."""
        return any(
            link.watch is not None
            and link.watch.intent.side is side
            and link.on(side) != mine.id
            and self.creation.equal(link.watch.intent.payload, mine)
            for link in await self.parts.store.watched()
        )


async def named_anew(index: Index, link: Link, side: Side, row: Snapshot) -> bool:
    """Whether a record that waits for a counterpart names one since then, or another one."""
    counterpart = None if row.notes is None else row.notes.counterpart
    doubts = [review.reason for review in link.reviews if review.kind is ReviewKind.IDENTITY]
    if counterpart in (None, link.given_up) or not doubts or link.tombstoned or link.on(side.other) is not None:
        return False
    if not {SHARED, MISSING, FORGOTTEN} & set(doubts):
        return True
    return row.id not in {known.ref.id for known in await index.naming(side, counterpart)}
