"""The laws of the decision, on generated schemas, policies and histories.

I1, I2 … are the invariants of the specification. A night runs 100,000 cases of each.
"""

from __future__ import annotations

import os
import subprocess
import sys

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bidisync import (
    Drift,
    Field,
    Group,
    Owner,
    Plan,
    Policy,
    Row,
    Side,
    Snapshot,
    explain,
    prefer_left,
    reconcile,
)
from bidisync.model import ABSENT, Conflict, Resolution, Review, ReviewKind, Seen, Value
from bidisync.state import Agreement
from bidisync.testing.cases import Moment, folded, moments, policies, situations, strategies, values

QUIET = ("clear_not_allowed",)


def never(conflict: Conflict) -> Resolution:
    """A strategy that must not be asked."""
    raise AssertionError(f"the strategy was asked about {sorted(conflict.fields)}")


def decide(policy: Policy, moment: Moment, reviews: tuple[Review, ...] = ()) -> Plan:
    left, right = Snapshot("l", moment.left, version="1"), Snapshot("r", moment.right, version="2")
    return reconcile(policy, moment.base, left, right, reviews)


def carried_out(plan: Plan, moment: Moment, writes: int = 2) -> Moment:
    """Both sides and the base after an undisturbed apply, or after a crash behind so many writes."""
    sides = {Side.LEFT: dict(moment.left), Side.RIGHT: dict(moment.right)}
    for write in plan.writes[:writes]:
        sides[write.side].update(write.fields)
    left, right = sides[Side.LEFT], sides[Side.RIGHT]
    moved = set(plan.agreed)
    if writes >= len(plan.writes):
        moved |= {name for write in plan.writes for name in write.fields}
    return Moment({**moment.base, **{n: Agreement(left[n], right[n]) for n in moved}}, left, right)


def same(policy: Policy, name: str, one: Seen, other: Seen) -> bool:
    if one == other or ABSENT in (one, other) or None in (one, other):
        return one == other
    key = policy.field(name).key
    return key(one) == key(other)  # type: ignore[arg-type]


@given(situations())
def test_i1_every_overwritten_value_is_kept_by_the_plan(situation):
    policy, moment = situation
    plan = decide(policy, moment)
    journaled = {(name, side): value for name, side, value in plan.overwritten}
    carried = {(d.field, side) for d in plan.decisions for side in d.writes}
    for write in plan.writes:
        before = moment.left if write.side is Side.LEFT else moment.right
        for name in write.fields:
            assert (name, write.side) in carried, "no write without a decision"
            assert journaled.get((name, write.side)) == before[name]


@given(situations())
def test_i2_both_sides_agree_afterwards_or_the_difference_is_named(situation):
    policy, moment = situation
    plan = decide(policy, moment)
    after = carried_out(plan, moment)
    frozen = {review.group for review in plan.reviews if review.freezes}
    told = {name for review in plan.reviews for name in review.fields}
    accepted = {d.field for d in plan.decisions if d.reason in QUIET or d.row is Row.DRIFT}
    for field in policy.fields:
        left, right, agreed = after.left[field.name], after.right[field.name], after.base.get(field.name)
        if ABSENT in (left, right) or same(policy, field.name, left, right):
            continue
        rests = agreed is not None and same(policy, field.name, agreed.left, left)  # row 1: accepted before
        assert field.group in frozen or field.name in told | accepted or rests


@given(situations())
def test_i3_i5_a_plan_carried_out_leaves_an_empty_plan(situation):
    policy, moment = situation
    plan = decide(policy, moment)
    again = decide(policy, carried_out(plan, moment), plan.reviews)
    assert again.writes == ()
    assert again.agreed == ()
    assert again.reviews == plan.reviews


