"""The values everything speaks in: frozen, comparable, free of any system's own words.

A *record* is a flat mapping of field names to values. Three things are kept apart
everywhere: a field that holds a value, a field that is known to be empty (``None``), and a
field that was not delivered (``ABSENT``: no permission, not selected, an older API). Only
the first two are facts; ``ABSENT`` is never a change.

Times are seconds since 1970 in UTC, as a float.

The parts of a plan have no slots: a frozen value is made twice as fast without them, and a
decision makes several, of which few outlive it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import attrs


class Side(enum.Enum):
    """One of the two systems. Neither is the source: both are edited."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def other(self) -> Side:
        """The side opposite."""
        return Side.RIGHT if self is Side.LEFT else Side.LEFT

    __hash__ = object.__hash__  # there is one of each, and this is asked for everywhere

    def __repr__(self) -> str:
        return f"Side.{self.name}"


class Absent(enum.Enum):
    """The type of ``ABSENT``."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent.ABSENT
"""A field that was not delivered. Not a value, not empty, never a change."""

Value: TypeAlias = str | int | float | bool | tuple[object, ...] | None
"""What a field of a record may hold; ``None`` is *known to be empty*. A tuple holds values again."""

Seen: TypeAlias = Value | Literal[Absent.ABSENT]
"""What a look at a field gave: a value, empty, or not delivered."""

Fields: TypeAlias = Mapping[str, Seen]
Key: TypeAlias = Callable[[Value], Value]
"""Brings a value into the form in which two spellings of the same thing are equal."""


@attrs.frozen
class Ref:
    """A record of one side, by that side's own id. Written ``left:ID`` or ``right:ID``."""

    side: Side
    id: str

    def __str__(self) -> str:
        return f"left:{self.id}" if self.side is Side.LEFT else f"right:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read the written form; anything else is a ``ValueError``."""
        side, colon, id = text.partition(":")
        if not colon or not id or side not in ("left", "right"):
            raise ValueError("a reference is written left:ID or right:ID")
        return cls(Side(side), id)


class LinkState(enum.Enum):
    """In what state a link is, worst first; what a person is shown."""

    TOMBSTONED = "tombstoned"
    GONE = "gone"  # one side is gone, and a person has to say what follows
    DEAD = "dead"  # attempts used up; a change or an operator starts it again
    REVIEW = "review"  # who belongs to whom is not certain, or a read-only field differs
    CONFLICT = "conflict"
    BLOCKED = "blocked"  # refused as invalid; a change starts it again
    HELD = "held"  # a guard waits for approval
    CREATING = "creating"  # a create is under way, or its outcome is not known
    RETRY = "retry"
    IN_SYNC = "in_sync"

    @property
    def waits_for_a_person(self) -> bool:
        """Whether nothing further happens by itself."""
        return self in _FOR_A_PERSON


_FOR_A_PERSON = frozenset(
    {LinkState.GONE, LinkState.DEAD, LinkState.REVIEW, LinkState.CONFLICT, LinkState.BLOCKED, LinkState.HELD}
)


@attrs.frozen
class Notes:
    """What a record shows of its own synchronisation, in systems that have fields for it.

    Informational, with one exception: ``counterpart`` is the other side's id, by which a
    link can be found again. ``None`` in any field means that it is not written.
    """

    counterpart: str | None = None
    counterpart_version: str | None = None
    state: LinkState | None = None
    reason: str | None = None  # a code, never a value
    attempts: int | None = None
    synced_at: float | None = None


@attrs.frozen
class Snapshot:
    """A record as it was seen: its fields, and the opaque token of that state.

    ``version`` is ``None`` where the system has none. ``row`` marks a row of a list, which
    may be older and poorer than a read by id. ``native`` is what the replica needs to write
    against this snapshot; it is kept out of ``repr``, comparison and storage. ``seen_at`` is
    when this state was certainly still true: for a reply when it came, for the rows of a list
    when the list was asked for.
    """

    id: str
    fields: Fields = attrs.field(repr=lambda fields: f"<{len(fields)} fields>")
    version: str | None = None
    modified_at: float | None = None
    modified_by_us: bool = False
    unreadable: frozenset[str] = frozenset()  # fields whose native value has no form here
    unknown: frozenset[str] = attrs.field(default=frozenset(), eq=False)  # fields with codes that nobody knows
    awaits: frozenset[str] = frozenset()  # fields that name a record of another kind without a counterpart so far
    left_over: frozenset[str] = frozenset()  # list fields beside which stands what only a person can end
    notes: Notes | None = None
    gone: bool = False
    row: bool = False
    seen_at: float = attrs.field(default=0.0, eq=False)
    native: object = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Change:
    """What one look found against the shadow of that side: which fields moved, and the look itself."""

    snapshot: Snapshot
    fields: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.fields) or self.snapshot.gone


