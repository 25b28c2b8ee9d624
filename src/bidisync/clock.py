"""Time and randomness behind protocols: the only module that asks the system for either."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Literal

import attrs
from whenever import Instant, OffsetDateTime, PlainDateTime, RepeatedTime, SkippedTime


@attrs.frozen
class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Seconds since 1970 in UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


@attrs.frozen
class SystemChance:
    """The randomness of this machine."""

    def fraction(self) -> float:
        """Evenly spread in [0, 1)."""
        return secrets.randbelow(1 << 53) / (1 << 53)

    def token(self) -> str:
        """32 random hexadecimal digits."""
        return secrets.token_hex(16)


def utc_text(at: float) -> str:
    """``YYYY-MM-DD HH:MM:SS`` in UTC, cut to whole seconds."""
    return Instant.from_timestamp(int(at)).format("YYYY-MM-DD HH:mm:ss")


def utc_seconds(text: str) -> float:
    """Seconds of a time in UTC: ISO 8601, with or without ``T`` and ``Z``; else ``ValueError``."""
    return PlainDateTime.parse_iso(text.strip().replace(" ", "T").removesuffix("Z")).assume_utc().timestamp()


@attrs.frozen
class LocalTime:
    """What a local time without an offset says: when, and whether it can only mean that.

    ``kind`` is ``ok``, ``ambiguous`` (the hour that a clock change repeats) or
    ``nonexistent`` (the hour that it skips).
    """

    at: float
    kind: Literal["ok", "ambiguous", "nonexistent"] = "ok"

    @property
    def certain(self) -> bool:
        """Whether the text names one moment that existed."""
        return self.kind == "ok"


def local_seconds(text: str, zone: str) -> LocalTime:
    """When a time was that somebody wrote down in ``zone``; an offset in the text wins.

    In the hour that a clock change repeats, the answer is the earlier reading; in the one
    that it skips, as much later as the clock was put forward. ``ValueError`` if
    the text is no ISO 8601 time.
    """
    text = text.strip().replace(" ", "T")
    try:
        return LocalTime(float(OffsetDateTime.parse_iso(text).timestamp()))
    except ValueError:
        pass
    if text.endswith("Z"):
        return LocalTime(float(Instant.parse_iso(text).timestamp()))
    plain = PlainDateTime.parse_iso(text)
    try:
        return LocalTime(float(plain.assume_tz(zone, disambiguation="raise").timestamp()))
    except (RepeatedTime, SkippedTime) as error:
        kind: Literal["ambiguous", "nonexistent"] = "ambiguous" if isinstance(error, RepeatedTime) else "nonexistent"
        return LocalTime(float(plain.assume_tz(zone, disambiguation="compatible").timestamp()), kind)


def repeated_hour(at: float, zone: str) -> bool:
    """Whether clocks in ``zone`` showed the time of that moment twice."""
    try:
        Instant.from_timestamp(at).to_tz(zone).to_plain().assume_tz(zone, disambiguation="raise")
    except RepeatedTime:
        return True
    return False


def local_text(at: float, zone: str) -> str:
    """``YYYY-MM-DDTHH:MM:SS`` as clocks in ``zone`` show it."""
    return Instant.from_timestamp(int(at)).to_tz(zone).to_plain().format("YYYY-MM-DD'T'HH:mm:ss")
