"""Thousands of schedules with people, faults and kills: the shipped engine and both shipped replicas.

``BIDISYNC_SCHEDULES`` and ``BIDISYNC_SIMULATION_S`` make it longer for a night.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

import pytest

from bidisync.testing.simulation import FAULTS, Choices, Orders, SimLoop, parse_tape, simulate, tape_text
from bidisync.testing.simulation.batch import run_many, told
from bidisync.testing.simulation.crashes import sweep
from bidisync.testing.simulation.pairs import asking, guarded, noted, pair, partial, unsearchable
from bidisync_espo_advo.testing import checked, unchecked
from command import environment

SCHEDULES = int(os.environ.get("BIDISYNC_SCHEDULES", "2000"))
SECONDS = float(os.environ.get("BIDISYNC_SIMULATION_S", "0")) or None
FIRST = int(os.environ.get("BIDISYNC_FIRST_SEED", "0"))
EVERY = int(os.environ.get("BIDISYNC_CRASH_EVERY", "230"))
CRASH_S = float(os.environ.get("BIDISYNC_CRASH_S", "0"))

DIGESTS = """
import logging
logging.getLogger("stamina").disabled = True
from bidisync.testing.simulation import simulate
from bidisync_espo_advo.testing import checked, unchecked
for make in (checked, unchecked):
    scenario = make()
    for seed in range({first}, {last}):
        run = simulate(scenario, seed)
        print(seed, run.digest, run.steps, len(run.violations))
"""


def holds(make, schedules):
    """The laws hold in so many schedules, whose numbers are printed."""
    batch = run_many(make, FIRST, schedules, seconds=SECONDS)
    print(f"{make.__name__}: {batch.report()}")
    failing = sorted(batch.failed)
    assert not failing, "\n".join([str(batch.failed), told(make, failing[0])])
    if SECONDS is None:
        assert batch.runs == schedules
    return batch


def test_no_law_is_broken_in_two_thousand_schedules():
    """Both shipped replicas in three of ten, memory in the others: all faults happen."""
    product = holds(checked, max(1, 3 * SCHEDULES // 10))
    assert product.window_losses == 0, "both systems refuse outdated writes: no edit is lost"
    batch = holds(pair, SCHEDULES // 2)
    assert batch.window_losses == 0
    for special in (guarded, asking):
        batch.join(holds(special, max(1, SCHEDULES // 10)))
    batch.join(product)
    print(f"{batch.runs} schedules, {product.runs} of them with both shipped replicas; faults:")
    print(" ".join(f"{fault}={batch.faults[fault]}" for fault in FAULTS))
    assert not batch.unused(), "every fault happened"
    assert batch.replayed > batch.runs * 8, "what was decided is decided again, thousands of times"


@pytest.mark.parametrize("make", [unsearchable, noted, partial], ids=lambda make: make.__name__)
def test_laws_hold_with_poorer_remotes(make):
    holds(make, max(1, SCHEDULES // 40))


def test_without_conditional_writes_the_edits_lost_in_the_window_are_counted_and_no_others():
    batch = run_many(unchecked, FIRST, max(1, SCHEDULES // 20), seconds=SECONDS)
    print(f"{batch.report()}")
    failing = sorted(batch.failed)
    assert not failing, "\n".join([str(batch.failed), told(unchecked, failing[0])])
    assert batch.window_losses < 0.05 * batch.edits


def test_the_same_seeds_give_the_same_runs_in_every_process_whatever_its_hash_seed():
    last = FIRST + max(6, SCHEDULES // 200)
    code = DIGESTS.format(first=FIRST, last=last)
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**environment(), "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "12345")
    }
    assert len(printed) == 1


def test_the_tasks_of_a_group_end_in_one_order_wherever_they_lie_in_memory():
    kept = []
    first, *others = [order_of_an_end(kept) for _ in range(5)]
    assert sorted(first) == list(range(40))
    assert others == [first] * 4


def order_of_an_end(kept):
    """Which of forty tasks of a cancelled group ends when; those of the runs before lie about in memory."""
    ended = []

    async def waits(number):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    async def group():
        async with asyncio.TaskGroup() as tasks:
            for number in range(40):
                tasks.create_task(waits(number))

    async def cancelled():
        task = asyncio.get_running_loop().create_task(group())
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.wait([task])

    loop = SimLoop(Choices())
    loop.run_until_complete(cancelled())
    kept.append(list(loop.tasks))
    loop.bury()
    return ended


def test_a_tape_plays_the_run_that_its_seed_gave():
    scenario = checked()
    first = simulate(scenario, 7)
    again = simulate(scenario, 7, Orders(tape=parse_tape(tape_text(first.tape))))
    assert (again.digest, again.tape, again.steps) == (first.digest, first.tape, first.steps)


def test_an_empty_tape_is_a_quiet_day():
    run = simulate(pair(), 1, Orders(tape={}))
    assert run.good
    assert not run.faults


def test_a_worker_may_die_and_requests_may_fail_at_any_point():
    until = time.monotonic() + CRASH_S if CRASH_S else None
    swept = sweep(checked(), every=EVERY, until=until)
    print(f"{swept.report()}")
    assert swept.number
    assert not swept.found


def test_a_failing_run_is_told_small_and_with_its_timeline(monkeypatch):
    from bidisync.testing.simulation import batch, oracle

    def no_gone(self):
        if self.world.faults["U3"]:
            self.world.violated("C10", "somebody deleted a record")

    monkeypatch.setattr(oracle.Oracle, "_nothing_deleted", no_gone)
    scenario = pair()
    seed = next(seed for seed in range(1, 60) if not simulate(scenario, seed).good)
    text = batch.told(pair, seed)
    head = next(line for line in text.splitlines() if line.startswith("tape of "))
    assert int(head.split()[2]) <= 15, head
    assert "deleted" in text
