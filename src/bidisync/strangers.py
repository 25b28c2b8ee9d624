"""What becomes of a record that has no counterpart, once that is clear: adopted, or left to a person."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from bidisync.errors import Contended
from bidisync.journal import journaled
from bidisync.model import ABSENT, Ref, Review, ReviewKind, Side, Snapshot, Versions
from bidisync.notes import wanted_notes
from bidisync.outcome import Effects
from bidisync.parts import Parts
from bidisync.state import Attempts, Link, Shadow


def belongs(link: Link, id: str, side: Side) -> bool:
    """Whether a link is another record's than that one of this side, or nobody's any more because it was forgotten."""
    return link.on(side) not in (None, id) or link.forgotten


@attrs.frozen(eq=False, repr=False)
class Strangers:
    """Links of records that had no counterpart so far."""

    parts: Parts
    effects: Effects

    async def adopt(self, link: Link, there: Ref) -> Link:
        """Two records that were strangers become one link; nothing is agreed on yet."""
        stranger = (await self.parts.store.load([there])).get(there)
        if stranger is not None and stranger.on(there.side.other) is not None:
            raise Contended("somebody else linked this record at the same moment")
        adopted = attrs.evolve(
            link.with_id(there.side, there.id), reviews=(), base={}, attempts=Attempts(), intent=None, settled=False
        )
        if stranger is not None and adopted.retention is None:
            adopted = attrs.evolve(adopted, retention=stranger.retention)
        stored = await self.parts.store.save(
            adopted,
            journal=[journaled(self.parts, link, "adopt", reason="matched")],
            absorbs=[] if stranger is None else [stranger],
        )
        self.effects.adopted = True
        return stored

    async def adopt_one_of(self, link: Link, mine: Snapshot, side: Side, found: Sequence[Snapshot]) -> Link:
        """Records of the other side that name ours, or that it calls duplicates of ours."""
        refs = [Ref(side.other, snapshot.id) for snapshot in found]
        links = await self.parts.store.load(refs)
        if len(refs) == 1 and (refs[0] not in links or not belongs(links[refs[0]], mine.id, side)):
            return await self.adopt(link, refs[0])
        return await self.review(link, mine, side, "match_several" if len(refs) > 1 else "match_taken")

    async def review(self, link: Link, mine: Snapshot, side: Side, reason: str) -> Link:
        """The link stored as one whose identity a person has to settle."""
        link = attrs.evolve(
            link.with_shadow(side, Shadow.of(mine)),
            reviews=(Review(ReviewKind.IDENTITY, reason),),
            attempts=Attempts(),
            intent=None,
            settled=True,
        )
        return await self._save_shown(link, side, mine)

    async def block(self, link: Link, mine: Snapshot, side: Side, reason: str, fields: Sequence[str]) -> Link:
        """The link stored as one that can't be made as it is: a change of these fields starts it again."""
        versions = {
            name: Versions(ABSENT, value, ABSENT) if side is Side.LEFT else Versions(ABSENT, ABSENT, value)
            for name in fields
            for value in (mine.fields.get(name, ABSENT),)
        }
        link = attrs.evolve(
            link.with_shadow(side, Shadow.of(mine)),
            reviews=(Review(ReviewKind.BLOCKED, reason, fields=versions),),
            attempts=Attempts(),
            intent=None,
            settled=True,
        )
        return await self._save_shown(link, side, mine)

    async def hold(self, link: Link, mine: Snapshot, side: Side, review: Review) -> Link:
        """The link stored as one whose counterpart is made once somebody approves."""
        link = attrs.evolve(
            link.with_shadow(side, Shadow.of(mine)), reviews=(review,), attempts=Attempts(), intent=None, settled=True
        )
        return await self._save_shown(link, side, mine)

    async def stop(self, link: Link, reason: str) -> Link:
        """The link stored without its intent: nothing further happens to it by itself."""
        review = Review(ReviewKind.IDENTITY, reason)
        stopped = attrs.evolve(link, intent=None, reviews=(review,), attempts=Attempts(), settled=True)
        return await self.parts.store.save(stopped)

    async def _save_shown(self, link: Link, side: Side, mine: Snapshot) -> Link:
        """Store the link, and let the record show that it waits for a person."""
        entry = journaled(self.parts, link, "review", reason=link.reviews[0].reason)
        stored = await self.parts.store.save(link, journal=[entry])
        replica = self.parts.replica(side)
        notes = wanted_notes(self.parts, stored, side, None)
        if not replica.capabilities.keeps_notes or notes.state is None or stored.shown.get(side) == notes:
            return stored
        proof = await replica.update(mine, {}, notes=notes)
        now = proof if proof is not None else await replica.get(mine.id)
        return await self.parts.store.save(stored.with_shown(side, notes).with_shadow(side, Shadow.of(now)))
