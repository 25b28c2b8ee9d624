"""Leases within one process: nothing to install, nothing to reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import attrs

from bidisync.clock import SystemClock
from bidisync.errors import Contended
from bidisync.protocols import Clock, Lease


@attrs.define(eq=False)
class LocalLease:
    """A lease of ``LocalLocks``; lost once it ended and somebody else took the key."""

    _locks: LocalLocks
    _key: str
    _ends_at: float
    over: asyncio.Event = attrs.Factory(asyncio.Event)

    def remaining(self) -> float:
        """Seconds until it ends; 0 if somebody else holds the key."""
        if self._locks.held.get(self._key) is not self:
            return 0.0
        return max(0.0, self._ends_at - self._locks.clock.monotonic())

    async def renew(self) -> None:
        """Make it last its full time again."""
        if self._locks.held.get(self._key) is not self:
            raise Contended("the lease was lost")
        self._ends_at = self._locks.clock.monotonic() + self._locks.lease_s


@attrs.define(eq=False)
class LocalLocks:
    """Leases for the tasks of one process. Whoever comes second waits in line, up to ``wait_s``."""

    lease_s: float = 60.0
    wait_s: float = 30.0
    clock: Clock = attrs.Factory(SystemClock)
    held: dict[str, LocalLease] = attrs.Factory(dict)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[Lease]:
        """Hold the key until the block ends, at most for the lease."""
        lease = await self._take(key)
        try:
            yield lease
        finally:
            if self.held.get(key) is lease:
                del self.held[key]
            lease.over.set()

    @asynccontextmanager
    async def hold_free(self, keys: Sequence[str]) -> AsyncIterator[Mapping[str, LocalLease]]:
        """Hold those of the keys that nobody holds, without waiting."""
        ends_at = self.clock.monotonic() + self.lease_s
        leases = {key: LocalLease(self, key, ends_at) for key in keys if self._is_free(key)}
        self.held.update(leases)
        try:
            yield leases
        finally:
            for key, lease in leases.items():
                if self.held.get(key) is lease:
                    del self.held[key]
                lease.over.set()

    def _is_free(self, key: str) -> bool:
        holder = self.held.get(key)
        return holder is None or holder.remaining() <= 0

    async def _take(self, key: str) -> LocalLease:
        gives_up_at = self.clock.monotonic() + self.wait_s
        while True:
            holder = self.held.get(key)
            if holder is None or self._is_free(key):
                lease = LocalLease(self, key, self.clock.monotonic() + self.lease_s)
                self.held[key] = lease
                return lease
            left = gives_up_at - self.clock.monotonic()
            if left <= 0:
                raise Contended("somebody else in this process is at this record")
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, holder.remaining())):
                    await holder.over.wait()
