"""What became of a record, and of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from bidisync.events import Examined
from bidisync.model import LinkState, Ref, ReviewKind, Side, Snapshot
from bidisync.roll import Roll
from bidisync.state import Link

NOT_FOUND = "not_found"
"""The reason of an outcome where nobody has this id, and nobody had."""
NOT_LINKED = "not_linked"
"""The reason of an outcome where the record is there, and no pass has linked it so far."""


@attrs.define
class Effects:
    """What has been done for one record so far; it outlives a start from the top."""

    created: set[Side] = attrs.Factory(set)
    updated: set[Side] = attrs.Factory(set)
    deleted: set[Side] = attrs.Factory(set)
    adopted: bool = False
    settled: int = 0  # conflicts that a strategy settled
    looks: dict[Side, Snapshot] = attrs.Factory(dict)  # how the records were last seen
    open_before: frozenset[str] | None = None  # the groups in conflict when the work began

    def begin(self, link: Link) -> None:
        """Remember how the link stood, the first time."""
        if self.open_before is None:
            self.open_before = open_conflicts(link)


_SIDES = {
    sides: sides for sides in (frozenset[Side](), frozenset((Side.LEFT,)), frozenset((Side.RIGHT,)), frozenset(Side))
}
"""Each set of sides once, so that the outcomes of many share them."""


@attrs.frozen
class Outcome:
    """How one record stands after it was dealt with, and what was done for it.

    * ``ref``: the record that was asked for; ``link_id``: the name of its link; ``refs``: the
      records of the link, one or two.
    * ``state``: how the link stands; ``reason``: the code that says why, empty where all is well.
      Of a ``Ref`` that nobody has, and nobody had, the reason is ``not_found``.
    * ``created``, ``updated``, ``deleted``: the sides on which that was done, and acknowledged.
    * ``adopted``: a record of the other side was recognised as the same one.
    * ``settled``: so many groups in which both sides had changed a field differently were settled by
      their strategy.
    * ``opened``, ``closed``: so many groups wait for a person since now, and do not any more.
    * ``retry_at``: when it is due again by itself, in seconds since 1970; ``None`` if it is not.
    """

    ref: Ref
    link_id: str
    state: LinkState
    reason: str = ""
    created: frozenset[Side] = frozenset()
    updated: frozenset[Side] = frozenset()
    deleted: frozenset[Side] = frozenset()
    adopted: bool = False
    settled: int = 0
    opened: int = 0
    closed: int = 0
    retry_at: float | None = None
    refs: tuple[Ref, ...] = ()

    @classmethod
    def of(cls, ref: Ref, link: Link, effects: Effects, *, retry_at: float | None = None) -> Outcome:
        """The outcome for a link as it is now."""
        before, now = effects.open_before or frozenset(), open_conflicts(link)
        return cls(
            ref=ref,
            link_id=link.id,
            state=link.state,
            reason=reason_of(link),
            created=_SIDES[frozenset(effects.created)],
            updated=_SIDES[frozenset(effects.updated)],
            deleted=_SIDES[frozenset(effects.deleted)],
            adopted=effects.adopted,
            settled=effects.settled,
            opened=len(now - before),
            closed=len(before - now),
            retry_at=retry_at,
            refs=link.refs,
        )

    @property
    def open(self) -> bool:
        """Whether this record is due again by itself."""
        return self.retry_at is not None

    @property
    def in_step(self) -> bool:
        """Whether nothing is left to say about this record."""
        return self.state is LinkState.IN_SYNC and not self.reason and not self.open

    def examined(self, run: str, duration_s: float) -> Examined:
        """The same for observers."""
        return Examined(
            self.ref, self.link_id, self.state, self.reason, run, duration_s, self.opened, self.closed, self.settled
        )


def open_conflicts(link: Link) -> frozenset[str]:
    """The groups about whose conflict a person is asked."""
    return frozenset(review.group for review in link.reviews if review.kind is ReviewKind.CONFLICT)


def reason_of(link: Link) -> str:
    """The code that explains the link's state; empty in sync."""
    if link.attempts.count or link.attempts.reason:  # a reason alone: it waits, and was not tried
        return link.attempts.reason
    return link.reviews[0].reason if link.reviews else ""


@attrs.define
class Tally:
    """What came of a pass, added up over its records; the last outcome of a link is the one that counts.

    * ``created``, ``updated``, ``deleted``: how many records, by side: ``tally.created[Side.LEFT]``,
      ``tally.created.total()``.
    * ``adopted``: so many records were recognised as one that the other side had.
    * ``settled``: so many groups were settled by their strategy.
    * ``examined``: how many links were looked at; ``states()``: how many of them stand how;
      ``outcomes``: the last outcome of each that was dealt with, by link.
    * ``rounds``: in how many rounds; a later one takes up only what was due again.
    * ``lean``: of links that are in step at the end only their number is kept, no outcome.
    """

    lean: bool = False
    created: Counter[Side] = attrs.Factory(Counter)
    updated: Counter[Side] = attrs.Factory(Counter)
    deleted: Counter[Side] = attrs.Factory(Counter)
    adopted: int = 0
    settled: int = 0
    rounds: int = 0
    _resting: Roll = attrs.Factory(Roll)
    _unmoved: dict[str, LinkState] = attrs.Factory(dict)
    _last: dict[str, Outcome] = attrs.Factory(dict)

    @property
    def examined(self) -> int:
        """How many records were looked at; both records of a link count as one."""
        return len(self._last.keys() | self._unmoved.keys()) + self._only_resting

    @property
    def _only_resting(self) -> int:
        return len(self._resting) - sum(
            link_id in self._resting for link_id in self._last.keys() | self._unmoved.keys()
        )

    def rest(self, link_ids: Iterable[str]) -> None:
        """Count links that are in sync and as they were."""
        self._resting.add(link_ids)

    def skip(self, link_id: str, state: LinkState) -> None:
        """Count a record that is as it was, and how it stands."""
        self._unmoved[link_id] = state

    def add(self, outcome: Outcome) -> None:
        """Count an outcome; a record that is dealt with again is examined once."""
        if self.lean and outcome.in_step:
            self._last.pop(outcome.link_id, None)
            self._unmoved.pop(outcome.link_id, None)  # as its other record was listed, before
            self._resting.add((outcome.link_id,))
        else:
            self._last[outcome.link_id] = outcome
        self.created.update(outcome.created)
        self.updated.update(outcome.updated)
        self.deleted.update(outcome.deleted)
        self.adopted += outcome.adopted
        self.settled += outcome.settled

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """The last outcome of every link that was dealt with, by link; a lean tally leaves out those in step."""
        return self._last

    def found(self, link_id: str) -> bool:
        """Whether this link was dealt with, and its records are there."""
        outcome = self._last.get(link_id)
        return link_id in self._resting if outcome is None else outcome.state is not LinkState.GONE

    def states(self) -> Counter[LinkState]:
        """How many of the records examined stand in which state."""
        last = {link_id: outcome.state for link_id, outcome in self._last.items()}
        states = Counter({**self._unmoved, **last}.values())
        states[LinkState.IN_SYNC] += self._only_resting
        return +states
