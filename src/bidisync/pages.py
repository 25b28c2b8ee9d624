"""Pieces of a list whose records are made when somebody looks at them: most are as they were, and nobody does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
