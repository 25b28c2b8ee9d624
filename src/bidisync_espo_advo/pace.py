"""How many requests a second go out, on average, and which of them do not wait for that.

A change or a deletion stands on a read that was made just before, and grows riskier with every
moment in which somebody may edit the record on a system that checks nothing. So it goes at once,
and what comes after it waits for it as well. No more than a second's worth goes ahead like that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter


@attrs.define
class Pace:
    """So many requests a second, on average."""

    _most_ahead: float
    _limiter: AsyncLimiter = attrs.field(repr=False)
    _ahead: int = 0

    @classmethod
    def of(cls, per_second: float) -> Pace:
        """That pace; fewer than one a second come one by one."""
        from aiolimiter import AsyncLimiter

        at_once = max(1.0, per_second)
        return cls(at_once, AsyncLimiter(at_once, at_once / per_second))

    async def keep(self, *, urgent: bool) -> None:
        """Return once a request may go; an urgent one may at once."""
        if urgent and self._ahead < self._most_ahead:
            self._ahead += 1
            return
        await self._limiter.acquire()
        while self._ahead > 0:
            self._ahead -= 1
            await self._limiter.acquire()
