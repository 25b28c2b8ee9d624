"""State in memory: the reference for what a store promises, and enough for a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import attrs

from bidisync.chain import Check, Head, Line, Verdict, chained
from bidisync.errors import Contended
from bidisync.model import Ref, Side
from bidisync.rest import to_rest
from bidisync.state import Hint, Journaled, Known, Link, Living, Traces, without_values


@attrs.frozen
class _Kept:
    """A hint as it is kept: when it was last repeated, when it is due, and until when it is taken."""

    number: int
    first_at: float
    last_at: float
    not_before: float
    taken_until: float = 0.0


@attrs.define
class MemoryStore:
    """Everything in dictionaries; gone with the process."""

    _links: dict[str, Link] = attrs.field(factory=dict, repr=False)
    _owners: dict[Ref, str] = attrs.field(factory=dict, repr=False)
    _journal: list[Journaled] = attrs.field(factory=list, repr=False)
    _known: dict[Ref, Mapping[str, str]] = attrs.field(factory=dict, repr=False)
    _marks: dict[str, str] = attrs.field(factory=dict, repr=False)
    _hints: dict[Ref, _Kept] = attrs.field(factory=dict, repr=False)
    _chain: list[Line] = attrs.field(factory=list, repr=False)  # as far as anybody has asked for it

    async def load(self, refs: Sequence[Ref]) -> Mapping[Ref, Link]:
        """The links of those records that have one."""
        return {ref: self._links[self._owners[ref]] for ref in refs if ref in self._owners}

    async def links(self) -> AsyncIterator[Sequence[Link]]:
        """All links, in groups, by id."""
        ids = sorted(self._links)
        for start in range(0, len(ids), 500):
            yield [self._links[id] for id in ids[start : start + 500] if id in self._links]

    async def resting(self, side: Side, tokens: Sequence[tuple[str, str | None]]) -> Mapping[str, str]:
        """Those of the records that need no look at these versions."""
        found = {}
        for id, version in tokens:
            owner = self._owners.get(Ref(side, id))
            if version and owner is not None and self._links[owner].rests_at(side) == version:
                found[id] = owner
        return found

    async def living(self, side: Side) -> AsyncIterator[Sequence[Living]]:
        """The records of that side whose links are not over, in groups, by id."""
        ids = sorted(ref.id for ref in self._owners if ref.side is side)
        for start in range(0, len(ids), 500):
            owners = [(id, self._owners.get(Ref(side, id))) for id in ids[start : start + 500]]
            links = [(id, self._links[owner]) for id, owner in owners if owner is not None]
            yield [(id, link.id, bool(link.rests_at(side))) for id, link in links if not link.tombstoned]

    async def save(self, link: Link, *, journal: Sequence[Journaled] = (), absorbs: Sequence[Link] = ()) -> Link:
        """Store the link in place of the revision that it was read at."""
        for old in (link, *absorbs):
            self._refuse_unless_read(old)
        before = self._links.get(link.id)
        gone = {old.id for old in absorbs} | {link.id}
        if any(self._owners.get(ref, link.id) not in gone for ref in link.refs):
            raise Contended("this record belongs to another link")
        for id in gone:
            self._links.pop(id, None)
        for replaced in (*absorbs, *(() if before is None else (before,))):
            for ref in replaced.refs:
                self._owners.pop(ref, None)
        self._owners.update(dict.fromkeys(link.refs, link.id))
        link = attrs.evolve(link, revision=link.revision + 1)
        self._links[link.id] = link
        self._journal.extend(journal)
        return link

    async def save_many(self, links: Sequence[tuple[Link, Sequence[Journaled]]]) -> Sequence[Link]:
        """Store each link in place of the revision that it was read at, all or none."""
        for link, _ in links:
            self._refuse_unless_read(link)
        return [await self.save(link, journal=journal) for link, journal in links]

    def _refuse_unless_read(self, link: Link) -> None:
        """``Contended`` where the stored link is not the one that was read."""
        stored = self._links.get(link.id)
        if (0 if stored is None else stored.revision) != link.revision:
            raise Contended("somebody else changed this link")
        if stored is not None and link.fence < stored.fence:
            raise Contended("somebody else took this link over")

    async def erase(self, link: Link, *, journal: Sequence[Journaled] = ()) -> Link:
        """Store the link, and take the values out of its journal."""
        stored = await self.save(link, journal=journal)
        self._grow()
        names = {link.id, *map(str, link.refs)}
        for place, entry in enumerate(self._journal[: len(self._journal) - len(journal)]):
            if entry.link_id in names:
                self._journal[place] = without_values(entry)
                self._chain[place] = attrs.evolve(self._chain[place], salt="")
        return stored

    async def fade(
        self, numbers: Sequence[int], *, journal: Sequence[Journaled] = (), decided_on: Sequence[Link] = ()
    ) -> None:
        """Take the values out of these entries of the journal, all or none."""
        for link in decided_on:
            stored = self._links.get(link.id)
            if (0 if stored is None else stored.revision) != link.revision:
                raise Contended("somebody else changed this link")
        self._journal.extend(journal)
        self._grow()
        for place in (number - 1 for number in numbers):
            self._journal[place] = without_values(self._journal[place])
            self._chain[place] = attrs.evolve(self._chain[place], salt="")

    async def shred(self) -> None:
        """What was replaced is nowhere already."""

    async def fence(self, link: Link) -> int:
        """The fence that is stored now."""
        return self._links[link.id].fence if link.id in self._links else 0

    async def open_creates(self) -> Sequence[Link]:
        """Links with a create that nobody has finished."""
        return [link for link in self._links.values() if link.creating]

    async def unsettled(self) -> Sequence[Link]:
        """Links that are due again by themselves."""
        return [link for link in self._links.values() if link.due]

    async def waiting(self) -> Sequence[Link]:
        """Links about which a person is asked something."""
        return [self._links[id] for id in sorted(self._links) if self._links[id].waits]

    async def watched(self) -> Sequence[Link]:
        """Links with a create whose twin is still looked for."""
        return [link for link in self._links.values() if link.watch is not None]

    async def acts_since(self, at: float, *, only: Sequence[str] | None = None) -> Mapping[str, AbstractSet[str]]:
        """The links that each act concerned since then."""
        found: dict[str, set[str]] = {}
        for line in self._journal:
            for act in line.acts if line.at >= at else ():
                if only is None or act in only:
                    found.setdefault(act, set()).add(line.link_id)
        return found

    async def count(self) -> Mapping[str, int]:
        """How many links there are in each state."""
        return Counter(link.state.value for link in self._links.values())

    async def learn(self, known: Sequence[Known]) -> None:
        """Put records into the index."""
        self._known.update({entry.ref: dict(entry.keys) for entry in known})

    async def forget(self, refs: Sequence[Ref]) -> None:
        """Take records out of the index."""
        for ref in refs:
            self._known.pop(ref, None)

    async def matches(self, side: Side, keys: Mapping[str, str]) -> Sequence[Known]:
        """The records of that side which share one of these keys."""
        return [
            Known(ref, theirs)
            for ref, theirs in self._known.items()
            if ref.side is side and any(theirs.get(name) == value for name, value in keys.items())
        ]

    async def traces(self, link: Link) -> Traces:
        """What else is held of this link's records."""
        known = [Known(ref, self._known[ref]) for ref in link.refs if ref in self._known]
        kept = [(ref, self._hints[ref]) for ref in link.refs if ref in self._hints]
        hints = [Hint(ref, hint.number, hint.first_at, hint.taken_until) for ref, hint in kept]
        acts = sorted((line.at, act) for line in self._journal if line.link_id == link.id for act in line.acts)
        return Traces(tuple(known), tuple(hints), tuple(acts))

    async def journal(self, link_id: str) -> Sequence[Journaled]:
        """The journal of a link, oldest first."""
        return [line for line in self._journal if line.link_id == link_id]

    async def history(self, *, before: int | None = None, limit: int = 100) -> Sequence[tuple[int, Journaled]]:
        """The newest entries of the journal, newest first."""
        end = len(self._journal) if before is None else min(len(self._journal), before - 1)
        return [(number + 1, self._journal[number]) for number in range(end - 1, max(-1, end - 1 - limit), -1)]

    async def head(self) -> Head:
        """Where the log ends."""
        self._grow()
        return Head(len(self._chain), self._chain[-1].chain) if self._chain else Head(0, "")

    async def verify(self, given: Head | None = None, *, newest: int | None = None) -> Verdict:
        """Whether every line is as it was when the chain was looked at first: nobody else can reach this memory."""
        head = await self.head()
        first = 0 if newest is None else max(0, head.number - newest)
        since = Head(first, self._chain[first - 1].chain) if first else Head(0, "")
        check = Check(b"", given, since)
        for line, entry in zip(self._chain[first:], self._journal[first:], strict=True):
            check.add(attrs.evolve(line, document=to_rest(entry)))
        return check.verdict(head)

    def _grow(self) -> None:
        for number in range(len(self._chain), len(self._journal)):
            before = Head(number, self._chain[-1].chain if self._chain else "")
            entry = self._journal[number]
            self._chain.append(chained(b"", before, number + 1, entry.link_id, to_rest(entry), "in memory"))

    async def get_mark(self, name: str) -> str | None:
        """A small value by its name."""
        return self._marks.get(name)

    async def set_mark(self, name: str, value: str | None) -> None:
        """Set or remove it."""
        if value is None:
            self._marks.pop(name, None)
        else:
            self._marks[name] = value

    async def first_mark(self, name: str, value: str) -> str:
        """Set it unless it is set; what stands there then."""
        return self._marks.setdefault(name, value)

    async def hint(self, refs: Sequence[Ref], at: float, *, not_before: float = 0.0) -> None:
        """Keep a hint for each record."""
        for ref in dict.fromkeys(refs):
            old = self._hints.get(ref)
            self._hints[ref] = (
                _Kept(1, at, at, not_before)
                if old is None
                else attrs.evolve(old, number=old.number + 1, last_at=at, not_before=min(old.not_before, not_before))
            )

    async def take(self, now: float, *, limit: int, until: float, only: Ref | None = None) -> Sequence[Hint]:
        """The oldest due hints that nobody holds, held by the caller from now on."""
        named = [ref for ref in self._hints if only in (None, ref)]
        free = [ref for ref in named if self._hints[ref].not_before <= now and self._hints[ref].taken_until <= now]
        free.sort(key=lambda ref: (self._hints[ref].first_at, ref.side.value, ref.id))
        for ref in free[:limit]:
            self._hints[ref] = attrs.evolve(self._hints[ref], taken_until=until)
        return [Hint(ref, self._hints[ref].number, self._hints[ref].first_at, until) for ref in free[:limit]]

    async def hold(self, hint: Hint, until: float) -> Hint | None:
        """Hold it longer."""
        if (kept := self._held(hint)) is None:
            return None
        self._hints[hint.ref] = attrs.evolve(kept, taken_until=until)
        return attrs.evolve(hint, taken_until=until)

    async def done(self, hints: Sequence[Hint]) -> None:
        """Remove those that nobody repeated."""
        for hint in hints:
            kept = self._held(hint)
            if kept is not None and kept.number == hint.number:
                del self._hints[hint.ref]
            elif kept is not None:
                self._hints[hint.ref] = attrs.evolve(kept, taken_until=0.0, first_at=kept.last_at)

    async def put_off(self, hint: Hint, not_before: float) -> None:
        """Give it back until then."""
        if (kept := self._held(hint)) is not None:
            due = not_before if kept.number == hint.number else kept.not_before
            self._hints[hint.ref] = attrs.evolve(kept, taken_until=0.0, not_before=due)

    async def hints_waiting(self) -> tuple[int, float | None]:
        """How many hints are not done, and since when the oldest is kept."""
        return len(self._hints), min((kept.first_at for kept in self._hints.values()), default=None)

    def _held(self, hint: Hint) -> _Kept | None:
        """The hint, if it is still held by whoever took it then."""
        kept = self._hints.get(hint.ref)
        return kept if kept is not None and kept.taken_until == hint.taken_until else None

    async def close(self) -> None:
        """Nothing is held."""
