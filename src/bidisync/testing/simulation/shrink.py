"""A failing run made small: as few draws as keep it failing."""

from __future__ import annotations

from collections.abc import Callable

from bidisync.testing.simulation.choices import Tape


def shrink(fails: Callable[[Tape], bool], tape: Tape, most_runs: int = 400) -> Tape:
    """The tape with draws left out, and then made lower, as long as it fails; at most so many runs."""
    runs, chunk = 0, max(1, len(tape) // 2)

    def still(candidate: Tape) -> bool:
        nonlocal runs
        runs += 1
        return fails(candidate)

    while runs < most_runs:
        place, progress = 0, False
        while place < len(tape) and runs < most_runs:
            keys = sorted(tape)
            candidate = {key: tape[key] for key in keys[:place] + keys[place + chunk :]}
            if still(candidate):
                tape, progress = candidate, True
            else:
                place += chunk
        if chunk == 1 and not progress:
            break
        chunk = max(1, chunk // 2)
    return tape