@given(st.data())
def test_i3_one_edit_causes_at_most_one_write(data):
    policy = data.draw(policies())
    settled = data.draw(moments(policy, absent=False))
    base = {n: Agreement(settled.left[n], settled.right[n]) for n in settled.left}
    name = data.draw(st.sampled_from(sorted(settled.left)))
    edited = Moment(base, {**settled.left, name: data.draw(values())}, settled.right)
    plan = decide(policy, edited)
    assert len(plan.writes) <= 1
    assert all(set(write.fields) == {name} for write in plan.writes)


@given(st.data())
def test_a_crash_between_two_writes_is_healed_by_deciding_again(data):
    """With the base unmoved, the second decision ends where the first one would have."""
    taken = {"owner": None, "create_only": frozenset(), "read_only": frozenset()}
    policy = data.draw(policies(groups={"owner": None, "allow_clear": True, "unit": False}, fields=taken))
    moment = data.draw(moments(policy, absent=False))
    plan = decide(policy, moment)
    assume(len(plan.writes) == 2)
    half = carried_out(plan, moment, writes=1)
    half = Moment(moment.base, half.left, half.right)
    healed = carried_out(decide(policy, half), half)
    whole = carried_out(plan, moment)
    for field in policy.fields:
        assert same(policy, field.name, healed.left[field.name], whole.left[field.name])
        assert same(policy, field.name, healed.right[field.name], whole.right[field.name])


@given(situations())
def test_i8_the_base_moves_only_to_values_that_agree_or_to_a_declared_difference(situation):
    policy, moment = situation
    plan = decide(policy, moment)
    after = carried_out(plan, moment)
    declared = {d.field for d in plan.decisions if d.row in (Row.READ_ONLY, Row.DRIFT) or d.reason in QUIET}
    for name, agreed in after.base.items():
        if agreed != moment.base.get(name):
            assert same(policy, name, agreed.left, agreed.right) or name in declared
            assert (agreed.left, agreed.right) == (after.left[name], after.right[name]), (
                "both were seen or acknowledged"
            )


@given(situations())
def test_i10_the_same_input_gives_the_same_plan_byte_for_byte(situation):
    assert repr(attrs.asdict(decide(*situation))) == repr(attrs.asdict(decide(*situation)))


def test_i10_a_plan_is_the_same_in_another_process_with_another_hash_seed():
    code = (
        "from bidisync import *\nfrom bidisync.state import Agreement\nimport attrs\n"
        "names = [f'field{n}' for n in range(40)]\n"
        "policy = Policy([Field(n, 'g') for n in names], [Group('g', strategy=Merge(prefer_left))])\n"
        "base = {n: Agreement(('a', 'b'), ('a', 'b')) for n in names}\n"
        "left, right = (Snapshot('i', {n: (x, 'a', n) for n in names}) for x in 'xy')\n"
        "print(repr(attrs.asdict(reconcile(policy, base, left, right))))"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
        )
        for seed in ("1", "2")
    ]
    assert made[0].returncode == 0, made[0].stderr
    assert made[0].stdout == made[1].stdout


@given(situations())
def test_i11_only_fields_that_differ_are_written_and_never_one_that_the_target_ignores(situation):
    policy, moment = situation
    for write in decide(policy, moment).writes:
        target = moment.left if write.side is Side.LEFT else moment.right
        for name, value in write.fields.items():
            assert not same(policy, name, target[name], value)
            assert not policy.field(name).ignored_by(write.side)
            assert target[name] is not ABSENT
            assert isinstance(value, tuple) or value in (moment.left[name], moment.right[name])


@given(st.data())
def test_a_field_changed_on_one_side_only_keeps_that_change_and_no_strategy_is_asked(data):
    policy = data.draw(
        policies(
            groups={"strategy": never, "initial": never, "unit": False, "allow_clear": True, "owner": None},
            fields={"strategy": None, "owner": None, "required": False},
        )
    )
    common = {field.name: data.draw(values()) for field in policy.fields}
    left, right, owner = dict(common), dict(common), {}
    for name in common:
        side = data.draw(st.sampled_from([None, Side.LEFT, Side.RIGHT]))
        value = data.draw(values())
        if side is not None and not same(policy, name, common[name], value):
            (left if side is Side.LEFT else right)[name] = value
            owner[name] = (side, value)
    moment = Moment({n: Agreement(v, v) for n, v in common.items()}, left, right)
    after = carried_out(decide(policy, moment), moment)
    for name, (side, value) in owner.items():
        mine, other = (after.left, after.right) if side is Side.LEFT else (after.right, after.left)
        assert mine[name] == value
        if not policy.field(name).ignored_by(side.other):
            assert other[name] == value, "the change, an emptied value included, reached the other side"


