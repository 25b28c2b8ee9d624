"""A store of a user's own as a replica: however it answers, and whatever its records lack."""

from __future__ import annotations

import pytest
from test_pair import Followed, Shelf

from bidisync import Changes, LinkState, Misconfigured, RecordReplica, Snapshot, open_pair
from bidisync.stores.memory import MemoryStore


async def read(records) -> list[Snapshot]:
    class Fixed(Shelf):
        def all(self):
            return records

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
    with pytest.raises(Misconfigured, match="a record of Fixed lacks 'id' or 'version', or its 'id' is empty") as told:
        await read(records)
    assert "Effi" not in str(told.value)


async def test_a_record_without_the_name_of_its_version_is_refused_and_zero_is_an_id():
    with pytest.raises(Misconfigured, match="a record of Fixed lacks 'id' or 'version'"):
        await read([{"id": "1", "title": "x"}])
    assert [row.id for row in await read([{"id": 0, "title": "x", "version": None}])] == ["0"]


async def test_a_store_that_does_not_say_what_it_made_makes_nothing_twice():
    class Silent(Shelf):
        def add(self, fields):
            return {**super().add(fields), "id": ""}

    left, right = Shelf({"id": "1", "title": "x"}), Silent()
    async with open_pair(left, right, fields=["id", "title"], match=["id"]) as pair:
        assert (await pair.sync()).states() == {LinkState.IN_SYNC: 1}
        await pair.sync()
    assert list(right.books) == ["1"]
