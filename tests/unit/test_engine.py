"""The engine over replicas in memory: what it writes, what it leaves, what it survives."""

from __future__ import annotations

import asyncio

import attrs
import pytest
from pairs import ERP, NAMES, Pair, fold

from bidisync import (
    ABSENT,
    Drift,
    Engine,
    Field,
    Group,
    Identity,
    Limits,
    LinkState,
    Merge,
    OnDelete,
    Owner,
    Policy,
    Ref,
    Row,
    Side,
    Snapshot,
    Sweep,
    prefer_left,
)
from bidisync.detectors import ByContent
from bidisync.errors import Contended, Rejected, Unavailable, Unconfirmed
from bidisync.fence import intent_for, may_write
from bidisync.locks.none import FreeLease, NoLocks
from bidisync.model import Notes, Verb
from bidisync.proof import moved
from bidisync.testing.replica import FULL, Call, MemoryReplica


class Killed(BaseException):
    """The process ends here."""


def left(id: str) -> Ref:
    return Ref(Side.LEFT, id)


def right(id: str) -> Ref:
    return Ref(Side.RIGHT, id)


async def linked() -> Pair:
    """One record on both sides, in sync, and nothing counted yet."""
    pair = Pair()
    pair.left.add(name="Ada", x="1", y="1", born="2000-01-01")
    await pair.sweep(everything=True)
    pair.left.calls.clear()
    pair.right.calls.clear()
    return pair


def verbs(replica: MemoryReplica) -> list[str]:
    return [call.verb for call in replica.calls]


async def test_a_record_of_one_side_is_made_on_the_other_and_both_know_it():
    pair = Pair()
    id = pair.left.add(name="Ada", x="1", y=None, born=None)
    await pair.sweep(everything=True)
    (made,) = pair.right.records.values()
    assert made.fields == {"name": "Ada", "x": "1"}, "what is empty is not sent"
    assert pair.left.records[id].notes.counterpart == "r1"
    assert pair.tally.states() == {LinkState.IN_SYNC: 1}


async def test_an_edit_travels_with_the_calls_that_the_contract_allows():
    pair = await linked()
    pair.left.edit("l1", x="2")
    await (await pair.engine()).sync(left("l1"))
    assert verbs(pair.left) == ["get", "update"]
    assert verbs(pair.right) == ["get", "update", "get"]
    pair.left.calls.clear(), pair.right.calls.clear()
    pair.right.edit("r1", y="3")
    await (await pair.engine()).sync(right("r1"))
    assert verbs(pair.right) == ["get"]
    assert verbs(pair.left) == ["get", "update"]
    assert pair.left.values("l1")["y"] == "3"


async def test_the_echo_of_an_own_write_costs_one_read_of_the_hinted_side_and_no_write():
    pair = await linked()
    for _ in range(100):
        await (await pair.engine()).sync(left("l1"))
    assert verbs(pair.left) == ["get"] * 100
    assert pair.right.calls == []


async def test_edits_of_different_fields_on_both_sides_both_survive():
    pair = await linked()
    pair.left.edit("l1", x="left")
    pair.right.edit("r1", born="1999-09-09")
    await pair.sweep()
    assert pair.left.values("l1") == pair.right.values("r1")
    assert pair.left.values("l1")["x"] == "left"
    assert pair.left.values("l1")["born"] == "1999-09-09"


async def test_the_loser_of_a_settled_conflict_is_in_the_journal():
    pair = await linked()
    pair.left.edit("l1", x="left")
    pair.right.edit("r1", x="right")
    await pair.sweep()
    assert pair.right.values("r1")["x"] == "left"
    entry = (await pair.store.journal("left:l1"))[-1]
    assert (entry.what, entry.lost) == ("update", (("x", Side.RIGHT, "right"),))
    (decision,) = entry.decisions
    assert (decision.row, decision.policy, decision.result) == (Row.BOTH_CHANGED, "prefer left", "left")


