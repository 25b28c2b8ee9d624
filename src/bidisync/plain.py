"""Plain updates, many at a time: stored together, sent side by side, stored together again.

Most of what a pass finds is plain: two linked records with nothing open between them, both
shown in full by a list, and one of them edited. Such a record needs no look of its own, and
so costs what is written. It takes the same way as any other, through the same functions:
lease, decision, intent, writes, proof, commit. Whatever is not plain, or does not go through
here, is left to the engine, one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import attrs

from bidisync.apply import Errand, carry_out
from bidisync.detectors import dated
from bidisync.errors import Contended, SyncError, Unauthorized, Unavailable, Unmappable
from bidisync.fence import Permit, lasts, latest_start, permit
from bidisync.flapping import calm
from bidisync.gate import held
from bidisync.looking import Rows, listed, nothing_new
from bidisync.model import ABSENT, Capabilities, Conditional, Ref, Side, Snapshot, Verb
from bidisync.outcome import Effects
from bidisync.parts import Parts
from bidisync.protocols import HoldsFree, Lease
from bidisync.reconcile import reconcile
from bidisync.spawn import side_by_side
from bidisync.state import Link
from bidisync.storage import SavesMany

FENCE_S = 0.5
"""So long a look at the stored fence counts, where the remote refuses what stands on an old version."""


@attrs.define
class Update:
    """A plain update under way: its errand, the link as it is stored, and how it went."""

    ref: Ref
    errand: Errand
    link: Link
    effects: Effects
    sent: bool = False
    done: Link | None = None
    error: SyncError | None = None


@attrs.frozen
class Means:
    """What it takes to deal with many at once: a store and locks that can."""

    store: SavesMany
    locks: HoldsFree


def means_of(parts: Parts) -> Means | None:
    """The means to deal with many at once, where rows of both sides are fit to be written upon."""
    store, locks = parts.store, parts.locks
    if not isinstance(store, SavesMany) or not isinstance(locks, HoldsFree) or parts.run.only is not None:
        return None
    return Means(store, locks) if all(_fit(one.capabilities) for one in parts.replicas.values()) else None


def _fit(can: Capabilities) -> bool:
    writable = can.row_is_complete and can.row_can_be_written and not can.keeps_notes
    return writable and can.conditional_write is not Conditional.IGNORED


def plain_update(parts: Parts, ref: Ref, link: Link, rows: Rows, secret: bytes) -> Update | None:
    """The update of a record that is due, if it is plain; ``None`` where the engine has to look closer."""
    try:
        return _plain_update(parts, ref, link, rows, secret)
    except SyncError:  # what is wrong with one record stops no other: the engine meets it alone
        return None


def _plain_update(parts: Parts, ref: Ref, link: Link, rows: Rows, secret: bytes) -> Update | None:
    there = link.on(ref.side.other)
    if there is None or not link.rests or link.approved:
        return None
    mine, theirs = listed(parts, ref, link, rows), listed(parts, Ref(ref.side.other, there), link, rows)
    if mine is None or theirs is None or not (_simple(mine) and _simple(theirs)):
        return None
    if nothing_new(parts, link, ref.side, mine):
        return None
    looks = {ref.side: mine, ref.side.other: theirs}
    left, right = (dated(looks[s], link.shadow(s), parts.replica(s).capabilities.clock) for s in Side)
    plan = reconcile(parts.policy, link.base, left, right)
    if not plan.writes or plan.reviews or plan.ends or any(write.verb is not Verb.UPDATE for write in plan.writes):
        return None
    if calm(link, plan, parts.clock.now()) is not plan or held(parts, link, plan, secret) is not None:
        return None
    effects = Effects(looks=looks)
    effects.begin(link)
    return Update(ref, Errand.of(parts, link, plan, looks), link, effects)


def _simple(snapshot: Snapshot) -> bool:
    """Whether there is nothing about it that somebody has to be told of."""
    return not (
        snapshot.gone
        or snapshot.version is None
        or snapshot.unreadable
        or snapshot.unknown
        or snapshot.awaits
        or snapshot.left_over
        or ABSENT in snapshot.fields.values()
    )


async def carry(parts: Parts, means: Means, updates: Sequence[Update], slots: asyncio.Semaphore) -> list[Update]:
    """Carry them out, in these slots; those that are done, or failed with an error of their own.

    The others are as they were, or due again. Raises what concerns more than one record, once
    everything that was sent is stored.
    """
    async with means.locks.hold_free([update.link.id for update in updates]) as leases:
        ours = [update for update in updates if update.link.id in leases]
        stored_at = parts.clock.monotonic()
        try:
            stored = await means.store.save_many([(u.errand.intended(parts), u.errand.lines(parts)) for u in ours])
        except (Contended, Unmappable):  # one of them was changed, or can't be stored: each finds out for itself
            return []
        for update, link in zip(ours, stored, strict=True):
            update.link, update.errand = link, update.errand.begun(link)

        async def send(update: Update) -> None:
            may_go = _permit(parts, leases[update.link.id], stored_at)
            try:
                async with slots:
                    update.sent = True
                    update.done = await carry_out(parts, update.errand, update.link, may_go, update.effects)
            except SyncError as error:
                if isinstance(error, Unauthorized) or (isinstance(error, Unavailable) and error.system):
                    raise
                update.error = error

        try:
            await side_by_side(ours, send, parts.limits.concurrency)
        except Exception:
            await _keep(parts, means.store, ours)
            raise
        await _keep(parts, means.store, ours)
    return [update for update in ours if update.done is not None or update.error is not None]


async def _keep(parts: Parts, store: SavesMany, updates: Iterable[Update]) -> None:
    """Store what came of those that were sent, and of the others that nothing is about to be written."""
    ends = [
        (update, update.done if update.done is not None else update.errand.given_up(update.errand.done))
        for update in updates
        if update.done is not None or not update.sent
    ]
    try:
        stored: Sequence[Link | None] = await store.save_many([(link, ()) for _, link in ends])
    except (Contended, Unmappable):
        stored = [await _kept_alone(parts, update, link) for update, link in ends]
    for (update, _), link in zip(ends, stored, strict=True):
        if update.done is not None:
            update.done = link


async def _kept_alone(parts: Parts, update: Update, link: Link) -> Link | None:
    """The link as it is stored; nothing where somebody else has gone on with it, or it can't be stored."""
    try:
        return await parts.store.save(link)
    except Contended:
        return None
    except Unmappable as error:
        update.error = error
        return None


def _permit(parts: Parts, lease: Lease, stored_at: float) -> Permit:
    """Leave to write: an intent that was stored a moment ago was a look at the fence as well."""
    ask = permit(parts, lease)

    async def may_go(link: Link) -> float:
        if parts.clock.monotonic() - stored_at > FENCE_S or not lasts(parts, lease):
            return await ask(link)
        return latest_start(parts, link, lease)

    return may_go
