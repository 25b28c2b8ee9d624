"""A server that answers as a test says, whatever it is asked, and the EspoCRM client that asks it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
from aiohttp import web

from bidisync import Snapshot
from bidisync.clock import SystemChance, SystemClock
from bidisync_espo_advo import Settings
from bidisync_espo_advo.app import Remotes

CANARY = "kanarienvogel"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@attrs.define
class Odd:
    """A server that answers as a test says, and the EspoCRM client that asks it."""

    answers: list[Answer]
    seen: list[tuple[str, str]] = attrs.Factory(list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.seen.append((request.method, request.path))
        return await self.answers[min(len(self.seen), len(self.answers)) - 1](request)


@asynccontextmanager
async def odd(*answers: Answer, timeout_s: float = 2.0):
    server = Odd(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    settings = Settings.from_tables({"espocrm": {"url": url, "api_key": CANARY, "timeout_s": timeout_s}})
    remotes = Remotes.of(settings, SystemClock(), SystemChance())
    try:
        yield server, remotes.espocrm
    finally:
        await remotes.close()
        await runner.cleanup()


def text(body: str, status: int = 200, **headers: str) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(text=body, status=status, headers=named)

    return answer


async def reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": "a", "las')
    assert request.transport is not None
    request.transport.close()
    return response


GOOD = text('{"id": "a", "lastName": "Beispiel"}')
SEEN = Snapshot("a", {"lastName": "Alt"})
