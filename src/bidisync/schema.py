"""Which fields a record has, how they are grouped, and what each group's policy is.

A *field* is the unit of change. A *group* is the unit of policy: its strategy settles what
both sides changed differently, and what a person has to settle freezes the whole group.
Everything is checked when a ``Policy`` is made, not at the hundredth record.
"""

from __future__ import annotations

import enum
import hashlib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from bidisync.conflicts import ask, fill_blanks
from bidisync.errors import Misconfigured, Unmappable
from bidisync.model import ABSENT, Capabilities, Deletion, Key, Seen, Side, Value
from bidisync.protocols import ConflictStrategy
from bidisync.wording import worded


def exact(value: Value) -> Value:
    """The key of a field whose every spelling counts."""
    return value


def alike(key: Key, one: Seen, other: Seen) -> bool:
    """Whether two spellings of a field mean the same.

    What was not delivered is like nothing else. A spelling whose key is ``None`` is a spelling
    of the empty field; the key is asked about values alone. What the key can't read is like
    itself alone.
    """
    if one is other or one == other:
        return True
    try:
        return compared(key, one, other)
    except Unmappable:
        return False


def compared(key: Key, one: Seen, other: Seen) -> bool:
    """The same, for a decision: ``Unmappable`` where they differ, and the key can't read one of them."""
    if one is other or one == other:
        return True
    if one is ABSENT or other is ABSENT:
        return False
    if key is exact:
        return _is_nan(one) and _is_nan(other)
    try:
        return (None if one is None else key(one)) == (None if other is None else key(other))
    except Exception as error:  # the key is not ours, and the text of its error may hold the value
        raise Unmappable(f"the key {describe(key)} can't read a value ({type(error).__name__})") from None


def _is_nan(value: Value) -> bool:
    """Whether it is the one value that is not equal to itself."""
    return isinstance(value, float) and math.isnan(value)


class Drift(enum.Enum):
    """What becomes of a change made by the side that does not own the field."""

    REVERT = "revert"  # the owner's value is written over it
    ADOPT = "adopt"  # it is taken over, as long as the owner did not change the field too
    REPORT = "report"  # a person is told once for each value; both keep theirs
    IGNORE = "ignore"  # nothing: the field flows one way only


@attrs.frozen
class Owner:
    """The side whose value counts. Its own change always wins; ``drift`` says what else happens."""

    side: Side
    drift: Drift = Drift.REVERT

    def __str__(self) -> str:
        return f"owned by {self.side.value}, drift: {self.drift.value}"


def one_way(to: Side) -> Owner:
    """The field flows to that side alone; what is changed there stays there."""
    return Owner(to.other, Drift.IGNORE)


class OnDelete(enum.Enum):
    """What follows when a record was deleted on one side and untouched on the other.

    ``REVIEW`` leaves both as they are and tells a person. ``PROPAGATE`` deletes the other record,
    too, for good where its system deletes so. ``ARCHIVE`` does the same only on a side from which
    it can be brought back, and is refused for one that deletes for good. ``IGNORE`` ends the link
    and leaves the other record alone. What was edited meanwhile is for a person under all of
    them but ``IGNORE``.
    """

    REVIEW = "review"
    PROPAGATE = "propagate"
    ARCHIVE = "archive"
    IGNORE = "ignore"


@attrs.frozen
class Field:
    """A field of the shared record.

    ``key`` brings spellings of the same value together; what is written is always the
    spelling of the side that it comes from. ``create_only`` are sides that take the field at
    a create and never again, ``update_only`` those that take it once the record exists,
    ``read_only`` those that never take it. An emptied ``required``
    field blocks its group instead of travelling. ``strategy`` and ``owner`` go before those
    of the group.
    """

    name: str
    group: str
    key: Key = exact
    required: bool = False
    create_only: frozenset[Side] = frozenset()
    read_only: frozenset[Side] = frozenset()
    update_only: frozenset[Side] = frozenset()
    strategy: ConflictStrategy | None = None
    owner: Owner | None = None

    def ignored_by(self, side: Side) -> bool:
        """Whether that side takes no change of the field."""
        return side in self.create_only or side in self.read_only


@attrs.frozen
class Group:
    """The policy of some fields.

    ``strategy`` settles what both sides changed differently, ``initial`` what differs when
    two records meet for the first time. With ``unit`` the fields move together: one change
    on each side is a conflict of the whole group. Without ``allow_clear`` an emptied value
    stays where it was emptied, and never wins. With an ``owner`` one side's values count.
    """

    name: str
    strategy: ConflictStrategy = ask
    initial: ConflictStrategy = fill_blanks
    unit: bool = False
    allow_clear: bool = True
    owner: Owner | None = None
    _policy: str = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_policy", describe(self.strategy) if self.owner is None else str(self.owner))

    def owner_of(self, field: Field) -> Owner | None:
        """The side whose value of that field counts, if one does."""
        return field.owner or (None if field.strategy is not None else self.owner)

    def strategy_for(self, field: Field) -> ConflictStrategy:
        """What settles that field when both sides changed it differently."""
        return field.strategy or self.strategy

    def policy_of(self, field: Field) -> str:
        """What settles that field, in words."""
        if field.strategy is None and field.owner is None:
            return self._policy
        owner = self.owner_of(field)
        return describe(self.strategy_for(field)) if owner is None else str(owner)


def describe(strategy: Callable[..., object]) -> str:
    """A name for a strategy or a key: a function's own, or what a value says of itself."""
    return getattr(strategy, "__name__", None) or worded(strategy)


