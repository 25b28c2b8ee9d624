"""What the engine works with, put together once in a composition root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import attrs

from bidisync.clock import SystemChance, SystemClock
from bidisync.detectors import ByContent, by_version, first_that_knows
from bidisync.errors import Misconfigured
from bidisync.events import Event
from bidisync.guards import Bounds, Run
from bidisync.identity import Identity
from bidisync.mapping import FieldMapper, Mapped
from bidisync.model import Deletion, LinkState, Plan, Side
from bidisync.protocols import Chance, ChangeDetector, Clock, Guard, LockProvider, Observer, Replica
from bidisync.records import RecordReplica
from bidisync.references import Referring
from bidisync.retry import Backoff
from bidisync.schema import OnDelete, Policy
from bidisync.state import Link
from bidisync.storage import StateStore


def go(link: Link, plan: Plan) -> str | None:
    """The guard that holds nothing."""
    return None


def _at_least_one(_: object, field: attrs.Attribute[int], value: object) -> None:
    if not isinstance(value, int) or value < 1:
        raise Misconfigured(f"{field.name} is a whole number of at least 1")


def _none_or_more(_: object, field: attrs.Attribute[int], value: object) -> None:
    if not isinstance(value, int) or value < 0:
        raise Misconfigured(f"{field.name} is a whole number, 0 or more")


def _no_less_than_nothing(_: object, field: attrs.Attribute[float], value: object) -> None:
    if not isinstance(value, int | float) or not value >= 0:
        raise Misconfigured(f"{field.name} is a time in seconds, 0 or more")


def _some_time(_: object, field: attrs.Attribute[float], value: object) -> None:
    if not isinstance(value, int | float) or not value > 0:
        raise Misconfigured(f"{field.name} is a time in seconds, more than 0")


@attrs.frozen
class Limits:
    """Bounds of time (in seconds) and number; one with which nothing would be done is ``Misconfigured``.

    * ``request_timeout_s``: the longest that one request of a replica may take, all in all. A lease
      lasts longer than 1.1 times that; after a write of unknown outcome the record waits for
      lease, request, ``search_lag_s`` and ``clocks_apart_s`` together.
    * ``search_lag_s``: how long a new record may be missing from a list or a search.
    * ``freshness_s``: how old a read may be that an unconditional write stands on.
    * ``consistency_s``: how long a remote may still show what was there before our own write;
      ``rereads`` is how often it is asked meanwhile.
    * ``clocks_apart_s``: how far the clocks of two machines that share a state may be apart.
    * ``concurrency``: how many records are worked on at once.
    * ``chunk``: of how many records the links are loaded together, and the records read in bulk.
    * ``requeues``: how often in a row a record may move while it is worked on, before it is left to
      a later round.
    * ``grace_s``: how long a record must be missing before anything follows, unless a second pass
      misses it too.
    """

    request_timeout_s: float = attrs.field(default=30.0, validator=_some_time)
    search_lag_s: float = attrs.field(default=5.0, validator=_no_less_than_nothing)
    freshness_s: float = 2.0
    consistency_s: float = attrs.field(default=5.0, validator=_no_less_than_nothing)
    clocks_apart_s: float = attrs.field(default=3.0, validator=_no_less_than_nothing)
    rereads: int = attrs.field(default=3, validator=_none_or_more)
    concurrency: int = attrs.field(default=10, validator=_at_least_one)
    chunk: int = attrs.field(default=50, validator=_at_least_one)
    requeues: int = attrs.field(default=10, validator=_at_least_one)
    grace_s: float = attrs.field(default=86_400.0, validator=_no_less_than_nothing)


@attrs.frozen(kw_only=True)
class Parts:
    """Everything exchangeable, in one value: what an ``Engine`` works with, which owns none of it.

    ``Misconfigured`` where parts don't fit each other: an identity or a mapping without a field of
    the policy, a lease that ends before a request may.

    * ``left``, ``right``: both sides, holding records of the same fields.
    * ``policy``: what takes part, and what settles it. Of a side that takes no updates it needs to
      say nothing.
    * ``store``: the state; ``locks``: so that two workers do not do the same work at once.
    * ``identity``: which fields tell who is who where records meet; by default nothing does.
    * ``detector``: what moved on a side; by default its version says, and else the values do.
    * ``guard``: looks at each plan before anything is sent, and may hold it; by default none is held.
    * ``bounds``: how much may happen unasked in a pass and within a day.
    * ``scope``: says in words of its own what each field is mapped to, and under the name ``""``
      which systems these are: where it changes, the fields concerned begin anew, and one that is
      added takes part from then on.
    * ``run``: the pass that these parts serve; a ``Sweep`` sets it.
    * ``clock``, ``chance``: time and randomness, by default those of the machine.
    * ``backoff``: how long a record that fails waits, and after how many attempts it is given up.
    * ``limits``: bounds of time and number.
    * ``observers``: each is told every event.
    * ``show_state``: whether records with notes show how they stand; ``False``: they name the other
      side's id alone.
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
    show_state: bool = True

    @detector.default
    def _by_version_then_content(self) -> ChangeDetector:
        return first_that_knows(by_version, ByContent.of(self.policy))

    def __attrs_post_init__(self) -> None:
        can = {side: replica.capabilities for side, replica in self.replicas.items()}
        object.__setattr__(self, "policy", self.policy.within(can))
        final = [side for side in Side if side in self.policy.deletes_on and can[side].deletion is Deletion.HARD]
        if self.policy.on_delete is OnDelete.ARCHIVE and final:
            raise Misconfigured(
                f"the {final[0].value} side can't archive, it deletes for good: use OnDelete.PROPAGATE if that "
                "is meant, or leave that side out of deletes_on"
            )
        named = {field.name for field in self.policy.fields}
        strange = sorted(self.identity.fields - named)
        if strange:
            raise Misconfigured(f"the identity uses the field {strange[0]!r}, which the policy does not have")
        for side, replica in self.replicas.items():
            _check_places(side, replica.replica if isinstance(replica, Referring) else replica, named)
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


def _check_places(side: Side, replica: Replica, named: AbstractSet[str]) -> None:
    """``Misconfigured`` where a field has no place in the records of that side."""
    within, wanted = replica, named
    if isinstance(replica, Mapped):
        missing = sorted(named - replica.mapper.fields)
        if missing:
            raise Misconfigured(f"the mapping of the {side.value} side has no place for {missing[0]!r}")
        mapper, within = replica.mapper, replica.replica
        wanted = {one.native for one in mapper.maps if one.field in named} if isinstance(mapper, FieldMapper) else set()
    unread = sorted(wanted - set(within.names)) if isinstance(within, RecordReplica) else []
    if unread:
        raise Misconfigured(f"the RecordReplica of the {side.value} side does not name {unread[0]!r}")


async def living(parts: Parts) -> int:
    """How many links there are, without those that are over: what percentages are of. Counted once in a pass."""
    if parts.run.links:
        return parts.run.links
    count = await parts.store.count()
    return sum(count.values()) - count.get(LinkState.TOMBSTONED.value, 0)
