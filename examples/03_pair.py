"""Two stores of your own kept in step: no server, no CRM, a dozen lines.

A store says how its records are listed, read, added and changed; each record has an id and a
version that moves with every change. Everything else has a default.
"""

import asyncio
from collections.abc import Iterable, Mapping

from bidisync import OnDelete, Stale, open_pair, prefer_left

Book = Mapping[str, object]


class Shelf:
    """Books in a dictionary."""

    def __init__(self) -> None:
        self.books: dict[str, dict[str, object]] = {}
        self.edits = 0

    def put(self, **book: object) -> Book:
        self.edits += 1
        id = str(book["id"])
        self.books[id] = {**self.books.get(id, {}), **book, "version": self.edits}
        return self.books[id]

    def all(self) -> Iterable[Book]:
        return list(self.books.values())

    def get(self, id: str) -> Book | None:
        return self.books.get(id)

    def add(self, fields: Book) -> Book:
        return self.put(**fields)

    def change(self, id: str, fields: Book, version: str | None) -> Book:
        if id not in self.books or str(self.books[id]["version"]) != version:
            raise Stale("the book was changed meanwhile, or is gone")
        return self.put(**{**fields, "id": id})

    def remove(self, id: str, version: str | None) -> None:
        if id in self.books and str(self.books[id]["version"]) != version:
            raise Stale("the book was changed meanwhile")
        self.books.pop(id, None)


async def main() -> None:
    shop, library = Shelf(), Shelf()
    shop.put(id="1", title="Effi Briest", place="window")
    library.put(id="1", title="Effi Briest", place="window")
    library.put(id="2", title="Der Stechlin", place="cellar")

    async with open_pair(
        shop,
        library,
        fields=["id", "title", "place"],
        strategy=prefer_left,
        match=["id"],
        on_delete=OnDelete.PROPAGATE,
    ) as pair:
        await pair.sync()
        print("the shop has", sorted(shop.books))

        shop.put(id="1", place="shelf 3")
        library.put(id="1", title="Effi Briest (1895)")
        del library.books["2"]
        await pair.sync()
        print("both have", shop.books["1"]["title"], "on", library.books["1"]["place"])
        assert sorted(shop.books) == sorted(library.books) == ["1"]
        assert (await pair.sync()).updated.total() == 0


asyncio.run(main())
