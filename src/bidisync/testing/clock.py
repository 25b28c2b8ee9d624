"""Time and randomness that a test decides."""

from __future__ import annotations

import random

import attrs


@attrs.define
class ManualClock:
    """A clock that moves only when somebody sleeps or ``advance`` is called.

    ``at`` is its time, in seconds since 1970; ``slept`` counts the seconds that were slept.
    """

    at: float = 1_700_000_000.0
    slept: float = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self.at

    def monotonic(self) -> float:
        """The same seconds: they never go back."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.advance(seconds)
        self.slept += seconds

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.at += max(0.0, seconds)


@attrs.define
class SeededChance:
    """Randomness that is the same for the same seed, tokens included: not for secrets."""

    seed: int = 0
    _random: random.Random = attrs.field(init=False)

    @_random.default
    def _seeded(self) -> random.Random:
        return random.Random(self.seed)

    def fraction(self) -> float:
        """Evenly spread in [0, 1)."""
        return self._random.random()

    def token(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._random.getrandbits(128):032x}"