async def test_a_conflict_for_a_person_freezes_its_group_and_no_other():
    pair = await linked()
    pair.left.edit("l1", y="left", x="9")
    pair.right.edit("r1", y="right")
    await pair.sweep()
    assert (pair.left.values("l1")["y"], pair.right.values("r1")["y"]) == ("left", "right")
    assert pair.right.values("r1")["x"] == "9"
    assert pair.tally.states() == {LinkState.CONFLICT: 1}
    before = pair.writes()
    await pair.sweep(everything=True)
    assert pair.writes() == before
    pair.left.edit("l1", y="right")
    await pair.sweep()
    assert pair.tally.states() == {LinkState.IN_SYNC: 1}


async def test_a_cleared_value_travels_and_a_required_one_blocks_its_group():
    pair = await linked()
    pair.right.edit("r1", x=None)
    await pair.sweep()
    assert pair.left.values("l1")["x"] is None
    pair.left.edit("l1", name=None)
    await pair.sweep()
    assert pair.right.values("r1")["name"] == "Ada"
    assert pair.tally.states() == {LinkState.BLOCKED: 1}
    pair.left.edit("l1", name="Ada L.")
    await pair.sweep()
    assert pair.right.values("r1")["name"] == "Ada L."
    assert pair.tally.states() == {LinkState.IN_SYNC: 1}


async def test_fields_that_nobody_mapped_stay_untouched_on_both_sides():
    pair = await linked()
    pair.left.edit("l1", other="kept here")
    pair.right.edit("r1", remark="kept there")
    pair.left.edit("l1", x="2")
    pair.right.edit("r1", y="2")
    await pair.sweep()
    assert pair.left.values("l1")["other"] == "kept here"
    assert pair.right.values("r1")["remark"] == "kept there"
    assert "remark" not in pair.left.values("l1")


async def test_the_same_person_on_both_sides_is_linked_and_blanks_are_filled():
    pair = Pair()
    pair.left.add(name="Ada", born="2000-01-01", x="1", y=None)
    pair.right.add(name="ada ", born="2000-01-01", x=None, y="2")
    await pair.sweep(everything=True)
    assert pair.tally.adopted == 1
    assert (pair.left.values("l1")["y"], pair.right.values("r1")["x"]) == ("2", "1")
    assert len(pair.left.records) == len(pair.right.records) == 1


@pytest.mark.parametrize(
    ("mine", "theirs", "reason"),
    [
        ([("Ada", None)], [("Ada", None)], "match_weak"),
        ([("Ada", "2000-01-01")], [("Ada", "2000-01-01"), ("Ada", "2000-01-01")], "match_several"),
    ],
)
async def test_whoever_might_be_somebody_else_is_left_to_a_person(mine, theirs, reason):
    pair = Pair()
    for name, born in mine:
        pair.left.add(name=name, born=born)
    for name, born in theirs:
        pair.right.add(name=name, born=born)
    await pair.sweep(everything=True)
    assert not [call for call in pair.right.calls if call.verb == "create"]
    assert not [call for call in pair.left.calls if call.verb == "create"]
    assert reason in {outcome.reason for outcome in pair.tally.outcomes.values()}
    before = pair.writes()
    await pair.sweep(everything=True)
    assert pair.writes() == before, "what waits for a person is not written again and again"


async def test_a_poll_sees_the_counterpart_that_a_person_names_and_looks_no_more_at_one_that_can_not_be():
    pair = Pair()
    for name, born in (("Ada", "2000-01-01"), ("Bea", "2000-02-02"), ("Cleo", None)):
        pair.left.add(name=name, born=None)
        pair.right.add(name=name, born=born)
    await pair.sweep()
    assert {outcome.reason for outcome in pair.tally.outcomes.values()} == {"match_weak"}
    pair.left.records["l1"].notes = Notes(counterpart="r1")  # no field moved, and no version with it
    pair.left.records["l2"].notes = Notes(counterpart="r9")
    await pair.sweep()
    assert (pair.tally.adopted, pair.left.values("l1")["born"]) == (1, "2000-01-01")
    reasons = {link.id: link.reviews[0].reason for link in await pair.store.waiting() if link.left_id}
    assert reasons == {"left:l2": "counterpart_missing", "left:l3": "match_weak"}
    calls = len(pair.left.calls) + len(pair.right.calls)
    await pair.sweep()
    assert len(pair.left.calls) + len(pair.right.calls) == calls + 2, (
        "two lists: what can not be is not looked at again"
    )
    pair.left.records["l2"].notes = Notes(counterpart="r2")
    await pair.sweep()
    assert (pair.tally.adopted, pair.left.values("l2")["born"]) == (1, "2000-02-02")


