"""EspoCRM without Advoware: one side of a pair whose other side is a system of yours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from bidisync.clock import SystemClock
from bidisync.errors import Misconfigured
from bidisync.events import Event
from bidisync.mapping import FieldMapper, Mapped
from bidisync.protocols import Clock, Observer, Replica
from bidisync_espo_advo.espocrm import EspoReplica
from bidisync_espo_advo.profile import EspoProfile, load_profile
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.transport import HttpTransport
from bidisync_espo_advo.wire import Wire


@asynccontextmanager
async def open_espocrm(
    settings: Settings,
    mapper: FieldMapper,
    *,
    session: aiohttp.ClientSession | None = None,
    clock: Clock | None = None,
    observers: Sequence[Observer] = (),
) -> AsyncIterator[Replica]:
    """EspoCRM's records of ``[espocrm]`` in the shared form of your mapper, for an engine or ``open_pair``.

    Each record notes the id of its counterpart in ``betnr``, so the other side's ids are whole
    numbers. Closes only what it opened.
    """
    config, clock = settings.espocrm, clock or SystemClock()
    if not (config.url and config.api_key):
        raise Misconfigured("espocrm.url and espocrm.api_key are needed")

    def observe(event: Event) -> None:
        for observer in observers:
            observer(event)

    transport = HttpTransport(config.timeout_s, session)
    wire = Wire(
        "espocrm",
        transport,
        clock,
        max_concurrency=config.max_concurrency,
        requests_per_second=config.requests_per_second,
        retry_for_s=min(20.0, config.timeout_s),
        observe=observe,
    )
    names = tuple(field_map.native for field_map in mapper.maps)
    profile = load_profile(config.profile, EspoProfile)
    try:
        yield Mapped(EspoReplica(config, wire, clock, names, profile=profile), mapper)
    finally:
        await transport.close()
