"""The laws of the decision, on generated records, histories and policies."""

from __future__ import annotations

import attrs
from hypothesis import assume, given
from hypothesis import strategies as st

from bidisync import (
    Contested,
    Field,
    FillBlanks,
    Group,
    Longest,
    Merge,
    Newest,
    Plan,
    Policy,
    Row,
    Side,
    Snapshot,
    Union,
    ask,
    prefer_left,
    prefer_right,
    reconcile,
)
from bidisync.model import ABSENT, Conflict, Resolution, Seen, Value
from bidisync.state import Agreement


def never(conflict: Conflict) -> Resolution:
    """A strategy that must not be asked."""
    raise AssertionError(f"the strategy was asked about {sorted(conflict.fields)}")


def fold(value: Value) -> Value:
    return value.casefold() if isinstance(value, str) else value


NAMES = ("a", "b", "c", "d", "e")
values = st.sampled_from([None, "x", "X", "y", "z", ("p",), ("p", "q"), ("q", "r")])
strategies = st.sampled_from(
    [ask, prefer_left, prefer_right, Newest(), Merge(), Merge(prefer_left), Union(), Longest(), FillBlanks()]
)


@st.composite
def policies(draw: st.DrawFn, required: bool = True, **fixed: object) -> Policy:
    groups = [
        Group(
            name,
            **{
                "strategy": draw(strategies),
                "initial": draw(strategies),
                "unit": draw(st.booleans()),
                "allow_clear": draw(st.booleans()),
                **fixed,
            },
        )
        for name in ("g", "h")
    ]
    fields = [
        Field(
            name,
            draw(st.sampled_from(["g", "h"])),
            key=fold,
            required=required and draw(st.booleans()),
            create_only=frozenset(draw(st.sampled_from([(), (), (Side.RIGHT,)]))),
        )
        for name in NAMES
    ]
    return Policy(fields, groups)


records = st.fixed_dictionaries(dict.fromkeys(NAMES, values))


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[str, Agreement], dict[str, Seen], dict[str, Seen]]:
    """A base that both sides once had, and what each side made of it since."""
    common = draw(records)
    base = {n: Agreement(v, v) for n, v in common.items() if draw(st.integers(0, 9)) > 0}
    left, right = ({**common, **draw(st.dictionaries(st.sampled_from(NAMES), values))} for _ in range(2))
    absent = draw(st.sampled_from([(), (), ("a",)]))
    return base, {n: (ABSENT if n in absent else v) for n, v in left.items()}, dict(right)


def snapshot(fields: dict[str, Seen], version: str = "1") -> Snapshot:
    return Snapshot("id", fields, version=version)


def decide(
    policy: Policy, base: dict[str, Agreement], left: dict[str, Seen], right: dict[str, Seen], **kw: object
) -> Plan:
    return reconcile(policy, base, snapshot(left), snapshot(right), **kw)  # type: ignore[arg-type]


def carried_out(
    policy: Policy, plan: Plan, base: dict[str, Agreement], left: dict[str, Seen], right: dict[str, Seen]
) -> tuple[dict[str, Agreement], dict[str, Seen], dict[str, Seen]]:
    """Both sides and the base after an undisturbed apply."""
    sides = {Side.LEFT: dict(left), Side.RIGHT: dict(right)}
    moved = set(plan.agreed)
    for write in plan.writes:
        sides[write.side].update(write.fields)
        moved |= set(write.fields)
    left, right = sides[Side.LEFT], sides[Side.RIGHT]
    return {**base, **{n: Agreement(left[n], right[n]) for n in moved}}, left, right


def changed(name: str, before: Seen, now: Seen) -> bool:
    return fold(before) != fold(now)  # type: ignore[arg-type]


@given(policies(), histories())
def test_the_same_input_gives_the_same_plan_byte_for_byte(policy, history):
    assert repr(attrs.asdict(decide(policy, *history))) == repr(attrs.asdict(decide(policy, *history)))


