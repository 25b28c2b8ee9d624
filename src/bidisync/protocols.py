"""What can be exchanged: strategies (pure, callables) and parts with I/O.

Each protocol names what its callers rely on and what an implementation must not do;
``bidisync.testing`` has a ``check_*`` for each, which says so with assertions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
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
    Side,
    Snapshot,
    Value,
)
from bidisync.state import Hint, Intent, Journaled, Known, Link, Living, Shadow

if TYPE_CHECKING:
    from bidisync.chain import Head, Verdict
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


class StateStore(Protocol):
    """Keeps links, journal, index and cursors: transactional, durable when a call returns.

    ``save`` refuses (``Contended``) a link whose revision is not the stored one, and one
    whose record already belongs to another link. Concurrent calls may share one commit.
    """

    async def load(self, refs: Sequence[Ref]) -> Mapping[Ref, Link]:
        """The links of those records that have one."""
        ...

    def links(self) -> AsyncIterator[Sequence[Link]]:
        """All links, in groups, in a stable order; those made meanwhile may be missing."""
        ...

    async def resting(self, side: Side, tokens: Sequence[tuple[str, str | None]]) -> Mapping[str, str]:
        """Of these records with their versions, those that need no look: their links, by record.

        Exactly those whose link rests at that version (``Link.rests_at``). A pass asks this of
        every record that there is, so it must not read whole links.
        """
        ...

    def living(self, side: Side) -> AsyncIterator[Sequence[Living]]:
        """The records of that side whose links are not over, in groups, by id; no whole links either."""
        ...

    async def save(self, link: Link, *, journal: Sequence[Journaled] = (), absorbs: Sequence[Link] = ()) -> Link:
        """Store the link, its journal lines, and the end of the links it absorbs, in one commit.

        The stored link comes back with its new revision.
        """
        ...

    async def erase(self, link: Link, *, journal: Sequence[Journaled] = ()) -> Link:
        """Like ``save``, and take every value out of the journal of this link and of those that it absorbed.

        What was stored of it before is left nowhere in the store's files.
        """
        ...

    async def fade(
        self, numbers: Sequence[int], *, journal: Sequence[Journaled] = (), decided_on: Sequence[Link] = ()
    ) -> None:
        """Take every value out of these entries of the journal, all or none; what was done stays. ``shred`` ends it.

        ``journal`` says so, and stands in it not later than that. ``Contended`` if one of the
        links that it was ``decided_on`` is not as it was read: somebody may want to keep them.
        """
        ...

    async def shred(self) -> None:
        """Leave nothing of what was replaced or faded in the store's files, as far as that can be done from here."""
        ...

    async def fence(self, link: Link) -> int:
        """The fence that is stored now; another than the link's means: somebody took over."""
        ...

    async def open_creates(self) -> Sequence[Link]:
        """Links with a create that nobody has finished (``Link.creating``)."""
        ...

    async def unsettled(self) -> Sequence[Link]:
        """Links that are due again by themselves: not settled, not dead, not tombstoned."""
        ...

    async def waiting(self) -> Sequence[Link]:
        """Links about which a person is asked something (``Link.waits``), by id."""
        ...

    async def watched(self) -> Sequence[Link]:
        """Links with a create whose twin is still looked for (``Link.watch``)."""
        ...

    async def acts_since(self, at: float, *, only: Sequence[str] | None = None) -> Mapping[str, AbstractSet[str]]:
        """The ids of the links that each act (``Journaled.acts``), or ``only`` these, concerned since then."""
        ...

    async def count(self) -> Mapping[str, int]:
        """How many links there are in each state (the values of ``LinkState``)."""
        ...

    async def learn(self, known: Sequence[Known]) -> None:
        """Put records into the index of their side, in place of what it held of them."""
        ...

    async def forget(self, refs: Sequence[Ref]) -> None:
        """Take records out of the index."""
        ...

    async def matches(self, side: Side, keys: Mapping[str, str]) -> Sequence[Known]:
        """The records of that side which share one of these keys."""
        ...

    async def journal(self, link_id: str) -> Sequence[Journaled]:
        """The journal of a link, oldest first."""
        ...

    async def history(self, *, before: int | None = None, limit: int = 100) -> Sequence[tuple[int, Journaled]]:
        """The newest entries of the journal, newest first, with their numbers; those before one of them."""
        ...

    async def get_mark(self, name: str) -> str | None:
        """A small durable value by its name: a cursor, a date, a salt."""
        ...

    async def set_mark(self, name: str, value: str | None) -> None:
        """Set or remove it."""
        ...

    async def first_mark(self, name: str, value: str) -> str:
        """Set it unless it is set, in one commit; what stands there then. All callers get the same."""
        ...

    async def close(self) -> None:
        """Give everything back; what was acknowledged stays."""
        ...


