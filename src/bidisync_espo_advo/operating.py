"""What an operator says and sees: the commands ``status``, ``approve`` and ``retry``, on the state alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bidisync.approval import approve, rearm, revive
from bidisync.clock import SystemClock, utc_text
from bidisync.errors import Misconfigured
from bidisync.guards import held_plans
from bidisync.model import LinkState
from bidisync.state import Link
from bidisync.storage import StateStore
from bidisync_espo_advo.app import Store, open_store
from bidisync_espo_advo.commands import LAST_RUN, Exit, held_document, held_rows, next_rows, read_ref
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings


@asynccontextmanager
async def opened_state(settings: Settings, *, create: bool = False) -> AsyncIterator[Store]:
    """The state that the settings name; ``Misconfigured`` where there is none yet, unless it may be made."""
    store = await open_store(settings, create=create)
    try:
        yield store
    finally:
        await store.close()


async def link_named(store: StateStore, name: str) -> Link:
    """The link that a person names: by its id, or by one of its records."""
    ref = read_ref(name)
    link = (await store.load([ref])).get(ref)
    if link is None:
        raise Misconfigured(f"nothing is known of {ref}: it was never synced")
    return link


async def standing(store: StateStore) -> dict[str, Any]:
    """Links by state, what waits for a person, and what the last pass did, for a program."""
    count = await store.count()
    states = {state.value: count.get(state.value, 0) for state in LinkState}
    return {
        "links": states,
        "due": len(await store.unsettled()),
        "waiting": sum(number for state, number in states.items() if LinkState(state).waits_for_a_person),
        "conflicts": states[LinkState.CONFLICT.value],
        "dead": states[LinkState.DEAD.value],
        "held_plans": [held_document(plan) for plan in held_plans(await store.waiting())],
        "last_pass": json.loads(await store.get_mark(LAST_RUN) or "null"),
    }


async def status_command(settings: Settings, *, report: Report) -> int:
    """Links by state, what waits for a person, and what the last pass did."""
    async with opened_state(settings) as store:
        document = await standing(store)
        number, _ = await store.hints_waiting()
    document["hints"] = number
    states, waiting, last = document["links"], document["waiting"], document["last_pass"]
    rows = [(f"links {state}", str(number)) for state, number in states.items() if number]
    rows += [("due again by themselves", str(document["due"])), ("hints waiting", str(number))]
    rows += [("waiting for a person", str(waiting))]
    rows += held_rows(document["held_plans"])
    if last is not None:
        rows.append(("last pass", f"{utc_text(last['at'])} UTC, {last['examined']} records, {last['duration_s']} s"))
        rows += [(f"calls to {name}", _calls(verbs)) for name, verbs in last["calls"].items()]
    report.show("Status", [*rows, *next_rows(waiting)], document)
    return Exit.WAITING if waiting else Exit.IN_SYNC


def _calls(verbs: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {verb}" for verb, number in verbs.items() if number) or "none"


async def approve_command(settings: Settings, *, digest: str, report: Report) -> int:
    """Let the plans of this hash go."""
    async with opened_state(settings) as store:
        plan = await approve(store, SystemClock(), digest)
    if plan is None:
        raise Misconfigured(
            "no plan that waits has this hash: records may have moved since; espo-advo status shows what waits now"
        )
    rows = [("approved", f"{len(plan.links)} records ({plan.reason})"), ("next", "espo-advo sync carries it out")]
    report.show("Approved", rows, {"approved": held_document(plan)})
    return Exit.IN_SYNC


async def retry_command(settings: Settings, *, names: Sequence[str], everything: bool, report: Report) -> int:
    """Try what was given up again, from the beginning."""
    async with opened_state(settings) as store:
        if everything:
            number = len(await revive(store, SystemClock()))
        else:
            number = await rearm(store, SystemClock(), [await link_named(store, name) for name in names])
    rows = [("due again", f"{number} records"), ("next", "espo-advo sync takes them up")]
    report.show("Retry", rows, {"retrying": number})
    return Exit.IN_SYNC
