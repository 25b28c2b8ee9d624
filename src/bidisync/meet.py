"""A record that has no counterpart yet: it is found among those known, or made.

What a person would call *the same client* is decided by strong keys alone; everything less
waits for a person. A create happens at most once per intent: when its outcome is not known,
the record is looked for, again after every trace of the first request must have shown up,
and only then sent again, with the same payload.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from bidisync.apply import Again, intent_for, may_write, proven, refused, wanted_notes
from bidisync.errors import Contended, Duplicate, Rejected, SyncError, Unconfirmed, Unmappable
from bidisync.events import Wrote
from bidisync.identity import judge, shares_strong
from bidisync.index import Index
from bidisync.model import (
    ABSENT,
    Created,
    Defer,
    LinkState,
    Notes,
    Ref,
    Review,
    ReviewKind,
    Side,
    Snapshot,
    Value,
    Verb,
    Versions,
    Write,
)
from bidisync.outcome import Effects
from bidisync.parts import Parts
from bidisync.protocols import Lease
from bidisync.state import Agreement, Attempts, Link, Shadow


@attrs.frozen
class Meeting:
    """One record without a counterpart, and what is needed to find or make it."""

    parts: Parts
    index: Index
    lease: Lease
    effects: Effects

    async def meet(self, link: Link, mine: Snapshot, side: Side) -> Link:
        """The link with a counterpart, or stored as waiting; freshly made ones are complete."""
        verdict = await self._find(link, mine, side)
        if isinstance(verdict, Ref):
            return await self._adopt(link, verdict)
        if isinstance(verdict, Defer):
            return await self._review(link, mine, side, verdict.reason)
        return await self._create(link, mine, side)

    async def _find(self, link: Link, mine: Snapshot, side: Side) -> Ref | Defer | None:
        """The one counterpart, nobody, or why a person has to say."""
        if mine.notes is not None and mine.notes.counterpart is not None:
            return await self._named(mine, side, mine.notes.counterpart)
        await self.index.ready(side.other)
        await self._not_just_made(link, mine, side)
        candidates = await self.index.matches(side.other, mine)
        links = await self.parts.store.load([known.ref for known in candidates])
        verdict = judge(
            self.index.keys(mine),
            candidates,
            taken=lambda ref: ref in links and links[ref].on(side) is not None,
        )
        if isinstance(verdict, Ref) and await self._has_namesake(mine, side):
            return Defer("match_several")
        return verdict

    async def _has_namesake(self, mine: Snapshot, side: Side) -> bool:
        """Whether another record of the same side answers to the same strong key: then nobody knows whose it is."""
        keys = self.index.keys(mine)
        return any(
            known.ref.id != mine.id and shares_strong(keys, known.keys)
            for known in await self.index.matches(side, mine)
        )

    async def _named(self, mine: Snapshot, side: Side, counterpart: str) -> Ref | Defer:
        """The counterpart that the record itself names, unless another record names it too."""
        there = Ref(side.other, counterpart)
        linked = (await self.parts.store.load([there])).get(there)
        if linked is not None and _is_making(linked, side):
            await self.recover(linked)
            raise Again("a create that was open has made this record")
        namesakes = {known.ref for known in await self.index.naming(side, counterpart)} - {Ref(side, mine.id)}
        if linked is not None and linked.on(side) not in (None, mine.id):
            namesakes.add(Ref(side, linked.on(side) or ""))
        if namesakes:
            await self._flag(namesakes)
            return Defer("counterpart_shared")
        if (await self.parts.replica(side.other).get(counterpart)).gone:
            return Defer("counterpart_missing")
        return there

    async def _flag(self, refs: set[Ref]) -> None:
        """Put the records that claim the same counterpart before a person as well."""
        review = Review(ReviewKind.IDENTITY, "counterpart_shared")
        for link in (await self.parts.store.load(sorted(refs, key=str))).values():
            if review not in link.reviews:
                await self.parts.store.save(attrs.evolve(link, reviews=(*link.reviews, review), settled=False))

    async def _not_just_made(self, link: Link, mine: Snapshot, side: Side) -> None:
        """Refuse to take for new what a create that is still open may have made."""
        for other in await self.parts.store.open_intents():
            if other.id != link.id and _is_making(other, side) and self._may_be(other.open_intent.payload, mine):
                raise Contended("a create that may have made this record is still open")

    def _may_be(self, payload: Mapping[str, Value], there: Snapshot) -> bool:
        """Whether a record may be the one made from this payload: the same values, or the same keys."""
        if self._equal(payload, there):
            return True
        keys, theirs = self.index.keys_of(payload), self.index.keys(there)
        return any(theirs.get(name) == value for name, value in keys.items())

    def _equal(self, payload: Mapping[str, Value], there: Snapshot) -> bool:
        for field in self.parts.policy.fields:
            sent, got = payload.get(field.name), there.fields.get(field.name, ABSENT)
            same = sent == got or (sent is not None and got not in (None, ABSENT) and field.key(sent) == field.key(got))
            if not same and not (field.ignored_by or got is ABSENT):
                return False
        return True

    async def _adopt(self, link: Link, there: Ref) -> Link:
        """Two records that were strangers become one link; nothing is agreed on yet."""
        stranger = (await self.parts.store.load([there])).get(there)
        self.effects.adopted = True
        adopted = attrs.evolve(
            link.with_id(there.side, there.id), reviews=(), base={}, attempts=Attempts(), intent=None, settled=False
        )
        return await self.parts.store.save(adopted, absorbs=[] if stranger is None else [stranger])

    async def _review(self, link: Link, mine: Snapshot, side: Side, reason: str) -> Link:
        link = attrs.evolve(
            link.with_shadow(side, Shadow.of(mine)),
            reviews=(Review(ReviewKind.IDENTITY, reason),),
            attempts=Attempts(),
            intent=None,
            settled=True,
        )
        return await self._save_shown(link, side, mine)

    async def _blocked(self, link: Link, mine: Snapshot, side: Side, reason: str, fields: Sequence[str]) -> Link:
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

    async def _save_shown(self, link: Link, side: Side, mine: Snapshot) -> Link:
        """Store the link, and let the record show that it waits for a person."""
        stored = await self.parts.store.save(link)
        replica = self.parts.replica(side)
        notes = wanted_notes(self.parts, stored, side, None)
        if not replica.capabilities.keeps_notes or notes.state is None or stored.shown.get(side) == notes:
            return stored
        proof = await replica.update(mine, {}, notes=notes)
        now = proof if proof is not None else await replica.get(mine.id)
        return await self.parts.store.save(stored.with_shown(side, notes).with_shadow(side, Shadow.of(now)))

    async def _create(self, link: Link, mine: Snapshot, side: Side) -> Link:
        payload = {
            field.name: value
            for field in self.parts.policy.fields
            if (value := mine.fields.get(field.name, ABSENT)) is not ABSENT and value is not None
        }
        missing = [field.name for field in self.parts.policy.fields if field.required and field.name not in payload]
        if missing:
            return await self._blocked(link, mine, side, "required", missing)
        replica = self.parts.replica(side.other)
        if replica.capabilities.keeps_notes:
            named = await replica.find_by_counterpart(mine.id)
            if named:
                return await self._adopt_found(link, mine, side, named)
        watermark = await self.index.newest(side.other)
        intent = intent_for(self.parts, Verb.CREATE, side.other, payload, watermark)
        link = await self.parts.store.save(
            attrs.evolve(
                link.with_shadow(side, Shadow.of(mine)),
                intent=intent,
                fence=link.fence + 1,
                attempts=Attempts(),
                reviews=(),
                settled=False,
            )
        )
        return await self._post(link, mine, side)

    async def _adopt_found(self, link: Link, mine: Snapshot, side: Side, found: Sequence[Snapshot]) -> Link:
        """Records of the other side that name ours, or that it calls duplicates of ours."""
        refs = [Ref(side.other, snapshot.id) for snapshot in found]
        links = await self.parts.store.load(refs)
        if len(refs) == 1 and (refs[0] not in links or links[refs[0]].on(side) in (None, mine.id)):
            return await self._adopt(link, refs[0])
        return await self._review(link, mine, side, "match_several" if len(refs) > 1 else "match_taken")

    async def _post(self, link: Link, mine: Snapshot, side: Side) -> Link:
        """Send the create of the open intent."""
        intent = link.open_intent
        replica = self.parts.replica(intent.side)
        notes = self._notes_for_new(mine) if replica.capabilities.keeps_notes else None
        await may_write(self.parts, link, self.lease)
        try:
            created = await replica.create(intent.payload, notes=notes, despite_duplicates=intent.despite_duplicates)
        except Duplicate as error:
            return await self._duplicate(link, mine, side, error)
        except (Rejected, Unmappable) as error:
            reviews = refused(self.parts, Write(intent.side, Verb.CREATE, intent.payload), {side: mine}, error)
            names = [name for review in reviews for name in review.fields]
            return await self._blocked(link, mine, side, error.reason, names)
        except Unconfirmed:
            link = await self.parts.store.save(attrs.evolve(link, intent=attrs.evolve(intent, unconfirmed=True)))
            return await self.recover(link)
        except SyncError:
            await self.parts.store.save(attrs.evolve(link, intent=None))
            raise
        self.effects.created.add(intent.side)
        self.parts.observe(Wrote(link.id, intent.side, Verb.CREATE, tuple(intent.payload)))
        return await self._bind(link, mine, side, created, notes)

    def _notes_for_new(self, mine: Snapshot) -> Notes:
        if not self.parts.show_state:
            return Notes(counterpart=mine.id)
        return Notes(
            counterpart=mine.id,
            counterpart_version=mine.version,
            state=LinkState.IN_SYNC,
            reason="",
            attempts=0,
            synced_at=self.parts.clock.now(),
        )

    async def _bind(self, link: Link, mine: Snapshot, side: Side, created: Created, notes: Notes | None) -> Link:
        """The new record belongs to the link from here on, whatever happens next; then it is checked."""
        intent = link.open_intent
        other = intent.side
        link = attrs.evolve(
            link.with_id(other, created.id), intent=None, base=self._base_of(intent.payload), settled=False
        )
        if notes is not None:
            link = link.with_shown(other, notes)
        if created.snapshot is None:
            link = await self.parts.store.save(link)
            now = await self.parts.replica(other).get(created.id)
        else:
            now = created.snapshot
        link = self._checked(link, intent.payload, now, other)
        link = await self.parts.store.save(link)
        await self.index.learn(other, [now])
        return link

    def _base_of(self, payload: Mapping[str, Value]) -> dict[str, Agreement]:
        """What both sides agree on once a record was made from this payload."""
        return {
            field.name: Agreement(payload.get(field.name), payload.get(field.name))
            for field in self.parts.policy.fields
        }

    def _checked(self, link: Link, payload: Mapping[str, Value], now: Snapshot, other: Side) -> Link:
        """The link with what the remote made of the payload: what it dropped or altered goes to a person.

        The record that the payload came from may have moved since; what both sides agree on
        is the payload.
        """
        stored, reviews = proven(self.parts, Write(other, Verb.CREATE, payload), {}, now.fields)
        altered = {name for review in reviews if review.kind is ReviewKind.BLOCKED for name in review.fields}
        base = {name: agreement for name, agreement in link.base.items() if name not in altered}
        for name in stored:
            made = now.fields.get(name, ABSENT)
            sides = (made, payload[name]) if other is Side.LEFT else (payload[name], made)
            base[name] = Agreement(*sides)
        return attrs.evolve(link.with_shadow(other, Shadow.of(now)), base=base, reviews=(*link.reviews, *reviews))

    async def _duplicate(self, link: Link, mine: Snapshot, side: Side, error: Duplicate) -> Link:
        """The remote knows such records: the same one by strong keys, a proven stranger, or a person's call."""
        intent = link.open_intent
        link = await self.parts.store.save(attrs.evolve(link, intent=None))
        await self.index.learn(side.other, error.existing)
        known = [self.index.known(side.other, snapshot) for snapshot in error.existing]
        links = await self.parts.store.load([entry.ref for entry in known])
        verdict = judge(
            self.index.keys(mine), known, taken=lambda ref: ref in links and links[ref].on(side) is not None
        )
        if isinstance(verdict, Ref):
            return await self._adopt(link, verdict)
        if isinstance(verdict, Defer) or intent.despite_duplicates or not self._all_contradicted(mine, error):
            reason = verdict.reason if isinstance(verdict, Defer) else "duplicate"
            return await self._review(link, mine, side, reason)
        again = intent_for(self.parts, Verb.CREATE, intent.side, intent.payload, intent.watermark)
        link = await self.parts.store.save(
            attrs.evolve(link, intent=attrs.evolve(again, despite_duplicates=True), fence=link.fence + 1)
        )
        return await self._post(link, mine, side)

    def _all_contradicted(self, mine: Snapshot, error: Duplicate) -> bool:
        """Whether a strong key proves each of these to be somebody else."""
        keys = self.index.keys(mine)
        return bool(error.existing) and all(
            any(
                name.startswith("strong:") and value != keys.get(name, value)
                for name, value in self.index.keys(there).items()
            )
            for there in error.existing
        )

    async def recover(self, link: Link) -> Link:
        """Find out what became of a create, and finish it; the link keeps its intent while that must wait."""
        intent = link.open_intent
        side = intent.side.other
        found, doubtful = await self._made(link)
        if len(found) > 1:
            return await self._stop(link, "twin")
        if found:
            self.effects.created.add(intent.side)
            bound = attrs.evolve(
                link.with_id(intent.side, found[0].id),
                intent=None,
                base=self._base_of(intent.payload),
                settled=False,
                attempts=Attempts(),
            )
            stranger = (await self.parts.store.load([Ref(intent.side, found[0].id)])).get(Ref(intent.side, found[0].id))
            return await self.parts.store.save(bound, absorbs=[] if stranger is None else [stranger])
        if self.parts.clock.now() < intent.not_before:
            return link
        if doubtful or not self.parts.replica(intent.side).capabilities.finds_created:
            return await self._stop(link, "create_unconfirmed")
        mine = await self.parts.replica(side).get(link.on(side) or "")
        if mine.gone:
            return await self.parts.store.save(attrs.evolve(link, intent=None, tombstoned=True))
        again = intent_for(self.parts, Verb.CREATE, intent.side, intent.payload, intent.watermark)
        again = attrs.evolve(again, despite_duplicates=intent.despite_duplicates)
        link = await self.parts.store.save(attrs.evolve(link, intent=again, fence=link.fence + 1))
        return await self._post(link, mine, side)

    async def _stop(self, link: Link, reason: str) -> Link:
        review = Review(ReviewKind.IDENTITY, reason)
        return await self.parts.store.save(attrs.evolve(link, intent=None, reviews=(review,), settled=True))

    async def _made(self, link: Link) -> tuple[list[Snapshot], bool]:
        """The unclaimed records that the create of this link made, and whether others may be it too."""
        intent = link.open_intent
        replica, mine = self.parts.replica(intent.side), intent.side.other
        if replica.capabilities.keeps_notes:
            return list(await replica.find_by_counterpart(link.on(mine) or "")), False
        found = [there for there in await replica.find_created(intent) if self._may_be(intent.payload, there)]
        links = await self.parts.store.load([Ref(intent.side, there.id) for there in found])
        free = [
            there
            for there in found
            if (other := links.get(Ref(intent.side, there.id))) is None or other.on(mine) is None
        ]
        equal = [there for there in free if self._equal(intent.payload, there)]
        keys = self.index.keys_of(intent.payload)
        same = [there for there in free if shares_strong(keys, self.index.keys(there))]
        return equal or same, bool(free)


def _is_making(link: Link, side: Side) -> bool:
    """Whether a create towards that side is open."""
    return link.intent is not None and link.intent.verb is Verb.CREATE and link.intent.side is side