@runtime_checkable
class SavesMany(Protocol):
    """A state store that stores many links in one go: then plain updates are stored a chunk at a time."""

    async def save_many(self, links: Sequence[tuple[Link, Sequence[Journaled]]]) -> Sequence[Link]:
        """Store each link with its journal lines, all in one commit or none; as ``save`` otherwise.

        Each is stored already, and has the same records as when it was read.
        """
        ...


class DecisionLog(Protocol):
    """Shows whether the journal is as it was written: a chain that grows with each commit (``bidisync.chain``).

    Must not lose or reorder a line, nor give two lines one place, whoever writes at the same
    time; ``StateStore.erase`` must not break it.
    """

    async def head(self) -> Head:
        """Where the log ends: to be kept elsewhere."""
        ...

    async def verify(self, given: Head | None = None, *, newest: int | None = None) -> Verdict:
        """Go over all lines; with a head from before also whether the log has only grown since.

        With ``newest`` over so many of the last lines at most: those after the given head,
        where it is one of them.
        """
        ...


class HintStore(Protocol):
    """Keeps hints until somebody has looked: durable when a call returns, one for each record.

    A hint that was taken and never done comes back by itself, so whoever dies loses none.
    Must not hand out a hint twice before ``until``, nor lose one that came while an earlier
    one of the same record was worked on.
    """

    async def hint(self, refs: Sequence[Ref], at: float, *, not_before: float = 0.0) -> None:
        """Keep a hint for each record, in one commit; it is due from ``not_before`` on.

        A repeat collapses: the hint keeps its ``first_at``, gets a new number, and is due at
        the earlier of both times.
        """
        ...

    async def take(self, now: float, *, limit: int, until: float, only: Ref | None = None) -> Sequence[Hint]:
        """The oldest due hints that nobody holds, oldest first; they are the caller's until ``until``.

        With ``only`` none but the one of that record.
        """
        ...

    async def hold(self, hint: Hint, until: float) -> Hint | None:
        """Hold it longer: the hint as it is held now, or ``None`` if somebody else has taken it since."""
        ...

    async def done(self, hints: Sequence[Hint]) -> None:
        """Remove those that were taken; one that was repeated meanwhile stays and is free again.

        What somebody else has taken since is left alone.
        """
        ...

    async def put_off(self, hint: Hint, not_before: float) -> None:
        """Give it back until then; one that was repeated meanwhile is due at once."""
        ...

    async def hints_waiting(self) -> tuple[int, float | None]:
        """How many hints are not done, and since when the oldest of them is kept."""
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


class Seal(Protocol):
    """Makes stored texts unreadable without a key that is not stored beside them.

    ``prefix`` begins every text that it sealed, and no other: it tells the key.
    """

    @property
    def prefix(self) -> str:
        """What its texts begin with; empty where nothing is sealed."""
        ...

    def name(self, text: str) -> str:
        """A name for a text, the same each time: equal names mean equal texts, and tell nothing else of them."""
        ...

    def seal(self, text: str) -> str:
        """The text as it is stored."""
        ...

    def unseal(self, text: str) -> str:
        """The text that was sealed; ``Misconfigured`` if it was sealed by another key, or changed since."""
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
"""Told what happened, as one frozen event; must return at once and not raise."""
