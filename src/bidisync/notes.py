"""What the records of a link show of their own synchronisation."""

from __future__ import annotations

import attrs

from bidisync.deadline import begun_by
from bidisync.errors import Stale, SyncError, Unconfirmed
from bidisync.fence import Permit, intent_for, wait_for_writer
from bidisync.guards import held_review
from bidisync.model import LinkState, Notes, Side, Verb
from bidisync.outcome import reason_of
from bidisync.parts import Parts
from bidisync.proof import Looks, moved
from bidisync.state import Link, Shadow


def wanted_notes(parts: Parts, link: Link, side: Side, synced_at: float | None) -> Notes:
    """What the record of that side should show of this link."""
    other = side.other
    if not parts.show_state:
        return Notes(counterpart=link.on(other), replaces=link.given_up)
    shadow = link.shadow(other)
    return Notes(
        counterpart=link.on(other),
        counterpart_version=None if shadow is None else shadow.version,
        state=LinkState.GONE if held_review(link) and link.missing is not None else link.state,
        reason=reason_of(link),
        attempts=link.attempts.count,
        synced_at=synced_at,
        replaces=link.given_up,
    )


async def show(
    parts: Parts, link: Link, looks: Looks, permit: Permit, *, before: Link | None = None, claimed: bool = False
) -> Link:
    """Write the notes of the link where they are due; the link, with what is shown now.

    Due after a data write, a create, an adoption, or a changed state. A record that moved
    meanwhile keeps the link unsettled, so that it is looked at again. Unless the link is
    ``claimed`` by the intent of a data write, an intent is stored first, and one that
    ``before`` has is waited for: of two workers without a lease between them, one writes.
    """
    ours = False
    for side, snapshot in looks.items():
        replica = parts.replica(side)
        if snapshot.gone or not replica.capabilities.keeps_notes:
            continue
        notes = wanted_notes(parts, link, side, parts.clock.now())
        if not _due(notes, link.shown.get(side), snapshot.notes):
            continue
        if not claimed and not ours:
            wait_for_writer(parts, before or link)
            link, ours = await _claim(parts, link, side), True
        try:
            with begun_by(await permit(link)):
                proof = await replica.update(snapshot, {}, notes=notes)
            now = proof if proof is not None else await replica.get(snapshot.id)
        except Stale:
            return attrs.evolve(link, settled=False)
        except Unconfirmed:  # what it shows now, nobody knows
            return attrs.evolve(link, settled=False, shown={s: n for s, n in link.shown.items() if s is not side})
        except SyncError:
            if ours:
                await parts.store.save(attrs.evolve(link, settled=False))
            raise
        disturbed = moved(parts, snapshot.fields, now.fields, ignore=())
        before_data = link.shadow(side)  # what our write of data replaced may still come back as an old answer
        replaced = None if before_data is None else before_data.replaced
        link = link.with_shadow(side, attrs.evolve(Shadow.of(now), replaced=replaced))
        link = attrs.evolve(link.with_shown(side, notes), settled=link.settled and not disturbed)
    return link


async def _claim(parts: Parts, link: Link, side: Side) -> Link:
    """The link as it was given, once it is stored that its notes are about to be written.

    What an intent of before has sent to a record out of sight stays known meanwhile, and afterwards.
    """
    kept = link.intent
    intent = intent_for(parts, Verb.UPDATE, side, {})
    if kept is not None:
        intent = attrs.evolve(intent, side=kept.side, payload=kept.payload, other_payload=kept.other_payload)
    stored = await parts.store.save(attrs.evolve(link, intent=intent, fence=link.fence + 1, settled=False, shown={}))
    return attrs.evolve(link, revision=stored.revision, fence=stored.fence, intent=kept and intent)


def _due(wanted: Notes, shown: Notes | None, there: Notes | None) -> bool:
    if wanted.state is None:
        return wanted.counterpart is not None and (there is None or there.counterpart != wanted.counterpart)
    if shown is None:
        return True
    return (shown.state, shown.reason, shown.counterpart) != (wanted.state, wanted.reason, wanted.counterpart)
