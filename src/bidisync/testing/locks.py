"""What every lock provider promises: run the check on yours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from bidisync.errors import Contended, SyncError
from bidisync.protocols import LockProvider
from bidisync.testing import free_keys
from bidisync.testing.broken import Broken, NotJudgedError, broken, holds

Make = Callable[[], Awaitable[LockProvider]]
"""Makes a provider of the same leases: two of them stand for two workers. They share what is held."""
Law = Callable[[LockProvider, LockProvider], Awaitable[None]]
TimedLaw = Callable[[free_keys.Expire, LockProvider, LockProvider], Awaitable[None]]


async def check_lock_provider(
    make: Make, *, expire: Callable[[], Awaitable[None]] | None = None, patience_s: float = 10.0
) -> None:
    """Fail with the name of the first promise that the providers made by ``make`` break. Has to be awaited.

    They should give up waiting after about a second (``LocalLocks(wait_s=0.2)``), and have
    to within ``patience_s``: the check waits for keys that are held. ``expire`` lets the time
    of a lease pass: with a clock that a test moves, or by waiting. Without it nobody sees
    whether a lease ends by itself. A provider that can hold many keys at once (``HoldsFree``)
    is judged for that, too.
    """
    laws: list[Law] = [
        _excludes,
        partial(_hands_over, patience_s=patience_s),
        _renews,
        _is_given_back_after_an_error,
        _keeps_keys_apart,
        *free_keys.LAWS,
    ]
    if expire is not None:
        timed: tuple[TimedLaw, ...] = (_ends_by_itself, *free_keys.TIMED)
        laws += [partial(law, expire) for law in timed]
    try:
        for law in laws:
            with suppress(NotJudgedError):
                await law(await make(), await make())
    except SyncError as error:
        raise Broken(
            f"a key that nobody holds is refused ({type(error).__name__})",
            "give it back when the block ends, also after an error, and tell keys apart by all of their letters",
        ) from error


async def _ends_by_itself(expire: free_keys.Expire, one: LockProvider, two: LockProvider) -> None:
    async with one.hold("slow") as late:
        await expire()
        holds(late.remaining() <= 0, "a lease that has ended has time remaining", "tell 0 from its end on")
        try:
            async with two.hold("slow") as lease:
                try:
                    await late.renew()
                except Contended:
                    pass
                else:
                    broken("a lease that was lost can be renewed", "raise Contended: somebody else holds the key")
                holds(
                    late.remaining() <= 0 < lease.remaining(),
                    "a lease that was lost has time remaining",
                    "tell the owner 0, and whoever took over the full time",
                )
        except SyncError as error:
            raise Broken("a lease never ends by itself", "let it end: its owner may be dead") from error


async def _excludes(one: LockProvider, two: LockProvider) -> None:
    inside = 0

    async def work(locks: LockProvider) -> None:
        nonlocal inside
        for _ in range(5):
            async with locks.hold("shared"):
                inside += 1
                holds(
                    inside == 1,
                    "a key is held by two at a time",
                    "take it in one step; and let what make gives share its leases: one object, or one server",
                )
                await asyncio.sleep(0)
                inside -= 1

    await asyncio.gather(work(one), work(two), work(one))


async def _hands_over(one: LockProvider, two: LockProvider, patience_s: float) -> None:
    async with one.hold("busy"):
        try:
            async with asyncio.timeout(patience_s) as time, two.hold("busy"):
                broken("a key that is held is handed out", "refuse it with Contended")
        except Contended:
            pass
        except TimeoutError as error:
            if not time.expired():
                raise
            raise Broken(
                f"whoever waits for a key that is held does not give up within {patience_s:g} seconds",
                "raise Contended after a while; give the check a provider that waits shortly: LocalLocks(wait_s=0.2)",
            ) from error
    async with two.hold("busy") as lease:
        holds(lease.remaining() > 0, "a key that was given back is handed out without time", "begin a lease anew")


async def _renews(one: LockProvider, two: LockProvider) -> None:
    async with one.hold("renewed") as lease:
        before = lease.remaining()
        holds(0 < before <= one.lease_s, "a lease lasts longer than it should", "tell what is left of lease_s")
        await lease.renew()
        again = lease.remaining()
        holds(before - 0.5 <= again <= one.lease_s, "a renewed lease does not last its time again", "begin it anew")


async def _is_given_back_after_an_error(one: LockProvider, two: LockProvider) -> None:
    class Mishap(Exception):
        pass

    try:
        async with one.hold("mishap"):
            raise Mishap
    except Mishap:
        pass
    async with two.hold("mishap") as lease:
        holds(lease.remaining() > 0, "a key that an error gave back is handed out without time", "begin a lease anew")


async def _keeps_keys_apart(one: LockProvider, two: LockProvider) -> None:
    async with one.hold("a"), one.hold("b"), two.hold("left:a:*"), two.hold("x" * 5000):
        pass
