"""A plan carried out: intent, writes against the versions seen, proof, commit.

Nothing is sent before an intent with the overwritten values is durable, nor when the lease
may end before the answer comes, nor once somebody else has taken the link over. A write
counts when its reply, or one read after it, shows the values that were sent. The base moves
for exactly those fields.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from bidisync.deadline import begun_by
from bidisync.errors import Rejected, Stale, SyncError, Transient, Unconfirmed, Unmappable
from bidisync.events import Wrote
from bidisync.fence import Permit, intent_for, permit, wait_for
from bidisync.flapping import remembered
from bidisync.guards import DAY_S, Act
from bidisync.journal import of_plan
from bidisync.model import ABSENT, Conditional, Notes, Plan, Review, Row, Side, Snapshot, Verb, Write
from bidisync.notes import show, wanted_notes
from bidisync.outcome import Effects
from bidisync.parts import Parts, living
from bidisync.proof import LEFT_OVER, Looks, left_over, moved, proven, refused, same_value
from bidisync.protocols import Lease
from bidisync.schema import OnDelete
from bidisync.state import Agreement, Attempts, Intent, Journaled, Link, Shadow, Tombstone, agreed_anew


@attrs.frozen
class Errand:
    """A plan that is to be carried out: the link as it was, what both sides showed, and the link once all is done."""

    before: Link
    plan: Plan
    looks: Looks
    done: Link

    @classmethod
    def of(cls, parts: Parts, before: Link, plan: Plan, looks: Looks) -> Errand:
        """The errand of a plan."""
        done = attrs.evolve(
            before,
            left_shadow=_shadow_after(before, looks, Side.LEFT),
            right_shadow=_shadow_after(before, looks, Side.RIGHT),
            reviews=_with_left_over(parts, plan.reviews, looks),
            base=agreed_anew(before.base, _agreements(plan.agreed, looks)),
            attempts=Attempts(),
            intent=None,
            settled=True,
            approved="",
        )
        return cls(before, plan, looks, done)

    def lines(self, parts: Parts) -> list[Journaled]:
        """What the log keeps of it."""
        return of_plan(parts, self.before, self.plan, self.looks)

    def intended(self, parts: Parts) -> Link:
        """The link before anything is sent. Attempts so far, and an approval, are those of before until all is done."""
        return attrs.evolve(
            self.done,
            intent=_intent_of(parts, self.plan),
            fence=self.done.fence + 1,
            attempts=self.before.attempts,
            approved=self.before.approved,
            settled=False,
            shown={},
        )

    def begun(self, stored: Link) -> Errand:
        """The errand once its intent is stored."""
        return attrs.evolve(self, done=attrs.evolve(self.done, revision=stored.revision, fence=stored.fence, shown={}))

    def given_up(self, done: Link) -> Link:
        """The link where not all was done: due again, and nothing is about to be written."""
        return attrs.evolve(done, settled=False, attempts=self.before.attempts, approved=self.before.approved)


async def apply(parts: Parts, before: Link, plan: Plan, looks: Looks, lease: Lease, effects: Effects) -> Link:
    """Carry out the plan; the link as it is stored afterwards.

    Raises what the replicas raise. What was acknowledged before that is stored. ``Underway`` while
    an earlier write may still arrive: what is forgotten of that would count as somebody's edit then.
    """
    if plan.writes or not _arrived(parts, before, looks):
        wait_for(parts, before)
    errand, may_go = Errand.of(parts, before, plan, looks), permit(parts, lease)
    if plan.ends and not plan.writes:
        await parts.store.forget(errand.done.refs)
        ended = attrs.evolve(errand.done, tombstone=_tombstone(parts, looks), base={}, reviews=(), missing=None)
        ended = await parts.store.save(ended, journal=errand.lines(parts))
        shown = await show(parts, ended, looks, may_go)
        return ended if shown == ended else await parts.store.save(shown)
    if plan.writes:
        stored = await parts.store.save(errand.intended(parts), journal=errand.lines(parts))
        link = await carry_out(parts, errand.begun(stored), stored, may_go, effects)
        return link if link == before else await parts.store.save(link)
    link = attrs.evolve(errand.done, intent=_out_of_sight(before, looks))
    link = await show(parts, link, looks, may_go, before=before)
    return link if link == before else await parts.store.save(link, journal=errand.lines(parts))


class Again(Stale):
    """The link was stored with what is known now; the next look goes on from there."""

    reason = "again"


async def carry_out(parts: Parts, errand: Errand, stored: Link, may_go: Permit, effects: Effects) -> Link:
    """Send the writes of an errand whose intent is stored, and prove them: the link, to be stored by the caller.

    Where one fails, what is known by then is stored before the error is raised.
    """
    plan, looks, done = errand.plan, errand.looks, errand.done
    seen = dict(looks)
    try:
        if not errand.before.approved:
            await _one_too_many(parts, plan)
        for write in plan.writes:
            notes = _joined_notes(parts, done, write)
            try:
                seen[write.side] = await _send(parts, stored, write, seen[write.side], notes, may_go)
            except (Rejected, Unmappable) as error:
                done = attrs.evolve(done, reviews=(*done.reviews, *refused(parts, write, seen, error)))
                if write.verb is Verb.DELETE:
                    done = await _as_refused(parts, done, write.side)
                raise Again("what was refused waits for a person, the rest goes on") from error
            effects_of(effects, write)
            if parts.observers:
                parts.observe(wrote(parts, stored, write, looks[write.side.other]))
            done = _acknowledge(parts, done, plan, write, looks, seen)
            if notes is not None:
                done = done.with_shown(write.side, notes)
        if plan.ends:
            await parts.store.forget(stored.refs)
            archives = parts.policy.on_delete is OnDelete.ARCHIVE  # then it is still there
            return attrs.evolve(done, tombstone=_tombstone(parts, looks if archives else seen), base={}, reviews=())
        done = attrs.evolve(done, recent=remembered(done, plan, parts.clock.now()))
        effects.settled += len({d.group for d in plan.decisions if d.row is Row.BOTH_CHANGED and d.writes})
        return await show(parts, done, seen, may_go, claimed=True)
    except Unconfirmed:
        through = attrs.evolve(stored.open_intent, unconfirmed=True)  # nobody is at work on it any more
        await parts.store.save(attrs.evolve(stored, intent=through))
        raise
    except SyncError:
        await parts.store.save(errand.given_up(done))
        raise


async def _as_refused(parts: Parts, link: Link, side: Side) -> Link:
    """The link with the survivor as the refusal left it: the attempt may have moved its version."""
    now = await parts.replica(side).get(link.on(side) or "")
    return link if now.gone else link.with_shadow(side, Shadow.of(now))


async def _one_too_many(parts: Parts, plan: Plan) -> None:
    """``Again`` where others were about to delete at the same moment, and all together pass the bound.

    Whoever deletes has its act in the journal by now, so the later one of two sees the earlier.
    """
    acts = [Act.DELETE.on(write.side) for write in plan.writes if write.verb is Verb.DELETE]
    if not acts:
        return
    lately = await parts.store.acts_since(parts.clock.now() - DAY_S, only=acts)
    links = await living(parts)
    if any(parts.bounds.passed(Act.DELETE, len(lately.get(act, ())), links) for act in acts):
        raise Again("others delete at this moment, too")


def _tombstone(parts: Parts, looks: Looks) -> Tombstone:
    return Tombstone(parts.clock.now(), tuple(side for side, snapshot in looks.items() if snapshot.gone))


def _intent_of(parts: Parts, plan: Plan) -> Intent:
    first, *rest = plan.writes
    intent = intent_for(parts, first.verb, first.side, first.fields)
    return attrs.evolve(intent, other_payload=dict(rest[0].fields)) if rest else intent


def landed(parts: Parts, link: Link, looks: Looks) -> Link:
    """The link, knowing which writes of an interrupted intent arrived.

    A field that holds exactly what was sent was written by us: both sides agreed on it then.
    What a person made of it since, on either side, is a change again and not a conflict.
    """
    if link.intent is None or link.intent.verb is not Verb.UPDATE:
        return link
    base = dict(link.base)
    for side, snapshot in looks.items():
        for name, sent in link.intent.sent_to(side).items():
            if same_value(parts, name, snapshot.fields.get(name, ABSENT), sent):
                base[name] = Agreement(sent, sent)
    return attrs.evolve(link, base=base)


def _out_of_sight(link: Link, looks: Looks) -> Intent | None:
    """The interrupted intent, while a record that it wrote to is not there: seen again, it tells what is ours."""
    intent = link.intent
    if intent is None or intent.verb is not Verb.UPDATE:
        return None
    return intent if any(snapshot.gone and intent.sent_to(side) for side, snapshot in looks.items()) else None


def _arrived(parts: Parts, link: Link, looks: Looks) -> bool:
    """Whether everything that an interrupted intent was to write is there."""
    if link.intent is None or link.intent.verb is Verb.CREATE:
        return True
    if link.intent.verb is Verb.DELETE:
        return looks[link.intent.side].gone
    return all(
        snapshot.gone or same_value(parts, name, snapshot.fields.get(name, ABSENT), sent)
        for side, snapshot in looks.items()
        for name, sent in link.intent.sent_to(side).items()
    )


def effects_of(effects: Effects, write: Write) -> None:
    """Count an acknowledged write."""
    match write.verb:
        case Verb.UPDATE:
            effects.updated.add(write.side)
        case Verb.CREATE:
            effects.created.add(write.side)
        case Verb.DELETE:
            effects.deleted.add(write.side)


def wrote(parts: Parts, link: Link, write: Write, source: Snapshot) -> Wrote:
    """The event of an acknowledged write, with the time since the edit on the other side where that is known.

    What the first contact brings along was entered long ago: that is no lag.
    """
    edited_at = None if source.modified_by_us or parts.run.first_contact else source.modified_at
    lag_s = None if edited_at is None else max(0.0, parts.clock.now() - edited_at)
    return Wrote(link.id, write.side, write.verb, tuple(write.fields), parts.run.id, lag_s)


async def _send(
    parts: Parts, link: Link, write: Write, seen: Snapshot, notes: Notes | None, may_go: Permit
) -> Snapshot:
    replica = parts.replica(write.side)
    seen = await _fresh(parts, write.side, seen)
    with begun_by(await may_go(link)):
        if write.verb is Verb.DELETE:
            await replica.delete(seen)
            return attrs.evolve(seen, gone=True)
        proof = await replica.update(seen, write.fields, notes=notes)
    if proof is not None:
        return proof
    try:
        return await _read_back(parts, write, seen)
    except Transient as error:
        raise Unconfirmed("the write was taken, and could not be read back") from error


async def _read_back(parts: Parts, write: Write, seen: Snapshot) -> Snapshot:
    """The record after a write; one that still shows the version before it is read again for a while."""
    replica = parts.replica(write.side)
    now = await replica.get(seen.id)
    for _ in range(parts.limits.rereads):
        stored = all(same_value(parts, name, now.fields.get(name, ABSENT), sent) for name, sent in write.fields.items())
        if stored or now.version is None or now.version != seen.version:
            break
        await parts.clock.sleep(parts.limits.consistency_s / parts.limits.rereads)
        now = await replica.get(seen.id)
    return now


async def _fresh(parts: Parts, side: Side, seen: Snapshot) -> Snapshot:
    """The snapshot if a write may stand on it, else a new one of the same record; ``Stale`` if it moved."""
    can = parts.replica(side).capabilities
    usable = can.row_can_be_written or not seen.row
    guarded = can.conditional_write is not Conditional.IGNORED and seen.version is not None
    age = parts.clock.now() - seen.seen_at
    if usable and (guarded or 0.0 <= age <= parts.limits.freshness_s):
        return seen
    now = await parts.replica(side).get(seen.id)
    change = parts.detector(Shadow.of(seen), now)
    if change is None or change:
        raise Stale("the record moved before it could be written")
    return now


def _shadow_after(link: Link, looks: Looks, side: Side) -> Shadow | None:
    """What to remember of a side after these looks."""
    if side not in looks or looks[side].gone:
        return link.shadow(side)
    return Shadow.of(looks[side])


def _agreements(fields: Iterable[str], looks: Looks) -> dict[str, Agreement]:
    left, right = looks[Side.LEFT].fields, looks[Side.RIGHT].fields
    return {name: Agreement(left.get(name, ABSENT), right.get(name, ABSENT)) for name in fields}


def _acknowledge(parts: Parts, link: Link, plan: Plan, write: Write, looks: Looks, seen: Looks) -> Link:
    """The link once this write is proven: shadow, base, and what the remote made of it.

    What is agreed on is what was decided on, and what came of it where it was written: not what
    somebody made of the other side meanwhile.
    """
    if write.verb is Verb.DELETE:
        return link
    now = seen[write.side]
    until = parts.clock.now() + parts.limits.consistency_s + parts.limits.clocks_apart_s
    link = link.with_shadow(write.side, Shadow.of(now).replacing(looks[write.side], write.fields, until))
    stored, reviews = proven(parts, write, looks[write.side].fields, now.fields)
    place = plan.writes.index(write)
    sent_later = {name for later in plan.writes[place + 1 :] for name in later.fields}
    sent = {done.side: set(done.fields) for done in plan.writes[: place + 1]}
    agreed = {
        name: Agreement(
            *((seen if name in sent.get(side, ()) else looks)[side].fields.get(name, ABSENT) for side in Side)
        )
        for name in stored
        if name not in sent_later
    }
    expected = {**looks[write.side].fields, **write.fields}
    return attrs.evolve(
        link,
        base=agreed_anew(link.base, agreed),
        reviews=_with_left_over(parts, (*link.reviews, *reviews), {**seen, write.side: now}),
        settled=link.settled and not moved(parts, expected, now.fields, ignore=write.fields),
    )


def _with_left_over(parts: Parts, reviews: Iterable[Review], looks: Looks) -> tuple[Review, ...]:
    """The reviews, with what a person has to end in these records, and not what was ended."""
    return (*(review for review in reviews if review.reason != LEFT_OVER), *left_over(parts, looks))


def _joined_notes(parts: Parts, link: Link, write: Write) -> Notes | None:
    """Notes that travel with a data write, where this side keeps them and nothing comes after it."""
    if write.verb is not Verb.UPDATE or not parts.replica(write.side).capabilities.keeps_notes:
        return None
    return wanted_notes(parts, link, write.side, parts.clock.now())
