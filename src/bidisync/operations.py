"""Records beneath a record that hold the items of a list: what has to be done so that they hold others.

Pure: children as they were seen and the items that are wanted in, operations out, one call
each. Some columns of a child never change, and many systems delete none; what is possible
there say ``Abilities``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs

from bidisync.items import Item, Items
from bidisync.model import Value


class Removal(enum.Enum):
    """How an item goes that is wanted no more."""

    DELETE = "delete"
    BLANK = "blank"  # what can change of it is emptied; it may be filled again later
    PERSON = "person"  # not at all: somebody ends it by hand


def _as_names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


@attrs.frozen
class Abilities:
    """What a system lets one do to the records that hold the items of a list.

    ``frozen`` are columns that never change once such a record is made: another value there
    is another record.
    """

    frozen: frozenset[str] = attrs.field(default=frozenset(), converter=_as_names)
    removal: Removal = Removal.DELETE


@attrs.frozen
class Child:
    """A record beneath another one, which holds an item of a list.

    ``reusable`` says that a blank one may be filled with another item: nothing else stands in it.
    """

    id: str
    item: Item = attrs.field(repr=False)
    version: str | None = None
    reusable: bool = True
    native: object = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Add:
    """Make a child that holds this item."""

    item: Item = attrs.field(repr=False)


@attrs.frozen
class Alter:
    """Change these columns of a child."""

    child: Child
    changes: Mapping[str, Value] = attrs.field(repr=lambda changes: f"<{', '.join(changes)}>")


@attrs.frozen
class Drop:
    """Delete a child."""

    child: Child


Operation: TypeAlias = Add | Alter | Drop


def operations(items: Items, can: Abilities, seen: Sequence[Child], wanted: Value) -> list[Operation]:
    """What makes the children hold the items that are wanted; nothing where they do.

    Children are matched by their items, for ids may have moved. An item that only changes its
    identity stays in its child, if that may hold it; so do blank children get a new item
    before one is made. Where an item needs another child it is there before the old one goes,
    and all other removals come first: whatever part of it was done, a merge of what is there
    then leads to the same list.
    """
    now = items.by_identity(child.item for child in seen)
    then = items.by_identity(items.of(wanted))
    spare = [child for child in seen if items.blank(child.item) and child.reusable]
    gone: list[Child] = []  # hold what is wanted no more
    outgrown: list[Child] = []  # hold what has to stand in another child
    moving: list[Item] = []
    altered: list[Operation] = []
    for identity, before in now.items():
        held = [c for c in seen if not items.blank(c.item) and items.identity(c.item) == identity]
        item = then.get(identity)
        if item is None:
            gone += held
        elif items.changed(before, item):
            home = _home(items, can, held[:1] if can.removal is Removal.PERSON else held, item)
            outgrown += [child for child in held if child is not home]
            if home is None:
                moving.append(item)
            elif changes := items.changed(home.item, item):
                altered.append(Alter(home, changes))
    free = [] if can.removal is Removal.PERSON else gone
    moved = [_placed(items, can, item, free, spare) for item in moving]
    added = [_placed(items, can, item, free, spare) for item in then.values() if items.identity(item) not in now]
    return [*moved, *_removals(items, can, [*outgrown, *gone]), *altered, *added]


def left_over(items: Items, can: Abilities, seen: Sequence[Child]) -> bool:
    """Whether several children hold one item, and only a person can end those that are too many."""
    if can.removal is not Removal.PERSON:
        return False
    held = [items.identity(child.item) for child in seen if not items.blank(child.item)]
    return len(held) > len(set(held))


def _placed(items: Items, can: Abilities, item: Item, free: list[Child], spare: list[Child]) -> Operation:
    """What puts a new item into a child: one of those that are free, else another one."""
    home = _home(items, can, [*free, *spare], item)
    if home is None:
        return Add(item)
    (free if home in free else spare).remove(home)
    return Alter(home, items.changed(home.item, item))


def _home(items: Items, can: Abilities, among: Iterable[Child], item: Item) -> Child | None:
    """The first child that may hold the item, one that does before the others."""
    fits = [child for child in among if not items.changed(child.item, item).keys() & can.frozen]
    return next((child for child in fits if not items.changed(child.item, item)), fits[0] if fits else None)


def _removals(items: Items, can: Abilities, free: Iterable[Child]) -> list[Operation]:
    match can.removal:
        case Removal.DELETE:
            return [Drop(child) for child in free]
        case Removal.BLANK:
            emptied: dict[str, Value] = {name: None for name in items.columns if name not in can.frozen}
            return [Alter(child, emptied) for child in free]
        case Removal.PERSON:
            return []