async def test_two_people_of_one_name_and_different_birthdays_are_two_people():
    pair = Pair()
    pair.left.add(name="Ada", born="2000-01-01")
    pair.right.add(name="Ada", born="1990-01-01")
    await pair.sweep(everything=True)
    assert len(pair.left.records) == len(pair.right.records) == 2


async def test_a_lost_reply_of_a_create_leaves_one_record():
    pair = Pair()
    pair.left.add(name="Ada", x="1", born=None)

    def lose(call: Call) -> None:
        if call.verb == "create":
            raise Unconfirmed("the reply was lost")

    pair.right.after = lose
    await pair.sweep(everything=True)
    pair.right.after = lambda call: None
    await pair.sweep(everything=True)
    assert len(pair.right.records) == 1
    assert pair.tally.states() == {LinkState.IN_SYNC: 1}


async def test_a_create_that_was_lost_on_the_way_is_sent_again_after_the_wait_with_the_same_payload():
    pair = Pair()
    pair.left.add(name="Ada", x="1", born=None)
    lost = []

    def lose(call: Call) -> None:
        if call.verb == "create" and not lost:
            lost.append(call)
            raise Unconfirmed("the request was lost")

    pair.right.before = lose
    began = pair.clock.now()
    await pair.sweep(everything=True)
    assert len(pair.right.records) == 1
    assert pair.clock.now() - began >= 60 + 30 + 5
    assert [call.fields for call in pair.right.calls if call.verb == "create"] == [("name", "x")] * 2


async def test_an_edit_made_while_a_create_was_unknown_reaches_the_other_side():
    pair = Pair()
    pair.left.add(name="Ada", x="1", born="2000-01-01")

    def lose(call: Call) -> None:
        if call.verb == "create":
            pair.right.edit("r1", x="edited there")
            pair.left.edit("l1", y="edited here")
            raise Unconfirmed("the reply was lost")

    pair.right.after = lose
    await pair.sweep(everything=True)
    assert pair.left.values("l1")["x"] == pair.right.values("r1")["x"] == "edited there"
    assert pair.right.values("r1")["y"] == "edited here"


async def test_a_record_that_moves_between_read_and_write_is_looked_at_again():
    pair = await linked()
    pair.left.edit("l1", x="mine")

    def between(call: Call) -> None:
        if call.verb == "update" and pair.left.values("l1")["x"] == "mine" and call.id == "l1":
            pair.left.edit("l1", y="in between")

    pair.left.before = between
    await pair.sweep()
    assert pair.right.values("r1")["y"] == pair.left.values("l1")["y"] == "in between"


async def test_a_field_that_no_policy_knows_may_move_while_we_write():
    parts = (await Pair().engine()).parts
    assert moved(parts, {"name": "Ada", "extra": "1"}, {"name": " ADA", "extra": "2"}, ignore=())
    assert not moved(parts, {"name": "Ada", "extra": "1"}, {"name": " ADA", "extra": "1"}, ignore=())


async def test_a_refused_field_blocks_its_group_and_the_others_go_on():
    pair = await linked()

    def refuse(call: Call) -> None:
        if call.verb == "update" and "x" in call.fields:
            raise Rejected("no", field="x")

    pair.right.before = refuse
    pair.left.edit("l1", x="bad", y="good")
    await pair.sweep()
    assert pair.right.values("r1")["y"] == "good"
    assert pair.tally.states() == {LinkState.BLOCKED: 1}
    pair.right.before = lambda call: None
    pair.left.edit("l1", x="better")
    await pair.sweep()
    assert pair.right.values("r1")["x"] == "better"
    assert pair.tally.states() == {LinkState.IN_SYNC: 1}


