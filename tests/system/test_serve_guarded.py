"""What strangers can do to the addresses of ``serve``: nothing, in bounded time and memory."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bidisync.model import Ref, Side
from door import BODY, HOOK, SECRET, door
from served import BEARER, TOKEN, signed, signed_as_before

__all__ = ["door"]

MIB = 1024 * 1024


@pytest.mark.parametrize("sign", [signed, signed_as_before])
@pytest.mark.parametrize("event", ["create", "update", "delete"])
async def test_a_signed_delivery_is_kept_and_a_replay_harmless(door, sign, event):
    for _ in range(2):
        assert await door.send(BODY, sign(HOOK, SECRET, BODY), event) == 200
    assert door.kept.groups == 2 * [[Ref(Side.LEFT, "a1"), Ref(Side.LEFT, "b2")]]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(HOOK, "another key", BODY),
        signed("65f0c0ffe0", SECRET, BODY),
        signed(HOOK, SECRET, BODY + b" "),
        signed("empty", "", BODY),
        {"Signature": signed(HOOK, SECRET, BODY)["Signature"][:-8]},
        {"Signature": "not base64 at all"},
        {"X-Signature": signed(HOOK, SECRET, BODY)["Signature"]},
    ],
)
async def test_what_is_not_signed_is_refused_and_keeps_nothing(door, headers):
    assert await door.send(BODY, headers) == 401
    assert door.kept.refs == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"id": "a1"}', b'[{"id": 1}]', b"[1]", b"[[]]", b'[{"id": ""}]', b"[" * 100_000, b"\xff\xfe"]
)
async def test_what_is_signed_and_unreadable_is_left_to_the_poll(door, body):
    assert await door.send(body, signed(HOOK, SECRET, body)) == 413
    assert door.kept.refs == []


async def test_large_bodies_are_taken_up_to_sixteen_mebibytes(door):
    filled = json.dumps([{"id": "a1", "description": "x" * (10 * MIB)}]).encode()
    assert await door.send(filled, signed(HOOK, SECRET, filled)) == 200
    assert door.kept.refs == [Ref(Side.LEFT, "a1")]
    huge = b"[" + b" " * (17 * MIB) + b"]"
    assert await door.send(huge, signed(HOOK, SECRET, huge)) == 413

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * MIB

    url = f"{door.url}/webhooks/espocrm/update"
    async with door.session.post(url, data=pieces(), headers=signed(HOOK, SECRET, huge)) as response:
        assert response.status == 413, "without a length, too"
    assert len(door.kept.groups) == 1


async def test_what_can_not_be_kept_is_to_be_sent_again(door):
    door.kept.broken = True
    assert await door.send(BODY, signed(HOOK, SECRET, BODY)) == 503
    door.kept.broken = False
    assert await door.send(BODY, signed(HOOK, SECRET, BODY)) == 200


async def test_many_requests_share_a_commit(door):
    bodies = [json.dumps([{"id": f"r{n}"}]).encode() for n in range(200)]
    statuses = await asyncio.gather(*(door.send(body, signed(HOOK, SECRET, body)) for body in bodies))
    assert set(statuses) == {200}
    assert {ref.id for ref in door.kept.refs} == {f"r{n}" for n in range(200)}
    assert len(door.kept.groups) < 100


@pytest.mark.parametrize("half", ["POST /webhooks/espocrm/update HTTP/1.1\r\nHost: x\r\nX-A: ", "", None])
async def test_a_slow_sender_is_closed(door, half):
    host, port = door.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    began = time.monotonic()
    if half is None:  # the head ends, the body does not
        signature = signed(HOOK, SECRET, BODY)["Signature"]
        head = ["POST /webhooks/espocrm/update HTTP/1.1", "Host: x", f"Signature: {signature}", "Content-Length: 99"]
        half = "\r\n".join([*head, "", "["])
    writer.write(half.encode())
    try:
        answer = await asyncio.wait_for(reader.read(), 8)
    except ConnectionResetError:
        answer = b""
    assert time.monotonic() - began < 6
    assert answer == b"" or b" 503 " in answer.splitlines()[0]
    assert door.kept.refs == []
    writer.close()


OPEN = {
    ("GET", "/healthz"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/static/{name}"),
    ("POST", "/webhooks/espocrm/{event}"),
}

CLOSED = "/ /readyz /metrics /api/status /api/live /api/conflicts /conflicts /dead /held /search /records/{side}/{id}"
ACTIONS = "/logout /search /settle /retry /approve /unlink /values /language"


async def test_every_route_needs_the_token_but_those_that_are_named(door):
    found = set()
    for route in door.app.router.routes():
        path = route.resource.canonical
        method = "GET" if route.method == "*" else route.method
        if method == "HEAD":
            continue
        found.add((method, path))
        url = door.url + path.format(name="style.css", event="update", side="left", id="a1")
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "espo_advo_session=wrong"}):
            async with door.session.request(method, url, headers=headers, allow_redirects=False) as response:
                webhook = path.startswith("/webhooks/")
                signing_in = (method, path) == ("POST", "/login")
                wanted = 401 if (method, path) not in OPEN or webhook or signing_in else 200
                assert response.status == wanted, (method, path)
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert found >= OPEN
    assert found - OPEN == {("GET", path) for path in CLOSED.split()} | {("POST", path) for path in ACTIONS.split()}
    async with door.session.get(door.url + "/nowhere") as response:
        assert response.status == 401, "what there is not is not told either"


async def test_the_token_opens_by_header_and_by_a_session_of_this_site(door):
    async with door.session.get(door.url + "/readyz", headers=BEARER) as response:
        assert response.status == 200
    async with door.session.get(door.url + "/metrics", headers=BEARER) as response:
        assert response.status == 501
        assert "bidisync[metrics]" in await response.text()
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        async with browser.post(door.url + "/login", data={"token": "wrong"}) as response:
            assert response.status == 401
        elsewhere = {"Origin": "https://evil.example"}
        async with browser.post(door.url + "/login", data={"token": TOKEN}, headers=elsewhere) as response:
            assert response.status == 403
        async with browser.post(door.url + "/login", data={"token": TOKEN}) as response:
            assert response.status == 200
            assert str(response.url) == door.url + "/"
        (cookie,) = jar
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert TOKEN not in cookie.value
        async with browser.post(door.url + "/logout", headers=elsewhere) as response:
            assert response.status == 403
        async with browser.post(door.url + "/logout") as response:
            assert response.status == 403, "a form of ours has the session's proof"
        async with browser.get(door.url + "/") as response:
            (proof,) = set(re.findall(r'name="csrf" value="([^"]+)"', await response.text()))
        async with browser.post(door.url + "/logout", data={"csrf": proof}) as response:
            assert str(response.url) == door.url + "/login"
        async with browser.get(door.url + "/") as response:
            assert response.status == 401
