"""A write that can no longer end within its lease is not sent, whatever held it up on its way."""

from __future__ import annotations

import attrs
import pytest
from pairs import Pair

from bidisync import LinkState, Ref, Side
from bidisync.deadline import begun_by, still_in_time
from bidisync.errors import Contended
from bidisync.testing.clock import ManualClock, SeededChance
from bidisync.testing.replica import MemoryReplica
from bidisync_espo_advo.advoware_session import AdvowareSession
from bidisync_espo_advo.settings import AdvowareConfig
from bidisync_espo_advo.transport import Request, Response
from bidisync_espo_advo.wire import Wire

URL = "http://erp.example/"


@attrs.define
class SlowSignIn:
    """A system whose sign-in takes a while; what else it is asked is noted."""

    clock: ManualClock
    takes_s: float
    asked: list[str] = attrs.Factory(list)

    async def send(self, request: Request) -> Response:
        if request.url.endswith("Token"):
            self.clock.advance(self.takes_s)
            return Response(200, {}, b'{"access_token": "t", "expires_in": 600}')
        self.asked.append(request.method)
        return Response(200, {}, b"[]")

    async def close(self) -> None:
        """Nothing is open."""


def session(transport: SlowSignIn) -> AdvowareSession:
    config = AdvowareConfig(api_url=URL, security_url=URL, user="u", password="p", app_id="a", api_key="a2V5")
    return AdvowareSession(config, Wire("advoware", transport, transport.clock), transport.clock, SeededChance(1))


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_a_write_before_which_the_sign_in_took_too_long_is_not_sent(method):
    """Seed 2010500: a worker stopped at its sign-in made somebody whom another one had made meanwhile."""
    transport = SlowSignIn(ManualClock(), takes_s=31.0)
    signed_in = session(transport)
    with begun_by(transport.clock.monotonic() + 30.0), pytest.raises(Contended):
        await signed_in.request(method, "Beteiligte/1", {})
    assert not transport.asked
    with begun_by(transport.clock.monotonic() + 30.0):
        await signed_in.request(method, "Beteiligte/1", {})
    assert transport.asked == [method]


async def test_reads_are_sent_however_late_it_is():
    transport = SlowSignIn(ManualClock(), takes_s=31.0)
    with begun_by(transport.clock.monotonic() + 30.0):
        await session(transport).request("GET", "Beteiligte")
    assert transport.asked == ["GET"]


@attrs.define
class Waiting:
    """A client that waits before it sends, and asks whether it still may."""

    replica: MemoryReplica
    clock: ManualClock
    waits_s: list[float]

    def __getattr__(self, name: str) -> object:
        return getattr(self.replica, name)

    async def update(self, seen: object, changes: object, **options: object) -> object:
        self.clock.advance(self.waits_s.pop() if self.waits_s else 0.0)
        still_in_time(self.clock.monotonic())
        return await self.replica.update(seen, changes, **options)


async def test_what_waited_beyond_its_lease_is_decided_anew():
    pair = Pair()
    pair.left.add(name="Ada", born="2000-01-01", x=None, y=None)
    await pair.sweep(everything=True)
    pair.left.edit("l1", x="2")
    engine = await pair.engine()
    waits = [31.0]  # of a lease of 60 s, with 30 s for a request
    parts = attrs.evolve(engine.parts, right=Waiting(pair.right, pair.clock, waits))
    pair.right.calls.clear()
    outcome = await attrs.evolve(engine, parts=parts).sync(Ref(Side.LEFT, "l1"))
    assert not waits
    assert outcome.state is LinkState.IN_SYNC
    assert [call.verb for call in pair.right.calls] == ["get", "get", "update", "get"], "one look more, one write"


async def test_a_deadline_ends_with_its_block():
    with begun_by(1.0):
        with begun_by(2.0):
            still_in_time(2.0)
        with pytest.raises(Contended):
            still_in_time(1.5)
    still_in_time(10.0)
