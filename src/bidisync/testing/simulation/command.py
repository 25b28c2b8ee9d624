"""What ``python -m bidisync.testing.simulation`` and ``python -m bidisync_espo_advo.testing`` do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

from bidisync.testing.simulation.batch import MOST_TOLD, run_many, told
from bidisync.testing.simulation.world import Scenario


def command(scenarios: Mapping[str, Callable[[], Scenario]], arguments: Sequence[str] | None = None) -> int:
    """Simulate; 0 if every law held, 1 if not."""
    parser = argparse.ArgumentParser(description="Run schedules with people, faults and kills in virtual time.")
    parser.add_argument("--scenario", choices=[*scenarios], default=next(iter(scenarios)))
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--seconds", type=float, help="start no further schedule after so long")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--cores", type=int)
    parser.add_argument("--tell", type=int, metavar="SEED", help="one seed: shrunk, with its timeline")
    options = parser.parse_args(arguments)
    make = scenarios[options.scenario]
    if options.tell is not None:
        print(told(make, options.tell))
        return 0
    batch = run_many(make, options.first, options.schedules, seconds=options.seconds, cores=options.cores)
    print(f"{options.scenario}: seeds from {options.first}\n{batch.report()}", flush=True)
    for seed, violations in sorted(batch.failed.items()):
        print(f"seed {seed}: {'; '.join(violations)}")
    for seed in sorted(batch.failed)[:MOST_TOLD]:
        print(told(make, seed), flush=True)
    return 1 if batch.failed else 0


def exit_with(scenarios: Mapping[str, Callable[[], Scenario]]) -> None:
    """Run the command and end the process with its status."""
    sys.exit(command(scenarios))
