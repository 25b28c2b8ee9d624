"""The last hour of this process, minute by minute: an observer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs

from bidisync.events import Event, Examined, Failed, Wrote

MINUTES = 60
MOST_LAGS = 1000


@attrs.define
class Minute:
    """What one minute brought."""

    number: int
    examined: int = 0
    written: int = 0
    failed: int = 0


@attrs.define(eq=False)
class Pulse:
    """Counts what it is told; ``clock`` is the monotonic one."""

    clock: Callable[[], float]
    _minutes: deque[Minute] = attrs.field(factory=lambda: deque(maxlen=MINUTES))
    _lags: deque[tuple[float, float]] = attrs.field(factory=lambda: deque(maxlen=MOST_LAGS))

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case Examined():
                self._minute().examined += 1
            case Failed():
                self._minute().failed += 1
            case Wrote():
                self._minute().written += 1
                if event.lag_s is not None:
                    self._lags.append((self.clock(), event.lag_s))

    def hour(self) -> list[Minute]:
        """The last sixty minutes, oldest first, quiet ones included."""
        now = int(self.clock() // 60)
        known = {minute.number: minute for minute in self._minutes}
        return [known.get(number, Minute(number)) for number in range(now - MINUTES + 1, now + 1)]

    def lag(self, share: float) -> float | None:
        """The lag that this share of the last hour's writes did not pass, in seconds."""
        since = self.clock() - MINUTES * 60
        lags = sorted(lag for at, lag in self._lags if at >= since)
        return lags[min(len(lags) - 1, int(len(lags) * share))] if lags else None

    def _minute(self) -> Minute:
        number = int(self.clock() // 60)
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(Minute(number))
        return self._minutes[-1]