@given(situations())
def test_what_a_person_must_settle_freezes_its_whole_group_and_no_other(situation):
    plan = decide(*situation)
    frozen = {review.group for review in plan.reviews if review.freezes}
    for decision in plan.decisions:
        if decision.group in frozen:
            assert decision.writes == ()
            assert not decision.agreed or decision.row not in (Row.FROZEN, Row.BLOCKED)
        else:
            assert decision.row not in (Row.FROZEN, Row.BLOCKED)


@given(st.data())
def test_i9_a_group_is_decided_the_same_whatever_the_other_groups_hold(data):
    policy = data.draw(policies())
    one, other = data.draw(moments(policy)), data.draw(moments(policy))
    group = policy.groups[0].name
    mine = [field.name for field in policy.fields if field.group == group]

    def mixed(a: dict[str, object], b: dict[str, object]) -> dict[str, object]:
        return {**b, **{n: a[n] for n in mine if n in a}}

    base = {n: a for n, a in other.base.items() if n not in mine}
    base |= {n: a for n, a in one.base.items() if n in mine}
    both = Moment(base, mixed(one.left, other.left), mixed(one.right, other.right))  # type: ignore[arg-type]
    alone = [d for d in decide(policy, one).decisions if d.group == group]
    assert [d for d in decide(policy, both).decisions if d.group == group] == alone


@given(st.data())
def test_a_difference_in_spelling_alone_is_never_written(data):
    policy = data.draw(policies(fields={"key": folded}))
    moment = data.draw(moments(policy, absent=False))
    respelled = {n: v.swapcase() if isinstance(v, str) else v for n, v in moment.left.items()}
    assert decide(policy, Moment(moment.base, moment.left, respelled)).writes == ()


@given(situations())
def test_explain_names_every_field_and_says_the_same_as_the_plan(situation):
    policy, moment = situation
    plan = decide(policy, moment)
    left, right = Snapshot("l", moment.left, version="1"), Snapshot("r", moment.right, version="2")
    told = {d.field: d for d in explain(policy, moment.base, left, right)}
    assert set(told) == {field.name for field in policy.fields}
    assert [told[d.field] for d in plan.decisions] == list(plan.decisions)
    silent = set(told) - {d.field for d in plan.decisions}
    assert all(told[name].row is Row.UNCHANGED for name in silent)


@given(st.data())
def test_a_history_of_edits_and_crashes_loses_no_value_without_trace(data):
    """Every value a person enters is at the end on a side, in the journal, or was replaced by a person there."""
    policy = data.draw(policies())
    now = data.draw(moments(policy, absent=False))
    now = Moment({}, now.left, now.right)
    reviews: tuple[Review, ...] = ()
    journal: set[tuple[str, object]] = set()
    entered = {(n, s): v for s, fields in ((Side.LEFT, now.left), (Side.RIGHT, now.right)) for n, v in fields.items()}
    for _ in range(data.draw(st.integers(1, 5))):
        for side, fields in ((Side.LEFT, now.left), (Side.RIGHT, now.right)):
            for name in data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=2)):
                fields[name] = entered[name, side] = data.draw(values())
        plan = decide(policy, now, reviews)
        journal |= {(name, value) for name, _, value in plan.overwritten}
        writes = data.draw(st.sampled_from([2, 2, 0, 1]))
        after = carried_out(plan, now, writes)
        crashed = writes < len(plan.writes)
        now = Moment(dict(now.base if crashed else after.base), dict(after.left), dict(after.right))
        reviews = reviews if crashed else plan.reviews
        for (name, side), value in entered.items():
            if value is None:
                continue
            here, there = (now.left, now.right) if side is Side.LEFT else (now.right, now.left)
            kept = any(same(policy, name, value, v) for v in (here[name], there[name]))
            assert kept or any(n == name and same(policy, name, value, v) for n, v in journal), (name, side, value)  # type: ignore[arg-type]
            arrived = all(same(policy, name, value, v) for v in (here[name], there[name]))
            if arrived or not same(policy, name, value, here[name]):
                entered[name, side] = None  # it arrived, or left a trace; what follows is another value's story


