"""Every decision of chance in a run, in one object that can be written down and played again.

Decisions are drawn from named streams. 0 is always the harmless one, so that a run is a
sparse *tape*: the draws that were something else. A run is repeated from its seed or from
its tape, and made smaller by leaving draws out. Streams keep their own count, so that one
draw less in one of them leaves the others as they were.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TypeAlias

import attrs

Tape: TypeAlias = Mapping[tuple[str, int], int]
"""Stream and number of each draw that was not 0, and what it was."""


@attrs.define
class Choices:
    """Draws from a seed; with a ``tape`` what stands there, and 0 for the rest."""

    seed: int = 0
    tape: Tape | None = None
    used: dict[tuple[str, int], int] = attrs.field(factory=dict, init=False)
    calm: bool = attrs.field(default=False, init=False)  # from now on everything is harmless
    _streams: dict[str, random.Random] = attrs.field(factory=dict, init=False, repr=False)
    _numbers: dict[str, int] = attrs.field(factory=dict, init=False, repr=False)

    def draw(self, stream: str, chance: float, highest: int) -> int:
        """0, or with this chance a number from 1 to ``highest``."""
        if self.calm or highest <= 0:
            return 0
        number = self._numbers.get(stream, 0)
        self._numbers[stream] = number + 1
        if self.tape is not None:
            value = min(self.tape.get((stream, number), 0), highest)
        else:
            rng = self._streams.get(stream)
            if rng is None:
                rng = self._streams[stream] = random.Random(f"{self.seed}/{stream}")
            value = 1 + int(rng.random() * highest) if rng.random() < chance else 0
        if value:
            self.used[stream, number] = value
        return value


def tape_text(tape: Tape) -> str:
    """A tape on one line: ``stream/number=value`` for each draw."""
    return " ".join(f"{stream}/{number}={value}" for (stream, number), value in sorted(tape.items()))


def parse_tape(text: str) -> Tape:
    """The tape that ``tape_text`` wrote; ``ValueError`` for anything else."""
    tape = {}
    for part in text.split():
        place, _, value = part.partition("=")
        stream, _, number = place.rpartition("/")
        tape[stream, int(number)] = int(value)
    return tape
