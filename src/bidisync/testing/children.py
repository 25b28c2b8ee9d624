"""Children in memory: what a system keeps beneath its records, with the limits that a test gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from bidisync.errors import Rejected
from bidisync.items import Abilities, Child, Item, Items, Removal
from bidisync.model import Snapshot, Value
from bidisync.testing.replica import Call


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
