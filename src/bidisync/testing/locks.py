"""What every lock provider promises, as assertions: run it on yours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bidisync.errors import Contended
from bidisync.protocols import LockProvider

Make = Callable[[], Awaitable[LockProvider]]
"""Makes a provider of the same leases: two of them stand for two workers."""


async def check_lock_provider(make: Make) -> None:
    """Fail with the name of the first promise that the providers made by ``make`` break.

    They should give up waiting after about a second.
    """
    for law in (_excludes, _hands_over, _renews, _is_given_back_after_an_error, _keeps_keys_apart):
        await law(await make(), await make())


async def _excludes(one: LockProvider, two: LockProvider) -> None:
    inside = 0

    async def work(locks: LockProvider) -> None:
        nonlocal inside
        for _ in range(5):
            async with locks.hold("shared"):
                inside += 1
                assert inside == 1, "a key is held by one at a time"
                await asyncio.sleep(0)
                inside -= 1

    await asyncio.gather(work(one), work(two), work(one))


async def _hands_over(one: LockProvider, two: LockProvider) -> None:
    async with one.hold("busy"):
        try:
            async with two.hold("busy"):
                raise AssertionError("a key that is held is not handed out")
        except Contended:
            pass
    async with two.hold("busy") as lease:
        assert lease.remaining() > 0, "a key that was given back is handed out"


async def _renews(one: LockProvider, two: LockProvider) -> None:
    async with one.hold("renewed") as lease:
        before = lease.remaining()
        assert 0 < before <= one.lease_s, "a lease lasts no longer than it should"
        await lease.renew()
        assert before - 0.5 <= lease.remaining() <= one.lease_s, "a renewed lease lasts its time again"


async def _is_given_back_after_an_error(one: LockProvider, two: LockProvider) -> None:
    class Mishap(Exception):
        pass

    try:
        async with one.hold("mishap"):
            raise Mishap
    except Mishap:
        pass
    async with two.hold("mishap") as lease:
        assert lease.remaining() > 0, "an error in the block gives the key back"


async def _keeps_keys_apart(one: LockProvider, two: LockProvider) -> None:
    async with one.hold("a"), one.hold("b"), two.hold("left:a:*"), two.hold("x" * 5000):
        pass
