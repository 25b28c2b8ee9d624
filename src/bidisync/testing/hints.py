"""What every store of hints promises, as assertions: run it on yours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from bidisync.model import Ref, Side
from bidisync.state import Hint
from bidisync.storage import HintStore
from bidisync.testing.broken import holds
from bidisync.testing.laws import all_hold

A, B, C = Ref(Side.LEFT, "a"), Ref(Side.RIGHT, "a"), Ref(Side.LEFT, "c")


class ClosedHintStore(HintStore, Protocol):
    """A store of hints that can be closed."""

    async def close(self) -> None:
        """Give everything back."""
        ...


Make = Callable[[], Awaitable[ClosedHintStore]]
"""Makes an empty store; it is closed by the check."""


async def check_hint_store(make: Make) -> None:
    """Fail with the name of the first promise that the stores made by ``make`` break. Has to be awaited."""
    await all_hold(LAWS, make)


async def _keeps(store: HintStore) -> None:
    holds(await store.hints_waiting() == (0, None), "an empty store tells of hints", "answer (0, None)")
    await store.hint([], 1.0)
    await store.hint([C], 2.0)
    await store.hint([A, B], 1.0)
    holds(
        await store.hints_waiting() == (3, 1.0),
        "hints_waiting does not tell how many hints there are, and since when the oldest",
    )
    taken = await store.take(5.0, limit=2, until=10.0)
    holds(
        [hint.ref for hint in taken] == [A, B],
        "take does not give the oldest first, no more than asked for",
        "order by first_at",
    )
    holds(
        [(hint.first_at, hint.taken_until) for hint in taken] == [(1.0, 10.0)] * 2,
        "a hint is taken with other times than its first_at and the until that was given",
    )
    holds(await store.hints_waiting() == (3, 1.0), "a hint that is taken counts as done")
    await store.done(taken)
    holds(await store.hints_waiting() == (1, 2.0), "a hint that is done still waits")
    await store.done([])


async def _collapses(store: HintStore) -> None:
    await store.hint([A, A], 1.0)
    await store.hint([A], 3.0)
    holds(await store.hints_waiting() == (1, 1.0), "a repeat makes a second hint, or loses the first time")
    (hint,) = await store.take(5.0, limit=10, until=10.0)
    await store.done([hint])
    holds(
        await store.hints_waiting() == (0, None),
        "a hint that is done still waits for its repeats",
        "done removes it unless it was repeated after it was taken",
    )


async def _waits_until_due(store: HintStore) -> None:
    await store.hint([A], 1.0, not_before=20.0)
    holds(await _refs(store, 19.0) == [], "a hint is handed out before it is due")
    await store.hint([A], 2.0, not_before=30.0)
    holds(
        await _refs(store, 20.0) == [A], "a repeat with a later time puts a hint off", "keep the earlier of both times"
    )
    await store.hint([B], 1.0, not_before=900.0)
    await store.hint([B], 2.0)
    holds(
        await _refs(store, 20.0) == [B],
        "a repeat with an earlier time does not make a hint due earlier",
        "keep the earlier of both times",
    )


async def _comes_back(store: HintStore) -> None:
    await store.hint([A], 1.0)
    holds(await _refs(store, 5.0, until=10.0) == [A], "a hint that is due is not handed out")
    holds(
        await _refs(store, 9.0, until=20.0) == [],
        "a hint that is taken is handed out again",
        "hand it out to nobody before its until",
    )
    holds(
        await _refs(store, 10.0, until=20.0) == [A],
        "a hint that was taken and never done does not come back",
        "hand it out again from its until on",
    )


async def _keeps_repeats(store: HintStore) -> None:
    await store.hint([A], 1.0)
    (hint,) = await store.take(5.0, limit=10, until=10.0)
    await store.hint([A], 6.0)
    holds(await _refs(store, 7.0) == [], "a repeat frees a hint that is taken")
    await store.done([hint])
    holds(
        await store.hints_waiting() == (1, 6.0),
        "done loses a hint that came meanwhile, or its time",
        "give a repeat a new number, and remove only the number that was taken",
    )
    holds(await _refs(store, 7.0) == [A], "a hint that came meanwhile is not free once the earlier one is done")


async def _puts_off(store: HintStore) -> None:
    await store.hint([A], 1.0)
    (hint,) = await store.take(5.0, limit=10, until=10.0)
    await store.put_off(hint, 50.0)
    holds(await _refs(store, 49.0) == [], "a hint that was put off is handed out before")
    (hint,) = await store.take(50.0, limit=10, until=60.0)
    holds((hint.ref, hint.first_at) == (A, 1.0), "a hint that was put off has lost its first time")
    await store.hint([A], 51.0)
    await store.put_off(hint, 500.0)
    holds(await _refs(store, 52.0) == [A], "a hint that was repeated meanwhile is put off")


async def _forgets_late(store: HintStore) -> None:
    await store.hint([A], 1.0)
    (late,) = await store.take(5.0, limit=10, until=10.0)
    (other,) = await store.take(10.0, limit=10, until=20.0)
    await store.done([late])
    await store.put_off(late, 900.0)
    holds(
        await store.hints_waiting() == (1, 1.0),
        "who lost a hint to another can remove it, or put it off",
        "compare the number and the until that were taken",
    )
    await store.done([other])
    await store.hint([A], 12.0)
    await store.done([late, other])
    holds(await _refs(store, 13.0) == [A], "a done of long ago removes a new hint", "never use a number twice")


async def _once(store: HintStore) -> None:
    refs = [Ref(Side.LEFT, f"n{n:03}") for n in range(300)]
    await asyncio.gather(*(store.hint([ref], 1.0) for ref in refs))
    groups = await asyncio.gather(*(store.take(5.0, limit=7, until=10.0) for _ in range(60)))
    taken = [hint.ref for group in groups for hint in group]
    holds(len(taken) == len(set(taken)), "a hint is handed out twice", "take in one transaction")
    rest = await store.take(5.0, limit=1000, until=10.0)
    holds(
        sorted(map(str, [*taken, *(hint.ref for hint in rest)])) == sorted(map(str, refs)), "a hint is never handed out"
    )


async def _refs(store: HintStore, now: float, until: float = 1000.0) -> list[Ref]:
    hints: list[Hint] = list(await store.take(now, limit=100, until=until))
    return [hint.ref for hint in hints]


LAWS = (_keeps, _collapses, _waits_until_due, _comes_back, _keeps_repeats, _puts_off, _forgets_late, _once)
