"""What the simulation found in the shipped engine: each seed violates a law without its fix."""

from __future__ import annotations

import pytest

from bidisync.testing.simulation import simulate
from bidisync.testing.simulation.pairs import STRAINED, guarded, noted, pair, partial
from bidisync_espo_advo.testing import checked

FOUND = {
    "a canary from before the side looked empty vouched for it": (STRAINED["looks-empty"], 15),
    "who was missing while a side looked empty was a stranger afterwards, and made again": (guarded, 61),
    "two hints within a second counted as two passes, and ended the grace": (STRAINED["brought-back"], 15),
    "two workers, each with one deletion that was the last allowed, carried out both": (
        STRAINED["deletions-at-once"],
        27,
    ),
    "a link whose record vanished kept the intent of its notes": (pair, 652),
    "of a link that no list shows only one record was looked at": (partial, 108),
    "notes that leave the counterpart out wiped it in memory, and its create was sent again": (pair, 279),
    "a hint and one pass after it counted as two passes, and ended the grace": (STRAINED["new-scope"], 21),
    "notes whose answer was lost counted as not written, and showed a failure for ever": (noted, 2),
    "who was made and could not be read back was not known, and was made again": (checked, 7085),
    "a create that always failed forgot how often, and was tried for ever": (STRAINED["broken"], 1),
    "an old answer was none to a worker whose clock was ahead of the writer's": (checked, 1002139),
    "an old answer was none to a worker whose clock was ahead, in memory": (pair, 1102018),
    "a writer whose clock was far behind was overtaken, and its create came late": (STRAINED["clocks-apart"], 429),
    "an edit was undone by a worker whose clock was far ahead": (STRAINED["clocks-apart"], 1743),
    "who was put off before anybody knew who it was met nobody, and was made again": (STRAINED["clocks-apart"], 1924),
    "a worker that stopped at its sign-in made whom another one had made meanwhile": (checked, 2010500),
    "a row did not show that our own write had arrived, which was a conflict then": (checked, 2013610),
    "what was sent to a side that looked empty then was no longer known as our own": (guarded, 5130),
    "whose record vanished while its create was open was made from a row of before that": (guarded, 7817),
    "who was called a duplicate took what an open create had made, which tore them apart": (checked, 1006358),
}
"""Each of these seeds fails again when its fix alone is taken back."""

MISJUDGED = {
    "an old state brought somebody back who had been deleted since, and then a person entered them again": (
        checked,
        900761,
    ),
    "somebody known as a stranger alone was deleted, copied back from the other side, and entered again": (
        STRAINED["slow-unversioned"],
        5695,
    ),
}
"""In these the engine did right, and a law of the simulation asked for more than anybody can know."""


@pytest.mark.parametrize(("make", "seed"), [*FOUND.values(), *MISJUDGED.values()], ids=[*FOUND, *MISJUDGED])
def test_a_seed_that_once_broke_a_law_holds(make, seed):
    run = simulate(make(), seed)
    assert run.good, run.violations
