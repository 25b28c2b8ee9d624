"""Whether the decision log still says what was written, at a glance: its newest lines, within a second or two.

``history --verify`` goes over all of it and keeps the head that it found; what came after that
is looked at here, or the whole log where it is short.
"""

from __future__ import annotations

import attrs

from bidisync.chain import Head, Verdict
from bidisync.clock import utc_text
from bidisync.replay import Repeat, replay
from bidisync.schema import Policy
from bidisync_espo_advo.app import Store

NEWEST_LINES = 10_000
NEWEST_ENTRIES = 200
_HEAD = "log:head"


@attrs.frozen
class Glance:
    """A look at the log: what was found, from which line on, and how many of the newest entries follow again."""

    at: float
    verdict: Verdict
    after: int
    same: int
    other: tuple[int, ...]

    @property
    def holds(self) -> bool:
        """Whether every line that was looked at is as it was written, and its decisions follow."""
        return self.verdict.holds and not self.other

    @property
    def says(self) -> str:
        """The same in a sentence, with what to do about it."""
        if self.holds and not self.verdict.lines:
            return "there is no line yet: nothing was decided"
        lines = f"the newest {self.verdict.lines} lines" if self.after else f"all {self.verdict.lines} lines"
        if not self.verdict.holds:
            more = f", and {len(self.verdict.breaks) - 1} more" if len(self.verdict.breaks) > 1 else ""
            return f"{self.verdict.breaks[0]}{more}; espo-advo history --verify says more"
        if self.other:
            return f"{len(self.other)} entries come out differently today; espo-advo history --replay shows them"
        again = f"; {self.same} of the newest entries were decided again, and came out the same" if self.same else ""
        return f"{lines} are as they were written{again}"

    def document(self) -> dict[str, object]:
        """The same for a program."""
        return {
            "at": utc_text(self.at),
            "holds": self.holds,
            "lines": self.verdict.lines,
            "whole": not self.after,
            "broken": len(self.verdict.breaks),
            "same": self.same,
            "differ": len(self.other),
        }


async def glance(store: Store, policy: Policy, now: float) -> Glance:
    """Look at the newest lines, and decide the newest entries again."""
    verdict = await store.verify(await kept_head(store), newest=NEWEST_LINES)
    same, other = 0, []
    for number, entry in await store.history(limit=NEWEST_ENTRIES):
        repeat = replay(policy, entry).repeat
        same += repeat is Repeat.SAME
        other += [number] if repeat is Repeat.OTHER else []
    return Glance(now, verdict, max(0, verdict.head.number - verdict.lines), same, tuple(other))


async def kept_head(store: Store) -> Head | None:
    """Where the log ended when all of it was last found as it was written."""
    text = await store.get_mark(_HEAD)
    try:
        return None if text is None else Head.parse(text)
    except ValueError:  # somebody changed it: then the newest lines have to do
        return None


async def keep_head(store: Store, verdict: Verdict) -> None:
    """Remember where the log ended, if all of it holds."""
    if verdict.holds:
        await store.set_mark(_HEAD, str(verdict.head))
