"""Remotes in memory, for those who simulate their own mapping or policy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from bidisync.deadline import still_in_time
from bidisync.errors import RateLimited, Stale, SyncError, Unauthorized, Unavailable, Unconfirmed
from bidisync.model import Capabilities, Conditional, Created, Fields, Notes, Page, Side, Snapshot, Value, Verb
from bidisync.state import Intent
from bidisync.testing.replica import MemoryReplica, Stored
from bidisync.testing.simulation.loop import at_once
from bidisync.testing.simulation.network import Ask, Network, NoAnswer, NotSent, Twist
from bidisync.testing.simulation.world import Applied, World

if TYPE_CHECKING:
    from bidisync.testing.simulation.stored import StoreRemote

T = TypeVar("T")

BETWEEN = 0.1
"""Of the edits that fall just before a write, so many fall between its check and itself."""


@attrs.define(eq=False)
class MemoryRemote:
    """A ``MemoryReplica`` somewhere else: people edit it, workers reach it over the network."""

    world: World
    side: Side
    replica: MemoryReplica
    partial: Callable[[int], bool] | None = None  # the numbers of those that lists leave out
    versions: bool = True
    network: Network = attrs.field(init=False)
    _deleted: dict[str, Stored] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        self.network = self.world.network(self.side)
        self.replica.now = self.world.clocks[self.side].now

    def records(self) -> Mapping[str, Fields]:
        """Every record, by its id."""
        return {id: stored.fields for id, stored in self.replica.records.items()}

    def stored(self, id: str) -> Stored | None:
        """The record as it is held there."""
        return self.replica.records.get(id)

    def create(self, fields: Mapping[str, Value]) -> str:
        """A person makes a record."""
        return self.replica.add(**{**dict.fromkeys(self.replica.names), **fields})

    def edit(self, id: str, field: str, value: Value) -> None:
        """A person changes a field."""
        self.replica.edit(id, **{field: value})

    def delete(self, id: str) -> None:
        """A person deletes a record."""
        self._deleted[id] = self.replica.records[id]
        self.replica.remove(id)

    def undelete(self, id: str) -> bool:
        """A person takes a deletion back; whether that worked."""
        stored = self._deleted.pop(id, None)
        if stored is None:
            return False
        self.replica.records[id] = stored
        return True

    def notes_of(self, id: str) -> Notes | None:
        """What a record shows of its synchronisation."""
        stored = self.replica.records.get(id)
        return None if stored is None else stored.notes

    def connect(self) -> Distant:
        """A worker's way to it: a replica like any other."""
        return Distant(self)


def _raised(error: Exception) -> Twist:
    return Twist("F6", False, lambda answer: error)


