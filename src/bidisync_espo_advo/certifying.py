"""What ``certify`` does: a measurement printed, and written where the sync finds it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import attrs

from bidisync.clock import SystemChance, SystemClock
from bidisync.errors import Misconfigured, Stale
from bidisync.model import ABSENT, Conditional, Snapshot
from bidisync_espo_advo.app import Remotes
from bidisync_espo_advo.certify import SCRATCH, Measurement
from bidisync_espo_advo.espocrm import EspoReplica
from bidisync_espo_advo.profile import AdvowareProfile, EspoProfile, save_profile
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings


async def certify_command(settings: Settings, *, system: str, record: str | None, report: Report) -> int:
    """Measure one system, print what was found and what follows, and write its profile."""
    clock, chance = SystemClock(), SystemChance()
    remotes = Remotes.of(settings, clock, chance)
    profile: AdvowareProfile | EspoProfile
    async with AsyncExitStack() as stack:
        stack.push_async_callback(remotes.close)
        if system == "advoware":
            await remotes.advoware.who_am_i()
            bare = attrs.evolve(remotes.advoware, profile=AdvowareProfile())
            measurement = Measurement(bare, clock, chance, settings.advoware.timezone, said=report.note)
            id, profile = await measurement.run(record)
        else:
            await remotes.espocrm.who_am_i()
            id, profile = await _espocrm(remotes.espocrm, record, chance)
    file = Path(getattr(settings, system).profile or f"{system}.profile.json")
    save_profile(file, profile)
    found = attrs.asdict(profile)
    facts = [(name, _told(value)) for name, value in found.items() if name != "format"]
    document = {
        "record": id,
        "file": str(file),
        "profile": {name: value.value if isinstance(value, Conditional) else value for name, value in found.items()},
        "guarantees": dict(profile.guarantees()),
    }
    report.show(f"Measured on record {id}", facts, document)
    if not report.as_json:
        report.show("What follows", profile.guarantees(), {})
        report.say(f'written to {file}; the sync uses it with {system}.profile = "{file}"')
    return 0


def _told(value: object) -> str:
    if isinstance(value, Conditional):
        return value.value
    return ", ".join(value) or "none" if isinstance(value, tuple) else str(value)


async def _espocrm(replica: EspoReplica, record: str | None, chance: SystemChance) -> tuple[str, EspoProfile]:
    """Whether there are version numbers, and whether an outdated one is refused."""
    if record is None:
        made = await replica.create(
            {"lastName": f"Zz Pruefsatz {chance.token()[:8]}", "firstName": "Bidisync"}, despite_duplicates=True
        )
        record = made.id
    before = await replica.get(record)
    if before.gone:
        raise Misconfigured(f"there is no record {record} in espocrm")
    held = before.fields.get(SCRATCH, ABSENT)
    if held is ABSENT:
        raise Misconfigured(
            f"espocrm does not deliver the field {SCRATCH}, on which is measured: check the user's role"
        )
    try:
        return record, attrs.evolve(await _versions(replica, before), clock_off_s=await _clock_off(replica, record))
    finally:
        await replica.update(attrs.evolve(await replica.get(record), version=None), {SCRATCH: held})


async def _clock_off(replica: EspoReplica, record: str) -> float | None:
    """By how much the stamp of a write differs from our clock."""
    await replica.update(attrs.evolve(await replica.get(record), version=None), {"zusatz": "Probe C"})
    stamp = (await replica.get(record)).modified_at
    return None if stamp is None else round(stamp - replica.clock.now(), 1)


async def _versions(replica: EspoReplica, before: Snapshot) -> EspoProfile:
    if before.version is None:
        return EspoProfile(has_versions=False)
    await replica.update(before, {SCRATCH: "Probe A"})
    same = await replica.get(before.id)
    await replica.update(same, {SCRATCH: "Probe A"})
    again = await replica.get(before.id)
    try:
        await replica.update(before, {SCRATCH: "Probe B"})
    except Stale:
        refused = True
    else:
        refused = False
    return EspoProfile(has_versions=True, refuses_outdated=refused, moves_on_noop=again.version != same.version)
