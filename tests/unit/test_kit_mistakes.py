"""What goes wrong beside the replica is told as such: in a store, in the maker of trials, in the examples."""

from __future__ import annotations

import attrs
import pytest
from gallery_replicas import ABLE, Right, trial_of
from gallery_replicas import EXAMPLES as PEOPLE
from gallery_stores_of_ones_own import ALONE, EXAMPLES, GALLERY, Shelf

from bidisync import RecordReplica
from bidisync.errors import Unavailable
from bidisync.testing import Broken, Examples, Judged, Trial, check_replica, judge_replica, store_trial


def named(value):
    return getattr(value, "__name__", str(value))


async def judged_store(kind, **names) -> Judged:
    async def make() -> Trial:
        return store_trial(kind(), ["title", "tags"], **names)

    return await judge_replica(make, EXAMPLES)


async def test_the_store_that_is_made_wrong_is_right():
    judged = await judged_store(Shelf)
    assert not judged.broken, str(judged)
    assert {promise for _, promise in ALONE} <= set(judged.kept)


@pytest.mark.parametrize(("kind", "words"), GALLERY, ids=named)
async def test_a_mistake_in_a_store_is_told_by_the_call_that_makes_it(kind, words):
    judged = await judged_store(kind)
    assert any(words in str(fault) for fault in judged.broken), str(judged)
    assert all(fault.promise and fault.remedy for fault in judged.broken)


@pytest.mark.parametrize(("kind", "promise"), ALONE, ids=named)
async def test_some_mistakes_in_a_store_are_told_by_one_promise_alone(kind, promise):
    judged = await judged_store(kind)
    assert [fault.promise for fault in judged.broken] == [promise], str(judged)


async def test_a_store_may_have_other_names_for_id_and_version():
    class Numbered(Shelf):
        def all(self):
            return map(self.get, self.books)

        def get(self, id):
            names = {"id": "number", "version": "edition"}
            book = self.books.get(id)
            return book and {names.get(name, name): value for name, value in book.items()}

        def add(self, fields):
            return self.get(Shelf.add(self, fields)["id"])

        def change(self, id, fields, version):
            return self.get(Shelf.change(self, id, fields, version)["id"])

        def changed(self, since):
            found = Shelf.changed(self, since)
            return attrs.evolve(found, records=[self.get(book["id"]) for book in found.records])

    judged = await judged_store(Numbered, id="number", version="edition")
    assert not judged.broken, str(judged)


SOME = ["shows_what_is_there"]


def at_once():
    return store_trial(Shelf(), ["title", "tags"])


async def a_replica():
    return RecordReplica(Shelf(), ("title", "tags"))


async def failing():
    raise OSError("no such sandbox")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (a_replica, "the maker gives RecordReplica and no Trial"),
        (Shelf, "the maker gives Shelf and no Trial"),
        (failing, "the trial can't be made: OSError: no such sandbox"),
        (None, "the trial can't be made: TypeError"),
    ],
    ids=named,
)
async def test_a_maker_that_gives_no_trial_is_told_so(make, words):
    with pytest.raises(Broken, match=words) as told:
        await check_replica(make, EXAMPLES, only=SOME)
    assert told.value.promise == SOME[0]
    assert "an async function" in told.value.remedy


async def test_a_fault_that_breaks_many_promises_is_printed_once():
    judged = await judge_replica(a_replica, EXAMPLES, only=["shows_what_is_there", "clears_a_field", "keeps_time"])
    assert str(judged).splitlines()[:2] == [
        "0 promises kept, 3 broken, 0 not judged",
        f"  shows_what_is_there and 2 more: {judged.broken[0]}",
    ]


async def test_a_maker_that_gives_its_trial_at_once_will_do():
    assert (await check_replica(at_once, EXAMPLES, only=SOME)).kept == tuple(SOME)


class Clumsy:
    """A person who makes mistakes."""

    def __init__(self, person):
        self.person = person

    def __getattr__(self, name):
        return getattr(self.person, name)


class Numbers(Clumsy):
    async def add(self, fields):
        return len(await self.person.add(fields))


class Plain(Clumsy):
    def edit(self, id, fields):
        self.person.replica.edit(id, **fields)


class Fails(Clumsy):
    async def edit(self, id, fields):
        raise ConnectionResetError("the desk is closed")


class Rows(Clumsy):
    async def read(self, id):
        return list((await self.person.read(id)).values())


class Waits(Clumsy):
    async def edit(self, id, fields):
        raise TimeoutError


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Numbers, "the person's add tells 2 and no id"),
        (Plain, "the person's edit is no coroutine: write it with `async def`"),
        (Fails, "the person's edit raises ConnectionResetError: the desk is closed"),
        (Rows, "the person's read answers list and no fields"),
        (Waits, "the person's edit raises TimeoutError"),
    ],
    ids=named,
)
async def test_a_mistake_of_the_person_is_not_laid_to_the_replica(kind, words):
    async def make() -> Trial:
        trial = await trial_of(Right, ABLE)()
        return attrs.evolve(trial, person=kind(trial.person))

    judged = await judge_replica(make, PEOPLE, only=["makes_one_record", "sees_an_edit_at_once"])
    assert any(words in str(fault) for fault in judged.broken), str(judged)
    assert len(judged.broken) + len(judged.kept) == 2


async def test_what_is_raised_anywhere_else_is_told_with_its_place():
    def keeps(name, value):
        raise ZeroDivisionError

    examples = attrs.evolve(PEOPLE, keeps=keeps)
    with pytest.raises(Broken, match=r"ZeroDivisionError is raised in keeps \(test_kit_mistakes\.py, line \d+\)"):
        await check_replica(trial_of(Right, ABLE), examples, only=SOME)


async def test_a_replica_that_answers_nothing_where_many_are_asked_for_is_told_so():
    class Silent(Right):
        async def get_many(self, ids):
            return None

        async def find_by_counterpart(self, counterpart):
            return None

    judged = await judge_replica(trial_of(Silent, ABLE), PEOPLE, only=["reads_many_as_rows", "keeps_notes"])
    faults = [fault.fault for fault in judged.broken]
    assert faults[0] == "get_many answers something else than a mapping"
    assert faults[1] == "find_by_counterpart answers something else than a sequence"


async def test_an_error_of_the_system_where_nothing_is_wrong_is_the_replicas():
    class Down(Right):
        async def get(self, id):
            raise Unavailable("503")

    with pytest.raises(Broken, match="Unavailable is raised although nothing is wrong"):
        await check_replica(trial_of(Down, ABLE), PEOPLE, only=SOME)


async def test_an_id_of_nobody_that_somebody_gets_is_told():
    examples = attrs.evolve(PEOPLE, nobody="r1")
    with pytest.raises(Broken, match=r"Examples\.nobody is 'r1', and a record was just made under that id"):
        await check_replica(trial_of(Right, ABLE), examples)


def test_lists_in_examples_become_tuples_and_what_is_no_value_is_refused():
    examples = Examples(records=[{"a": [["x"], "y"], "b": 1}, {"a": [], "b": 2}], values={"a": [["z"]]})
    assert examples.records[0]["a"] == (("x",), "y")
    assert examples.values == {"a": [("z",)]}
    with pytest.raises(ValueError, match="the field 'a' holds a dict: a value is text, number"):
        Examples(records=[{"a": {"x": 1}, "b": 1}, {"a": None, "b": 2}])
    with pytest.raises(ValueError, match="the field 'a' holds a set"):
        Examples(records=[{"a": 1, "b": 1}, {"a": 2, "b": 2}], values={"a": [{1}]})