async def test_a_poison_record_is_given_up_after_its_attempts_and_the_rest_goes_on():
    pair = Pair()
    for number in range(20):
        pair.left.add(name=f"P{number}", born=None)

    def poison(call: Call) -> None:
        if call.verb == "create" and len([c for c in pair.right.calls if c.verb == "create"]) == 3:
            raise Rejected("poison")
        if call.verb == "get" and call.id == "r5":
            raise Unavailable("this record always fails")

    pair.right.before = poison
    await pair.sweep(everything=True, rounds=10)
    states = pair.tally.states()
    assert states[LinkState.BLOCKED] == 1
    assert states[LinkState.DEAD] == 1
    assert states[LinkState.IN_SYNC] == 18


async def test_a_deleted_record_waits_for_a_person_and_comes_back_when_it_reappears():
    pair = await linked()
    kept = pair.right.records["r1"]
    pair.right.remove("r1")
    await pair.sweep(everything=True)
    assert pair.tally.states() == {LinkState.GONE: 1}
    assert pair.left.records["l1"].notes.state is LinkState.GONE
    pair.right.records["r1"] = kept
    await pair.sweep(everything=True)
    assert pair.tally.states() == {LinkState.IN_SYNC: 1}


async def test_a_deletion_travels_where_the_policy_says_so_but_never_over_an_edit():
    pair = Pair()
    pair.policy = attrs.evolve(pair.policy, on_delete=OnDelete.PROPAGATE)
    pair.left.capabilities = FULL
    pair.left.add(name="Ada", born=None)
    pair.left.add(name="Bob", born=None)
    pair.left.add(name="Cleo", born=None)
    await pair.sweep(everything=True)
    pair.right.remove("r1"), pair.right.remove("r2")
    pair.left.edit("l2", x="edited")
    await pair.sweep(everything=True)
    assert set(pair.left.records) == {"l1", "l2", "l3"}, "one pass that misses it proves nothing yet"
    await pair.sweep(everything=True)
    assert set(pair.left.records) == {"l2", "l3"}
    assert pair.tally.states()[LinkState.GONE] == 1


async def calls_of_a_busy_day() -> int:
    pair = Pair()
    return await a_busy_day(pair)


async def a_busy_day(pair: Pair) -> int:
    """First contact, edits on both sides; how many calls it took."""
    pair.left.add(name="Ada", x="1", born="2000-01-01")
    pair.right.add(name="Bob", x="1", born="2000-01-01")
    pair.left.add(name="Eve", x="1", born="2000-01-01")
    pair.right.add(name="Eve", x="1", y="2", born="2000-01-01")
    await pair.sweep(everything=True)
    pair.left.edit("l1", x="edit 1")
    pair.right.edit("r1", y="edit 2")
    pair.left.edit("l2", x="edit 3")
    pair.right.edit("r2", y="edit 4")
    await pair.sweep()
    return len(pair.left.calls) + len(pair.right.calls)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_kill_at_any_call_loses_no_edit_and_makes_no_duplicate(moment):
    for kill_at in range(await calls_of_a_busy_day()):
        pair = Pair()
        calls = 0

        def kill(call: Call, kill_at: int = kill_at) -> None:
            nonlocal calls
            calls += 1
            if calls == kill_at + 1:
                raise Killed

        for replica in (pair.left, pair.right):
            setattr(replica, moment, kill)
        try:
            await a_busy_day(pair)
        except BaseExceptionGroup as group:
            assert group.subgroup(Killed) is not None
        except Killed:
            pass
        for replica in (pair.left, pair.right):
            setattr(replica, moment, lambda call: None)
        edited_before_the_end = {"edit 1", "edit 2", "edit 3", "edit 4"} & {
            value
            for replica in (pair.left, pair.right)
            for record in replica.records.values()
            for value in record.fields.values()
        }
        for _ in range(3):
            await pair.sweep(everything=True)
        rights = {record.fields["name"]: record.fields for record in pair.right.records.values()}
        lefts = {record.fields["name"]: record.fields for record in pair.left.records.values()}
        assert len(pair.left.records) == len(pair.right.records) == 3, f"killed at call {kill_at}"
        for name, fields in lefts.items():
            assert {k: v for k, v in fields.items() if v is not None} == {
                k: v for k, v in rights[name].items() if v is not None
            }, f"killed at call {kill_at}"
        for edit in edited_before_the_end:
            assert any(edit in fields.values() for fields in lefts.values()), f"{edit} lost at call {kill_at}"
        before = pair.writes()
        await pair.sweep(everything=True)
        assert pair.writes() == before, f"not quiet after a kill at call {kill_at}"


