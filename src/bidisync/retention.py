"""How long values stay in the state: after that time they are erased, and what was done stays readable.

Values of the past are in the journal, in links that are over, and in what a write of ours
replaced, which a link remembers for a while. A walk through the
journal goes from its oldest entry on, a portion at a time, and remembers how far everything
is old enough; a kill in the middle repeats a portion at most. Links under a retention hold
keep theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import attrs

from bidisync.chain import BEFORE, EXPIRE
from bidisync.errors import Contended
from bidisync.model import Ref, Side
from bidisync.protocols import Clock
from bidisync.state import Journaled, Link, without_values
from bidisync.storage import StateStore

PORTION = 500
TRIES = 3
_PLACE = "retention:place"  # up to this number of the journal nothing is left to do
_AGAIN = "retention:again"  # when to begin anew, for what the walk passed by: held, or of a clock that was wrong


@attrs.frozen
class Expired:
    """What was erased: of how many entries of the journal and links; whether more is left for another time."""

    entries: int
    links: int
    more: bool


async def expire(store: StateStore, clock: Clock, *, keep_s: float, portions: int = 200) -> Expired:
    """Erase every value that was stored longer than ``keep_s`` ago and is needed no more.

    Looks at ``portions`` times 500 entries of the journal at most.
    """
    before = clock.now() - keep_s
    entries, more = await _Walk(store, clock.now(), keep_s).through(portions)
    links = await _outdated(store, clock.now(), before)
    if entries or links:
        await store.shred()
    return Expired(entries, links, more)


async def look_again(store: StateStore) -> None:
    """Have the next walk begin with the oldest entry: a hold is over."""
    await store.set_mark(_PLACE, None)


@attrs.frozen
class _Walk:
    store: StateStore
    now: float
    keep_s: float

    async def through(self, portions: int) -> tuple[int, bool]:
        """How many entries lost their values, and whether the walk ended before its time."""
        newest = await self.store.history(limit=1)
        end, place = (newest[0][0] if newest else 0), await self._begin()
        faded, all_old = 0, True
        for _ in range(portions):
            if place >= end:
                return faded, False
            page = await self.store.history(before=place + PORTION + 1, limit=PORTION)
            page = [(number, entry) for number, entry in page if number > place]
            old = [(number, entry) for number, entry in page if entry.at < self.now - self.keep_s]
            future = [entry.at for _, entry in page if entry.at > self.now]
            if page and not old and not future:
                return faded, False
            faded += await self._fade(old)
            for at in future:
                await self._come_back(at + self.keep_s)
            all_old = all_old and len(old) + len(future) == len(page)
            place += PORTION
            if all_old:  # else it is looked at again, for the young ones in it
                await self.store.set_mark(_PLACE, str(min(place, end)))
        return faded, place < end

    async def _begin(self) -> int:
        again = await self.store.get_mark(_AGAIN)
        if again is not None and float(again) <= self.now:
            await look_again(self.store)  # first: a kill in between begins anew once more
            await self.store.set_mark(_AGAIN, None)
            return 0
        return int(await self.store.get_mark(_PLACE) or 0)

    async def _fade(self, old: Sequence[tuple[int, Journaled]]) -> int:
        """How many entries lost their values; where somebody changes a link meanwhile, it is decided on anew."""
        valued = [(number, entry) for number, entry in old if entry != without_values(entry)]
        with suppress(Contended):
            return await self._fade_at_once(valued)
        apart: dict[str, list[tuple[int, Journaled]]] = {}
        for number, entry in valued:
            apart.setdefault(entry.link_id, []).append((number, entry))
        return sum([await self._fade_one(entries) for entries in apart.values()])

    async def _fade_one(self, entries: Sequence[tuple[int, Journaled]]) -> int:
        for _ in range(TRIES):
            with suppress(Contended):
                return await self._fade_at_once(entries)
        await self._come_back(self.now)  # somebody is always at it: at the next occasion
        return 0

    async def _fade_at_once(self, valued: Sequence[tuple[int, Journaled]]) -> int:
        refs = {entry.link_id: Ref.parse(entry.link_id) for _, entry in valued}
        links = await self.store.load(list(refs.values()))
        fading: list[tuple[int, Journaled]] = []
        for number, entry in valued:
            link = links.get(refs[entry.link_id])
            if link is not None and link.retention is not None and link.retained(self.now):
                await self._come_back(link.retention.until)
            else:
                fading.append((number, entry))
        if fading:
            reason = f"{BEFORE}{self.now - self.keep_s!r}"
            said = dict.fromkeys(entry.link_id for _, entry in fading)
            decided_on = {link.id: link for name in said if (link := links.get(refs[name])) is not None}
            await self.store.fade(
                [number for number, _ in fading],
                journal=[Journaled(name, self.now, EXPIRE, reason=reason) for name in said],
                decided_on=list(decided_on.values()),
            )
        return len(fading)

    async def _come_back(self, at: float | None) -> None:
        """Begin with the oldest entry again then; ``None``: when somebody says so."""
        again = await self.store.get_mark(_AGAIN)
        if at is not None and (again is None or at < float(again)):
            await self.store.set_mark(_AGAIN, repr(at))


async def _outdated(store: StateStore, now: float, before: float) -> int:
    """Take out of links what they need no more; how many held such a thing."""
    number = 0
    async for links in store.links():
        for link in links:
            bare = link if link.retained(now) else _bare(link, before)
            if bare is not link:
                with suppress(Contended):  # somebody works on it: at the next occasion
                    await store.save(bare)
                    number += 1
    return number


def _bare(link: Link, before: float) -> Link:
    """The link without values that are older and needed no more; itself if it has none."""
    if link.tombstone is not None and link.tombstone.at < before:
        watch = None if link.watch is None or link.watch.until < before else link.watch
        bare = attrs.evolve(link, left_shadow=None, right_shadow=None, base={}, reviews=(), watch=watch)
        return link if bare == link else bare
    for side in Side:
        shadow = link.shadow(side)
        if shadow is not None and shadow.replaced is not None and shadow.replaced.until < before:
            link = link.with_shadow(side, attrs.evolve(shadow, replaced=None))
    return link
