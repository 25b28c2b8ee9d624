"""A whole installation in one seeded loop of virtual time: workers, remotes, people, and faults."""

from bidisync.testing.simulation.choices import Choices, Tape, parse_tape, tape_text
from bidisync.testing.simulation.faults import FAULTS
from bidisync.testing.simulation.loop import SimLoop, Stuck
from bidisync.testing.simulation.plain import Pair
from bidisync.testing.simulation.run import Orders, Run, simulate
from bidisync.testing.simulation.world import Remote, Scenario, World

__all__ = [
    "FAULTS",
    "Choices",
    "Orders",
    "Pair",
    "Remote",
    "Run",
    "Scenario",
    "SimLoop",
    "Stuck",
    "Tape",
    "World",
    "parse_tape",
    "simulate",
    "tape_text",
]
