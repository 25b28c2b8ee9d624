"""Workers: processes that take hints and make passes, die, and are started again."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

import attrs

from bidisync.errors import SyncError
from bidisync.sweep import Sweep
from bidisync.testing.simulation.loop import PROCESS, Process
from bidisync.testing.simulation.world import World

PERIOD_S = 50.0
END, PAUSE = 0.45, 0.35
MOST_STEPS = 700
PAUSES_S = (4.0, 25.0, 70.0)


@attrs.define(eq=False)
class Workers:
    """The workers of one run, by their places; whoever dies is followed by another."""

    world: World
    number: int = 2
    living: dict[int, Process] = attrs.Factory(dict)
    passes: int = 0
    _lives: int = 0
    _over: bool = False

    def start(self, place: int) -> None:
        """A new process in this place, with a fate of its own."""
        if self._over:
            return
        world = self.world
        self._lives += 1
        apart_s = world.scenario.exercise.clocks_apart_s
        process = Process(f"w{place}.{self._lives}", skew_s=world.skew("skew.worker", apart_s))
        end = world.draw("end", END, 2 * MOST_STEPS)
        process.ends_at, process.politely = end // 2, end % 4 == 3
        pause = world.draw("pause", PAUSE, 3 * MOST_STEPS)
        process.pauses_at, process.pause_s = pause // 3, PAUSES_S[pause % 3]
        self.living[place] = process
        context = copy_context()
        context.run(PROCESS.set, process)
        process.main = world.loop.create_task(self._life(place, process), context=context)

    def ends(self, process: Process) -> None:
        """The fate of this process: killed, or told to end."""
        world = self.world
        place = next((place for place, living in self.living.items() if living is process), 0)
        if process.politely and process.main is not None:
            world.fault("P2", process.name)
            process.main.cancel()
        else:
            world.fault("P1", process.name)
            if process.unsaved_writes:
                world.fault("S1", process.name)
            world.loop.kill(process)
        world.loop.later(2.0 + 7.0 * (self._lives % 3), self.start, place)

    def pauses(self, process: Process) -> None:
        """The process stands still for a while."""
        if process.pause_s > self.world.scenario.lease_s:
            self.world.fault("P3", f"{process.name} for {process.pause_s:g} s")
        self.world.loop.park(process, process.pause_s)

    def end_all(self) -> None:
        """No more workers: those that live are killed."""
        self._over = True
        for process in self.living.values():
            self.world.loop.kill(process)

    def kill_all(self) -> None:
        """Kill everybody; they start again."""
        for process in list(self.living.values()):
            if process.alive:
                process.politely = False
                self.ends(process)

    async def _life(self, place: int, process: Process) -> None:
        try:
            async with self.world.scenario.open(self.world, process, self.world.seats(process)) as sweep:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._take_hints(sweep))
                    group.create_task(self._make_passes(place, sweep))
        except asyncio.CancelledError:
            raise
        except SyncError as error:
            self.world.told(error)
            self.world.loop.later(5.0, self.start, place)
        except BaseException as error:
            self.world.violated("C0", f"{process.name} ended by {names_of(error)}")
            self.world.loop.later(5.0, self.start, place)

    async def _take_hints(self, sweep: Sweep) -> None:
        while True:
            ref = await self.world.hints.next()
            try:
                await sweep.engine.sync(ref)
            except SyncError as error:
                self.world.told(error)
                await asyncio.sleep(3.0)

    async def _make_passes(self, place: int, sweep: Sweep) -> None:
        await asyncio.sleep(1.0 + place * PERIOD_S / self.number)
        while True:
            self.passes += 1
            try:
                first = self.passes == 1 if self.world.scenario.exercise.polls else self.passes % 3 == 1
                await sweep.run(everything=first, rounds=2)
            except SyncError as error:
                self.world.told(error)
            await asyncio.sleep(PERIOD_S)


def names_of(error: BaseException) -> str:
    """An error and where it came from; never its message."""
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(names_of(inner) for inner in error.exceptions)
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' > '.join(frames[-5:])}"
