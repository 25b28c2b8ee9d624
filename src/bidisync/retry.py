"""When to try again, as a value: nothing here waits."""

from __future__ import annotations

import attrs

from bidisync.errors import Contended, ParentNotLinked, RateLimited, Stale, SyncError, Transient


@attrs.frozen
class Backoff:
    """Delays that double from ``first_s`` to ``most_s``, spread evenly between 0 and that.

    Spreading over the whole range keeps many records that failed together from coming back
    together. After ``attempts`` failures there is no further delay: ``None``.
    """

    first_s: float = 1.0
    most_s: float = 3600.0
    attempts: int = 5

    def delay(self, error: SyncError, attempt: int, fraction: float) -> float | None:
        """Seconds until the next try, or ``None``: not again.

        ``attempt`` counts from 1; ``fraction`` in [0, 1) is the chance of this draw. A
        remote that names a delay gets at least that.
        """
        if isinstance(error, Stale | Contended):
            return fraction * self.first_s
        if not isinstance(error, Transient) or attempt >= self.attempts:
            return None
        spread = fraction * min(self.most_s, self.first_s * 2.0 ** (attempt - 1))
        asked = error.retry_after if isinstance(error, RateLimited) else 0.0
        return max(spread, asked)


def counts(error: SyncError) -> bool:
    """Whether this failure is an attempt: not where the record merely moved, was taken, or waits for another."""
    return not isinstance(error, Stale | Contended | ParentNotLinked)
