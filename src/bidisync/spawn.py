"""Work done side by side, with a bound: the only place where the engine starts tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


async def side_by_side(jobs: Iterable[T], work: Callable[[T], Awaitable[None]], limit: int) -> None:
    """Do the work for every job, at most ``limit`` at once, in their order.

    The first error stops everything that has not been started and is raised once what was
    under way has ended.
    """
    waiting: Iterator[T] = iter(jobs)
    errors: list[BaseException] = []

    async def worker() -> None:
        for job in waiting:
            if errors:
                return
            try:
                await work(job)
            except Exception as error:  # kept for the caller, who gets the first of them
                errors.append(error)

    async with asyncio.TaskGroup() as group:
        for _ in range(limit):
            group.create_task(worker())
    if errors:
        raise errors[0]
