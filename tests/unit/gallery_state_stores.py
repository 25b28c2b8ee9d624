"""Wrong state stores, each with the words that tell it."""

from __future__ import annotations

import asyncio

import attrs

from bidisync import ABSENT, Ref
from bidisync.errors import Contended
from bidisync.stores.memory import MemoryStore

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
