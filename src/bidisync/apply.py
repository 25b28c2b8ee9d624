"""A plan carried out: intent, writes against the versions seen, proof, commit.

Nothing is sent before an intent with the overwritten values is durable, nor when the lease
may end before the answer comes, nor once somebody else has taken the link over. A write
counts when its reply, or one read after it, shows the values that were sent. The base moves
for exactly those fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from bidisync.errors import Contended, Rejected, Stale, SyncError, Transient, Unconfirmed, Unmappable
from bidisync.events import Wrote
from bidisync.model import (
    ABSENT,
    Conditional,
    Fields,
    Notes,
    Plan,
    Review,
    ReviewKind,
    Row,
    Side,
    Snapshot,
    Value,
    Verb,
    Versions,
    Write,
)
from bidisync.outcome import Effects, reason_of
from bidisync.parts import Parts
from bidisync.protocols import Lease
from bidisync.state import Agreement, Attempts, Intent, Journaled, Link, Shadow

Looks = Mapping[Side, Snapshot]


async def apply(parts: Parts, before: Link, plan: Plan, looks: Looks, lease: Lease, effects: Effects) -> Link:
    """Carry out the plan; the link as it is stored afterwards.

    Raises what the replicas raise. What was acknowledged before that is stored.
    """
    link = attrs.evolve(
        _after_looking(before, looks),
        reviews=plan.reviews,
        base={**before.base, **_agreements(plan.agreed, looks)},
        attempts=Attempts(),
        intent=None,
        settled=True,
    )
    if plan.ends and not plan.writes:
        await parts.store.forget(link.refs)
        return await parts.store.save(attrs.evolve(link, tombstoned=True, base={}, reviews=()))
    if plan.writes:
        wait_for(parts, before)
        link = await _carry_out(parts, link, plan, looks, lease, effects)
    else:
        link = await show(parts, link, looks, lease)
    return link if link == before else await parts.store.save(link)


def wait_for(parts: Parts, link: Link) -> None:
    """Refuse to write while an earlier writer's last request may still be under way."""
    if link.intent is not None and parts.clock.now() < link.intent.not_before:
        raise Underway(link.intent.not_before)


class Again(Stale):
    """The link was stored with what is known now; the next look goes on from there."""

    reason = "again"


class Underway(Contended):
    """An earlier write to this record may still arrive; ``until`` says when that is over."""

    reason = "underway"

    def __init__(self, until: float) -> None:
        super().__init__("an earlier write to this record may still be under way")
        self.until = until


async def _carry_out(parts: Parts, link: Link, plan: Plan, looks: Looks, lease: Lease, effects: Effects) -> Link:
    done = link
    link = await parts.store.save(
        attrs.evolve(
            link,
            intent=_intent_of(parts, plan),
            fence=link.fence + 1,
            settled=False,
            shown={},
        ),
        journal=_journal(parts, link, plan),
    )
    done = attrs.evolve(done, revision=link.revision, fence=link.fence, shown={})
    seen = dict(looks)
    try:
        for write in plan.writes:
            notes = _joined_notes(parts, done, write)
            try:
                seen[write.side] = await _send(parts, link, write, seen[write.side], notes, lease)
            except (Rejected, Unmappable) as error:
                done = attrs.evolve(done, reviews=(*done.reviews, *refused(parts, write, seen, error)))
                raise Again("what was refused waits for a person, the rest goes on") from error
            effects_of(effects, write)
            parts.observe(Wrote(link.id, write.side, write.verb, tuple(write.fields)))
            done = _acknowledge(parts, done, plan, write, looks, seen)
            if notes is not None:
                done = done.with_shown(write.side, notes)
        if plan.ends:
            await parts.store.forget(link.refs)
            return attrs.evolve(done, tombstoned=True, base={}, reviews=())
        effects.settled += len({d.group for d in plan.decisions if d.row is Row.BOTH_CHANGED and d.writes})
        return await show(parts, done, seen, lease)
    except Unconfirmed:
        raise
    except SyncError:
        await parts.store.save(attrs.evolve(done, settled=False))
        raise


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
            if _same_value(parts, name, snapshot.fields.get(name, ABSENT), sent):
                base[name] = Agreement(sent, sent)
    return attrs.evolve(link, base=base)


