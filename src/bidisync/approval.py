"""What an operator may say to links: go on with exactly this plan, try again, end, forget, or keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from bidisync.create import UNCONFIRMED
from bidisync.errors import Contended, Misconfigured
from bidisync.guards import HeldPlan, held_by, held_review
from bidisync.model import Ref, Side
from bidisync.protocols import Clock
from bidisync.retention import look_again
from bidisync.state import (
    BROUGHT_BACK,
    DELETE_REFUSED,
    FORGET,
    OPERATOR,
    Attempts,
    Journaled,
    Link,
    Retention,
    Tombstone,
)
from bidisync.storage import StateStore

TRIES = 10


async def approve(store: StateStore, clock: Clock, digest: str) -> HeldPlan | None:
    """Let exactly the plans of this digest go; ``None``: nothing that waits has it (any more), and nothing was let go.

    A digest names either everything that is held under one reason (``held_plans``) or the plan
    of one link alone (``Task.approves``). Whatever moved meanwhile has another one and stays held.
    """
    waiting = await store.waiting()
    found = held_by(waiting, digest)
    if found is None:
        return None
    named = set(found.links)
    members = [link for link in waiting if link.id in named]
    shown = {link.id: review.plan for link in members if (review := held_review(link)) is not None}

    def approved(link: Link) -> Link:
        return attrs.evolve(link, approved=shown[link.id], settled=False)

    await _change(store, clock, members, "approve", approved)
    return found


async def revive(store: StateStore, clock: Clock) -> list[Link]:
    """Try again all that was given up; these links, as they were.

    What a person is asked about one of them stays asked: only ``rearm``, of a link that is named, answers that.
    """
    dead = [link for link in await store.waiting() if link.attempts.dead]
    await _change(store, clock, dead, "retry", lambda link: attrs.evolve(link, attempts=Attempts(), settled=False))
    return dead


async def rearm(store: StateStore, clock: Clock, links: Iterable[Link]) -> int:
    """Try these links, named by a person, again from the beginning, dead or put off; how many there were.

    A create of which nobody can tell what became is sent again, and so is a deletion that was
    refused. A record that was brought back alone is a new one from then on, and gets a
    counterpart: only a person may say so.
    """

    def fresh(link: Link) -> Link:
        if link.missing is not None and any(review.reason == BROUGHT_BACK for review in link.reviews):
            return _of_the_survivor(link, link.missing.side.other)
        doubts = tuple(review for review in link.reviews if review.reason not in (UNCONFIRMED, DELETE_REFUSED))
        return attrs.evolve(link, attempts=Attempts(), reviews=doubts, settled=False)

    chosen = [link for link in links if not link.tombstoned]
    await _change(store, clock, chosen, "retry", fresh)
    return len(chosen)


def _of_the_survivor(link: Link, side: Side) -> Link:
    """A link that knows only the record of that side, and whom it gives up; it takes the place of the one before."""
    survivor = Link.begin(Ref(side, link.on(side) or ""))
    anew = attrs.evolve(survivor, retention=link.retention, given_up=link.on(side.other))
    return attrs.evolve(anew, fence=link.fence, revision=link.revision) if anew.id == link.id else anew


async def unlink(store: StateStore, clock: Clock, links: Iterable[Link]) -> int:
    """End these links: their records stay, and are not kept in step any more; how many there were."""

    def ended(link: Link) -> Link:
        over = Tombstone(clock.now(), by=OPERATOR)
        return attrs.evolve(link, tombstone=over, base={}, reviews=(), intent=None, missing=None, watch=None)

    chosen = [link for link in links if not link.tombstoned]
    await _change(store, clock, chosen, "unlink", ended)
    await store.forget([ref for link in chosen for ref in link.refs])
    return len(chosen)


async def forget(store: StateStore, clock: Clock, link: Link) -> Link:
    """Take everything about a person out of the state: a tombstone with the two ids and keyed hashes stays.

    Both records stay as they are; the sync neither touches them nor makes them again, and a
    new record that answers to the same hashes is left to a person. ``Misconfigured`` under a
    retention hold.
    """
    for _ in range(TRIES):
        if link.retained(clock.now()):
            raise Misconfigured(f"{link.id} is under a retention hold: release it first")
        absorbed = [str(ref) for ref in link.refs if str(ref) != link.id and await store.journal(str(ref))]
        entries = [Journaled(name, clock.now(), "forget", reason="operator") for name in (link.id, *absorbed)]
        over = Link(
            link.origin,
            link.left_id,
            link.right_id,
            tombstone=Tombstone(clock.now(), by=FORGET),
            settled=True,
            fence=link.fence + 1,
            revision=link.revision,
        )
        try:
            return await store.erase(over, journal=entries)
        except Contended:
            link = next(iter((await store.load(link.refs)).values()), link)
    raise Contended(f"{link.id} is being worked on; try again in a moment")


async def readmit(store: StateStore, clock: Clock, link: Link) -> None:
    """Keep a link that was ended by a person, or forgotten, in step again, from what its records hold now."""
    if link.tombstone is None or link.tombstone.by not in (FORGET, OPERATOR):
        raise Misconfigured(f"{link.id} was neither unlinked nor forgotten")

    def begun(link: Link) -> Link:
        return attrs.evolve(link, tombstone=None, left_shadow=None, right_shadow=None, settled=False)

    await _change(store, clock, [link], "readmit", begun)


async def retain(store: StateStore, clock: Clock, links: Iterable[Link], until: float | None = None) -> None:
    """Put a retention hold on these links: nothing stored of them is erased, and no record of them deleted."""
    hold = Retention(clock.now(), until)
    await _change(store, clock, links, "hold", lambda link: attrs.evolve(link, retention=hold))
    await look_again(store)  # a hold that is given a date, or an earlier one, ends without anybody saying so


async def release(store: StateStore, clock: Clock, links: Iterable[Link]) -> None:
    """End the retention holds of these links: what is due is erased at the next occasion."""
    await _change(store, clock, links, "release", lambda link: attrs.evolve(link, retention=None))
    await look_again(store)


async def _change(
    store: StateStore, clock: Clock, links: Iterable[Link], what: str, change: Callable[[Link], Link]
) -> None:
    """Store the changed links with a line in the journal; one that moved meanwhile is read again."""
    for link in links:
        for _ in range(TRIES):
            entry = Journaled(link.id, clock.now(), what, reason="operator")
            changed = change(link)
            try:
                await store.save(changed, journal=[entry], absorbs=[] if changed.id == link.id else [link])
                break
            except Contended:
                link = next(iter((await store.load(link.refs)).values()), link)
        else:
            raise Contended(f"{link.id} is being worked on; try again in a moment")
