"""Two stores of equal records, some of them edited on both sides: one run must bring them into step.

    python3 dev bench pair [NUMBER …] [--peers]

Prints CPU seconds of the whole run as ratios to what a competent engineer writes by hand for
the same pair, how they grow with the number of records, and the memory that the run needs
above that of the stores. Everything is on: journal, intents, the chain of the log, policies,
guards; the state is an SQLite file. Each run is a process of its own, and its result is
checked record by record. ``BIDISYNC_BENCH_STATES`` names a folder that keeps the states after
the first contact for the next time.

With ``--peers`` vdirsyncer syncs the same pair, by its own function, in a virtual environment that
is made for it once (below ``.dev``; this needs a network or what pip is set up with). It moves whole
records and merges no fields, so that its work is easier where both sides edited one: the left one wins
whole. What that loses is counted as wrong, and told apart from anything else that is (`pairs/by_vdirsyncer.py`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pairs import environment
from pairs.measured import DIGESTS, FEED, OURS, OURS_FEED, PEER, TOKENS

HERE = Path(__file__).parent
SIZES = (1_000, 10_000, 100_000)
PERCENTS = (0, 1, 10)
BASELINE = {OURS: TOKENS, OURS_FEED: FEED, PEER: TOKENS}
TOOLS = (FEED, TOKENS, DIGESTS, OURS_FEED, OURS)

Results = dict[tuple[str, int, int], dict[str, float]]


def measure(tool: str, number: int, percent: int, folder: Path) -> dict[str, float]:
    """The measurement, made in a process of its own."""
    program = [sys.executable, "-m", "pairs.measured", tool]
    if tool == PEER:
        program = [environment.python(), "-m", "pairs.by_vdirsyncer"]
    done = subprocess.run(  # noqa: S603
        [*program, str(number), str(number * percent // 100), str(folder)],
        cwd=HERE,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def table(results: Results, sizes: list[int], tools: Iterable[str]) -> None:
    """One line for each tool and size, as Markdown."""
    print("| | records | no-op | 1 % | 10 % | own peak MiB | result |")
    print("|---|---|---|---|---|---|---|")
    for number in sizes:
        for tool in tools:
            found = [results[tool, number, percent] for percent in PERCENTS]
            cells = [cell(results, tool, number, percent) for percent in PERCENTS]
            memory = max(one["own_mib"] for one in found)
            print(f"| {tool} | {number:,} | {' | '.join(cells)} | {memory:.0f} | {verdict(found)} |")


def verdict(found: list[dict[str, float]]) -> str:
    """Whether the results of all rates are right, and what is wrong with them."""
    wrong, unmerged = (int(sum(one[name] for one in found)) for name in ("wrong", "unmerged"))
    return f"wrong: {wrong:,}, of which {unmerged:,} lack only an edit made on the right" if wrong else "right"


def cell(results: Results, tool: str, number: int, percent: int) -> str:
    """CPU seconds, and for ours the ratio to the baseline of the same run."""
    took = results[tool, number, percent]["cpu_s"]
    if tool not in BASELINE:
        return f"{took:.4f} s"
    return f"{took:.4f} s ({took / results[BASELINE[tool], number, percent]['cpu_s']:.1f} x)"


def growth(results: Results, sizes: list[int], tools: Iterable[str]) -> None:
    """How CPU grows from the smallest to the largest size: 1.0 is in proportion."""
    small, large = sizes[0], sizes[-1]
    for tool in tools:
        exponents = [
            math.log(results[tool, large, p]["cpu_s"] / results[tool, small, p]["cpu_s"]) / math.log(large / small)
            for p in PERCENTS
        ]
        print(f"growth {small:,} to {large:,}, {tool}: {', '.join(f'{one:.2f}' for one in exponents)} (0, 1, 10 %)")


def beside(results: Results, sizes: list[int]) -> None:
    """How many times the CPU of ours the peer takes."""
    for number in sizes:
        ratios = [results[PEER, number, p]["cpu_s"] / results[OURS, number, p]["cpu_s"] for p in PERCENTS]
        print(f"{number:,} records, CPU of {PEER} / {OURS}: {', '.join(f'{one:.2f}' for one in ratios)} (0, 1, 10 %)")


def main(sizes: list[int], peers: bool) -> int:
    """Measure and print; 1 if a result is wrong, but for what a peer can't merge."""
    tools = (*TOOLS, PEER) if peers else TOOLS
    results: Results = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(os.environ.get("BIDISYNC_BENCH_STATES", made)).resolve()
        for number in sizes:
            for tool in tools:
                for percent in PERCENTS:
                    found = results[tool, number, percent] = measure(tool, number, percent, folder)
                    print(f"# {tool}, {number:,}, {percent} %: {found}", file=sys.stderr, flush=True)
    table(results, sizes, tools)
    if len(sizes) > 1:
        growth(results, sizes, tools)
    if peers:
        beside(results, sizes)
    return int(any(one["wrong"] > (tool == PEER) * one["unmerged"] for (tool, *_), one in results.items()))


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("sizes", nargs="*", type=int, metavar="NUMBER", help="how many records")
    options.add_argument("--peers", action="store_true", help="also measure vdirsyncer, which is installed for it")
    asked = options.parse_args()
    sys.exit(main(asked.sizes or list(SIZES), asked.peers))