OWNED = [Field("f", "g")]


@pytest.mark.parametrize(
    ("drift", "both"), [(Drift.REVERT, "b"), (Drift.ADOPT, "x"), (Drift.REPORT, None), (Drift.IGNORE, None)]
)
def test_row_8_a_change_by_the_side_that_does_not_own_the_field(drift, both):
    policy = Policy(OWNED, [Group("g", owner=Owner(Side.LEFT, drift))])
    moment = Moment({"f": Agreement("b", "b")}, {"f": "b"}, {"f": "x"})
    plan = decide(policy, moment)
    after = carried_out(plan, moment)
    assert (after.left["f"], after.right["f"]) == ((both, both) if both else ("b", "x"))
    assert [d.row for d in plan.decisions] == [Row.DRIFT]
    assert [review.kind for review in plan.reviews] == ([ReviewKind.DRIFT] if drift is Drift.REPORT else [])
    lost = {Drift.REVERT: [("f", Side.RIGHT, "x")], Drift.ADOPT: [("f", Side.LEFT, "b")]}
    assert list(plan.overwritten) == lost.get(drift, [])
    assert decide(policy, after, plan.reviews).writes == (), "quiet until either side changes again"


@pytest.mark.parametrize("drift", list(Drift))
def test_row_8_the_owners_own_change_wins_whatever_the_drift_policy(drift):
    policy = Policy(OWNED, [Group("g", strategy=never, owner=Owner(Side.RIGHT, drift))])
    moment = Moment({"f": Agreement("b", "b")}, {"f": "x"}, {"f": "y"})
    plan = decide(policy, moment)
    after = carried_out(plan, moment)
    assert (after.left["f"], after.right["f"]) == ("y", "y")
    assert plan.overwritten == (("f", Side.LEFT, "x"),)


def test_a_value_that_may_not_be_cleared_never_loses_to_an_empty_one():
    policy = Policy(OWNED, [Group("g", strategy=prefer_left, allow_clear=False)])
    moment = Moment({"f": Agreement("b", "b")}, {"f": None}, {"f": "y"})
    after = carried_out(decide(policy, moment), moment)
    assert (after.left["f"], after.right["f"]) == ("y", "y")


def test_fields_that_move_together_conflict_as_a_whole_and_one_side_wins_all_of_them():
    policy = Policy(
        [Field("street", "g"), Field("city", "g"), Field("note", "g")], [Group("g", strategy=prefer_left, unit=True)]
    )
    base: dict[str, Value] = {"street": "s", "city": "c", "note": "n"}
    moment = Moment(
        {n: Agreement(v, v) for n, v in base.items()}, {**base, "street": "left"}, {**base, "city": "right"}
    )
    after = carried_out(decide(policy, moment), moment)
    assert after.left == after.right == {"street": "left", "city": "c", "note": "n"}


@given(strategies())
def test_edits_of_different_fields_of_one_group_both_survive_under_every_strategy(strategy):
    policy = Policy([Field("a", "g"), Field("b", "g")], [Group("g", strategy=strategy)])
    moment = Moment(
        {"a": Agreement("1", "1"), "b": Agreement("1", "1")}, {"a": "left", "b": "1"}, {"a": "1", "b": "right"}
    )
    after = carried_out(decide(policy, moment), moment)
    assert after.left == after.right == {"a": "left", "b": "right"}
