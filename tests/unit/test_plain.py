"""Plain updates go together, and end as they would one by one."""

from __future__ import annotations

import asyncio
import datetime

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import NAMES, Pair

from bidisync import Limits, LinkState, Ref, Side
from bidisync.errors import Contended, Rejected, Stale, Unavailable, Unconfirmed
from bidisync.locks.local import LocalLocks
from bidisync.stores.memory import MemoryStore
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing import Call, MemoryReplica
from bidisync.testing.replica import FULL

PEOPLE = 12


class Killed(BaseException):
    """The process ends here."""


AT_ONCE = Limits(concurrency=4, chunk=PEOPLE, grace_s=0.0)


@attrs.define(eq=False)
class Counting(MemoryStore):
    """A store that tells how often many links came at once, and how many."""

    together: list[int] = attrs.Factory(list)
    before: object = None

    async def save_many(self, links):
        if callable(self.before):
            self.before()
        if links:
            self.together.append(len(links))
        return await MemoryStore.save_many(self, links)


@attrs.define(eq=False)
class Alone:
    """A store that knows no way to keep many links at once: everything else is another's."""

    inner: MemoryStore

    def __getattr__(self, name):
        if name == "save_many":
            raise AttributeError(name)
        return getattr(self.inner, name)


def pair_of(store=None, **more) -> Pair:
    """Two sides that can do everything."""
    sides = {name: MemoryReplica(name[0], capabilities=FULL, names=NAMES) for name in ("left", "right")}
    return Pair(store=store or Counting(), more={"limits": AT_ONCE, **more}, **sides)


async def in_step(pair: Pair) -> Pair:
    """The pair once everybody is known on both sides."""
    for number in range(PEOPLE):
        pair.left.add(name=f"Person {number}", born=f"20{number:02}", x=f"x{number}", y=f"y{number}")
    await pair.sweep(everything=True)
    pair.clock.advance(60)
    return pair


def records(pair: Pair) -> list[list[dict[str, object]]]:
    """Both sides, by name."""
    return [
        sorted((dict(one.fields) for one in side.records.values()), key=lambda fields: str(fields["name"]))
        for side in (pair.left, pair.right)
    ]


def edit(pair: Pair, side: Side, number: int, **fields: object) -> None:
    """Somebody edits a person."""
    replica = pair.left if side is Side.LEFT else pair.right
    (id,) = [id for id, one in replica.records.items() if one.fields["born"] == f"20{number:02}"]
    replica.edit(id, **fields)


async def lines(pair: Pair) -> list[tuple[object, ...]]:
    """What the log says, without times and names of passes."""
    history = await pair.store.history(limit=1000)
    return sorted((line.link_id, line.what, repr(line.decisions), line.acts, line.reason) for _, line in history)


EDITS = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.integers(0, PEOPLE - 1),
        st.sampled_from(["x", "y"]),
        st.sampled_from(["a", "b", None]),
    ),
    max_size=20,
)


