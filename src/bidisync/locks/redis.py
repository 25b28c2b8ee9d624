"""Leases in Redis (or Valkey), for several processes and machines.

A lease is one key with an owner's token and an end. It keeps two workers from doing the
same work; it proves nothing to the remote systems, which is why everything that is written
is also checked against versions, revisions and intents. A wiped or promoted Redis may hand
a key out twice, and nothing breaks.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar, cast
from urllib.parse import urlsplit

import attrs
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError

from bidisync.clock import SystemChance, SystemClock
from bidisync.errors import Contended, Misconfigured, Unavailable
from bidisync.protocols import Chance, Clock, Lease

T = TypeVar("T")
ANSWER_S = 5.0
RELEASE_S = 1.0
TAKE = (
    "if redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end "
    "if redis.call('get', KEYS[1]) == ARGV[1] then return 1 end return 0"
)  # asked again after a lost answer, it says that the key is ours already
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"


@attrs.define(eq=False)
class RedisLease:
    """A lease of ``RedisLocks``: renewed in the background while its block runs."""

    _locks: RedisLocks
    _key: str = attrs.field(repr=False)
    _token: str = attrs.field(repr=False)
    _ends_at: float

    def remaining(self) -> float:
        """Seconds that are certain: counted from before the request that granted them."""
        return max(0.0, self._ends_at - self._locks.clock.monotonic())

    async def renew(self) -> None:
        """Make it last its full time again; ``Contended`` once somebody else has the key."""
        asked_at = self._locks.clock.monotonic()
        arguments = (self._token, str(int(self._locks.lease_s * 1000)))
        if await self._locks.command(self._locks.client.eval(RENEW, 1, self._key, *arguments)):
            self._ends_at = asked_at + self._locks.lease_s
        else:
            self._ends_at = asked_at
            raise Contended("the lease was lost")

    async def keep(self) -> None:
        """Renew at every third of the lease until it is lost or nobody waits for it any more."""
        while self.remaining() > 0:
            await self._locks.clock.sleep(self._locks.lease_s / 3)
            try:
                await self.renew()
            except Contended:
                return
            except Unavailable:
                continue  # it runs out by itself, which ``remaining`` shows

    async def release(self) -> None:
        """Give it back if it is still ours."""
        await self._locks.command(self._locks.client.eval(RELEASE, 1, self._key, self._token))


@attrs.define(eq=False)
class RedisLocks:
    """Leases on one Redis server. ``client`` stays the caller's unless ``open`` made it."""

    client: aioredis.Redis = attrs.field(repr=False)
    lease_s: float = 60.0
    wait_s: float = 5.0
    namespace: str = "bidisync"
    clock: Clock = attrs.Factory(SystemClock)
    chance: Chance = attrs.Factory(SystemChance)
    _owned: bool = False

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        lease_s: float = 60.0,
        wait_s: float = 5.0,
        namespace: str = "bidisync",
        clock: Clock | None = None,
    ) -> RedisLocks:
        """Connect; ``Misconfigured`` for a server that is neither local nor asks for a password."""
        locks = cls.at(url, lease_s=lease_s, wait_s=wait_s, namespace=namespace, clock=clock)
        try:
            await locks.command(cast(Awaitable[object], locks.client.ping()))
        except Unavailable:
            await locks.close()
            raise
        return locks

    @classmethod
    def at(
        cls,
        url: str,
        *,
        lease_s: float = 60.0,
        wait_s: float = 5.0,
        namespace: str = "bidisync",
        clock: Clock | None = None,
    ) -> RedisLocks:
        """The same without asking whether the server is there.

        A command waits for an answer for 5 s at most. It is sent again, once, only where the
        connection broke: after a restart of the server every connection is such a one.
        """
        try:
            parts = urlsplit(url)
            host, password, _ = parts.hostname or "localhost", parts.password, parts.port
        except ValueError as error:
            raise Misconfigured("lock.url must have the form redis://HOST:PORT/NUMBER") from error
        if not password and not _loopback(host):
            raise Misconfigured("lock.url names a Redis server elsewhere without a password; add one")
        once_more = Retry(NoBackoff(), 1, supported_errors=(Disconnected,))
        client = aioredis.Redis.from_url(url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=once_more)
        return cls(client, lease_s, wait_s, namespace, clock or SystemClock(), owned=True)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[Lease]:
        """Hold the key until the block ends, renewed as long as Redis can be reached."""
        lease = await self._take(key)
        keeper = asyncio.get_running_loop().create_task(lease.keep())
        try:
            yield lease
        finally:
            keeper.cancel()
            with suppress(Unavailable, TimeoutError):  # it ends by itself, and a stop waits behind this
                async with asyncio.timeout(RELEASE_S):
                    await lease.release()

    async def _take(self, key: str) -> RedisLease:
        name = f"{self.namespace}:lock:{hashlib.sha256(key.encode()).hexdigest()}"
        token = self.chance.token()
        gives_up_at = self.clock.monotonic() + self.wait_s
        while True:
            asked_at = self.clock.monotonic()
            if await self.command(self.client.eval(TAKE, 1, name, token, str(int(self.lease_s * 1000)))):
                return RedisLease(self, name, token, asked_at + self.lease_s)
            if self.clock.monotonic() >= gives_up_at:
                raise Contended("another worker is at this record")
            await self.clock.sleep(0.02 + 0.08 * self.chance.fraction())

    async def command(self, command: Awaitable[T]) -> T:
        """The answer of Redis; ``Unavailable`` where there is none."""
        try:
            return await command
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable("the Redis server of lock.url can't be reached", system="lock") from error

    async def close(self) -> None:
        """Close what ``open`` opened."""
        if self._owned:
            self._owned = False
            await self.client.aclose()


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