def _name_of(group: Group, members: Sequence[Field]) -> str:
    """Another text as soon as anything else is declared of the group or its fields; a function counts by its name."""
    parts = [group.name, describe(group.strategy), describe(group.initial), group.unit, group.allow_clear, group.owner]
    for field in members:
        sides = [sorted(side.value for side in sides) for sides in (field.create_only, field.read_only)]
        sides += [["update", *sorted(side.value for side in field.update_only)]] if field.update_only else []
        strategy = None if field.strategy is None else describe(field.strategy)
        parts += [field.name, describe(field.key), field.required, *sides, strategy, field.owner]
    text = re.sub(r" at 0x[0-9a-f]+", "", "\x1f".join(map(str, parts)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _as_fields(fields: Iterable[Field]) -> tuple[Field, ...]:
    return tuple(fields)


def _as_groups(groups: Iterable[Group]) -> tuple[Group, ...]:
    return tuple(groups)


def _check_strategy(what: str, strategy: object) -> None:
    """``Misconfigured`` for what can't answer when it is given a conflict and nothing else."""
    if not callable(strategy):
        raise Misconfigured(f"{what} can't be called")
    if isinstance(strategy, type):
        raise Misconfigured(f"{what} is the class {strategy.__name__}: give one made of it")
    if inspect.iscoroutinefunction(strategy) or inspect.iscoroutinefunction(type(strategy).__call__):
        raise Misconfigured(f"{what} is asynchronous: it decides from what it is given, at once")
    try:
        inspect.signature(strategy).bind("the conflict")
    except TypeError as error:
        raise Misconfigured(f"{what} can't be called with the conflict alone") from error
    except ValueError:  # some built-in functions don't tell what they take
        return


def _check_group(group: Group, members: Sequence[Field]) -> None:
    """``Misconfigured`` where the group can't work as it is declared."""
    _check_strategy(f"the strategy of the group {group.name!r}", group.strategy)
    _check_strategy(f"the initial policy of the group {group.name!r}", group.initial)
    for field in members:
        if field.strategy is not None:
            _check_strategy(f"the strategy of the field {field.name!r}", field.strategy)
        if not callable(field.key):
            raise Misconfigured(f"the key of the field {field.name!r} can't be called")
        if group.unit and (field.strategy is not None or field.owner is not None):
            raise Misconfigured(
                f"the field {field.name!r} moves with its group {group.name!r}: it can't have a strategy of its own"
            )


@attrs.frozen
class Policy:
    """All fields and all groups of one kind of record; wrong ones are ``Misconfigured``.

    ``deletes_on`` are the sides where a deletion of the other side may be carried out, in
    whatever way their replica deletes; one that declares deletions forbidden is none of them.
    """

    fields: tuple[Field, ...] = attrs.field(converter=_as_fields)
    groups: tuple[Group, ...] = attrs.field(converter=_as_groups)
    on_delete: OnDelete = OnDelete.REVIEW
    deletes_on: frozenset[Side] = frozenset(Side)
    _members: Mapping[str, tuple[Field, ...]] = attrs.field(init=False, repr=False, eq=False)
    _names: Mapping[str, str] = attrs.field(init=False, repr=False, eq=False)
    _by_name: Mapping[str, Field] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.on_delete, OnDelete):
            known = ", ".join(str(one) for one in OnDelete)
            raise Misconfigured(f"what follows a deletion is {known}, and not {self.on_delete!r}")
        names = [group.name for group in self.groups]
        fields = [field.name for field in self.fields]
        for kind, items in (("group", names), ("field", fields)):
            twice = sorted({item for item in items if items.count(item) > 1})
            if twice:
                raise Misconfigured(f"the {kind} {twice[0]!r} stands twice in the policy")
        for field in self.fields:
            if field.group not in names:
                raise Misconfigured(f"the field {field.name!r} is of the group {field.group!r}, which has no policy")
        for group in self.groups:
            _check_group(group, [field for field in self.fields if field.group == group.name])
        members = {name: tuple(field for field in self.fields if field.group == name) for name in names}
        object.__setattr__(self, "_members", members)
        object.__setattr__(self, "_by_name", {field.name: field for field in self.fields})
        object.__setattr__(self, "_names", {group.name: _name_of(group, members[group.name]) for group in self.groups})

    def within(self, can: Mapping[Side, Capabilities]) -> Policy:
        """The same policy for what the sides can do.

        One that takes no updates takes every field at its creates alone, and on one that forbids
        deletions none is carried out.
        """
        fixed = frozenset(side for side, capabilities in can.items() if not capabilities.updates)
        kept = frozenset(side for side, capabilities in can.items() if capabilities.deletion is Deletion.FORBIDDEN)
        if all(fixed <= field.create_only for field in self.fields) and not kept & self.deletes_on:
            return self
        fields = [attrs.evolve(field, create_only=field.create_only | fixed) for field in self.fields]
        return attrs.evolve(self, fields=fields, deletes_on=self.deletes_on - kept)

    def name_of(self, groups: Iterable[str]) -> str:
        """A name of what is declared of these groups and their fields, to tell it from another policy."""
        return "+".join(self._names.get(group, "?") for group in sorted(set(groups)))

    def members_of(self, group: str) -> tuple[Field, ...]:
        """The fields of the group of that name, in order; none if there is no such group."""
        return self._members.get(group, ())

    def field(self, name: str) -> Field:
        """The field of that name."""
        return self._by_name[name]

    def key_of(self, name: str) -> Key:
        """The key of the field of that name; ``exact`` where the policy does not have it."""
        field = self._by_name.get(name)
        return exact if field is None else field.key
