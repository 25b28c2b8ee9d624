"""What is decided about a record, and what waits for a person: nothing of it has happened yet.

The parts of a plan have no slots: a frozen value is made twice as fast without them, and a
decision makes several, of which few outlive it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import attrs

from bidisync.model.records import ABSENT, Seen, Side, Value


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
    """Not decided here: a person has to. ``reason`` is a code, never a value: ``price_too_high``.

    It is shown, logged and counted, so what is anything else than small letters, digits, ``_``
    and ``:`` is told as ``strategy_reason`` instead.
    """

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
    """Why something waits for a person.

    * ``CONFLICT``: both sides changed it differently; its group is frozen until that is settled or
      both sides agree.
    * ``BLOCKED``: it was refused, or can't be read; its group is frozen until a value of it changes.
    * ``READ_ONLY``: the target ignores this field; nothing is frozen.
    * ``DRIFT``: the side that does not own the field changed it; nothing is frozen.
    * ``IDENTITY``: the record may be the same as another one.
    * ``GONE``: one side's record was deleted.
    * ``HELD``: a guard wants an approval first.
    """

    CONFLICT = "conflict"
    BLOCKED = "blocked"
    READ_ONLY = "read_only"
    DRIFT = "drift"
    IDENTITY = "identity"
    GONE = "gone"
    HELD = "held"


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
