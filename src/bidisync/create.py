"""A record made on the other side: once, whatever becomes of the request.

A create happens at most once per intent. When its outcome is not known, the record is
looked for, again after every trace of the first request must have shown up, and only then
sent again, with the same payload, as often as any failing write is tried. What both sides
agree on afterwards is that payload.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from bidisync.apply import wrote
from bidisync.deadline import begun_by
from bidisync.errors import Contended, Duplicate, Rejected, SyncError, Unconfirmed, Unmappable
from bidisync.events import Failed
from bidisync.fence import intent_for, may_write
from bidisync.gate import held
from bidisync.identity import contradicts, shares_strong
from bidisync.index import Index
from bidisync.journal import of_create
from bidisync.model import (
    ABSENT,
    Created,
    Defer,
    LinkState,
    Notes,
    Plan,
    Ref,
    ReviewKind,
    Side,
    Snapshot,
    Value,
    Verb,
    Write,
)
from bidisync.outcome import Effects
from bidisync.parts import Parts
from bidisync.proof import proven, refused
from bidisync.protocols import Lease
from bidisync.replay import new_record
from bidisync.schema import alike
from bidisync.state import Agreement, Attempts, Intent, Link, Shadow, Tombstone, Watch
from bidisync.strangers import Strangers, belongs

UNCONFIRMED = "create_unconfirmed"  # nobody can tell what became of it
TWIN = "twin"  # it was made more than once
TAKEN = "match_taken"  # somebody else's counterpart by now
NOT_DELIVERED = "not_delivered"  # nothing is known of what it holds
FIRST_LOOK_S = 900.0
WATCHED_S = 72_000.0


def watching(intent: Intent, now: float) -> Watch:
    """Look for a twin of what this create made, soon and once more within a day."""
    return Watch(intent, now + FIRST_LOOK_S, now + WATCHED_S)


def is_making(link: Link, side: Side) -> bool:
    """Whether a create towards that side is open."""
    return link.creating and link.open_intent.side is side


@attrs.frozen(eq=False, repr=False)
class Creation:
    """The making of counterparts under one lease."""

    parts: Parts
    index: Index
    lease: Lease
    effects: Effects
    strangers: Strangers

    async def create(self, link: Link, mine: Snapshot, side: Side) -> Link:
        """The link with a counterpart made from this record; stored as waiting where that did not work."""
        payload = {
            field.name: value
            for field in self.parts.policy.fields
            if side.other not in field.read_only | field.update_only
            and (value := mine.fields.get(field.name, ABSENT)) is not ABSENT
            and value is not None
        }
        missing = [field.name for field in self.parts.policy.fields if field.required and field.name not in payload]
        if missing:
            reason = Unmappable.reason if mine.unreadable.intersection(missing) else "required"
            return await self.strangers.block(link, mine, side, reason, missing)
        names = [field.name for field in self.parts.policy.fields]
        if all(mine.fields.get(name, ABSENT) is ABSENT for name in names):
            reason = Unmappable.reason if mine.unreadable else NOT_DELIVERED
            return await self.strangers.block(link, mine, side, reason, names)
        replica = self.parts.replica(side.other)
        if replica.capabilities.keeps_notes:
            named = await replica.find_by_counterpart(mine.id)
            if named:
                return await self.strangers.adopt_one_of(link, mine, side, named)
        plan = Plan(tuple(new_record(self.parts.policy, payload, side)), (Write(side.other, Verb.CREATE, payload),))
        waits = held(self.parts, link, plan, self.index.secret)
        if waits is not None:
            return await self.strangers.hold(link, mine, side, waits)
        watermark = await self.index.newest(side.other)
        intent = intent_for(self.parts, Verb.CREATE, side.other, payload, watermark)
        link = await self.parts.store.save(
            attrs.evolve(
                link.with_shadow(side, Shadow.of(mine)),
                intent=intent,
                fence=link.fence + 1,
                reviews=(),
                settled=False,
            ),
            journal=[of_create(self.parts, link, plan, side.other)],
        )
        return await self._post(link, mine, side)

    async def _post(self, link: Link, mine: Snapshot, side: Side) -> Link:
        """Send the create of the open intent."""
        intent = link.open_intent
        replica = self.parts.replica(intent.side)
        notes = self._notes_for_new(mine) if replica.capabilities.keeps_notes else None
        latest = await may_write(self.parts, link, self.lease)
        try:
            with begun_by(latest):
                created = await replica.create(
                    intent.payload, notes=notes, despite_duplicates=intent.despite_duplicates
                )
        except Duplicate as error:
            return await self._duplicate(link, mine, side, error)
        except (Rejected, Unmappable) as error:
            reviews = refused(self.parts, Write(intent.side, Verb.CREATE, intent.payload), {side: mine}, error)
            names = [name for review in reviews for name in review.fields]
            return await self.strangers.block(link, mine, side, error.reason, names)
        except Unconfirmed:
            link = await self.parts.store.save(attrs.evolve(link, intent=attrs.evolve(intent, unconfirmed=True)))
            return await self.recover(link)
        except SyncError:
            await self.parts.store.save(attrs.evolve(link, intent=None))
            raise
        self.effects.created.add(intent.side)
        self.parts.observe(wrote(self.parts, link, Write(intent.side, Verb.CREATE, intent.payload), mine))
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
        """The new record belongs to the link from here on, whatever happens next; then it is checked.

        Who it is becomes known before that, so that a second record of the same client finds it.
        """
        intent = link.open_intent
        other = intent.side
        await self.index.learn(other, [created.snapshot or Snapshot(created.id, intent.payload, notes=notes)])
        link = attrs.evolve(
            link.with_id(other, created.id),
            intent=None,
            base=self._base_of(intent.payload, other),
            settled=False,
            approved="",
            attempts=Attempts(),
            watch=watching(intent, self.parts.clock.now()) if intent.unconfirmed else None,
        )
        if notes is not None:
            link = link.with_shown(other, notes)
        if created.snapshot is None:
            link = await self.parts.store.save(link)
            now = await self.parts.replica(other).get(created.id)
            await self.index.learn(other, [now])
        else:
            now = created.snapshot
        link = self._checked(link, intent.payload, now, other)
        return await self.parts.store.save(link)

    def _base_of(self, payload: Mapping[str, Value], made_on: Side) -> dict[str, Agreement]:
        """What both sides agree on once a record was made from this payload.

        Nothing yet about fields that the new record could not take: a person is told of those.
        """
        return {
            field.name: Agreement(payload.get(field.name), payload.get(field.name))
            for field in self.parts.policy.fields
            if made_on not in field.read_only | field.update_only
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
        verdict = self.parts.identity.judge(
            self.index.keys(mine), known, taken=lambda ref: ref in links and belongs(links[ref], "", side)
        )
        if isinstance(verdict, Ref):
            there = next(snapshot for snapshot in error.existing if snapshot.id == verdict.id)
            await self.not_just_made(link, there, verdict.side)
            return await self.strangers.adopt(link, verdict)
        if isinstance(verdict, Defer) or intent.despite_duplicates or not self._all_contradicted(mine, error):
            reason = verdict.reason if isinstance(verdict, Defer) else "duplicate"
            return await self.strangers.review(link, mine, side, reason)
        again = intent_for(self.parts, Verb.CREATE, intent.side, intent.payload, intent.watermark)
        link = await self.parts.store.save(
            attrs.evolve(link, intent=attrs.evolve(again, despite_duplicates=True), fence=link.fence + 1)
        )
        return await self._post(link, mine, side)

    def _all_contradicted(self, mine: Snapshot, error: Duplicate) -> bool:
        """Whether a strong key proves each of these to be somebody else."""
        keys = self.index.keys(mine)
        return bool(error.existing) and all(contradicts(keys, self.index.keys(there)) for there in error.existing)

    async def recover(self, link: Link) -> Link:
        """Find out what became of a create, and finish it; the link keeps its intent while that must wait."""
        intent = link.open_intent
        side = intent.side.other
        found, doubtful = await self._made(link)
        if len(found) > 1:
            return await self.strangers.stop(link, TWIN)
        if found:
            there = Ref(intent.side, found[0].id)
            stranger = (await self.parts.store.load([there])).get(there)
            if stranger is not None and belongs(stranger, link.on(side) or "", side):
                return await self.strangers.stop(link, TAKEN)
            await self.index.learn(intent.side, found)
            self.effects.created.add(intent.side)
            bound = attrs.evolve(
                link.with_id(intent.side, there.id),
                intent=None,
                base=self._base_of(intent.payload, intent.side),
                settled=False,
                approved="",
                attempts=Attempts(),
                watch=watching(intent, self.parts.clock.now()),
            )
            if stranger is not None and bound.retention is None:
                bound = attrs.evolve(bound, retention=stranger.retention)
            return await self.parts.store.save(bound, absorbs=[] if stranger is None else [stranger])
        if self.parts.clock.now() < intent.not_before:
            return link
        if doubtful or not self.parts.replica(intent.side).capabilities.finds_created:
            return await self.strangers.stop(link, UNCONFIRMED)
        mine = await self.parts.replica(side).get(link.on(side) or "")
        if mine.gone:
            now = self.parts.clock.now()  # a request that still arrives makes a record that is nobody's
            over = attrs.evolve(link, intent=None, tombstone=Tombstone(now, (side,)), watch=watching(intent, now))
            return await self.parts.store.save(over)
        failed = Attempts(link.attempts.count + 1, reason=Unconfirmed.reason)
        if failed.count >= self.parts.backoff.attempts:
            return await self._give_up(link, failed)
        again = intent_for(self.parts, Verb.CREATE, intent.side, intent.payload, intent.watermark)
        again = attrs.evolve(again, despite_duplicates=intent.despite_duplicates, unconfirmed=True)
        link = await self.parts.store.save(attrs.evolve(link, intent=again, attempts=failed, fence=link.fence + 1))
        return await self._post(link, mine, side)

    async def _give_up(self, link: Link, failed: Attempts) -> Link:
        """The link as a dead letter: what was sent so often never arrived, and nothing of it is under way."""
        now = self.parts.clock.now()
        dead = attrs.evolve(failed, next_at=now, dead=True)
        link = await self.parts.store.save(attrs.evolve(link, intent=None, attempts=dead, settled=False))
        self.parts.observe(Failed(link.origin, link.id, dead.reason, dead.count, now, self.parts.run.id))
        return link

    async def _made(self, link: Link) -> tuple[list[Snapshot], bool]:
        """The unclaimed records that the create of this link made, and whether others may be it too."""
        intent = link.open_intent
        replica, mine = self.parts.replica(intent.side), intent.side.other
        if replica.capabilities.keeps_notes:
            return list(await replica.find_by_counterpart(link.on(mine) or "")), False
        found = [there for there in await replica.find_created(intent) if self.may_be(intent.payload, there)]
        links = await self.parts.store.load([Ref(intent.side, there.id) for there in found])
        free = [
            there
            for there in found
            if (other := links.get(Ref(intent.side, there.id))) is None or other.on(mine) is None
        ]
        equal = [there for there in free if self.equal(intent.payload, there)]
        keys = self.index.keys_of(intent.payload)
        same = [there for there in free if shares_strong(keys, self.index.keys(there))]
        return equal or same, bool(free)

    async def not_just_made(self, link: Link, there: Snapshot, side: Side) -> None:
        """Refuse to take for a stranger's, or for new, what another create that is still open may have made."""
        for other in await self.parts.store.open_creates():
            if other.id != link.id and is_making(other, side) and self.may_be(other.open_intent.payload, there):
                raise Contended("a create that may have made this record is still open")

    def may_be(self, payload: Mapping[str, Value], there: Snapshot) -> bool:
        """Whether a record may be the one made from this payload: the same values, or the same keys."""
        if self.equal(payload, there):
            return True
        keys, theirs = self.index.keys_of(payload), self.index.keys(there)
        return shares_strong(keys, theirs) or self.parts.identity.hints(keys, theirs)

    def equal(self, payload: Mapping[str, Value], there: Snapshot) -> bool:
        """Whether a record holds the values of this payload, as far as they can be compared."""
        for field in self.parts.policy.fields:
            sent, got = payload.get(field.name), there.fields.get(field.name, ABSENT)
            untold = field.create_only or field.read_only or field.update_only
            if not (alike(field.key, sent, got) or untold or got is ABSENT):
                return False
        return True