def intent_for(
    parts: Parts, verb: Verb, side: Side, payload: Mapping[str, Value], watermark: str | None = None
) -> Intent:
    """An intent that is sent now: others may write once lease, request and lag are over."""
    now = parts.clock.now()
    over = now + parts.locks.lease_s + parts.limits.request_timeout_s + parts.limits.search_lag_s
    return Intent(verb, side, dict(payload), sent_at=now, not_before=over, watermark=watermark)


def effects_of(effects: Effects, write: Write) -> None:
    """Count an acknowledged write."""
    match write.verb:
        case Verb.UPDATE:
            effects.updated.add(write.side)
        case Verb.CREATE:
            effects.created.add(write.side)
        case Verb.DELETE:
            effects.deleted.add(write.side)


async def may_write(parts: Parts, link: Link, lease: Lease) -> None:
    """Return only if a request that starts now ends within the lease, and nobody took over."""
    needed = parts.limits.request_timeout_s + 0.1 * parts.locks.lease_s
    if lease.remaining() < needed:
        await lease.renew()
        if lease.remaining() < needed:
            raise Contended("the lease ends before a request could")
    if await parts.store.fence(link) != link.fence:
        raise Contended("somebody else took this record over")


async def _send(parts: Parts, link: Link, write: Write, seen: Snapshot, notes: Notes | None, lease: Lease) -> Snapshot:
    replica = parts.replica(write.side)
    seen = await _fresh(parts, write.side, seen)
    await may_write(parts, link, lease)
    if write.verb is Verb.DELETE:
        await replica.delete(seen)
        return attrs.evolve(seen, gone=True)
    proof = await replica.update(seen, write.fields, notes=notes)
    if proof is not None:
        return proof
    try:
        return await replica.get(seen.id)
    except Transient as error:
        raise Unconfirmed("the write was taken, and could not be read back") from error


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


def _after_looking(link: Link, looks: Looks) -> Link:
    for side, snapshot in looks.items():
        if not snapshot.gone:
            link = link.with_shadow(side, Shadow.of(snapshot))
    return link


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
    link = link.with_shadow(write.side, Shadow.of(now))
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
        base={**link.base, **agreed},
        reviews=(*link.reviews, *reviews),
        settled=link.settled and not _moved(parts, expected, now.fields, ignore=write.fields),
    )


def proven(parts: Parts, write: Write, before: Fields, now: Fields) -> tuple[tuple[str, ...], tuple[Review, ...]]:
    """Which fields the remote stored (or plainly ignored), and what a person must be told of the others."""
    stored, reviews = [], []
    for name, sent in write.fields.items():
        field, got = parts.policy.field(name), now.get(name, ABSENT)
        if got is ABSENT:
            continue
        if _same_value(parts, name, got, sent):
            stored.append(name)
            continue
        ignored = _same_value(parts, name, got, before.get(name))
        versions = Versions(ABSENT, sent, got) if write.side is Side.RIGHT else Versions(ABSENT, got, sent)
        if ignored:
            stored.append(name)
            reviews.append(Review(ReviewKind.READ_ONLY, "ignored", field.group, {name: versions}))
        else:
            reviews.append(Review(ReviewKind.BLOCKED, "altered", field.group, {name: versions}))
    return tuple(stored), tuple(reviews)


