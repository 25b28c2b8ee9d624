"""What the commands do: settings and options in, a printed result and an exit status out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from enum import IntEnum

import attrs

from bidisync.clock import SystemChance, SystemClock, utc_text
from bidisync.errors import Misconfigured, SyncError, Unauthorized
from bidisync.events import Event, Noticed
from bidisync.model import LinkState, Ref, Row, Side
from bidisync.outcome import Tally
from bidisync.state import Journaled
from bidisync_espo_advo.app import Remotes, open_locks, open_store, open_sync
from bidisync_espo_advo.espocrm_schema import problems
from bidisync_espo_advo.explaining import (
    HEAD,
    NAMES,
    Mask,
    entry_document,
    explanation_document,
    grouped,
    line,
    of_group,
)
from bidisync_espo_advo.fields import GROUPS, PARTY
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings

Progress = Callable[[int, int], None]


class Exit(IntEnum):
    """Exit statuses of the command."""

    IN_SYNC = 0
    WAITING = 1
    WRONG = 2
    UNREACHABLE = 3


@attrs.frozen
class SyncResult:
    """What a sync did, in the form that ``--json`` prints."""

    rounds: int
    examined: int
    in_sync: int
    created: Mapping[str, int]
    updated: Mapping[str, int]
    deleted: Mapping[str, int]
    adopted: int
    conflicts: Mapping[str, int]
    held: int
    review: int
    blocked: int
    retrying: int
    dead: int
    calls: Mapping[str, Mapping[str, int]]
    duration_s: float
    reasons: Mapping[str, int]

    @classmethod
    def of(
        cls,
        tally: Tally,
        states: Mapping[LinkState, int],
        calls: Mapping[str, Mapping[str, int]],
        duration_s: float,
    ) -> SyncResult:
        """The sums of a pass; ``states`` are those of everything that was asked for."""
        by_side = {name: getattr(tally, name) for name in ("created", "updated", "deleted")}
        return cls(
            rounds=tally.rounds,
            examined=tally.examined,
            in_sync=tally.states()[LinkState.IN_SYNC],
            **{name: {side.value: counter[side] for side in Side} for name, counter in by_side.items()},
            adopted=tally.adopted,
            conflicts={"resolved": tally.settled, "open": states.get(LinkState.CONFLICT, 0)},
            held=states.get(LinkState.HELD, 0),
            review=states.get(LinkState.REVIEW, 0) + states.get(LinkState.GONE, 0),
            blocked=states.get(LinkState.BLOCKED, 0),
            retrying=states.get(LinkState.RETRY, 0) + states.get(LinkState.CREATING, 0),
            dead=states.get(LinkState.DEAD, 0),
            calls=calls,
            duration_s=round(duration_s, 3),
            reasons=dict(sorted(Counter(o.reason for o in tally.outcomes.values() if o.reason).items())),
        )

    @property
    def status(self) -> Exit:
        """In sync, or something waits."""
        waiting = (self.conflicts["open"], self.held, self.review, self.blocked, self.retrying, self.dead)
        return Exit.WAITING if any(waiting) else Exit.IN_SYNC

    def rows(self) -> list[tuple[str, str]]:
        """The same for people."""
        sides = {"left": "EspoCRM", "right": "Advoware"}

        def both(numbers: Mapping[str, int]) -> str:
            return ", ".join(f"{numbers[side]} in {name}" for side, name in sides.items())

        rows = [
            ("records examined", f"{self.examined}, {self.in_sync} of them in sync"),
            ("created", both(self.created)),
            ("updated", both(self.updated)),
            ("linked as the same party", str(self.adopted)),
            ("conflicts settled by strategy", str(self.conflicts["resolved"])),
        ]
        waiting = {
            "conflicts for a person": self.conflicts["open"],
            "reviews for a person": self.review,
            "held by a guard": self.held,
            "blocked": self.blocked,
            "to be tried again": self.retrying,
            "given up": self.dead,
        }
        rows += [(name, str(number)) for name, number in waiting.items() if number]
        if self.reasons:
            rows.append(("what waits now, and why", ", ".join(f"{n} {code}" for code, n in self.reasons.items())))
        rows += [
            (f"calls to {system}", ", ".join(f"{number} {verb}" for verb, number in verbs.items() if number) or "none")
            for system, verbs in self.calls.items()
        ]
        return [*rows, ("time", f"{self.duration_s:.1f} s")]


def read_ref(text: str) -> Ref:
    """A record as people name it: ``left:ID``, ``right:ID``, or an id that can only be one side's."""
    try:
        return Ref.parse(text)
    except ValueError:
        if ":" in text or not text.strip():
            raise Misconfigured("a record is named left:ID (EspoCRM), right:ID (Advoware) or by its id") from None
    return Ref(Side.RIGHT if text.isdigit() and len(text) < 12 else Side.LEFT, text)


