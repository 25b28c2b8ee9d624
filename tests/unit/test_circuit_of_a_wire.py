"""A system that fails is left alone by its wire, and tried with one request."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from bidisync.errors import Unavailable, Unconfirmed
from bidisync.testing import ManualClock
from bidisync_espo_advo.transport import NotSent, Request, Response
from bidisync_espo_advo.wire import Wire

WRITE, READ = Request("PUT", "http://crm.example/1"), Request("GET", "http://crm.example/1")


@attrs.define
class Line:
    """A system that can be off."""

    status: int = 503
    sent: int = 0

    async def send(self, request: Request) -> Response:
        self.sent += 1
        await asyncio.sleep(0)
        if self.status == 0:
            raise NotSent("refused")
        return Response(self.status)

    async def close(self) -> None:
        """Nothing is open."""


async def test_after_failures_nothing_is_sent_until_one_request_tries():
    line, clock = Line(), ManualClock(1000.0)
    wire = Wire("crm", line, clock)
    for _ in range(5):
        with pytest.raises(Unconfirmed):
            await wire.send(WRITE)
    for request in (WRITE, READ):
        with pytest.raises(Unavailable) as told:
            await wire.send(request)
        assert (told.value.system, told.value.retry_after) == ("crm", 5.0)
        assert not isinstance(told.value, Unconfirmed), "certainly not sent"
    assert line.sent == 5
    clock.advance(5.0)
    line.status = 200
    answers = await asyncio.gather(*(wire.send(WRITE) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(answer, Response) for answer in answers) == 1, "one tries"
    assert line.sent == 6
    assert (await wire.send(WRITE)).status == 200, "and what came of it counts for all"


async def test_what_was_sent_before_it_opened_makes_nobody_wait_longer():
    line, clock = Line(status=0), ManualClock(1000.0)
    wire = Wire("crm", line, clock)
    await asyncio.gather(*(wire.send(WRITE) for _ in range(10)), return_exceptions=True)
    assert line.sent == 10
    assert wire.circuit.wait(clock.monotonic()) == 5.0


async def test_refusals_of_one_record_are_no_failures_of_the_system():
    line, clock = Line(status=400), ManualClock(1000.0)
    wire = Wire("crm", line, clock)
    for _ in range(20):
        assert (await wire.send(WRITE)).status == 400
    wire.refused()
    with pytest.raises(Unavailable):
        await wire.send(WRITE)
    assert line.sent == 20, "refused credentials open it at once"


async def test_writes_answered_500_are_failures_of_their_records():
    line, clock = Line(status=500), ManualClock(1000.0)
    wire = Wire("crm", line, clock)
    answers = await asyncio.gather(*(wire.send(WRITE) for _ in range(20)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unconfirmed}
    assert line.sent == 20, "each of them was sent, once"
    assert not wire.circuit.open
    line.status = 200
    assert (await wire.send(READ)).status == 200, "the others go on"


@pytest.mark.parametrize("status", [502, 503, 504, 0])
async def test_a_system_that_is_not_there_is_left_alone(status):
    line, clock = Line(status=status), ManualClock(1000.0)
    wire = Wire("crm", line, clock)
    await asyncio.gather(*(wire.send(WRITE) for _ in range(10)), return_exceptions=True)
    assert wire.circuit.open
