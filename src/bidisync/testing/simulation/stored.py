"""A store of your own somewhere else: people edit it, workers reach it over the simulated network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import attrs

from bidisync.model import Fields, Notes, Side, Value
from bidisync.records import Record, RecordReplica, Removes
from bidisync.testing.replica import Stored
from bidisync.testing.simulation.network import Network
from bidisync.testing.simulation.remotes import Distant
from bidisync.testing.simulation.world import World


@attrs.define(eq=False)
class StoreRemote:
    """The records of a store whose methods are plain functions: whoever waits waits for the network.

    What people delete stays deleted, as a store can't give a record its old id again.
    """

    world: World
    side: Side
    replica: RecordReplica
    partial: Callable[[int], bool] | None = None
    versions: bool = True
    network: Network = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.network = self.world.network(self.side)
        self.replica.now = self.world.clocks[self.side].now

    def records(self) -> Mapping[str, Fields]:
        """Every record, by its id."""
        listed = cast(Iterable[Record], self.replica.records.all())
        return {str(record[self.replica.id]): self._held(record).fields for record in listed}

    def stored(self, id: str) -> Stored | None:
        """The record as the store holds it."""
        record = cast(Record | None, self.replica.records.get(id))
        return None if record is None else self._held(record)

    def create(self, fields: Mapping[str, Value]) -> str:
        """A person makes a record."""
        whole = {**dict.fromkeys(self.replica.names), **fields}
        return str(cast(Record, self.replica.records.add(whole))[self.replica.id])

    def edit(self, id: str, field: str, value: Value) -> None:
        """A person changes a field."""
        self.replica.records.change(id, {field: value}, self._version(id))

    def delete(self, id: str) -> None:
        """A person deletes a record."""
        cast(Removes, self.replica.records).remove(id, self._version(id))

    def undelete(self, id: str) -> bool:
        """Nobody can take a deletion back here."""
        return False

    def notes_of(self, id: str) -> Notes | None:
        """Such records show nothing of their synchronisation."""
        return None

    def connect(self) -> Distant:
        """A worker's way to it."""
        return Distant(self)

    def _held(self, record: Record) -> Stored:
        return Stored({name: record.get(name) for name in self.replica.names}, record[self.replica.version], 0.0)

    def _version(self, id: str) -> str:
        return str(cast(Mapping[str, Any], self.replica.records.get(id))[self.replica.version])
