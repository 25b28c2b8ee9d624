"""A TCP proxy that a test puts between a worker and a server, and that then misbehaves."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

import attrs

Mood = Literal["pass", "reset", "stall", "cut", "refuse"]


@attrs.define
class Proxy:
    """Passes bytes on, until its ``mood`` says otherwise: for connections there are, and for new ones.

    ``reset`` breaks every connection at its next bytes, ``stall`` passes nothing on any more,
    ``cut`` ends a reply after ``cut_after`` bytes, ``refuse`` closes at once.
    """

    target: int
    mood: Mood = "pass"
    cut_after: int = 60
    port: int = 0
    bytes_passed: int = 0
    _tasks: set[asyncio.Task[None]] = attrs.Factory(set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if self.mood == "refuse":
            writer.close()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        both = [
            asyncio.ensure_future(self._pump(reader, far_writer, writer, reply=False)),
            asyncio.ensure_future(self._pump(far_reader, writer, writer, reply=True)),
        ]
        self._tasks.update(both)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        for end in (writer, far_writer):
            end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, near: asyncio.StreamWriter, *, reply: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if self.mood == "stall":
                    await asyncio.sleep(3600)
                if self.mood == "reset":
                    at_once = struct.pack("ii", 1, 0)
                    near.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                    near.transport.abort()
                    return
                if self.mood == "cut" and reply:
                    writer.write(data[: self.cut_after])
                    await writer.drain()
                    return
                self.bytes_passed += len(data)
                writer.write(data)
                await writer.drain()

    async def end(self) -> None:
        """Drop every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    """A proxy to that port on loopback, on a free port of its own."""
    made = Proxy(port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.end()
