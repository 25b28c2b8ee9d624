"""What is done every so often, once however many machines wait for it.

Kept as marks in the state: when a job is due, and who is at it. A turn is won by whoever
sets its mark first, and only if the job is still due after that; it ends by itself, so the
turn of a dead worker goes to another one. A restart keeps the rhythm.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import attrs

from bidisync.clock import SystemChance, SystemClock
from bidisync.errors import Transient
from bidisync.protocols import Chance, Clock
from bidisync.storage import StateStore

MOST_TAKEN_OVER = 100


@attrs.define
class Turn:
    """The right to do a job now; ``next_s`` may say sooner than usual when it is due again."""

    mark: str
    next_s: float | None = None


@attrs.frozen
class Timetable:
    """Jobs by name. ``lease_s`` is how long the turn of a dead worker lasts."""

    store: StateStore
    lease_s: float = 60.0
    clock: Clock = attrs.field(factory=SystemClock)
    chance: Chance = attrs.field(factory=SystemChance)

    async def wait(self, name: str) -> float:
        """Seconds until the job is due: 0 now, also where it was never done."""
        return max(0.0, float(await self.store.get_mark(f"due:{name}") or 0.0) - self.clock.now())

    async def at_once(self, name: str) -> None:
        """Make the job due now; whoever is at it goes on."""
        if await self.wait(name) > 0:
            await self.store.set_mark(f"due:{name}", repr(self.clock.now()))

    @asynccontextmanager
    async def turn(self, name: str, every_s: float) -> AsyncIterator[Turn | None]:
        """The turn to do the job, or ``None`` if it is not due, or somebody else is at it.

        The job is due again ``every_s`` after it was due; an error in the block leaves it
        due after a tenth of that, at most half a minute.
        """
        due = await self.store.get_mark(f"due:{name}") or "0.0"
        turn = None if float(due) > self.clock.now() else await self._won(name, due)
        if turn is None:
            yield None
            return
        keeper = asyncio.get_running_loop().create_task(self._keep(turn))
        sooner = min(30.0, every_s / 10)
        try:
            yield turn
            sooner = every_s if turn.next_s is None else turn.next_s
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
            with suppress(Transient):  # the turn ends by itself
                await self._over(name, due, turn, sooner)

    async def _won(self, name: str, due: str) -> Turn | None:
        mine = f"{self.chance.token()} "
        for number in range(MOST_TAKEN_OVER):
            mark = f"turn:{name}:{due}:{number}"
            holder = await self.store.first_mark(mark, f"{mine}{self._until()}")
            if holder.startswith(mine):
                if (await self.store.get_mark(f"due:{name}") or "0.0") == due:
                    return Turn(mark)
                await self.store.set_mark(mark, None)  # somebody was through with it meanwhile
                return None
            if float(holder.rpartition(" ")[2]) > self.clock.now():
                return None
        return None

    async def _keep(self, turn: Turn) -> None:
        while True:
            await self.clock.sleep(self.lease_s / 3)
            with suppress(Transient):
                await self.store.set_mark(turn.mark, f"held {self._until()}")

    async def _over(self, name: str, due: str, turn: Turn, after_s: float) -> None:
        now = self.clock.now()
        rhythm = float(due) + after_s
        await self.store.set_mark(f"due:{name}", repr(rhythm if rhythm > now else now + after_s))
        for number in range(int(turn.mark.rpartition(":")[2]) + 1):
            await self.store.set_mark(f"turn:{name}:{due}:{number}", None)

    def _until(self) -> float:
        return self.clock.now() + self.lease_s
