"""A pair of replicas in memory with an engine over them, as the engine's tests need it."""

from __future__ import annotations

import attrs

from bidisync import (
    Capabilities,
    Conditional,
    Engine,
    Field,
    Group,
    Identity,
    Limits,
    Parts,
    Policy,
    Sweep,
    Tally,
    Value,
    prefer_left,
)
from bidisync.locks.local import LocalLocks
from bidisync.storage import StateStore
from bidisync.stores.memory import MemoryStore
from bidisync.testing.clock import ManualClock, SeededChance
from bidisync.testing.replica import MemoryReplica

CRM = Capabilities(
    conditional_write=Conditional.CHECKED,
    partial_write=True,
    finds_created=True,
    keeps_notes=True,
    row_is_complete=True,
    row_can_be_written=True,
)
ERP = Capabilities(finds_created=True, row_is_complete=True)
"""What EspoCRM and Advoware guarantee, without either."""

NAMES = ("name", "x", "y", "born")


def fold(value: Value) -> Value:
    """Names are the same in any case and with any blanks around them."""
    return value.strip().casefold() if isinstance(value, str) else value


POLICY = Policy(
    [Field("name", "g", required=True, key=fold), Field("x", "g"), Field("y", "h"), Field("born", "g")],
    [Group("g", strategy=prefer_left), Group("h")],
)


@attrs.define
class Pair:
    """Two replicas, one store, and as many engines over them as a test starts."""

    policy: Policy = POLICY
    left: MemoryReplica = attrs.Factory(lambda: MemoryReplica("l", capabilities=CRM, names=NAMES))
    right: MemoryReplica = attrs.Factory(lambda: MemoryReplica("r", capabilities=ERP, names=NAMES))
    store: StateStore = attrs.Factory(MemoryStore)
    clock: ManualClock = attrs.Factory(ManualClock)
    seed: int = 0
    more: dict[str, object] = attrs.Factory(dict)  # other parts of the engine
    tally: Tally = attrs.Factory(Tally)

    def __attrs_post_init__(self) -> None:
        for replica in (self.left, self.right):
            replica.now = self.clock.now

    async def engine(self) -> Engine:
        """A new process: its own leases, the same state and the same systems."""
        self.seed += 1
        return await Engine.open(
            Parts(
                left=self.left,
                right=self.right,
                policy=self.policy,
                store=self.store,
                locks=LocalLocks(clock=self.clock),
                identity=Identity(strong=(("name", "born"),), weak=(("name",),)),
                clock=self.clock,
                chance=SeededChance(self.seed),
                **{"limits": Limits(concurrency=1), **self.more},  # type: ignore[arg-type]
            )
        )

    async def sweep(self, **options: object) -> Sweep:
        """A pass by a new process."""
        sweep = Sweep(await self.engine(), patience_s=600.0)
        self.tally = await sweep.run(**options)  # type: ignore[arg-type]
        return sweep

    def writes(self) -> int:
        """How many writes both sides have seen."""
        return len(self.left.writes) + len(self.right.writes)


__all__ = ["CRM", "ERP", "Pair"]
