"""What a person is told: counts, link ids and codes; never a value of a record."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from bidisync.model import Ref


class NoticeKind(enum.Enum):
    """Why somebody should look."""

    DEAD = "dead"  # given up after all attempts
    REVIEW = "review"  # a person has to decide
    HELD = "held"  # a guard waits for approval
    REMOTE_DOWN = "remote_down"  # a system is out of reach, or refuses us


@attrs.frozen
class Waiting:
    """One thing that waits: a link with its records, or a system; why, and since when that is known."""

    subject: str
    reason: str
    since: float = 0.0
    records: tuple[Ref, ...] = ()


@attrs.frozen
class Notice:
    """Many things of one kind in one message, and what to do about them."""

    kind: NoticeKind
    items: tuple[Waiting, ...]
    hint: str = ""

    @property
    def count(self) -> int:
        """How many things there are."""
        return len(self.items)

    @property
    def first_at(self) -> float:
        """Since when the oldest of them is known."""
        return min((item.since for item in self.items), default=0.0)

    @property
    def reasons(self) -> Mapping[str, int]:
        """How many of them have which code, the most frequent first."""
        return dict(Counter(item.reason for item in self.items).most_common())

    @property
    def links(self) -> tuple[str, ...]:
        """The links, or the systems, that it is about."""
        return tuple(item.subject for item in self.items)

    def about(self, items: Iterable[Waiting]) -> Notice:
        """The same notice about some of them."""
        return attrs.evolve(self, items=tuple(items))