@attrs.frozen(slots=False)
class Versions:
    """One field three times: as last agreed on, and as it is on both sides now.

    ``base`` is ``ABSENT`` where the sides never agreed on it.
    """

    base: Seen = attrs.field(repr=False)
    left: Seen = attrs.field(repr=False)
    right: Seen = attrs.field(repr=False)

    def on(self, side: Side) -> Seen:
        """The value of that side now."""
        return self.left if side is Side.LEFT else self.right


@attrs.frozen
class Contested:
    """A field that both sides changed differently: both values are there, empty or not.

    ``base`` is ``ABSENT`` where the sides never agreed on it.
    """

    base: Seen = attrs.field(repr=False)
    left: Value = attrs.field(repr=False)
    right: Value = attrs.field(repr=False)

    def on(self, side: Side) -> Value:
        """The value of that side now."""
        return self.left if side is Side.LEFT else self.right


@attrs.frozen
class Conflict:
    """Fields of one group that both sides changed differently.

    One field, or with ``unit`` all fields of the group that differ. The times are those of
    the records, ``None`` unless the clock of that side is trusted and somebody else than
    this sync wrote last.
    """

    group: str
    fields: Mapping[str, Contested]
    left_modified_at: float | None = None
    right_modified_at: float | None = None


@attrs.frozen
class Defer:
    """Not decided here: a person has to. ``reason`` is a code, never a value."""

    reason: str = "conflict"


Settled: TypeAlias = Mapping[str, Value]
Resolution: TypeAlias = Settled | Defer
"""What a strategy answers: the value of every field of the conflict, or ``Defer``."""


class Verb(enum.Enum):
    """What a write does to one side."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@attrs.frozen(slots=False)
class Write:
    """One remote write: only the fields that change, against the version that was seen."""

    side: Side
    verb: Verb
    fields: Mapping[str, Value] = attrs.field(factory=dict, repr=lambda fields: f"<{', '.join(fields)}>")
    expect: str | None = None


class Row(enum.Enum):
    """The rows of the decision table; what each one means and does stands in ``table``."""

    UNCHANGED = "1"
    LEFT_CHANGED = "2"
    RIGHT_CHANGED = "3"
    SAME_CHANGE = "4"
    LEFT_RESPELLED = "4b"
    RIGHT_RESPELLED = "4c"
    BOTH_CHANGED = "5"
    ADOPTED = "6"
    FIRST_CONTACT = "7"
    DRIFT = "8"
    CLEARED = "9"
    NOT_DELIVERED = "10"
    BLOCKED = "11"
    FROZEN = "12"
    OUTDATED = "13"
    READ_ONLY = "14"
    DECIDED = "person"
    NEW = "new"


@attrs.frozen(slots=False)
class Decision:
    """Why one field is treated as it is: the inputs, the row of the table, the policy, the result.

    ``writes`` names the sides that get ``result``; ``agreed`` says that the base moves.
    """

    field: str
    group: str
    row: Row
    versions: Versions
    policy: str
    writes: tuple[Side, ...] = ()
    result: Seen = attrs.field(default=ABSENT, repr=False)
    agreed: bool = False
    reason: str | None = None


def overwritten(decisions: Iterable[Decision]) -> tuple[tuple[str, Side, Seen], ...]:
    """Field, side and value of everything that these decisions write over; empty fields aside."""
    return tuple(
        (decision.field, side, value)
        for decision in decisions
        for side in decision.writes
        if (value := decision.versions.on(side)) is not ABSENT and value is not None
    )


class ReviewKind(enum.Enum):
    """Why something waits for a person."""

    CONFLICT = "conflict"  # freezes its group until it is settled or both sides agree
    BLOCKED = "blocked"  # freezes its group until a value of it changes
    READ_ONLY = "read_only"  # freezes nothing: the target ignores this field
    DRIFT = "drift"  # freezes nothing: the side that does not own the field changed it
    IDENTITY = "identity"  # the record may be the same as another one
    GONE = "gone"  # one side was deleted
    HELD = "held"  # a guard wants an approval first


@attrs.frozen
class Review:
    """Something that waits for a person: what, why, and the values it was found with."""

    kind: ReviewKind
    reason: str
    group: str = ""
    fields: Mapping[str, Versions] = attrs.field(factory=dict, repr=lambda fields: f"<{', '.join(fields)}>")
    plan: str = ""  # the digest of a plan that is held

    @property
    def freezes(self) -> bool:
        """Whether its group is left alone on both sides."""
        return self.kind in (ReviewKind.CONFLICT, ReviewKind.BLOCKED)


@attrs.frozen(slots=False)
class Plan:
    """What to do with one link, as a value: nothing has happened yet.

    ``writes`` are in the order in which they are sent. ``agreed`` are the fields whose base
    moves although nothing is written. ``reviews`` replace the open ones of the link.
    ``ends`` says that the link is over: its records are deleted, or meant to be.
    """

    decisions: tuple[Decision, ...] = ()
    writes: tuple[Write, ...] = ()
    agreed: tuple[str, ...] = ()
    reviews: tuple[Review, ...] = ()
    ends: bool = False

    @property
    def overwritten(self) -> tuple[tuple[str, Side, Seen], ...]:
        """Field, side and value of everything that the writes replace: what the journal must keep."""
        return overwritten(self.decisions)

    def write_to(self, side: Side) -> Write | None:
        """The write of that side, if there is one."""
        return next((write for write in self.writes if write.side is side), None)


class ClockTrust(enum.Enum):
    """Whether a side's own time stamps may decide which edit is newer."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


