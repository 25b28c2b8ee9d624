"""A system that is down is left alone for a while, instead of being asked for every record.

Pure: the time is told. After ``failures`` failures in a row the circuit opens; once its time
is over one request may try, and what becomes of it closes the circuit or opens it for twice
as long.
"""

from __future__ import annotations

import attrs


@attrs.define(eq=False, repr=False)
class Circuit:
    """Whether one system may be asked now. Times in seconds by a clock that never goes back."""

    failures: int = 5
    first_s: float = 5.0
    most_s: float = 300.0
    _failed: int = 0
    _open_for: float = 0.0
    _open_until: float = 0.0
    _trying: bool = False

    def wait(self, now: float) -> float:
        """Seconds until a request may go: 0 lets this one go."""
        if not self._open_for:
            return 0.0
        if now < self._open_until:
            return self._open_until - now
        if self._trying:
            return self.first_s
        self._trying = True
        return 0.0

    @property
    def open(self) -> bool:
        """Whether the system is being left alone."""
        return bool(self._open_for)

    def succeeded(self) -> None:
        """The system answered as it should."""
        self._failed, self._open_for, self._trying = 0, 0.0, False

    def failed(self, now: float, *, at_once: bool = False) -> None:
        """It did not; ``at_once`` opens the circuit without waiting for more failures.

        What fails while the circuit is open already was sent before, and says nothing new.
        """
        self._failed += 1
        if self._open_for and not self._trying:
            return
        if self._open_for or at_once or self._failed >= self.failures:
            self._open_for = min(self.most_s, self._open_for * 2 or self.first_s)
            self._open_until = now + self._open_for
        self._trying = False

    def untold(self) -> None:
        """A request that was let go ended without telling anything: another one may try."""
        self._trying = False
