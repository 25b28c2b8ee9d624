"""No request goes where only a foreign answer names the way: not into the firm's own network."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import aiohttp
import attrs
import pytest

from bidisync.clock import SystemChance, SystemClock
from bidisync.errors import Misconfigured
from bidisync_espo_advo import Settings
from bidisync_espo_advo.addresses import PublicResolver, is_inside
from bidisync_espo_advo.advoware_session import AdvowareSession
from bidisync_espo_advo.transport import HttpTransport, NotSent, Request, Response
from bidisync_espo_advo.wire import Wire

INSIDE = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.0.0.1.", "0.0.0.0",
    "10.0.0.5", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "2852039166", "224.0.0.1",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[fe80::1]", "[fe80::1%25eth0]", "[fd00::1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "localhost", "LOCALHOST.", "api.localhost", "intranet", "crm.firma.local",
]  # fmt: skip
OUTSIDE = ["www2.advo-net.net", "security.advo-net.net", "203.0.114.7", "8.8.8.8", "[2606:4700::1111]", "134744072"]
NO_ADDRESS = [
    "file:///etc/passwd",
    "gopher://x.example/",
    "https://user:word@x.example/",
    "https://[::1",
    "//x.example/",
    "https://x.example:99999/",
    "javascript:1",
]


@attrs.define
class Discovery:
    """A transport that answers every request with these addresses."""

    api: str
    security: str = "https://security.example/"
    sent: list[str] = attrs.Factory(list)

    async def send(self, request: Request) -> Response:
        self.sent.append(request.url)
        return Response(200, {}, json.dumps({"relayUrl": self.api, "securityGateway": self.security}).encode())

    async def close(self) -> None:
        """Nothing is held."""


async def discovered(transport: Discovery, url: str = "https://www2.advo-net.net/") -> str:
    config = attrs.evolve(Settings().advoware, kanzlei="k", discovery_url=url)
    session = AdvowareSession(config, Wire("advoware", transport, SystemClock()), SystemClock(), SystemChance())
    return (await session.addresses()).api


@pytest.mark.parametrize("host", INSIDE)
async def test_a_discovery_cannot_name_an_address_inside(host):
    assert is_inside(host)
    for transport in (Discovery(f"https://{host}/"), Discovery("https://relay.example/", f"https://{host}:8443/")):
        with pytest.raises(Misconfigured, match="set advoware"):
            await discovered(transport)
        assert len(transport.sent) == 1


@pytest.mark.parametrize("url", NO_ADDRESS)
async def test_a_discovery_cannot_name_what_is_no_web_address(url):
    with pytest.raises(Misconfigured, match=r"set advoware\.api_url"):
        await discovered(Discovery(url))


@pytest.mark.parametrize("host", OUTSIDE)
async def test_public_addresses_are_followed_and_only_with_tls(host):
    assert not is_inside(host)
    assert await discovered(Discovery(f"https://{host}:90")) == f"https://{host}:90/"
    with pytest.raises(Misconfigured, match="without TLS"):
        await discovered(Discovery(f"http://{host}/"))


async def test_a_discovery_inside_may_name_an_address_inside():
    transport = Discovery("http://127.0.0.1:81/", "http://localhost:82/")
    assert await discovered(transport, "http://127.0.0.1:80/") == "http://127.0.0.1:81/"


async def test_an_address_in_the_settings_is_trusted():
    config = attrs.evolve(Settings().advoware, kanzlei="k", api_url="https://10.0.0.5/")
    transport = Discovery("https://relay.example/")
    session = AdvowareSession(config, Wire("advoware", transport, SystemClock()), SystemClock(), SystemChance())
    assert (await session.addresses()).api == "https://10.0.0.5/"


@attrs.define
class Rebinding(aiohttp.abc.AbstractResolver):
    """A name that is public when it is first asked for, and inside afterwards."""

    asked: int = 0

    async def resolve(self, host, port=0, family=0):
        self.asked += 1
        address = "203.0.114.7" if self.asked == 1 else "127.0.0.1"
        return [{"hostname": host, "host": address, "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("foreign", [False, True], ids=["own session", "a session that was given"])
async def test_a_name_that_turns_into_one_inside_is_refused_at_each_connection(foreign):
    resolver = PublicResolver(inner=Rebinding())
    assert await resolver.resolve("relay.example", 80)
    connected: list[object] = []
    server = await asyncio.start_server(lambda _reader, writer: connected.append(writer.close()), "127.0.0.1", 0)
    session = aiohttp.ClientSession() if foreign else None
    if session is not None:  # whose own connections would go there
        session.connector._resolver = Rebinding(asked=1)
    transport = HttpTransport(2.0, session, resolver)
    with pytest.raises(NotSent):
        await transport.send(Request("GET", f"http://relay.example:{server.sockets[0].getsockname()[1]}/"))
    assert not connected
    await transport.close()
    server.close()
    if session is not None:
        await session.close()


async def test_the_hosts_of_the_settings_may_be_inside():
    resolver = PublicResolver(trusted=frozenset({"api.firma.example"}), inner=Rebinding(asked=1))
    assert await resolver.resolve("api.firma.example", 80)
    with pytest.raises(OSError, match="private network"):
        await resolver.resolve("other.example", 80)
    door = PublicResolver(doors=frozenset({"advoware.firma.example"}), inner=Rebinding(asked=1))
    assert await door.resolve("advoware.firma.example", 80)
    assert await door.resolve("other.example", 80), "what a private discovery names may be private"


def test_certificates_are_always_verified():
    source = Path(__file__).parents[2] / "src"
    for file in source.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"ssl\s*=\s*False|verify_ssl|CERT_NONE|check_hostname|_create_unverified", text), file.name
