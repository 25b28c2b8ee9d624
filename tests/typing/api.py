"""Uses of the public names, only type-checked: what stands here is promised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

import bidisync
import bidisync_espo_advo
from bidisync import (
    ChangeDetector,
    Conflict,
    ConflictStrategy,
    Defer,
    Engine,
    Field,
    Group,
    LinkState,
    LockProvider,
    Mapper,
    Outcome,
    Parts,
    Plan,
    Policy,
    Ref,
    Replica,
    Resolution,
    Side,
    StateStore,
    Tally,
    prefer_left,
)
from bidisync.detectors import ByContent, by_version, first_that_knows
from bidisync.locks.local import LocalLocks
from bidisync.locks.redis import RedisLocks
from bidisync.mapping import FieldMap, FieldMapper, Mapped
from bidisync.stores.memory import MemoryStore
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing.replica import MemoryReplica


def own(conflict: Conflict) -> Resolution:
    return Defer() if conflict.group == "x" else {name: v.left for name, v in conflict.fields.items()}


policy = Policy([Field("a", "g")], [Group("g", strategy=own)])
strategies: list[ConflictStrategy] = [own, prefer_left, bidisync.Merge(own), bidisync.Newest()]
detectors: list[ChangeDetector] = [by_version, first_that_knows(by_version, ByContent.of(policy))]
stores: list[StateStore] = [MemoryStore()]
locks: list[LockProvider] = [LocalLocks()]
mapper: Mapper = FieldMapper((FieldMap("a", "A"),))
replicas: list[Replica] = [MemoryReplica(), Mapped(MemoryReplica(), mapper)]


async def core() -> None:
    store: StateStore = await SqliteStore.open("x.db")
    lock: LockProvider = await RedisLocks.open("redis://127.0.0.1/0")
    parts = Parts(left=replicas[0], right=replicas[1], policy=policy, store=store, locks=lock)
    engine = await Engine.open(parts)
    assert_type(await engine.sync(Ref(Side.LEFT, "1")), Outcome)
    assert_type(await engine.sync_many([Ref.parse("right:1")]), list[Outcome])


async def espo_advo(settings: bidisync_espo_advo.Settings) -> None:
    async with bidisync_espo_advo.open_sync(settings, session=None, strategies={"stammdaten": own}) as sync:
        assert_type(await sync.sync("left:1"), Outcome)
        assert_type(await sync.sync_many(["left:1", Ref(Side.RIGHT, "2")]), list[Outcome])
        assert_type(await sync.sweep(), Tally)
        assert_type(await sync.plan("left:1"), Plan | None)
        assert_type(await sync.states(), Mapping[LinkState, int])
