"""Leases in Redis (or Valkey), for several processes and machines.

A lease is one key with an owner's token and an end. It keeps two workers from doing the
same work; it proves nothing to the remote systems, which is why everything that is written
is also checked against versions, revisions and intents. A wiped or promoted Redis may hand
a key out twice, and nothing breaks.

A lease costs one round trip to take and one to give back. Tasks of this process that want
the same key wait in line without asking; and what several tasks ask at once travels together.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Sequence
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
    over: asyncio.Event = attrs.field(factory=asyncio.Event, repr=False)

    def remaining(self) -> float:
        """Seconds that are certain: counted from before the request that granted them."""
        return max(0.0, self._ends_at - self._locks.clock.monotonic())

    async def renew(self) -> None:
        """Make it last its full time again; ``Contended`` once somebody else has the key."""
        asked_at = self._locks.clock.monotonic()
        if await self._locks.ask(RENEW, self._key, self._token):
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

    async def take(self) -> bool:
        """Whether the key is ours now."""
        asked_at = self._locks.clock.monotonic()
        self._ends_at = asked_at + self._locks.lease_s
        return bool(await self._locks.ask(TAKE, self._key, self._token))

    async def release(self) -> None:
        """Give it back if it is still ours."""
        await self._locks.ask(RELEASE, self._key, self._token)


@attrs.define(eq=False)
class Together:
    """Sends what is asked at the same time in one round trip; what comes meanwhile goes with the next."""

    _locks: RedisLocks
    _asked: list[tuple[tuple[str, ...], asyncio.Future[int]]] = attrs.Factory(list)
    _sending: asyncio.Task[None] | None = None

    async def ask(self, script: str, key: str, token: str, lease_ms: str) -> int:
        """The script's answer. A key that is granted to somebody who has gone is given back."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._asked.append(((script, key, token, lease_ms), answer))
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())
        return await answer

    async def end(self) -> None:
        """Stop what is still being sent: nobody waits for it any more."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])

    async def _send(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, []
                for (arguments, future), answer in zip(asked, await self._answers(asked), strict=True):
                    if not future.cancelled():
                        _tell(future, answer)
                    elif arguments[0] == TAKE and answer == 1:
                        nobody: asyncio.Future[int] = asyncio.get_running_loop().create_future()
                        nobody.cancel()
                        self._asked.append(((RELEASE, *arguments[1:]), nobody))
        finally:
            self._sending = None

    async def _answers(self, asked: Sequence[tuple[tuple[str, ...], object]]) -> Sequence[int | Exception]:
        pipeline = self._locks.client.pipeline(transaction=False)
        for (script, *arguments), _ in asked:
            pipeline.eval(script, 1, *arguments)
        try:
            return cast(Sequence[int | Exception], await pipeline.execute(raise_on_error=False))
        except (RedisError, OSError, TimeoutError) as error:  # told to everybody who asked
            return [error] * len(asked)


def _tell(future: asyncio.Future[int], answer: int | Exception) -> None:
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


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
    _here: dict[str, RedisLease] = attrs.field(factory=dict, init=False, repr=False)
    _together: Together = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._together = Together(self)

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
            try:
                with suppress(Unavailable, TimeoutError):  # it ends by itself, and a stop waits behind this
                    async with asyncio.timeout(RELEASE_S):
                        await lease.release()
            finally:
                self._leave(key, lease)

    async def _take(self, key: str) -> RedisLease:
        name = f"{self.namespace}:lock:{hashlib.sha256(key.encode()).hexdigest()}"
        gives_up_at = self.clock.monotonic() + self.wait_s
        await self._in_line(key, gives_up_at)
        lease = self._here[key] = RedisLease(self, name, self.chance.token(), self.clock.monotonic() + self.lease_s)
        try:
            while not await lease.take():
                if self.clock.monotonic() >= gives_up_at:
                    raise Contended("another worker is at this record")
                await self.clock.sleep(0.02 + 0.08 * self.chance.fraction())
        except BaseException:
            self._leave(key, lease)
            raise
        return lease

    async def _in_line(self, key: str, gives_up_at: float) -> None:
        """Wait while another task of this process holds the key, or asks for it."""
        while (holder := self._here.get(key)) is not None and holder.remaining() > 0:
            left = gives_up_at - self.clock.monotonic()
            if left <= 0:
                raise Contended("another worker is at this record")
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, holder.remaining())):
                    await holder.over.wait()

    def _leave(self, key: str, lease: RedisLease) -> None:
        """Let the next task of this process have its turn."""
        if self._here.get(key) is lease:
            del self._here[key]
        lease.over.set()

    async def ask(self, script: str, key: str, token: str) -> int:
        """The answer of a script to the owner of this token."""
        return await self.command(self._together.ask(script, key, token, str(int(self.lease_s * 1000))))

    async def command(self, command: Awaitable[T]) -> T:
        """The answer of Redis; ``Unavailable`` where there is none."""
        try:
            return await command
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable("the Redis server of lock.url can't be reached", system="lock") from error

    async def close(self) -> None:
        """Close what ``open`` opened."""
        await self._together.end()
        if self._owned:
            self._owned = False
            await self.client.aclose()


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
