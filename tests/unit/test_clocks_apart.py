"""Workers on several machines, whose clocks do not agree: what one stored holds for the others, too."""

from __future__ import annotations

import attrs
import pytest
from pairs import Pair

from bidisync import Engine, Ref, Side
from bidisync.errors import Unavailable
from bidisync.fence import Underway, intent_for, wait_for
from bidisync.looking import brought_news
from bidisync.model import Verb
from bidisync.testing.clock import ManualClock
from bidisync.testing.replica import Call, MemoryReplica
from bidisync.testing.simulation.loop import at_once

LEFT, RIGHT = Ref(Side.LEFT, "l1"), Ref(Side.RIGHT, "r1")
APART_S = 2.9  # less than the bound


@attrs.frozen
class Off:
    """The clock of another machine."""

    clock: ManualClock
    by_s: float

    def now(self) -> float:
        return self.clock.now() + self.by_s

    def monotonic(self) -> float:
        return self.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


@attrs.frozen
class Answering:
    """A replica that gives these answers first, as a copy would that is behind."""

    replica: MemoryReplica
    answers: list

    def __getattr__(self, name: str) -> object:
        return getattr(self.replica, name)

    async def get(self, id: str) -> object:
        return self.answers.pop() if self.answers else await self.replica.get(id)


async def linked() -> Pair:
    """One record on both sides, in sync for a while."""
    pair = Pair()
    pair.left.add(name="Ada", born="2000-01-01", x=None, y=None)
    await pair.sweep(everything=True)
    pair.clock.advance(60)
    return pair


async def elsewhere(pair: Pair, by_s: float, **parts: object) -> Engine:
    """An engine on a machine whose clock is off; what it reads is stamped by that."""
    engine = await pair.engine()
    return attrs.evolve(engine, parts=attrs.evolve(engine.parts, clock=Off(pair.clock, by_s), **parts))


async def test_an_old_answer_is_old_to_a_worker_whose_clock_is_ahead_of_the_writers():
    """Seed 1002139, plain pair 1102018: it counted as an edit back to the old value, and undid the one of a person."""
    pair = await linked()
    old = await pair.right.get("r1")
    pair.left.edit("l1", x="2")
    await (await pair.engine()).sync(LEFT)
    pair.clock.advance(4)
    answers = [old]
    engine = await elsewhere(pair, APART_S, right=Answering(pair.right, answers))
    await engine.sync(RIGHT)
    assert not answers
    assert pair.left.values("l1")["x"] == pair.right.values("r1")["x"] == "2"


async def test_nobody_whose_clock_is_ahead_writes_while_a_request_may_still_be_under_way():
    pair = await linked()
    writer, ahead = (await pair.engine()).parts, (await elsewhere(pair, APART_S)).parts
    ((link,),) = [group async for group in pair.store.links()]
    link = attrs.evolve(link, intent=intent_for(writer, Verb.UPDATE, Side.RIGHT, {"x": "2"}))
    limits = writer.limits
    pair.clock.advance(writer.locks.lease_s + limits.request_timeout_s + limits.search_lag_s - 0.1)
    with pytest.raises(Underway):
        wait_for(ahead, link)
    pair.clock.advance(limits.clocks_apart_s + 0.2)
    wait_for(ahead, link)


async def test_a_row_from_before_a_look_of_a_worker_whose_clock_is_behind_takes_no_edit_back():
    pair = await linked()
    row = attrs.evolve(await pair.left.get("l1"), row=True)
    pair.left.edit("l1", x="2")
    pair.clock.advance(1)
    behind = await elsewhere(pair, -APART_S)
    pair.left.now = pair.right.now = behind.parts.clock.now
    await behind.sync(LEFT)
    assert pair.right.values("r1")["x"] == "2"
    pair.left.now = pair.right.now = pair.clock.now
    pair.clock.advance(10)  # long enough for an old answer
    writes = pair.writes()
    await (await pair.engine()).sync(LEFT, {LEFT: row})
    assert pair.writes() == writes, "the row would have emptied x again for a moment"


async def test_a_row_is_news_though_the_clock_of_whoever_looked_last_was_ahead():
    pair = await linked()
    ahead = await elsewhere(pair, APART_S)
    pair.left.now = pair.right.now = ahead.parts.clock.now
    pair.right.edit("r1", x="1")
    await ahead.sync(RIGHT)
    pair.left.now = pair.right.now = pair.clock.now
    pair.clock.advance(1)
    pair.right.edit("r1", x="2")
    rows = {RIGHT: attrs.evolve(await pair.right.get("r1"), row=True)}
    engine = await pair.engine()
    ((link,),) = [group async for group in pair.store.links()]
    assert brought_news(engine.parts, link, Side.RIGHT, rows)


async def test_a_failure_brings_no_look_back_from_before_a_write_of_a_worker_whose_clock_is_behind():
    pair = await linked()
    pair.right.edit("r1", x="2")

    def written_meanwhile(call: Call) -> None:
        if call.verb == "get":
            pair.left.before = lambda call: None
            ((link,),) = at_once(_groups(pair))
            shadow = attrs.evolve(link.right_shadow, version="newer", seen_at=pair.clock.now() + 1 - APART_S)
            at_once(pair.store.save(link.with_shadow(Side.RIGHT, shadow)))
            raise Unavailable("not now")

    pair.left.before = written_meanwhile
    await (await pair.engine()).sync(RIGHT)
    ((link,),) = await _groups(pair)
    assert link.attempts.count == 1
    assert link.right_shadow.version == "newer"


async def _groups(pair: Pair) -> list:
    return [group async for group in pair.store.links()]
