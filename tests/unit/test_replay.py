"""Decisions of the past are made again from the log alone, and come out the same."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import attrs
import pytest
from pairs import Pair, fold

from bidisync import Drift, Field, Group, Merge, Newest, Owner, Policy, Side, ask, prefer_left, prefer_right
from bidisync.approval import forget
from bidisync.model import ClockTrust, Decision, Row, Versions
from bidisync.replay import Repeat, replay
from bidisync.rest import from_rest, to_rest
from bidisync.state import Journaled, without_values
from bidisync.stores.memory import MemoryStore
from bidisync.stores.seal import AesSeal
from bidisync.stores.sqlite import SqliteStore

FIELDS = [
    Field("name", "g", required=True, key=fold),
    Field("x", "g", strategy=Newest()),
    Field("y", "h"),
    Field("born", "k", read_only=frozenset({Side.RIGHT})),
]
POLICIES = [
    Policy(FIELDS, [Group("g", prefer_left), Group("h", ask), Group("k")]),
    Policy(FIELDS, [Group("g", ask, allow_clear=False), Group("h", owner=Owner(Side.LEFT)), Group("k", prefer_right)]),
    Policy(
        [Field("name", "g", required=True, key=fold), *(Field(name, "u") for name in ("x", "y")), Field("born", "k")],
        [
            Group("g", Merge(prefer_right)),
            Group("u", ask, unit=True),
            Group("k", owner=Owner(Side.RIGHT, Drift.REPORT)),
        ],
    ),
]
VALUES = {"name": ("Ada", "ada ", "Bob", None), "x": ("1", "2", None), "y": ("p", "q"), "born": ("a", "b", None)}


async def entries_of(store) -> list[Journaled]:
    found: list[Journaled] = []
    before = None
    while page := await store.history(before=before, limit=500):
        found += [entry for _, entry in page]
        before = page[-1][0]
    return found


async def lived(policy: Policy, seed: int, rounds: int, store: Any = None) -> tuple[Pair, Any]:
    """A pair that people edited on both sides, and an operator settled things in, now and then."""
    chance = random.Random(seed)
    store = MemoryStore() if store is None else store
    pair = Pair(policy=policy, store=store)
    for side in (pair.left, pair.right):
        side.capabilities = attrs.evolve(side.capabilities, clock=ClockTrust.TRUSTED)
        for number in range(12):
            side.add(name=f"N{number}", x=chance.choice("12"), y=None, born=f"B{number}")
    for _ in range(rounds):
        pair.clock.advance(3600.0)
        for side in (pair.left, pair.right):
            for id in list(side.records):
                if chance.random() < 0.5:
                    name = chance.choice(list(VALUES))
                    side.edit(id, **{name: chance.choice(VALUES[name])})
                    pair.clock.advance(chance.choice((0.0, 60.0)))
        await pair.sweep(everything=chance.random() < 0.2)
        waiting = list(await store.waiting())
        if waiting and chance.random() < 0.7:
            link, side = chance.choice(waiting), chance.choice(["left", "right"])
            engine = await pair.engine()
            await engine.impose(link.refs[0], lambda name, v, s=side: getattr(v, s), by="operator")
    return pair, store


@pytest.mark.parametrize("place", range(len(POLICIES)))
async def test_a_thousand_decisions_replay_to_the_same_result(place):
    policy = POLICIES[place]
    _, store = await lived(policy, place, 40)
    entries = await entries_of(store)
    assert all(from_rest(to_rest(entry), Journaled) == entry for entry in entries)
    replayed = [(entry, replay(policy, from_rest(to_rest(entry), Journaled))) for entry in entries]
    wrong = [(entry, again) for entry, again in replayed if again.repeat is Repeat.OTHER]
    assert not wrong, wrong[0]
    counts = Counter(again.repeat for _, again in replayed)
    decisions = sum(len(entry.decisions) for entry, again in replayed if again.repeat is Repeat.SAME)
    assert set(counts) <= {Repeat.SAME, Repeat.NOTHING}
    assert decisions >= 400, f"{decisions} decisions: three policies make more than a thousand"
    rows = {decision.row for entry in entries for decision in entry.decisions}
    assert {Row.NEW, Row.LEFT_CHANGED, Row.RIGHT_CHANGED, Row.BOTH_CHANGED, Row.DECIDED} <= rows, rows
    assert (await store.verify()).holds
    await store.close()


async def test_who_was_forgotten_is_counted_aside_and_everybody_else_replays():
    policy = POLICIES[0]
    pair, store = await lived(policy, 7, 4, await SqliteStore.open(":memory:", seal=AesSeal.of("key")))
    links = [link for group in [g async for g in store.links()] for link in group]
    for link in links[:3]:
        await forget(store, pair.clock, link)
    counts = Counter(replay(policy, entry).repeat for entry in await entries_of(store))
    assert counts[Repeat.ERASED] >= 3
    assert counts[Repeat.SAME] > 20
    assert set(counts) <= {Repeat.SAME, Repeat.NOTHING, Repeat.ERASED}
    assert (await store.verify()).holds
    await store.close()


async def test_another_policy_is_told_apart_and_only_where_it_is_another():
    policy = POLICIES[0]
    _, store = await lived(policy, 8, 6)
    changed = Policy(FIELDS, [Group("g", prefer_right), Group("h", ask), Group("k")])
    for entry in await entries_of(store):
        groups = {d.group for d in entry.decisions}
        if entry.grounds is not None:
            groups |= {policy.field(name).group for name in entry.grounds.quiet}
        expected = Repeat.NOTHING if not groups else Repeat.OTHER_POLICY if "g" in groups else Repeat.SAME
        assert replay(changed, entry).repeat is expected
    fewer = Policy([Field("z", "g")], [Group("g", prefer_left)])
    assert {replay(fewer, entry).repeat for entry in await entries_of(store)} <= {Repeat.OTHER_POLICY, Repeat.NOTHING}
    await store.close()


def _entries_that_changed(entry: Journaled):
    first = entry.decisions[0]
    for wrong in (
        attrs.evolve(first, row=Row.SAME_CHANGE),
        attrs.evolve(first, writes=()),
        attrs.evolve(first, result="another value"),
        attrs.evolve(first, policy="another"),
        attrs.evolve(first, versions=attrs.evolve(first.versions, left="another value")),
    ):
        yield attrs.evolve(entry, decisions=(wrong, *entry.decisions[1:]))


async def test_a_decision_that_does_not_follow_from_its_grounds_is_found():
    policy = POLICIES[0]
    _, store = await lived(policy, 9, 4)
    both = [e for e in await entries_of(store) if e.decisions and e.decisions[0].row is Row.LEFT_CHANGED]
    assert both
    for entry in both:
        for wrong in _entries_that_changed(entry):
            again = replay(policy, wrong)
            assert again.repeat is Repeat.OTHER
            assert again.differs == (entry.decisions[0].field,)
    await store.close()


def test_an_entry_from_before_is_told_from_one_that_was_erased():
    decision = Decision("x", "g", Row.LEFT_CHANGED, Versions("1", "2", "1"), "p", (Side.RIGHT,), "2")
    old = Journaled("left:1", 1.0, "update", (decision,))
    assert replay(POLICIES[0], old).repeat is Repeat.NO_GROUNDS
    assert replay(POLICIES[0], without_values(old)).repeat is Repeat.ERASED
    assert replay(POLICIES[0], Journaled("left:1", 1.0, "adopt")).repeat is Repeat.NOTHING


async def test_grounds_come_back_as_they_were_kept_and_go_with_the_values():
    _, store = await lived(POLICIES[1], 10, 5)
    for entry in await entries_of(store):
        assert from_rest(to_rest(entry), Journaled) == entry
        assert without_values(entry).grounds is None
    await store.close()


def test_a_policy_has_another_name_as_soon_as_anything_of_it_is_another():
    plain = Policy([Field("a", "g"), Field("b", "h")], [Group("g"), Group("h")])
    names = {plain.name_of(["g"])}
    for field, group in (
        (Field("a", "g", required=True), Group("g")),
        (Field("a", "g", key=fold), Group("g")),
        (Field("a", "g", read_only=frozenset({Side.LEFT})), Group("g")),
        (Field("a", "g", create_only=frozenset({Side.LEFT})), Group("g")),
        (Field("a", "g", strategy=prefer_left), Group("g")),
        (Field("a", "g", owner=Owner(Side.LEFT)), Group("g")),
        (Field("a", "g"), Group("g", prefer_left)),
        (Field("a", "g"), Group("g", initial=prefer_left)),
        (Field("a", "g"), Group("g", unit=True)),
        (Field("a", "g"), Group("g", allow_clear=False)),
        (Field("a", "g"), Group("g", owner=Owner(Side.LEFT))),
        (Field("c", "g"), Group("g")),
    ):
        other = Policy([field, Field("b", "h")], [group, Group("h")])
        assert other.name_of(["h"]) == plain.name_of(["h"])
        names.add(other.name_of(["g"]))
    assert len(names) == 13
    odd = [Policy([Field("a", "g", key=lambda v: v)], [Group("g", Later())]) for _ in range(2)]
    assert odd[0].name_of(["g"]) == odd[1].name_of(["g"]), "no address of the memory is part of a name"


class Later:
    """A strategy that says nothing of itself."""

    def __call__(self, conflict):
        return {name: contested.left for name, contested in conflict.fields.items()}