@given(days=st.lists(EDITS, min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_records_and_log_are_the_same_together_and_one_by_one(days):
    async def both() -> None:
        together, alone = await in_step(pair_of()), await in_step(pair_of(Alone(MemoryStore())))
        for day in days:
            for pair in (together, alone):
                for side, number, name, value in day:
                    edit(pair, side, number, **{name: value})
                await pair.sweep(everything=True)
                pair.clock.advance(60)
            assert records(together) == records(alone)
            assert together.tally.states() == alone.tally.states()
            for counted in ("created", "updated", "deleted", "settled"):
                assert getattr(together.tally, counted) == getattr(alone.tally, counted), counted
            assert await lines(together) == await lines(alone)

    asyncio.run(both())


async def test_a_chunk_is_stored_once_before_and_once_after_its_writes():
    pair = await in_step(pair_of())
    pair.store.together.clear()
    for number in range(PEOPLE):
        edit(pair, Side.LEFT if number % 2 else Side.RIGHT, number, x="edited")
    await pair.sweep(everything=True)
    assert pair.store.together == [PEOPLE, PEOPLE]
    assert [one["x"] for side in records(pair) for one in side] == ["edited"] * 2 * PEOPLE


async def test_who_somebody_else_changed_meanwhile_stops_nobody():
    pair = await in_step(pair_of())
    for number in range(PEOPLE):
        edit(pair, Side.LEFT, number, x="edited")
    (link,) = (await pair.store.load([Ref(Side.LEFT, "l3")])).values()

    def changed() -> None:
        pair.store.before = None
        stored = attrs.evolve(link, revision=link.revision + 1)
        pair.store._links[link.id] = stored

    pair.store.before = changed
    await pair.sweep(everything=True)
    assert [one["x"] for one in records(pair)[1]] == ["edited"] * PEOPLE


@pytest.mark.parametrize("call", [1, 4, PEOPLE], ids=lambda call: f"write {call}")
async def test_a_process_killed_between_writes_leaves_nothing_undone(call):
    pair = await in_step(pair_of())
    for number in range(PEOPLE):
        edit(pair, Side.LEFT, number, x="edited")
    left_to_go = [call]

    def dies(asked: Call) -> None:
        left_to_go[0] -= asked.verb == "update"
        if left_to_go[0] == 0:
            raise Killed

    pair.right.before = dies
    with pytest.raises(BaseExceptionGroup):
        await pair.sweep(everything=True)
    pair.right.before = lambda call: None
    edit(pair, Side.RIGHT, 0, y="by hand")  # meanwhile
    for _ in range(3):
        pair.clock.advance(200)
        await pair.sweep(everything=True)
    assert [one["x"] for side in records(pair) for one in side] == ["edited"] * 2 * PEOPLE
    assert records(pair)[0][0]["y"] == "by hand"
    assert pair.tally.states() == {LinkState.IN_SYNC: PEOPLE}


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Rejected("no", field="x"), LinkState.BLOCKED),
        (Stale("moved"), LinkState.IN_SYNC),
        (Contended("taken"), LinkState.IN_SYNC),
        (Unconfirmed("lost"), LinkState.RETRY),
        (Unavailable("slow"), LinkState.RETRY),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_an_error_of_one_record_is_its_own(error, state):
    pair = await in_step(pair_of())
    for number in range(PEOPLE):
        edit(pair, Side.LEFT, number, x="edited")
    once = [error]

    def fails(asked: Call) -> None:
        if asked.verb == "update" and asked.id == "r5" and once:
            raise once.pop()

    pair.right.before = fails
    await pair.sweep(everything=True, rounds=1)
    there = [one["x"] for one in records(pair)[1]]
    assert there.count("edited") == (PEOPLE if state is LinkState.IN_SYNC else PEOPLE - 1)
    (link,) = (await pair.store.load([Ref(Side.RIGHT, "r5")])).values()
    assert link.state is state
    if state is LinkState.RETRY:
        assert link.attempts.count == 1, "it counts as one attempt, as alone"
        pair.clock.advance(3600)
        await pair.sweep(everything=True)
        assert [one["x"] for one in records(pair)[1]] == ["edited"] * PEOPLE


async def test_a_system_that_fails_as_a_whole_ends_the_pass_with_what_was_sent_stored_and_nobody_put_off():
    pair = await in_step(pair_of(limits=attrs.evolve(AT_ONCE, concurrency=1)))
    for number in range(PEOPLE):
        edit(pair, Side.LEFT, number, x="edited")
    sent = []

    def fails(asked: Call) -> None:
        if asked.verb == "update":
            if len(sent) == 5:
                raise Unavailable("down", system="right")
            sent.append(asked.id)

    pair.right.before = fails
    with pytest.raises(Unavailable):
        await pair.sweep(everything=True)
    links = [link async for group in pair.store.links() for link in group]
    assert not [link for link in links if link.intent is not None], "nothing is about to be written"
    assert sum(link.settled for link in links) == 5
    pair.right.before = lambda call: None
    await pair.sweep(everything=True)  # at once: nobody waits for a lease to end
    assert [one["x"] for one in records(pair)[1]] == ["edited"] * PEOPLE
    assert pair.tally.updated[Side.RIGHT] == PEOPLE - 5


async def test_of_many_leases_those_that_somebody_holds_are_left_out():
    locks = LocalLocks(wait_s=0.01)

    async with locks.hold("left:l2"), locks.hold_free(["left:l1", "left:l2", "left:l3"]) as leases:
        assert leases.keys() == {"left:l1", "left:l3"}
        assert all(lease.remaining() > 0 for lease in leases.values())
    assert not locks.held, "everything was given back"


async def test_a_value_that_was_refused_is_not_sent_again_in_the_next_chunk():
    pair = await in_step(pair_of())
    edit(pair, Side.LEFT, 1, x="bad")
    edit(pair, Side.LEFT, 2, x="good")
    refusals = []

    def fails(asked: Call) -> None:
        if asked.verb == "update" and asked.id == "r2":
            refusals.append(asked)
            raise Rejected("no", field="x")

    pair.right.before = fails
    await pair.sweep(everything=True)
    pair.clock.advance(60)
    await pair.sweep(everything=True)
    assert len(refusals) == 1


@attrs.define(eq=False)
class Odd(MemoryReplica):
    """A replica that shows no value where one should be, in a record or in the reply to a write."""

    bad: str = ""
    in_replies: bool = False

    async def update(self, seen, changes, *, notes=None):
        proof = await MemoryReplica.update(self, seen, changes, notes=notes)
        return self._spoilt(proof) if proof is not None and self.in_replies else proof

    async def list(self, since=None):
        async for page in MemoryReplica.list(self, since):
            rows = page.snapshots if self.in_replies else tuple(map(self._spoilt, page.snapshots))
            yield attrs.evolve(page, snapshots=rows)

    async def get(self, id):
        found = await MemoryReplica.get(self, id)
        return found if self.in_replies else self._spoilt(found)

    def _spoilt(self, snapshot):
        if snapshot.id != self.bad:
            return snapshot
        return attrs.evolve(snapshot, fields={**snapshot.fields, "x": datetime.date(2026, 1, 1)})


async def odd_pair(tmp_path, side: str, **odd) -> tuple[Pair, Odd, SqliteStore]:
    """A pair over SQLite, one side of which can show what is no value."""
    store = await SqliteStore.open(tmp_path / "state.db")
    pair = pair_of(store)
    replica = Odd(side[0], capabilities=FULL, names=NAMES, now=pair.clock.now, **odd)
    setattr(pair, side, replica)
    await in_step(pair)
    edit(pair, Side.LEFT, 2, y="ours")  # so that a write of ours is remembered
    await pair.sweep(everything=True)
    pair.clock.advance(60)
    return pair, replica, store


async def test_a_record_that_shows_what_is_no_value_stops_no_other_of_its_chunk(tmp_path):
    pair, left, store = await odd_pair(tmp_path, "left")
    left.bad = "l3"
    for number in range(PEOPLE):
        edit(pair, Side.LEFT, number, y="edited")
    await pair.sweep(everything=True, rounds=1)
    assert [one["y"] for one in records(pair)[1]].count("edited") == PEOPLE - 1
    assert pair.tally.states()[LinkState.IN_SYNC] == PEOPLE - 1
    await store.close()


async def test_a_reply_that_is_no_value_leaves_no_other_of_its_chunk_open(tmp_path):
    pair, right, store = await odd_pair(tmp_path, "right", in_replies=True)
    right.bad = "r3"
    for number in range(PEOPLE):
        edit(pair, Side.LEFT, number, y="edited")
    await pair.sweep(everything=True, rounds=1)
    links = [link async for group in store.links() for link in group]
    assert {link.right_id for link in links if link.intent is not None} <= {"r3"}
    assert pair.tally.states()[LinkState.IN_SYNC] == PEOPLE - 1
    await store.close()


async def test_writes_together_and_alone_share_one_bound():
    pair = await in_step(pair_of(limits=attrs.evolve(AT_ONCE, concurrency=4)))
    pair.right = slow = Slow(pair.right)
    for number in range(PEOPLE):
        pair.left.add(name=f"New {number}", born=f"19{number:02}", x=None, y=None)  # made one by one
        edit(pair, Side.LEFT, number, x="edited")
    engine = await pair.engine()
    await engine.sync_many(
        [Ref(Side.LEFT, f"l{n}") for n in [*range(PEOPLE + 1, 2 * PEOPLE + 1), *range(1, PEOPLE + 1)]]
    )
    assert slow.most == 4


@attrs.define(eq=False)
class Slow:
    """A replica whose writes take a while, and that counts how many there are at once."""

    inner: MemoryReplica
    now: int = 0
    most: int = 0

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def update(self, *args, **more):
        return await self._counted(self.inner.update(*args, **more))

    async def create(self, *args, **more):
        return await self._counted(self.inner.create(*args, **more))

    async def _counted(self, write):
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(20):  # turns of the loop, so that others come
            await asyncio.sleep(0)
        self.now -= 1
        return await write


async def test_hints_of_own_writes_cost_no_look_at_the_other_side():
    pair = await in_step(pair_of())
    engine = await pair.engine()
    pair.left.calls.clear()
    pair.right.calls.clear()
    await engine.sync_many([Ref(Side.LEFT, f"l{number}") for number in range(1, 6)])
    assert [call.verb for call in pair.left.calls] == ["list"]
    assert not pair.right.calls
