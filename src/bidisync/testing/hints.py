"""What every store of hints promises, as assertions: run it on yours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from bidisync.model import Ref, Side
from bidisync.state import Hint
from bidisync.storage import HintStore

A, B, C = Ref(Side.LEFT, "a"), Ref(Side.RIGHT, "a"), Ref(Side.LEFT, "c")


class ClosedHintStore(HintStore, Protocol):
    """A store of hints that can be closed."""

    async def close(self) -> None:
        """Give everything back."""
        ...


Make = Callable[[], Awaitable[ClosedHintStore]]
"""Makes an empty store; it is closed by the check."""


async def check_hint_store(make: Make) -> None:
    """Fail with the name of the first promise that the stores made by ``make`` break."""
    for law in (_keeps, _collapses, _waits_until_due, _comes_back, _keeps_repeats, _puts_off, _forgets_late, _once):
        store = await make()
        try:
            await law(store)
        finally:
            await store.close()


async def _keeps(store: HintStore) -> None:
    assert await store.hints_waiting() == (0, None), "an empty store has no hint"
    await store.hint([], 1.0)
    await store.hint([C], 2.0)
    await store.hint([A, B], 1.0)
    assert await store.hints_waiting() == (3, 1.0), "hints are counted, and the oldest is told"
    taken = await store.take(5.0, limit=2, until=10.0)
    assert [hint.ref for hint in taken] == [A, B], "the oldest come first, no more than asked for"
    assert [(hint.first_at, hint.taken_until) for hint in taken] == [(1.0, 10.0)] * 2, "with their times"
    assert await store.hints_waiting() == (3, 1.0), "what is taken is not done"
    await store.done(taken)
    assert await store.hints_waiting() == (1, 2.0), "what is done is gone"
    await store.done([])


async def _collapses(store: HintStore) -> None:
    await store.hint([A, A], 1.0)
    await store.hint([A], 3.0)
    assert await store.hints_waiting() == (1, 1.0), "a repeat collapses and keeps the first time"
    (hint,) = await store.take(5.0, limit=10, until=10.0)
    await store.done([hint])
    assert await store.hints_waiting() == (0, None), "one look is enough for all repeats before it"


async def _waits_until_due(store: HintStore) -> None:
    await store.hint([A], 1.0, not_before=20.0)
    assert await _refs(store, 19.0) == [], "a hint is not due before its time"
    await store.hint([A], 2.0, not_before=30.0)
    assert await _refs(store, 20.0) == [A], "a later time does not put a hint off"
    await store.hint([B], 1.0, not_before=900.0)
    await store.hint([B], 2.0)
    assert await _refs(store, 20.0) == [B], "an earlier time makes a hint due earlier"


async def _comes_back(store: HintStore) -> None:
    await store.hint([A], 1.0)
    assert await _refs(store, 5.0, until=10.0) == [A], "a hint can be taken"
    assert await _refs(store, 9.0, until=20.0) == [], "a hint that is taken is not handed out again"
    assert await _refs(store, 10.0, until=20.0) == [A], "a dead worker's hint comes back by itself"


async def _keeps_repeats(store: HintStore) -> None:
    await store.hint([A], 1.0)
    (hint,) = await store.take(5.0, limit=10, until=10.0)
    await store.hint([A], 6.0)
    assert await _refs(store, 7.0) == [], "a repeat does not free what is taken"
    await store.done([hint])
    assert await store.hints_waiting() == (1, 6.0), "a hint that came meanwhile is not lost, and as old as it is"
    assert await _refs(store, 7.0) == [A], "it is free at once"


async def _puts_off(store: HintStore) -> None:
    await store.hint([A], 1.0)
    (hint,) = await store.take(5.0, limit=10, until=10.0)
    await store.put_off(hint, 50.0)
    assert await _refs(store, 49.0) == [], "what was put off is not due before"
    (hint,) = await store.take(50.0, limit=10, until=60.0)
    assert (hint.ref, hint.first_at) == (A, 1.0), "it is due then, as old as it was"
    await store.hint([A], 51.0)
    await store.put_off(hint, 500.0)
    assert await _refs(store, 52.0) == [A], "what was repeated meanwhile is due at once"


async def _forgets_late(store: HintStore) -> None:
    await store.hint([A], 1.0)
    (late,) = await store.take(5.0, limit=10, until=10.0)
    (other,) = await store.take(10.0, limit=10, until=20.0)
    await store.done([late])
    await store.put_off(late, 900.0)
    assert await store.hints_waiting() == (1, 1.0), "who lost a hint can't remove it"
    await store.done([other])
    await store.hint([A], 12.0)
    await store.done([late, other])
    assert await _refs(store, 13.0) == [A], "a done of long ago does not remove a new hint"


async def _once(store: HintStore) -> None:
    refs = [Ref(Side.LEFT, f"n{n:03}") for n in range(300)]
    await asyncio.gather(*(store.hint([ref], 1.0) for ref in refs))
    groups = await asyncio.gather(*(store.take(5.0, limit=7, until=10.0) for _ in range(60)))
    taken = [hint.ref for group in groups for hint in group]
    assert len(taken) == len(set(taken)), "a hint is handed out once"
    rest = await store.take(5.0, limit=1000, until=10.0)
    assert sorted(map(str, [*taken, *(hint.ref for hint in rest)])) == sorted(map(str, refs)), "and none is left out"


async def _refs(store: HintStore, now: float, until: float = 1000.0) -> list[Ref]:
    hints: list[Hint] = list(await store.take(now, limit=100, until=until))
    return [hint.ref for hint in hints]
