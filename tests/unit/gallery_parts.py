"""Wrong detectors, state stores and lock providers, each with the words that tell it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import attrs

from bidisync import ABSENT, Change
from bidisync.detectors import ByContent, by_version
from bidisync.errors import Contended
from bidisync.locks.local import LocalLease, LocalLocks
from bidisync.locks.none import NoLocks
from bidisync.schema import exact
from bidisync.stores.memory import MemoryStore
from bidisync.testing.detectors import NAMES

BY_CONTENT = ByContent(dict.fromkeys(NAMES, exact))


# Detectors


def counts_what_was_not_delivered(shadow, snapshot):
    moved = {name for name in NAMES if snapshot.fields[name] != shadow.fields[name]}
    return Change(snapshot, frozenset(moved | (snapshot.unreadable ^ shadow.unreadable)))


def takes_no_version_for_the_same(shadow, snapshot):
    return Change(snapshot, frozenset()) if snapshot.version == shadow.version else BY_CONTENT(shadow, snapshot)


def trusts_every_time_stamp(shadow, snapshot):
    same = snapshot.modified_at is not None and snapshot.modified_at == shadow.modified_at
    return Change(snapshot, frozenset()) if same else BY_CONTENT(shadow, snapshot)


def takes_a_moved_token_for_a_change(shadow, snapshot):
    if snapshot.version is None or snapshot.version == shadow.version:
        return by_version(shadow, snapshot)
    return Change(snapshot, frozenset(name for name in NAMES if snapshot.fields[name] is not ABSENT))


def overlooks_the_unreadable(shadow, snapshot):
    found = BY_CONTENT(shadow, snapshot)
    return Change(snapshot, found.fields - (snapshot.unreadable ^ shadow.unreadable))


def looks_at_the_first_field(shadow, snapshot):
    found = BY_CONTENT(shadow, snapshot)
    return Change(snapshot, found.fields & frozenset(NAMES[:1] if not snapshot.unreadable else NAMES))


def answers_yes_or_no(shadow, snapshot):
    return bool(BY_CONTENT(shadow, snapshot))


def forgets_what_it_saw(shadow, snapshot):
    found = BY_CONTENT(shadow, snapshot)
    shadow.fields.clear()
    return found


def never_knows(shadow, snapshot):
    return None


DETECTORS = (
    (counts_what_was_not_delivered, "not delivered counts as a change"),
    (takes_no_version_for_the_same, "the change of a field is missed"),
    (trusts_every_time_stamp, "the edit came soon after the look"),
    (takes_a_moved_token_for_a_change, "or none at all, counts as a change"),
    (overlooks_the_unreadable, "it can't be read any more, or again"),
    (looks_at_the_first_field, "the change of a field is missed"),
    (answers_yes_or_no, "the answer is bool and no Change"),
    (forgets_what_it_saw, "the detector changes what it is shown"),
    (never_knows, "a detector that always knows answers None"),
)


# State stores


class OverwritesWhatItHas(MemoryStore):
    async def save(self, link, *, journal=(), absorbs=()):
        stored = self._links.get(link.id)
        current = attrs.evolve(link, revision=0 if stored is None else stored.revision)
        return await MemoryStore.save(self, current, journal=journal, absorbs=absorbs)


class IgnoresTheFence(MemoryStore):
    async def save(self, link, *, journal=(), absorbs=()):
        stored = self._links.get(link.id)
        newest = link if stored is None else attrs.evolve(link, fence=max(link.fence, stored.fence))
        return await MemoryStore.save(self, newest, journal=journal, absorbs=absorbs)


class TakesWhatIsBound(MemoryStore):
    """The latecomer gets the record."""

    async def save(self, link, *, journal=(), absorbs=()):
        for ref in link.refs:
            owner = self._owners.get(ref, link.id)
            if owner != link.id and owner not in {old.id for old in absorbs}:
                self._links[owner] = self._links[owner].with_id(ref.side, None)
                del self._owners[ref]
        return await MemoryStore.save(self, link, journal=journal, absorbs=absorbs)


class KeepsWhatIsAbsorbed(MemoryStore):
    async def save(self, link, *, journal=(), absorbs=()):
        saved = await MemoryStore.save(self, link, journal=journal, absorbs=absorbs)
        for old in absorbs:
            self._links[old.id] = old
        return saved


class TakesAbsentForEmpty(MemoryStore):
    async def load(self, refs):
        found = {}
        for ref, link in (await MemoryStore.load(self, refs)).items():
            shadow = link.right_shadow
            if shadow is not None:
                fields = {name: None if value is ABSENT else value for name, value in shadow.fields.items()}
                link = attrs.evolve(link, right_shadow=attrs.evolve(shadow, fields=fields))
            found[ref] = link
        return found


class ListsAThousand(MemoryStore):
    async def links(self):
        seen = 0
        async for group in MemoryStore.links(self):
            if seen < 1000:
                yield group
            seen += len(group)


class JournalsWhatItRefuses(MemoryStore):
    async def save(self, link, *, journal=(), absorbs=()):
        try:
            return await MemoryStore.save(self, link, journal=journal, absorbs=absorbs)
        except Contended:
            self._journal.extend(journal)
            raise


class ErasesTheLinkAlone(MemoryStore):
    async def erase(self, link, *, journal=()):
        return await self.save(link, journal=journal)


class AddsToItsIndex(MemoryStore):
    async def learn(self, known):
        for entry in known:
            old = self._known.get(entry.ref, {})
            await MemoryStore.learn(self, [attrs.evolve(entry, keys={**entry.keys, **old})])


class LastMarkWins(MemoryStore):
    async def first_mark(self, name, value):
        await asyncio.sleep(0)
        await self.set_mark(name, value)
        return value


class WaitsBetweenLookAndSave(MemoryStore):
    async def save(self, link, *, journal=(), absorbs=()):
        stored = self._links.get(link.id)
        if (0 if stored is None else stored.revision) != link.revision:
            raise Contended("somebody else changed this link")
        await asyncio.sleep(0)
        now = self._links.get(link.id)
        current = attrs.evolve(link, revision=0 if now is None else now.revision)
        return await MemoryStore.save(self, current, journal=journal, absorbs=absorbs)


STORES = (
    (OverwritesWhatItHas, "a save over an older revision is not refused"),
    (IgnoresTheFence, "a writer with a smaller fence is not refused"),
    (TakesWhatIsBound, "a record belongs to two links"),
    (KeepsWhatIsAbsorbed, "an absorbed link is still counted"),
    (TakesAbsentForEmpty, "a link comes back otherwise than it was saved"),
    (ListsAThousand, "links does not give every link once"),
    (JournalsWhatItRefuses, "a refused save leaves a line in the journal"),
    (ErasesTheLinkAlone, "a value stays in the journal of an erased link"),
    (AddsToItsIndex, "learn keeps keys that a record no longer has"),
    (LastMarkWins, "first_mark does not answer every caller with the same value"),
    (WaitsBetweenLookAndSave, "of many savers of one revision not exactly one wins"),
)


# Lock providers


class KeepsAfterAnError(LocalLocks):
    @asynccontextmanager
    async def hold(self, key):
        lease = await self._take(key)
        yield lease
        self.held.pop(key, None)
        lease.over.set()


class OneForAll(LocalLocks):
    def hold(self, key):
        return LocalLocks.hold(self, "all")


class Endless(LocalLocks):
    @asynccontextmanager
    async def hold(self, key):
        async with LocalLocks.hold(self, key) as lease:
            yield ForEver(lease, self.lease_s)


@attrs.frozen
class ForEver:
    lease: LocalLease
    lease_s: float

    def remaining(self):
        return 10 * self.lease_s

    async def renew(self):
        await self.lease.renew()


class RenewsWhatIsLost(LocalLocks):
    @asynccontextmanager
    async def hold(self, key):
        async with LocalLocks.hold(self, key) as lease:
            yield Stubborn(lease)


@attrs.frozen
class Stubborn:
    lease: LocalLease

    def remaining(self):
        return self.lease.remaining()

    async def renew(self):
        self.lease._ends_at = self.lease._locks.clock.monotonic() + self.lease._locks.lease_s


class NeverEnds(LocalLocks):
    async def _take(self, key):
        if key in self.held:
            self.held[key]._ends_at = self.clock.monotonic() + 1000
        return await LocalLocks._take(self, key)


LOCKS = (
    (NoLocks, "a key is held by one at a time"),
    (KeepsAfterAnError, "a key that nobody holds is refused"),
    (OneForAll, "a key that nobody holds is refused"),
    (Endless, "a lease lasts no longer than it should"),
    (RenewsWhatIsLost, "a lease that was lost can be renewed"),
    (NeverEnds, "a lease never ends by itself"),
)
