"""What a store finds and tells: links by their state, records at rest, the index, marks."""

from __future__ import annotations

import asyncio

import attrs

from bidisync.model import Ref, Side
from bidisync.state import Attempts, Known, Link, Missing, Shadow, Tombstone
from bidisync.storage import StateStore
from bidisync.testing.broken import holds
from bidisync.testing.stores import rich_link


async def _lists(store: StateStore) -> None:
    settled = attrs.evolve(Link.begin(Ref(Side.LEFT, "s")), settled=True)
    links = [settled, rich_link(), Link.begin(Ref(Side.LEFT, "due"))]
    links += [attrs.evolve(Link.begin(Ref(Side.RIGHT, f"{n:04}")), settled=True) for n in range(1200)]
    for link in links:
        await store.save(link)
    listed = [link.id async for group in store.links() for link in group]
    holds(
        sorted(listed) == sorted(link.id for link in links),
        "links does not give every link once",
        "page by id, not by number",
    )
    holds(
        {link.id for link in await store.open_creates()} == {"left:1"},
        "open_creates does not find the links with an open create, and no others",
    )
    holds(
        {link.id for link in await store.unsettled()} == {"left:1", "left:due"},
        "unsettled does not find the links that are due, and no others",
    )
    holds((await store.count())["in_sync"] == 1201, "count does not tell how many links are in a state")
    holds(
        {link.id for link in await store.waiting()} == {"left:1"},
        "waiting does not find the links that wait for a person, and no others",
    )
    holds(
        {link.id for link in await store.watched()} == {"left:1"},
        "watched does not find the links with a watch, and no others",
    )
    over = attrs.evolve((await store.load([Ref(Side.LEFT, "1")]))[Ref(Side.LEFT, "1")], tombstone=Tombstone(1.0))
    over = await store.save(attrs.evolve(over, intent=None, watch=None))
    holds(
        (await store.load(over.refs))[over.refs[0]] == over,
        "a link with a tombstone comes back otherwise than it was saved",
    )
    holds(not await store.waiting(), "a link that is over still waits for a person", "judge by Link.waits")
    holds(
        not await store.watched(), "a link without a watch is still watched", "judge by Link.watch as it is saved now"
    )


async def _tells_who_rests(store: StateStore) -> None:
    one, other = Shadow({"a": "x"}, "v1"), Shadow({"a": "x"}, "w1")
    both = Link(Ref(Side.LEFT, "1"), "1", "R1", left_shadow=one, right_shadow=other, settled=True)
    saved = await store.save(both)
    asked = [("1", "v1"), ("nobody", "v1"), ("2", None)]
    holds(
        dict(await store.resting(Side.LEFT, asked)) == {"1": "left:1"},
        "resting does not tell a record that rests at its shadow's version, with its link",
        "judge by Link.rests_at",
    )
    holds(
        not await store.resting(Side.LEFT, [("1", "v2"), ("R1", "w1")]),
        "resting tells a record at another version, or of the other side",
        "judge by Link.rests_at",
    )
    holds(not await store.resting(Side.LEFT, []), "resting tells records although none was asked for")
    many = [attrs.evolve(both, origin=Ref(Side.LEFT, f"m{n}"), left_id=f"m{n}", right_id=f"n{n}") for n in range(900)]
    await asyncio.gather(*(store.save(link) for link in many))
    few = [("m899", "v1"), ("1", "v1"), ("m0", "w1")]
    holds(
        set(await store.resting(Side.LEFT, few)) == {"m899", "1"}, "resting misses records among many, or tells others"
    )
    due, tried = attrs.evolve(saved, settled=False), attrs.evolve(saved, attempts=Attempts(1))
    for waits in (due, tried, attrs.evolve(saved, missing=Missing(Side.LEFT, 1.0, "r"))):
        saved = await store.save(attrs.evolve(waits, revision=saved.revision))
        holds(
            not await store.resting(Side.LEFT, asked),
            "resting tells a record that has to be looked at",
            "judge by Link.rests_at as it is saved now",
        )
    found = [living async for group in store.living(Side.LEFT) for living in group]
    ids = [id for id, _, _ in found]
    holds(
        ids == sorted(ids) and len(ids) == 901,
        "living does not tell each record of a side once, in the order of its ids",
    )
    mine = [(link_id, bool(rests)) for id, link_id, rests in found if id == "1"]
    holds(mine == [("left:1", False)], "living tells a record with another link, or with a wrong rest")
    await store.save(attrs.evolve(saved, tombstone=Tombstone(1.0)))
    ids = [id async for group in store.living(Side.LEFT) for id, _, _ in group]
    holds("1" not in ids, "living tells a record whose link is over")


async def _indexes(store: StateStore) -> None:
    one, two = Ref(Side.LEFT, "1"), Ref(Side.LEFT, "2")
    await store.learn(
        [Known(one, {"k": "h", "n": "x"}), Known(two, {"k": "h"}), Known(Ref(Side.RIGHT, "1"), {"k": "h"})]
    )
    found = await store.matches(Side.LEFT, {"k": "h", "n": "other"})
    holds(
        {known.ref for known in found} == {one, two},
        "matches does not find the records of a side that share one key, and no others",
    )
    holds(
        dict(next(k for k in found if k.ref == one).keys) == {"k": "h", "n": "x"},
        "matches does not tell all keys of a record",
    )
    await store.learn([Known(one, {"n": "y"})])
    holds(
        {k.ref for k in await store.matches(Side.LEFT, {"k": "h"})} == {two},
        "learn keeps keys that a record no longer has",
        "replace what the index held of it",
    )
    await store.forget([two])
    holds(not await store.matches(Side.LEFT, {"k": "h"}), "a forgotten record is still found")
    holds(not await store.matches(Side.LEFT, {}), "matches finds records although no key was given")


async def _marks(store: StateStore) -> None:
    holds(await store.get_mark("m") is None, "a mark that was never set is not None")
    await store.set_mark("m", "1")
    await store.set_mark("m", "2")
    holds(await store.get_mark("m") == "2", "a mark does not keep its last value")
    await store.set_mark("m", None)
    holds(await store.get_mark("m") is None, "a mark that was set to None is still there")
    firsts = await asyncio.gather(*(store.first_mark("m", str(number)) for number in range(5)))
    holds(
        len(set(firsts)) == 1 and await store.get_mark("m") == firsts[0],
        "first_mark does not answer every caller with the same value, which is stored",
        "set and read it in one transaction",
    )


LAWS = (_lists, _tells_who_rests, _indexes, _marks)
