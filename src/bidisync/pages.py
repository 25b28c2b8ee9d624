"""Pieces of a list: their records are made when somebody looks at them, and a list that is left early is closed."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from typing import Generic, TypeVar, overload

import attrs

S = TypeVar("S")
T = TypeVar("T")


@attrs.frozen(eq=False)
class Lazily(Sequence[T], Generic[S, T]):
    """A sequence of what ``make`` makes of each item of another one, each time that it is asked for."""

    make: Callable[[S], T]
    of: Sequence[S]

    def __len__(self) -> int:
        return len(self.of)

    @overload
    def __getitem__(self, place: int) -> T: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...

    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        return Lazily(self.make, self.of[place]) if isinstance(place, slice) else self.make(self.of[place])


@contextmanager
def opened(items: Iterable[T]) -> Iterator[Iterator[T]]:
    """These items one after the other; whoever leaves early leaves no generator behind that holds a lock or a file."""
    rest = iter(items)
    try:
        yield rest
    finally:
        if isinstance(rest, Generator):  # a cursor or a file may be its owner's, who reads it again
            rest.close()


@asynccontextmanager
async def aopened(items: AsyncIterable[T]) -> AsyncIterator[AsyncIterator[T]]:
    """The same of what comes asynchronously, such as the pages of a list."""
    rest = aiter(items)
    try:
        yield rest
    finally:
        if isinstance(rest, AsyncGenerator):
            await rest.aclose()
