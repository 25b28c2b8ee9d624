"""Wrong detectors, state stores and lock providers, each with the words that tell it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import attrs

from bidisync import ABSENT, Change, Ref
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


# State stores that store many links at once


class StoresOneByOne(MemoryStore):
    async def save_many(self, links):
        return [await self.save(link, journal=journal) for link, journal in links]


class JournalsManyBeforeItCompares(MemoryStore):
    async def save_many(self, links):
        self._journal.extend(line for _, journal in links for line in journal)
        return await MemoryStore.save_many(self, [(link, ()) for link, _ in links])


class OverwritesMany(MemoryStore):
    async def save_many(self, links):
        stored = [(attrs.evolve(link, revision=self._links[link.id].revision), lines) for link, lines in links]
        return await MemoryStore.save_many(self, stored)


class IgnoresTheFenceOfMany(MemoryStore):
    async def save_many(self, links):
        fences = [max(link.fence, self._links[link.id].fence) for link, _ in links]
        newest = [(attrs.evolve(one[0], fence=fence), one[1]) for one, fence in zip(links, fences, strict=True)]
        return await MemoryStore.save_many(self, newest)


class AnswersManyAsRead(MemoryStore):
    async def save_many(self, links):
        await MemoryStore.save_many(self, links)
        return [link for link, _ in links]


class AnswersManyByName(MemoryStore):
    async def save_many(self, links):
        return sorted(await MemoryStore.save_many(self, links), key=lambda link: link.id, reverse=True)


class StoresManyWithoutLines(MemoryStore):
    async def save_many(self, links):
        return await MemoryStore.save_many(self, [(link, ()) for link, _ in links])


class StoresManyLinesBackwards(MemoryStore):
    async def save_many(self, links):
        return list(reversed(await MemoryStore.save_many(self, list(reversed(links)))))


class KeepsTheTokensOfMany(MemoryStore):
    """The versions at which records rest stand in a table of their own, which only ``save`` writes."""

    async def save(self, link, *, journal=(), absorbs=()):
        stored = await MemoryStore.save(self, link, journal=journal, absorbs=absorbs)
        self._marks.update({f"rests {ref}": link.rests_at(ref.side) or "" for ref in link.refs})
        return stored

    async def save_many(self, links):
        marks = dict(self._marks)
        stored = await MemoryStore.save_many(self, links)
        self._marks.update(marks)
        return stored

    async def resting(self, side, tokens):
        rest = [(id, version, self._marks.get(f"rests {Ref(side, id)}")) for id, version in tokens]
        return {id: self._owners[Ref(side, id)] for id, version, token in rest if version and token == version}


class WaitsBetweenLookAndSaveOfMany(MemoryStore):
    async def save_many(self, links):
        for link, _ in links:
            self._refuse_unless_read(link)
        await asyncio.sleep(0)
        now = [(attrs.evolve(link, revision=self._links[link.id].revision), lines) for link, lines in links]
        return await MemoryStore.save_many(self, now)


class ShoutsWhenManyAreLate(MemoryStore):
    async def save_many(self, links):
        late = any(self._links[link.id].revision > 1 and link.revision == 1 for link, _ in links)
        if late and self._links["left:a1"].attempts.count:
            raise RuntimeError("deadlock detected")
        return await MemoryStore.save_many(self, links)


MANY = (
    (StoresOneByOne, "a refused save_many has stored some of its links"),
    (JournalsManyBeforeItCompares, "a refused save_many leaves a line in the journal"),
    (OverwritesMany, "save_many stores a link over an older revision"),
    (IgnoresTheFenceOfMany, "a writer with a smaller fence is not refused by save_many"),
    (AnswersManyAsRead, "save_many answers otherwise than save"),
    (AnswersManyByName, "save_many answers with other links than it was given, or in another order"),
    (StoresManyWithoutLines, "a line of the journal is lost, or another, after save_many"),
    (StoresManyLinesBackwards, "the journal does not keep the order in which save_many was given its lines"),
    (KeepsTheTokensOfMany, "a record rests at another version than save_many stored"),
    (WaitsBetweenLookAndSaveOfMany, "of many that save_many one revision not exactly one wins"),
    (ShoutsWhenManyAreLate, "a save_many that came too late raises RuntimeError and not Contended"),
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
    (NoLocks, "a key is held by two at a time"),
    (KeepsAfterAnError, "a key that nobody holds is refused"),
    (OneForAll, "a key that nobody holds is refused"),
    (Endless, "a lease lasts longer than it should"),
    (RenewsWhatIsLost, "a lease that was lost can be renewed"),
    (NeverEnds, "a lease never ends by itself"),
)


# Lock providers that hold many keys at once


class HoldsFreeAndHeld(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        ends_at = self.clock.monotonic() + self.lease_s
        yield {key: LocalLease(self, key, ends_at) for key in keys}


class WaitsForTheHeld(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        for key in keys:
            while key in self.held:
                await self.held[key].over.wait()
        async with LocalLocks.hold_free(self, keys) as leases:
            yield leases


class AllOrNoneOfTheFree(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        async with LocalLocks.hold_free(self, [] if any(key in self.held for key in keys) else keys) as leases:
            yield leases


class GivesBackWhatItWasAskedFor(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        async with LocalLocks.hold_free(self, keys) as leases:
            yield leases
        for key in keys:
            self.held.pop(key, None)


class GivesBackWhatItTook(LocalLocks):
    """Also where somebody else has taken it since."""

    @asynccontextmanager
    async def hold_free(self, keys):
        async with LocalLocks.hold_free(self, keys) as leases:
            try:
                yield leases
            finally:
                for key in leases:
                    self.held.pop(key, None)


class GivesNothingBack(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        ends_at = self.clock.monotonic() + self.lease_s
        leases = {key: LocalLease(self, key, ends_at) for key in keys if self._is_free(key)}
        self.held.update(leases)
        yield leases


class KeepsManyAfterAnError(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        ends_at = self.clock.monotonic() + self.lease_s
        leases = {key: LocalLease(self, key, ends_at) for key in keys if self._is_free(key)}
        self.held.update(leases)
        yield leases
        for key, lease in leases.items():
            if self.held.get(key) is lease:
                del self.held[key]


class LooksAndHoldsNothing(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        async with LocalLocks.hold_free(self, keys) as leases:
            held = {key: attrs.evolve(lease) for key, lease in leases.items()}
            for key in leases:
                del self.held[key]
            yield {key: ForEver(lease, self.lease_s / 10) for key, lease in held.items()}


class LeasesManyForLonger(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        async with LocalLocks.hold_free(self, keys) as leases:
            yield {key: ForEver(lease, self.lease_s) for key, lease in leases.items()}


class TakesTheEndedForHeld(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        async with LocalLocks.hold_free(self, [key for key in keys if key not in self.held]) as leases:
            yield leases


FREE = (
    (HoldsFreeAndHeld, "hold_free hands out a key that somebody holds"),
    (WaitsForTheHeld, "hold_free waits for a key that somebody holds"),
    (AllOrNoneOfTheFree, "hold_free leaves out a key that nobody holds"),
    (GivesBackWhatItWasAskedFor, "hold_free gives back a key that it left out"),
    (GivesBackWhatItTook, "the end of hold_free gives back a key that somebody else holds by now"),
    (GivesNothingBack, "hold_free does not give its keys back at the end of the block"),
    (KeepsManyAfterAnError, "hold_free does not give its keys back after an error in the block"),
    (LooksAndHoldsNothing, "a key that hold_free holds is handed out to another"),
    (LeasesManyForLonger, "a lease of hold_free does not last its time"),
    (TakesTheEndedForHeld, "hold_free takes a lease that has ended for held"),
)
