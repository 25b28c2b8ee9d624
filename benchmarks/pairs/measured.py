"""One measurement in a process of its own: a tool, a number of records, how many of them changed.

    python -m pairs.measured TOOL NUMBER CHANGED FOLDER

Prints one JSON line. What is measured is one sync run: its CPU (user and system, of all
threads), how much memory it needed above that of the stores, and what came out wrong.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import shutil
import sys
import timeit
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

from pairs import by_hand
from pairs.workload import NAMES, Followed, Table, Workload

from bidisync import OnDelete, Pair, open_pair, prefer_left

FEED, TOKENS, DIGESTS = "by hand, change feed", "by hand, tokens compared", "by hand, digests compared"
OURS, OURS_FEED = "bidisync, tokens compared", "bidisync, change feed"
PEER = "vdirsyncer 0.21, tokens compared"
KINDS: dict[str, type[Table]] = {FEED: Followed, OURS_FEED: Followed}
Begin = Callable[[str, Workload, Path], None]
Runs = Callable[[str, Workload, Path], Callable[[], object]]


def pair_of(work: Workload, state: Path) -> AbstractAsyncContextManager[Pair]:
    """The pair as a user opens it: journal, intents, the chain of the log, policies, guards; state on disk."""
    return open_pair(
        work.left,
        work.right,
        fields=NAMES,
        strategy=prefer_left,
        match=("id",),
        on_delete=OnDelete.PROPAGATE,
        state=state,
    )


async def _ours(work: Workload, state: Path) -> None:
    async with pair_of(work, state) as pair:
        await pair.sync()


def runs(tool: str, work: Workload, state: Path) -> Callable[[], object]:
    """One run of the tool."""
    if tool in (OURS, OURS_FEED):
        return lambda: asyncio.run(_ours(work, state))
    if tool == FEED:
        assert isinstance(work.left, Followed)
        assert isinstance(work.right, Followed)
        left, right = work.left, work.right
        return lambda: by_hand.by_feed(state, left, right)
    mark = by_hand.token if tool == TOKENS else by_hand.digest
    return lambda: by_hand.whole(state, work.left, work.right, mark)


def begin(tool: str, work: Workload, state: Path) -> None:
    """The first run, which is not measured: both stores are equal, and that is remembered."""
    if tool in (OURS, OURS_FEED):
        asyncio.run(_ours(work, state))
    else:
        by_hand.first(state, work.left, work.right, by_hand.digest if tool == DIGESTS else by_hand.token)


def main(
    tool: str, number: int, changed: int, folder: Path, *, begin: Begin = begin, runs: Runs = runs
) -> dict[str, float]:
    """The measurement."""
    warm(tool, folder, begin, runs)
    work = Workload.of(number, KINDS.get(tool, Table))
    kept = folder / f"{tool.replace(' ', '-').replace(',', '')}-{number}.db"
    first_s = 0.0
    if not kept.exists():
        began = cpu()
        begin(tool, work, kept)
        first_s = cpu() - began
    state = folder / "run.db"
    for old in folder.glob("run.db*"):
        old.unlink()
    shutil.copy(kept, state)
    with state.open("rb+") as copied:
        os.fsync(copied.fileno())  # or the first commit of the run would wait for all of it
    work.edit(changed)
    run = runs(tool, work, state)
    gc.collect()
    memory = resident_again()
    began, clock = cpu(), timeit.default_timer()
    run()
    took, passed = cpu() - began, timeit.default_timer() - clock
    own = peak() - memory
    return {"cpu_s": took, "wall_s": passed, "own_mib": own, "first_s": first_s, **work.faults()}


def warm(tool: str, folder: Path, begin: Begin, runs: Runs) -> None:
    """A run over a few records, so that nothing is imported while it is measured."""
    work, state = Workload.of(100, KINDS.get(tool, Table)), folder / "warm.db"
    begin(tool, work, state)
    work.edit(10)
    runs(tool, work, state)()
    for file in folder.glob("warm.db*"):
        file.unlink()


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_again() -> float:
    """MiB in use now, with the peak set back to it where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """The most that was in use, in MiB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))))
