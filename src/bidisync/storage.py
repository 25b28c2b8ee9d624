"""What outlives a process: links, journal and hints, durable when a call returns, and sealed where that is wanted.

Each protocol names what its callers rely on and what an implementation must not do;
``bidisync.testing`` has a ``check_*`` for each of the three stores.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from bidisync.model import Ref, Side
from bidisync.state import Hint, Journaled, Known, Link, Living

if TYPE_CHECKING:
    from bidisync.chain import Head, Verdict


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
