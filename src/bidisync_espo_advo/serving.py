"""The commands ``serve`` and ``worker``: everything that runs on, with the site or without it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from bidisync.clock import SystemClock
from bidisync.errors import Misconfigured, RateLimited, Unavailable
from bidisync.imposing import Choose
from bidisync.observe.log import JsonLines
from bidisync.state import Link
from bidisync_espo_advo.commands import Exit
from bidisync_espo_advo.desk import Settlement, settle
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.running import LOG, Works, opened
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.starting import require_schema, sign_in
from bidisync_espo_advo.web import Site, application, listening
from bidisync_espo_advo.web.access import Access
from bidisync_espo_advo.web.acting import Acting
from bidisync_espo_advo.web.board import Board
from bidisync_espo_advo.web.intake import Intake
from bidisync_espo_advo.web.keeping import Keeping
from bidisync_espo_advo.web.pages import Pages
from bidisync_espo_advo.web.pulse import Pulse

START_S = 5.0
STOP_S = 9.0
LEAST_TOKEN = 16


async def serve_command(settings: Settings, *, host: str | None, port: int | None, report: Report) -> int:
    """Take webhooks, poll, work and show the site until stopped."""
    settings.require_remotes()
    _log()
    with stopped() as over:
        pulse = Pulse(SystemClock().monotonic)
        async with opened(settings, observers=(pulse,)) as works:
            await _start(works, report)
            await works.poll_at_once()
            at = (host or settings.web.host, settings.web.port if port is None else port)
            async with listening(application(site_of(works, _token(settings, report), pulse)), *at) as url:
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


def site_of(works: Works, token: str, pulse: Pulse) -> Site:
    """The site over these works; ``pulse`` is told what they do."""
    intake = Intake(works.settings.espocrm.webhooks, Keeping(works.queue.submit))
    metrics = None if works.metrics is None else works.metrics.scrape
    access = Access(token, Pages(works.settings.advoware.timezone))
    board = Board(access, works.store, works.status, pulse)

    async def settled(link: Link, group: str, pick: Choose, by: str) -> Settlement:
        return await settle(works.sync, works.store, link, group, pick, by=by)

    acting = Acting(board, works.clock, settled, works.queue.submit)
    return Site(access, intake, board, acting, works.status, works.ready, metrics)


@contextmanager
def stopped() -> Iterator[asyncio.Event]:
    """Set once somebody wants this process to end; it does within ten seconds, whatever does not answer then.

    What was cut off is kept, as after a kill: hints and intents are on disk before they are begun.
    """
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    last: list[asyncio.TimerHandle] = []

    def stop() -> None:
        if not over.is_set():
            over.set()
            last.append(loop.call_later(STOP_S, _cut_off))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield over
    finally:
        for handle in last:
            handle.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _cut_off() -> None:
    LOG.warning("the end did not come in time, as something does not answer: what is left is kept")
    logging.shutdown()
    os._exit(Exit.UNREACHABLE)


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
        if len(settings.web.token) < LEAST_TOKEN:
            report.note("web.token is so short that it can be guessed: take one like openssl rand -base64 32 makes")
        return settings.web.token
    token = secrets.token_urlsafe(32)
    report.note(f"web.token is empty, so this one was made for this run: {token}")
    return token


def _log() -> None:
    """What happens while it runs, as JSON lines on stderr, unless somebody wants it elsewhere."""
    if not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines())
        logging.basicConfig(level=logging.WARNING, handlers=[handler])
        LOG.setLevel(logging.INFO)


__all__ = ["serve_command", "site_of", "stopped", "worker_command"]
