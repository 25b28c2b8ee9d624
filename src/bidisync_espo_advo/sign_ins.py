"""A sign-in to Advoware that outlives its process: token and addresses, sealed, for whoever has the key.

What is kept spares calls and proves nothing. A store that was wiped, can't be reached or holds
something that this key does not open only costs a sign-in. Nothing is ever kept in the clear.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import attrs

from bidisync.errors import Misconfigured, Transient
from bidisync.protocols import Clock, LockProvider
from bidisync.storage import Seal, StateStore
from bidisync_espo_advo.connections import AdvowareConfig

if TYPE_CHECKING:
    from bidisync.locks.redis import RedisLocks


@attrs.frozen
class Addresses:
    """Where the API and the token service are, each with a slash at the end."""

    api: str
    security: str


@attrs.frozen
class Token:
    """A token and when it ends."""

    text: str = attrs.field(repr=False)
    expires_at: float


@attrs.frozen
class SignIn:
    """What a sign-in brought: where to send requests, and what lets them in."""

    addresses: Addresses
    token: Token


class TokenStore(Protocol):
    """Keeps short texts for other processes. It is handed only sealed ones; losing them is harmless."""

    async def get(self, name: str) -> str | None:
        """The text, if it is there."""
        ...

    async def put(self, name: str, text: str, seconds: float) -> None:
        """Keep it in place of what was there; it may vanish after that time, or before."""
        ...


@attrs.frozen(eq=False, repr=False)
class RedisTokens:
    """Texts in the Redis server of the locks, which forgets them by itself."""

    locks: RedisLocks

    async def get(self, name: str) -> str | None:
        """The text, if it is there."""
        found: object = await self.locks.command(self.locks.client.get(self._key(name)))
        return found.decode("ascii", "replace") if isinstance(found, bytes) else None

    async def put(self, name: str, text: str, seconds: float) -> None:
        """Keep it for that time."""
        await self.locks.command(self.locks.client.set(self._key(name), text, px=max(1, int(seconds * 1000))))

    def _key(self, name: str) -> str:
        return f"{self.locks.namespace}:{name}"


@attrs.frozen(eq=False, repr=False)
class StateTokens:
    """Texts in the state store, which all processes of a machine share without a server."""

    store: StateStore

    async def get(self, name: str) -> str | None:
        """The text, if it is there."""
        kept = await self.store.get_mark(name)
        return None if kept is None else kept.removeprefix(_MARKED)

    async def put(self, name: str, text: str, seconds: float) -> None:
        """Keep it until it is replaced."""
        await self.store.set_mark(name, _MARKED + text)


@attrs.frozen(eq=False, repr=False)
class SignIns:
    """Sign-ins shared between processes: one refresh at a time, whoever asks.

    ``locks`` must be known to all of these processes. A process that dies while it signs in
    holds the others up until its lease ends, at most.
    """

    store: TokenStore
    locks: LockProvider
    seal: Seal = attrs.field(repr=False)
    clock: Clock

    async def load(self, config: AdvowareConfig) -> SignIn | None:
        """What another process left for exactly this configuration, if it still lasts."""
        name = _name(config)
        try:
            sealed = await self.store.get(name)
            kept = None if sealed is None else json.loads(self.seal.unseal(sealed))
            if kept is None or kept["for"] != name:
                return None
            token = Token(str(kept["token"]), float(kept["expires_at"]))
            found = SignIn(Addresses(str(kept["api"]), str(kept["security"])), token)
        except (Transient, Misconfigured, ValueError, TypeError, KeyError):
            return None  # out of reach, of another key, or nonsense: as if there were none
        return found if found.token.expires_at > self.clock.now() else None

    async def save(self, config: AdvowareConfig, made: SignIn) -> None:
        """Leave a sign-in for the others, if the store can be reached."""
        name, token = _name(config), made.token
        kept = {"for": name, "token": token.text, "expires_at": token.expires_at, **attrs.asdict(made.addresses)}
        try:
            await self.store.put(name, self.seal.seal(json.dumps(kept)), token.expires_at - self.clock.now())
        except Transient:
            return

    @asynccontextmanager
    async def alone(self, config: AdvowareConfig) -> AsyncIterator[None]:
        """While nobody else signs in; without that promise where no lease is to be had."""
        async with AsyncExitStack() as stack:
            with suppress(Transient):
                await stack.enter_async_context(self.locks.hold(_name(config)))
            yield


_MARKED = "token "  # a state without a key of its own refuses what begins like a sealed text


def _name(config: AdvowareConfig) -> str:
    """Of everything that a sign-in depends on, so that no other firm, user or password shares it."""
    parts = attrs.astuple(config, filter=lambda field, _: field.name in _DECIDES)
    return f"sign-in:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"


_DECIDES = frozenset(
    "discovery_url api_url security_url kanzlei database user password role product app_id api_key".split()
)
