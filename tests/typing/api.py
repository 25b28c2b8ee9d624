"""Uses of the public names, only type-checked: what stands here is promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_type

import bidisync
import bidisync_espo_advo
from bidisync import (
    NUMBERED,
    Abilities,
    Agreement,
    Backoff,
    Bounds,
    ByContent,
    Capabilities,
    ChangeDetector,
    ChildList,
    Children,
    Column,
    Conflict,
    ConflictStrategy,
    Defer,
    Engine,
    Event,
    Field,
    FieldMap,
    FieldMapper,
    FlatMapper,
    Group,
    Guard,
    HeldPlan,
    Hint,
    HintStore,
    Intent,
    Items,
    Link,
    LinkState,
    ListMapper,
    LockProvider,
    Look,
    Mapped,
    Mapper,
    MergeItems,
    NeedsApproval,
    Notice,
    Notifier,
    Observer,
    Outcome,
    Pair,
    Parts,
    Plan,
    Policy,
    RecordReplica,
    Records,
    Ref,
    Referring,
    Removal,
    Replica,
    Resolution,
    ReviewKind,
    Seal,
    Side,
    StateStore,
    SyncError,
    Tally,
    Task,
    Together,
    Transient,
    Unavailable,
    WithChildren,
    WorkQueue,
    by_version,
    first_that_knows,
    open_pair,
    prefer_left,
    tasks,
)
from bidisync.locks.local import LocalLocks
from bidisync.locks.redis import RedisLocks
from bidisync.runners.docket import DocketQueue
from bidisync.runners.local import LocalQueue
from bidisync.stores.memory import MemoryStore
from bidisync.stores.postgres import PostgresStore
from bidisync.stores.seal import AesSeal, Plain
from bidisync.stores.sqlite import SqliteStore
from bidisync.testing import MemoryChildren, MemoryReplica


def own(conflict: Conflict) -> Resolution:
    return Defer() if conflict.group == "x" else {name: v.left for name, v in conflict.fields.items()}


policy = Policy([Field("a", "g")], [Group("g", strategy=own)])
items = Items(("a", "b"), same_by=("a",))
strategies: list[ConflictStrategy] = [own, prefer_left, bidisync.Merge(own), bidisync.Newest(), MergeItems(items)]
detectors: list[ChangeDetector] = [by_version, first_that_knows(by_version, ByContent.of(policy))]
stores: list[StateStore] = [MemoryStore()]
locks: list[LockProvider] = [LocalLocks()]
mapper: Mapper = FieldMapper((FieldMap("a", "A"),))
hints: list[HintStore] = [MemoryStore()]
queues: list[WorkQueue] = [LocalQueue(hints[0])]
seals: list[Seal] = [Plain(), AesSeal.of("a key")]
places = {"a": Column("A"), "b": Column("B")}
mappers: list[Mapper] = [ListMapper("x", "X", items, places), FlatMapper("y", Items(("a", "b")), places)]
children: Children = MemoryChildren(items, Abilities({"b"}, Removal.BLANK))
beneath = WithChildren(MemoryReplica(), {"z": ChildList(items, children)})
replicas: list[Replica] = [MemoryReplica(), Mapped(beneath, Together([mapper, *mappers]))]


async def look(ref: Ref) -> float | None:
    return None


class Pager:
    async def notify(self, notice: Notice) -> None:
        """Nobody is paged."""


notifiers: list[Notifier] = [Pager()]
seen: list[Event] = []
observers: list[Observer] = [seen.append]
looks: list[Look] = [look]


async def work(queue: WorkQueue, store: HintStore) -> None:
    await queue.submit([Ref(Side.LEFT, "1")], not_before=0.0)
    assert_type(await store.take(0.0, limit=1, until=60.0), Sequence[Hint])
    try:
        await queue.run(look)
    except Unavailable as error:
        assert_type(error.retry_after, float)
    except Transient as error:
        assert_type(Backoff().delay(error, 1, 0.5), float | None)
    except SyncError as error:
        assert_type(error.reason, str)


async def many_machines(url: str) -> None:
    store = await PostgresStore.open("postgresql://127.0.0.1/x")
    async with DocketQueue.open(url, store) as queue:
        await work(queue, store)


def remembered(link: Link) -> None:
    base: Mapping[str, Agreement] = link.base
    assert_type(base.get("name"), Agreement | None)
    assert_type(link.intent, Intent | None)


async def others(parties: StateStore, store: StateStore) -> None:
    within: Replica = Mapped(MemoryReplica(), FieldMapper((FieldMap("party", "betNr", NUMBERED),)))
    replicas.append(Referring(within, Side.RIGHT, {"party": parties}))
    guard: Guard = NeedsApproval({"iban"}, [Side.RIGHT])
    parts = Parts(left=replicas[0], right=replicas[1], policy=policy, store=store, locks=locks[0], guard=guard)
    assert_type(parts.policy.within({Side.LEFT: Capabilities(updates=False)}), Policy)
    found = await tasks(store, {"read_only": "{fields}"})
    assert_type(found, list[Task])
    assert_type(found[0].kind, ReviewKind)


async def core() -> None:
    store: StateStore = await SqliteStore.open("x.db")
    lock: LockProvider = await RedisLocks.open("redis://127.0.0.1/0")
    parts = Parts(left=replicas[0], right=replicas[1], policy=policy, store=store, locks=lock)
    engine = await Engine.open(parts)
    assert_type(await engine.sync(Ref(Side.LEFT, "1")), Outcome)
    assert_type(await engine.sync_many([Ref.parse("right:1")]), list[Outcome])


class Shelf:
    """The least that a store of one's own has."""

    def all(self) -> list[dict[str, object]]:
        return []

    def get(self, id: str) -> dict[str, object] | None:
        return None

    async def add(self, fields: Mapping[str, object]) -> dict[str, object]:
        return {}

    def change(self, id: str, fields: Mapping[str, object], version: str | None) -> None: ...


shelf: Records = Shelf()


async def two_stores() -> None:
    replica: Replica = RecordReplica(shelf, ("a",), id="key", version="rev")
    async with open_pair(Shelf(), replica, fields=["a"], strategy=own, match=["a"], state="sqlite:///x.db") as pair:
        assert_type(pair, Pair)
        assert_type(await pair.sync(everything=True), Tally)
        assert_type(await pair.sync_one("left:1"), Outcome)
        assert_type(await pair.retry(Ref(Side.LEFT, "1")), Outcome)
        held: tuple[HeldPlan, ...] = await pair.held()
        assert_type(await pair.approve(held[0].digest), HeldPlan)
    bounds = Bounds(max_deletes=9)
    async with open_pair(Shelf(), replica, fields=["a"], initial=prefer_left, strangers=True, bounds=bounds) as pair:
        assert_type(pair.engine, Engine)


async def espo_advo(settings: bidisync_espo_advo.Settings) -> None:
    async with bidisync_espo_advo.open_sync(settings, session=None, strategies={"stammdaten": own}) as sync:
        assert_type(await sync.sync("left:1"), Outcome)
        assert_type(await sync.sync_many(["left:1", Ref(Side.RIGHT, "2")]), list[Outcome])
        assert_type(await sync.sweep(), Tally)
        assert_type(await sync.plan("left:1"), Plan | None)
        assert_type(await sync.states(), Mapping[LinkState, int])
