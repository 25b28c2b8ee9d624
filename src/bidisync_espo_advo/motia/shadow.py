"""The shadow: beside steps that do the work, what the library would do, and nothing written anywhere.

Let it run some time after the other one (``delaySeconds``): whatever it would still write then
is a difference between the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from bidisync.clock import SystemClock
from bidisync.errors import SyncError
from bidisync.locks.local import LocalLocks
from bidisync.model import Decision, Ref, Review
from bidisync.state import Journaled, Link
from bidisync_espo_advo.app import PartySync, open_sync
from bidisync_espo_advo.motia.asked import Asked
from bidisync_espo_advo.motia.talk import Context, forwarded
from bidisync_espo_advo.settings import Settings, load_settings

Report = Callable[[Mapping[str, object]], None]
"""Told of one record: values that JSON knows, and none of the record's own."""


async def shadow_event(
    data: object,
    context: Context,
    *,
    timeout_s: float,
    settings: Settings | None = None,
    report: Report | None = None,
) -> int:
    """How many of the event's records the library would still change, or ask a person about.

    Each of them is told to ``report`` (by default to the step's logger) with what would be
    written where, by field, and why. Nothing is written: not to the systems, the state, or
    Redis. Takes the events of the steps beside it too (``entity_id``); an event without ids
    tells of everything that changed. A record that can't be looked at now is told as an error.
    """
    clock, asked, told = SystemClock(), Asked.of(data), report or _logged(context)
    differences = 0
    with forwarded(context.logger):
        async with (
            asyncio.timeout(timeout_s - 1.0),
            open_sync(settings or load_settings(), rehearse=True, locks=LocalLocks(clock=clock), clock=clock) as sync,
        ):
            for ref in asked.refs or await _changed(sync, asked):
                try:
                    found = await _difference(sync, ref)
                except SyncError as error:
                    found = {"record": str(ref), "error": error.reason}
                if found:
                    differences += 1
                    told(found)
    context.logger.info("shadow: nothing was written", {"differences": differences})
    return differences


async def _changed(sync: PartySync, asked: Asked) -> tuple[Ref, ...]:
    tally = await sync.sweep(everything=asked.everything, rounds=1)
    return tuple(outcome.ref for outcome in tally.outcomes.values())


async def _difference(sync: PartySync, ref: Ref) -> Mapping[str, object]:
    """What would be done about a record; empty if nothing."""
    store, began = sync.engine.parts.store, sync.engine.parts.clock.now()
    outcome = await sync.sync(ref)
    link = (await store.load([ref])).get(ref)
    entries = [] if link is None else await store.journal(link.id)
    decided = [(entry, decision) for entry in entries if entry.at >= began for decision in entry.decisions]
    fields = [_field(entry, decision) for entry, decision in decided if decision.writes or decision.reason]
    made = {"creates": outcome.created, "updates": outcome.updated, "deletes": outcome.deleted}
    would = {verb: sorted(side.value for side in sides) for verb, sides in made.items() if sides}
    if not would and not fields and not _asks(link):
        return {}
    return {
        "record": str(ref),
        "state": outcome.state.value,
        "reason": outcome.reason,
        **would,
        "fields": fields,
        "reviews": [_review(review) for review in _asks(link)],
    }


def _asks(link: Link | None) -> tuple[Review, ...]:
    return () if link is None else link.reviews


def _field(entry: Journaled, decision: Decision) -> dict[str, object]:
    writes = [side.value for side in decision.writes]
    named = {"field": decision.field, "group": decision.group, "what": entry.what}
    return {**named, "row": decision.row.value, "writes": writes, "reason": decision.reason}


def _review(review: Review) -> dict[str, object]:
    return {"kind": review.kind.value, "reason": review.reason, "fields": list(review.fields)}


def _logged(context: Context) -> Report:
    return lambda found: context.logger.info("shadow: the library would do this", dict(found))
