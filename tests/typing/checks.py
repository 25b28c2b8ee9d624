"""Uses of the checks that the kit has for parts of one's own, only type-checked: what stands here is promised."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import assert_type

from bidisync import Children, Items, Mapper, Policy, Replica, Side, Snapshot, Value, by_version
from bidisync.clock import SystemClock
from bidisync.locks.local import LocalLocks
from bidisync.testing import (
    PROMISES,
    Broken,
    Call,
    Examples,
    Fault,
    Faulty,
    Judged,
    Line,
    MakeTrial,
    MappedPerson,
    MemoryLine,
    MemoryPerson,
    MemoryReplica,
    Mishap,
    Person,
    Trial,
    at_random,
    check_children,
    check_detector,
    check_lock_provider,
    check_replica,
    in_turn,
    judge_replica,
    memory_trial,
)
from bidisync.testing.cases import Edit, edits, records


class Somebody:
    """A person at a system of one's own."""

    async def add(self, fields: Mapping[str, Value]) -> str:
        return "1"

    async def edit(self, id: str, fields: Mapping[str, Value]) -> None: ...

    async def remove(self, id: str) -> None: ...

    async def read(self, id: str) -> Mapping[str, Value] | None:
        return None

    async def trash(self) -> Collection[str]:
        return ()


class Wire:
    """A line to a system of one's own."""

    @property
    def writes(self) -> int:
        return 0

    @contextmanager
    def befall(self, mishap: Mishap) -> Iterator[None]:
        yield


memory = MemoryReplica(names=("name", "city"))
people: list[Person] = [Somebody(), MemoryPerson(memory)]
lines: list[Line] = [Wire(), MemoryLine(memory)]
replica: Replica = Faulty(memory, in_turn(Fault.REPLY_LOST, None, verb="create"))
examples = Examples(
    records=[{"name": "Ada", "city": "Ulm"}, {"name": "Eva", "city": None}],
    fixed=["parent"],
    texts=["name"],
    values={"city": ["Köln"]},
    unmapped={"size": 38},
    invalid={"name": ""},
    keeps=lambda field, value: value,
    counterparts=("1", "2"),
    nobody="0",
    crowd=60,
)


async def made() -> Trial:
    return memory_trial(memory)


@asynccontextmanager
async def opened() -> AsyncIterator[Trial]:
    yield Trial(replica=replica, person=Somebody(), line=Wire(), now=SystemClock().now, settle=settled)


async def settled() -> None: ...


makers: list[MakeTrial] = [made, opened]


async def judged(mapper: Mapper) -> None:
    judged = await judge_replica(made, examples, without=["keeps_time"], patience_s=5.0)
    assert_type(judged, Judged)
    assert_type(judged.kept, tuple[str, ...])
    assert_type(judged.not_judged, Mapping[str, str])
    for fault in judged.broken:
        assert_type(fault, Broken)
        print(fault.fault, fault.remedy, PROMISES[fault.promise])
    assert_type(await check_replica(opened, examples, only=list(PROMISES)), Judged)
    person: Person = MappedPerson(Somebody(), mapper)
    await person.trash()


async def parts() -> None:
    check_detector(by_version, always_knows=False, resolution_s=60.0, skew_s=5.0, cases=100, seed=1)

    async def make() -> LocalLocks:
        return LocalLocks()

    async def expire() -> None: ...

    await check_lock_provider(make, expire=expire)


def faulty(policy: Policy) -> None:
    wrapped = Faulty(memory, at_random(7, one_in=3, among=[Fault.LATE]))
    wrapped.quiet = True
    assert_type(wrapped.suffered, list[tuple[Call, Fault]])
    Faulty(memory, lambda call: Fault.LIMITED if call.verb == "get" else None)
    day: Sequence[Edit] = edits(policy, most=3, deletes=True).example()
    assert_type(day[0].side, Side)
    assert_type(records(policy).example(), dict[str, Value])


async def beneath(children: Children, look: Callable[[], Awaitable[Snapshot]]) -> None:
    items = Items(("kind", "number"), same_by=("number",))
    samples = [("home", "1"), ("home", "2"), ("home", "3")]
    await check_children(children, look, items, samples)
