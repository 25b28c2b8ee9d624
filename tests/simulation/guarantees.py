"""Write ``docs/guarantees.md``: what held in simulated runs, by what the remotes can do.

``python3 dev guarantees [SCHEDULES]`` runs so many seeds of every pair, one after the other.
"""

from __future__ import annotations

import datetime
import logging
import sys
from collections import Counter
from pathlib import Path

from bidisync.testing.simulation.batch import Batch, run_seeds
from bidisync.testing.simulation.pairs import PAIRS

PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"
SCHEDULES = 300

REMOTES = {
    "pair": "conditional writes **enforced**, creates can be **searched**, **notes** on the left, **complete** lists",
    "noted": "both sides keep notes",
    "forgetful": "**no notes** on either side",
    "unsearchable": "a create **can't be searched** on the right: it is sent once, then a person is asked",
    "partial": "**partial lists** on both sides: a third of the records is never in them",
    "barely-checked": "the right side **checks** versions, not in one step with the write",
    "unconditional": "conditional writes **ignored** on the right",
    "unconditional-on-both": "conditional writes **ignored** on both sides",
    "whole": "conditional writes ignored on the right, which **replaces whole records**; its rows are poorer",
    "unversioned": "**no versions** and conditional writes ignored on both sides",
    "guarded": "as the first; **deletions are propagated**, one a day unasked; sides that look empty, mass deletions",
    "asking": "as the first; a field **needs approvals**, and automations of both sides quarrel about another",
}
GUARANTEES = {
    "no edit is lost": ("C2",),
    "both sides become equal, or a person is asked": ("C0", "C1"),
    "nobody is doubled": ("C3",),
    "who was deleted stays deleted": ("C4",),
    "quiet after rest, no loop": ("C5", "C6", "C7", "C8"),
    "every write stands in the journal": ("C9",),
    "mass effects and deletions are held": ("C10",),
    "no conflict is made up": ("C13",),
    "records show how they stand": ("C11",),
    "no foreign lease is released, no value told": ("C12", "C15"),
}
BOUNDS = """
**Edits lost in the window.** Without a conditional write an edit that falls between our read and our
write is overwritten, and nobody can tell. The rate is per edit, in a world where one write in twenty
is met by an edit in just that moment, which is far more often than in an office. Where versions are
checked but not in one step with the write, one in ten of those falls between the two.

**Records that no list shows.** Where a list leaves records out, a new one that no hint names either is
not found; those are counted. Records that are linked are looked at by id, so what happens to them is seen.

**An old state restored.** Where neither side keeps notes, or the restore came before they were written, a record
that came after the backup is a stranger to the restored index until the next complete pass; if somebody edits its
counterpart before that, it may be made twice.

**A write that arrives after its lease.** Where nothing refuses outdated writes, a late one also brings back
old notes: the record shows how it stood then, until it is written again. Where whole records are replaced,
such a write can make a value of ours look like somebody's edit, and a conflict of it.

**Clocks of several machines.** Workers that share a state compare times that others stored. All of this holds for
clocks that are up to `Limits.clocks_apart_s` apart, three seconds unless you say otherwise; NTP keeps them far
nearer. Beyond that an old answer may be taken for an edit, and two workers may write at once
([why, and where](decisions/0012-clocks-of-several-machines.md)).
"""


def cell(name: str, guarantee: str, batch: Batch) -> str:
    """What held, in a few words."""
    laws = GUARANTEES[guarantee]
    broken = sum(any(v.partition(":")[0] in laws for v in violations) for violations in batch.failed.values())
    if broken:
        return f"broken in {broken} of {batch.runs}"
    if guarantee == "no edit is lost" and batch.window_losses:
        return f"{batch.window_losses} of {batch.edits} edits ({100 * batch.window_losses / batch.edits:.2f} %)"
    if guarantee.startswith("both sides") and batch.unlisted:
        return f"holds; {batch.unlisted} new records never shown"
    return "holds"


def page(batches: dict[str, Batch], schedules: int) -> str:
    """The whole page."""
    numbers = {name: number for number, name in enumerate(REMOTES, 1)}
    total = Batch()
    for batch in batches.values():
        total.join(batch)
    lines = [
        "# What is guaranteed, and what by",
        "",
        "<!-- written by `python3 dev guarantees`: edit tests/simulation/guarantees.py instead -->",
        "",
        f"Measured on {datetime.datetime.now(datetime.UTC).date()}: seeds 0 to {schedules - 1} of each of"
        f" {len(REMOTES)} pairs of remotes in memory, {total.runs} schedules with {total.edits} edits by people and"
        f" {sum(total.faults.values())} faults ([the simulation](simulation.md)). *Holds* means in every one of"
        " these schedules. It is what was measured, not a proof.",
        "",
        "| | the remotes |",
        "|---|---|",
        *(f"| {numbers[name]} | {what} |" for name, what in REMOTES.items()),
        "",
        "| guarantee | " + " | ".join(str(number) for number in numbers.values()) + " |",
        "|---" * (len(numbers) + 1) + "|",
    ]
    for guarantee in GUARANTEES:
        cells = (cell(name, guarantee, batches[name]) for name in REMOTES)
        lines.append(f"| {guarantee} | " + " | ".join(cells) + " |")
    states = Counter[str]()
    for batch in batches.values():
        states += batch.states
    lines += [
        "",
        "Where a person is asked, the record stands in a state of its own: in all runs together "
        + ", ".join(f"{number} {name}" for name, number in sorted(states.items()))
        + ".",
        "",
        "## Where the bounds come from",
        BOUNDS,
        "What a remote of yours can do is measured by `certify` ([what a remote guarantees](certify.md)). EspoCRM",
        "is number 6; Advoware counts as number 9 until somebody certifies it.",
        "",
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run everything and write the page; the violations are printed."""
    logging.getLogger("stamina").disabled = True
    schedules = int(arguments[0]) if arguments else SCHEDULES
    batches = {}
    for name in REMOTES:
        batch = batches[name] = run_seeds(PAIRS[name], range(schedules))
        print(
            f"{name}: {batch.runs} schedules, {batch.cpu_s:.0f} s; edits overwritten: {batch.window_losses}", flush=True
        )
        for seed, violations in sorted(batch.failed.items()):
            print(f"  seed {seed}: {violations[0]}")
    PAGE.write_text(page(batches, schedules), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
