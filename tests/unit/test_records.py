"""A store of a user's own as a replica: however it answers, and whatever its records lack."""

from __future__ import annotations

import sqlite3

import pytest
from test_pair import Followed, Shelf

from bidisync import (
    Changes,
    FieldMap,
    FieldMapper,
    LinkState,
    Mapped,
    Misconfigured,
    OnDelete,
    RecordReplica,
    Side,
    Snapshot,
    Unavailable,
    open_pair,
)
from bidisync import records as records_module
from bidisync.events import Noticed
from bidisync.stores.memory import MemoryStore

MAPPER = FieldMapper((FieldMap("id", "ID"), FieldMap("title", "T")))


async def read(records) -> list[Snapshot]:
    class Fixed(Shelf):
        def all(self):
            return records

        def get(self, id):
            return next(record for record in records if str(record["id"]) == id)

    return [row async for page in RecordReplica(Fixed(), ("title",)).list() for row in page.snapshots]


class Listing(Shelf):
    """Lists from a coroutine."""

    async def all(self):
        return super().all()


class Flowing(Followed):
    """Gives records one by one, in a coroutine that says so."""

    async def all(self):
        return self._each(super().all())

    async def changed(self, since):
        changes = super().changed(since)
        return Changes(self._each(changes.records), changes.gone, changes.position)

    async def _each(self, books):
        for book in books:
            yield book


@pytest.mark.parametrize("kind", [Listing, Flowing])
async def test_records_may_come_from_a_coroutine_all_at_once_or_one_by_one(kind):
    left, right = kind({"id": "1", "title": "x"}, {"id": "2", "title": "x"}), kind()
    async with open_pair(left, right, fields=["id", "title"], match=["id"]) as pair:
        await pair.sync()
        left.add({"id": "1", "title": "y"})
        assert (await pair.sync()).states()[LinkState.IN_SYNC] >= 1
    assert [book["title"] for book in right.books.values()] == ["y", "x"]


class Counting(Followed):
    """Tells its place and what is gone in numbers."""

    def position(self):
        return len(self.history)

    def changed(self, since):
        changes = super().changed(since)
        return Changes(changes.records, [int(id) for id in changes.gone], self.position())


async def test_a_deletion_that_a_feed_tells_by_a_number_is_not_missed(tmp_path):
    books = [{"id": str(n), "title": "x"} for n in range(4)]
    left, right = Counting(*books), Counting(*books)
    options = {"fields": ["id", "title"], "match": ["id"], "on_delete": OnDelete.PROPAGATE, "state": tmp_path / "s.db"}
    for number in range(3):
        async with open_pair(left, right, **options) as pair:
            await pair.sync()
        if number == 0:
            left.remove("2", "1")
    assert sorted(right.books) == ["0", "1", "3"]


def test_no_store_shows_what_it_keeps():
    assert "Briest" not in repr(Changes([{"id": "1", "title": "Effi Briest"}], [], "1"))


async def test_the_memory_shows_neither_records_nor_its_secret():
    store = MemoryStore()
    async with open_pair(Shelf({"id": "1", "title": "Effi Briest"}), Shelf(), fields=["id", "title"], state=store) as p:
        await p.sync()
        secret = await store.get_mark("index:secret")
        assert secret is not None and secret not in repr(p) + repr(store)
        assert "Briest" not in repr(p) + repr(store)


@pytest.mark.parametrize("id", ["", None])
async def test_a_record_without_an_id_is_refused_by_the_name_of_its_store(id):
    records = [{"id": "1", "title": "x", "version": 1}, {"id": id, "title": "Effi Briest", "version": 1}]
    with pytest.raises(Misconfigured, match="a record of Fixed has an empty 'id'") as told:
        await read(records)
    assert "Effi" not in str(told.value)


async def test_zero_is_an_id():
    assert [row.id for row in await read([{"id": 0, "title": "x", "version": None}])] == ["0"]


async def test_a_store_that_does_not_say_what_it_made_makes_nothing_twice():
    class Silent(Shelf):
        def add(self, fields):
            return {**super().add(fields), "id": ""}

    left, right = Shelf({"id": "1", "title": "x"}), Silent()
    async with open_pair(left, right, fields=["id", "title"], match=["id"]) as pair:
        with pytest.raises(TypeError, match="what add answered: a record of Silent has an empty 'id'"):
            await pair.sync()
        for _ in range(2):
            assert (await pair.sync()).states() == {LinkState.IN_SYNC: 1}
    assert list(right.books) == ["1"]


async def test_a_record_of_which_no_field_is_delivered_makes_no_empty_one():
    left, right = Shelf({"id": "1", "titel": "x", "empty": None}), Shelf()
    told: list[object] = []
    async with open_pair(left, right, fields=["title"], observers=[told.append]) as pair:
        for _ in range(2):
            await pair.sync()
        (waiting,) = await pair.store.waiting()
        assert [(review.reason, list(review.fields)) for review in waiting.reviews] == [("not_delivered", ["title"])]
    assert [(event.field, event.code) for event in told if isinstance(event, Noticed)] == [("title", "not_delivered")]
    assert right.books == {}
    async with open_pair(left, right, fields=["empty"]) as pair:
        await pair.sync()
    assert len(right.books) == 1


