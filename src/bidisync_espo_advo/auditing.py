"""Whether the decision log is as it was written and its decisions follow: ``history --verify`` and ``--replay``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs

from bidisync.chain import Head, Verdict
from bidisync.clock import utc_text
from bidisync.errors import Misconfigured
from bidisync.model import Decision
from bidisync.replay import Repeat, Replayed, replay
from bidisync.state import Journaled
from bidisync_espo_advo.commands import Exit
from bidisync_espo_advo.explaining import HEAD, Mask, document, line
from bidisync_espo_advo.operating import link_named, opened_state
from bidisync_espo_advo.policy import party_policy
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.undoing import every_entry
from bidisync_espo_advo.verifying import keep_head

MOST_TOLD = 20
WORDS = {
    Repeat.SAME: "the same again",
    Repeat.OTHER: "not the same again",
    Repeat.OTHER_POLICY: "decided under another policy",
    Repeat.ERASED: "without values, forgotten or expired",
    Repeat.NO_GROUNDS: "from before grounds were kept",
    Repeat.NOTHING: "about no field",
}


async def verify_command(settings: Settings, *, head: str | None, report: Report) -> int:
    """Go over the whole log; with a head from before, also whether it has only grown since."""
    given = None if head is None else _parsed(head)
    async with opened_state(settings) as store:
        verdict = await store.verify(given)
        await keep_head(store, verdict)
    broken = [
        {"decision": one.number, "upto": max(one.number, one.upto), "what": one.what, "says": str(one)}
        for one in verdict.breaks
    ]
    result = {"holds": verdict.holds, "lines": verdict.lines, "erased": verdict.erased, "head": str(verdict.head)}
    report.show(f"Decision log: {_says(verdict)}", _rows(verdict), {**result, "breaks": broken})
    return Exit.IN_SYNC if verdict.holds else Exit.WAITING


def _parsed(head: str) -> Head:
    try:
        return Head.parse(head)
    except ValueError as error:
        raise Misconfigured(f"--head takes what an earlier history --verify printed: {error}") from error


def _says(verdict: Verdict) -> str:
    return "every line is as it was written" if verdict.holds else "it was tampered with, or damaged"


def _rows(verdict: Verdict) -> list[tuple[str, str]]:
    rows = [("lines", str(verdict.lines))]
    if verdict.erased:
        rows.append(("without values, forgotten or expired", str(verdict.erased)))
    rows += [("broken", str(one)) for one in verdict.breaks[:MOST_TOLD]]
    if len(verdict.breaks) > MOST_TOLD:
        rows.append(("broken", f"{len(verdict.breaks) - MOST_TOLD} more; --json lists them all"))
    if not verdict.holds:
        rows.append(("next", "compare with a backup of the state from before; keep this one as it is"))
    return [*rows, ("head, to be kept elsewhere", str(verdict.head))]


@attrs.frozen
class _Other:
    """An entry that comes out differently today."""

    number: int
    entry: Journaled
    again: Replayed

    def then(self) -> list[Decision]:
        """What was decided about the fields that differ."""
        return [d for d in self.entry.decisions if d.field in self.again.differs]

    def now(self) -> list[Decision]:
        """What is decided about them today."""
        return [d for d in self.again.now if d.field in self.again.differs]


async def replay_command(settings: Settings, *, name: str | None, shows: bool, report: Report) -> int:
    """Decide what the log remembers once more, of one link or of all, and compare."""
    policy = party_policy(settings)
    counts, decisions, others = Counter[Repeat](), 0, list[_Other]()
    async with opened_state(settings) as store:
        only = None if name is None else (await link_named(store, name)).id
        async for number, entry in every_entry(store):
            if only in (None, entry.link_id):
                again = replay(policy, entry)
                counts[again.repeat] += 1
                decisions += len(entry.decisions) if again.repeat is Repeat.SAME else 0
                others += [_Other(number, entry, again)] if again.repeat is Repeat.OTHER else []
    _tell(report, counts, decisions, others, Mask(shows))
    return Exit.WAITING if others else Exit.IN_SYNC


def _tell(report: Report, counts: Counter[Repeat], decisions: int, others: Sequence[_Other], mask: Mask) -> None:
    differ = [
        {
            "decision": one.number,
            "link": one.entry.link_id,
            "then": [document(decision, mask) for decision in one.then()],
            "now": [document(decision, mask) for decision in one.now()],
        }
        for one in others
    ]
    for one in () if report.as_json else others[:MOST_TOLD]:
        head = f"{one.number}  {utc_text(one.entry.at)} UTC  {one.entry.what} {one.entry.link_id}"
        report.table(f"{head}, as it was decided", HEAD, [line(decision, mask) for decision in one.then()])
        report.table(f"{head}, as it is decided today", HEAD, [line(decision, mask) for decision in one.now()])
    rows = [(f"entries {words}", str(counts[repeat])) for repeat, words in WORDS.items() if counts[repeat]]
    rows.append(("decisions that came out the same", str(decisions)))
    numbers = {repeat.value: counts[repeat] for repeat in Repeat}
    title = "Decided again: not everything follows" if others else "Decided again: everything follows"
    report.show(title, rows, {"entries": counts.total(), "decisions": decisions, **numbers, "differ": differ})
