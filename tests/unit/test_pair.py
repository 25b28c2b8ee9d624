"""Two stores of a user's own, kept in step by ``open_pair``."""

from __future__ import annotations

import asyncio
import itertools

import attrs
import pytest

from bidisync import (
    AS_IT_IS,
    Changes,
    Feed,
    Field,
    FieldMap,
    FieldMapper,
    LinkState,
    Mapped,
    Misconfigured,
    OnDelete,
    RecordReplica,
    Records,
    Rejected,
    Snapshot,
    Stale,
    Unavailable,
    open_pair,
    prefer_left,
)
from bidisync.model import Page
from bidisync.pages import Lazily
from bidisync.stores.memory import MemoryStore
from bidisync.testing import Examples, ManualClock, Trial, check_replica


class Shelf:
    def __init__(self, *books):
        self.books, self.history, self.read = {}, [], 0
        for book in books:
            self.add(book)

    def all(self):
        self.read += len(self.books)
        return list(self.books.values())

    def get(self, id):
        self.read += 1
        return self.books.get(id)

    def add(self, fields):
        id = fields.get("id") or f"made{len(self.history)}"
        self.history.append(id)
        self.books[id] = {**self.books.get(id, {}), **fields, "id": id, "version": len(self.history)}
        return self.books[id]

    def change(self, id, fields, version):
        if id not in self.books or str(self.books[id]["version"]) != version:
            raise Stale("moved")
        return self.add({**fields, "id": id})

    def remove(self, id, version):
        self.books.pop(id, None)
        self.history.append(id)


class Followed(Shelf):
    def position(self):
        return str(len(self.history))

    def changed(self, since):
        ids = list(dict.fromkeys(self.history[int(since) :]))
        there = [self.books[id] for id in ids if id in self.books]
        self.read += len(there)
        return Changes(there, [id for id in ids if id not in self.books], self.position())


class Compared(Shelf):
    """It removes nothing that was edited since it was read."""

    def remove(self, id, version):
        if id in self.books and str(self.books[id]["version"]) != version:
            raise Stale("moved")
        super().remove(id, version)


class ComparedAndFollowed(Compared, Followed):
    pass


class Remote(Shelf):
    """The same, asynchronous, and answering a change with nothing."""

    async def all(self):
        for book in list(self.books.values()):
            await asyncio.sleep(0)
            yield book

    async def get(self, id):
        return self.books.get(id)

    async def add(self, fields):
        return super().add(fields)

    async def change(self, id, fields, version):
        if str(self.books[id]["version"]) != version:
            raise Stale("moved")
        Shelf.add(self, {**fields, "id": id})


OPTIONS = {"fields": ["id", "title", "place"], "strategy": prefer_left, "match": ["id"]}
BOOK = {"id": "1", "title": "Effi Briest", "place": "window"}


def plain(shelf):
    return {id: {k: v for k, v in book.items() if k != "version"} for id, book in shelf.books.items()}


@pytest.mark.parametrize("kind", [Shelf, Followed])
async def test_edits_on_both_sides_and_new_and_deleted_books_reach_the_other(kind):
    left, right = kind(BOOK, {**BOOK, "id": "2"}), kind(BOOK, {**BOOK, "id": "2"})
    async with open_pair(left, right, on_delete=OnDelete.PROPAGATE, **OPTIONS) as pair:
        await pair.sync()
        left.add({"id": "1", "title": "mine"})
        right.add({"id": "1", "title": "theirs", "place": "shelf"})
        left.add({"id": "3", "title": "Neu", "place": "desk"})
        right.remove("2", None)
        tally = await pair.sync()
        assert plain(left) == plain(right)
        assert plain(left)["1"] == {"id": "1", "title": "mine", "place": "shelf"}
        assert sorted(left.books) == ["1", "3"]
        assert tally.states() == {LinkState.IN_SYNC: 2, LinkState.TOMBSTONED: 1}
        writes = len(left.history), len(right.history)
        await pair.sync()
        assert (len(left.history), len(right.history)) == writes


