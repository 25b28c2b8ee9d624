"""What every lock provider promises: run the check on yours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bidisync.errors import Contended, SyncError
from bidisync.protocols import LockProvider
from bidisync.testing.broken import Broken, broken, holds

Make = Callable[[], Awaitable[LockProvider]]
"""Makes a provider of the same leases: two of them stand for two workers."""


async def check_lock_provider(make: Make, *, expire: Callable[[], Awaitable[None]] | None = None) -> None:
    """Fail with the name of the first promise that the providers made by ``make`` break.

    They should give up waiting after about a second. ``expire`` lets the time of a lease
    pass: with a clock that a test moves, or by waiting. Without it nobody sees whether a
    lease ends by itself.
    """
    laws = [_excludes, _hands_over, _renews, _is_given_back_after_an_error, _keeps_keys_apart]
    for law in laws:
        try:
            await law(await make(), await make())
        except SyncError as error:
            raise Broken(
                f"a key that nobody holds is refused ({type(error).__name__})",
                "give it back when the block ends, also after an error, and tell keys apart by all of their letters",
            ) from error
    if expire is not None:
        await _ends_by_itself(await make(), await make(), expire)


async def _ends_by_itself(one: LockProvider, two: LockProvider, expire: Callable[[], Awaitable[None]]) -> None:
    async with one.hold("slow") as late:
        await expire()
        holds(late.remaining() <= 0, "a lease that has ended has time remaining")
        try:
            async with two.hold("slow") as lease:
                try:
                    await late.renew()
                except Contended:
                    pass
                else:
                    broken("a lease that was lost can be renewed")
                holds(late.remaining() <= 0 < lease.remaining(), "a lease that was lost has time remaining")
        except SyncError as error:
            raise Broken("a lease never ends by itself", "let it end: its owner may be dead") from error


async def _excludes(one: LockProvider, two: LockProvider) -> None:
    inside = 0

    async def work(locks: LockProvider) -> None:
        nonlocal inside
        for _ in range(5):
            async with locks.hold("shared"):
                inside += 1
                holds(inside == 1, "a key is held by one at a time")
                await asyncio.sleep(0)
                inside -= 1

    await asyncio.gather(work(one), work(two), work(one))


async def _hands_over(one: LockProvider, two: LockProvider) -> None:
    async with one.hold("busy"):
        try:
            async with two.hold("busy"):
                broken("a key that is held is not handed out")
        except Contended:
            pass
    async with two.hold("busy") as lease:
        holds(lease.remaining() > 0, "a key that was given back is handed out")


async def _renews(one: LockProvider, two: LockProvider) -> None:
    async with one.hold("renewed") as lease:
        before = lease.remaining()
        holds(0 < before <= one.lease_s, "a lease lasts no longer than it should")
        await lease.renew()
        holds(before - 0.5 <= lease.remaining() <= one.lease_s, "a renewed lease lasts its time again")


async def _is_given_back_after_an_error(one: LockProvider, two: LockProvider) -> None:
    class Mishap(Exception):
        pass

    try:
        async with one.hold("mishap"):
            raise Mishap
    except Mishap:
        pass
    async with two.hold("mishap") as lease:
        holds(lease.remaining() > 0, "an error in the block gives the key back")


async def _keeps_keys_apart(one: LockProvider, two: LockProvider) -> None:
    async with one.hold("a"), one.hold("b"), two.hold("left:a:*"), two.hold("x" * 5000):
        pass
