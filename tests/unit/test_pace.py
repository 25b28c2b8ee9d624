"""A limit of requests a second makes nobody wait between a read and the write that stands on it."""

from __future__ import annotations

import asyncio

from bidisync_espo_advo.pace import Pace


async def order(pace: Pace, kinds: str) -> list[str]:
    """In which order requests go out that all want to go now: r waits its turn, W does not."""
    gone: list[str] = []

    async def one(kind: str, number: int) -> None:
        await pace.keep(urgent=kind == "W")
        gone.append(f"{kind}{number}")

    await asyncio.gather(*(one(kind, number) for number, kind in enumerate(kinds)))
    return gone


async def test_a_write_over_a_read_goes_before_every_read_that_waits():
    gone = await order(Pace.of(20.0), "r" * 24 + "WW")
    assert gone[:22] == [*(f"r{n}" for n in range(20)), "W24", "W25"]
    assert sorted(gone[22:]) == ["r20", "r21", "r22", "r23"]


async def test_what_went_ahead_is_waited_for_and_no_more_than_a_second_of_it_goes_ahead():
    loop, pace = asyncio.get_running_loop(), Pace.of(20.0)
    began = loop.time()
    assert await order(pace, "W" * 20) == [f"W{n}" for n in range(20)]
    assert loop.time() - began < 0.5, "all at once: nothing waits"
    await order(pace, "W" + "r")  # more than a second of them: it waits like a read, and both wait for the twenty
    assert loop.time() - began > 0.05 * (22 - 20), "twenty may go at once, each further one takes its time"
