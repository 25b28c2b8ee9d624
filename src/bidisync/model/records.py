"""Records as they are seen, of one side or the other: values, and that something is not known.

A *record* is a flat mapping of field names to values. Three things are kept apart
everywhere: a field that holds a value, a field that is known to be empty (``None``), and a
field that was not delivered (``ABSENT``: no permission, not selected, an older API). Only
the first two are facts; ``ABSENT`` is never a change.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
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

    @classmethod
    def of(cls, ref: Ref | str) -> Ref:
        """The reference that this is, or that it is the written form of; a ``TypeError`` for anything else."""
        if isinstance(ref, Ref):
            return ref
        if not isinstance(ref, str):
            raise TypeError(f"a reference is a Ref, or written left:ID or right:ID; not {type(ref).__name__}")
        return cls.parse(ref)


class LinkState(enum.Enum):
    """In what state a link is, worst first; what a person is shown.

    * ``TOMBSTONED``: it is over, knowingly: deleted, unlinked or forgotten.
    * ``GONE``: one side's record is gone, and a person has to say what follows.
    * ``DEAD``: its attempts are used up; a change or an operator starts it again.
    * ``REVIEW``: who belongs to whom is not certain, or a field differs that the sync does not write.
    * ``CONFLICT``: both sides changed a field differently, and nothing but a person settles that.
    * ``BLOCKED``: it was refused as invalid; a change starts it again.
    * ``HELD``: a guard waits for an approval.
    * ``CREATING``: a create is under way, or its outcome is not known.
    * ``RETRY``: it is due again by itself.
    * ``IN_SYNC``: nothing is left to do.
    """

    TOMBSTONED = "tombstoned"
    GONE = "gone"
    DEAD = "dead"
    REVIEW = "review"
    CONFLICT = "conflict"
    BLOCKED = "blocked"
    HELD = "held"
    CREATING = "creating"
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
    link can be found again. ``None`` in any field means that it is not written. ``replaces`` is
    not shown: a record that still names that id, given up by a person, may be given another
    counterpart also where what it names is otherwise left alone.
    """

    counterpart: str | None = None
    counterpart_version: str | None = None
    state: LinkState | None = None
    reason: str | None = None  # a code, never a value
    attempts: int | None = None
    synced_at: float | None = None
    replaces: str | None = None


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