class Conditional(enum.Enum):
    """What becomes of a write against an outdated version."""

    ENFORCED = "enforced"  # always refused
    CHECKED = "checked"  # refused, but two at the same moment may both pass
    IGNORED = "ignored"  # carried out


class Deletion(enum.Enum):
    """What a system does with a request to delete."""

    HARD = "hard"
    SOFT = "soft"
    FORBIDDEN = "forbidden"


@attrs.frozen
class Capabilities:
    """What a replica can guarantee. What is not known counts as the weakest: the defaults."""

    conditional_write: Conditional = Conditional.IGNORED
    partial_write: bool = False
    deletion: Deletion = Deletion.FORBIDDEN
    finds_created: bool = False  # a create of unknown outcome can be looked for
    keeps_notes: bool = False
    changed_since: bool = False  # lists what changed since a cursor
    row_is_complete: bool = False  # a list row may be decided on
    row_can_be_written: bool = False  # a list row may be the base of a write
    clock: ClockTrust = ClockTrust.UNTRUSTED
    creates: bool = True  # False: records are made there by people alone
    updates: bool = True  # False: what was made is not changed any more but by people


@attrs.frozen
class Created:
    """A create that the remote confirmed: the new id, and the record if the reply proves it.

    ``version`` is the token in the reply, which may be there although the values are not.
    """

    id: str
    snapshot: Snapshot | None = None
    version: str | None = None


@attrs.frozen
class Page:
    """Some records of a list, and the cursor to go on from once they are dealt with.

    ``snapshots`` may be made when they are asked for (``bidisync.pages``): then ``tokens``
    tells their ids and versions, in the same order, and only those that moved are made. Who
    gives other snapshots of a page gives their tokens too, or none (``tokens=None``).
    ``beyond``: found besides the list, which left them out though they are there.
    """

    snapshots: Sequence[Snapshot]
    cursor: str | None = None
    beyond: bool = False
    tokens: Sequence[tuple[str, str | None]] | None = attrs.field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.tokens is not None and len(self.tokens) != len(self.snapshots):
            raise ValueError(f"a page of {len(self.snapshots)} snapshots has {len(self.tokens)} tokens")

    @property
    def known_by(self) -> Sequence[tuple[str, str | None]]:
        """The id and version of each snapshot; none of one that is gone, or waits for others: it proves nothing."""
        if self.tokens is not None:
            return self.tokens
        return [(one.id, None if one.gone or one.awaits else one.version) for one in self.snapshots]
