"""Work done side by side, with a bound: the only place where the engine starts tasks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Generic, TypeVar

import attrs

T = TypeVar("T")


async def side_by_side(jobs: Iterable[T], work: Callable[[T], Awaitable[None]], limit: int) -> None:
    """Do the work for every job, at most ``limit`` at once, in their order.

    The first error stops everything that has not been started and is raised once what was
    under way has ended.
    """

    async def all_of_them() -> AsyncIterator[Sequence[T]]:
        yield tuple(jobs)

    await group_by_group(all_of_them(), work, limit)


async def group_by_group(groups: AsyncIterator[Sequence[T]], work: Callable[[T], Awaitable[None]], limit: int) -> None:
    """The same with jobs that come in groups, each of which takes a while to come.

    No group waits for the slowest job of the one before: the next is asked for while the last
    jobs of this one are begun.
    """
    async with asyncio.TaskGroup() as tasks:
        supply = _Supply(groups, limit, tasks)

        async def worker() -> None:
            while (job := await supply.next()) is not None:
                try:
                    await work(job[0])
                except Exception as error:  # kept for the caller, who gets the first of them
                    supply.errors.append(error)

        for _ in range(limit):
            tasks.create_task(worker())
    if supply.errors:
        raise supply.errors[0]


async def beside(work: Awaitable[T], other: Coroutine[Any, Any, None]) -> T:
    """The result of the work, with something done meanwhile that nobody waits for but the end of both.

    An error of the work goes before one of the other.
    """
    task = asyncio.create_task(other)
    try:
        result = await work
    except BaseException:
        task.cancel()
        await asyncio.wait([task])
        raise
    await task
    return result


@attrs.define(eq=False)
class _Supply(Generic[T]):
    """Hands out jobs, and asks for the next group as soon as few are left."""

    groups: AsyncIterator[Sequence[T]]
    few: int
    tasks: asyncio.TaskGroup
    errors: list[Exception] = attrs.Factory(list)
    _jobs: deque[T] = attrs.Factory(deque)
    _coming: asyncio.Task[None] | None = None
    _all: bool = False

    async def next(self) -> tuple[T] | None:
        """The next job, alone in a tuple; nothing once all were handed out, or one went wrong."""
        while not self.errors:
            if self._coming is None and not self._all and len(self._jobs) <= self.few:
                self._coming = self.tasks.create_task(self._ask())
            if self._jobs:
                return (self._jobs.popleft(),)
            if self._coming is None:
                return None
            await self._coming
        return None

    async def _ask(self) -> None:
        try:
            self._jobs.extend(await anext(self.groups))
        except StopAsyncIteration:
            self._all = True
        except Exception as error:  # as that of a job
            self.errors.append(error)
        finally:
            self._coming = None
