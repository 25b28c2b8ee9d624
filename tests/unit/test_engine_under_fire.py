"""Random days: people edit at every moment, requests and replies get lost, processes are killed.

Each field of each record is edited on one side alone, so there is no conflict to settle, and
the law is plain: once faults stop, both sides hold the last edit, nobody is doubled, and the
next pass writes nothing.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import attrs
import pytest
from pairs import CRM, ERP, Pair

from bidisync import Capabilities, Conditional, LinkState, Side
from bidisync.errors import Stale, Unavailable, Unconfirmed
from bidisync.testing import Call, MemoryReplica
from bidisync.testing.replica import FULL

SEEDS = int(os.environ.get("BIDISYNC_FIRE_SEEDS", "150"))
SAFE = attrs.evolve(ERP, conditional_write=Conditional.ENFORCED, row_can_be_written=True)
"""A right side that refuses outdated writes: people may edit at any moment."""


class Killed(BaseException):
    """The process ends here."""


@attrs.define
class Fire:
    """Faults and edits, drawn from one seed."""

    seed: int
    left_capabilities: Capabilities
    right_capabilities: Capabilities
    pair: Pair = attrs.Factory(Pair)
    burning: bool = True
    faults: Counter[str] = attrs.Factory(Counter)
    expected: dict[tuple[str, str], str] = attrs.Factory(dict)
    owners: dict[tuple[str, str], Side] = attrs.Factory(dict)
    _edits: int = 0
    _rng: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self.pair.left.capabilities, self.pair.right.capabilities = self.left_capabilities, self.right_capabilities
        for side, replica in self.sides():
            replica.before = lambda call, side=side: self.moment(side, call, "before")
            replica.after = lambda call, side=side: self.moment(side, call, "after")

    def sides(self) -> list[tuple[Side, MemoryReplica]]:
        return [(Side.LEFT, self.pair.left), (Side.RIGHT, self.pair.right)]

    def moment(self, side: Side, call: Call, when: str) -> None:
        """Something may happen at this call."""
        if not self.burning:
            return
        self.pair.clock.advance(self._rng.random())
        draw = self._rng.random()
        if draw < 0.10:
            self.edit()
        elif draw < 0.13:
            self.faults["killed"] += 1
            raise Killed
        elif draw < 0.17:
            self.faults[f"lost {when}"] += 1
            writes = call.verb in ("create", "update", "delete")
            raise Unconfirmed("lost") if writes else Unavailable("lost")
        elif draw < 0.18 and when == "before" and call.verb == "update":
            self.faults["stale"] += 1
            raise Stale("moved")

    def person(self) -> None:
        """Somebody makes a record."""
        number = len(self.pair.left.records) + len(self.pair.right.records) + self._edits
        self._edits += 1
        replica = self._rng.choice([self.pair.left, self.pair.right])
        replica.add(name=f"P{number}-{self._edits}", born="2000-01-01", x=None, y=None)

    def edit(self) -> None:
        """Somebody edits a field that is theirs to edit."""
        side, replica = self._rng.choice(self.sides())
        if side is Side.RIGHT and self.right_capabilities.conditional_write is Conditional.IGNORED:
            side, replica = Side.LEFT, self.pair.left  # an edit in the window of an unchecked write may be lost
        if not replica.records:
            return
        id = self._rng.choice(list(replica.records))
        name, field = str(replica.records[id].fields["name"]), self._rng.choice(["x", "y"])
        if self.owners.setdefault((name, field), side) is not side:
            return
        self._edits += 1
        self.expected[name, field] = value = f"edit {self._edits}"
        replica.edit(id, **{field: value})

    async def day(self) -> None:
        """Passes by processes that may die, with people at work in between."""
        for _ in range(self._rng.randint(3, 6)):
            for _ in range(self._rng.randint(0, 3)):
                self.person()
            for _ in range(self._rng.randint(0, 4)):
                self.edit()
            try:
                await self.pair.sweep(everything=self._rng.random() < 0.4, rounds=2)
            except BaseExceptionGroup as group:
                assert group.subgroup(Killed) is not None, group
            except (Killed, Unavailable):
                pass
            self.pair.clock.advance(self._rng.choice([1, 30, 600]))

    async def rest(self) -> None:
        """No more faults, and time enough: a day after it was given up a record is tried again."""
        self.burning = False
        for _ in range(4):
            self.pair.clock.advance(90_000)
            await self.pair.sweep(everything=True, rounds=4)


@pytest.mark.parametrize(
    ("left", "right"), [(CRM, SAFE), (CRM, ERP), (FULL, SAFE)], ids=["checked", "unchecked", "together"]
)
async def test_random_days_under_fire_end_in_agreement(left, right):
    total: Counter[str] = Counter()
    for seed in range(SEEDS):
        fire = Fire(seed, left, right)
        await fire.day()
        await fire.rest()
        total += fire.faults
        lefts = {r.fields["name"]: r.fields for r in fire.pair.left.records.values()}
        rights = {r.fields["name"]: r.fields for r in fire.pair.right.records.values()}
        where = f"seed {seed}"
        assert len(lefts) == len(fire.pair.left.records), f"{where}: nobody is doubled on the left"
        assert len(rights) == len(fire.pair.right.records), f"{where}: nobody is doubled on the right"
        assert lefts.keys() == rights.keys(), where
        states = fire.pair.tally.states()
        assert set(states) <= {LinkState.IN_SYNC}, f"{where}: {states}"
        for (name, field), value in fire.expected.items():
            assert (lefts[name].get(field), rights[name].get(field)) == (value, value), f"{where}: {name}.{field}"
        before = fire.pair.writes()
        await fire.pair.sweep(everything=True)
        assert fire.pair.writes() == before, f"{where}: quiet after rest"
    print(f"{SEEDS} days, faults: {dict(total)}")
    assert all(total[fault] > 0 for fault in ("killed", "lost before", "lost after", "stale"))
