"""A machine of people, faults and lying parts around the engine: agreement, and no edit lost without trace.

People create, edit and delete on both sides, the same fields too. Requests and replies get
lost, processes die, a side denies a write it took, shows old states, repeats rows, respells
values, or drops a field. When faults stop, both sides agree or the difference has a name,
and every value that a person entered is on a side, in the journal, or was replaced or
deleted by a person who could see it.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from pairs import CRM, ERP, NAMES, Pair, fold

from bidisync import (
    Conditional,
    Drift,
    Field,
    Group,
    LinkState,
    Merge,
    Owner,
    Policy,
    Side,
    ask,
    prefer_left,
    prefer_right,
)
from bidisync.errors import Stale, Unavailable, Unconfirmed
from bidisync.testing import Call, MemoryReplica

POLICIES = [
    Policy(
        [
            Field("name", "g", required=True, key=fold),
            *(Field(n, g) for n, g in (("x", "g"), ("y", "h"), ("born", "k"))),
        ],
        groups,
    )
    for groups in (
        [Group("g", strategy=prefer_left), Group("h", strategy=prefer_right), Group("k")],
        [Group("g", strategy=ask), Group("h", strategy=Merge(prefer_left)), Group("k", unit=True)],
        [
            Group("g", strategy=prefer_right),
            Group("h", owner=Owner(Side.LEFT)),
            Group("k", owner=Owner(Side.RIGHT, Drift.REPORT)),
        ],
    )
]
FAULTS = ("request lost", "reply lost", "killed", "stale", "somebody edits")


class Killed(BaseException):
    """The process ends here."""


@attrs.define
class Lying(MemoryReplica):
    """A replica that shows old states for a while, respells what it stores, and repeats rows."""

    lies: frozenset[str] = frozenset()
    _old: dict[str, tuple[float, object]] = attrs.Factory(dict)

    async def update(self, seen, changes, *, notes=None):
        before = self._snapshot(seen.id, row=False)
        now = await MemoryReplica.update(self, seen, changes, notes=notes)
        if "lags" in self.lies:
            self._old[seen.id] = (self.now() + 2.0, before)
        return now

    async def get(self, id):
        now = await MemoryReplica.get(self, id)
        until, old = self._old.get(id, (0.0, None))
        return attrs.evolve(old, seen_at=self.now()) if old is not None and self.now() < until and not now.gone else now

    async def list(self, since=None):
        async for page in MemoryReplica.list(self, since):
            yield page if "repeats" not in self.lies else attrs.evolve(page, snapshots=page.snapshots * 2)


class Office(RuleBasedStateMachine):
    """What may happen, in any order."""

    @initialize(
        policy=st.sampled_from(POLICIES),
        lies=st.frozensets(st.sampled_from(["lags", "repeats"])),
        checked=st.booleans(),
        data=st.data(),
    )
    def begin(self, policy, lies, checked, data) -> None:
        self.runner = asyncio.Runner()
        erp = attrs.evolve(ERP, conditional_write=Conditional.ENFORCED, row_can_be_written=True)
        self.pair = Pair(
            policy=policy,
            left=Lying("l", capabilities=CRM, names=NAMES, lies=lies),
            right=Lying("r", capabilities=erp, names=NAMES, lies=lies),
        )
        self.pair.left.capabilities = attrs.evolve(CRM, conditional_write=Conditional.ENFORCED)
        self.burning, self.data, self.edits = False, data, 0
        self.entered: dict[tuple[Side, str, str], str] = {}
        self.faults: Counter[str] = Counter()
        for side, replica in self.sides():
            replica.before = lambda call, side=side: self.moment(call, "request lost")
            replica.after = lambda call, side=side: self.moment(call, "reply lost")

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.rest()
            self.runner.close()

    def sides(self):
        return [(Side.LEFT, self.pair.left), (Side.RIGHT, self.pair.right)]

    def moment(self, call: Call, when: str) -> None:
        if not self.burning or self.data.draw(st.integers(0, 7)) > 0:
            return
        fault = self.data.draw(st.sampled_from(FAULTS))
        self.faults[fault] += 1
        if fault == "killed":
            raise Killed
        if fault == "somebody edits":
            self.edit(self.data.draw(st.integers(0, 99)), self.data.draw(st.sampled_from(["x", "y"])))
        if fault == when:
            writes = call.verb in ("create", "update", "delete")
            raise Unconfirmed("lost") if writes else Unavailable("lost")
        if fault == "stale" and when == "request lost" and call.verb == "update":
            raise Stale("moved")

    @rule(left=st.booleans())
    def create(self, left: bool) -> None:
        self.edits += 1
        replica = self.pair.left if left else self.pair.right
        replica.add(name=f"P{self.edits}", born=f"b{self.edits}", x=None, y=None)

    def edit(self, which: int, field: str) -> None:
        ids = [(side, replica, id) for side, replica in self.sides() for id in replica.records]
        if not ids:
            return
        side, replica, id = ids[which % len(ids)]
        self.edits += 1
        self.entered[side, id, field] = value = f"v{self.edits}"
        replica.edit(id, **{field: value})

    @rule(which=st.integers(0, 99), field=st.sampled_from(["x", "y"]))
    def edit_something(self, which: int, field: str) -> None:
        self.edit(which, field)

    @precondition(lambda self: len(self.pair.left.records) + len(self.pair.right.records) > 2)
    @rule(which=st.integers(0, 99))
    def delete(self, which: int) -> None:
        ids = [(replica, id) for _, replica in self.sides() for id in replica.records]
        replica, id = ids[which % len(ids)]
        replica.remove(id)

    @rule(seconds=st.sampled_from([1, 30, 7200]))
    def wait(self, seconds: int) -> None:
        self.pair.clock.advance(seconds)

    @rule(everything=st.booleans(), burning=st.booleans())
    def sync(self, everything: bool, burning: bool) -> None:
        self.burning = burning
        try:
            self.runner.run(self.pair.sweep(everything=everything, rounds=2))
        except BaseExceptionGroup as group:
            assert group.subgroup(Killed) is not None, group
        except (Killed, Unavailable):
            pass
        finally:
            self.burning = False
        self.arrived()

    def arrived(self) -> None:
        """What is on both sides has arrived; whoever replaces it then could see it."""
        links = self.links()
        for (side, id, field), value in list(self.entered.items()):
            link = links.get((side, id))
            other = None if link is None else link.on(side.other)
            replica = self.pair.right if side is Side.LEFT else self.pair.left
            mine = self.pair.left if side is Side.LEFT else self.pair.right
            there = replica.records.get(other or "")
            if id not in mine.records or (there is not None and there.fields.get(field) == value):
                del self.entered[side, id, field]  # it reached the other side, or went with its record

    def links(self):
        async def read():
            return [link async for group in self.pair.store.links() for link in group]

        return {(ref.side, ref.id): link for link in self.runner.run(read()) for ref in link.refs}

    def rest(self) -> None:
        for _ in range(4):
            self.pair.clock.advance(7200)
            self.runner.run(self.pair.sweep(everything=True, rounds=4))
        self.arrived()
        self.check_agreement()
        self.check_traces()
        before = self.pair.writes()
        self.runner.run(self.pair.sweep(everything=True))
        assert self.pair.writes() == before, "quiet after rest"

    def check_agreement(self) -> None:
        links = self.links()
        for side, replica in self.sides():
            for id in replica.records:
                assert (side, id) in links, "every record has a link"
        for link in {link.id: link for link in links.values()}.values():
            if link.tombstoned or link.state is not LinkState.IN_SYNC:
                assert link.tombstoned or link.state.waits_for_a_person, link.state
                continue
            left, right = self.pair.left.records[link.left_id], self.pair.right.records[link.right_id]
            for field in NAMES:
                assert fold(left.fields.get(field)) == fold(right.fields.get(field)), field

    def check_traces(self) -> None:
        links = self.links()
        for (side, id, field), value in self.entered.items():
            replica = self.pair.left if side is Side.LEFT else self.pair.right
            if replica.records[id].fields.get(field) == value:
                continue
            entries = self.runner.run(self.pair.store.journal(links[side, id].id))
            lost = {(name, on, old) for entry in entries for name, on, old in entry.lost}
            assert (field, side, value) in lost, f"{value} on {side.value} is gone without a trace"


TestOffice = Office.TestCase
TestOffice.settings = settings(
    settings.get_profile(settings._current_profile),
    stateful_step_count=25,
    max_examples=min(settings().max_examples, 2000),
)