async def test_a_row_from_before_the_last_write_takes_nothing_back():
    pair = await linked()
    engine = await pair.engine()
    old = {left("l1"): await pair.left.get("l1")}
    pair.clock.advance(5)
    pair.right.edit("r1", x="new")
    await engine.sync(right("r1"))
    assert pair.left.values("l1")["x"] == "new"
    await engine.sync(left("l1"), {ref: attrs.evolve(row, row=True) for ref, row in old.items()})
    assert pair.left.values("l1")["x"] == pair.right.values("r1")["x"] == "new"


async def test_what_cannot_be_read_blocks_its_group_until_it_can():
    pair = await linked()

    @attrs.define
    class Unreadable(MemoryReplica):
        def _snapshot(self, id: str, *, row: bool) -> Snapshot:
            seen = MemoryReplica._snapshot(self, id, row=row)
            if seen.fields.get("y") != "garbage":
                return seen
            return attrs.evolve(seen, fields={**seen.fields, "y": ABSENT}, unreadable=frozenset({"y"}))

    pair.left = Unreadable(**{f.alias: getattr(pair.left, f.name) for f in attrs.fields(MemoryReplica)})
    pair.left.edit("l1", y="garbage", x="2")
    await pair.sweep()
    assert pair.tally.states() == {LinkState.BLOCKED: 1}
    assert {outcome.reason for outcome in pair.tally.outcomes.values()} == {"unmappable"}
    assert (pair.right.values("r1")["x"], pair.right.values("r1")["y"]) == ("2", "1")
    pair.left.edit("l1", y="5")
    await pair.sweep()
    assert pair.right.values("r1")["y"] == "5"
    assert pair.tally.states() == {LinkState.IN_SYNC: 1}


async def test_a_pass_of_one_side_leaves_the_changes_of_the_other_for_later():
    pair = await linked()
    pair.left.edit("l1", x="2")
    await pair.sweep(side=Side.RIGHT)
    assert pair.right.values("r1")["x"] == "1"
    await pair.sweep()
    assert pair.right.values("r1")["x"] == "2"


async def test_a_failed_record_waits_for_its_time_and_a_change_brings_it_back_at_once():
    pair = await linked()

    def refuse(call: Call) -> None:
        if call.verb == "update":
            raise Unavailable("this record alone")

    pair.right.before = refuse
    pair.left.edit("l1", x="2")
    await pair.sweep(rounds=1)
    assert pair.tally.states() == {LinkState.RETRY: 1}
    assert await pair.store.unsettled()
    pair.right.before = lambda call: None
    await pair.sweep(rounds=3)
    pair.clock.advance(3600)
    await pair.sweep()
    assert pair.right.values("r1")["x"] == "2"


async def test_a_field_that_a_new_record_could_not_take_is_told_once_and_then_quiet():
    policy = Policy(
        [
            Field("name", "g", required=True, key=fold),
            Field("x", "g", read_only=frozenset({Side.RIGHT})),
            Field("born", "g"),
        ],
        [Group("g", strategy=prefer_left)],
    )
    pair = Pair(policy=policy)
    pair.left.add(name="Ada", x="only here", y=None, born="b")
    await pair.sweep(everything=True)
    assert pair.tally.states() == {LinkState.REVIEW: 1}
    assert "x" not in pair.right.values("r1")
    before = pair.writes()
    await pair.sweep(everything=True)
    assert pair.writes() == before
    pair.right.edit("r1", x="there too")
    await pair.sweep()
    assert pair.left.values("l1")["x"] == "there too"
    assert pair.tally.states() == {LinkState.IN_SYNC: 1}


