"""Wrong lock providers, each with the words that tell it."""

from __future__ import annotations

from contextlib import asynccontextmanager

import attrs

from bidisync.locks.local import LocalLease, LocalLocks
from bidisync.locks.none import NoLocks

# Lock providers


class KeepsAfterAnError(LocalLocks):
    @asynccontextmanager
    async def hold(self, key):
        lease = await self._take(key)
        yield lease
        self.held.pop(key, None)
        lease.over.set()


class OneForAll(LocalLocks):
    def hold(self, key):
        return LocalLocks.hold(self, "all")


class Endless(LocalLocks):
    @asynccontextmanager
    async def hold(self, key):
        async with LocalLocks.hold(self, key) as lease:
            yield ForEver(lease, self.lease_s)


@attrs.frozen
class ForEver:
    lease: LocalLease
    lease_s: float

    def remaining(self):
        return 10 * self.lease_s

    async def renew(self):
        await self.lease.renew()


class RenewsWhatIsLost(LocalLocks):
    @asynccontextmanager
    async def hold(self, key):
        async with LocalLocks.hold(self, key) as lease:
            yield Stubborn(lease)


@attrs.frozen
class Stubborn:
    lease: LocalLease

    def remaining(self):
        return self.lease.remaining()

    async def renew(self):
        self.lease._ends_at = self.lease._locks.clock.monotonic() + self.lease._locks.lease_s


class NeverEnds(LocalLocks):
    async def _take(self, key):
        if key in self.held:
            self.held[key]._ends_at = self.clock.monotonic() + 1000
        return await LocalLocks._take(self, key)


LOCKS = (
    (NoLocks, "a key is held by two at a time"),
    (KeepsAfterAnError, "a key that nobody holds is refused"),
    (OneForAll, "a key that nobody holds is refused"),
    (Endless, "a lease lasts longer than it should"),
    (RenewsWhatIsLost, "a lease that was lost can be renewed"),
    (NeverEnds, "a lease never ends by itself"),
)


# Lock providers that hold many keys at once


class HoldsFreeAndHeld(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        ends_at = self.clock.monotonic() + self.lease_s
        yield {key: LocalLease(self, key, ends_at) for key in keys}


class WaitsForTheHeld(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        for key in keys:
            while key in self.held:
                await self.held[key].over.wait()
        async with LocalLocks.hold_free(self, keys) as leases:
            yield leases


class AllOrNoneOfTheFree(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        async with LocalLocks.hold_free(self, [] if any(key in self.held for key in keys) else keys) as leases:
            yield leases


class GivesBackWhatItWasAskedFor(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        async with LocalLocks.hold_free(self, keys) as leases:
            yield leases
        for key in keys:
            self.held.pop(key, None)


class GivesBackWhatItTook(LocalLocks):
    """Also where somebody else has taken it since."""

    @asynccontextmanager
    async def hold_free(self, keys):
        async with LocalLocks.hold_free(self, keys) as leases:
            try:
                yield leases
            finally:
                for key in leases:
                    self.held.pop(key, None)


class GivesNothingBack(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        ends_at = self.clock.monotonic() + self.lease_s
        leases = {key: LocalLease(self, key, ends_at) for key in keys if self._is_free(key)}
        self.held.update(leases)
        yield leases


class KeepsManyAfterAnError(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        ends_at = self.clock.monotonic() + self.lease_s
        leases = {key: LocalLease(self, key, ends_at) for key in keys if self._is_free(key)}
        self.held.update(leases)
        yield leases
        for key, lease in leases.items():
            if self.held.get(key) is lease:
                del self.held[key]


class LooksAndHoldsNothing(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        async with LocalLocks.hold_free(self, keys) as leases:
            held = {key: attrs.evolve(lease) for key, lease in leases.items()}
            for key in leases:
                del self.held[key]
            yield {key: ForEver(lease, self.lease_s / 10) for key, lease in held.items()}


class LeasesManyForLonger(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        async with LocalLocks.hold_free(self, keys) as leases:
            yield {key: ForEver(lease, self.lease_s) for key, lease in leases.items()}


class TakesTheEndedForHeld(LocalLocks):
    @asynccontextmanager
    async def hold_free(self, keys):
        async with LocalLocks.hold_free(self, [key for key in keys if key not in self.held]) as leases:
            yield leases


FREE = (
    (HoldsFreeAndHeld, "hold_free hands out a key that somebody holds"),
    (WaitsForTheHeld, "hold_free waits for a key that somebody holds"),
    (AllOrNoneOfTheFree, "hold_free leaves out a key that nobody holds"),
    (GivesBackWhatItWasAskedFor, "hold_free gives back a key that it left out"),
    (GivesBackWhatItTook, "the end of hold_free gives back a key that somebody else holds by now"),
    (GivesNothingBack, "hold_free does not give its keys back at the end of the block"),
    (KeepsManyAfterAnError, "hold_free does not give its keys back after an error in the block"),
    (LooksAndHoldsNothing, "a key that hold_free holds is handed out to another"),
    (LeasesManyForLonger, "a lease of hold_free does not last its time"),
    (TakesTheEndedForHeld, "hold_free takes a lease that has ended for held"),
)
