"""Many keys at once without waiting, where a lock provider offers that (``HoldsFree``)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from bidisync.errors import Contended
from bidisync.protocols import HoldsFree, LockProvider
from bidisync.testing.broken import Broken, NotJudgedError, broken, holds

Expire = Callable[[], Awaitable[None]]
AT_ONCE_S = 1.0
"""How long ``hold_free`` may take while one of its keys is held: a request or two, and no waiting."""

LEFT_OUT = "hold_free leaves out a key that nobody holds"


async def _leaves_out_what_is_held(one: LockProvider, two: LockProvider) -> None:
    async with one.hold("held") as lease:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(AT_ONCE_S) as time:
                    leases = await stack.enter_async_context(_free(two).hold_free(["x", "held", "y"]))
            except TimeoutError as error:
                if not time.expired():
                    raise
                raise Broken(
                    "hold_free waits for a key that somebody holds", "leave it out, and take the others at once"
                ) from error
            holds("held" not in leases, "hold_free hands out a key that somebody holds", "leave it out")
            holds(set(leases) == {"x", "y"}, LEFT_OUT, "take each that is free")
            holds(
                all(0 < free.remaining() <= two.lease_s for free in leases.values()),
                "a lease of hold_free does not last its time",
                "tell what is left of lease_s",
            )
        holds(lease.remaining() > 0, "hold_free gives back a key that it left out", "give back only what it took")
        await _is_held(one, two, ["held"], "hold_free gives back a key that it left out")


async def _holds_until_the_end(one: LockProvider, two: LockProvider) -> None:
    async with _free(one).hold_free(["p", "q"]) as leases:
        holds(set(leases) == {"p", "q"}, LEFT_OUT, "take each that is free")
        await _is_held(one, two, ["p", "q"], "a key that hold_free holds is handed out to another")
        await leases["p"].renew()
        holds(leases["p"].remaining() > 0, "a lease of hold_free can't be renewed", "let it last its full time again")
    async with _free(two).hold_free([]) as none:
        holds(not none, "hold_free of no keys hands out some", "answer an empty mapping")
    await _are_free(two, ["p", "q"], "hold_free does not give its keys back at the end of the block")
    try:
        async with _free(one).hold_free(["p", "q"]):
            raise ZeroDivisionError
    except ZeroDivisionError:
        await _are_free(two, ["p", "q"], "hold_free does not give its keys back after an error in the block")


async def _takes_what_has_ended(expire: Expire, one: LockProvider, two: LockProvider) -> None:
    async with one.hold("slow"), _free(one).hold_free(["slower"]) as slower:
        await expire()
        holds(slower["slower"].remaining() <= 0, "a lease of hold_free that has ended has time remaining", "tell 0")
        await _are_free(two, ["slow", "slower"], "hold_free takes a lease that has ended for held")


async def _gives_back_its_own_alone(expire: Expire, one: LockProvider, two: LockProvider) -> None:
    async with AsyncExitStack() as stack:
        async with _free(one).hold_free(["slow"]) as late:
            await expire()
            lease = await stack.enter_async_context(two.hold("slow"))
            holds(late["slow"].remaining() <= 0, "a lease of hold_free that was lost has time remaining", "tell 0")
        fault = "the end of hold_free gives back a key that somebody else holds by now"
        holds(lease.remaining() > 0, fault, "give back only what is still its own")
        await _is_held(one, two, ["slow"], fault)


async def _is_held(one: LockProvider, two: LockProvider, keys: Sequence[str], fault: str) -> None:
    """None of these keys is handed out: neither to whoever asks for many, nor to whoever asks for one."""
    for locks in (one, two):
        async with _free(locks).hold_free(keys) as leases:
            holds(not leases, fault, "compare owner and key in one step, for one key as for many")
    try:
        async with two.hold(keys[0]):
            broken(fault, "compare owner and key in one step, for one key as for many")
    except Contended:
        pass


async def _are_free(locks: LockProvider, keys: Sequence[str], fault: str) -> None:
    async with _free(locks).hold_free(keys) as leases:
        holds(set(leases) == set(keys), fault, "a key is free once its block has ended, or the time of its lease")


def _free(locks: LockProvider) -> HoldsFree:
    if not isinstance(locks, HoldsFree):
        raise NotJudgedError("the provider does not offer hold_free")
    return locks


LAWS: tuple[Callable[[LockProvider, LockProvider], Awaitable[None]], ...] = (
    _leaves_out_what_is_held,
    _holds_until_the_end,
)
TIMED: tuple[Callable[[Expire, LockProvider, LockProvider], Awaitable[None]], ...] = (
    _takes_what_has_ended,
    _gives_back_its_own_alone,
)