async def sync_command(
    settings: Settings,
    *,
    ids: tuple[str, ...],
    everything: bool,
    side: Side | None,
    dry_run: bool,
    rounds: int,
    report: Report,
) -> int:
    """One pass, or the given records; prints the sums."""
    refs = [read_ref(text) for text in ids]
    clock = SystemClock()
    began = clock.monotonic()
    noticed: list[Event] = []
    async with open_sync(settings, rehearse=dry_run, observers=[noticed.append]) as sync:
        await _sign_in(sync.remotes)
        if everything:
            await _require_schema(sync.remotes)
        with report.progress("syncing") as progress:
            if refs:
                tally = await sync.sweeps.named(refs, rounds=rounds, progress=progress)
            else:
                tally = await sync.sweep(everything=everything, side=side, rounds=rounds, progress=progress)
        states = tally.states() if refs else await sync.states()
        result = SyncResult.of(tally, states, sync.calls, clock.monotonic() - began)
    title = "What a sync would do (nothing was written)" if dry_run else "Sync"
    report.show(title, result.rows(), attrs.asdict(result))
    for event in noticed:
        if isinstance(event, Noticed):
            report.note(f"{event.field} of {NAMES[event.ref.side]} {_NOTICES[event.code]}")
    return result.status


_NOTICES = {
    "unknown_code": "holds a code that its table does not know: it is kept as it is",
    "not_delivered": "was not delivered (see the permissions of this user): it is left alone",
}


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
    for name, decisions in grouped(found.now).items():
        if group in (None, name):
            report.table(f"now, {name}", HEAD, [line(decision, mask) for decision in decisions])
    for review in found.link.reviews:
        report.say(f"waits for a person: {review.kind.value} {review.group} {review.reason}".rstrip())
    for entry in of_group(found.past, group):
        title = f"{utc_text(entry.at)} UTC, {entry.what} {entry.reason}".rstrip()
        report.table(title, HEAD, [line(decision, mask) for decision in entry.decisions])
    return Exit.IN_SYNC


async def plan_command(
    settings: Settings, *, ids: tuple[str, ...], everything: bool, side: Side | None, shows: bool, report: Report
) -> int:
    """What a sync would do, record by record; writes nothing anywhere."""
    refs = [read_ref(text) for text in ids]
    mask = Mask(shows)
    clock = SystemClock()
    async with open_sync(settings, rehearse=True) as sync:
        await _sign_in(sync.remotes)
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
        result = PlanResult.of(tally, entries, sync.calls)
    if report.as_json:
        report.document({**attrs.asdict(result), "records": [entry_document(entry, mask) for entry in entries]})
    else:
        for entry in entries:
            head = f"{entry.what} {entry.link_id} {entry.reason}".rstrip()
            report.table(head, HEAD, [line(decision, mask) for decision in entry.decisions])
        report.show("Plan (nothing was written)", result.rows(), {})
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

    @classmethod
    def of(cls, tally: Tally, entries: Sequence[Journaled], calls: Mapping[str, Mapping[str, int]]) -> PlanResult:
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
            cleared=sum(decision.row is Row.CLEARED and bool(decision.writes) for decision in decisions),
            waiting={state.value: n for state, n in sorted(states.items(), key=str) if state.waits_for_a_person},
            calls={
                "reads": sum(verbs["GET"] for verbs in calls.values()),
                "writes": sum(map(sum, (tally.created.values(), tally.updated.values(), tally.deleted.values()))),
            },
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
        return rows + [(f"waits: {state}", str(number)) for state, number in self.waiting.items()]


