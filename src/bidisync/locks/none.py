"""Work without leases: by versions, revisions, intents and fences alone.

A lease saves two workers from doing the same work at once; nothing rests on it. Without any,
whoever is first to store what it is about to write has won, and the others find that out
before they send anything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import attrs

from bidisync.clock import SystemClock
from bidisync.errors import Unavailable
from bidisync.protocols import Clock, Lease, LockProvider


@attrs.define(eq=False)
class FreeLease:
    """A lease that keeps nobody out. It ends like any other, so that requests stay bounded."""

    lease_s: float
    clock: Clock
    _ends_at: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ends_at = self.clock.monotonic() + self.lease_s

    def remaining(self) -> float:
        """Seconds until it ends."""
        return max(0.0, self._ends_at - self.clock.monotonic())

    async def renew(self) -> None:
        """Make it last its full time again: always granted."""
        self._ends_at = self.clock.monotonic() + self.lease_s


@attrs.define(eq=False)
class NoLocks:
    """Grants every key to everybody: the lock provider for doing without one."""

    lease_s: float = 60.0
    clock: Clock = attrs.Factory(SystemClock)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[Lease]:
        """Granted at once."""
        yield FreeLease(self.lease_s, self.clock)


@attrs.define(eq=False)
class _WhileReachable:
    """A lease that is kept without its provider once that can't be reached."""

    _lease: Lease
    _locks: GoingOn

    def remaining(self) -> float:
        return self._lease.remaining()

    async def renew(self) -> None:
        try:
            await self._lease.renew()
        except Unavailable:
            self._lease = self._locks.without()


@attrs.define(eq=False)
class GoingOn:
    """The leases of another provider, and none at all while that one can't be reached.

    After a failure it is left alone for ``pause_s``, so that a frozen server costs its timeout
    once and not for every record.
    """

    locks: LockProvider
    clock: Clock = attrs.Factory(SystemClock)
    pause_s: float = 10.0
    _asks_at: float = 0.0

    @property
    def lease_s(self) -> float:
        """As long as the other provider's."""
        return self.locks.lease_s

    def without(self) -> Lease:
        """A lease that is granted here, now that the provider did not answer."""
        self._asks_at = self.clock.monotonic() + self.pause_s
        return FreeLease(self.lease_s, self.clock)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[Lease]:
        """Hold the key if the provider can be asked, else go on without; ``Contended`` as it says."""
        async with AsyncExitStack() as stack:
            if self.clock.monotonic() < self._asks_at:
                yield FreeLease(self.lease_s, self.clock)
                return
            try:
                lease = await stack.enter_async_context(self.locks.hold(key))
            except Unavailable:
                lease = self.without()
            yield _WhileReachable(lease, self)
