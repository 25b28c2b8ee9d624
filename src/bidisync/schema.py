"""Which fields a record has, how they are grouped, and what each group's policy is.

A *field* is the unit of change. A *group* is the unit of policy: its strategy settles what
both sides changed differently, and what a person has to settle freezes the whole group.
Everything is checked when a ``Policy`` is made, not at the hundredth record.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import attrs

from bidisync.conflicts import ask
from bidisync.errors import Misconfigured
from bidisync.model import Key, Side, Value
from bidisync.protocols import ConflictStrategy


def exact(value: Value) -> Value:
    """The key of a field whose every spelling counts."""
    return value


class Initial(enum.Enum):
    """What becomes of a field at first contact, when the sides differ and never agreed."""

    FILL_BLANKS = "fill-blanks"  # the filled one wins; both filled: a person
    REVIEW = "review"
    LEFT = "left"
    RIGHT = "right"


class OnDelete(enum.Enum):
    """What follows when a record was deleted on one side and untouched on the other."""

    REVIEW = "review"
    PROPAGATE = "propagate"
    IGNORE = "ignore"


@attrs.frozen
class Field:
    """A field of the shared record.

    ``key`` brings spellings of the same value together; what is written is always the
    spelling of the side that it comes from. ``ignored_by`` are sides that take the field
    only at a create. An emptied ``required`` field blocks its group instead of travelling.
    """

    name: str
    group: str
    key: Key = exact
    required: bool = False
    ignored_by: frozenset[Side] = frozenset()


@attrs.frozen
class Group:
    """The policy of some fields.

    With ``unit`` the fields move together: one change on each side is a conflict of the
    whole group. Without ``allow_clear`` an emptied value stays where it was emptied.
    """

    name: str
    strategy: ConflictStrategy = ask
    initial: Initial = Initial.FILL_BLANKS
    unit: bool = False
    allow_clear: bool = True

    @property
    def policy(self) -> str:
        """The strategy's name, for people."""
        return describe(self.strategy)


def describe(strategy: ConflictStrategy) -> str:
    """A name for a strategy: a function's own, or what a value says of itself."""
    return getattr(strategy, "__name__", None) or str(strategy)


def _as_fields(fields: Iterable[Field]) -> tuple[Field, ...]:
    return tuple(fields)


def _as_groups(groups: Iterable[Group]) -> tuple[Group, ...]:
    return tuple(groups)


@attrs.frozen
class Policy:
    """All fields and all groups of one kind of record; wrong ones are ``Misconfigured``."""

    fields: tuple[Field, ...] = attrs.field(converter=_as_fields)
    groups: tuple[Group, ...] = attrs.field(converter=_as_groups)
    on_delete: OnDelete = OnDelete.REVIEW
    _members: tuple[tuple[Group, tuple[Field, ...]], ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        names = [group.name for group in self.groups]
        fields = [field.name for field in self.fields]
        for kind, items in (("group", names), ("field", fields)):
            twice = sorted({item for item in items if items.count(item) > 1})
            if twice:
                raise Misconfigured(f"the {kind} {twice[0]!r} stands twice in the policy")
        for field in self.fields:
            if field.group not in names:
                raise Misconfigured(f"the field {field.name!r} is of the group {field.group!r}, which has no policy")
        members = tuple(
            (group, tuple(field for field in self.fields if field.group == group.name)) for group in self.groups
        )
        object.__setattr__(self, "_members", members)

    @property
    def members(self) -> tuple[tuple[Group, tuple[Field, ...]], ...]:
        """Each group with its fields, in order."""
        return self._members

    def field(self, name: str) -> Field:
        """The field of that name."""
        return next(field for field in self.fields if field.name == name)
