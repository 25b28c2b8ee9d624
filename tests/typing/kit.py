"""Uses of the test kit, the simulation and the simulators, only type-checked: what stands here is promised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, assert_type

from bidisync import (
    Capabilities,
    Chance,
    Changes,
    Clock,
    Feed,
    FieldMapper,
    Identity,
    Mapped,
    Mapper,
    Policy,
    Records,
    Removes,
    Replica,
    Side,
    WorkQueue,
)
from bidisync.locks.local import LocalLocks
from bidisync.stores.memory import MemoryStore
from bidisync.testing import (
    FULL,
    Call,
    Keeper,
    ManualClock,
    MemoryReplica,
    Person,
    SeededChance,
    Trial,
    check_conflict_strategy,
    check_decision_log,
    check_hint_store,
    check_lock_provider,
    check_mapper,
    check_state_store,
    check_work_queue,
    store_trial,
)
from bidisync.testing.simulation import (
    FAULTS,
    Choices,
    Orders,
    Pair,
    Remote,
    Run,
    Scenario,
    SimLoop,
    Stuck,
    Tape,
    World,
    parse_tape,
    simulate,
    tape_text,
)
from bidisync_espo_advo import PartySync, Settings, load_settings, open_espocrm, open_sync
from bidisync_espo_advo.simulators import AdvowareServer, EspoServer, advoware_simulator, espocrm_simulator

capabilities: Capabilities = FULL
clock: Clock = ManualClock(at=0.0)
chance: Chance = SeededChance(7)
replica = MemoryReplica("r", capabilities=FULL, names=("name",))
assert_type(replica.add(name="Ada"), str)
assert_type(replica.calls, list[Call])


def strategies(policy: Policy, mapper: Mapper) -> None:
    for group in policy.groups:
        check_conflict_strategy(group.strategy, cases=100, seed=1)
    check_mapper(mapper, [{"NAME": "Ada"}], [{"name": "Ada"}], unseen=["title"])


async def stores() -> None:
    await check_state_store(memory)
    await check_hint_store(memory)
    await check_decision_log(memory)
    await check_lock_provider(local, patience_s=5.0)


async def queues(make: Callable[[], AbstractAsyncContextManager[WorkQueue]]) -> None:
    await check_work_queue(make, within_s=5.0)


async def memory() -> MemoryStore:
    return MemoryStore()


async def local() -> LocalLocks:
    return LocalLocks()


def simulated(policy: Policy, mapper: Mapper) -> None:
    def mapped(inner: Replica) -> Replica:
        return Mapped(inner, mapper)

    scenario: Scenario = Pair(
        policy=policy, identity=Identity(strong=(("name",),)), edited=("phone",), wrap={Side.RIGHT: mapped}
    )
    run = simulate(scenario, 1, Orders(timeline=True))
    assert_type(run, Run)
    assert_type(run.good, bool)
    tape: Tape = parse_tape(tape_text(run.tape))
    try:
        simulate(scenario, 1, Orders(tape=tape))
    except Stuck:
        print([FAULTS[number] for number in run.faults])


def one_more_thing(scenario: Scenario, seed: int) -> None:
    choices = Choices(seed)
    world = World(scenario, choices, SimLoop(choices), faulty=False)
    remote: Remote = world.remote(Side.LEFT)
    remote.edit(remote.create({"name": "Ada"}), "phone", "1")


async def simulators(path: Path) -> None:
    settings = load_settings(path)
    assert_type(settings, Settings)
    async with espocrm_simulator(records=1, seed=1) as crm, advoware_simulator(records=1) as erp:
        assert_type(crm, EspoServer)
        assert_type(erp, AdvowareServer)
        assert_type(crm.config, Mapping[str, Any])
        async with open_sync(settings) as sync:
            assert_type(sync, PartySync)


def kept(store: Records) -> None:
    trial = store_trial(store, ["name"], person=store, id="number", version="edition")
    assert_type(trial, Trial)
    assert_type(trial.tells_deletions, bool)
    people: list[Person] = [Keeper(store), trial.person]
    assert_type(people[0], Person)
    Pair(policy=Policy((), ()), identity=Identity(), edited=(), stores={Side.RIGHT: lambda: store})


async def espocrm_alone(settings: Settings, mapper: FieldMapper) -> None:
    async with open_espocrm(settings, mapper) as crm:
        assert_type(crm, Replica)


class Ledger:
    """A store that knows what changed, and deletes."""

    def position(self) -> str:
        return "7"

    def changed(self, since: str) -> Changes:
        return Changes(records=[{"id": "1", "version": 2}], gone=["2"], position="9")

    def remove(self, id: str, version: str | None) -> None: ...


feed: Feed = Ledger()
removes: Removes = Ledger()
