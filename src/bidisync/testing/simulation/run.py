"""One run from beginning to end: a seed or a tape in, what happened and what it was worth out."""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import attrs

from bidisync.errors import SyncError
from bidisync.model import LinkState, Side
from bidisync.testing.simulation.choices import Choices, Tape
from bidisync.testing.simulation.loop import PROCESS, Process, SimLoop, Stuck
from bidisync.testing.simulation.network import Ask
from bidisync.testing.simulation.oracle import Oracle, Verdict
from bidisync.testing.simulation.people import BUSY_S
from bidisync.testing.simulation.workers import Workers, names_of
from bidisync.testing.simulation.world import POISONED, Scenario, World

BURNING_S = 200.0
RESTS = 8
CALM_ONE_IN = 8
"""One run of so many is without faults: the laws of quiet and economy are stricter there."""


@attrs.frozen
class Run:
    """What became of one run."""

    seed: int
    tape: Tape
    violations: tuple[str, ...]
    faults: Counter[str]
    verdict: Verdict
    digest: str
    steps: int
    process_steps: int
    virtual_s: float
    requests: int
    escaped: Counter[str]
    timeline: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether every law holds."""
        return not self.violations


@attrs.frozen
class Orders:
    """What a run is told beside its seed: a tape to play, points to kill at, faults at chosen requests."""

    tape: Tape | None = None
    faulty: bool | None = None
    timeline: bool = False
    kill_at: frozenset[int] = frozenset()
    ordered: Callable[[str, Ask[Any], tuple[str, ...], int], int] | None = None


def simulate(scenario: Scenario, seed: int = 0, orders: Orders = Orders()) -> Run:
    """Run the scenario once; the same seed or the same tape gives the same run, step by step."""
    choices = Choices(seed, orders.tape)
    loop = SimLoop(choices)
    faulty = seed % CALM_ONE_IN != 0 if orders.faulty is None else orders.faulty
    world = World(scenario, choices, loop, faulty=faulty, timeline=orders.timeline)
    world.ordered = orders.ordered
    shared = random.getstate()
    random.seed(seed)  # of libraries that ask nobody for their chance
    collecting = gc.isenabled()
    gc.disable()  # what a killed process held must not be tidied up while others live
    verdict = Verdict()
    try:
        try:
            verdict = loop.run_until_complete(_days(world, orders))
        except Stuck as stuck:
            world.violated("C11", str(stuck))
        except Exception as error:  # whatever ends the last worker is a finding
            world.violated("C0", f"the last worker ended by {names_of(error)}")
        return _result(world, seed, verdict)
    finally:
        loop.bury()
        random.setstate(shared)
        if collecting:
            gc.enable()


def _result(world: World, seed: int, verdict: Verdict) -> Run:
    loop = world.loop
    return Run(
        seed,
        dict(world.choices.used),
        tuple(world.violations),
        world.faults,
        verdict,
        loop.digest,
        loop.steps,
        loop.process_steps,
        loop.time(),
        sum(world.remote(side).network.requests for side in Side),
        world.escaped,
        tuple(world.lines),
    )


async def _days(world: World, orders: Orders) -> Verdict:
    """People and faults for some minutes; then quiet, and a last worker that finds out how things stand."""
    workers, loop = Workers(world), world.loop
    loop.doom.end, loop.doom.pause, loop.doom.kill_at = workers.ends, workers.pauses, orders.kill_at
    world.end_workers = workers.kill_all
    world.people.settle_in()
    world.people.plan()
    for drill in world.scenario.exercise.drills:
        drill(world)
    _plan_misfortune(world)
    for place in range(workers.number):
        workers.start(place)
    await asyncio.sleep(BURNING_S)
    world.choices.calm = True
    loop.doom.kill_at = frozenset()
    workers.end_all()
    world.tell("world", "faults stop")
    await asyncio.sleep(world.scenario.timeout_s + 2 * world.scenario.lease_s)
    last = Process("last")
    context = copy_context()
    context.run(PROCESS.set, last)
    await loop.create_task(_rest(world, last), context=context)
    return await Oracle(world).judge()


def _plan_misfortune(world: World) -> None:
    """What befalls more than one: a record that kills its writers, an old state restored."""
    poisoned = world.draw("poison", 0.12, 30)
    if poisoned:

        def choose() -> None:
            side = list(Side)[poisoned % 2]
            ids = list(world.remote(side).records())
            world.poison += [ids[poisoned % len(ids)]] * POISONED if ids else []

        world.loop.later(5.0 + 2.0 * poisoned, choose)
    restored = world.draw("restore", 0.05, 20)
    if restored:
        world.loop.later(20.0 + 4.0 * restored, world.store.back_up)
        world.loop.later(60.0 + 6.0 * restored, world.restore)


async def _rest(world: World, process: Process) -> None:
    """Complete passes until nothing is due; then one more, which must write nothing."""
    everything = not world.scenario.exercise.polls
    async with world.scenario.open(world, process, world.seats(process)) as sweep:
        for number in range(RESTS):
            before = len(world.applied)
            try:
                await sweep.run(everything=everything, rounds=3)
            except SyncError as error:
                world.told(error)
            due = [link.attempts.next_at for link in await world.store.inner.unsettled()]
            links = [link async for group in world.store.inner.links() for link in group]
            open_until = [link.intent.not_before for link in links if link.intent and not link.missing]
            if not due and not open_until:
                if number and len(world.applied) == before:
                    break
                continue
            ahead = max([*due, *open_until]) - world.seats(process).clock.now()
            await asyncio.sleep(max(5.0, ahead + 1.0))
        before, looked = len(world.applied), _looks(world)
        try:
            await sweep.run(everything=everything, rounds=1)
        except SyncError as error:
            world.violated("C7", f"the last pass failed: {type(error).__name__}")
        states, watched = await world.store.inner.count(), await world.store.inner.watched()
        at_rest = set(states) == {LinkState.IN_SYNC.value} and not watched
        if at_rest and not world.scenario.exercise.unlisted and _looks(world) > looked:
            world.violated("C7", f"a pass over records at rest read {_looks(world) - looked} of them one by one")
        if len(world.applied) > before:
            told = ", ".join(f"{a.verb.value} {a.side.value} {a.id}" for a in world.applied[before:])
            world.violated("C5", f"a pass over records at rest wrote: {told}")


def _looks(world: World) -> int:
    return sum(world.remote(side).network.looks for side in Side)


assert BUSY_S < BURNING_S
