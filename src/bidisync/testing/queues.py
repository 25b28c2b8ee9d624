"""What every work queue promises, as assertions: run it on yours.

The looks of this check are slow on purpose, and write down when they begin and end: so it is
seen whether two of them were at one record at once, and whether what was hinted at last was
looked at after that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress

import attrs

from bidisync.errors import Unavailable
from bidisync.model import Ref, Side
from bidisync.protocols import WorkQueue
from bidisync.testing.broken import Broken, holds

Make = Callable[[], AbstractAsyncContextManager[WorkQueue]]
"""Opens a queue over the same hints: two of them stand for two workers."""

LOOK_S = 0.02


@attrs.define(eq=False)
class Looks:
    """Looks at records that only have a version, as people would move it meanwhile."""

    now: Counter[Ref] = attrs.Factory(Counter)
    seen: dict[Ref, int] = attrs.Factory(dict)
    begun: list[Ref] = attrs.Factory(list)
    _at: Counter[Ref] = attrs.Factory(Counter)
    look_s: float = LOOK_S

    async def __call__(self, ref: Ref) -> float | None:
        """See which version the record has now."""
        self.begun.append(ref)
        self._at[ref] += 1
        holds(
            self._at[ref] == 1,
            "two looks at one record go on at once",
            "hand a hint to one worker, and hold it as long as the look takes",
        )
        try:
            version = self.now[ref]
            await asyncio.sleep(self.look_s)
            self.seen[ref] = version
        finally:
            self._at[ref] -= 1
        return None

    def behind(self) -> list[Ref]:
        """The records that have moved since they were looked at."""
        return [ref for ref, version in self.now.items() if self.seen.get(ref) != version]


async def check_work_queue(make: Make, *, within_s: float = 20.0) -> None:
    """Fail with the name of the first promise that the queues made by ``make`` break. Has to be awaited.

    ``within_s`` is how long it may take until work that was handed back is taken up.
    """
    for law in (
        _everything_is_looked_at,
        _repeats_collapse,
        _who_ends_hands_back,
        _a_long_look_is_nobody_elses,
        _oldest_first,
        _due_later,
        _waits,
    ):
        try:
            async with asyncio.timeout(3 * within_s):
                await law(make, within_s)
        except TimeoutError:
            raise Broken(
                "a record that was hinted at is not looked at",
                f"within {3 * within_s:g} seconds nobody did: hand out what was taken and never done, too",
                promise=law.__name__.strip("_"),
            ) from None
        except Broken as fault:
            fault.promise = law.__name__.strip("_")
            raise


def _refs(name: str, number: int) -> list[Ref]:
    return [Ref(Side.LEFT, f"{name}{n}") for n in range(number)]


async def _done(looks: Looks) -> None:
    await _so(lambda: not looks.behind())


async def _so(is_true: Callable[[], bool]) -> None:
    while not is_true():  # noqa: ASYNC110 - what is waited for happens in queues that know no event of ours
        await asyncio.sleep(0.01)


async def _everything_is_looked_at(make: Make, within_s: float) -> None:
    looks, refs = Looks(), _refs("all", 20)
    async with make() as one, make() as two:
        tasks = [asyncio.ensure_future(queue.run(looks)) for queue in (one, two)]
        for turn in range(10):
            for ref in refs[turn % 2 :: 2]:
                looks.now[ref] += 1
                await (one if turn % 3 else two).submit([ref])
            await asyncio.sleep(LOOK_S / 2)
        await _done(looks)
        await _stopped(*tasks)


async def _repeats_collapse(make: Make, within_s: float) -> None:
    looks, refs = Looks(), _refs("same", 3)
    async with make() as queue:
        for _ in range(30):
            for ref in refs:
                looks.now[ref] += 1
            await queue.submit(refs)
        task = asyncio.ensure_future(queue.run(looks))
        await _done(looks)
        await asyncio.sleep(5 * LOOK_S)
        await _stopped(task)
    holds(
        len(looks.begun) <= 2 * len(refs),
        "repeats that nobody has begun with do not collapse",
        "keep one hint for each record",
    )


async def _who_ends_hands_back(make: Make, within_s: float) -> None:
    endless, looks, refs = Looks(look_s=10_000.0), Looks(), _refs("end", 5)
    async with make() as other:
        async with make() as queue:
            task = asyncio.ensure_future(queue.run(endless))
            looks.now.update(refs)
            await queue.submit(refs)
            await _so(lambda: len(endless.begun) >= len(refs))
            await _ended_at_once(task)
        second = asyncio.ensure_future(other.run(looks))
        await asyncio.wait_for(_done(looks), within_s)
        await _stopped(second)


async def _a_long_look_is_nobody_elses(make: Make, within_s: float) -> None:
    looks, refs = Looks(look_s=2.5), _refs("long", 3)
    async with make() as one, make() as two:
        tasks = [asyncio.ensure_future(queue.run(looks)) for queue in (one, two)]
        looks.now.update(refs)
        await one.submit(refs)
        await _done(looks)
        await _stopped(*tasks)
    holds(
        len(looks.begun) == len(refs),
        "a look that lasts longer than a hint is held is begun again",
        "hold the hint anew while the look goes on",
    )


async def _oldest_first(make: Make, within_s: float) -> None:
    looks, refs = Looks(), _refs("age", 60)
    async with make() as queue:
        for ref in refs:
            looks.now[ref] += 1
            await queue.submit([ref])
        task = asyncio.ensure_future(queue.run(looks))
        await _done(looks)
        await _stopped(task)
    half = len(refs) // 2
    early = sum(ref in looks.begun[:half] for ref in refs[:half])
    holds(early >= 0.7 * half, "what has waited longest is not looked at first", "take the oldest hints first")


async def _due_later(make: Make, within_s: float) -> None:
    looks = Looks()
    soon, later = _refs("due", 2)
    looks.now.update([soon, later])
    async with make() as queue:
        task = asyncio.ensure_future(queue.run(looks))
        loop, clock = asyncio.get_running_loop(), getattr(queue, "clock")  # noqa: B009 - both of ours have one
        began = loop.time()
        await queue.submit([later], not_before=clock.now() + 0.7)
        await queue.submit([soon])
        await _so(lambda: soon in looks.seen)
        await _done(looks)
        await _stopped(task)
        holds(loop.time() - began >= 0.65, "a record is looked at before the time that was said", "keep not_before")


async def _waits(make: Make, within_s: float) -> None:
    looks, refs = Looks(), _refs("off", 10)
    asked = 0
    off = True

    async def look(ref: Ref) -> float | None:
        nonlocal asked
        if off:
            asked += 1
            raise Unavailable("it is off", system="test")
        return await looks(ref)

    async with make() as queue:
        task = asyncio.ensure_future(queue.run(look))
        looks.now.update(refs)
        await queue.submit(refs)
        await asyncio.sleep(1.5)
        holds(
            asked <= 2 * len(refs),
            "a system that is off is asked for every record again and again",
            "wait after Unavailable before the next look",
        )
        off = False
        await _done(looks)
        await _stopped(task)


async def _stopped(*tasks: asyncio.Future[None]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


async def _ended_at_once(task: asyncio.Future[None]) -> None:
    """End it without its grace, cancelled until it gives in."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
