"""What is remembered of a pair of records.

A ``Link`` is one immutable value. A store keeps it under a ``revision``: whoever saves must
name the revision it read, so a late writer is refused. ``fence`` rises with every intent;
it is checked again before each remote write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import attrs

from bidisync.model import (
    ABSENT,
    Decision,
    Fields,
    LinkState,
    Notes,
    Ref,
    Review,
    ReviewKind,
    Seen,
    Side,
    Snapshot,
    Value,
    Verb,
    Versions,
    overwritten,
)


@attrs.frozen
class Replaced:
    """What our last write replaced: a read that shows it again, before ``until``, is an old one.

    So it is by every clock: ``until`` allows for those of other machines.
    """

    fields: Fields = attrs.field(repr=lambda fields: f"<{len(fields)} fields>")
    version: str | None
    until: float


@attrs.frozen
class Shadow:
    """One side as it was last read back from it or acknowledged by it, and when that was.

    What is there now is held against it to tell what somebody changed since. Times are seconds since 1970.

    * ``fields``: every field; ``ABSENT`` where it was not delivered.
    * ``version``: the token of that state; ``None`` where the system has none.
    * ``seen_at``: when this was certainly still true.
    * ``unreadable``: the fields whose native value had no form here.
    * ``modified_at``: when the system says that it was changed last.
    * ``replaced``: what our own last write replaced, which an old answer may still show.
    * ``left_over``: list fields beside which stands what only a person can end.
    """

    fields: Fields = attrs.field(repr=lambda fields: f"<{len(fields)} fields>")
    version: str | None = None
    seen_at: float = attrs.field(default=0.0, eq=False)
    unreadable: frozenset[str] = frozenset()
    modified_at: float | None = attrs.field(default=None, eq=False)
    replaced: Replaced | None = attrs.field(default=None, eq=False)
    left_over: frozenset[str] = frozenset()

    @classmethod
    def of(cls, snapshot: Snapshot) -> Shadow:
        """What to remember of a snapshot."""
        return cls(
            dict(snapshot.fields),
            snapshot.version,
            snapshot.seen_at,
            snapshot.unreadable,
            snapshot.modified_at,
            left_over=snapshot.left_over,
        )

    def replacing(self, before: Snapshot, fields: Iterable[str], until: float) -> Shadow:
        """The same shadow, after a write of these fields that replaced a snapshot."""
        old = {name: before.fields.get(name, ABSENT) for name in fields}
        return attrs.evolve(self, replaced=Replaced(old, before.version, until))


@attrs.frozen
class Agreement:
    """A field's value on each side when both last agreed; the spellings may differ."""

    left: Seen = attrs.field(repr=False)
    right: Seen = attrs.field(repr=False)

    def on(self, side: Side) -> Seen:
        """That side's spelling."""
        return self.left if side is Side.LEFT else self.right


