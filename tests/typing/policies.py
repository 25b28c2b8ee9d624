"""Uses of what is configured: policies, strategies, identity, mapping, parts; only type-checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

from bidisync import (
    AS_IT_IS,
    ByTimestamp,
    Chance,
    ChangeDetector,
    Clock,
    Codec,
    CodeTable,
    ConflictStrategy,
    Decision,
    Drift,
    Engine,
    Explanation,
    Field,
    FieldMap,
    FieldMapper,
    FillBlanks,
    Group,
    Guard,
    Identity,
    Lease,
    Limits,
    Link,
    LockProvider,
    Longest,
    Merge,
    Newest,
    OnDelete,
    Owner,
    Parts,
    Plan,
    Policy,
    Prefer,
    Ref,
    Replica,
    Side,
    StateStore,
    Sweep,
    Tally,
    Union,
    Unmappable,
    Value,
    ask,
    fill_blanks,
    one_way,
    prefer_right,
)
from bidisync.clock import SystemChance, SystemClock

settled: list[ConflictStrategy] = [
    ask,
    fill_blanks,
    prefer_right,
    Prefer(Side.LEFT),
    Longest(ask),
    Union(otherwise=ask),
    FillBlanks(prefer_right),
    Merge(Newest(skew_s=10.0, otherwise=ask)),
]
owners: list[Owner] = [Owner(Side.RIGHT, Drift.REPORT), one_way(to=Side.LEFT)]
stamped: ChangeDetector = ByTimestamp(skew_s=5.0)


def lower(value: Value) -> Value:
    return value.casefold() if isinstance(value, str) else value


policy = Policy(
    [
        Field("name", "who", key=lower, required=True),
        Field("code", "who", read_only=frozenset({Side.RIGHT}), strategy=ask),
        Field("born", "who", create_only=frozenset({Side.LEFT}), owner=owners[0]),
    ],
    [Group("who", strategy=settled[0], initial=fill_blanks, unit=False, allow_clear=False, owner=None)],
    on_delete=OnDelete.PROPAGATE,
    deletes_on=frozenset({Side.RIGHT}),
)
identity = Identity(strong=(("name", "born"),), weak=(("name",),), scored={"born": 1.0}, hint_at=1.0)


def read(native: object) -> Value:
    if not isinstance(native, int):
        raise Unmappable("expected a number")
    return str(native)


kinds = CodeTable("kind", {"person": ("P", "Person"), "company": ("C",)})
mapper = FieldMapper(
    (
        FieldMap("name", "NAME"),
        FieldMap("code", "CODE", Codec("number", read, lambda value: int(str(value))), default="0"),
        FieldMap("born", "KIND", kinds.codec()),
        FieldMap("year", "YEAR", AS_IT_IS),
    )
)


def hold_everything(link: Link, plan: Plan) -> str | None:
    return "not_today" if plan.writes else None


guard: Guard = hold_everything
clock: Clock = SystemClock()
chance: Chance = SystemChance()


async def wired(left: Replica, right: Replica, store: StateStore, locks: LockProvider) -> None:
    parts = Parts(
        left=left,
        right=right,
        policy=policy,
        store=store,
        locks=locks,
        identity=identity,
        detector=stamped,
        guard=guard,
        clock=clock,
        chance=chance,
        limits=Limits(request_timeout_s=10.0, concurrency=4),
        observers=(print,),
    )
    engine = await Engine.open(parts)
    sweep = Sweep(engine, patience_s=10.0)
    assert_type(await sweep.run(everything=True, side=Side.LEFT, rounds=2), Tally)
    assert_type(await sweep.named([Ref(Side.LEFT, "1")]), Tally)
    explained = await engine.explain(Ref(Side.LEFT, "1"))
    assert_type(explained, Explanation)
    assert_type(explained.now, tuple[Decision, ...])


async def held(locks: LockProvider) -> None:
    async with locks.hold("left:1") as lease:
        assert_type(lease, Lease)
        assert_type(lease.remaining(), float)
        await lease.renew()


def counted(tally: Tally) -> Mapping[Side, int]:
    return tally.created
