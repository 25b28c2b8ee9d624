"""What every chained decision log promises, as assertions: run it on your store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs

from bidisync.chain import Head, Verdict
from bidisync.errors import Contended
from bidisync.model import Decision, Ref, Row, Side, Versions
from bidisync.state import Journaled, Link, Tombstone
from bidisync.storage import DecisionLog, StateStore
from bidisync.testing.broken import broken, holds
from bidisync.testing.laws import all_hold


class LoggingStore(StateStore, DecisionLog, Protocol):
    """A state store whose journal is a chain."""


MakeLogging = Callable[[], Awaitable[LoggingStore]]
"""Makes an empty store; it is closed by the check."""


async def check_decision_log(make: MakeLogging) -> None:
    """Fail with the name of the first promise that the logs of the stores made by ``make`` break. Has to be awaited."""
    await all_hold(LAWS, make)


async def _written(store: LoggingStore, id: str, *, link: Link | None = None) -> Link:
    decision = Decision("a", "g", Row.BOTH_CHANGED, Versions("b", f"X{id}", None), "prefer left", (Side.RIGHT,), id)
    begun = link or Link.begin(Ref(Side.LEFT, id))
    return await store.save(begun, journal=[Journaled(begun.id, 1.0, "update", (decision,), run="r")])


async def _sound(store: LoggingStore, what: str, given: Head | None = None) -> Verdict:
    verdict = await store.verify(given)
    holds(verdict.holds, f"{what} does not hold ({', '.join(map(str, verdict.breaks))})")
    return verdict


async def _grows(store: LoggingStore) -> None:
    holds((await _sound(store, "an empty log")).lines == 0, "a new log is not empty")
    saved = await _written(store, "1")
    first = await store.head()
    await _written(store, "ü\x00", link=None)
    verdict = await _sound(store, "a log as it was written", first)
    holds(
        (verdict.lines, verdict.head) == (2, await store.head()),
        "a line does not move the head of the log, which verify finds",
        "chain each line in the transaction that writes it",
    )
    try:
        await _written(store, "1", link=attrs.evolve(saved, revision=9))
    except Contended:
        holds(
            await store.head() == verdict.head,
            "a refused save leaves a line in the log",
            "write both in one transaction",
        )
    else:
        broken(
            "a save over an older revision is not refused", "raise Contended where the revision is not the stored one"
        )


async def _keeps_to_its_heads(store: LoggingStore) -> None:
    heads = [Head(0, "")]
    for number in range(3):
        await _written(store, str(number))
        heads.append(await store.head())
    for head in heads:
        await _sound(store, "a log held against a head from before", head)
    newest = await store.verify(newest=2)
    holds((newest.holds, newest.lines) == (True, 2), "verify(newest=2) does not look at the two newest lines")
    holds(
        (await store.verify(newest=9)).lines == 3, "verify with more than there are lines does not look at all of them"
    )
    for wrong in (attrs.evolve(heads[2], chain=heads[1].chain), attrs.evolve(heads[3], number=4)):
        holds(
            not (await store.verify(wrong)).holds,
            "a head of another log, or of more lines than there are, passes",
            "compare the chain at that line",
        )


async def _outlives_forgetting(store: LoggingStore) -> None:
    saved = await _written(store, "1")
    other = await _written(store, "2")
    head = await store.head()
    over = Link(saved.origin, "1", tombstone=Tombstone(2.0, by="forget"), revision=saved.revision, fence=saved.fence)
    await store.erase(over, journal=[Journaled("left:1", 2.0, "forget")])
    await _written(store, "2", link=other)
    verdict = await _sound(store, "a log from which somebody was erased", head)
    holds((verdict.lines, verdict.erased) == (4, 1), "lines whose values were erased are not counted aside")


async def _is_one_chain(store: LoggingStore) -> None:
    await asyncio.gather(*(_written(store, str(number)) for number in range(60)))
    numbers = [number for number, _ in await store.history(limit=100)]
    holds(
        numbers == list(range(60, 0, -1)),
        "lines written at once are not numbered without a gap",
        "number them in the transaction that writes them",
    )
    holds(
        (await _sound(store, "a log of lines written at once")).lines == 60,
        "a line that was written is missing in the chain",
    )


LAWS = (_grows, _keeps_to_its_heads, _outlives_forgetting, _is_one_chain)