async def _sign_in(remotes: Remotes) -> None:
    """Prove both credentials before anything is written: a wrong one must not be found half-way."""
    await remotes.espocrm.who_am_i()
    await remotes.advoware.who_am_i()


@attrs.frozen
class Finding:
    """One line of ``check``."""

    part: str
    works: bool
    says: str
    error: SyncError | None = None


async def check_command(settings: Settings, *, report: Report) -> int:
    """Open every part read-only and say what works, what is guaranteed, and what is missing."""
    settings.require_remotes()
    clock = SystemClock()
    remotes = Remotes.of(settings, clock, SystemChance())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(remotes.close)
        findings = [
            await _tried("espocrm", lambda: _espocrm(remotes)),
            await _tried("advoware", lambda: _advoware(remotes)),
            await _tried("state", lambda: _state(settings)),
            await _tried("lock", lambda: _lock(settings, stack)),
        ]
    document = {f.part: {"works": f.works, "says": f.says} for f in findings}
    report.show("Check", [(f.part, ("works: " if f.works else "does not work: ") + f.says) for f in findings], document)
    errors = [f.error for f in findings if f.error is not None]
    if not errors:
        return Exit.IN_SYNC
    wrong = any(isinstance(error, Misconfigured | Unauthorized) for error in errors)
    return Exit.WRONG if wrong else Exit.UNREACHABLE


async def _tried(part: str, look: Callable[[], Coroutine[None, None, str]]) -> Finding:
    try:
        return Finding(part, True, await look())
    except SyncError as error:
        return Finding(part, False, str(error), error)


async def _espocrm(remotes: Remotes) -> str:
    name = await remotes.espocrm.who_am_i()
    await _require_schema(remotes)
    versions = False
    async for page in remotes.espocrm.list():
        versions = any(snapshot.version is not None for snapshot in page.snapshots)
        break
    checked = "stale writes are refused (not atomically)" if versions else "no version numbers: values decide"
    return f"signed in as {name}, {remotes.espocrm.config.entity_type} has every field needed; {checked}"


async def _require_schema(remotes: Remotes) -> None:
    """Refuse to start where EspoCRM lacks what the mapping or the bookkeeping needs."""
    found = problems(await remotes.espocrm.schema(), PARTY, remotes.espocrm.config.entity_type)
    if found:
        more = f" (and {len(found) - 1} more: espo-advo check)" if found[1:] else ""
        raise Misconfigured(f"{found[0]}{more}")


async def _advoware(remotes: Remotes) -> str:
    name = await remotes.advoware.who_am_i()
    parties = 0
    async for page in remotes.advoware.list():
        parties += len(page.snapshots)
    profile = remotes.advoware.profile
    known = f"certified {profile.measured_at} UTC" if profile.measured_at else "not certified, the weakest is assumed"
    guarantees = "; ".join(f"{what}: {how}" for what, how in profile.guarantees())
    return f"signed in as {name}, {parties} parties can be read; {known}; {guarantees}"


async def _state(settings: Settings) -> str:
    try:
        store = await open_store(settings, create=False)
    except Misconfigured:
        if not settings.state.url.startswith("sqlite:///"):
            raise
        await (await open_store(Settings.from_tables({"state": {"url": "sqlite:///:memory:"}}))).close()
        return "there is no state yet; the first sync makes it"
    try:
        return f"{sum((await store.count()).values())} links"
    finally:
        await store.close()


async def _lock(settings: Settings, stack: AsyncExitStack) -> str:
    await open_locks(settings, SystemClock(), stack)
    local = settings.lock.url.startswith("local:")
    return f"leases of {settings.lock.lease_s:g} s " + ("in this process alone" if local else "in Redis")


__all__ = ["Exit", "SyncResult", "check_command", "explain_command", "plan_command", "read_ref", "sync_command"]