class Firm(Followed):
    """Deletes nothing as long as it has reasons."""

    reason = "has invoices"

    def remove(self, id, version):
        if self.reason:
            raise Rejected(self.reason)
        super().remove(id, version)


@pytest.mark.parametrize("named", ["left:1", "right:1"])
async def test_a_refused_deletion_is_sent_again_by_retry(named):
    left, right = Followed(BOOK, {**BOOK, "id": "2"}), Firm(BOOK, {**BOOK, "id": "2"})
    async with open_pair(left, right, on_delete=OnDelete.PROPAGATE, **OPTIONS) as pair:
        await pair.sync()
        left.remove("1", None)
        await pair.sync()
        assert (await pair.retry(named)).state is LinkState.GONE
        right.reason = None
        await pair.sync()
        assert "1" in right.books
        assert (await pair.retry(named)).state is LinkState.TOMBSTONED
        assert sorted(right.books) == ["2"]
        assert (await pair.retry(named)).state is LinkState.TOMBSTONED


@pytest.mark.parametrize("named", ["left:1", "right:made1"])
async def test_a_record_that_came_back_gets_a_counterpart_by_retry(named):
    fields = {**OPTIONS, "fields": ["title", "place"], "match": ["title"]}
    left, right = Shelf({**BOOK, "id": "0", "title": "Stine"}, BOOK), Shelf()
    async with open_pair(left, right, on_delete=OnDelete.PROPAGATE, **fields) as pair:
        await pair.sync()
        assert named == "left:1" or named.removeprefix("right:") in right.books
        left.remove("1", None)
        await pair.sync()
        assert len(right.books) == 1
        left.add({**BOOK, "title": "Cécile"})
        await pair.sync()
        assert len(right.books) == 1
        assert (await pair.retry(named)).state is LinkState.IN_SYNC
        assert sorted(book["title"] for book in right.books.values()) == ["Cécile", "Stine"]
        assert (await pair.sync()).states() == {LinkState.IN_SYNC: 2}


async def test_what_died_of_its_attempts_lives_again_by_retry_and_nobody_is_nobody():
    clock, left, right = ManualClock(), Shelf(BOOK), Shelf(BOOK)
    async with open_pair(left, right, clock=clock, **OPTIONS) as pair:
        await pair.sync()
        right.change, change = failing, right.change
        left.add({"id": "1", "title": "Stine"})
        for _ in range(3):
            await pair.sync()
            clock.advance(3_600)
        (link,) = await pair.store.waiting()
        assert link.attempts.dead
        right.change = change
        assert (await pair.retry("left:1")).state is LinkState.IN_SYNC
        assert right.books["1"]["title"] == "Stine"
        assert (await pair.retry("left:no such book")).reason == "not_found"


def failing(id, fields, version):
    raise Unavailable("no answer")


@attrs.define
class Told(RecordReplica):
    """Rows that a test puts behind the others of the page, or tells as what changed."""

    more: list = attrs.Factory(list)
    gone: list = attrs.Factory(list)

    async def list(self, since=None):
        pages = [] if since else [page async for page in RecordReplica.list(self)]
        for page in pages:
            if page.snapshots:
                rows = [*page.snapshots, *(attrs.evolve(page.snapshots[0], **row) for row in self.more)]
                yield Page(tuple(rows))
        yield Page(tuple(self.gone), "here")


async def test_a_record_that_one_page_shows_twice_is_looked_at_where_one_of_both_moved():
    left, right = Told(Shelf(BOOK, {**BOOK, "id": "2"}), ("id", "title")), Shelf()
    async with open_pair(left, right, **{**OPTIONS, "fields": ["id", "title"]}) as pair:
        await pair.sync()
        left.more.append({"version": "later", "fields": {"id": "1", "title": "edited"}})
        await pair.sync()
    assert [book["title"] for book in right.books.values()] == ["edited", BOOK["title"]]


async def test_a_record_that_is_told_to_be_gone_is_not_at_rest_though_it_still_has_its_version():
    left = Told(Followed(BOOK, {**BOOK, "id": "2"}), ("id", "title"))
    async with open_pair(left, Followed(), **{**OPTIONS, "fields": ["id", "title"]}) as pair:
        await pair.sync(everything=True)
        del left.records.books["1"]
        left.gone.append(Snapshot("1", {}, version="1", gone=True))
        tally = await pair.sync(everything=False)
    assert tally.states()[LinkState.GONE] == 1


