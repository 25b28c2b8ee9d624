"""What the simulation found, each as small as it gets; the seed is the one that found it."""

from __future__ import annotations

import asyncio

import attrs
from pairs import Pair

from bidisync import LinkState, Ref, Side
from bidisync.model import Notes
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing.replica import FULL, MemoryReplica


async def test_workers_that_open_a_fresh_state_at_once_share_the_secret_of_its_index():
    """Plain pair, seed 20: each had its own, so neither found whom the other had learned."""
    store = await SqliteStore.open(":memory:")
    pair = Pair(store=store)
    engines = await asyncio.gather(*(pair.engine() for _ in range(5)))
    assert len({engine.index.keys_of({"name": "Ada", "born": "2000-01-01"})["weak:name"] for engine in engines}) == 1
    await store.close()


async def test_a_record_known_only_from_a_hint_is_found_by_its_twin_on_the_other_side():
    """Plain pair, seed 338: whom a hint had brought was not in the index, so the twin was made a second time."""
    pair = Pair()
    engine = await pair.engine()
    await engine.index.ready(Side.LEFT)
    first = pair.left.add(name="Ada", born="2000-01-01", x=None, y=None)
    await engine.sync(Ref(Side.LEFT, first))
    twin = pair.right.add(name="Ada", born="2000-01-01", x=None, y=None)
    outcome = await engine.sync(Ref(Side.RIGHT, twin))
    assert (outcome.state, outcome.reason) == (LinkState.REVIEW, "match_taken")
    assert list(pair.left.records) == [first]


async def test_notes_that_leave_something_out_leave_it_as_it_is_seed_279_of_the_pair():
    replica = MemoryReplica("r", capabilities=attrs.evolve(FULL, keeps_notes=True))
    made = await replica.create({"name": "P"}, notes=Notes(counterpart="l1"))
    await replica.update(await replica.get(made.id), {}, notes=Notes(state=LinkState.RETRY))
    assert (await replica.get(made.id)).notes == Notes(counterpart="l1", state=LinkState.RETRY)
