"""Stores of one's own, each with a mistake that somebody makes in the first hour, and the words that tell it."""

from __future__ import annotations

import itertools

from bidisync import Changes, Stale
from bidisync.testing import Examples

EXAMPLES = Examples(
    records=[{"title": "Stine", "tags": ["novel", "short"]}, {"title": "Cécile", "tags": None}],
    texts=["title"],
    nobody="999999",
    crowd=6,
)


class Shelf:
    """A right store, to be made wrong: it knows what changed."""

    def __init__(self):
        self.books, self.gone, self.numbers, self.edits = {}, {}, itertools.count(1), 0

    def all(self):
        return list(self.books.values())

    def get(self, id):
        return self.books.get(id)

    def add(self, fields):
        return self._put(str(next(self.numbers)), fields)

    def change(self, id, fields, version):
        if id not in self.books or str(self.books[id]["version"]) != version:
            raise Stale("the book was changed meanwhile")
        return self._put(id, fields)

    def remove(self, id, version):
        if id in self.books and str(self.books[id]["version"]) != version:
            raise Stale("the book was changed meanwhile")
        self.books.pop(id, None)
        self.edits += 1
        self.gone[id] = self.edits

    def position(self):
        return str(self.edits)

    def changed(self, since):
        found = [book for book in self.books.values() if book["version"] > int(since)]
        return Changes(found, [id for id, at in self.gone.items() if at > int(since)], self.position())

    def _put(self, id, fields):
        self.edits += 1
        self.books[id] = {**self.books.get(id, {}), **fields, "id": id, "version": self.edits}
        return self.books[id]


GALLERY: list[tuple[type[Shelf], str]] = []


def told(words: str):
    """Hang a wrong store into the gallery."""

    def hang(kind):
        GALLERY.append((kind, words))
        return kind

    return hang


@told("the store's add answers NoneType and no record: answer the record, with its id and version")
class AddsAndSaysNothing(Shelf):
    def add(self, fields):
        Shelf.add(self, fields)


@told("the store's get answers None for a record that was added: an id comes back as the text")
class LooksUpTextAmongNumbers(Shelf):
    def _put(self, id, fields):
        return Shelf._put(self, int(id), fields)


@told("get raises builtins.KeyError, which is no SyncError ('1'): a record that is not there is no mishap")
class RaisesForNobody(Shelf):
    def get(self, id):
        return self.books[id]


@told("get raises builtins.FileNotFoundError, which is no SyncError (1): a record that is not there is no mishap")
class ReadsAFileForEach(Shelf):
    def get(self, id):
        if id not in self.books:
            raise FileNotFoundError(id)
        return self.books[id]


@told("the store's add answers a record without 'id': fill it in, or say what it is called")
class CallsItsIdOtherwise(Shelf):
    def _put(self, id, fields):
        return {("number" if name == "id" else name): value for name, value in Shelf._put(self, id, fields).items()}


@told("the store's change raises KeyError for what a person does")
class ForgetsHowToChange(Shelf):
    def change(self, id, fields, version):
        return self._put(fields["id"], fields)


@told("get gives the field 'tags' as set, which is no value")
class KeepsASet(Shelf):
    def _put(self, id, fields):
        return Shelf._put(
            self, id, {name: set(value) if name == "tags" and value else value for name, value in fields.items()}
        )


@told("update raises builtins.TypeError, which is no SyncError (")
class AnswersThatItChanged(Shelf):
    def change(self, id, fields, version):
        return bool(Shelf.change(self, id, fields, version))


@told("the field 'tags' is ABSENT, as if it had not been delivered (('novel', 'short') is read as ABSENT): deliver")
class CallsAFieldOtherwise(Shelf):
    def _put(self, id, fields):
        return Shelf._put(self, id, {("keywords" if name == "tags" else name): fields[name] for name in fields})


@told("so compare str(version), never a number with it")
class ComparesANumberWithAText(Shelf):
    def change(self, id, fields, version):
        if id not in self.books or self.books[id]["version"] != version:
            raise Stale("the book was changed meanwhile")
        return self._put(id, fields)


ALONE: list[tuple[type[Shelf], str]] = []


def alone(promise: str):
    """Hang a wrong store beside the gallery that one promise alone tells from a right one."""

    def hang(kind):
        ALONE.append((kind, promise))
        return kind

    return hang


@alone("does_not_delete_what_has_moved")
class RemovesWhateverItIs(Shelf):
    def remove(self, id, version):
        self.books.pop(id, None)
        self.edits += 1
        self.gone[id] = self.edits


@alone("lists_what_was_deleted_since")
class TellsNoDeletions(Shelf):
    def changed(self, since):
        found = Shelf.changed(self, since)
        return Changes(found.records, [], found.position)


@alone("keeps_a_page_as_it_was")
class EditsInPlace(Shelf):
    def _put(self, id, fields):
        self.edits += 1
        book = self.books.setdefault(id, {"id": id})
        book.update(fields, version=self.edits)
        return book


@alone("gives_no_id_twice")
class NumbersFromTheFirstFree(Shelf):
    """Each record counts its own changes, from 1."""

    def __init__(self):
        super().__init__()
        self.history = []

    def add(self, fields):
        return self._put(str(next(n for n in itertools.count(1) if str(n) not in self.books)), fields)

    def remove(self, id, version):
        super().remove(id, version)
        self.history.append(id)

    def position(self):
        return str(len(self.history))

    def changed(self, since):
        ids = dict.fromkeys(self.history[int(since) :])
        there = [self.books[id] for id in ids if id in self.books]
        return Changes(there, [id for id in ids if id not in self.books], self.position())

    def _put(self, id, fields):
        before = self.books.get(id, {"version": 0})
        self.books[id] = {**before, **fields, "id": id, "version": before["version"] + 1}
        self.history.append(id)
        return self.books[id]
