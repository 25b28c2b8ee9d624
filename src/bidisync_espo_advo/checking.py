"""The command ``check``: every configured part opened, read-only."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack

import attrs

from bidisync.clock import SystemChance, SystemClock
from bidisync.errors import Misconfigured, SyncError, Unauthorized
from bidisync.stores.sql import NoState
from bidisync_espo_advo.app import Remotes, open_locks, open_store
from bidisync_espo_advo.commands import Exit
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.starting import require_schema


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
    await require_schema(remotes)
    versions = False
    async for page in remotes.espocrm.list():
        versions = any(snapshot.version is not None for snapshot in page.snapshots)
        break
    checked = "stale writes are refused (not atomically)" if versions else "no version numbers: values decide"
    return f"signed in as {name}, {remotes.espocrm.config.entity_type} has every field needed; {checked}"


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
        return "there is no state yet; the first sync makes it"
    try:
        links = f"{sum((await store.count()).values())} links"
        return f"{links}, encrypted" if settings.state.encryption_key else links
    finally:
        await store.close()


async def _lock(settings: Settings, stack: AsyncExitStack) -> str:
    await open_locks(settings, SystemClock(), stack)
    local = settings.lock.url.startswith("local:")
    return f"leases of {settings.lock.lease_s:g} s " + ("in this process alone" if local else "in Redis")
