"""What ``open_pair`` is asked for counts, or is refused in a sentence that says what to do."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path

import attrs
import pytest
from test_first_encounter import Shelf

from bidisync import (
    Bounds,
    Field,
    FieldMap,
    FieldMapper,
    Group,
    Identity,
    Limits,
    LinkState,
    Mapped,
    Misconfigured,
    Moved,
    OnDelete,
    Policy,
    RecordReplica,
    Unconfirmed,
    open_pair,
    prefer_left,
)
from bidisync.events import Event
from bidisync.locks.local import LocalLocks
from bidisync.stores.memory import MemoryStore
from bidisync.testing import FULL, Faulty, ManualClock, MemoryReplica

POLICY = Policy([Field("title", "g")], [Group("g")])
MAPPER = FieldMapper((FieldMap("title", "title"),))
SHELF = Shelf()

WRONG = [
    ({"policy": POLICY, "fields": ["title"]}, "the policy says it all: leave out fields"),
    ({"policy": POLICY, "fields": [], "strategy": prefer_left, "initial": prefer_left}, "leave out strategy, initial"),
    ({"policy": POLICY, "fields": [], "on_delete": OnDelete.PROPAGATE}, "leave out on_delete"),
    ({"match": ["title"], "identity": Identity()}, "give one of them"),
    ({"match": "title"}, r"write match=\['title'\]"),
    ({"match": 5}, "match is a list of names, not int"),
    ({"match": ["title", None]}, "match is a list of names: NoneType is none"),
    ({"policy": "x", "fields": []}, r"policy is made by Policy\(…\), not str"),
    ({"policy": Policy, "fields": []}, "policy is made by Policy"),
    ({"identity": "t"}, r"identity is made by Identity\(…\), not str"),
    ({"fields": None}, "fields is a list of names, not NoneType"),
    ({"fields": 5}, "fields is a list of names, not int"),
    ({"fields": ["title", 5]}, "a field is its name or a Field, not int"),
    ({"fields": ["title", ""]}, "a field is its name or a Field, not empty"),
    ({"state": "x.db"}, r"write state='sqlite:///x\.db'"),
    ({"state": "sqlite:x.db"}, r"write state='sqlite:///x\.db'"),
    ({"state": "sqlite:///"}, "write state='sqlite:///FILE'"),
    ({"state": None}, "not NoneType"),
    ({"state": 5}, "not int"),
    ({"state": MemoryStore}, r"MemoryStore is a class: .*MemoryStore\(\)"),
    ({"clock": ManualClock}, "clock can't be the class ManualClock: give one made of it"),
    ({"locks": LocalLocks}, "locks can't be the class LocalLocks"),
    ({"observers": None}, r"write observers=\[print\]"),
    ({"observers": "print"}, r"write observers=\[print\]"),
    ({"observers": print}, r"write observers=\[print\]"),
    ({"observers": [5]}, r"write observers=\[print\]"),
    ({"bounds": 5}, r"bounds is made by Bounds\(…\)"),
    ({"limits": {"chunk": 5}}, r"limits is made by Limits\(…\)"),
    ({"clock": 5}, "clock can't be int: it lacks now, monotonic, sleep"),
    ({"locks": Shelf()}, "locks can't be Shelf: it lacks hold, lease_s"),
    ({"right": Shelf}, "Shelf is a class"),
    ({"right": SHELF}, "one and the same store"),
    ({"right": RecordReplica(SHELF, ("title",))}, "one and the same store"),
    ({"right": Mapped(RecordReplica(SHELF, ("title",)), MAPPER)}, "one and the same store"),
    ({"right": Mapped(Shelf(), MAPPER)}, r"Mapped goes around a replica: RecordReplica\(…\) of the Shelf"),
    ({"right": Faulty(Shelf(), lambda call: None)}, r"Faulty goes around a replica: RecordReplica\(…\) of the Shelf"),
    ({"right": None}, "NoneType is no store and no replica"),
]


@pytest.mark.parametrize(("given", "told"), WRONG)
async def test_what_would_count_for_nothing_or_cannot_be_meant_is_refused_at_once(given, told):
    given = {"left": SHELF, "right": Shelf(), "fields": ["title"], **given}
    with pytest.raises(Misconfigured, match=told):
        async with open_pair(given.pop("left"), given.pop("right"), **given):
            pass


async def test_an_address_that_is_refused_is_not_repeated_for_it_may_hold_a_password():
    with pytest.raises(Misconfigured) as told:
        async with open_pair(Shelf(), Shelf(), fields=["title"], state="mysql://user:hunter2@host/x"):
            pass
    assert "mysql" in str(told.value)
    assert "hunter2" not in str(told.value)


async def test_a_state_in_postgresql_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "bidisync.stores.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Misconfigured, match=r"pip install 'bidisync\[postgres\]'"):
        async with open_pair(Shelf(), Shelf(), fields=["title"], state="postgresql://127.0.0.1:1/x"):
            pass


async def test_a_state_that_cannot_be_opened_is_told_without_settings_that_a_pair_has_not():
    for state in (Path("/nowhere/x.db"), "sqlite:////nowhere/x.db"):
        with pytest.raises(Misconfigured, match=r"/nowhere/x\.db can't be opened.*check state=") as told:
            async with open_pair(Shelf(), Shelf(), fields=["title"], state=state):
                pass
        assert "state.url" not in str(told.value)


@pytest.mark.parametrize(
    "limits",
    [
        {"concurrency": 0},
        {"concurrency": -1},
        {"chunk": 0},
        {"rereads": -1},
        {"requeues": 0},
        {"request_timeout_s": 0.0},
        {"search_lag_s": -1.0},
        {"consistency_s": -1.0},
        {"grace_s": -1.0},
        {"chunk": "many"},
    ],
)
def test_limits_with_which_nothing_would_be_done_are_refused_when_they_are_made(limits):
    with pytest.raises(Misconfigured, match=next(iter(limits))):
        Limits(**limits)


async def test_a_side_that_is_not_to_be_asked_again_is_asked_once():
    left, right = Shelf("Stine"), Shelf()
    async with open_pair(left, right, fields=["title"], limits=Limits(rereads=0)) as pair:
        assert (await pair.sync()).created.total() == 1


@pytest.mark.parametrize("kind", [list, tuple, set, deque, iter])
async def test_names_and_observers_may_come_in_any_collection(kind):
    told: list[Event] = []
    left, right = Shelf("Stine"), Shelf("Stine")
    async with open_pair(
        left, right, fields=kind(["title"]), match=kind(["title"]), observers=kind([told.append])
    ) as pair:
        assert (await pair.sync()).adopted == 1
    assert told


async def test_initial_settles_what_differs_when_two_records_meet():
    left, right = Shelf("Stine"), Shelf("Cécile")
    for book in (*left.books.values(), *right.books.values()):
        book["isbn"] = "978-1"
    async with open_pair(left, right, fields=["isbn", "title"], match=["isbn"], initial=prefer_left) as pair:
        assert (await pair.sync()).states() == {LinkState.IN_SYNC: 1}
    assert right.books["1"]["title"] == "Stine"


async def used(state, fields):
    """A pair with these fields has synced a record over that state."""
    async with open_pair(Shelf("Stine"), Shelf(), fields=fields, state=state) as pair:
        await pair.sync()


@pytest.mark.parametrize("others", [["name", "born"], ["isbn", "born"], ["born"]])
async def test_a_state_is_that_of_one_pair_whose_fields_may_come_and_go(tmp_path, others):
    state = tmp_path / "books.db"
    for fields in (["title"], ["title", "place"], ["place"], ["place", "isbn"], ["isbn", "place"], ["title"], ["isbn"]):
        await used(state, fields)
    await used(state, ["isbn", "place"])
    for _ in range(2):
        with pytest.raises(
            Misconfigured,
            match=r"a pair with the fields isbn, place.*each pair has a state of its own.*add the new one",
        ):
            await used(state, others)
    store = MemoryStore()
    await used(store, ["title"])
    with pytest.raises(Misconfigured, match="each pair has a state of its own"):
        await used(store, ["name"])


async def test_a_pair_that_has_synced_nothing_owns_no_state(tmp_path):
    state = tmp_path / "books.db"
    async with open_pair(Shelf(), Shelf(), fields=["titel"], state=state) as pair:
        await pair.sync()
    async with open_pair(Shelf("Stine"), Shelf(), fields=["tilte"], state=state):
        pass
    await used(state, ["title"])
    with pytest.raises(Misconfigured, match="with the fields title"):
        await used(state, ["titel"])


async def test_of_two_pairs_that_are_open_over_one_state_the_first_that_stores_something_has_it():
    store = MemoryStore()
    async with (
        open_pair(Shelf("Stine"), Shelf(), fields=["title"], state=store) as books,
        open_pair(Shelf("Lene"), Shelf(), fields=["title", "born"], state=store) as people,
        open_pair(Shelf("Berlin"), Shelf(), fields=["name"], state=store) as places,
    ):
        await people.sync()
        await books.sync()
        with pytest.raises(Misconfigured, match="each pair has a state of its own"):
            await places.sync()
        with pytest.raises(Misconfigured, match="each pair has a state of its own"):
            await places.sync_one("left:1")


async def test_what_a_guard_holds_is_told_and_goes_once_it_is_approved():
    left, right = Shelf(*(f"book {n}" for n in range(100))), Shelf()
    async with open_pair(left, right, fields=["title"]) as pair:
        await pair.sync()
        assert await pair.held() == ()
        for id in list(left.books)[:30]:
            left.change(id, {"title": "another"}, None)
        await pair.sync()
        (held,) = await pair.held()
        assert (held.reason, len(held.links)) == ("mass_overwrite", 30)
        assert "another" not in str(right.books)
        with pytest.raises(Moved, match="nothing is held under this digest"):
            await pair.approve("0123456789abcdef")
        assert await pair.approve(held.digest) == held
        assert (await pair.sync()).updated.total() == 30
        assert (await pair.held(), str(right.books).count("another")) == ((), 30)


async def test_bounds_say_how_much_may_happen_unasked():
    left, right = Shelf(*(f"book {n}" for n in range(100))), Shelf()
    async with open_pair(left, right, fields=["title"], bounds=Bounds(max_overwrite_percent=50.0)) as pair:
        await pair.sync()
        for id in list(left.books)[:30]:
            left.change(id, {"title": "another"}, None)
        assert (await pair.sync()).updated.total() == 30


class Broken(Shelf):
    error = None

    def change(self, id, fields, version):
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return super().change(id, fields, version)


@pytest.mark.parametrize("error", [OSError("the disk is full"), Unconfirmed("no answer")])
async def test_a_write_that_failed_in_whatever_way_is_tried_again_within_ten_seconds(error):
    clock, left, right = ManualClock(), Shelf("Stine", "Cécile"), Broken()
    async with open_pair(left, right, fields=["title"], clock=clock) as pair:
        await pair.sync()
        left.change("1", {"title": "Stine (1890)"}, None)
        right.error = error
        if isinstance(error, OSError):
            with pytest.raises(OSError, match="disk"):
                await pair.sync()
        for _ in range(2):
            await pair.sync()
    assert right.books["1"]["title"] == "Stine (1890)"
    assert clock.slept < 10.0


async def test_limits_of_a_service_somewhere_else_come_with_a_lease_that_lasts_as_long():
    async with open_pair(Shelf(), Shelf(), fields=["title"], limits=Limits()) as pair:
        assert pair.engine.parts.locks.lease_s >= 2 * Limits().request_timeout_s


async def test_two_replicas_in_memory_are_two_sides():
    left, right = MemoryReplica(), MemoryReplica(capabilities=attrs.evolve(FULL, updates=False))
    left.add(title="Stine")
    async with open_pair(left, right, fields=["title"]) as pair:
        assert (await pair.sync()).created.total() == 1
