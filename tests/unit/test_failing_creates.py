"""A create that never works is given up like any other write, and begins again when there is a reason."""

from __future__ import annotations

from contextlib import suppress

import pytest
from pairs import Pair

from bidisync import LinkState, Ref, Side
from bidisync.errors import RateLimited, Unauthorized, Unavailable, Unconfirmed
from bidisync.testing.replica import Call


def refusing(pair: Pair, error: Exception) -> None:
    """The right side fails every create like this."""

    def fail(call: Call) -> None:
        if call.verb == "create":
            raise error

    pair.right.before = fail


def sent(pair: Pair) -> int:
    """How many creates the right side has seen."""
    return sum(call.verb == "create" for call in pair.right.calls)


ERRORS = (RateLimited("patience"), Unavailable("this record always fails"), Unconfirmed("no reply"))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_create_that_always_fails_is_given_up_after_its_attempts(error):
    pair = Pair()
    pair.left.add(name="Ada", x="1", born=None)
    refusing(pair, error)
    for _ in range(12):
        await pair.sweep(everything=True)
        pair.clock.advance(120.0)
    assert pair.tally.states() == {LinkState.DEAD: 1}
    assert sent(pair) == 5
    assert pair.left.records["l1"].notes.state is LinkState.DEAD
    assert pair.left.records["l1"].notes.attempts == 5
    assert not pair.right.records


async def test_a_change_of_its_record_begins_a_create_again_that_was_given_up():
    pair = Pair()
    pair.left.add(name="Ada", x="1", born=None)
    refusing(pair, Unconfirmed("no reply"))
    for _ in range(12):
        await pair.sweep(everything=True)
        pair.clock.advance(120.0)
    pair.right.before = lambda call: None
    await pair.sweep(everything=True)
    assert not pair.right.records, "nothing has changed, so nobody tries"
    pair.left.edit("l1", x="2")
    await pair.sweep(everything=True)
    assert pair.right.values("r1")["x"] == "2"
    assert pair.tally.states() == {LinkState.IN_SYNC: 1}


async def test_attempts_at_a_create_are_forgotten_once_it_works():
    pair = Pair()
    pair.left.add(name="Ada", x="1", born=None)
    refusing(pair, RateLimited("patience"))
    await pair.sweep(everything=True, rounds=2)
    pair.right.before = lambda call: None
    pair.clock.advance(120.0)
    await pair.sweep(everything=True)
    [link] = [link async for links in pair.store.links() for link in links]
    assert link.attempts.count == 0
    assert link.state is LinkState.IN_SYNC


async def test_who_a_new_record_is_stays_known_where_reading_it_back_is_refused():
    """A second record of the same client, entered before the first was read back, is left to a person."""
    pair = Pair()
    pair.left.add(name="Ada", x="1", born="1990-01-01")

    def refuse(call: Call) -> None:
        if call.verb == "get":
            raise Unauthorized("the right side does not let this user read")

    pair.right.before = refuse
    with suppress(Unauthorized):
        await pair.sweep(everything=True)
    assert len(pair.right.records) == 1
    second = pair.left.add(name="Ada", x="2", born="1990-01-01")
    await (await pair.engine()).sync(Ref(Side.LEFT, second))
    assert len(pair.right.records) == 1
    pair.right.before = lambda call: None
    await pair.sweep(everything=True)
    assert len(pair.right.records) == 1
    assert pair.tally.states() == {LinkState.IN_SYNC: 1, LinkState.REVIEW: 1}
