"""What the simulation found in the shipped engine: each seed violates a law without its fix."""

from __future__ import annotations

import pytest

from bidisync.testing.simulation import simulate
from bidisync.testing.simulation.pairs import guarded, pair, partial

FOUND = {
    "a canary from before the side looked empty vouched for it": (guarded, 2),
    "who was missing while a side looked empty was a stranger afterwards, and made again": (guarded, 61),
    "two hints within a second counted as two passes, and ended the grace": (guarded, 63),
    "two workers, each with one deletion that was the last allowed, carried out both": (guarded, 69),
    "a link whose record vanished kept the intent of its notes": (pair, 652),
    "of a link that no list shows only one record was looked at": (partial, 108),
    "notes that leave the counterpart out wiped it in memory, and its create was sent again": (pair, 279),
}
"""Each of these seeds fails again when its fix alone is taken back."""


@pytest.mark.parametrize(("make", "seed"), FOUND.values(), ids=FOUND)
def test_a_seed_that_once_broke_a_law_holds(make, seed):
    run = simulate(make(), seed)
    assert run.good, run.violations
