"""Crash points: ten scripts, each ended at every point of waiting, and with every fault at every request.

A script is a run without chance, of a seed whose people are busy. At each step of a worker
it is killed once; at each request a worker makes, one fault happens once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

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

    def __call__(self, remote: str, ask: Ask, common: tuple[str, ...], drawn: int) -> int:
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


def points(scenario: Scenario, script: int, *, every: int = 1) -> Iterator[Point]:
    """The points of one script; of each kind every so many."""
    counted = [0]

    def count(remote: str, ask: Ask, common: tuple[str, ...], drawn: int) -> int:
        counted[0] += 1
        return 0

    plain = simulate(scenario, script, Orders(faulty=False, ordered=count))
    numbers: Callable[[int], range] = lambda most: range(1 + script % every, most + 1, every)  # noqa: E731
    for number in numbers(plain.process_steps):
        yield Point(script, "kill", number)
    for what in FAULTS:
        for number in numbers(counted[0]):
            yield Point(script, what, number)


def sweep(scenario: Scenario, *, every: int = 1, scripts: tuple[int, ...] = SCRIPTS) -> tuple[int, list[str]]:
    """How many points were tried, and what was violated at which."""
    tried, found = 0, []
    for script in scripts:
        for point in points(scenario, script, every=every):
            tried += 1
            run = point.run(scenario)
            found += [f"script {script}, {point.what} at {point.number}: {violation}" for violation in run.violations]
    return tried, found
