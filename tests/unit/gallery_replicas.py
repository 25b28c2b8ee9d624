"""Wrong replicas, each with one fault that somebody has made or will make, and the words that tell it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import attrs

from bidisync import ABSENT, Capabilities, Snapshot
from bidisync.errors import Duplicate, Rejected, Stale, SyncError, Transient, Unavailable, Unconfirmed
from bidisync.model import Conditional, Created, Deletion, Page
from bidisync.pages import Lazily
from bidisync.testing import FULL, Examples, ManualClock, MemoryLine, MemoryPerson, MemoryReplica, Trial

ABLE = attrs.evolve(FULL, keeps_notes=True, changed_since=True)
SEARCHED = attrs.evolve(FULL, changed_since=True)
"""Without notes: what a lost reply made is looked for by its number."""
PLAIN = Capabilities(partial_write=True, deletion=Deletion.HARD, finds_created=True, row_is_complete=True)
"""Writes without a condition."""
READ_ONLY = attrs.evolve(ABLE, creates=False, updates=False, deletion=Deletion.FORBIDDEN)
"""A side that people alone write to."""

EXAMPLES = Examples(
    records=[
        {"name": "Ada Muster", "since": "2024-05-06T07:08:09", "share": 1.5},
        {"name": "Eva Beispiel", "since": None, "share": 2},
    ],
    texts=["name"],
    values={"share": [2.25, 1e-9, -3], "since": ["2024-05-06T07:08:09.123456"]},
    unmapped={"shoe size": 38},
    invalid={"name": "", "since": None, "share": 0},
    nobody="r999999",
)


class Right(MemoryReplica):
    """A right replica, to be made wrong: it may withhold a field, and refuses nameless records."""

    withheld: frozenset[str] = frozenset()

    def remove(self, id):
        MemoryReplica.remove(self, id)
        self.__dict__.setdefault("deleted_at", {})[id] = self._token()

    async def list(self, since=None):
        async for page in MemoryReplica.list(self, since):
            yield page
        if since is not None:
            gone = [id for id, at in getattr(self, "deleted_at", {}).items() if at > int(since)]
            yield Page(tuple(Snapshot(id, {}, gone=True, row=True, seen_at=self.now()) for id in gone))

    async def create(self, fields, *, notes=None, despite_duplicates=False):
        if not fields.get("name"):
            raise Rejected("a record needs a name", field="name")
        return await MemoryReplica.create(self, fields, notes=notes, despite_duplicates=despite_duplicates)

    async def update(self, seen, changes, *, notes=None):
        if not changes.get("name", "unchanged"):
            raise Rejected("a record needs a name", field="name")
        return await MemoryReplica.update(self, seen, changes, notes=notes)

    def _snapshot(self, id, *, row):
        found = MemoryReplica._snapshot(self, id, row=row)
        shown = {n: ABSENT if n in self.withheld else v for n, v in found.fields.items()}
        return attrs.evolve(found, fields=shown, modified_at=None if found.gone else self.now())


class Trash(MemoryPerson):
    """A person who sees what was deleted softly."""

    async def trash(self):
        return getattr(self.replica, "trash", {})


def trial_of(kind: type[MemoryReplica], capabilities: Capabilities) -> Callable[[], object]:
    async def make() -> Trial:
        clock = ManualClock()
        replica = kind(names=("name", "since", "share"), capabilities=capabilities, now=clock.now)

        async def withhold(name: str) -> None:
            replica.withheld = replica.withheld | {name}

        line = MemoryLine(replica)
        return Trial(
            replica=replica,
            person=Trash(replica),
            line=line,
            withhold=withhold,
            now=clock.now,
            tells_deletions=capabilities.changed_since,
        )

    return make


GALLERY: list[tuple[type[MemoryReplica], Capabilities, str]] = []


def told(words: str, capabilities: Capabilities = ABLE):
    """Hang a wrong replica into the gallery."""

    def hang(kind):
        GALLERY.append((kind, capabilities, words))
        return kind

    return hang


def altered(change):
    """A write that stores what ``change`` makes of each value."""

    class Altering(Right):
        async def create(self, fields, **options):
            return await Right.create(self, {n: change(v) for n, v in fields.items()}, **options)

        async def update(self, seen, changes, **options):
            return await Right.update(self, seen, {n: change(v) for n, v in changes.items()}, **options)

    return Altering


# Reads


@told("shows the field 'name' as empty although the system did not deliver it")
class AbsentAsEmpty(Right):
    def _snapshot(self, id, *, row):
        found = Right._snapshot(self, id, row=row)
        return attrs.evolve(found, fields={n: None if v is ABSENT else v for n, v in found.fields.items()})


@told("as it was before a person changed it")
class Caches(Right):
    async def get(self, id):
        known = self.__dict__.setdefault("known", {})
        return known.setdefault(id, await Right.get(self, id))


@told("get raises Rejected for a record that does not exist")
class RefusesTheUnknown(Right):
    async def get(self, id):
        found = await Right.get(self, id)
        if found.gone:
            raise Rejected("404")
        return found


@told("get answers gone although the request failed (403)")
class TakesForbiddenForGone(Right):
    async def get(self, id):
        try:
            return await Right.get(self, id)
        except SyncError:
            return Snapshot(id, {}, gone=True, seen_at=self.now())


@told("get raises builtins.KeyError, which is no SyncError")
class LetsErrorsThrough(Right):
    async def get(self, id):
        self.records[id]
        return await Right.get(self, id)


@told("gives an id of the type int")
class NumbersAsIds(Right):
    async def list(self, since=None):
        async for page in Right.list(self, since):
            yield attrs.evolve(page, snapshots=tuple(attrs.evolve(s, id=int(s.id[1:])) for s in page.snapshots))


@told("shares its fields with what the replica keeps")
class SharesWhatItRemembers(Right):
    def _snapshot(self, id, *, row):
        found, known = Right._snapshot(self, id, row=row), self.__dict__.setdefault("known", {})
        kept = known.setdefault((id, found.version, self.withheld, row), dict(found.fields))
        return attrs.evolve(found, fields=kept)


@told("a snapshot that get gave has changed since")
class ChangesWhatItGave(Right):
    def _snapshot(self, id, *, row):
        found, known = Right._snapshot(self, id, row=row), self.__dict__.setdefault("known", {})
        fields = known.setdefault((id, row), {})
        fields.clear()
        fields.update(found.fields)
        return attrs.evolve(found, fields=fields)


@told("get reads it, the field 'since' is no longer empty")
class EmptyAsText(Right):
    def _snapshot(self, id, *, row):
        found = Right._snapshot(self, id, row=row)
        return attrs.evolve(found, fields={n: "" if v is None else v for n, v in found.fields.items()})


@told("the field 'share' can't be read")
class CantReadFractions(Right):
    def _snapshot(self, id, *, row):
        found = Right._snapshot(self, id, row=row)
        odd = frozenset(name for name, value in found.fields.items() if isinstance(value, float))
        return attrs.evolve(found, fields={**found.fields, **dict.fromkeys(odd, ABSENT)}, unreadable=odd)


@told("the version moves although nothing was changed")
class VersionOfTheRequest(Right):
    async def get(self, id):
        return attrs.evolve(await Right.get(self, id), version=str(len(self.calls)))


@told("the version does not move with an edit", PLAIN)
class VersionOfTheSecond(Right):
    def _snapshot(self, id, *, row):
        found = Right._snapshot(self, id, row=row)
        return found if found.gone else attrs.evolve(found, version=str(int(self.now())))


@told("get answers with the id of another record")
class OneAnswerForAll(Right):
    async def get(self, id):
        self.asked = id
        await asyncio.sleep(0)
        return await Right.get(self, self.asked)


@told("get shows a record that was deleted as if it were there")
class ShowsItsTrash(Right):
    def remove(self, id):
        self.__dict__.setdefault("trash", {})[id] = self.records[id]
        Right.remove(self, id)

    async def get(self, id):
        if id not in getattr(self, "trash", {}):
            return await Right.get(self, id)
        return Snapshot(id, dict(self.trash[id].fields), version="0", seen_at=self.now())


@told("seen_at is not when the record was read")
class ReadsInMilliseconds(Right):
    async def get(self, id):
        return attrs.evolve(await Right.get(self, id), seen_at=self.now() * 1000)


@told("get goes on although it was cancelled")
class CantBeStopped(Right):
    async def get(self, id):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return await Right.get(self, id)


@told("an id like '../r1' leads somewhere else")
class TakesTheTailOfAnId(Right):
    async def get(self, id):
        return await Right.get(self, id.rpartition("/")[2])


@told("an id like '%' leads to a record")
class SearchesByPattern(Right):
    async def get(self, id):
        found = next((one for one in self.records if id in (one, "%")), id)
        return attrs.evolve(await Right.get(self, found), id=id)


@told("get gives a time of the type str")
class TimesAsText(Right):
    async def get(self, id):
        return attrs.evolve(await Right.get(self, id), modified_at="2024-01-01")


@told("which is no value")
class NativeValues(Right):
    async def get(self, id):
        found = await Right.get(self, id)
        return found if found.gone else attrs.evolve(found, fields={**found.fields, "tags": ["x"]})


@told("get_many answers with records that nobody asked for, or that are gone")
class GoneInBulk(Right):
    async def get_many(self, ids):
        return {id: self._snapshot(id, row=True) for id in ids}


@told("get_many answers with a record under the id of another")
class BulkInTheOrderOfTheSystem(Right):
    async def get_many(self, ids):
        rows = [self._snapshot(id, row=True) for id in sorted(ids, reverse=True) if id in self.records]
        return dict(zip([id for id in ids if id in self.records], rows, strict=True))


@told("a read sends a write")
class MarksWhatItReads(Right):
    async def get(self, id):
        found = await Right.get(self, id)
        if not found.gone:
            await Right.update(self, found, {})
        return await Right.get(self, id)


# Lists


@told("list gives 50 records twice")
class ListsAPageTwice(Right):
    async def list(self, since=None):
        first = None
        async for page in Right.list(self, since):
            yield page
            first = first or page
        if first and len(first.snapshots) == 50:
            yield first


@told("list leaves out 20 records of 120")
class DropsTheLastPage(Right):
    async def list(self, since=None):
        pages = [page async for page in Right.list(self, since)]
        for page in pages[:-1] if len(pages) > 1 else pages:
            yield page


@told("list leaves out a record after a deletion between two pages")
class PagesByOffset(Right):
    async def list(self, since=None):
        after, start, here = int(since or 0), 0, str(self._tokens)
        while rows := [id for id, r in self.records.items() if r.version > after][start : start + 50]:
            yield Page(tuple(self._snapshot(id, row=True) for id in rows), here if len(rows) < 50 else None)
            start += 50


@told("list leaves out 70 records of 120")
class PagesByTimeAlone(Right):
    """Each page begins behind the time stamp of the last row, which its neighbours share."""

    async def list(self, since=None):
        rows = [self._snapshot(id, row=True) for id in self.records]
        last = 0.0
        while page := [row for row in rows if row.modified_at > last][:50]:
            yield Page(tuple(page), str(self._tokens))
            last = page[-1].modified_at


@told("list shows a record that was deleted")
class ListsItsTrash(Right):
    def remove(self, id):
        self.deleted = attrs.evolve(self._snapshot(id, row=True))
        Right.remove(self, id)

    async def list(self, since=None):
        async for page in Right.list(self, since):
            yield page
        if hasattr(self, "deleted"):
            yield Page((self.deleted,))


@told("list gives rows that are not marked")
class UnmarkedRows(Right):
    async def list(self, since=None):
        async for page in Right.list(self, since):
            yield attrs.evolve(page, snapshots=tuple(attrs.evolve(s, row=False) for s in page.snapshots))


@told("list shows the field 'share' otherwise than get")
class PoorRows(Right):
    async def list(self, since=None):
        async for page in Right.list(self, since):
            poor = tuple(attrs.evolve(s, fields={**s.fields, "share": None}) for s in page.snapshots)
            yield attrs.evolve(page, snapshots=poor)


@told("list gives another version than get for the same state")
class OtherVersionsInRows(Right):
    async def list(self, since=None):
        async for page in Right.list(self, since):
            yield attrs.evolve(page, snapshots=tuple(attrs.evolve(s, version="row") for s in page.snapshots))


@told("list from a cursor skips an edit that came right behind it")
class SkipsItsOwnSecond(Right):
    """Its cursor has the resolution of its clock, and it lists what is later."""

    async def list(self, since=None):
        stamps = self.__dict__.setdefault("stamps", {})
        for record in self.records.values():
            stamps.setdefault(id(record), {}).setdefault(record.version, int(self.now()))
        rows = [i for i, r in self.records.items() if since is None or stamps[id(r)][r.version] > int(since)]
        for start in range(0, max(1, len(rows)), 50):
            shown = tuple(self._snapshot(i, row=True) for i in rows[start : start + 50] if i in self.records)
            yield Page(shown, str(int(self.now())) if start + 50 >= len(rows) else None)


@told("the cursor skips edits, made while the list was read, of 3 records")
class CursorOfTheEnd(Right):
    async def list(self, since=None):
        async for page in Right.list(self, since):
            yield attrs.evolve(page, cursor=page.cursor and str(self._tokens))


@told("whoever goes on from the cursor of the first page misses 70 records")
class CursorOfTheWholeList(Right):
    async def list(self, since=None):
        here = str(self._tokens)
        async for page in Right.list(self, since):
            yield attrs.evolve(page, cursor=here)


@told("changed_since is declared, and the pages carry no cursor")
class NoCursor(Right):
    async def list(self, since=None):
        async for page in Right.list(self, since):
            yield attrs.evolve(page, cursor=None)


@told("list gives a short list although a request failed (403)")
class EndsAListEarly(Right):
    async def list(self, since=None):
        try:
            async for page in Right.list(self, since):
                yield page
        except SyncError:
            return


@told("what changed since a cursor does not name a record that was deleted")
class NeverTellsDeletions(Right):
    async def list(self, since=None):
        async for page in Right.list(self, since):
            yield attrs.evolve(page, snapshots=tuple(row for row in page.snapshots if not row.gone))


@told("what changed since a cursor names a record as gone that is there")
class TakesTheUnchangedForGone(Right):
    async def list(self, since=None):
        changed = set()
        async for page in Right.list(self, since):
            changed |= {row.id for row in page.snapshots}
            yield page
        others = [id for id in self.records if id not in changed] if since is not None else []
        yield Page(tuple(Snapshot(id, {}, gone=True, row=True, seen_at=self.now()) for id in others))


@told("a page that was given shows an edit that came after it")
class HandsOutWhatItEdits(Right):
    """Its rows are the very records that people edit: whoever looks late sees later."""

    async def list(self, since=None):
        async for page in Right.list(self, since):
            rows = [(row.id, row) for row in page.snapshots]
            tokens = [(id, None if row.gone else row.version) for id, row in rows]
            yield Page(Lazily(self._now, rows), page.cursor, tokens=tokens)

    def _now(self, row):
        id, was = row
        return self._snapshot(id, row=True) if id in self.records else was


@told("list is no asynchronous iterator")
class ListsInOne(Right):
    async def list(self, since=None):
        return [page async for page in Right.list(self, since)]


# Writes


@told("update lost the version (after an edit of a person)")
class LosesTheVersion(Right):
    async def update(self, seen, changes, **options):
        record = self.records.get(seen.id)
        newest = seen if record is None else attrs.evolve(seen, version=str(record.version))
        return await Right.update(self, newest, changes, **options)


@told("update lost the version (two writes against one version both succeeded)")
class ForgivesItself(Right):
    """It remembers what it wrote itself, and takes that for seen by everybody."""

    async def update(self, seen, changes, **options):
        own, record = self.__dict__.setdefault("own", {}), self.records.get(seen.id)
        if record is not None and own.get(seen.id) == record.version:
            seen = attrs.evolve(seen, version=str(record.version))
        now = await Right.update(self, seen, changes, **options)
        own[seen.id] = self.records[seen.id].version
        return now


@told("of three writes at once against one version 3 succeed")
class ComparesThenWrites(Right):
    async def update(self, seen, changes, **options):
        record = self.records.get(seen.id)
        if record is None or str(record.version) != seen.version:
            raise Stale("the record moved")
        await asyncio.sleep(0)
        return await Right.update(self, attrs.evolve(seen, version=str(record.version)), changes, **options)


@told("update raises Stale after it has written")
class WritesThenCompares(Right):
    async def update(self, seen, changes, **options):
        record = self.records.get(seen.id)
        moved = record is not None and str(record.version) != seen.version
        now = await Right.update(
            self, attrs.evolve(seen, version=str(record.version)) if record else seen, changes, **options
        )
        if moved:
            raise Stale("the record moved")
        return now


told("is trimmed")(type("Trims", (altered(lambda v: v.strip() if isinstance(v, str) else v),), {}))
told("has its case folded")(type("FoldsCase", (altered(lambda v: v.casefold() if isinstance(v, str) else v),), {}))
told("is rounded")(type("Rounds", (altered(lambda v: round(v, 1) if isinstance(v, float) else v),), {}))
told("is cut off")(type("LosesFractions", (altered(lambda v: v[:19] if v and str(v)[:2] == "20" else v),), {}))
told("becomes str")(type("EverythingIsText", (altered(lambda v: v if v is None else str(v)),), {}))
told("has its white space changed")(
    type("Squeezes", (altered(lambda v: v.replace("  ", " ") if isinstance(v, str) and v.strip() == v else v),), {})
)


@told("has its Unicode form changed")
class Composes(Right):
    async def update(self, seen, changes, **options):
        composed = {n: v.replace("A\u030a", "Å") if isinstance(v, str) else v for n, v in changes.items()}
        return await Right.update(self, seen, composed, **options)


@told("update writes a record, the field 'since' is no longer empty")
class IgnoresClearing(Right):
    async def update(self, seen, changes, **options):
        return await Right.update(self, seen, {n: v for n, v in changes.items() if v is not None}, **options)


@told("changes the field 'share'")
class EmptiesWhatWasNotSent(Right):
    async def update(self, seen, changes, **options):
        empty = dict.fromkeys(self.names) if changes else {}
        return await Right.update(self, seen, {**empty, **changes}, **options)


@told("changes a field that no mapping knows")
class DropsWhatItDoesNotKnow(Right):
    async def update(self, seen, changes, **options):
        now = await Right.update(self, seen, changes, **options)
        self.records[seen.id].fields.pop("shoe size", None)
        return now


@told("an update changes another record")
class WritesByName(Right):
    """It writes to everybody who has a share that it is told to change."""

    async def update(self, seen, changes, **options):
        for id in self.records:
            if id != seen.id and "share" in changes:
                self.records[id].fields["share"] = changes["share"]
        return await Right.update(self, seen, changes, **options)


@told("partial_write is declared, and an update replaces the whole record", PLAIN)
class ReplacesTheRecord(Right):
    async def update(self, seen, changes, **options):
        whole = {n: v for n, v in seen.fields.items() if v is not ABSENT}
        return await Right.update(self, seen, {**whole, **changes}, **options)


@told("update says that it wrote 'name', and get shows another value")
class SaysWhatItWasTold(Right):
    async def update(self, seen, changes, **options):
        kept = {n: v.strip() if isinstance(v, str) else v for n, v in changes.items()}
        now = await Right.update(self, seen, kept, **options)
        return now and attrs.evolve(now, fields={**now.fields, **changes})


@told("update answers with the version from before the write")
class OldVersion(Right):
    async def update(self, seen, changes, **options):
        now = await Right.update(self, seen, changes, **options)
        return now and attrs.evolve(now, version=seen.version)


@told("update changes the fields that it is given")
class ConsumesWhatItIsGiven(Right):
    async def update(self, seen, changes, **options):
        given = dict(changes)
        changes.clear()
        return await Right.update(self, seen, given, **options)


@told("update of a deleted record succeeds")
class BringsBack(Right):
    async def update(self, seen, changes, **options):
        if seen.id not in self.records:
            self.add(**seen.fields)
            self.records[seen.id] = self.records.popitem()[1]
            return self._snapshot(seen.id, row=False)
        return await Right.update(self, seen, changes, **options)


@told("update of a deleted record raises Rejected")
class RefusesWhatIsGone(Right):
    async def update(self, seen, changes, **options):
        if seen.id not in self.records:
            raise Rejected("404")
        return await Right.update(self, seen, changes, **options)


@told("update is sent 2 times when its reply is lost")
class RepeatsAPut(Right):
    async def update(self, seen, changes, **options):
        try:
            return await Right.update(self, seen, changes, **options)
        except Unconfirmed:
            record = self.records[seen.id]
            return await Right.update(self, attrs.evolve(seen, version=str(record.version)), changes, **options)


@told("update swallows an error (request lost)")
class SwallowsErrors(Right):
    async def update(self, seen, changes, **options):
        try:
            return await Right.update(self, seen, changes, **options)
        except Unavailable as error:
            if isinstance(error, Unconfirmed) and self.records[seen.id].version != int(seen.version or 0):
                raise
            return None


@told("update swallows the refusal of the system")
class KeepsQuiet(Right):
    async def update(self, seen, changes, **options):
        try:
            return await Right.update(self, seen, changes, **options)
        except Rejected:
            return seen


@told("update changes a record although it says that this was refused")
class WritesWhatItCan(Right):
    async def update(self, seen, changes, **options):
        if not changes.get("name", "unchanged"):
            await Right.update(self, seen, {"share": changes.get("share")})
        return await Right.update(self, seen, changes, **options)


@told("update sends 2 writing requests instead of one")
class WritesFieldByField(Right):
    async def update(self, seen, changes, **options):
        now = await Right.update(self, seen, changes, **options)
        return await Right.update(self, now, {}) if now and changes else now


@told("the order of the fields makes a difference")
class FirstFieldWins(Right):
    async def update(self, seen, changes, **options):
        first = dict(list(changes.items())[:1])
        return await Right.update(self, seen, first if len(changes) > 1 else changes, **options)


# Notes


@told("create loses the notes that it is given")
class MakesWithoutNotes(Right):
    async def create(self, fields, *, notes=None, despite_duplicates=False):
        return await Right.create(self, fields, despite_duplicates=despite_duplicates)


@told("a note that was not given is emptied")
class EmptiesNotes(Right):
    async def update(self, seen, changes, *, notes=None):
        if notes is not None:
            self.records[seen.id].notes = None
        return await Right.update(self, seen, changes, notes=notes)


@told("find_by_counterpart finds records of other counterparts")
class FindsByPrefix(Right):
    async def find_by_counterpart(self, counterpart):
        noted = [(id, record.notes) for id, record in self.records.items() if record.notes is not None]
        return [self._snapshot(id, row=True) for id, notes in noted if notes.counterpart[:3] == counterpart[:3]]


@told("notes are not kept, and yet records are found", SEARCHED)
class FindsWithoutNotes(Right):
    async def find_by_counterpart(self, counterpart):
        return [self._snapshot(id, row=True) for id in self.records]


# Creates and deletes


@told("one create makes 2 records")
class MakesTwo(Right):
    async def create(self, fields, **options):
        await Right.create(self, fields, **options)
        return await Right.create(self, fields, **options)


@told("create is sent 2 times when its reply is lost")
class RepeatsAPost(Right):
    async def create(self, fields, **options):
        try:
            return await Right.create(self, fields, **options)
        except Unconfirmed:
            return await Right.create(self, fields, **options)


@told("create claims success although its reply was lost")
class ClaimsSuccess(Right):
    async def create(self, fields, **options):
        try:
            return await Right.create(self, fields, **options)
        except Unconfirmed:
            return Created(list(self.records)[-1])


@told("create raises Unavailable when its reply was lost")
class SaysThatNothingWasWritten(Right):
    async def create(self, fields, **options):
        try:
            return await Right.create(self, fields, **options)
        except Unconfirmed as error:
            raise Unavailable("no answer") from error


@told("find_created misses the record that a create made", SEARCHED)
class LooksForTheWrongOnes(Right):
    async def find_created(self, intent):
        return [one for one in await Right.find_created(self, intent) if int(one.id[1:]) > self._number]


@told("of creates at the same time two answer with one id")
class AnswersTheNewest(Right):
    async def create(self, fields, **options):
        await Right.create(self, fields, **options)
        await asyncio.sleep(0)
        return Created(list(self.records)[-1])


@told("Duplicate does not name the record that exists")
class NamelessDuplicate(Right):
    async def create(self, fields, *, notes=None, despite_duplicates=False):
        if not despite_duplicates and any(r.fields.get("name") == fields.get("name") for r in self.records.values()):
            raise Duplicate("409")
        return await Right.create(self, fields, notes=notes)


@told("a second create answers with the first record")
class Upserts(Right):
    async def create(self, fields, **options):
        for id, record in self.records.items():
            if all(record.fields.get(name) == value for name, value in fields.items()):
                return Created(id, self._snapshot(id, row=False))
        return await Right.create(self, fields, **options)


@told("create makes up a value of")
class FillsIn(Right):
    async def create(self, fields, **options):
        return await Right.create(self, {"since": "unknown", **fields}, **options)


@told("create swallows the refusal of the system")
class SwallowsRefusals(Right):
    async def create(self, fields, **options):
        return await Right.create(self, {**fields, "name": fields.get("name") or "?"}, **options)


@told("create raises Unavailable for a record that the system refuses")
class TriesForEver(Right):
    async def create(self, fields, **options):
        try:
            return await Right.create(self, fields, **options)
        except Rejected as error:
            raise Unavailable("400") from error


@told("create answers something else than Created")
class AnswersTheId(Right):
    async def create(self, fields, **options):
        return (await Right.create(self, fields, **options)).id


@told("deletion is declared HARD, and the record lies in a trash")
class DeletesSoftly(Right):
    async def delete(self, seen):
        self.__dict__.setdefault("trash", {})[seen.id] = self.records.get(seen.id)
        await Right.delete(self, seen)


@told("deletion is declared FORBIDDEN, and delete does not refuse", Capabilities())
class DeletesAnyway(Right):
    async def delete(self, seen):
        self.records.pop(seen.id, None)


@told("a deleted record is not gone")
class DeletesNothing(Right):
    async def delete(self, seen):
        record = self.records.get(seen.id)
        if record is not None and str(record.version) != seen.version:
            raise Stale("the record moved")


@told("delete ends a record that was edited since it was read")
class DeletesWhatHasMoved(Right):
    async def delete(self, seen):
        record = self.records.get(seen.id)
        await Right.delete(self, seen if record is None else attrs.evolve(seen, version=str(record.version)))


@told("the id of a deleted record is given to another one, and its version, too")
class GivesIdsTwice(Right):
    """As a table that numbers its rows from the highest there is, with versions that begin at 1."""

    def add(self, **fields):
        id = Right.add(self, **fields)
        if spare := [old for old in getattr(self, "deleted_at", {}) if old not in self.records]:
            self.records[spare[-1]] = self.records.pop(id)
            self.records[spare[-1]].version = self.__dict__.setdefault("versions", {}).pop(spare[-1])
            return spare[-1]
        return id

    def remove(self, id):
        self.__dict__.setdefault("versions", {})[id] = self.records[id].version
        Right.remove(self, id)


@told("a second delete raises Rejected")
class RefusesASecondDelete(Right):
    async def delete(self, seen):
        if seen.id not in self.records:
            raise Rejected("404")
        await Right.delete(self, seen)


@told("a write that failed was made later")
class HasAQueueOfItsOwn(Right):
    async def update(self, seen, changes, **options):
        try:
            return await Right.update(self, seen, changes, **options)
        except Unconfirmed:
            raise
        except Transient:
            self.__dict__.setdefault("later", []).append((seen.id, changes))
            raise

    async def list(self, since=None):
        async for page in Right.list(self, since):
            yield page
        for id, changes in self.__dict__.pop("later", ()):
            self.records[id].fields.update(changes)


# Claims


@told("writes are declared conditional, and snapshots carry no version")
class NoVersions(Right):
    def _snapshot(self, id, *, row):
        return attrs.evolve(Right._snapshot(self, id, row=row), version=None)


@told("updates is declared False, and such a write succeeds", READ_ONLY)
class ChangesAllTheSame(Right):
    async def update(self, seen, changes, **options):
        self.edit(seen.id, **changes)


@told("a write is refused and takes effect all the same", READ_ONLY)
class RefusesTooLate(Right):
    async def create(self, fields, **options):
        self.add(**fields)
        return await Right.create(self, fields, **options)


@told("the tokens of a page are not those of its rows")
class TokensOfAnotherOrder(Right):
    async def list(self, since=None):
        async for page in Right.list(self, since):
            yield attrs.evolve(page, tokens=sorted(page.known_by, reverse=True))


@told("the capabilities change by themselves")
class ChangesItsMind(Right):
    async def list(self, since=None):
        async for page in Right.list(self, since):
            yield page
        self.capabilities = attrs.evolve(self.capabilities, conditional_write=Conditional.CHECKED)


@told("newest is of the type int", SEARCHED)
class NewestAsNumber(Right):
    newest = property(lambda self: self._number)


@told("update refuses a row (Stale)")
class RowsCantBeWritten(Right):
    async def update(self, seen, changes, **options):
        if seen.row:
            raise Stale("read it first")
        return await Right.update(self, seen, changes, **options)
