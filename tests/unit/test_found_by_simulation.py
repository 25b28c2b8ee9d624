"""What the simulation found, each as small as it gets; the seed is the one that found it."""

from __future__ import annotations

import asyncio

from pairs import Pair

from bidisync.stores.sqlite import SqliteStore


async def test_workers_that_open_a_fresh_state_at_once_share_the_secret_of_its_index():
    """Plain pair, seed 20: each had its own, so neither found whom the other had learned."""
    store = await SqliteStore.open(":memory:")
    pair = Pair(store=store)
    engines = await asyncio.gather(*(pair.engine() for _ in range(5)))
    assert len({engine.index.keys_of({"name": "Ada", "born": "2000-01-01"})["weak:name"] for engine in engines}) == 1
    await store.close()