@given(policies(), histories())
def test_a_plan_carried_out_leaves_an_empty_plan(policy, history):
    plan = decide(policy, *history)
    base, left, right = carried_out(policy, plan, *history)
    again = decide(policy, base, left, right, reviews=plan.reviews)
    assert again.writes == ()
    assert again.agreed == ()
    assert again.reviews == plan.reviews


@given(policies(), histories())
def test_both_sides_agree_afterwards_or_the_difference_is_named(policy, history):
    plan = decide(policy, *history)
    base, left, right = carried_out(policy, plan, *history)
    frozen = {review.group for review in plan.reviews if review.freezes}
    told = {name for review in plan.reviews for name in review.fields}
    cleared = {d.field for d in plan.decisions if d.reason == "clear_not_allowed"}
    for field in policy.fields:
        if ABSENT in (left[field.name], right[field.name]):
            continue
        agree = fold(left[field.name]) == fold(right[field.name])
        assert agree or field.group in frozen or field.name in told | cleared


@given(policies(strategy=never, initial=prefer_left, unit=False, allow_clear=True, required=False), records, st.data())
def test_a_field_changed_on_one_side_only_keeps_that_change_and_no_strategy_is_asked(policy, common, data):
    base = {n: Agreement(v, v) for n, v in common.items()}
    left, right, owner = dict(common), dict(common), {}
    for name in NAMES:
        side = data.draw(st.sampled_from([None, Side.LEFT, Side.RIGHT]))
        value = data.draw(values)
        if side is not None and changed(name, common[name], value):
            (left if side is Side.LEFT else right)[name] = value
            owner[name] = (side, value)
    plan = decide(policy, base, left, right)
    _, left_after, right_after = carried_out(policy, plan, base, left, right)
    for name, (side, value) in owner.items():
        mine, other = (left_after, right_after) if side is Side.LEFT else (right_after, left_after)
        assert mine[name] == value
        if not policy.field(name).ignored_by(side.other):
            assert other[name] == value, "the change, an emptied value included, reached the other side"


@given(policies(required=False), histories())
def test_only_fields_that_differ_are_written_and_only_with_a_value_of_one_side_or_a_merge(policy, history):
    base, left, right = history
    plan = decide(policy, base, left, right)
    for write in plan.writes:
        target = left if write.side is Side.LEFT else right
        for name, value in write.fields.items():
            assert changed(name, target[name], value)
            assert not policy.field(name).ignored_by(write.side)
            assert isinstance(value, tuple) or value in (left[name], right[name])


@given(policies(), histories())
def test_what_a_person_must_settle_freezes_its_whole_group_and_no_other(policy, history):
    plan = decide(policy, *history)
    frozen = {review.group for review in plan.reviews if review.freezes}
    for decision in plan.decisions:
        if decision.group in frozen:
            assert decision.writes == ()
        else:
            assert decision.row not in (Row.FROZEN, Row.BLOCKED)


@given(policies(), histories())
def test_a_difference_in_spelling_alone_is_never_written(policy, history):
    base, left, right = history
    assume(ABSENT not in left.values())
    respelled = {n: v.swapcase() if isinstance(v, str) else v for n, v in left.items()}
    assert decide(policy, base, left, respelled).writes == ()


@given(strategies, values, values, values)
def test_shipped_strategies_are_stable_when_asked_again_with_their_own_answer(strategy, base, left, right):
    assume(left != right)
    first = strategy(_conflict(base, left, right))
    if not isinstance(first, dict):
        return
    merged = first["f"]
    for again in (_conflict(base, left, merged), _conflict(base, merged, right)):
        versions = again.fields["f"]
        if versions.left == versions.right:
            continue
        answer = strategy(again)
        assert isinstance(answer, dict)
        assert answer["f"] == merged


def _conflict(base: Value, left: Value, right: Value) -> Conflict:
    return Conflict("g", {"f": Contested(base, left, right)})
