"""The pair workload: two stores of equal records, edits on both sides, and how both must look in the end."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from bidisync import Stale
from bidisync.records import Changes

NAMES = ("id", *(f"field{n:02}" for n in range(14)))
SEED = 8


@attrs.define
class Table:
    """Records in a dictionary, each with a version; ``history`` names what changed, oldest first."""

    rows: dict[str, dict[str, Any]] = attrs.Factory(dict)
    history: list[str] = attrs.Factory(list)
    writes: int = 0

    def all(self) -> Iterable[Mapping[str, Any]]:
        """Every record."""
        return self.rows.values()

    def get(self, id: str) -> Mapping[str, Any] | None:
        """The record now."""
        return self.rows.get(id)

    def add(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make a record."""
        return self._put(fields["id"], fields)

    def change(self, id: str, fields: Mapping[str, Any], version: str | None) -> Mapping[str, Any]:
        """Change a record that is as it was seen."""
        row = self.rows.get(id)
        if row is None or row["version"] != version:
            raise Stale("the record moved")
        return self._put(id, {**row, **fields})

    def remove(self, id: str, version: str | None) -> None:
        """Delete a record that is as it was seen."""
        if self.rows[id]["version"] != version:
            raise Stale("the record moved")
        del self.rows[id]
        self.history.append(id)
        self.writes += 1

    def _put(self, id: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        self.history.append(id)
        self.writes += 1
        row = self.rows[id] = {**fields, "version": f"v{len(self.history)}"}
        return row


@attrs.define
class Followed(Table):
    """The same, telling what changed since a place in its history."""

    def position(self) -> str:
        """Where the history is now."""
        return str(len(self.history))

    def changed(self, since: str) -> Changes:
        """What changed after that place."""
        ids = dict.fromkeys(self.history[int(since) :])
        there = [self.rows[id] for id in ids if id in self.rows]
        return Changes(there, [id for id in ids if id not in self.rows], self.position())


@attrs.define
class Workload:
    """Two tables of ``number`` equal records, and the edits that people make."""

    number: int
    left: Table
    right: Table
    expected: dict[str, dict[str, Any]] = attrs.Factory(dict)
    unmerged: dict[str, dict[str, Any]] = attrs.Factory(dict)
    """Records edited on both sides, as they are on the left before a sync."""

    @classmethod
    def of(cls, number: int, kind: type[Table] = Table) -> Workload:
        """Both tables as they are before anybody edits."""
        left, right = kind(), kind()
        for n in range(number):
            row = {name: f"{name[-2:]}-{n * 7919 % 1000003}" for name in NAMES[1:]}
            left.add({"id": f"{n:07}", **row})
            right.add({"id": f"{n:07}", **row})
        return cls(number, left, right)

    def edit(self, changed: int) -> None:
        """``changed`` edits on each side alone, a tenth of that on both, made, and deleted."""
        chance, few = random.Random(SEED), changed // 10  # noqa: S311
        expected = {id: _fields(row) for id, row in self.left.rows.items()} if changed else {}
        chosen = iter(chance.sample(sorted(self.left.rows), 2 * changed + 2 * few))
        for side in (self.left, self.right):
            for _ in range(changed):
                id, name = next(chosen), chance.choice(NAMES[1:])
                expected[id][name] = self._type(side, id, name, "edited")
        for n in range(few):
            id, (one, other) = next(chosen), chance.sample(NAMES[1:], 2)
            other = one if n % 2 else other  # every second time the same field: left wins
            expected[id][other] = self._type(self.right, id, other, "right")
            expected[id][one] = self._type(self.left, id, one, "left")
            self.unmerged[id] = _fields(self.left.rows[id])
        for n in range(few):
            side = (self.left, self.right)[n % 2]
            made = {"id": f"new{n:06}", **{name: f"{name[-2:]}-new{n}" for name in NAMES[1:]}}
            side.add(made)
            expected[made["id"]] = made
        for n in range(few):
            id = next(chosen)
            side = (self.left, self.right)[n % 2]
            side.remove(id, side.rows[id]["version"])
            del expected[id]
        self.expected = expected
        self.left.writes = self.right.writes = 0

    @staticmethod
    def _type(side: Table, id: str, name: str, value: str) -> str:
        side.change(id, {name: value}, side.rows[id]["version"])
        return value

    def faults(self) -> dict[str, int]:
        """How many records of both sides are ``wrong``; ``unmerged`` of these lack only a right edit."""
        if not self.expected:
            return {"wrong": self.left.writes + self.right.writes, "unmerged": 0}
        sides = [{id: _fields(row) for id, row in side.rows.items()} for side in (self.left, self.right)]
        found = [(id, side.get(id)) for side in sides for id in {*side, *self.expected}]
        wrong = [(id, row) for id, row in found if row != self.expected.get(id)]
        unmerged = sum(id in self.unmerged and row == self.unmerged[id] for id, row in wrong)
        return {"wrong": len(wrong), "unmerged": unmerged}


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in NAMES}
