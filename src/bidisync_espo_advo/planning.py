"""Why, and what if: the commands ``explain`` and ``plan``, which write nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import attrs

from bidisync.clock import SystemClock, utc_text
from bidisync.errors import Misconfigured
from bidisync.guards import held_plans
from bidisync.model import ABSENT, Decision, LinkState, Side
from bidisync.outcome import Tally
from bidisync.replay import Repeat
from bidisync.state import Journaled
from bidisync_espo_advo.app import open_store, open_sync
from bidisync_espo_advo.applying import SavedPlan
from bidisync_espo_advo.commands import Exit, held_document, held_rows, read_ref
from bidisync_espo_advo.explaining import (
    HEAD,
    NAMES,
    Mask,
    because,
    ended,
    entry_document,
    explanation_document,
    grouped,
    hold_document,
    line,
    of_group,
)
from bidisync_espo_advo.fields import GROUPS
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.starting import sign_in

DOUBTS = (Repeat.OTHER, Repeat.OTHER_POLICY)


async def explain_command(settings: Settings, *, link: str, group: str | None, shows: bool, report: Report) -> int:
    """Why a record is as it is: every field now, and every decision taken before."""
    if group is not None and group not in GROUPS:
        raise Misconfigured(f"there is no field group {group!r}; known are {', '.join(GROUPS)}")
    mask = Mask(shows)
    ref = read_ref(link)
    settings.require_remotes()
    async with AsyncExitStack() as stack:
        store = await open_store(settings, create=False)
        stack.push_async_callback(store.close)
        sync = await stack.enter_async_context(open_sync(settings, store=store, rehearse=True))
        found = await sync.explain(ref)
    if found.link.revision == 0:
        raise Misconfigured(f"nothing is known of {ref}: it was never synced")
    if report.as_json:
        report.document(explanation_document(found, mask, group))
        return Exit.IN_SYNC
    state = f"{found.link.id}: {found.link.state.value}"
    report.say(f"{state} ({', '.join(str(other) for other in found.link.refs)})")
    if found.link.tombstone is not None:
        report.say(f"over since {utc_text(found.link.tombstone.at)} UTC: {ended(found.link)}")
    hold = hold_document(found.link)
    if hold is not None:
        report.say(f"retention hold since {hold['since']} UTC, until {hold['until'] or 'it is released'}")
    for name, decisions in grouped(found.now).items():
        if group in (None, name):
            report.table(f"now, {name}", HEAD, [line(decision, mask) for decision in decisions])
    for review in found.link.reviews:
        what = f" ({review.group}: {', '.join(review.fields)})" if review.fields else ""
        report.say(f"waits for a person: {review.kind.value}, {review.reason}{what}")
    for entry, again in zip(found.past, found.replayed, strict=True):
        for cut in of_group([entry], group):
            title = f"{utc_text(cut.at)} UTC, {cut.what} {because(cut)}".rstrip()
            doubt = f" (decided again today: {again.repeat.value})" if again.repeat in DOUBTS else ""
            report.table(f"{title}{doubt}", HEAD, [line(decision, mask) for decision in cut.decisions])
    return Exit.IN_SYNC


async def plan_command(
    settings: Settings,
    *,
    ids: tuple[str, ...],
    everything: bool,
    side: Side | None,
    shows: bool,
    report: Report,
    output: Path | None = None,
) -> int:
    """What a sync would do, record by record; writes nothing anywhere but, if asked, the plan itself."""
    refs = [read_ref(text) for text in ids]
    mask = Mask(shows)
    clock = SystemClock()
    async with open_sync(settings, rehearse=True) as sync:
        await sign_in(sync.remotes)
        began = clock.now()
        with report.progress("planning") as progress:
            if refs:
                tally = await sync.sweeps.named(refs, rounds=1, progress=progress)
            else:
                tally = await sync.sweep(everything=everything, side=side, rounds=1, progress=progress)
        entries = [
            entry
            for link_id in tally.outcomes
            for entry in await sync.engine.parts.store.journal(link_id)
            if entry.at >= began
        ]
        held = [held_document(plan) for plan in held_plans(await sync.engine.parts.store.waiting())]
        result = PlanResult.of(tally, entries, sync.calls, held)
        if output is not None:
            SavedPlan.of(entries, sync.engine.parts.chance.token()).save(output)
    if report.as_json:
        report.document({**attrs.asdict(result), "records": [entry_document(entry, mask) for entry in entries]})
    else:
        for entry in entries:
            head = f"{entry.what} {entry.link_id} {entry.reason}".rstrip()
            report.table(head, HEAD, [line(decision, mask) for decision in entry.decisions])
        report.show("Plan (nothing was written)", result.rows(), {})
        if output is not None:
            report.say(f"espo-advo apply {output} carries out exactly this")
    return Exit.WAITING if result.waiting else Exit.IN_SYNC


@attrs.frozen
class PlanResult:
    """The sums of a plan."""

    examined: int
    creates: Mapping[str, int]
    updates: Mapping[str, int]
    deletes: Mapping[str, int]
    adopts: int
    conflicts: Mapping[str, int]
    cleared: int
    waiting: Mapping[str, int]
    calls: Mapping[str, int]
    held_plans: Sequence[Mapping[str, object]] = ()

    @classmethod
    def of(
        cls,
        tally: Tally,
        entries: Sequence[Journaled],
        calls: Mapping[str, Mapping[str, int]],
        held: Sequence[Mapping[str, object]],
    ) -> PlanResult:
        """The sums over what would be done, and what would wait for a person."""
        decisions = [decision for entry in entries for decision in entry.decisions]
        states = tally.states()
        return cls(
            examined=tally.examined,
            creates={side.value: tally.created[side] for side in Side},
            updates={side.value: tally.updated[side] for side in Side},
            deletes={side.value: tally.deleted[side] for side in Side},
            adopts=tally.adopted,
            conflicts={"resolved": tally.settled, "open": states[LinkState.CONFLICT]},
            cleared=sum(map(_empties, decisions)),
            waiting={state.value: n for state, n in sorted(states.items(), key=str) if state.waits_for_a_person},
            calls={
                "reads": sum(verbs["GET"] for verbs in calls.values()),
                "writes": sum(map(sum, (tally.created.values(), tally.updated.values(), tally.deleted.values()))),
            },
            held_plans=held,
        )

    def rows(self) -> list[tuple[str, str]]:
        """The same for people."""

        def both(numbers: Mapping[str, int]) -> str:
            return ", ".join(f"{numbers[side.value]} in {name}" for side, name in NAMES.items())

        rows = [
            ("records examined", str(self.examined)),
            ("would be created", both(self.creates)),
            ("would be updated", both(self.updates)),
            ("would be deleted", both(self.deletes)),
            ("would be linked as the same party", str(self.adopts)),
            ("conflicts", f"{self.conflicts['resolved']} settled by strategy, {self.conflicts['open']} for a person"),
            ("values that would be emptied", str(self.cleared)),
            ("calls", f"{self.calls['reads']} made to find out, {self.calls['writes']} data writes to follow"),
        ]
        rows += held_rows(self.held_plans)
        return rows + [(f"waits: {state}", str(number)) for state, number in self.waiting.items()]


def _empties(decision: Decision) -> bool:
    """Whether a side that holds a value would hold none: by an edit, or because the other side's nothing counts."""
    return decision.result is None and any(decision.versions.on(side) not in (None, ABSENT) for side in decision.writes)
