"""Workers on many machines: the store keeps the hints, a Redis only wakes somebody for them.

Redis may be wiped, restarted or out of reach: then hints are found a little later, for every
worker also looks into the store by itself and takes what nobody ran. What goes over Redis is
the name of a record and nothing else. As whoever can write there can run code here (docket's
arguments are pickled), the server has to be one's own.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import attrs
from docket import ConcurrencyLimit, Docket, Worker
from redis.exceptions import RedisError

from bidisync.clock import SystemClock
from bidisync.errors import Misconfigured, Transient
from bidisync.model import Ref
from bidisync.protocols import Clock, Look, Observer
from bidisync.runners.dealing import LOG, Dealing
from bidisync.runners.local import LocalQueue
from bidisync.storage import HintStore

TASK = "look"
OUT_OF_REACH = (RedisError, OSError, TimeoutError)
AGAIN_S = 1.0
HAND_BACK_S, INSIST_S, NUDGES = 2.0, 0.1, 5


@attrs.define(eq=False)
class DocketQueue:
    """``WorkQueue`` over a store that all machines share. Open it with ``DocketQueue.open``.

    ``resend_s`` is how long a hint may wait that nobody was woken for.
    """

    url: str = attrs.field(repr=False)
    name: str
    store: HintStore
    clock: Clock
    concurrency: int
    hold_s: float
    resend_s: float
    grace_s: float = 5.5
    observe: Observer = lambda event: None
    _looking: set[asyncio.Future[None]] = attrs.Factory(set)
    _wakes: dict[Ref, float] = attrs.Factory(dict)
    _waking: asyncio.Event = attrs.Factory(asyncio.Event)
    _dealing: Dealing = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._dealing = Dealing(self.store, self.clock, self.hold_s, self.observe)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        store: HintStore,
        clock: Clock | None = None,
        concurrency: int = 10,
        hold_s: float = 60.0,
        *,
        name: str = "bidisync",
        resend_s: float = 5.0,
        observe: Observer = lambda event: None,
    ) -> AsyncIterator[DocketQueue]:
        """The queue, until the block ends; a Redis that is out of reach may come later.

        ``Misconfigured`` for a server that is neither local nor asks for a password.
        """
        parts = urlsplit(url)
        if not parts.password and not _loopback(parts.hostname or "localhost"):
            raise Misconfigured("queue.url names a Redis server elsewhere without a password; add one")
        logging.getLogger("docket").setLevel(logging.CRITICAL)  # its lines name records
        queue = cls(url, name, store, clock or SystemClock(), concurrency, hold_s, resend_s, observe=observe)
        sender = asyncio.get_running_loop().create_task(queue._connected(queue._send))
        try:
            yield queue
        finally:
            sender.cancel()
            with suppress(asyncio.CancelledError):
                await sender

    async def submit(self, refs: Sequence[Ref], *, not_before: float = 0.0) -> None:
        """Keep a hint for each record; then wake somebody, now or when it is due."""
        await self.store.hint(refs, self.clock.now(), not_before=not_before)
        self._wake(refs, not_before)

    async def run(self, look: Look) -> None:
        """Work until cancelled: what one is woken for, and what nobody was woken for."""
        alone = LocalQueue(self.store, self.clock, self.concurrency, self.hold_s, self.resend_s, dealing=self._dealing)
        async with asyncio.TaskGroup() as group:
            group.create_task(alone.run(look))
            group.create_task(self._connected(lambda docket: self._work(docket, look)))

    async def _connected(self, use: Callable[[Docket], Awaitable[None]]) -> None:
        """Use a connection to Redis, and another one whenever it broke."""
        told = False
        while True:
            using = asyncio.ensure_future(self._with_docket(use))
            try:
                await asyncio.shield(using)
            except asyncio.CancelledError:
                using.cancel()
                await asyncio.wait([using], timeout=self.grace_s + HAND_BACK_S + NUDGES * INSIST_S)
                await _insist(using)
                raise
            except OUT_OF_REACH as error:
                if not told:
                    LOG.warning("the Redis server of queue.url is out of reach: %s", type(error).__name__)
                told = True
            await self.clock.sleep(AGAIN_S)

    async def _with_docket(self, use: Callable[[Docket], Awaitable[None]]) -> None:
        async with Docket(self.name, self.url) as docket:
            await use(docket)

    async def _work(self, docket: Docket, look: Look) -> None:
        """Run what one is woken for: one task of a record at a time, on all machines together."""

        async def task(record: str, _one: ConcurrencyLimit = ConcurrencyLimit("record", 1)) -> None:  # noqa: B008 - docket reads it there
            under_way = asyncio.ensure_future(self._run(Ref.parse(record), look))
            self._looking.add(under_way)
            try:
                with suppress(Transient):  # the state is out of reach: the hint stays
                    await under_way
            finally:
                self._looking.discard(under_way)

        docket.register(task, names=[TASK])
        async with Worker(
            docket,
            concurrency=self.concurrency,
            redelivery_timeout=timedelta(seconds=self.hold_s),
            reconnection_delay=timedelta(seconds=AGAIN_S),
            schedule_automatic_tasks=False,
        ) as worker:
            serving = asyncio.ensure_future(worker.run_forever())
            try:
                await asyncio.shield(serving)
            except asyncio.CancelledError:
                serving.cancel()  # it takes nothing new, and ends once its looks have
                try:
                    await asyncio.wait([serving], timeout=self.grace_s)
                finally:
                    looks = list(self._looking)
                    for under_way in looks:
                        under_way.cancel()
                if looks:
                    await asyncio.wait(looks, timeout=HAND_BACK_S)
                if not serving.done():
                    LOG.warning(
                        "the Redis server of queue.url does not answer: the work ends without it, hints are kept"
                    )
                await _insist(serving)
                raise

    async def _run(self, ref: Ref, look: Look) -> None:
        if self._dealing.wait() > 0:
            return  # a system is out of order: what waits is taken up in the order of its age
        now = self.clock.now()
        hints = await self.store.take(now, limit=1, until=now + self.hold_s, only=ref)
        if not hints:
            self._dealing.untried()
        for hint in hints:
            again_at = await self._dealing.settle(hint, look)
            if again_at is not None and not self._dealing.careful:
                self._wake([ref], again_at)

    def _wake(self, refs: Sequence[Ref], at: float) -> None:
        self._wakes.update(dict.fromkeys(refs, at))
        self._waking.set()

    async def _send(self, docket: Docket) -> None:
        """Tell Redis whom to wake for; what it does not take is found by looking."""

        async def task(record: str) -> None:
            """Stands for the one of the workers."""

        docket.register(task, names=[TASK])
        while True:
            await self._waking.wait()
            self._waking.clear()
            wakes, self._wakes = self._wakes, {}
            now = self.clock.now()
            await docket.replace_many(
                docket.call(TASK, _moment(max(at, now)), _key(ref))(str(ref)) for ref, at in wakes.items()
            )


async def _insist(task: asyncio.Future[None]) -> None:
    """End it: whatever it waits for is broken off, and what it waits for then, as a frozen server answers nothing."""
    for _ in range(NUDGES):
        if task.done():
            return
        task.cancel()
        await asyncio.wait([task], timeout=INSIST_S)


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _key(ref: Ref) -> str:
    return hashlib.sha256(str(ref).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
