"""Lists that a system keeps as records of their own beneath a record, as fields of that record.

``WithChildren`` wraps a replica: a look at a record also reads its children, a write of such
a field becomes calls for single children. Nothing is remembered of them. Whatever became of
an earlier try, the children are read again first, so what was made already is not made twice,
and what somebody changed meanwhile makes the record ``Stale``.

The version of the whole is the record's and its children's, for a system may leave a record's
own as it was when a child changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, cast

import attrs

from bidisync.clock import SystemClock
from bidisync.errors import Rejected, Stale, Unmappable
from bidisync.items import Items
from bidisync.model import Capabilities, Conditional, Created, Notes, Page, Seen, Snapshot, Value
from bidisync.operations import Abilities, Add, Alter, Child, Operation, left_over, operations
from bidisync.pages import aopened
from bidisync.protocols import Clock, Replica
from bidisync.spawn import side_by_side
from bidisync.state import Intent


class Children(Protocol):
    """The records beneath a record that hold the items of one list.

    Those that hold none of its items are not told of, blank ones are; the one that counts
    comes first where several hold the same item. Must not repeat a write by itself, and must
    keep of a child what it was not asked to change.
    """

    def told(self, parent: Snapshot) -> Sequence[Child] | None:
        """The children that came along with the record; ``None`` where they have to be read."""
        ...

    async def list(self, parent: Snapshot) -> Sequence[Child]:
        """The children now."""
        ...

    async def create(self, parent: Snapshot, item: Mapping[str, Value]) -> None:
        """Make a child that holds this item, once."""
        ...

    async def update(self, parent: Snapshot, child: Child, changes: Mapping[str, Value]) -> None:
        """Change these columns of a child. Never asked for one that is frozen."""
        ...

    async def delete(self, parent: Snapshot, child: Child) -> None:
        """Delete a child. Never asked where that is not possible."""
        ...


@attrs.frozen
class ChildList:
    """One list field: what its items are, where they are kept, and what may be done there."""

    items: Items
    children: Children
    can: Abilities = Abilities()


@attrs.frozen
class _Whole:
    """What a snapshot was made of: the record within, and the children of each list."""

    record: Snapshot
    children: Mapping[str, tuple[Child, ...]]


@attrs.frozen
class WithChildren:
    """A replica whose records have list fields, around one whose records have children.

    Its list fields are written once the record exists: declare them ``update_only`` on this
    side, and settle conflicts by ``MergeItems``, which leads to the same list also where only
    a part of it was written. An update makes several requests; it begins none of them after
    ``longest_s``, and goes on at the next look: ``Limits.request_timeout_s`` has to cover
    that and one request.
    """

    replica: Replica
    lists: Mapping[str, ChildList]
    longest_s: float = 10.0
    concurrency: int = 10
    clock: Clock = attrs.Factory(SystemClock)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the replica within; but no write is refused because a child moved, and no row is enough."""
        inner = self.replica.capabilities
        return attrs.evolve(inner, conditional_write=Conditional.IGNORED, row_can_be_written=False)

    @property
    def newest(self) -> str | None:
        """That of the replica within."""
        return self.replica.newest

    async def get(self, id: str) -> Snapshot:
        """The record now, with its children."""
        return await self._whole(await self.replica.get(id))

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """The records that a bulk read finds, with their children."""
        found = await self.replica.get_many(ids)
        return dict(zip(found, await self._wholes(tuple(found.values())), strict=True))

    async def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """The pages of the replica within; where they bring no children along, each record's are read."""
        async with aopened(self.replica.list(since)) as pages:
            async for page in pages:
                yield attrs.evolve(page, snapshots=await self._wholes(page.snapshots), tokens=None)

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Make a record. Its lists follow: ``Unmappable`` for one that is given."""
        early = sorted(name for name in self.lists if fields.get(name) is not None)
        if early:
            raise Unmappable("a list is written once its record exists", field=early[0])
        own = {name: value for name, value in fields.items() if name not in self.lists}
        created = await self.replica.create(own, notes=notes, despite_duplicates=despite_duplicates)
        return Created(created.id, version=None)

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Change the record's own fields, then its lists child by child; ``Stale`` where one of these moved."""
        whole = cast(_Whole, seen.native)
        own = {name: value for name, value in changes.items() if name not in self.lists}
        wanted = {name: value for name, value in changes.items() if name in self.lists}
        until = self.clock.monotonic() + self.longest_s
        if own or notes is not None or not wanted:
            record = await self.replica.update(whole.record, own, notes=notes)
            if not wanted:
                return None if record is None else await self._whole(record)
        now = await self.get(seen.id)
        current = cast(_Whole, now.native)
        if now.gone or (not own and whole.record.version != current.record.version):
            raise Stale("the record moved before its children could be written")
        for name in wanted:
            if [child.item for child in whole.children[name]] != [child.item for child in current.children[name]]:
                raise Stale("a child moved before it could be written")
        for name, value in wanted.items():
            await self._write(name, current, value, until)
        return None

    async def delete(self, seen: Snapshot) -> None:
        """Delete the record, and whatever becomes of its children then."""
        await self.replica.delete(cast(_Whole, seen.native).record)

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """The records whose notes name this id."""
        return await self._wholes(tuple(await self.replica.find_by_counterpart(counterpart)))

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """Records that may be the one which this create made."""
        return await self._wholes(tuple(await self.replica.find_created(intent)))

    async def _write(self, name: str, whole: _Whole, wanted: Value, until: float) -> None:
        """Make the children of one list hold what is wanted."""
        kept = self.lists[name]
        for operation in operations(kept.items, kept.can, whole.children[name], wanted):
            if self.clock.monotonic() >= until:
                raise Stale("not every child is written yet")
            try:
                await _carried_out(kept, whole.record, operation)
            except Rejected as error:
                raise Rejected(str(error), field=name) from error
            except Unmappable as error:
                raise Unmappable(str(error), field=name) from error

    async def _whole(self, record: Snapshot) -> Snapshot:
        if record.gone:
            return attrs.evolve(record, native=_Whole(record, {}))
        children = {}
        for name, kept in self.lists.items():
            told = kept.children.told(record)
            children[name] = tuple(await kept.children.list(record) if told is None else told)
        values: dict[str, Seen] = {
            name: kept.items.value(child.item for child in children[name]) for name, kept in self.lists.items()
        }
        over = {name for name, kept in self.lists.items() if left_over(kept.items, kept.can, children[name])}
        return attrs.evolve(
            record,
            fields={**record.fields, **values},
            version=_version(record, children),
            left_over=record.left_over | over,
            native=_Whole(record, children),
        )

    async def _wholes(self, records: Sequence[Snapshot]) -> tuple[Snapshot, ...]:
        """The records with their children, several read at once."""
        found: dict[int, Snapshot] = {}

        async def one(place: int) -> None:
            found[place] = await self._whole(records[place])

        await side_by_side(range(len(records)), one, self.concurrency)
        return tuple(found[place] for place in range(len(records)))


async def _carried_out(kept: ChildList, record: Snapshot, operation: Operation) -> None:
    match operation:
        case Add(item):
            await kept.children.create(record, dict(zip(kept.items.columns, item, strict=True)))
        case Alter(child, changes):
            await kept.children.update(record, child, changes)
        case _:
            await kept.children.delete(record, operation.child)


def _version(record: Snapshot, children: Mapping[str, Sequence[Child]]) -> str | None:
    """The record's token and a digest of its children's; nothing where one of them has none."""
    tokens = [(child.id, child.version) for held in children.values() for child in held]
    if record.version is None or any(version is None for _, version in tokens):
        return None
    parts = [(name, sorted((child.id, child.version) for child in held)) for name, held in sorted(children.items())]
    return f"{record.version}+{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"