async def test_drift_that_is_reported_waits_for_a_person():
    policy = Policy(
        [Field("name", "g", required=True, key=fold), Field("x", "h"), Field("born", "g")],
        [Group("g"), Group("h", owner=Owner(Side.LEFT, Drift.REPORT))],
    )
    pair = Pair(policy=policy)
    pair.left.add(name="Ada", x="1", y=None, born="b")
    await pair.sweep(everything=True)
    pair.right.edit("r1", x="2")
    await pair.sweep()
    assert pair.tally.states() == {LinkState.REVIEW: 1}
    assert (pair.left.values("l1")["x"], pair.right.values("r1")["x"]) == ("1", "2")


@pytest.mark.parametrize("strategy", [prefer_left, Merge()])
async def test_a_default_that_the_new_record_got_comes_back_once(strategy):
    from bidisync.mapping import FieldMap, FieldMapper, Mapped

    pair = Pair(policy=Policy([Field(n, "g") for n in ("name", "x", "born")], [Group("g", strategy=strategy)]))
    names = (FieldMap("name", "name"), FieldMap("x", "x", default="D"), FieldMap("born", "born"))
    engine = await pair.engine()
    parts = attrs.evolve(
        engine.parts, identity=Identity(), right=Mapped(pair.right, FieldMapper(names)), detector=by_content(pair)
    )
    engine = await Engine.open(parts)
    pair.left.add(name="Ada", x=None)
    sweep = Sweep(engine)
    await sweep.run(everything=True)
    await sweep.run(everything=True)
    assert pair.left.values("l1")["x"] == pair.right.values("r1")["x"] == "D"
    before = pair.writes()
    await sweep.run(everything=True)
    assert pair.writes() == before


def by_content(pair: Pair) -> ByContent:
    return ByContent.of(pair.policy)


async def test_an_intent_that_has_grown_too_old_is_not_sent_even_under_a_lease_that_was_renewed():
    pair = await linked()
    engine = await pair.engine()
    parts = attrs.evolve(engine.parts, locks=NoLocks(lease_s=60, clock=pair.clock))
    lease = FreeLease(60, pair.clock)
    link = (await pair.store.load([left("l1")]))[left("l1")]
    link = await pair.store.save(attrs.evolve(link, intent=intent_for(parts, Verb.UPDATE, Side.RIGHT, {"x": "2"})))
    await may_write(parts, link, lease)
    pair.clock.advance(61)
    with pytest.raises(Contended, match="too old"):
        await may_write(parts, link, lease)


async def test_the_notes_of_an_interrupted_write_wait_until_its_writer_is_certainly_gone():
    pair = await linked()
    pair.left.edit("l1", x="2")

    def killed_at_the_notes(call: Call) -> None:
        if call.verb == "update":
            raise Killed

    pair.left.before = killed_at_the_notes
    with pytest.raises(Killed):
        await (await pair.engine()).sync(left("l1"))
    pair.left.before = lambda call: None
    pair.left.calls.clear()
    outcome = await (await pair.engine()).sync(left("l1"))
    assert (outcome.state, outcome.reason) == (LinkState.RETRY, "underway")
    assert outcome.retry_at is not None
    pair.clock.advance(outcome.retry_at - pair.clock.now() + 1)
    outcome = await (await pair.engine()).sync(left("l1"))
    assert outcome.state is LinkState.IN_SYNC
    assert verbs(pair.left).count("update") == 1
    assert verbs(pair.right).count("update") == 1, "the data was written once"


async def test_after_a_lost_reply_the_writer_itself_goes_on_at_once():
    pair = await linked()
    pair.left.edit("l1", x="2")

    def reply_lost(call: Call) -> None:
        if call.verb == "update":
            raise Unconfirmed("no reply")

    pair.right.after = reply_lost
    engine = await pair.engine()
    assert (await engine.sync(left("l1"))).state is LinkState.RETRY
    pair.right.after = lambda call: None
    assert (await engine.sync(left("l1"))).state is LinkState.IN_SYNC
    assert verbs(pair.right).count("update") == 1


