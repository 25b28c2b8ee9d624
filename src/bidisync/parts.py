"""What the engine works with, put together once in a composition root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from bidisync.clock import SystemChance, SystemClock
from bidisync.detectors import ByContent, by_version, first_that_knows
from bidisync.errors import Misconfigured
from bidisync.events import Event
from bidisync.guards import Bounds, Run
from bidisync.identity import Identity
from bidisync.mapping import Mapped
from bidisync.model import LinkState, Plan, Side
from bidisync.protocols import Chance, ChangeDetector, Clock, Guard, LockProvider, Observer, Replica
from bidisync.references import Referring
from bidisync.retry import Backoff
from bidisync.schema import Policy
from bidisync.state import Link
from bidisync.storage import StateStore


def go(link: Link, plan: Plan) -> str | None:
    """The guard that holds nothing."""
    return None


@attrs.frozen
class Limits:
    """Bounds of time and number. Times in seconds.

    ``request_timeout_s`` is the longest that one request of a replica may take, all in all;
    ``search_lag_s`` how long a new record may be missing from a list; ``freshness_s`` how
    old a read may be that an unconditional write stands on; ``consistency_s`` how long a
    remote may still show what was there before our own write, and ``rereads`` how often it
    is asked meanwhile; ``clocks_apart_s`` how far the clocks of two machines that share a state
    may be apart; ``requeues`` how often in a row a record may move while it is worked
    on; ``grace_s`` how long a record must be missing before anything follows, unless a
    second pass misses it too.
    """

    request_timeout_s: float = 30.0
    search_lag_s: float = 5.0
    freshness_s: float = 2.0
    consistency_s: float = 5.0
    clocks_apart_s: float = 3.0
    rereads: int = 3
    concurrency: int = 10
    chunk: int = 50
    requeues: int = 10
    grace_s: float = 86_400.0


@attrs.frozen(kw_only=True)
class Parts:
    """Everything exchangeable, in one value. ``left`` and ``right`` hold records of the same fields.

    ``scope`` says in words of its own what each field is mapped to, and under the name ``""``
    which systems these are: where it changes, the fields concerned begin anew. ``run`` is the
    pass that these parts serve. Of a side that takes no updates the policy needs to say nothing.
    """

    left: Replica
    right: Replica
    policy: Policy
    store: StateStore
    locks: LockProvider
    identity: Identity = Identity()
    detector: ChangeDetector = attrs.field()
    guard: Guard = go
    bounds: Bounds = Bounds()
    scope: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    run: Run = Run()
    clock: Clock = attrs.Factory(SystemClock)
    chance: Chance = attrs.Factory(SystemChance)
    backoff: Backoff = Backoff()
    limits: Limits = Limits()
    observers: Sequence[Observer] = ()
    show_state: bool = True  # False: notes carry the other side's id alone

    @detector.default
    def _by_version_then_content(self) -> ChangeDetector:
        return first_that_knows(by_version, ByContent.of(self.policy))

    def __attrs_post_init__(self) -> None:
        can = {side: replica.capabilities for side, replica in self.replicas.items()}
        object.__setattr__(self, "policy", self.policy.within(can))
        named = {field.name for field in self.policy.fields}
        strange = sorted(self.identity.fields - named)
        if strange:
            raise Misconfigured(f"the identity uses the field {strange[0]!r}, which the policy does not have")
        for side, replica in self.replicas.items():
            within = replica.replica if isinstance(replica, Referring) else replica
            missing = sorted(named - within.mapper.fields) if isinstance(within, Mapped) else []
            if missing:
                raise Misconfigured(f"the mapping of the {side.value} side has no place for {missing[0]!r}")
        if self.locks.lease_s <= 1.1 * self.limits.request_timeout_s:
            raise Misconfigured(
                f"a lease of {self.locks.lease_s:g} s is too short for requests of up to "
                f"{self.limits.request_timeout_s:g} s: make it longer than 1.1 times that"
            )

    def replica(self, side: Side) -> Replica:
        """The records of that side."""
        return self.left if side is Side.LEFT else self.right

    def observe(self, event: Event) -> None:
        """Tell every observer."""
        for observer in self.observers:
            observer(event)

    @property
    def replicas(self) -> Mapping[Side, Replica]:
        """Both, by side."""
        return {Side.LEFT: self.left, Side.RIGHT: self.right}


async def living(parts: Parts) -> int:
    """How many links there are, without those that are over: what percentages are of. Counted once in a pass."""
    if parts.run.links:
        return parts.run.links
    count = await parts.store.count()
    return sum(count.values()) - count.get(LinkState.TOMBSTONED.value, 0)