@attrs.define(eq=False)
class Distant:
    """A replica over the simulated network: what gets lost there comes back as our errors."""

    remote: MemoryRemote | StoreRemote
    _read_at: dict[str, float] = attrs.Factory(dict)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the replica there."""
        return self.remote.replica.capabilities

    @property
    def newest(self) -> str | None:
        """The newest record seen so far."""
        return self.remote.replica.newest

    async def get(self, id: str) -> Snapshot:
        """The record now."""
        found = await self._read(Ask("get", lambda: self._now(id), id=id))
        self._read_at[id] = self.remote.world.loop.time()
        return found

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """Those of the records that there are."""
        ask = Ask("get many", lambda: at_once(self.remote.replica.get_many(ids)), listing=True)
        found = await self._read(ask)
        self._read_at.update(dict.fromkeys(found, self.remote.world.loop.time()))
        return {} if self.remote.network.looks_empty else {id: self._shown(row) for id, row in found.items()}

    async def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """All records, in one page."""

        async def all_of_them() -> list[Snapshot]:
            hidden = self.remote.partial
            rows = [row async for page in self.remote.replica.list(since) for row in page.snapshots]
            return [self._shown(row) for row in rows if hidden is None or not hidden(int(row.id[1:]))]

        rows = await self._read(Ask("list", lambda: at_once(all_of_them()), listing=True, twists=(_TWICE,)))
        self._read_at.update(dict.fromkeys((row.id for row in rows), self.remote.world.loop.time()))
        yield Page(() if self.remote.network.looks_empty else tuple(rows))

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Make a record."""
        side, watch = self.remote.side, self.remote.world.watch
        who = watch.creates(side, fields, searchable=self.capabilities.finds_created or self.capabilities.keeps_notes)

        def make() -> Created:
            self._may_be_broken(who)
            made = at_once(self.remote.replica.create(fields, notes=notes, despite_duplicates=despite_duplicates))
            self._took(made.id, Verb.CREATE, {})
            return made if made.snapshot is None else attrs.evolve(made, snapshot=self._shown(made.snapshot))

        try:
            created = await self._write(Ask("create", make, writes=True))
        except Unconfirmed:
            raise
        except SyncError:
            watch.answered(side, who)
            raise
        watch.answered(side, who)
        return created

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Change these fields."""
        side, watch = self.remote.side, self.remote.world.watch
        guarded = self.capabilities.conditional_write is not Conditional.IGNORED and seen.version is not None
        number = 0
        if changes:
            number = watch.sends(side, seen, self._read_at.get(seen.id, 0.0), guarded=guarded)

        def change() -> Snapshot | None:
            stored = self.remote.stored(seen.id)
            if stored is None:
                raise Stale("the record is gone")
            if changes:
                self._may_be_broken(self.remote.world.people.names.get((side, seen.id), ""))
            self._checks(seen)
            before = dict(stored.fields)
            now = at_once(self.remote.replica.update(seen, changes, notes=notes))
            names = changes if self.capabilities.partial_write else before
            unseen = [name for name in names if before.get(name) != seen.fields.get(name)]
            self._took(seen.id, Verb.UPDATE, before, unseen, notes is not None)
            if number:
                watch.arrived(side, seen.id, number)
            return None if now is None else self._shown(now)

        ask = Ask("update", change, writes=True, id=seen.id, before=lambda: self._now(seen.id))
        return await self._write(ask)

    async def delete(self, seen: Snapshot) -> None:
        """Delete the record."""
        self.remote.world.watch.deletes(self.remote.side, seen.id)

        def end() -> None:
            before = dict(self.remote.records().get(seen.id, {}))
            at_once(self.remote.replica.delete(seen))
            self.remote.world.took(
                Applied(
                    self.remote.side,
                    seen.id,
                    Verb.DELETE,
                    before,
                    {},
                    self.remote.world.loop.time(),
                    self.remote.world.by,
                )
            )

        await self._write(Ask("delete", end, writes=True, id=seen.id))

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """The records whose notes name this counterpart."""
        ask = Ask("search", lambda: at_once(self.remote.replica.find_by_counterpart(counterpart)), listing=True)
        return await self._read(ask)

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """Records that this create may have made."""
        ask = Ask("search", lambda: at_once(self.remote.replica.find_created(intent)), listing=True)
        return await self._read(ask)

    def _now(self, id: str) -> Snapshot:
        if self.remote.network.looks_empty:
            return Snapshot(id, {}, gone=True, seen_at=self.remote.replica.now())
        return self._shown(at_once(self.remote.replica.get(id)))

    def _shown(self, snapshot: Snapshot) -> Snapshot:
        return snapshot if self.remote.versions else attrs.evolve(snapshot, version=None)

    def _may_be_broken(self, who: str) -> None:
        """The right side fails some people's writes, and says for certain that it did."""
        if self.remote.side is Side.RIGHT and who in self.remote.world.broken:
            raise RateLimited("this record always fails", retry_after=0.0)

    def _checks(self, seen: Snapshot) -> None:
        """A check that is not one step with the write: who edits just between them is not seen."""
        remote = self.remote
        if self.capabilities.conditional_write is not Conditional.CHECKED:
            return
        between = remote.network.edited_now and remote.world.draw("between", BETWEEN, 1)
        stored = remote.stored(seen.id)
        if stored is not None and str(stored.version) != seen.version and not between:
            raise Stale("the record moved")

    def _took(self, id: str, verb: Verb, before: Fields, unseen: Sequence[str] = (), notes: bool = False) -> None:
        world = self.remote.world
        after = dict(self.remote.records()[id])
        now = world.loop.time()
        applied = Applied(self.remote.side, id, verb, before, after, now, world.by, tuple(unseen), notes)
        world.people.names.setdefault((self.remote.side, id), world.people.who(after))
        world.took(applied)

    async def _read(self, ask: Ask[T]) -> T:
        system = self.remote.side.value
        twists = (*ask.twists, *(Twist(t.fault, t.applies, t.answer) for t in _read_twists(system)))
        try:
            return await self.remote.network.carry(attrs.evolve(ask, twists=twists))
        except (NotSent, NoAnswer) as error:
            raise Unavailable(f"{system}: {error}", system=system) from error

    async def _write(self, ask: Ask[T]) -> T:
        system = self.remote.side.value
        still_in_time(self.remote.world.loop.time())
        try:
            return await self.remote.network.carry(attrs.evolve(ask, twists=_write_twists(system)))
        except NotSent as error:
            raise Unavailable(f"{system}: {error}", system=system) from error
        except NoAnswer as error:
            raise Unconfirmed(f"{system}: {error}") from error


def _doubled(rows: Any) -> Any:
    return [*rows, *rows[:1]]


_TWICE = Twist("F12", True, _doubled)


def _read_twists(system: str) -> tuple[Twist, ...]:
    return (
        Twist("F5", False, lambda _: RateLimited("patience", retry_after=3.0)),
        Twist("F6", False, lambda _: Unavailable("500")),
        Twist("F10", False, lambda _: Unauthorized("401", system=system)),
    )


def _write_twists(system: str) -> tuple[Twist, ...]:
    return (
        Twist("F5", False, lambda _: RateLimited("patience", retry_after=3.0)),
        Twist("F6", False, lambda _: Unconfirmed("500")),
        Twist("F6", True, lambda _: Unconfirmed("504")),
        Twist("F10", False, lambda _: Unauthorized("401", system=system)),
    )
