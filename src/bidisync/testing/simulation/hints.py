"""Hints: what the world tells the workers about records that moved, and how badly."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import attrs

from bidisync.model import Ref, Side

if TYPE_CHECKING:
    from bidisync.testing.simulation.world import World

FAULTY = 0.25


@attrs.define(eq=False)
class Hints:
    """A durable queue that all workers share."""

    world: World
    waiting: deque[Ref] = attrs.Factory(deque)
    _sleepers: list[asyncio.Future[None]] = attrs.Factory(list)
    _late: float = -1.0

    def moved(self, side: Side, id: str) -> None:
        """A record moved; sides that send hints tell of it."""
        world = self.world
        if side not in world.scenario.hinting:
            return
        ref, later = Ref(side, id), world.loop.later
        fault = world.draw("hint", FAULTY, 6)
        if fault:
            world.fault(f"E{fault}", str(ref))
        if fault == 1:
            return
        if fault == 3:
            later(45.0, self.put, ref)
        elif fault == 4:
            self.put(ref)
        elif fault == 6:
            later(0.3, self.put, Ref(side, world.scenario.nobody(side)))
            later(0.6, self.put, ref)
        else:
            for _ in range({2: 2, 5: 8}.get(fault, 1)):
                later(0.5, self.put, ref)

    def put(self, ref: Ref) -> None:
        """It is in the queue."""
        self.waiting.append(ref)
        sleepers, self._sleepers = self._sleepers, []
        for sleeper in sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    async def next(self) -> Ref:
        """The oldest hint, once there is one."""
        while not self.waiting:
            sleeper = self.world.loop.create_future()
            self._sleepers.append(sleeper)
            await sleeper
        return self.waiting.popleft()
