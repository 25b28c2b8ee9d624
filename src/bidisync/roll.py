"""Whom a pass has seen, in eight bytes for each: so that its memory stays small however many there are.

What is kept of an id is its hash of 64 bits, which is another one in every process. Two ids
share one about once in 10^19 pairs; the next process tells those apart.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from operator import itemgetter

import attrs

MANY = 200_000
"""From so many on they are sorted in parts; fewer are asked faster as a set."""

_PARTS = 256


@attrs.define(eq=False)
class Roll:
    """A set of ids that can be added to, counted, and asked."""

    _added: array[int] = attrs.field(init=False, factory=lambda: array("q"))
    _few: set[int] | None = attrs.field(init=False, default=None)
    _parts: list[array[int]] = attrs.field(init=False, factory=list)
    _sorted: bool = attrs.field(init=False, default=False)

    def add(self, ids: Iterable[str]) -> None:
        """Put these on the roll."""
        self._added.extend(map(hash, ids))
        self._few = None
        if len(self._added) > MANY:
            self._part()

    def __contains__(self, id: str) -> bool:
        return not self.missing([(id, "", None)])

    def __len__(self) -> int:
        few = self._asked()
        return sum(map(len, self._parts)) if few is None else len(few)

    def missing(self, living: Sequence[tuple[str, str, object]]) -> list[tuple[str, str]]:
        """Those of the records, with their links, that are not on it."""
        few = self._asked()
        if few is not None:
            if few.issuperset(map(hash, map(itemgetter(0), living))):  # nearly always, and found fast
                return []
            return [(id, link_id) for id, link_id, _ in living if hash(id) not in few]
        parts, found = self._parts, []
        for id, link_id, _ in living:
            number = hash(id)
            part = parts[number % _PARTS]
            place = bisect_left(part, number)
            if place == len(part) or part[place] != number:
                found.append((id, link_id))
        return found

    def _asked(self) -> set[int] | None:
        """All of them as a set; ``None`` where they are many, and in sorted parts now."""
        if not self._parts:
            if self._few is None:
                self._few = set(self._added)
            return self._few
        self._part()
        if not self._sorted:
            self._parts = [array("q", sorted(set(part))) for part in self._parts]
            self._sorted = True
        return None

    def _part(self) -> None:
        """Give each of those added lately to its part."""
        if self._added:
            self._parts = parts = self._parts or [array("q") for _ in range(_PARTS)]
            for number in self._added:
                parts[number % _PARTS].append(number)
            self._added, self._sorted = array("q"), False
