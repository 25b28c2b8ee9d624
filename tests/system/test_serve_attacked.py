"""Requests that no EspoCRM and no browser sends: answered or closed soon, nothing kept, nothing quoted in a log."""

from __future__ import annotations

import asyncio
import gzip
import logging
import time

import pytest

from door import BODY, HOOK, SECRET, Door, door, opened
from served import signed

__all__ = ["door"]

SIGNATURE = f"Signature: {signed(HOOK, SECRET, BODY)['Signature']}"
LENGTH = f"Content-Length: {len(BODY)}"
CLOSE = "Connection: close"
CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (5, BODY[:5], len(BODY) - 5, BODY[5:])


def post(*headers: str, body: bytes = BODY, path: str = "/webhooks/espocrm/update") -> bytes:
    head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *headers, "", ""])
    return head.encode("utf-8", "surrogateescape") + body


def form(*headers: str, body: bytes = b"token=x") -> bytes:
    kind = "Content-Type: application/x-www-form-urlencoded"
    named = headers if any(header.startswith("Content-Type") for header in headers) else (kind, *headers)
    return post(f"Content-Length: {len(body)}", CLOSE, *named, body=body, path="/login")


async def status(door: Door, request: bytes, *, hang_up: bool = False, within_s: float = 6.0) -> int:
    """The last status that is answered; 0 for a connection that is closed without one."""
    host, port = door.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    if hang_up:
        await writer.drain()
        writer.close()
    try:
        answer = await asyncio.wait_for(reader.read(), within_s)
    except ConnectionError:
        return 0
    finally:
        writer.close()
    lines = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    return int(lines[-1].split()[1]) if lines else 0


@pytest.mark.parametrize(
    "request_",
    [
        post(SIGNATURE, LENGTH, CLOSE),
        post(SIGNATURE.replace("Signature", "SIGNATURE"), LENGTH, CLOSE),
        post(SIGNATURE, CHUNKED, CLOSE, body=CHUNKS),
        post(SIGNATURE, LENGTH, CLOSE, "Expect: 100-continue"),
        post(SIGNATURE, LENGTH, CLOSE, "X-Signature: garbage"),
    ],
    ids=["plain", "upper case", "chunked", "expects to be asked", "both headers"],
)
async def test_one_delivery_in_any_shape_that_http_allows_is_taken(door, request_):
    assert await status(door, request_) == 200
    assert [ref.id for ref in door.kept.refs] == ["a1", "b2"]


@pytest.mark.parametrize(
    "request_",
    [
        post(SIGNATURE, "Signature: other", LENGTH, CLOSE),
        post("Signature: \udcff\udcfe", LENGTH, CLOSE),
        post("Signature:", SIGNATURE.replace("Signature", "X-Signature"), LENGTH, CLOSE),
        post(SIGNATURE, f"Content-Length: {len(BODY) - 1}", CLOSE),
        post(SIGNATURE, LENGTH, CHUNKED, CLOSE),
        post(SIGNATURE, CHUNKED, CLOSE, body=b"zz\r\n["),
        post(SIGNATURE, "Content-Length: -1", CLOSE),
        post(SIGNATURE, LENGTH, "Content-Length: 3", CLOSE),
        post(SIGNATURE, LENGTH, CLOSE, "Cookie: " + "secret" * 2000),
        post(SIGNATURE, LENGTH, CLOSE, "Expect: secret"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01secret",
        post(SIGNATURE, LENGTH, CLOSE, path="/webhooks/espocrm/update/"),
        post(SIGNATURE, LENGTH, CLOSE, path="/webhooks/espocrm/none"),
        post("Authorization: Bearer \udcff", LENGTH, CLOSE, path="/api/status"),
        post("Cookie: espo_advo_session=\udcff", LENGTH, CLOSE, path="/api/status"),
        form(body=b"token=\xff\xfe"),
        form("Content-Type: application/x-www-form-urlencoded; charset=secret"),
        form("Content-Type: multipart/form-data"),
        form("Origin: http://[::1"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_neither_kept_nor_logged(door, request_, caplog):
    with caplog.at_level(logging.DEBUG):
        assert 400 <= await status(door, request_) < 500
    assert door.kept.refs == []
    assert not [record for record in caplog.records if record.name.startswith(("aiohttp", "bidisync"))]


async def test_a_sender_that_hangs_up_in_the_middle_leaves_nothing(door):
    assert await status(door, post(SIGNATURE, "Content-Length: 999"), hang_up=True) == 0
    assert await status(door, post(SIGNATURE, LENGTH, CLOSE)) == 200


async def test_a_bomb_is_not_unpacked_whoever_sends_it(door):
    bomb = gzip.compress(b"[" + b" " * (64 * 1024 * 1024) + b"]", 9)
    about = ("Content-Encoding: gzip", f"Content-Length: {len(bomb)}", CLOSE)
    own = f"Signature: {signed(HOOK, SECRET, bomb)['Signature']}"
    for signature, answer in ((SIGNATURE, 401), (own, 413)):
        began = time.monotonic()
        assert await status(door, post(signature, *about, body=bomb)) == answer
        assert time.monotonic() - began < 1
    assert door.kept.refs == []


async def test_a_form_that_never_ends_is_answered_all_the_same(door, monkeypatch):
    monkeypatch.setattr("bidisync_espo_advo.web.access.FORM_S", 0.2)
    head = ("Content-Length: 99", "Content-Type: application/x-www-form-urlencoded", CLOSE)
    assert await status(door, post(*head, body=b"tok", path="/login")) == 401


async def test_only_so_many_connections_are_held_and_those_without_a_request_make_room():
    async with opened(most=20) as door:
        host, port = door.url.removeprefix("http://").split(":")
        crowd = [await asyncio.open_connection(host, int(port)) for _ in range(30)]
        assert await status(door, post(SIGNATURE, LENGTH, CLOSE)) == 0, "no room"
        for _ in range(100):
            if (answer := await status(door, post(SIGNATURE, LENGTH, CLOSE))) == 200:
                break
            await asyncio.sleep(0.05)
        assert answer == 200, "those who only hold a connection are gone after a while"
        for _, writer in crowd:
            writer.close()
