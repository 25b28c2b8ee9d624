"""A replica whose requests go wrong on purpose, and the engine that lives through it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest
from gallery_replicas import ABLE, EXAMPLES, Right, trial_of
from hypothesis import given, settings

from bidisync import (
    Engine,
    Field,
    FieldMap,
    FieldMapper,
    Group,
    Identity,
    Limits,
    Mapped,
    Parts,
    Policy,
    Side,
    Sweep,
    Unavailable,
)
from bidisync.conflicts import prefer_left
from bidisync.errors import RateLimited, SyncError, Unauthorized, Unconfirmed
from bidisync.locks.local import LocalLocks
from bidisync.stores.memory import MemoryStore
from bidisync.testing import (
    FULL,
    Call,
    Fault,
    Faulty,
    ManualClock,
    MemoryPerson,
    MemoryReplica,
    SeededChance,
    at_random,
    check_replica,
    in_turn,
)
from bidisync.testing.cases import Edit, edits

NAMES = ("who", "phone")


async def test_without_a_fault_it_is_the_replica_within():
    async def make():
        trial = await trial_of(Right, ABLE)()
        return attrs.evolve(trial, replica=Faulty(trial.replica, in_turn()))

    assert not (await check_replica(make, EXAMPLES)).broken


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.REQUEST_LOST, Unavailable),
        (Fault.REPLY_LOST, Unavailable),
        (Fault.LATE, Unavailable),
        (Fault.LIMITED, RateLimited),
        (Fault.FAILED, Unavailable),
        (Fault.FORBIDDEN, Unauthorized),
    ],
)
async def test_a_read_that_fails_says_why(fault, error):
    inner = MemoryReplica()
    id = inner.add(who="Ada")
    faulty = Faulty(inner, lambda call: fault)
    for read in (faulty.get(id), faulty.get_many([id]), anext(faulty.list()), faulty.find_by_counterpart("7")):
        with pytest.raises(error):
            await read
    assert [suffered for _, suffered in faulty.suffered] == [fault] * 4


@pytest.mark.parametrize(
    ("fault", "error", "made"),
    [
        (Fault.REQUEST_LOST, Unconfirmed, 0),
        (Fault.REPLY_LOST, Unconfirmed, 1),
        (Fault.LATE, Unconfirmed, 0),
        (Fault.LIMITED, RateLimited, 0),
        (Fault.FAILED, Unconfirmed, 0),
        (Fault.FORBIDDEN, Unauthorized, 0),
    ],
)
async def test_a_write_that_fails_has_happened_or_not(fault, error, made):
    inner = MemoryReplica()
    faulty = Faulty(inner, in_turn(fault, verb="create"))
    with pytest.raises(error):
        await faulty.create({"who": "Ada"})
    assert len(inner.records) == made


async def test_a_late_write_arrives_before_the_next_call_unless_it_is_refused_by_then():
    inner = MemoryReplica()
    id = inner.add(who="Ada", phone="1")
    faulty = Faulty(inner, in_turn(Fault.LATE, verb="update"))
    seen = await faulty.get(id)
    with pytest.raises(Unconfirmed):
        await faulty.update(seen, {"phone": "2"})
    assert inner.values(id)["phone"] == "1"
    assert (await faulty.get(id)).fields["phone"] == "2"
    again = Faulty(inner, in_turn(Fault.LATE, verb="update"))
    seen = await again.get(id)
    with pytest.raises(Unconfirmed):
        await again.update(seen, {"phone": "3"})
    inner.edit(id, phone="4")
    assert (await again.get(id)).fields["phone"] == "4"


async def test_a_stale_read_shows_the_record_before_its_last_change():
    inner = MemoryReplica()
    id = inner.add(who="Ada", phone="1")
    faulty = Faulty(inner, in_turn(None, None, Fault.STALE_READ))
    assert (await faulty.get(id)).fields["phone"] == "1"
    inner.edit(id, phone="2")
    assert (await faulty.get(id)).fields["phone"] == "2"
    stale = await faulty.get(id)
    assert (stale.fields["phone"], stale.version) == ("1", "1")
    assert (await faulty.get(id)).fields["phone"] == "2"


@pytest.mark.parametrize(("fault", "rows"), [(Fault.PARTIAL_LIST, 30), (Fault.ROW_TWICE, 62), (None, 60)])
async def test_a_list_may_lack_rows_or_have_one_twice(fault, rows):
    inner = MemoryReplica()
    for number in range(60):
        inner.add(who=str(number))
    for replica in (inner, Mapped(inner, FieldMapper([FieldMap("who", "who")]))):
        pages = [page async for page in Faulty(replica, in_turn(fault)).list()]
        assert sum(len(page.snapshots) for page in pages) == rows
        for page in pages:
            assert list(page.known_by) == [(row.id, row.version) for row in page.snapshots]


async def test_quiet_ends_all_faults():
    faulty = Faulty(MemoryReplica(), lambda call: Fault.FAILED, quiet=True)
    assert (await faulty.get("r1")).gone
    assert faulty.suffered == []


@attrs.define
class Day:
    """Two replicas that go wrong in one call of three, and what people do on both."""

    seed: int = 0
    clock: ManualClock = attrs.Factory(ManualClock)
    store: MemoryStore = attrs.Factory(MemoryStore)
    inner: dict[Side, MemoryReplica] = attrs.field(init=False)
    sides: dict[Side, Faulty] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.inner = {
            side: MemoryReplica(side.value[0], capabilities=FULL, names=NAMES, now=self.clock.now) for side in Side
        }
        self.sides = {
            side: Faulty(self.inner[side], at_random(self.seed + place, one_in=3)) for place, side in enumerate(Side)
        }

    async def sync(self) -> bool:
        """A pass by a new process; whether it got through with nothing open."""
        self.clock.advance(700)
        parts = Parts(
            left=self.sides[Side.LEFT],
            right=self.sides[Side.RIGHT],
            policy=POLICY,
            store=self.store,
            locks=LocalLocks(clock=self.clock),
            identity=Identity(strong=(("who",),)),
            clock=self.clock,
            chance=SeededChance(self.seed),
            limits=Limits(concurrency=1),
        )
        try:
            tally = await Sweep(await Engine.open(parts), patience_s=600.0).run(everything=True)
        except SyncError:
            return False
        return not any(outcome.open for outcome in tally.outcomes.values())

    def values(self, side: Side) -> list[Mapping[str, object]]:
        return sorted((self.inner[side].values(id) for id in self.inner[side].records), key=lambda one: str(one["who"]))


POLICY = Policy([Field("who", "g", required=True), Field("phone", "g")], [Group("g", strategy=prefer_left)])


async def test_a_sync_ends_as_if_nothing_had_gone_wrong():
    suffered = set()
    for seed in range(40):
        day = Day(seed)
        people = {side: MemoryPerson(day.inner[side]) for side in Side}
        for number in range(6):
            await people[list(Side)[number % 2]].add({"who": f"w{number}", "phone": str(number)})
        for step in range(6):
            await day.sync()
            for side in Side:
                for id in list(day.inner[side].records)[step % 2 :: 3]:
                    await people[side].edit(id, {"phone": f"{side.value} {step}"})
        for faulty in day.sides.values():
            faulty.quiet = True
            suffered |= {(call.verb, fault) for call, fault in faulty.suffered}
        assert [await day.sync() for _ in range(6)][-1], seed
        names = [one["who"] for one in day.values(Side.LEFT)]
        assert names == [f"w{number}" for number in range(6)], "nobody is doubled"
        assert day.values(Side.LEFT) == day.values(Side.RIGHT), seed
    assert {fault for _, fault in suffered} == set(Fault)
    assert {("create", Fault.REPLY_LOST), ("create", Fault.LATE), ("update", Fault.LATE)} <= suffered


GENERATED = Policy([Field("who", "g", required=True), Field("phone", "g")], [Group("g")])


@settings(max_examples=100)
@given(day=edits(GENERATED, deletes=True))
def test_generated_edits_make_a_record_before_they_change_it(day):
    made: set[int] = set()
    for edit in day:
        assert isinstance(edit, Edit)
        if edit.record not in made:
            assert edit.record == len(made)
            assert edit.fields is not None
            assert edit.fields["who"] is not None
            assert set(edit.fields) == {"who", "phone"}
            made.add(edit.record)
        elif edit.fields is not None:
            assert len(edit.fields) == 1
            assert edit.fields.get("who", "") is not None


def test_the_same_seed_chooses_the_same_faults():
    one, two = at_random(7), at_random(7)
    calls = [Call("get", str(number)) for number in range(50)]
    assert [one(call) for call in calls] == [two(call) for call in calls]
