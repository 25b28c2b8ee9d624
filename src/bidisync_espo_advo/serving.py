"""The commands ``serve`` and ``worker``: everything that runs on, with the site or without it."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from bidisync.errors import Misconfigured, RateLimited, Unavailable
from bidisync_espo_advo.commands import Exit
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.running import Works, opened
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.starting import require_schema, sign_in
from bidisync_espo_advo.web import Site, application, listening
from bidisync_espo_advo.web.access import Access
from bidisync_espo_advo.web.intake import Intake
from bidisync_espo_advo.web.keeping import Keeping

START_S = 5.0


async def serve_command(settings: Settings, *, host: str | None, port: int | None, report: Report) -> int:
    """Take webhooks, poll, work and show the site until stopped."""
    settings.require_remotes()
    _log()
    with stopped() as over:
        async with opened(settings) as works:
            await _start(works, report)
            await works.poll_at_once()
            at = (host or settings.web.host, settings.web.port if port is None else port)
            async with listening(application(site_of(works, _token(settings, report))), *at) as url:
                print(json.dumps({"url": url}), flush=True)
                await works.run(over)
    return Exit.IN_SYNC


async def worker_command(settings: Settings, *, report: Report) -> int:
    """Work until stopped."""
    settings.require_remotes()
    _log()
    if settings.state.url.endswith(":memory:"):
        raise Misconfigured("a worker shares the state of serve: state.url must name a file or a server")
    with stopped() as over:
        async with opened(settings) as works:
            await _start(works, report)
            print(json.dumps({"worker": "ready"}), flush=True)
            await works.run(over)
    return Exit.IN_SYNC


def site_of(works: Works, token: str) -> Site:
    """The site over these works."""
    intake = Intake(works.settings.espocrm.webhooks, Keeping(works.queue.submit))
    return Site(Access(token), intake, works.status, works.ready)


@contextmanager
def stopped() -> Iterator[asyncio.Event]:
    """Set once somebody wants this process to end."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    try:
        yield over
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _start(works: Works, report: Report) -> None:
    """Refuse wrong credentials and a wrong schema at once; a system that is off comes later."""
    for needed in (sign_in, require_schema):
        try:
            async with asyncio.timeout(START_S):
                await needed(works.sync.remotes)
        except (Unavailable, RateLimited) as error:
            report.note(f"{error}: it is tried again while this runs")
        except TimeoutError:
            report.note("a system does not answer yet: it is tried again while this runs")


def _token(settings: Settings, report: Report) -> str:
    if settings.web.token:
        return settings.web.token
    token = secrets.token_urlsafe(32)
    report.note(f"web.token is empty, so this one was made for this run: {token}")
    return token


def _log() -> None:
    """What happens while it runs, on stderr, unless somebody wants it elsewhere."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")


__all__ = ["serve_command", "site_of", "stopped", "worker_command"]
