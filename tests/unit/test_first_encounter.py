"""Two filled stores that meet for the first time: nobody is made twice unless somebody says that all are strangers."""

from __future__ import annotations

import attrs
import pytest

from bidisync import Identity, LinkState, Misconfigured, Notes, Unavailable, open_pair
from bidisync.testing import FULL, MemoryReplica


class Shelf:
    def __init__(self, *titles):
        self.books, self.edits = {}, 0
        for title in titles:
            self.add({"title": title})

    def all(self):
        return list(self.books.values())

    def get(self, id):
        return self.books.get(id)

    def add(self, fields):
        self.edits += 1
        id = str(len(self.books) + 1)
        self.books[id] = {**fields, "id": id, "version": str(self.edits)}
        return self.books[id]

    def change(self, id, fields, version):
        self.edits += 1
        self.books[id] = {**self.books[id], **fields, "version": str(self.edits)}
        return self.books[id]


@pytest.mark.parametrize("first", ["sync", "sync_one"])
async def test_two_filled_stores_are_refused_before_anything_is_written_where_nothing_tells_who_is_who(first):
    left, right = Shelf("Effi Briest", "Stine"), Shelf("Effi Briest")
    async with open_pair(left, right, fields=["title"]) as pair:
        for _ in range(2):
            with pytest.raises(Misconfigured, match=r"match=\['isbn'\].*strangers=True"):
                await (pair.sync() if first == "sync" else pair.sync_one("left:1"))
        assert await pair.store.count() == {}
    assert (len(left.books), len(right.books)) == (2, 1)


async def test_an_identity_without_keys_tells_nobody_apart():
    async with open_pair(Shelf("a"), Shelf("a"), fields=["title"], identity=Identity()) as pair:
        with pytest.raises(Misconfigured, match="strangers=True"):
            await pair.sync()


async def test_who_says_that_all_are_strangers_gets_each_on_both_sides():
    left, right = Shelf("Effi Briest"), Shelf("Stine")
    async with open_pair(left, right, fields=["title"], strangers=True) as pair:
        await pair.sync()
    assert {book["title"] for book in left.books.values()} == {"Effi Briest", "Stine"}
    assert (len(left.books), len(right.books)) == (2, 2)


async def test_one_filled_store_is_brought_over_and_both_may_grow_afterwards(tmp_path):
    left, right = Shelf("Effi Briest"), Shelf()
    for _ in range(2):
        async with open_pair(left, right, fields=["title"], state=tmp_path / "s.db") as pair:
            await pair.sync()
        left.add({"title": "Stine"})
        right.add({"title": "Cécile"})
    async with open_pair(left, right, fields=["title"], state=tmp_path / "s.db") as pair:
        assert (await pair.sync()).states() == {LinkState.IN_SYNC: 5}


async def test_a_first_contact_that_was_interrupted_goes_on(tmp_path):
    class Full(Shelf):
        room = 2

        def add(self, fields):
            if len(self.books) == self.room:
                raise Unavailable("no room", system="shelf")
            return super().add(fields)

    left, right = Shelf("a", "b", "c", "d"), Full()
    async with open_pair(left, right, fields=["title"], state=tmp_path / "s.db") as pair:
        with pytest.raises(Unavailable):
            await pair.sync()
        right.room = 9
        await pair.sync()
    assert sorted(book["title"] for book in right.books.values()) == ["a", "b", "c", "d"]


async def test_records_that_name_their_counterpart_are_no_strangers():
    left, right = MemoryReplica(capabilities=attrs.evolve(FULL, keeps_notes=True)), Shelf("Effi Briest")
    left.records[left.add(title="Effi Briest")].notes = Notes(counterpart="1")
    async with open_pair(left, right, fields=["title"]) as pair:
        assert (await pair.sync()).adopted == 1
    assert len(right.books) == 1


class Other(Shelf):
    """Its books have more than a title, and are told apart by another name."""

    def __init__(self, *books):
        super().__init__()
        for book in books:
            self.add(book)


ANY = {"isbn": None, "year": None}


@pytest.mark.parametrize("first", ["sync", "sync_one"])
@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ([{"ISBN": 1, "title": "a"}] * 2, [{"isbn": 1, "title": "a"}], "isbn .* no record of the left side has it"),
        ([{"isbn": 1, "title": "a"}], [{"ISBN": 1, "title": "a"}] * 2, "isbn .* no record of the right side has it"),
        ([{**ANY, "title": "a"}] * 3, [{**ANY, "title": "a"}] * 3, "no record of the left side has it"),
    ],
)
async def test_two_filled_stores_are_refused_where_no_record_of_a_side_has_the_key(first, left, right, message):
    left, right = Other(*left), Other(*right)
    async with open_pair(left, right, fields=["isbn", "title"], match=["isbn"]) as pair:
        with pytest.raises(Misconfigured, match=f"{message}.*strangers=True"):
            await (pair.sync() if first == "sync" else pair.sync_one("left:1"))
        assert await pair.store.count() == {}
    async with open_pair(left, right, fields=["isbn", "title"], match=["isbn"], strangers=True) as pair:
        assert (await pair.sync()).created.total() == len(left.books)


KEYS = Identity(strong=(("isbn",), ("year",)))


@pytest.mark.parametrize("alike", [0, 1])
async def test_of_several_keys_one_has_to_be_filled_on_both_sides_be_it_in_the_last_record(alike):
    left = Other({**ANY, "isbn": 1, "title": "a"}, *[{**ANY, "year": 1895, "title": "b"}] * alike)
    right = Other({**ANY, "year": 1895, "title": "b"})
    async with open_pair(left, right, fields=["isbn", "year", "title"], identity=KEYS) as pair:
        if alike:
            assert (await pair.sync()).adopted == 1
        else:
            with pytest.raises(Misconfigured, match=r"isbn or year .*none of them is filled on both sides"):
                await pair.sync()


async def test_a_side_that_is_empty_or_whose_key_is_filled_in_one_record_meets_the_other():
    for others, adopted in (([], 0), ([{"isbn": 8, "title": "c"}, {"isbn": 7, "title": "b"}], 1)):
        filled, other = Other({"isbn": None, "title": "a"}, {"isbn": 7, "title": "b"}), Other(*others)
        async with open_pair(filled, other, fields=["isbn", "title"], match=["isbn"]) as pair:
            assert (await pair.sync()).adopted == adopted
        assert len(filled.books) == len(other.books) == 2 + adopted


async def test_rows_that_lack_fields_say_nothing_of_who_is_who():
    poor = attrs.evolve(FULL, row_is_complete=False)
    left, right = MemoryReplica(capabilities=poor), MemoryReplica()
    left.add(title="a")
    right.add(title="b")
    async with open_pair(left, right, fields=["isbn", "title"], match=["isbn"]) as pair:
        assert (await pair.sync()).created.total() == 2
