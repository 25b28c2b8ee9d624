"""An address that is listened on, and closed to whoever only holds a connection.

A sender that never ends its request's head is not seen by any handler; so a connection that
has no request for a while is closed, whatever it has sent so far, and there are never more than
a few hundred. Bodies stay as they were sent: nobody unpacks a bomb before its sender is proven.
What is no HTTP at all is answered and not logged, for the line would quote it, secrets included.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import attrs
from aiohttp import web

from bidisync.errors import Unavailable
from bidisync_espo_advo.web.access import Handler

IDLE_S = 10.0
SHUTDOWN_S = 2.0
LINGER_S = 2.0
MOST_CONNECTIONS = 500


@attrs.define(eq=False)
class _Idle:
    """Closes connections without a request."""

    idle_s: float
    _busy: dict[asyncio.BaseTransport, int] = attrs.Factory(dict)
    _since: dict[asyncio.BaseTransport, float] = attrs.Factory(dict)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Remember that this connection has a request."""
        transport = request.transport
        if transport is None:
            return await handler(request)
        self._busy[transport] = self._busy.get(transport, 0) + 1
        try:
            return await handler(request)
        finally:
            self._since.pop(transport, None)
            self._busy[transport] -= 1
            if not self._busy[transport]:
                del self._busy[transport]

    async def close_idle(self, server: web.Server) -> None:
        """Look again and again."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.idle_s / 4)
            now = loop.time()
            there = {c.transport for c in server.connections if c.transport is not None}
            self._since = {t: self._since.get(t, now) for t in there if t not in self._busy}
            for transport, since in self._since.items():
                if now - since >= self.idle_s and isinstance(transport, asyncio.Transport):
                    transport.abort()


class _Full(asyncio.Protocol):
    """Closes a connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        if isinstance(transport, asyncio.Transport):
            transport.abort()


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, *, idle_s: float = IDLE_S, most: int = MOST_CONNECTIONS
) -> AsyncIterator[str]:
    """Listen on this address until the block ends; where that is. ``most`` is how many connections there may be."""
    idle = _Idle(idle_s)
    app.middlewares.insert(0, idle.middleware)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=logging.Logger("http", logging.CRITICAL),
        keepalive_timeout=idle_s,
        lingering_time=LINGER_S,
        shutdown_timeout=SHUTDOWN_S,
        auto_decompress=False,
    )
    await runner.setup()
    server = runner.server
    assert isinstance(server, web.Server)  # noqa: S101 - what setup makes

    def protocol() -> asyncio.BaseProtocol:
        return _Full() if len(server.connections) >= most else server()

    try:
        try:
            listener = await asyncio.get_running_loop().create_server(protocol, host, port)
        except OSError as error:
            raise Unavailable(f"can't listen on {host} port {port}: {error.strerror or 'in use'}") from error
        closer = asyncio.create_task(idle.close_idle(server))
        try:
            yield _address(host, listener.sockets[0].getsockname()[1])
        finally:
            listener.close()
            closer.cancel()
            with suppress(asyncio.CancelledError):
                await closer
    finally:
        await runner.cleanup()


def _address(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