async def test_a_field_that_no_record_has_is_told_once_for_each_side_also_where_all_are_made():
    left, right = Shelf(*({"id": str(n), "titel": "x"} for n in range(5))), Shelf()
    told: list[object] = []
    async with open_pair(left, right, fields=["id", "title"], observers=[told.append]) as pair:
        await pair.sync()
        await pair.sync(everything=True)
    notices = [(event.ref.side, event.field, event.code) for event in told if isinstance(event, Noticed)]
    assert notices == [(side, "title", "not_delivered") for side in Side]


@pytest.mark.parametrize(
    ("replica", "message"),
    [
        (lambda: RecordReplica(Shelf(), ("id",)), "the RecordReplica of the right side does not name 'title'"),
        (
            lambda: Mapped(RecordReplica(Shelf(), ("ID",)), MAPPER),
            "the RecordReplica of the right side does not name 'T'",
        ),
        (lambda: RecordReplica(Shelf(), "title"), r"a tuple: write \('title',\)"),  # type: ignore[arg-type]
    ],
)
async def test_a_replica_that_reads_not_every_field_is_refused(replica, message):
    with pytest.raises(Misconfigured, match=message):
        async with open_pair(Shelf(), replica(), fields=["id", "title"]):
            pass


class Open(Shelf):
    """Counts who reads its list: a generator that is not closed would hold what it opened."""

    reading = 0

    def all(self):
        self.reading += 1
        try:
            yield from list(self.books.values())
        finally:
            self.reading -= 1


class OpenToo(Open):
    """The same asynchronously."""

    async def all(self):
        self.reading += 1
        try:
            for book in list(self.books.values()):
                yield book
        finally:
            self.reading -= 1


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("kind", [Open, OpenToo])
async def test_a_list_that_is_left_early_is_closed_at_once(monkeypatch, kind, mapped):
    monkeypatch.setattr(records_module, "PAGE", 2)
    store = kind(*({"id": str(n), "ID": str(n), "T": "x", "title": "x"} for n in range(5)))
    replica = RecordReplica(store, ("ID", "T"))
    pages = (Mapped(replica, MAPPER) if mapped else replica).list()
    await anext(pages)
    assert store.reading == 1
    await pages.aclose()
    assert store.reading == 0


@pytest.mark.parametrize("kind", [Open, OpenToo])
async def test_the_first_contact_leaves_no_list_open_behind_it(monkeypatch, kind):
    monkeypatch.setattr(records_module, "PAGE", 2)
    most = 0

    class Once(kind):
        def __setattr__(self, name, value):
            nonlocal most
            most = max(most, value) if name == "reading" else most
            super().__setattr__(name, value)

    async with open_pair(Once(*({"id": str(n), "title": "x"} for n in range(5))), Shelf(), fields=["title"]) as pair:
        assert (await pair.sync()).created.total() == 5
    assert most == 1


class Full(MemoryStore):
    """A state that can tell of nobody."""

    async def resting(self, side, tokens):
        raise Unavailable("the disk is full", system="state")


@pytest.mark.parametrize("kind", [Open, OpenToo])
async def test_a_pass_that_fails_while_it_reads_a_list_leaves_it_closed(monkeypatch, kind):
    monkeypatch.setattr(records_module, "PAGE", 2)
    store = kind(*({"id": str(n), "title": "x"} for n in range(5)))
    async with open_pair(Shelf(), store, fields=["title"], state=Full()) as pair:
        with pytest.raises(Unavailable) as kept:  # with its frames, as a log keeps it
            await pair.sync()
        assert kept.value.system == "state"
        assert store.reading == 0


async def test_a_cursor_that_a_store_uses_again_is_left_open():
    database = sqlite3.connect(":memory:")
    database.row_factory = lambda cursor, row: dict(zip(("id", "version", "title"), row, strict=True))
    cursor = database.cursor()

    class Table(Shelf):
        def all(self):
            return cursor.execute("values ('1', '1', 'Stine')")

    for _ in range(2):
        replica = RecordReplica(Table(), ("title",))
        assert [row.id async for page in replica.list() for row in page.snapshots] == ["1"]
    database.close()


class Numbered(Shelf):
    """Has numbers for ids, and is asked by them in vain."""

    def all(self):
        return [{**book, "id": int(id)} for id, book in self.books.items()]

    def get(self, id):
        return self.books[str(id)] if isinstance(id, int) else None


async def test_a_store_that_finds_nothing_by_the_text_of_an_id_is_refused_before_anything_seems_deleted():
    left, right = Numbered({"id": "1", "title": "x"}), Shelf()
    async with open_pair(left, right, fields=["title"]) as pair:
        with pytest.raises(Misconfigured, match="finds none by the text of an id of the type int"):
            await pair.sync()
    assert right.books == {}


async def test_a_record_that_is_deleted_while_it_is_listed_proves_nothing():
    class Passing(Numbered):
        def get(self, id):
            self.books.pop(id, None)

    replica = RecordReplica(Passing({"id": "1", "title": "x"}, {"id": "2", "title": "x"}), ("title",))
    assert [row.id async for page in replica.list() for row in page.snapshots] == ["1", "2"]
