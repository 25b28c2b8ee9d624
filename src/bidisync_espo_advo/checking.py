"""The command ``check``: every configured part opened, read-only."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack

import attrs

from bidisync.clock import SystemChance, SystemClock
from bidisync.errors import Misconfigured, Rejected, SyncError, Transient, Unauthorized
from bidisync.stores.sql import NoState
from bidisync_espo_advo.addresses import host_of, is_inside
from bidisync_espo_advo.app import Remotes, open_locks, open_store
from bidisync_espo_advo.commands import Exit
from bidisync_espo_advo.espocrm_schema import BOOKKEEPING, problems
from bidisync_espo_advo.espocrm_webhooks import registered
from bidisync_espo_advo.fields import PARTY
from bidisync_espo_advo.policy import party_policy
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.verifying import glance

VERBS = {"GET": "read", "POST": "create", "PUT": "edit"}


@attrs.frozen
class Finding:
    """What ``check`` says of one part."""

    part: str
    works: bool
    says: str
    error: SyncError | None = None

    @property
    def listed(self) -> str:
        """The same for people: whether it works, and each part of what it says on a line of its own."""
        return ("works: " if self.works else "does not work: ") + self.says.replace("; ", "\n")


async def check_command(settings: Settings, *, report: Report) -> int:
    """Open every part read-only and say what works, what is guaranteed, and what is missing."""
    settings.require_remotes()
    clock = SystemClock()
    remotes = Remotes.of(settings, clock, SystemChance())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(remotes.close)
        stack.enter_context(report.progress("checking"))
        espocrm = await _tried("espocrm", lambda: _espocrm(remotes))
        silent = isinstance(espocrm.error, Transient)  # asked again, it would be waited for as long again
        findings = [
            espocrm,
            attrs.evolve(espocrm, part="webhooks")
            if silent
            else await _tried("webhooks", lambda: _webhooks(remotes, settings)),
            await _tried("advoware", lambda: _advoware(remotes)),
            await _tried("state", lambda: _state(settings)),
            await _log(settings),
            await _tried("lock", lambda: _lock(settings, stack)),
        ]
    document = {f.part: {"works": f.works, "says": f.says} for f in findings}
    report.show("Check", [(f.part, f.listed) for f in findings], document)
    errors = [f.error for f in findings if f.error is not None]
    if not errors:
        return Exit.IN_SYNC if all(f.works for f in findings) else Exit.WAITING
    wrong = any(isinstance(error, Misconfigured | Unauthorized) for error in errors)
    return Exit.WRONG if wrong else Exit.UNREACHABLE


async def _tried(part: str, look: Callable[[], Coroutine[None, None, str]]) -> Finding:
    try:
        return Finding(part, True, await look())
    except SyncError as error:
        return Finding(part, False, str(error), error)


async def _espocrm(remotes: Remotes) -> str:
    crm = remotes.espocrm
    name = await crm.who_am_i()
    wrong = problems(await crm.schema(), PARTY, crm.config.entity_type)
    mapped = [field.espocrm for field in PARTY]
    wrong += [
        f"this user may not {verb} {crm.config.entity_type}" for verb in map(VERBS.__getitem__, crm.denied(VERBS))
    ]
    wrong += [f"this user may not write the field {field}" for field in crm.locked([*mapped, *BOOKKEEPING])]
    if wrong:
        raise Misconfigured("; ".join(wrong))
    versions = False
    async for page in remotes.espocrm.list():
        versions = any(snapshot.version is not None for snapshot in page.snapshots)
        break
    checked = "stale writes are refused (not atomically)" if versions else "no version numbers: values decide"
    return f"signed in as {name}, {crm.config.entity_type} has every field needed; {checked}"


async def _webhooks(remotes: Remotes, settings: Settings) -> str:
    """What would come of changes in EspoCRM; without webhooks they are found by polling."""
    try:
        there = [hook for hook in await registered(remotes.espocrm) if hook.active]
    except (Unauthorized, Rejected):
        return "this user may not see webhooks (scope Webhook of its role): changes are found by polling"
    known = [hook for hook in there if hook.id in settings.espocrm.webhooks]
    events = ", ".join(sorted({hook.event.partition(".")[2] for hook in known})) or "no event"
    missing = [id for id in settings.espocrm.webhooks if id not in {hook.id for hook in there}]
    if missing:
        raise Misconfigured(f"espocrm.webhooks names {len(missing)} that EspoCRM does not have or switched off")
    note = await _private_hosts(remotes, [hook.url for hook in known])
    strange = len(there) - len(known)
    more = f"; {strange} more without a key in espocrm.webhooks" if strange else ""
    return f"{events} of EspoCRM is sent here{more}; the rest is found by polling{note}"


async def _private_hosts(remotes: Remotes, urls: Sequence[str]) -> str:
    """What EspoCRM 9.3.2 and later need to send to a private network, where that concerns a webhook."""
    inside = sorted({host_of(url) for url in urls if is_inside(host_of(url))})
    if urls and not inside:
        return ""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", await remotes.espocrm.release())
    if numbers is None or tuple(map(int, numbers.groups())) < (9, 3, 2):
        return ""
    whom = ", ".join(inside) or "addresses in private networks"
    return f"; this EspoCRM sends to {whom} only if webhookAllowedAddressList in its config names them"


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
    except NoState:
        return "there is no state yet; the first sync makes it, and espo-advo plan --all says what it would do"
    try:
        links = f"{sum((await store.count()).values())} links"
        return f"{links}, encrypted" if settings.state.encryption_key else links
    finally:
        await store.close()


async def _log(settings: Settings) -> Finding:
    """Whether the newest lines of the decision log are as they were written, and its decisions follow."""
    try:
        store = await open_store(settings, create=False)
    except NoState:
        return Finding("log", True, "there is none yet")
    except SyncError:  # the line of the state says why
        return Finding("log", False, "it is part of the state")
    try:
        found = await glance(store, party_policy(settings), SystemClock().now())
    except SyncError as error:
        return Finding("log", False, str(error), error)
    finally:
        await store.close()
    return Finding("log", found.holds, found.says)


async def _lock(settings: Settings, stack: AsyncExitStack) -> str:
    pausing = attrs.evolve(settings, lock=attrs.evolve(settings.lock, when_unreachable="pause"))
    await open_locks(pausing, SystemClock(), stack)
    kind = settings.lock.url.partition(":")[0]
    if kind == "off":
        return "switched off: versions, revisions and fences alone"
    return f"leases of {settings.lock.lease_s:g} s " + ("in this process alone" if kind == "local" else "in Redis")