async def test_an_asynchronous_store_is_read_back_where_it_does_not_say_what_it_made():
    left, right = Shelf({**BOOK, "title": "t"}), Remote()
    Shelf.add(right, {**BOOK, "title": "t"})
    async with open_pair(left, right, **OPTIONS) as pair:
        await pair.sync()
        left.add({"id": "1", "title": "new"})
        left.add({"id": "2", "title": "made"})
        await pair.sync()
    assert plain(right)["1"]["title"] == "new"
    assert plain(right)["2"]["title"] == "made"


async def test_a_pass_over_a_feed_reads_only_what_changed():
    books = [{**BOOK, "id": str(n)} for n in range(50)]
    left, right = Followed(*books), Followed(*books)
    async with open_pair(left, right, **OPTIONS) as pair:
        await pair.sync()
        left.read = right.read = 0
        await pair.sync()
        assert left.read == right.read == 0
        left.add({"id": "7", "title": "new"})
        await pair.sync()
        assert (left.read, right.read) <= (2, 2)
        assert right.books["7"]["title"] == "new"


async def test_the_state_lasts_in_a_file_and_a_store_that_was_given_stays_open(tmp_path):
    left, right = Shelf(BOOK), Shelf(BOOK)
    for state in (tmp_path / "s.db", f"sqlite:///{tmp_path}/s.db"):
        async with open_pair(left, right, state=state, **OPTIONS) as pair:
            await pair.sync()
        right.add({"id": "1", "title": f"title of {len(right.history)}"})
    assert left.books["1"]["title"] == "title of 1"
    store = MemoryStore()
    async with open_pair(left, right, state=store, **OPTIONS) as pair:
        outcome = await pair.sync_one("left:1")
    assert outcome.state is LinkState.CONFLICT  # a new state: nobody knows who edited the title
    assert await store.count() == {"conflict": 1}


async def test_fields_of_other_names_are_mapped_and_records_of_other_keys_found():
    class Odd(Shelf):
        def all(self):
            return [{"key": b["id"], "rev": b["version"], "TITLE": b["title"]} for b in self.books.values()]

        def get(self, id):
            return next((record for record in self.all() if record["key"] == id), None)

        def change(self, id, fields, version):
            super().change(id, {"title": fields["TITLE"]}, version)

    odd, left = Odd(BOOK), Shelf({"id": "a", "title": "Effi Briest"})
    there = Mapped(RecordReplica(odd, ("TITLE",), id="key", version="rev"), FieldMapper((FieldMap("title", "TITLE"),)))
    async with open_pair(left, there, fields=[Field("title", "words")], match=["title"]) as pair:
        await pair.sync()
        left.add({"id": "a", "title": "Irrungen, Wirrungen"})
        tally = await pair.sync()
    assert odd.books["1"]["title"] == "Irrungen, Wirrungen"
    assert tally.states() == {LinkState.IN_SYNC: 1}


async def test_a_number_under_another_name_travels_as_it_is_both_ways():
    left, right = Shelf({"id": "1", "year": 1895}), Shelf()
    maps = (FieldMap("id", "id"), FieldMap("year", "YEAR", AS_IT_IS))
    there = Mapped(RecordReplica(right, ("id", "YEAR")), FieldMapper(maps))
    async with open_pair(left, there, fields=["id", "year"], match=["id"]) as pair:
        await pair.sync()
        assert right.books["1"]["YEAR"] == 1895
        right.add({"id": "1", "YEAR": 1896})
        assert (await pair.sync()).states() == {LinkState.IN_SYNC: 1}
    assert left.books["1"]["year"] == 1896


async def test_a_pair_without_fields_or_with_an_unknown_state_is_refused():
    for options in ({}, {"fields": ["a"], "state": "redis://"}, {"fields": ["a"], "state": "memory:x"}):
        with pytest.raises(Misconfigured):
            async with open_pair(Shelf(), Shelf(), **options):
                pass


