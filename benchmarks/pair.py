"""Two stores of equal records, some of them edited on both sides: one run must bring them into step.

    python3 dev bench pair [NUMBER …]

Prints CPU seconds of the whole run as ratios to what a competent engineer writes by hand for
the same pair, how they grow with the number of records, and the memory that the run needs
above that of the stores. Everything is on: journal, intents, the chain of the log, policies,
guards; the state is an SQLite file. Each run is a process of its own, and its result is
checked record by record. ``BIDISYNC_BENCH_STATES`` names a folder that keeps the states after
the first contact for the next time.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pairs.measured import DIGESTS, FEED, OURS, OURS_FEED, TOKENS

HERE = Path(__file__).parent
SIZES = (1_000, 10_000, 100_000)
PERCENTS = (0, 1, 10)
BASELINE = {OURS: TOKENS, OURS_FEED: FEED}
TOOLS = (FEED, TOKENS, DIGESTS, OURS_FEED, OURS)

Results = dict[tuple[str, int, int], dict[str, float]]


def measure(tool: str, number: int, percent: int, folder: Path) -> dict[str, float]:
    """The measurement, made in a process of its own."""
    arguments = [tool, str(number), str(number * percent // 100), str(folder)]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pairs.measured", *arguments],
        cwd=HERE,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def table(results: Results, sizes: list[int]) -> None:
    """One line for each tool and size, as Markdown."""
    print("| | records | no-op | 1 % | 10 % | own peak MiB | result |")
    print("|---|---|---|---|---|---|---|")
    for number in sizes:
        for tool in TOOLS:
            found = [results[tool, number, percent] for percent in PERCENTS]
            cells = [cell(results, tool, number, percent) for percent in PERCENTS]
            wrong = int(sum(one["wrong"] for one in found))
            memory = max(one["own_mib"] for one in found)
            result = f"{wrong} wrong" if wrong else "right"
            print(f"| {tool} | {number:,} | {' | '.join(cells)} | {memory:.0f} | {result} |")


def cell(results: Results, tool: str, number: int, percent: int) -> str:
    """CPU seconds, and for ours the ratio to the baseline of the same run."""
    took = results[tool, number, percent]["cpu_s"]
    if tool not in BASELINE:
        return f"{took:.4f} s"
    return f"{took:.4f} s ({took / results[BASELINE[tool], number, percent]['cpu_s']:.1f} x)"


def growth(results: Results, sizes: list[int]) -> None:
    """How CPU grows from the smallest to the largest size: 1.0 is in proportion."""
    small, large = sizes[0], sizes[-1]
    for tool in TOOLS:
        exponents = [
            math.log(results[tool, large, p]["cpu_s"] / results[tool, small, p]["cpu_s"]) / math.log(large / small)
            for p in PERCENTS
        ]
        print(f"growth {small:,} to {large:,}, {tool}: {', '.join(f'{one:.2f}' for one in exponents)} (0, 1, 10 %)")


def main(sizes: list[int]) -> int:
    """Measure and print; 1 if a result is wrong."""
    results: Results = {}
    with tempfile.TemporaryDirectory() as made:
        folder = os.environ.get("BIDISYNC_BENCH_STATES", made)
        for number in sizes:
            for tool in TOOLS:
                for percent in PERCENTS:
                    found = results[tool, number, percent] = measure(tool, number, percent, Path(folder))
                    print(f"# {tool}, {number:,}, {percent} %: {found}", file=sys.stderr, flush=True)
    table(results, sizes)
    if len(sizes) > 1:
        growth(results, sizes)
    return int(any(found["wrong"] for found in results.values()))


if __name__ == "__main__":
    sys.exit(main([int(number) for number in sys.argv[1:]] or list(SIZES)))
