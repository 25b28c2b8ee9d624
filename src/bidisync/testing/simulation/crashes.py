"""Crash points: ten scripts, each ended at every point of waiting, and with every fault at every request.

A script is a run without chance, of a seed whose people are busy. At each step of a worker
it is killed once; at each request a worker makes, one fault happens once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs

from bidisync.testing.simulation.network import Ask
from bidisync.testing.simulation.run import Orders, Run, simulate
from bidisync.testing.simulation.world import Scenario

SCRIPTS = tuple(range(1, 11))
LOST_REPLY, LATE, BUSY, BROKEN = "lost reply", "late apply", "429", "500"
FAULTS = {LOST_REPLY: "F2", LATE: "F3", BUSY: "F5", BROKEN: "F6"}


@attrs.define
class _Once:
    """The fault at the request of this number, where such a request can have it."""

    number: int
    fault: str
    seen: int = 0

    def __call__(self, remote: str, ask: Ask[Any], common: tuple[str, ...], drawn: int) -> int:
        self.seen += 1
        if self.seen != self.number:
            return 0
        if self.fault in common:
            return common.index(self.fault) + 1
        answers = [place for place, twist in enumerate(ask.twists) if twist.fault == self.fault]
        return len(common) + answers[0] + 1 if answers else 0


@attrs.frozen
class Point:
    """One place in one script, and what happens there."""

    script: int
    what: str
    number: int

    def run(self, scenario: Scenario) -> Run:
        """The script with this one thing going wrong."""
        if self.what == "kill":
            return simulate(scenario, self.script, Orders(faulty=False, kill_at=frozenset({self.number})))
        return simulate(scenario, self.script, Orders(faulty=False, ordered=_Once(self.number, FAULTS[self.what])))


def points(scenario: Scenario, script: int) -> Iterator[Point]:
    """The points of one script."""
    counted = [0]

    def count(remote: str, ask: Ask[Any], common: tuple[str, ...], drawn: int) -> int:
        counted[0] += 1
        return 0

    plain = simulate(scenario, script, Orders(faulty=False, ordered=count))
    for number in range(1, plain.process_steps + 1):
        yield Point(script, "kill", number)
    for what in FAULTS:
        for number in range(1, counted[0] + 1):
            yield Point(script, what, number)


@attrs.define
class Swept:
    """What a sweep came to: of each script, how many points of how many were tried."""

    tried: dict[int, Counter[str]] = attrs.Factory(dict)
    of: dict[int, Counter[str]] = attrs.Factory(dict)
    found: list[str] = attrs.Factory(list)

    @property
    def number(self) -> int:
        """How many points were tried."""
        return sum(tried.total() for tried in self.tried.values())

    def report(self) -> str:
        """A table for people, a line for each script."""
        whats = ("kill", *FAULTS)
        lines = [f"| script | {' | '.join(whats)} |", "|---" * (len(whats) + 1) + "|"]
        for script, of in self.of.items():
            cells = (f"{self.tried[script][what]} of {of[what]}" for what in whats)
            lines.append(f"| {script} | {' | '.join(cells)} |")
        every = sum(of.total() for of in self.of.values())
        lines.append(f"\n{self.number} of {every} points of {len(self.of)} scripts, {len(self.found)} violations")
        return "\n".join([*lines, *self.found])


def sweep(
    scenario: Scenario, *, every: int = 1, scripts: tuple[int, ...] = SCRIPTS, until: float | None = None
) -> Swept:
    """Try the points, of each kind every so many; no further one is tried after ``until``."""
    swept = Swept()
    for script in scripts:
        every_point = list(points(scenario, script))
        swept.of[script] = Counter(point.what for point in every_point)
        swept.tried[script] = Counter()
        for point in every_point:
            if (point.number - 1 - script) % every or (until is not None and time.monotonic() >= until):
                continue
            swept.tried[script][point.what] += 1
            run = point.run(scenario)
            swept.found += [
                f"script {script}, {point.what} at {point.number}: {violation}" for violation in run.violations
            ]
    return swept