@attrs.frozen(eq=False, repr=False)
class Agreed(Mapping[str, Agreement]):
    """The base of a link, kept as the record of each side that was agreed on; both have the same fields."""

    left: Fields
    right: Fields

    def __getitem__(self, name: str) -> Agreement:
        return Agreement(self.left[name], self.right[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.left)

    def __len__(self) -> int:
        return len(self.left)

    def __repr__(self) -> str:
        return f"<{len(self.left)} fields>"


NEVER_AGREED = Agreed({}, {})


def agreed_of(base: Mapping[str, Agreement]) -> Agreed:
    """The base as two records."""
    if isinstance(base, Agreed):
        return base
    return Agreed({name: one.left for name, one in base.items()}, {name: one.right for name, one in base.items()})


def agreed_anew(base: Mapping[str, Agreement], anew: Mapping[str, Agreement]) -> Mapping[str, Agreement]:
    """The base, with what was agreed on anew."""
    if not anew:
        return base
    before, now = agreed_of(base), agreed_of(anew)
    return Agreed({**before.left, **now.left}, {**before.right, **now.right})


@attrs.frozen
class Intent:
    """What is about to be written, durable before it is sent; its payload never changes.

    ``not_before`` is when somebody else than the writer may write: the writer's lease and
    its last request are certainly over then, by every clock. ``other_payload`` is what goes to the opposite
    side, where a plan writes to both.
    """

    verb: Verb
    side: Side
    payload: Mapping[str, Value] = attrs.field(repr=lambda fields: f"<{', '.join(fields)}>")
    sent_at: float
    not_before: float
    watermark: str | None = None  # the newest record known on that side before sending
    unconfirmed: bool = False  # the reply was lost: look before sending again
    despite_duplicates: bool = False
    other_payload: Mapping[str, Value] = attrs.field(factory=dict, repr=lambda fields: f"<{', '.join(fields)}>")

    def sent_to(self, side: Side) -> Mapping[str, Value]:
        """What this intent writes to that side."""
        return self.payload if side is self.side else self.other_payload


@attrs.frozen
class Attempts:
    """Failed tries since the last success or change."""

    count: int = 0
    next_at: float = 0.0
    reason: str = ""
    dead: bool = False


_NO_ATTEMPTS = Attempts()


@attrs.frozen
class Missing:
    """One side's record is not there: since when, in how many passes it was found so, the last one ``at``."""

    side: Side
    since: float
    run: str
    passes: int = 1
    at: float = 0.0


ALTERED = "altered"
"""The reason under which a person is told that a side made another value of what was sent to it."""
DELETE_REFUSED = "delete_refused"
"""The reason under which a person is told that a system does not delete the survivor of a deletion."""
BROUGHT_BACK = "brought_back"
"""The reason under which a person is asked about a record that shows up again, and whose counterpart is still gone."""
FORGET = "forget"
"""Who ended a link whose values were erased."""
OPERATOR = "operator"
"""Who ended a link whose records are both to stay as they are."""


@attrs.frozen
class Tombstone:
    """A link that is over, knowingly: when, whose records were deleted, and who said so."""

    at: float
    gone: tuple[Side, ...] = ()
    by: str = "sync"


@attrs.frozen
class Retention:
    """A hold that a person put on a link: what is stored of it may not be erased, until that time or a release."""

    since: float
    until: float | None = None

    def holds(self, now: float) -> bool:
        """Whether it still does."""
        return self.until is None or now < self.until


@attrs.frozen
class Watch:
    """A create whose outcome was not known once: its twin is looked for until ``until``."""

    intent: Intent
    next_at: float
    until: float


@attrs.frozen
class Recent:
    """A write of one group that was sent lately; ``digest`` tells it from others of the group."""

    at: float
    group: str
    digest: str


@attrs.frozen
class Link:
    """Two ids that are one record, and everything remembered of them.

    * ``origin``: the record it began with; names it (``id``) for good.
    * ``left_id``, ``right_id``: its records; ``None`` where there is none yet. ``refs`` are those known.
    * ``base``: of each field what both sides last agreed on.
    * ``left_shadow``, ``right_shadow``: each side as it was last seen.
    * ``intent``: what is about to be written, or was, with an outcome that is not known.
    * ``reviews``: what a person is asked about it.
    * ``attempts``: failed tries since the last success or change.
    * ``shown``: by side the notes that were last written.
    * ``settled``: the last decision left nothing to do for the shadows as they are, so equal
      snapshots need no second look.
    * ``missing``: which side's record is not there, and since when.
    * ``tombstone``: that it is over, since when and who said so.
    * ``approved``: the digest of a held plan that an operator let go; it counts for exactly that plan.
    * ``watch``: a create whose twin is still looked for.
    * ``recent``: what was written lately, by which a value that goes to and fro is noticed.
    * ``retention``: a hold under which nothing stored of it is erased.
    * ``given_up``: the id of a counterpart that is gone, and that a person gave up for a new one. That the
      other record still names it in its notes counts for nothing, as long as nobody has that id.
    * ``fence``: rises with every intent. ``revision``: rises with every save; 0: not stored yet.
    """

    origin: Ref
    left_id: str | None = None
    right_id: str | None = None
    base: Agreed = attrs.field(default=NEVER_AGREED, converter=agreed_of)
    left_shadow: Shadow | None = None
    right_shadow: Shadow | None = None
    intent: Intent | None = None
    reviews: tuple[Review, ...] = ()
    attempts: Attempts = Attempts()
    shown: Mapping[Side, Notes] = attrs.field(factory=dict)
    settled: bool = False
    missing: Missing | None = None
    tombstone: Tombstone | None = None
    approved: str = ""
    watch: Watch | None = None
    recent: tuple[Recent, ...] = ()
    retention: Retention | None = None
    given_up: str | None = None
    fence: int = 0
    revision: int = 0

    @classmethod
    def begin(cls, origin: Ref) -> Link:
        """A link that knows only the record it began with."""
        return cls(origin=origin).with_id(origin.side, origin.id)

    @property
    def id(self) -> str:
        """The link's name: the reference it began with."""
        return str(self.origin)

    def on(self, side: Side) -> str | None:
        """The record's id on that side."""
        return self.left_id if side is Side.LEFT else self.right_id

    def shadow(self, side: Side) -> Shadow | None:
        """What is remembered of that side."""
        return self.left_shadow if side is Side.LEFT else self.right_shadow

    def with_id(self, side: Side, id: str | None) -> Link:
        """The same link with that side's record; who was given up and is that one is so no more."""
        given_up = None if id == self.given_up else self.given_up
        if side is Side.LEFT:
            return attrs.evolve(self, left_id=id, given_up=given_up)
        return attrs.evolve(self, right_id=id, given_up=given_up)

    def with_shadow(self, side: Side, shadow: Shadow | None) -> Link:
        """The same link after a look at that side."""
        if side is Side.LEFT:
            return attrs.evolve(self, left_shadow=shadow)
        return attrs.evolve(self, right_shadow=shadow)

    def with_shown(self, side: Side, notes: Notes) -> Link:
        """The same link after that side was told how it stands."""
        return attrs.evolve(self, shown={**self.shown, side: notes})

    @property
    def open_intent(self) -> Intent:
        """The intent of a link that has one; ``ValueError`` otherwise."""
        if self.intent is None:
            raise ValueError("this link has no open intent")
        return self.intent

    @property
    def creating(self) -> bool:
        """Whether a create that was begun for it is not finished."""
        return self.intent is not None and self.intent.verb is Verb.CREATE

    @property
    def refs(self) -> tuple[Ref, ...]:
        """The records of the link that are known."""
        left, right = self.left_id, self.right_id
        mine = () if left is None else (Ref(Side.LEFT, left),)
        return mine if right is None else (*mine, Ref(Side.RIGHT, right))

    @property
    def tombstoned(self) -> bool:
        """Whether the link is over."""
        return self.tombstone is not None

    @property
    def forgotten(self) -> bool:
        """Whether a person had its values erased: nobody is to be made from it again."""
        return self.tombstone is not None and self.tombstone.by == FORGET

    def retained(self, now: float) -> bool:
        """Whether what is stored of it may not be erased."""
        return self.retention is not None and self.retention.holds(now)

    @property
    def waits(self) -> bool:
        """Whether a person is asked something about it."""
        return not self.tombstoned and (bool(self.reviews) or self.attempts.dead)

    @property
    def due(self) -> bool:
        """Whether something is left to do that needs no person."""
        return not (self.settled or self.attempts.dead or self.tombstoned)

    @property
    def rests(self) -> bool:
        """Whether nobody has to look at it as long as both records have the versions of their shadows."""
        return (
            self.settled
            and not self.reviews
            and self.intent is None
            and self.missing is None
            and self.tombstone is None
            and self.watch is None
            and self.attempts == _NO_ATTEMPTS
            and self.left_id is not None
            and self.right_id is not None
        )

    def rests_at(self, side: Side) -> str:
        """The version that the record of that side rests at; empty where somebody has to look at it."""
        shadow = self.shadow(side) if self.rests else None
        return (shadow.version or "") if shadow is not None else ""

    @property
    def state(self) -> LinkState:
        """What a person is shown: the worst that holds."""
        kinds = {review.kind for review in self.reviews}
        if self.tombstoned:
            return LinkState.TOMBSTONED
        if ReviewKind.GONE in kinds:
            return LinkState.GONE
        if self.attempts.dead:
            return LinkState.DEAD
        if ReviewKind.IDENTITY in kinds:
            return LinkState.REVIEW
        if ReviewKind.CONFLICT in kinds:
            return LinkState.CONFLICT
        if ReviewKind.BLOCKED in kinds:
            return LinkState.BLOCKED
        if ReviewKind.HELD in kinds:
            return LinkState.HELD
        if ReviewKind.READ_ONLY in kinds or ReviewKind.DRIFT in kinds:
            return LinkState.REVIEW
        if self.creating:
            return LinkState.CREATING
        if self.attempts.count:
            return LinkState.RETRY
        return LinkState.IN_SYNC if self.settled else LinkState.RETRY


@attrs.frozen
class Grounds:
    """What decisions were made from besides the versions that they hold: enough to make them again.

    ``policy`` names the policy of the groups concerned. Of each side: its token, and when
    somebody edited it last, where a strategy could know. ``respelled`` is the base of the
    right side where its spelling is not that of the left; ``quiet`` are fields that were
    decided on without a trace; ``reviews`` were open.
    """

    policy: str
    left_version: str | None = None
    right_version: str | None = None
    left_edited_at: float | None = None
    right_edited_at: float | None = None
    respelled: Mapping[str, Seen] = attrs.field(factory=dict, repr=lambda fields: f"<{', '.join(fields)}>")
    quiet: Mapping[str, Versions] = attrs.field(factory=dict, repr=lambda fields: f"<{', '.join(fields)}>")
    unreadable: frozenset[str] = frozenset()
    reviews: tuple[Review, ...] = ()


@attrs.frozen
class Journaled:
    """An entry of the decision log: what was decided for a link and why, kept before anything was sent.

    ``what`` is a word: create, update, agree, adopt, review, delete, archive, end, and what a
    person did. Decisions hold the values that a write overwrote; nothing else keeps those.
    ``run`` names the pass. ``acts`` are the effects that guards count, like ``overwrite:right``.
    ``grounds`` are what ``replay`` needs; entries without decisions, and those from before, have none.
    """

    link_id: str
    at: float
    what: str
    decisions: tuple[Decision, ...] = ()
    reason: str = ""
    run: str = ""
    acts: tuple[str, ...] = ()
    grounds: Grounds | None = None

    @property
    def lost(self) -> tuple[tuple[str, Side, Seen], ...]:
        """Field, side and value of everything that was overwritten."""
        return overwritten(self.decisions)


def without_values(entry: Journaled) -> Journaled:
    """The same entry, with every value of a record taken out: what was decided stays, about what does not."""
    nothing = Versions(ABSENT, ABSENT, ABSENT)
    return attrs.evolve(
        entry,
        decisions=tuple(attrs.evolve(d, versions=nothing, result=ABSENT) for d in entry.decisions),
        grounds=None,
    )


Living: TypeAlias = tuple[str, str, bool]
"""A record of a link that is not over: its id, its link's, and whether that rests."""


@attrs.frozen
class Known:
    """An entry of the index of one side: which keyed hashes a record answers to."""

    ref: Ref
    keys: Mapping[str, str] = attrs.field(repr=lambda keys: f"<{', '.join(keys)}>")


@attrs.frozen
class Hint:
    """A wish that somebody look at this record, kept since ``first_at`` and held by a worker until ``taken_until``.

    ``number`` rises with each repeat: it tells whether another came since this one was taken.
    """

    ref: Ref
    number: int
    first_at: float
    taken_until: float


@attrs.frozen
class Traces:
    """What a store holds of the records of a link beside the link and its journal.

    ``known`` are their keyed hashes, ``hints`` who wished a look at them, ``acts`` what
    guards count: when, and what.
    """

    known: tuple[Known, ...] = ()
    hints: tuple[Hint, ...] = ()
    acts: tuple[tuple[float, str], ...] = ()
