"""The command ``sync``: settings and options in, a printed result and an exit status out."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import Any

import attrs

from bidisync.clock import SystemClock
from bidisync.desk import Reach
from bidisync.errors import Misconfigured, SyncError, Unauthorized, Unavailable
from bidisync.events import Event, Noticed, SystemFailed
from bidisync.guards import HeldPlan, held_plans
from bidisync.model import LinkState, Ref, Side
from bidisync.outcome import NOT_FOUND, Tally
from bidisync.runners.timetable import Timetable
from bidisync.storage import StateStore
from bidisync_espo_advo.app import PartySync, open_sync
from bidisync_espo_advo.expiring import expire_when_due
from bidisync_espo_advo.explaining import NAMES
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.starting import require_schema, sign_in

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
    held_plans: Sequence[Mapping[str, object]] = ()
    not_found: int = 0  # of those that were asked for by name

    @classmethod
    def of(
        cls,
        tally: Tally,
        states: Mapping[LinkState, int],
        calls: Mapping[str, Mapping[str, int]],
        duration_s: float,
        held: Sequence[HeldPlan] = (),
    ) -> SyncResult:
        """The sums of a pass; ``states`` are those of everything that was asked for."""
        return cls(
            rounds=tally.rounds,
            examined=tally.examined,
            in_sync=tally.states()[LinkState.IN_SYNC],
            created=_by_side(tally.created),
            updated=_by_side(tally.updated),
            deleted=_by_side(tally.deleted),
            adopted=tally.adopted,
            conflicts={"resolved": tally.settled, "open": states.get(LinkState.CONFLICT, 0)},
            held=states.get(LinkState.HELD, 0),
            review=states.get(LinkState.REVIEW, 0) + states.get(LinkState.GONE, 0),
            blocked=states.get(LinkState.BLOCKED, 0),
            retrying=states.get(LinkState.RETRY, 0) + states.get(LinkState.CREATING, 0),
            dead=states.get(LinkState.DEAD, 0),
            calls=calls,
            duration_s=round(duration_s, 3),
            reasons=dict(sorted(Counter(o.reason for o in tally.outcomes.values() if o.reason not in _SAID).items())),
            held_plans=[held_document(plan) for plan in held],
        )

    @property
    def status(self) -> Exit:
        """In sync, or something waits."""
        waiting = (self.conflicts["open"], self.held, self.review, self.blocked, self.retrying, self.dead)
        return Exit.WAITING if any(waiting) or self.not_found else Exit.IN_SYNC

    @property
    def waits_for_a_person(self) -> int:
        """How many records go on only once somebody has said something."""
        return self.conflicts["open"] + self.held + self.review + self.blocked + self.dead

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
        if self.not_found:
            whose = "left:ID is EspoCRM's, right:ID Advoware's"
            rows.append(("not found", f"{self.not_found}: no record has this id; {whose}"))
        if self.reasons:
            rows.append(("what waits now, and why", ", ".join(f"{n} {code}" for code, n in self.reasons.items())))
        rows += held_rows(self.held_plans)
        rows += [
            (f"calls to {system}", ", ".join(f"{number} {verb}" for verb, number in verbs.items() if number) or "none")
            for system, verbs in self.calls.items()
        ]
        return [*rows, ("time", f"{self.duration_s:.1f} s")]


def _by_side(numbers: Mapping[Side, int]) -> dict[str, int]:
    return {side.value: numbers.get(side, 0) for side in Side}


LAST_RUN = "last_run"

_SAID = ("", NOT_FOUND)
"""Reasons that are no reason to wait."""


async def remember_pass(store: StateStore, at: float, document: Mapping[str, Any]) -> None:
    """Keep what the last pass did, for ``status``."""
    kept = {key: document[key] for key in ("examined", "created", "updated", "deleted", "calls", "duration_s")}
    await store.set_mark(LAST_RUN, json.dumps({"at": at, **kept}))


def held_document(plan: HeldPlan) -> dict[str, object]:
    """A held plan for a program: its records are named, nothing of them is told."""
    return {"hash": plan.digest, "reason": plan.reason, "records": len(plan.links), "links": list(plan.links)}


def held_rows(plans: Sequence[Mapping[str, object]]) -> list[tuple[str, str]]:
    """The same for people, with what to do next."""
    return [
        (f"waits for approval ({plan['reason']})", f"{plan['records']} records: espo-advo approve {plan['hash']}")
        for plan in plans
    ]


def next_rows(waiting: int, retrying: int = 0) -> list[tuple[str, str]]:
    """What to do about what is open; nothing where nothing is."""
    if waiting:
        return [("next", "espo-advo conflicts says what waits, and what to do about it")]
    return [("next", "espo-advo sync takes up again what is to be tried again")] if retrying else []


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
    noticed: list[Noticed] = []

    def note(event: Event) -> None:
        if isinstance(event, Noticed):
            noticed.append(event)

    reach = Reach()
    async with open_sync(settings, rehearse=dry_run, observers=[note, reach]) as sync:
        async with telling(settings if not dry_run else None, sync, reach):
            await sign_in(sync.remotes)
            if everything:
                await require_schema(sync.remotes)
            with report.progress("syncing") as progress:
                if refs:
                    tally = await sync.sweeps.named(refs, rounds=rounds, progress=progress)
                else:
                    tally = await sync.sweep(everything=everything, side=side, rounds=rounds, progress=progress)
        states = tally.states() if refs else await sync.states()
        held = held_plans(await sync.engine.parts.store.waiting())
        result = SyncResult.of(tally, states, sync.calls, clock.monotonic() - began, held)
        if refs:
            nobody = sum(outcome.reason == NOT_FOUND for outcome in tally.outcomes.values())
            result = attrs.evolve(result, not_found=nobody)
        if not dry_run:
            store = sync.engine.parts.store
            await remember_pass(store, clock.now(), attrs.asdict(result))
            await expire_when_due(settings, store, Timetable(store, settings.lock.lease_s, clock), clock)
    title = "What a sync would do (nothing was written)" if dry_run else "Sync"
    report.show(title, [*result.rows(), *next_rows(result.waits_for_a_person, result.retrying)], attrs.asdict(result))
    for event in noticed:
        report.note(f"{event.field} of {NAMES[event.ref.side]} {_NOTICES.get(event.code, event.code)}")
    return result.status


@asynccontextmanager
async def telling(settings: Settings | None, sync: PartySync, reach: Reach) -> AsyncIterator[None]:
    """However the block ends, people are told afterwards what waits for them, where the settings ask for that."""
    if settings is None or not settings.notify.wanted:
        yield
        return
    from bidisync_espo_advo.notifying import open_desk

    parts = sync.engine.parts
    desk = open_desk(
        settings.notify,
        store=parts.store,
        clock=parts.clock,
        board=sync.remotes.espocrm,
        entity_type=settings.espocrm.entity_type,
        reach=reach,
        locks=parts.locks,
    )
    try:
        yield
    except SyncError as error:
        if isinstance(error, Unavailable | Unauthorized) and error.system:
            reach(SystemFailed(error.system, error.reason))
        with contextlib.suppress(SyncError):  # what went wrong before is what is to be said
            await desk.look()
        raise
    await desk.look()


_NOTICES = {
    "unknown_code": "holds a code that its table does not know: it is kept as it is",
    "not_delivered": "was not delivered (see its name in the mapping, and this user's permissions): it is left alone",
}


__all__ = ["Exit", "SyncResult", "read_ref", "sync_command"]