def test_stores_are_told_apart_by_what_they_can():
    assert isinstance(Shelf(), Records)
    assert not isinstance(Shelf(), Feed)
    assert RecordReplica(Followed(), ("a",)).capabilities.changed_since


def test_a_lazy_sequence_makes_an_item_each_time_that_it_is_asked_for():
    made = []
    lazy = Lazily(lambda n: made.append(n) or n * 2, range(5))
    assert (len(lazy), made) == (5, [])
    assert lazy[1] == 2
    assert list(lazy[3:]) == [6, 8]
    assert made == [1, 3, 4]


class Reader:
    """A person at the shelf."""

    def __init__(self, shelf):
        self.shelf = shelf

    async def add(self, fields):
        return str(self.shelf.add(fields)["id"])

    async def edit(self, id, fields):
        self.shelf.add({**fields, "id": id})

    async def remove(self, id):
        self.shelf.remove(id, str(self.shelf.books[id]["version"]))

    async def read(self, id):
        book = self.shelf.books.get(id)
        return None if book is None else {name: book.get(name) for name in ("title", "place")}

    async def trash(self):
        return ()


@pytest.mark.parametrize("kind", [Compared, ComparedAndFollowed])
async def test_a_store_of_ones_own_keeps_the_promises_of_a_replica(kind):
    async def make():
        shelf, ticks = kind(), itertools.count()
        replica = RecordReplica(shelf, ("title", "place"), now=lambda: float(next(ticks)))
        return Trial(replica=replica, person=Reader(shelf), now=replica.now)

    books = [{"title": "Effi Briest", "place": "window"}, {"title": "Der Stechlin", "place": "cellar"}]
    judged = await check_replica(make, Examples(records=books, texts=["title", "place"]))
    assert not judged.broken


async def test_what_is_no_store_and_fields_that_are_no_list_are_told_in_a_sentence():
    class Unfinished:
        all = get = Shelf.all

    with pytest.raises(Misconfigured, match="Unfinished is no store and no replica: it lacks add, change"):
        async with open_pair(Shelf(), Unfinished(), fields=["title"]):
            pass
    with pytest.raises(Misconfigured, match="fields is a list of names"):
        async with open_pair(Shelf(), Shelf(), fields="title"):
            pass


@pytest.mark.parametrize("name", ["id", "version"])
async def test_a_record_without_its_id_or_version_is_told_by_the_name_that_it_lacks(name):
    left = Shelf(BOOK)
    del left.books["1"][name]
    async with open_pair(left, Shelf(BOOK), **OPTIONS) as pair:
        with pytest.raises(Misconfigured, match=f"a record has no '{name}': .* RecordReplica") as told:
            await pair.sync()
    assert "Effi" not in str(told.value)
    with pytest.raises(Misconfigured, match=f"a record has no '{name}'"):
        await RecordReplica(left, ("title",)).get("1")
    keyed = RecordReplica(Shelf(BOOK), ("title",), **{name: "key"})
    with pytest.raises(Misconfigured, match="a record has no 'key'"):
        await keyed.get_many(["1"])


@pytest.mark.parametrize("name", ["id", "version"])
async def test_a_store_whose_add_answers_without_id_or_version_ends_the_pass_and_nothing_is_added_twice(name):
    class Forgetful(Shelf):
        answers = False

        def add(self, fields):
            made = super().add(fields)
            return made if self.answers else {k: v for k, v in made.items() if k != name}

    right = Forgetful()
    async with open_pair(Shelf(BOOK), right, **{**OPTIONS, "fields": ["title", "place"], "match": ["title"]}) as pair:
        with pytest.raises(TypeError, match=f"what add answered: a record has no '{name}'"):
            await pair.sync()
        right.answers = True
        tally = await pair.sync()
    assert tally.states() == {LinkState.IN_SYNC: 1}
    assert len(right.books) == 1


def test_a_page_whose_tokens_are_not_as_many_as_its_rows_is_refused():
    with pytest.raises(ValueError, match="1 snapshots has 2 tokens"):
        Page((Snapshot("1", {}),), tokens=[("1", "v"), ("2", "v")])