def refused(parts: Parts, write: Write, looks: Looks, error: Rejected | Unmappable) -> list[Review]:
    """A review for each group of a refused write; only for the named field's, if the error names one."""
    fields = [parts.policy.field(name) for name in write.fields]
    blamed = [field for field in fields if field.name == error.field] or fields
    left, right = (looks[side].fields if side in looks else {} for side in Side)
    reviews = {
        field.group: Review(
            ReviewKind.BLOCKED,
            error.reason,
            field.group,
            {
                other.name: Versions(ABSENT, left.get(other.name, ABSENT), right.get(other.name, ABSENT))
                for other in blamed
                if other.group == field.group
            },
        )
        for field in blamed
    }
    return list(reviews.values())


def _same_value(parts: Parts, name: str, one: object, other: object) -> bool:
    if one == other:
        return True
    key = parts.policy.field(name).key
    return all(isinstance(v, str | int | float | bool | tuple) for v in (one, other)) and key(one) == key(other)  # type: ignore[arg-type]


def _moved(parts: Parts, expected: Fields, now: Fields, *, ignore: Iterable[str]) -> bool:
    """Whether somebody else changed the record while we wrote other fields of it."""
    return any(
        not _same_value(parts, name, value, expected.get(name, ABSENT))
        for name, value in now.items()
        if value is not ABSENT and expected.get(name, ABSENT) is not ABSENT and name not in set(ignore)
    )


def _journal(parts: Parts, link: Link, plan: Plan) -> list[Journaled]:
    now = parts.clock.now()
    return [
        Journaled(link.id, now, side, d.field, d.row.value, d.policy, lost=d.versions.on(side), kept=d.result)
        for d in plan.losers
        for side in d.writes
        if d.versions.on(side) not in (None, ABSENT)
    ]


def wanted_notes(parts: Parts, link: Link, side: Side, synced_at: float | None) -> Notes:
    """What the record of that side should show of this link."""
    other = side.other
    if not parts.show_state:
        return Notes(counterpart=link.on(other))
    shadow = link.shadow(other)
    return Notes(
        counterpart=link.on(other),
        counterpart_version=None if shadow is None else shadow.version,
        state=link.state,
        reason=reason_of(link),
        attempts=link.attempts.count,
        synced_at=synced_at,
    )


def _joined_notes(parts: Parts, link: Link, write: Write) -> Notes | None:
    """Notes that travel with a data write, where this side keeps them and nothing comes after it."""
    if write.verb is not Verb.UPDATE or not parts.replica(write.side).capabilities.keeps_notes:
        return None
    return wanted_notes(parts, link, write.side, parts.clock.now())


async def show(parts: Parts, link: Link, looks: Looks, lease: Lease) -> Link:
    """Write the notes of the link where they are due; the link, with what is shown now.

    Due after a data write, a create, an adoption, or a changed state. A record that moved
    meanwhile keeps the link unsettled, so that it is looked at again.
    """
    for side, snapshot in looks.items():
        replica = parts.replica(side)
        if snapshot.gone or not replica.capabilities.keeps_notes:
            continue
        notes = wanted_notes(parts, link, side, parts.clock.now())
        if not _due(notes, link.shown.get(side), snapshot.notes):
            continue
        try:
            await may_write(parts, link, lease)
            proof = await replica.update(snapshot, {}, notes=notes)
        except (Stale, Unconfirmed):
            return attrs.evolve(link, settled=False)
        now = proof if proof is not None else await replica.get(snapshot.id)
        moved = _moved(parts, snapshot.fields, now.fields, ignore=())
        link = link.with_shadow(side, Shadow.of(now))
        link = attrs.evolve(link.with_shown(side, notes), settled=link.settled and not moved)
    return link


def _due(wanted: Notes, shown: Notes | None, there: Notes | None) -> bool:
    if wanted.state is None:
        return wanted.counterpart is not None and (there is None or there.counterpart != wanted.counterpart)
    if shown is None:
        return True
    return (shown.state, shown.reason, shown.counterpart) != (wanted.state, wanted.reason, wanted.counterpart)
