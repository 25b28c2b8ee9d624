"""What can be exchanged: strategies (pure, callables) and parts with I/O.

Each protocol names what its callers rely on and what an implementation must not do;
``bidisync.testing`` has a ``check_*`` for each, which says so with assertions. The stores'
protocols stand in ``storage``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from bidisync.events import Event
from bidisync.model import (
    Capabilities,
    Change,
    Conflict,
    Created,
    Fields,
    Notes,
    Page,
    Plan,
    Ref,
    Resolution,
    Snapshot,
    Value,
)
from bidisync.state import Intent, Link, Shadow

if TYPE_CHECKING:
    from bidisync.notices import Notice


class ChangeDetector(Protocol):
    """Tells what moved on one side since the shadow was taken; ``None`` where it can't tell.

    Pure. Must not call a difference in spelling a change, nor a field that was not
    delivered; must not miss a change that it was given the values to see.
    """

    def __call__(self, shadow: Shadow, snapshot: Snapshot) -> Change | None: ...


class ConflictStrategy(Protocol):
    """Settles fields that both sides changed differently, or leaves them to a person.

    Pure and stable: asked again with its own answer on one side, it answers the same, for
    a crash between two writes is healed by asking again. It is never asked about a field
    that only one side changed. Must not answer for fields that it was not asked about.
    """

    def __call__(self, conflict: Conflict) -> Resolution: ...


class Mapper(Protocol):
    """Translates between a system's own record and the shared one, as a lens.

    ``get`` after ``put`` gives what was put; ``put`` of what ``get`` gave changes nothing.
    A value without a form on the other side is ``Unmappable``.
    """

    @property
    def fields(self) -> frozenset[str]:
        """The fields of the shared record that have a place here."""
        ...

    def get(self, native: Mapping[str, object]) -> Fields:
        """The record's fields; ``ABSENT`` where the native record lacks them, or they can't be read."""
        ...

    def unreadable(self, native: Mapping[str, object]) -> frozenset[str]:
        """The fields whose native values have no form here: they block their group until they change."""
        ...

    def field_of(self, native: str) -> str:
        """The field that lives at a native one, which a remote may name in a refusal; else empty."""
        ...

    def unknown(self, native: Mapping[str, object]) -> frozenset[str]:
        """The fields that hold a code nobody knows: kept as it is, and said once."""
        ...

    def put(self, changes: Mapping[str, Value], native: Mapping[str, object]) -> Mapping[str, object]:
        """The native fields that these changes touch, and no other; ``native`` is empty at a create."""
        ...


class Guard(Protocol):
    """Looks at a plan before anything is sent; a reason holds it, ``None`` lets it go. Pure."""

    def __call__(self, link: Link, plan: Plan) -> str | None: ...


class Replica(Protocol):
    """One side's collection of records.

    Errors are those of ``bidisync.errors``, translated here. A replica never repeats a
    write by itself, never writes a field that it was not given, and keeps what it does not
    know.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this replica guarantees."""
        ...

    @property
    def newest(self) -> str | None:
        """The newest record seen so far, in the replica's own words: a bound for ``find_created``."""
        ...

    async def get(self, id: str) -> Snapshot:
        """The record now. ``gone`` only where the system says by id that it does not exist."""
        ...

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """Those of the records that a bulk read finds, as rows; a missing one proves nothing."""
        ...

    def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """All records page by page, or those changed since a cursor, if it can."""
        ...

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Make a record, once. ``Duplicate`` where the system knows such a record already."""
        ...

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Change only these fields, against the version seen (``Stale`` if it is outdated).

        The record as it is now if the reply proves it, else ``None``: read it back then.
        """
        ...

    async def delete(self, seen: Snapshot) -> None:
        """Delete the record. ``Rejected`` where the system does not allow it."""
        ...

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """The records whose notes name this id of the other side; empty without notes."""
        ...

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """Records that may be the one which this create made."""
        ...


Look: TypeAlias = Callable[[Ref], Awaitable[float | None]]
"""Looks at one record: when it is due again (seconds since 1970), or ``None``.

Raises ``Unavailable`` or ``Unauthorized`` where a whole system is out of order.
"""


class WorkQueue(Protocol):
    """Brings every hint to somebody who looks, however many workers there are.

    A hint is kept durably before ``submit`` returns, and until somebody's look has ended. Must
    not lose one when a worker dies, nor one that comes during a look at the same record, nor
    have two looks at one hint at once; repeats that nobody has begun with collapse.
    """

    async def submit(self, refs: Sequence[Ref], *, not_before: float = 0.0) -> None:
        """Keep a hint for each record, due from ``not_before`` on."""
        ...

    async def run(self, look: Look) -> None:
        """Work until cancelled; then what is under way may end, and the rest is handed back."""
        ...


class Lease(Protocol):
    """The right to work on one key for a while."""

    def remaining(self) -> float:
        """Seconds until it ends, by the monotonic clock; never more than is certain."""
        ...

    async def renew(self) -> None:
        """Make it last its full time again; ``Contended`` if it was lost."""
        ...


class LockProvider(Protocol):
    """Hands out leases so that two workers do not do the same work at once.

    An optimisation: correctness comes from versions, revisions and intents. A lease ends by
    itself; only its owner can release it. Must not hand out a key twice while its lease
    lasts.
    """

    @property
    def lease_s(self) -> float:
        """How long a lease lasts without renewal."""
        ...

    def hold(self, key: str) -> AbstractAsyncContextManager[Lease]:
        """Hold the key; ``Contended`` if somebody else does, ``Unavailable`` if nobody can tell."""
        ...


@runtime_checkable
class HoldsFree(Protocol):
    """Locks that can hold many keys at once, without waiting: then plain updates are done a chunk at a time."""

    def hold_free(self, keys: Sequence[str]) -> AbstractAsyncContextManager[Mapping[str, Lease]]:
        """Hold those of the keys that nobody holds: a lease for each of these; the others are left out."""
        ...


class Notifier(Protocol):
    """A channel to people: mail, chat, or one of the systems.

    Raises a ``SyncError`` where nobody was reached; must not send a part of the notice twice
    by itself, nor add to it anything of a record.
    """

    async def notify(self, notice: Notice) -> None:
        """Tell it, as one message to each person."""
        ...


class Clock(Protocol):
    """Time, so that a simulation can be its own."""

    def now(self) -> float:
        """Seconds since 1970 in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Chance(Protocol):
    """Randomness, so that a run can be repeated exactly."""

    def fraction(self) -> float:
        """Evenly spread in [0, 1)."""
        ...

    def token(self) -> str:
        """A string that nobody else has: at least 128 random bits."""
        ...


Observer: TypeAlias = Callable[[Event], None]
"""Told what happened, as one frozen event of ``bidisync.events``, in the order in which it happens.

A function will do. It is called in the midst of the work, so it must return at once and must
not raise: what it raises ends the pass. Events hold ids, codes and names of fields, and no
value of a record.
"""