async def test_two_workers_without_leases_write_the_notes_of_a_record_once():
    pair = await linked()
    pair.left.edit("l1", x="2")
    two = [await Engine.open(attrs.evolve((await pair.engine()).parts, locks=NoLocks(clock=pair.clock))) for _ in "ab"]
    await asyncio.gather(*(engine.sync(left("l1")) for engine in two))
    pair.clock.advance(200)
    for engine in two:
        assert (await engine.sync(left("l1"))).state is LinkState.IN_SYNC
    assert (verbs(pair.right).count("update"), verbs(pair.left).count("update")) == (1, 1)


async def test_an_edit_that_is_seen_when_an_old_look_is_renewed_is_decided_on_and_not_overwritten():
    """Where the remote refuses nothing, a look that is too old to write on is renewed, and its edit counts."""
    pair = await linked()
    pair.more["limits"] = Limits(concurrency=1, freshness_s=-1.0)  # every look is too old
    looks = 0

    def meanwhile(call: Call) -> None:
        nonlocal looks
        looks += call.verb == "get"
        if call.verb == "get" and looks == 2:
            pair.right.edit("r1", y="theirs")

    pair.left.edit("l1", y="ours")
    pair.right.before = meanwhile
    engine = await pair.engine()
    await engine.sync(Ref(Side.LEFT, "l1"))
    await engine.sync(Ref(Side.LEFT, "l1"))
    assert looks >= 2
    assert (pair.left.values("l1")["y"], pair.right.values("r1")["y"]) == ("ours", "theirs")
    link = (await pair.store.load([Ref(Side.LEFT, "l1")]))[Ref(Side.LEFT, "l1")]
    assert link.state is LinkState.CONFLICT


async def test_a_pass_does_not_wait_for_a_write_that_has_ended_by_the_time_it_holds_the_link():
    pair = await linked()
    engine = await pair.engine()
    pair.left.edit("l1", x="2")
    sent, answered = asyncio.Event(), asyncio.Event()

    @attrs.frozen
    class Slow:
        replica: MemoryReplica

        def __getattr__(self, name: str) -> object:
            return getattr(self.replica, name)

        async def update(self, *args: object, **named: object) -> object:
            sent.set()
            await answered.wait()
            return await self.replica.update(*args, **named)

    slow = attrs.evolve(engine, parts=attrs.evolve(engine.parts, right=Slow(pair.right)))
    named = asyncio.create_task(slow.sync(left("l1")))
    await sent.wait()
    pair.left.edit("l1", x="3")
    many = asyncio.create_task(slow.sync_many([left("l1")]))
    for _ in range(20):  # it has read the link, and waits for whoever holds it
        await asyncio.sleep(0)
    answered.set()
    assert (await named).state is LinkState.IN_SYNC
    (outcome,) = await many
    assert (outcome.state, outcome.retry_at) == (LinkState.IN_SYNC, None)
    assert pair.right.values("r1")["x"] == "3"


@attrs.define
class Poor(MemoryReplica):
    """A remote whose list rows lack fields and tell no version, and may leave some records out."""

    hidden: set[str] = attrs.Factory(set)

    async def list(self, since=None):
        async for page in MemoryReplica.list(self, since):
            rows = [attrs.evolve(row, version=None) for row in page.snapshots if row.id not in self.hidden]
            yield attrs.evolve(page, snapshots=tuple(rows))


async def beside_poor_rows() -> Pair:
    poor = attrs.evolve(ERP, row_is_complete=False)
    pair = Pair(right=Poor("r", capabilities=poor, names=NAMES))
    for number in range(3):
        pair.left.add(name=f"Ada {number}", x="1", y="1", born="2000-01-01")
    await pair.sweep(everything=True)
    assert pair.tally.states() == {LinkState.IN_SYNC: 3}
    return pair


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("hidden", [set(), {"r2"}])
@pytest.mark.parametrize("keep_rows", [20_000, 0])
async def test_an_edit_is_found_by_a_pass_also_where_the_other_sides_list_proves_nothing(everything, hidden, keep_rows):
    pair = await beside_poor_rows()
    pair.right.hidden = hidden
    pair.left.edit("l2", x="2")
    await Sweep(await pair.engine(), keep_rows=keep_rows).run(everything=everything)
    assert [pair.right.values(id)["x"] for id in ("r1", "r2", "r3")] == ["1", "2", "1"]
