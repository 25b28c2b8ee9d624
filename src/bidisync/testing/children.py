"""What a system with children promises, as assertions; and such children in memory, within limits that a test sets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import attrs

from bidisync.children import Children
from bidisync.errors import Rejected
from bidisync.items import Item, Items
from bidisync.model import Snapshot, Value
from bidisync.operations import Abilities, Child, Removal
from bidisync.testing.broken import broken, holds
from bidisync.testing.replica import Call

PLAIN = Abilities()
"""Every column may change, and children can be deleted."""


@attrs.define
class MemoryChildren:
    """Children by the id of their record, oldest first or newest, with ids and versions of their own.

    A change of a frozen column is ignored, and a delete refused where ``can`` says so.
    ``add`` and ``edit`` are what a person does. ``before`` is called with each call before it
    takes effect and may raise: a request lost; ``after`` once it took effect: a reply lost.
    """

    items: Items
    can: Abilities = Abilities()
    comes_along: bool = True  # told with the record
    newest_first: bool = False
    before: Callable[[Call], None] = lambda call: None
    after: Callable[[Call], None] = lambda call: None
    held: dict[str, list[Child]] = attrs.Factory(dict)
    calls: list[Call] = attrs.Factory(list)
    _number: int = 0

    @property
    def writes(self) -> list[Call]:
        """The calls that changed something, or tried to."""
        return [call for call in self.calls if call.verb != "list"]

    def add(self, parent: str, *item: Value) -> str:
        """A person makes a child."""
        self._number += 1
        made = Child(f"c{self._number}", tuple(item), str(self._number))
        self.held.setdefault(parent, []).append(made)
        return made.id

    def edit(self, parent: str, id: str, **columns: Value) -> None:
        """A person changes columns of a child, frozen ones too."""
        self._number += 1
        place, child = next((n, one) for n, one in enumerate(self.held[parent]) if one.id == id)
        item = tuple(columns.get(n, v) for n, v in zip(self.items.columns, child.item, strict=True))
        self.held[parent][place] = attrs.evolve(child, item=item, version=str(self._number))

    def values(self, parent: str) -> list[Item]:
        """What the children hold, blank ones too."""
        return [child.item for child in self.held.get(parent, [])]

    def told(self, parent: Snapshot) -> Sequence[Child] | None:
        """All of them, where they come along."""
        return self._all(parent) if self.comes_along else None

    async def list(self, parent: Snapshot) -> Sequence[Child]:
        """The children now."""
        self._call(Call("list", parent.id))
        return self._all(parent)

    async def create(self, parent: Snapshot, item: Mapping[str, Value]) -> None:
        """Make a child."""
        self._call(call := Call("create", parent.id, tuple(item)))
        self.add(parent.id, *(item[name] for name in self.items.columns))
        self.after(call)

    async def update(self, parent: Snapshot, child: Child, changes: Mapping[str, Value]) -> None:
        """Change what is not frozen."""
        self._call(call := Call("update", child.id, tuple(changes)))
        self.edit(parent.id, child.id, **{n: value for n, value in changes.items() if n not in self.can.frozen})
        self.after(call)

    async def delete(self, parent: Snapshot, child: Child) -> None:
        """Delete a child, where that is allowed."""
        self._call(call := Call("delete", child.id))
        if self.can.removal is not Removal.DELETE:
            raise Rejected("children of this side can't be deleted")
        self.held[parent.id] = [one for one in self.held[parent.id] if one.id != child.id]
        self.after(call)

    def _all(self, parent: Snapshot) -> tuple[Child, ...]:
        return tuple(self.held.get(parent.id, ()))[:: -1 if self.newest_first else 1]

    def _call(self, call: Call) -> None:
        self.calls.append(call)
        self.before(call)


Look = Callable[[], Awaitable[Snapshot]]
"""Looks at the record again, as its replica does."""


async def check_children(
    children: Children, look: Look, items: Items, samples: Sequence[Item], can: Abilities = PLAIN
) -> None:
    """Make, change and remove children of one record, and assert what ``WithChildren`` relies on.

    The record has none that hold an item to begin with. ``samples`` are three items that are
    not the same one, and have the same in columns that are frozen. ``Broken`` names the
    fault.
    """
    first, second, third = samples
    holds(
        len({items.identity(item) for item in samples}) == 3,
        "the samples are not three different items",
        "give three that differ in same_by",
    )
    holds(not await _filled(children, look, items), "a record without children has some")
    for item in (first, second):
        await children.create(await look(), dict(zip(items.columns, item, strict=True)))
    one, two = await _both(children, look, items, first, second)
    holds(one.id != two.id, "two children have one id")
    again = await _both(children, look, items, first, second)
    holds(again == (one, two), "a second reading gives other children")
    changes = {name: value for name, value in items.changed(first, third).items() if name not in can.frozen}
    await children.update(await look(), one, changes)
    three, still = await _both(children, look, items, third, second)
    holds(three.id == one.id, "a child that was changed has another id", "change it in place, do not replace it")
    holds(still == two, "a change of one child changes another one")
    if one.version is not None:
        holds(
            three.version != one.version,
            "the token of a child stays when the child changes",
            "give the system's token, or None",
        )
    if can.removal is Removal.DELETE:
        await children.delete(await look(), three)
        left = await _filled(children, look, items)
        holds([child.id for child in left] == [two.id], "a deleted child is still there, or another one is gone")
    elif can.removal is Removal.BLANK:
        emptied: dict[str, Value] = {name: None for name in items.columns if name not in can.frozen}
        await children.update(await look(), three, emptied)
        blank = [child for child in await _all(children, look) if child.id == three.id]
        holds(blank, "a blank child is not told of", "tell of it, so that it can be filled again")
        holds(items.blank(blank[0].item), "what was emptied is not read as empty")
        kept = [three.item[items.columns.index(name)] for name in sorted(can.frozen)]
        holds(
            [blank[0].item[items.columns.index(name)] for name in sorted(can.frozen)] == kept,
            "emptying a child has changed what is frozen",
        )


async def _all(children: Children, look: Look) -> Sequence[Child]:
    parent = await look()
    told, read = children.told(parent), await children.list(parent)
    ids = [child.id for child in read]
    holds(len(ids) == len(set(ids)), "a child is told twice")
    holds(
        told is None or tuple(told) == tuple(read),
        "what comes along with the record is not what is read",
        "answer None from told where the record does not bring all of them",
    )
    return read


async def _filled(children: Children, look: Look, items: Items) -> list[Child]:
    return [child for child in await _all(children, look) if not items.blank(child.item)]


async def _both(children: Children, look: Look, items: Items, *wanted: Item) -> tuple[Child, Child]:
    """The children that hold these two items, once each, and nothing else."""
    held = await _filled(children, look, items)
    found = {items.identity(child.item): child for child in held}
    holds(len(held) == len(wanted), "an item is held by no child, by two, or there are others")
    for item in wanted:
        child = found.get(items.identity(item))
        if child is None:
            broken("what was written is not read again")
        holds(not items.changed(child.item, item), "a column is not read again as it was written")
    return found[items.identity(wanted[0])], found[items.identity(wanted[1])]
