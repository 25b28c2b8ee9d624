"""What an operator reads where a system can't be reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bidisync_espo_advo.transport import HttpTransport, NoAnswer, NotSent, Request, plainly
from served import free_port


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport(timeout_s=0.3)
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{port}/", "no connection; check its address in the settings, and whether it runs"),
        ("http://", "its address in the settings is none"),
    ],
)
async def test_what_was_not_sent_is_told_in_words(transport, url, words):
    with pytest.raises(NotSent) as caught:
        await transport.send(Request("GET", url.format(port=free_port())))
    assert str(caught.value) == words


@pytest.mark.parametrize(("answers", "words"), [(True, "the connection was closed"), (False, "no answer in time")])
async def test_what_was_not_answered_is_told_in_words(transport, answers, words):
    over = asyncio.Event()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        if not answers:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(NoAnswer) as caught:
        await transport.send(Request("GET", f"http://127.0.0.1:{port}/"))
    assert str(caught.value) == words
    over.set()
    server.close()
    await server.wait_closed()


def test_an_unknown_name_is_told_in_words():
    error = aiohttp.ClientConnectorDNSError(None, OSError("no such name"))
    assert plainly(error) == "nobody knows its name; check its address in the settings"
