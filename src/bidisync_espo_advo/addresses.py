"""Which addresses a remote may name: none inside a private network, however it is spelled or resolved.

An address in the settings is trusted. One that a discovery service names is not, unless the
discovery itself is private: else whoever answers there could have us send a password, or any
request, to a machine behind the firewall.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

import aiohttp
import attrs
from aiohttp.abc import AbstractResolver, ResolveResult

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "localdomain")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def host_of(url: str) -> str:
    """The host of a web address; empty for what is none, or holds credentials."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.username is None and (parts.port or 1) > 0
    except ValueError:
        return ""
    return (parts.hostname or "").rstrip(".") if fits else ""


def is_inside(host: str) -> bool:
    """Whether a host, by its name or number alone, lies in a private network or in this machine."""
    host = host.strip("[]").rstrip(".").lower()
    if not host or ("." not in host and ":" not in host and not _NUMBER.fullmatch(host)):
        return True  # a single word is a name of the local network
    if host.rpartition(".")[2] in _LOCAL_NAMES:
        return True
    address = _address(host)
    return address is not None and _is_inside(address)


def _address(host: str) -> Address | None:
    """The number that a host is, also in the spellings that only old resolvers know."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        parts = host.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        values = [
            int(p, 16) if p[:2] in ("0x", "0X") else int(p, 8 if p[0] == "0" and len(p) > 1 else 10) for p in parts
        ]
        number = values.pop()
        for place, value in enumerate(values):
            number += value << (24 - 8 * place)
        return ipaddress.IPv4Address(number)
    except ValueError:
        return ipaddress.IPv4Address(0)  # no number that there is: nowhere to go


def _whole(text: str) -> int:
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    return int(text, 8 if text.startswith("0") and len(text) > 1 else 10)


def _is_inside(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_inside(inner)
    return not address.is_global or address.is_multicast


@attrs.define(eq=False, repr=False)
class PublicResolver(AbstractResolver):
    """Resolves names; refuses one that leads into a private network, at each connection anew.

    ``trusted`` are the hosts of the settings; if one of ``doors`` is found to be private, so
    may be what it names.
    """

    trusted: frozenset[str] = frozenset()
    doors: frozenset[str] = frozenset()
    inner: AbstractResolver | None = None
    _inside: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._inside = any(door and is_inside(door) for door in self.doors)

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """The addresses of a host; ``OSError`` where one of them must not be used."""
        if self.inner is None:
            self.inner = aiohttp.ThreadedResolver()
        found = await self.inner.resolve(host, port, family)
        private = any(is_inside(result["host"]) for result in found)
        if private and host.rstrip(".") in self.doors:
            self._inside = True
        if private and not self._inside and host.rstrip(".") not in self.trusted:
            raise OSError("a name that was not configured leads into a private network")
        return found

    async def close(self) -> None:
        """Close what was opened here."""
        if self.inner is not None:
            await self.inner.close()
