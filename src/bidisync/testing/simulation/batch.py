"""Many runs, on all cores, added up; and a failing one told so that a person can follow it."""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import attrs

from bidisync.testing.simulation.choices import Tape, tape_text
from bidisync.testing.simulation.faults import FAULTS
from bidisync.testing.simulation.run import Orders, Run, simulate
from bidisync.testing.simulation.shrink import shrink
from bidisync.testing.simulation.world import Scenario

PORTION = 20
MOST_TOLD = 3

MakeScenario = Callable[[], Scenario]


@attrs.define
class Batch:
    """What many runs came to."""

    runs: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    steps: int = 0
    requests: int = 0
    virtual_s: float = 0.0
    edits: int = 0
    writes: int = 0
    window_losses: int = 0
    unlisted: int = 0
    settled: int = 0
    spurious: int = 0
    replayed: int = 0
    faults: Counter[str] = attrs.Factory(Counter)
    states: Counter[str] = attrs.Factory(Counter)
    escaped: Counter[str] = attrs.Factory(Counter)
    failed: dict[int, tuple[str, ...]] = attrs.Factory(dict)

    def add(self, run: Run) -> None:
        """Count a run."""
        self.runs += 1
        self.steps += run.steps
        self.requests += run.requests
        self.virtual_s += run.virtual_s
        self.edits += run.verdict.edits
        self.writes += run.verdict.writes
        self.window_losses += run.verdict.window_losses
        self.unlisted += run.verdict.unlisted
        self.settled += run.verdict.settled
        self.spurious += run.verdict.spurious
        self.replayed += run.verdict.replayed
        self.faults += run.faults
        self.states += run.verdict.states
        self.escaped += run.escaped
        if not run.good:
            self.failed[run.seed] = run.violations

    def join(self, other: Batch) -> None:
        """Add another batch, made at the same time."""
        for field in (
            "runs",
            "cpu_s",
            "steps",
            "requests",
            "virtual_s",
            "edits",
            "writes",
            "window_losses",
            "unlisted",
            "replayed",
        ):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        self.settled, self.spurious = self.settled + other.settled, self.spurious + other.spurious
        self.faults += other.faults
        self.states += other.states
        self.escaped += other.escaped
        self.failed |= other.failed

    def unused(self, but: Iterable[str] = ()) -> list[str]:
        """Faults that never happened."""
        return [fault for fault in FAULTS if not self.faults[fault] and fault not in but]

    def report(self) -> str:
        """Everything, for people."""
        per_core, edits = self.runs / max(self.cpu_s, 1e-9), max(1, self.edits)
        lines = [
            f"{self.runs} schedules in {self.wall_s:.1f} s, {per_core:.1f} per second and core; "
            f"{self.steps} steps, {self.requests} requests, {self.virtual_s / 3600:.1f} virtual hours",
            f"{self.edits} edits, {self.writes} data writes of ours; {self.settled} conflicts settled, "
            f"{self.spurious} of them between edits that knew each other; "
            f"{self.replayed} decisions made again from the journal",
            f"edits overwritten unseen: {self.window_losses} ({self.window_losses / edits:.2e} per edit)",
            "states: " + ", ".join(f"{name} {number}" for name, number in sorted(self.states.items())),
            "passes given up: " + (", ".join(f"{n} {c}" for n, c in sorted(self.escaped.items())) or "none"),
            "faults: " + " ".join(f"{fault}={self.faults[fault]}" for fault in FAULTS),
            f"violations: {len(self.failed)}",
        ]
        return "\n".join(lines)


def run_seeds(make: MakeScenario, seeds: Iterable[int], until: float | None = None) -> Batch:
    """Run these seeds here, one after the other; no further one starts after ``until``."""
    scenario, batch, began = make(), Batch(), time.process_time()
    gc.collect()
    gc.freeze()
    for number, seed in enumerate(seeds):
        if until is not None and time.monotonic() >= until:
            break
        batch.add(simulate(scenario, seed))
        if number % PORTION == PORTION - 1:
            gc.collect()
    gc.unfreeze()
    batch.cpu_s = time.process_time() - began
    return batch


def run_many(
    make: MakeScenario, first: int, schedules: int, *, seconds: float | None = None, cores: int | None = None
) -> Batch:
    """So many seeds from ``first`` on, on all cores; with ``seconds`` no more than fit into those."""
    began, cores = time.monotonic(), cores or os.cpu_count() or 1
    until = None if seconds is None else began + seconds
    total, portion = Batch(), max(1, min(100, schedules // cores or 1))
    starts = range(first, first + schedules, portion)
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        parts = [pool.submit(run_seeds, make, range(s, min(s + portion, first + schedules)), until) for s in starts]
        for part in parts:
            total.join(part.result())
    total.wall_s = time.monotonic() - began
    return total


def told(make: MakeScenario, seed: int) -> str:
    """A failing seed: its shrunk tape, and what happened, line by line."""
    scenario = make()
    run = simulate(scenario, seed)
    if run.good:
        return f"seed {seed}: every law holds"
    laws = {violation.partition(":")[0] for violation in run.violations}

    def fails(tape: Tape) -> bool:
        found = simulate(scenario, seed, Orders(tape=tape))
        return any(violation.partition(":")[0] in laws for violation in found.violations)

    tape = shrink(fails, run.tape)
    small = simulate(scenario, seed, Orders(tape=tape, timeline=True))
    head = [f"seed {seed}", *run.violations, f"tape of {len(tape)} draws: {tape_text(tape)}", *small.violations]
    return "\n".join([*head, *small.timeline])
