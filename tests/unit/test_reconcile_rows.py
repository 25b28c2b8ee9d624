"""The rows of the decision table, one by one, by what a person would see."""

from __future__ import annotations

from pathlib import Path

import pytest

from bidisync import (
    ABSENT,
    Defer,
    Field,
    Group,
    Newest,
    OnDelete,
    Plan,
    Policy,
    Row,
    Side,
    Snapshot,
    Versions,
    ask,
    explain,
    prefer_left,
    prefer_right,
    reconcile,
)
from bidisync.errors import Misconfigured
from bidisync.mapping import same_text
from bidisync.model import Conflict, Resolution, Review, ReviewKind, Seen, Verb, Write
from bidisync.schema import Drift, Owner, alike, describe, exact, one_way
from bidisync.state import Agreement
from bidisync.table import ROW_OF, RULES, as_markdown
from bidisync.testing.cases import folded

ROOT = Path(__file__).parents[2]


def policy(*fields: Field, **group: object) -> Policy:
    return Policy(fields or [Field("f", "g", key=folded)], [Group("g", **group)])  # type: ignore[arg-type]


def decided(
    base: Seen, left: Seen, right: Seen, rules: Policy | None = None, reviews: tuple[Review, ...] = (), **group: object
) -> Plan:
    agreed = {} if base is ABSENT else {"f": Agreement(base, base)}
    return reconcile(
        rules or policy(**group),
        agreed,
        Snapshot("1", {"f": left}, version="lv"),
        Snapshot("2", {"f": right}, version="rv"),
        reviews,
    )


@pytest.mark.parametrize(
    ("row", "base", "left", "right", "written", "agreed"),
    [
        (Row.LEFT_CHANGED, "b", "x", "b", (Side.RIGHT, "x", "rv"), False),
        (Row.RIGHT_CHANGED, "b", "b", "x", (Side.LEFT, "x", "lv"), False),
        (Row.SAME_CHANGE, "b", "x", "X", None, True),
        (Row.LEFT_RESPELLED, "b", "x", "b", None, None),
        (Row.BOTH_CHANGED, "b", "x", "y", (Side.RIGHT, "x", "rv"), False),
        (Row.ADOPTED, ABSENT, "x", "X", None, True),
        (Row.FIRST_CONTACT, ABSENT, "x", None, (Side.RIGHT, "x", "rv"), False),
        (Row.FIRST_CONTACT, ABSENT, None, "x", (Side.LEFT, "x", "lv"), False),
        (Row.CLEARED, "b", None, "b", (Side.RIGHT, None, "rv"), False),
        (Row.CLEARED, "b", "b", None, (Side.LEFT, None, "lv"), False),
        (Row.NOT_DELIVERED, "b", ABSENT, "x", None, False),
        (Row.NOT_DELIVERED, "b", "x", ABSENT, None, False),
    ],
)
def test_what_a_row_does(row, base, left, right, written, agreed):
    plan = decided(base, left, right, strategy=prefer_left)
    if agreed is None:
        return
    (decision,) = plan.decisions
    assert decision.row is row
    assert (decision.field, decision.group, decision.policy) == ("f", "g", "prefer left")
    assert decision.versions == Versions(base, left, right)
    assert plan.agreed == (("f",) if agreed else ())
    assert decision.agreed is agreed
    if written is None:
        assert plan.writes == ()
        assert (decision.writes, decision.result) == ((), ABSENT)
    else:
        side, value, version = written
        assert plan.writes == (Write(side, Verb.UPDATE, {"f": value}, expect=version),)
        assert plan.write_to(side) is plan.writes[0]
        assert plan.write_to(side.other) is None
        assert (decision.writes, decision.result) == ((side,), value)
    assert plan.reviews == ()
    assert not plan.ends


def test_row_4b_and_4c_a_change_that_reaches_the_other_sides_spelling_writes_nothing():
    agreed = {"f": Agreement("b", "x")}  # an accepted difference
    for left, right, row in (("X", "x", Row.LEFT_RESPELLED), ("b", "B", Row.RIGHT_RESPELLED)):
        plan = reconcile(policy(), agreed, Snapshot("1", {"f": left}), Snapshot("2", {"f": right}))
        assert [d.row for d in plan.decisions] == [row]
        assert (plan.writes, plan.agreed) == ((), ("f",))


def test_row_1_says_nothing_even_where_the_spellings_differ_and_explain_names_it():
    agreed = {"f": Agreement("b", "accepted")}
    left, right = Snapshot("1", {"f": "b"}), Snapshot("2", {"f": "accepted"})
    assert reconcile(policy(), agreed, left, right) == Plan()
    assert [d.row for d in explain(policy(), agreed, left, right)] == [Row.UNCHANGED]
    assert explain(policy(), agreed, left, Snapshot("2", {}, gone=True)) == ()
    assert explain(policy(), agreed, Snapshot("1", {}, gone=True), right) == ()


def test_row_5_and_7_a_strategy_that_defers_opens_a_conflict_with_its_reason():
    def own(conflict: Conflict) -> Resolution:
        return Defer("too_hard")

    plan = decided("b", "x", "y", strategy=own)
    assert plan.reviews == (Review(ReviewKind.CONFLICT, "too_hard", "g", {"f": Versions("b", "x", "y")}),)
    assert plan.decisions[0].reason == "too_hard"
    assert plan.decisions[0].policy == "own"
    plan = decided(ABSENT, "x", "y", initial=ask)
    assert plan.reviews == (Review(ReviewKind.CONFLICT, "first_contact", "g", {"f": Versions(ABSENT, "x", "y")}),)
    assert decided(ABSENT, "x", "y", initial=prefer_right).write_to(Side.LEFT) is not None


@pytest.mark.parametrize(
    "answer", [{}, {"f": "x", "z": "y"}, {"z": "x"}, {"f": ABSENT}, {"f": ["x"]}, {"f": {"x": 1}}, None, "x", ["f"], 7]
)
def test_a_strategy_that_answers_for_the_wrong_fields_is_not_followed(answer):
    plan = decided("b", "x", "y", strategy=lambda conflict: answer)
    assert plan.writes == ()
    assert [review.reason for review in plan.reviews] == ["strategy_answer"]


@pytest.mark.parametrize("reason", ["both: Ada Muster", "Ada", "", "x" * 65, "a\n", 7])
def test_a_reason_that_is_no_code_is_not_told(reason):
    plan = decided("b", "x", "y", strategy=lambda conflict: Defer(reason))
    assert [review.reason for review in plan.reviews] == ["strategy_reason"]
    assert "Muster" not in repr(plan)


def test_a_reason_of_ones_own_is_told_as_it_is():
    plan = decided("b", "x", "y", strategy=lambda conflict: Defer("price_too_high:2"))
    assert [review.reason for review in plan.reviews] == ["price_too_high:2"]


def test_a_strategy_that_fails_leaves_its_group_to_a_person_and_stops_nobody_else():
    def fails(conflict: Conflict) -> Resolution:
        raise KeyError("Geheimnis")

    rules = Policy([Field("f", "g"), Field("o", "h")], [Group("g", strategy=fails), Group("h")])
    base = {"f": Agreement("b", "b"), "o": Agreement("b", "b")}
    plan = reconcile(rules, base, Snapshot("1", {"f": "x", "o": "z"}), Snapshot("2", {"f": "y", "o": "b"}))
    assert [(review.kind, review.reason) for review in plan.reviews] == [
        (ReviewKind.CONFLICT, "strategy_failed:KeyError")
    ]
    assert [write.fields for write in plan.writes] == [{"o": "z"}]
    assert "Geheimnis" not in repr(plan)


def test_a_strategy_is_told_the_times_only_where_somebody_else_wrote():
    asked: list[Conflict] = []

    def remember(conflict: Conflict) -> Resolution:
        asked.append(conflict)
        return Defer()

    for ours in (False, True):
        reconcile(
            policy(strategy=remember),
            {"f": Agreement("b", "b")},
            Snapshot("1", {"f": "x"}, modified_at=1.0, modified_by_us=ours),
            Snapshot("2", {"f": "y"}, modified_at=2.0, modified_by_us=not ours),
        )
    assert [(c.group, c.left_modified_at, c.right_modified_at) for c in asked] == [("g", 1.0, None), ("g", None, 2.0)]
    assert (asked[0].fields["f"].base, asked[0].fields["f"].left, asked[0].fields["f"].right) == ("b", "x", "y")


def test_row_9_a_required_field_blocks_its_group_and_a_kept_one_is_accepted():
    required = policy(Field("f", "g", required=True), Field("o", "g"))
    plan = reconcile(
        required,
        {"f": Agreement("b", "b"), "o": Agreement("b", "b")},
        Snapshot("1", {"f": None, "o": "x"}),
        Snapshot("2", {"f": "b", "o": "b"}),
    )
    assert plan.writes == ()
    assert plan.reviews == (Review(ReviewKind.BLOCKED, "required", "g", {"f": Versions("b", None, "b")}),)
    assert {d.field: d.row for d in plan.decisions} == {"f": Row.BLOCKED, "o": Row.FROZEN}
    assert [d.result for d in plan.decisions] == [ABSENT, ABSENT]
    kept = decided("b", None, "b", allow_clear=False)
    assert (kept.writes, kept.agreed, kept.decisions[0].reason) == ((), ("f",), "clear_not_allowed")
    assert kept.decisions[0].row is Row.CLEARED
    contested = decided("b", None, "y", policy(Field("f", "g", required=True), strategy=prefer_left))
    assert [review.reason for review in contested.reviews] == ["required"], "a strategy can't clear it either"


def test_row_11_a_value_that_cannot_be_read_blocks_its_group_alone():
    rules = Policy([Field("f", "g"), Field("o", "h")], [Group("g"), Group("h")])
    for unread in (Side.LEFT, Side.RIGHT):
        marks = {side: frozenset({"f"}) if side is unread else frozenset() for side in Side}
        plan = reconcile(
            rules,
            {"f": Agreement("b", "b"), "o": Agreement("b", "b")},
            Snapshot("1", {"f": "b" if unread is Side.RIGHT else ABSENT, "o": "x"}, unreadable=marks[Side.LEFT]),
            Snapshot("2", {"f": "b" if unread is Side.LEFT else ABSENT, "o": "b"}, unreadable=marks[Side.RIGHT]),
        )
        assert [(review.kind, review.reason) for review in plan.reviews] == [(ReviewKind.BLOCKED, "unmappable")]
        assert [write.fields for write in plan.writes] == [{"o": "x"}]


BLOCKED = Review(ReviewKind.BLOCKED, "rejected", "g", {"f": Versions(ABSENT, "x", "b")})


def test_row_11_a_blocked_group_rests_until_one_of_its_values_changes():
    rests = decided("b", "x", "b", reviews=(BLOCKED,))
    assert (rests.writes, rests.reviews) == ((), (BLOCKED,))
    assert [(d.row, d.reason) for d in rests.decisions] == [(Row.BLOCKED, "rejected")]
    assert decided("b", "z", "b", reviews=(BLOCKED,)).writes != ()
    assert decided("b", "x", "z", reviews=(BLOCKED,)).reviews != (BLOCKED,)


def test_row_12_an_open_conflict_shows_the_newest_values_and_closes_when_both_agree():
    conflict = Review(ReviewKind.CONFLICT, "conflict", "g", {"f": Versions("b", "x", "y")})
    plan = decided("b", "x2", "y", strategy=prefer_left, reviews=(conflict,))
    assert plan.writes == ()
    assert plan.reviews == (Review(ReviewKind.CONFLICT, "conflict", "g", {"f": Versions("b", "x2", "y")}),)
    assert [(d.row, d.reason) for d in plan.decisions] == [(Row.FROZEN, "conflict")]
    closed = decided("b", "x", "X", reviews=(conflict,))
    assert (closed.reviews, closed.agreed) == ((), ("f",))


def test_a_review_of_a_group_that_there_is_no_more_is_dropped():
    old = Review(ReviewKind.CONFLICT, "conflict", "old", {"z": Versions("b", "x", "y")})
    assert decided("b", "x", "b", reviews=(old,)).reviews == ()
    gone = Review(ReviewKind.CONFLICT, "conflict", "g", {"z": Versions("b", "x", "y")})
    assert decided("b", "x", "b", reviews=(gone,)).writes != (), "a conflict about a field that is gone is over"


TAKES_NONE = policy(Field("f", "g", create_only=frozenset({Side.RIGHT})), strategy=prefer_left)


def test_row_14_a_change_that_the_target_ignores_is_told_once_for_each_value():
    plan = decided("b", "x", "b", TAKES_NONE)
    task = Review(ReviewKind.READ_ONLY, "read_only", "g", {"f": Versions("b", "x", "b")})
    assert (plan.writes, plan.agreed, plan.reviews) == ((), ("f",), (task,))
    assert [(d.row, d.reason, d.agreed) for d in plan.decisions] == [(Row.READ_ONLY, "read_only", True)]
    after = {"f": Agreement("x", "b")}
    again = reconcile(TAKES_NONE, after, Snapshot("1", {"f": "x"}), Snapshot("2", {"f": "b"}), (task,))
    assert (again.reviews, again.writes, again.agreed) == ((task,), (), ())
    moved = reconcile(TAKES_NONE, after, Snapshot("1", {"f": "z"}), Snapshot("2", {"f": "b"}), (task,))
    assert moved.reviews == (Review(ReviewKind.READ_ONLY, "read_only", "g", {"f": Versions("x", "z", "b")}),)
    fixed = reconcile(TAKES_NONE, after, Snapshot("1", {"f": "x"}), Snapshot("2", {"f": "x"}), (task,))
    assert fixed.reviews == (), "it is over when both agree"
    assert not task.freezes


def test_a_field_that_one_side_never_takes_still_travels_the_other_way():
    rules = policy(Field("f", "g", read_only=frozenset({Side.RIGHT})))
    assert decided("b", "b", "x", rules).write_to(Side.LEFT) is not None
    assert decided("b", "x", "b", rules).writes == ()
    assert rules.field("f").ignored_by(Side.RIGHT)
    assert not rules.field("f").ignored_by(Side.LEFT)


def test_a_merge_writes_both_sides_right_first_and_only_where_needed():
    rules = policy(Field("f", "g"), strategy=lambda conflict: {"f": "merged"})
    plan = decided("b", "x", "y", rules)
    assert plan.writes == (
        Write(Side.RIGHT, Verb.UPDATE, {"f": "merged"}, expect="rv"),
        Write(Side.LEFT, Verb.UPDATE, {"f": "merged"}, expect="lv"),
    )
    assert [len(decided("b", left, right, rules).writes) for left, right in (("merged", "y"), ("x", "merged"))] == [
        1,
        1,
    ]


def test_drift_that_is_reported_stays_reported_until_somebody_changes_it():
    rules = policy(Field("f", "g"), owner=Owner(Side.LEFT, Drift.REPORT))
    plan = decided("b", "b", "x", rules)
    task = Review(ReviewKind.DRIFT, "drift", "g", {"f": Versions("b", "b", "x")})
    assert (plan.reviews, plan.agreed, plan.writes) == ((task,), ("f",), ())
    assert plan.decisions[0].policy == "owned by left, drift: report"
    after = {"f": Agreement("b", "x")}
    again = reconcile(rules, after, Snapshot("1", {"f": "b"}), Snapshot("2", {"f": "x"}), (task,))
    assert again.reviews == (task,)
    owners = reconcile(rules, after, Snapshot("1", {"f": "o"}), Snapshot("2", {"f": "x"}), (task,))
    assert (owners.reviews, [w.fields for w in owners.writes]) == ((), [{"f": "o"}])


def test_a_one_way_field_flows_that_way_alone():
    rules = policy(Field("f", "g", owner=one_way(Side.RIGHT)), owner=Owner(Side.RIGHT))
    assert decided("b", "x", "b", rules).write_to(Side.RIGHT) is not None
    there = decided("b", "b", "x", rules)
    assert (there.writes, there.reviews, there.agreed) == ((), (), ("f",))


def test_a_field_with_a_strategy_of_its_own_is_not_subject_to_the_groups_owner():
    rules = policy(Field("f", "g", strategy=prefer_right), owner=Owner(Side.LEFT))
    assert decided("b", "x", "y", rules).write_to(Side.LEFT) is not None
    assert rules.groups[0].policy_of(rules.field("f")) == "prefer right"


def test_a_reverted_drift_to_nothing_keeps_its_row_and_clears():
    plan = decided(None, None, "x", policy(Field("f", "g"), owner=Owner(Side.LEFT)))
    assert [(d.row, d.result, d.writes) for d in plan.decisions] == [(Row.DRIFT, None, (Side.RIGHT,))]


def test_a_unit_of_one_owner_is_decided_by_the_owner_as_a_whole():
    rules = Policy([Field("a", "g"), Field("b", "g")], [Group("g", unit=True, owner=Owner(Side.RIGHT))])
    base = {"a": Agreement("1", "1"), "b": Agreement("1", "1")}
    plan = reconcile(rules, base, Snapshot("1", {"a": "left", "b": "1"}), Snapshot("2", {"a": "1", "b": "right"}))
    assert [(w.side, w.fields) for w in plan.writes] == [(Side.LEFT, {"a": "1", "b": "right"})]


def test_a_unit_that_only_one_side_changed_is_no_conflict():
    rules = Policy([Field("a", "g"), Field("b", "g")], [Group("g", unit=True)])
    base = {"a": Agreement("1", "1"), "b": Agreement("1", "1")}
    plan = reconcile(rules, base, Snapshot("1", {"a": "x", "b": "y"}), Snapshot("2", {"a": "1", "b": "1"}))
    assert (plan.reviews, [w.fields for w in plan.writes]) == ((), [{"a": "x", "b": "y"}])
    same = reconcile(rules, base, Snapshot("1", {"a": "x", "b": "1"}), Snapshot("2", {"a": "x", "b": "z"}))
    assert (same.reviews, [w.fields for w in same.writes]) == ((), [{"b": "z"}])


LEFT, RIGHT, GONE = (
    Snapshot("1", {"f": "b"}, version="lv"),
    Snapshot("2", {"f": "b"}, version="rv"),
    Snapshot("3", {}, gone=True),
)
AGREED = {"f": Agreement("b", "b")}


def deletion(on_delete: OnDelete) -> Policy:
    return Policy([Field("f", "g"), Field("o", "g")], [Group("g")], on_delete=on_delete)


@pytest.mark.parametrize("on_delete", list(OnDelete))
def test_what_is_deleted_on_both_sides_is_over(on_delete):
    assert reconcile(deletion(on_delete), AGREED, GONE, GONE) == Plan(ends=True)


@pytest.mark.parametrize(
    ("left", "right", "lost", "kept"), [(GONE, RIGHT, "left", "right"), (LEFT, GONE, "right", "left")]
)
def test_a_deletion_follows_the_policy_and_never_takes_an_edit_with_it(left, right, lost, kept):
    review = reconcile(deletion(OnDelete.REVIEW), AGREED, left, right)
    assert review == Plan(reviews=(Review(ReviewKind.GONE, f"deleted_{lost}"),))
    assert reconcile(deletion(OnDelete.IGNORE), AGREED, left, right) == Plan(ends=True)
    version = (right if left.gone else left).version
    gone = reconcile(deletion(OnDelete.PROPAGATE), AGREED, left, right)
    assert gone == Plan(writes=(Write(Side(kept), Verb.DELETE, expect=version),), ends=True)
    edited = Snapshot("9", {"f": "edited"})
    both = (left, edited) if left.gone else (edited, right)
    for on_delete in (OnDelete.REVIEW, OnDelete.PROPAGATE):
        plan = reconcile(deletion(on_delete), AGREED, *both)
        assert plan == Plan(reviews=(Review(ReviewKind.GONE, f"deleted_{lost}_edited_{kept}"),))
    unknown = reconcile(deletion(OnDelete.PROPAGATE), {}, left, right)
    assert [r.reason for r in unknown.reviews] == [f"deleted_{lost}_edited_{kept}"], "without a base nothing is proven"


def test_a_field_that_was_not_delivered_is_no_edit_of_a_deleted_record():
    poor = Snapshot("2", {"f": "b", "o": ABSENT}, version="rv")
    plan = reconcile(deletion(OnDelete.PROPAGATE), {**AGREED, "o": Agreement("b", "b")}, GONE, poor)
    assert plan.ends
    empty = Snapshot("2", {"f": "b", "o": None}, version="rv")
    assert reconcile(deletion(OnDelete.PROPAGATE), AGREED, GONE, empty).ends, "empty, and never agreed on"


def test_what_the_deleted_side_never_had_is_not_deleted_with_it():
    unread = Snapshot("2", {"f": ABSENT, "o": ABSENT}, unreadable=frozenset({"f"}))
    never_agreed = Snapshot("2", {"f": "b", "o": "new"}, version="rv")
    for survivor in (unread, never_agreed):
        plan = reconcile(deletion(OnDelete.PROPAGATE), AGREED, GONE, survivor)
        assert plan == Plan(reviews=(Review(ReviewKind.GONE, "deleted_left_edited_right"),))


def test_every_combination_of_answers_has_exactly_one_row():
    assert len(ROW_OF) == 16
    found = [answers for rule in RULES for answers in rule.answers()]
    assert len(found) == len(set(found)) == 16
    assert {rule.row for rule in RULES} == set(Row)


def test_the_table_in_the_docs_is_the_one_that_the_code_decides_by():
    page = (ROOT / "docs" / "how-it-works.md").read_text()
    assert as_markdown() in page, "python3 dev table"


async def in_a_while(conflict: Conflict) -> Resolution:
    return Defer()


class Waits:
    async def __call__(self, conflict: Conflict) -> Resolution:
        return Defer()


@pytest.mark.parametrize(
    ("fields", "groups", "message"),
    [
        ([Field("a", "g"), Field("a", "g")], [Group("g")], "the field 'a' stands twice"),
        ([Field("a", "g")], [Group("g"), Group("g")], "the group 'g' stands twice"),
        ([Field("a", "h")], [Group("g")], "'a' is of the group 'h'"),
        ([Field("a", "g")], [Group("g", strategy="left")], "strategy of the group 'g' can't be called"),
        ([Field("a", "g")], [Group("g", initial="left")], "initial policy of the group 'g' can't be called"),
        ([Field("a", "g", strategy="left")], [Group("g")], "strategy of the field 'a' can't be called"),
        ([Field("a", "g")], [Group("g", strategy=Newest)], "strategy of the group 'g' is the class Newest"),
        ([Field("a", "g")], [Group("g", strategy=in_a_while)], "strategy of the group 'g' is asynchronous"),
        ([Field("a", "g")], [Group("g", initial=Waits())], "initial policy of the group 'g' is asynchronous"),
        (
            [Field("a", "g", strategy=lambda: Defer())],
            [Group("g")],
            "the field 'a' can't be called with the conflict alone",
        ),
        ([Field("a", "g", strategy=lambda one, two: {})], [Group("g")], "can't be called with the conflict alone"),
        ([Field("a", "g", key="exact")], [Group("g")], "key of the field 'a' can't be called"),
        ([Field("a", "g", strategy=ask)], [Group("g", unit=True)], "'a' moves with its group 'g'"),
        ([Field("a", "g", owner=Owner(Side.LEFT))], [Group("g", unit=True)], "'a' moves with its group 'g'"),
    ],
)
def test_a_mistake_in_a_policy_is_found_when_it_is_made(fields, groups, message):
    with pytest.raises(Misconfigured, match=message):
        Policy(fields, groups)


def test_a_policy_knows_its_fields():
    rules = Policy([Field("a", "g"), Field("b", "h")], [Group("g"), Group("h")])
    assert [field.name for field in rules.members_of("h")] == ["b"]
    assert rules.members_of("nope") == ()
    assert rules.field("b").group == "h"
    assert exact(7) == 7
    assert describe(ask) == "ask"


def test_row_8_works_for_either_owner():
    for side, left, right in ((Side.LEFT, "b", "x"), (Side.RIGHT, "x", "b")):
        for drift, written, value in ((Drift.REVERT, side.other, "b"), (Drift.ADOPT, side, "x")):
            plan = decided("b", left, right, policy(Field("f", "g"), owner=Owner(side, drift)))
            assert [(w.side, w.fields) for w in plan.writes] == [(written, {"f": value})]
        own = decided("b", right, left, policy(Field("f", "g"), owner=Owner(side)))
        assert [d.row for d in own.decisions] != [Row.DRIFT], "the owner's own change is no drift"


def test_a_value_that_may_not_be_cleared_wins_on_either_side():
    for left, right, kept in ((None, "y", "y"), ("y", None, "y")):
        strategy = prefer_left if left is None else prefer_right
        plan = decided("b", left, right, policy(Field("f", "g", required=True), strategy=strategy, allow_clear=False))
        assert [w.fields for w in plan.writes] == [{"f": kept}]


def test_a_required_field_with_a_value_is_settled_like_any_other():
    plan = decided("b", "x", "y", policy(Field("f", "g", required=True), strategy=prefer_left))
    assert [w.fields for w in plan.writes] == [{"f": "x"}]


def test_a_task_about_an_ignored_field_shows_what_the_plan_leaves_behind():
    rules = policy(Field("f", "g", create_only=frozenset({Side.RIGHT})), strategy=lambda conflict: {"f": "merged"})
    plan = decided("b", "x", "y", rules)
    assert [(w.side, w.fields) for w in plan.writes] == [(Side.LEFT, {"f": "merged"})]
    assert plan.reviews[0].fields == {"f": Versions("b", "merged", "y")}
    (decision,) = plan.decisions
    assert (decision.policy, decision.result, decision.agreed) == ("<lambda>", "merged", False)
    mirrored = policy(Field("f", "g", create_only=frozenset({Side.LEFT})), strategy=lambda conflict: {"f": "merged"})
    assert decided("b", "x", "y", mirrored).reviews[0].fields == {"f": Versions("b", "x", "merged")}


def test_what_is_withheld_in_a_stopped_group_does_not_move_the_base():
    rules = policy(Field("f", "g", required=True), Field("o", "g", create_only=frozenset({Side.RIGHT})))
    base = {"f": Agreement("b", "b"), "o": Agreement("b", "b")}
    plan = reconcile(rules, base, Snapshot("1", {"f": None, "o": "b"}), Snapshot("2", {"f": "b", "o": "x"}))
    assert (plan.agreed, [d.agreed for d in plan.decisions]) == ((), [False, False])


def test_a_field_with_a_base_that_one_side_delivers_no_more_is_left_alone():
    for left, right in (({}, {"f": None}), ({"f": None}, {})):
        plan = reconcile(policy(), {"f": Agreement(None, None)}, Snapshot("1", left), Snapshot("2", right))
        assert [d.row for d in plan.decisions] == [Row.NOT_DELIVERED]
        assert (plan.writes, plan.agreed) == ((), ())


def test_an_accepted_difference_is_no_edit_of_a_deleted_record():
    agreed = {"f": Agreement("l", "r")}
    rules = deletion(OnDelete.PROPAGATE)
    assert reconcile(rules, agreed, GONE, Snapshot("2", {"f": "r"})).ends
    assert reconcile(rules, agreed, Snapshot("1", {"f": "l"}), GONE).ends
    assert not reconcile(rules, agreed, Snapshot("1", {"f": "r"}), GONE).ends
    assert reconcile(rules, {"f": Agreement(None, None)}, GONE, Snapshot("2", {})).ends, "not delivered is no edit"


def test_a_float_that_is_no_number_is_like_another_one():
    nan, other = float("nan"), float("nan")
    assert alike(exact, nan, other)
    assert not alike(exact, nan, 1.0) and not alike(exact, nan, None) and not alike(exact, nan, "nan")
    assert decided(nan, other, float("nan"), policy(Field("f", "g"))).writes == ()
    assert decided(nan, other, 2.0, policy(Field("f", "g"))).writes == (
        Write(Side.LEFT, Verb.UPDATE, {"f": 2.0}, "lv"),
    )


def test_a_key_is_never_asked_about_an_empty_field_or_one_that_was_not_delivered():
    rules = policy(Field("f", "g", key=lambda value: value.strip()), strategy=prefer_left)
    for left, right in ((None, "x"), ("x", None), (ABSENT, "x"), ("x", ABSENT), (ABSENT, ABSENT), (None, ABSENT)):
        for base in ("b", None, ABSENT):
            assert decided(base, left, right, rules) is not None


def test_a_unit_of_the_left_owner_is_decided_by_the_left_as_a_whole():
    rules = Policy([Field("a", "g"), Field("b", "g")], [Group("g", unit=True, owner=Owner(Side.LEFT))])
    base = {"a": Agreement("1", "1"), "b": Agreement("1", "1")}
    plan = reconcile(rules, base, Snapshot("1", {"a": "left", "b": "1"}), Snapshot("2", {"a": "1", "b": "right"}))
    assert [(w.side, w.fields) for w in plan.writes] == [(Side.RIGHT, {"a": "left", "b": "1"})]


@pytest.mark.parametrize("blank", ["\u200b", " \u00a0", "\r\n"])
def test_a_spelling_of_nothing_is_an_empty_field_and_never_written(blank):
    """What a person does not see is no value: it neither fills an empty field nor overwrites one."""
    rules = policy(Field("f", "g", key=same_text))
    for left, right in ((blank, None), (None, blank)):
        assert [d.row for d in decided(ABSENT, left, right, rules).decisions] == [Row.ADOPTED]
        assert decided(None, left, right, rules).writes == ()
    assert decided("b", blank, None, rules).agreed == ("f",), "both sides emptied it"


def test_only_values_have_a_key():
    def loud(value: object) -> object:
        assert value is not None and value is not ABSENT
        return None if value == "blank" else value

    assert alike(loud, "blank", None) and alike(loud, None, "blank") and alike(loud, None, None)  # type: ignore[arg-type]
    assert not alike(loud, "x", None) and not alike(loud, ABSENT, "blank") and not alike(loud, None, ABSENT)  # type: ignore[arg-type]
    assert alike(exact, ABSENT, ABSENT) and not alike(exact, "", None)


UNIT = [Field("street", "g", key=folded), Field("city", "g", key=folded), Field("note", "g", key=folded)]


def met(left: tuple[Seen, ...], right: tuple[Seen, ...], **group: object) -> Plan:
    names = [field.name for field in UNIT]
    return reconcile(
        policy(*UNIT, unit=True, **group),
        {},
        Snapshot("1", dict(zip(names, left, strict=True))),
        Snapshot("2", dict(zip(names, right, strict=True))),
    )


def test_two_records_that_meet_are_never_mixed_in_a_unit():
    plan = met(("Allee 1", None, "x"), (None, "Köln", "X"))
    assert plan.writes == ()
    fields = {"street": Versions(ABSENT, "Allee 1", None), "city": Versions(ABSENT, None, "Köln")}
    assert plan.reviews == (Review(ReviewKind.CONFLICT, "first_contact", "g", fields),)
    assert plan.agreed == ("note",)
    assert {d.field: d.row for d in plan.decisions}["street"] is Row.FIRST_CONTACT


def test_a_unit_that_only_one_of_two_records_fills_is_filled():
    plan = met(("Allee 1", "Köln", None), ("ALLEE 1", None, None))
    assert ([w.fields for w in plan.writes], plan.reviews) == ([{"city": "Köln"}], ())
    plan = met((None, None, None), ("Allee 1", "Köln", None))
    assert ([w.fields for w in plan.writes], plan.reviews) == ([{"street": "Allee 1", "city": "Köln"}], ())
    both = met(("a", "b", "c"), ("d", "e", "f"), initial=lambda conflict: dict.fromkeys(conflict.fields, "merged"))
    assert [w.side for w in both.writes] == [Side.RIGHT, Side.LEFT], "one value for both sides mixes nothing"
    whole = met(("Allee 1", None, None), (None, "Köln", "x"))
    assert (whole.writes, [review.reason for review in whole.reviews]) == ((), ["first_contact"])


def test_two_records_that_meet_fill_each_others_blanks_where_fields_move_alone():
    rules = policy(Field("street", "g"), Field("city", "g"))
    left, right = Snapshot("1", {"street": "Allee 1", "city": None}), Snapshot("2", {"street": None, "city": "Köln"})
    plan = reconcile(rules, {}, left, right)
    assert [(w.side, w.fields) for w in plan.writes] == [
        (Side.RIGHT, {"street": "Allee 1"}),
        (Side.LEFT, {"city": "Köln"}),
    ]


def test_a_respelling_is_no_change_that_could_contest_the_other_sides():
    def never(conflict: Conflict) -> Resolution:
        raise AssertionError("nobody contests it")

    rules = policy(strategy=never)
    assert [d.row for d in decided("b", "B", "x", rules).decisions] == [Row.RIGHT_CHANGED]
    assert [d.row for d in decided("b", "x", "B", rules).decisions] == [Row.LEFT_CHANGED]
    assert [d.row for d in decided("b", "B", "b", rules).decisions] == [Row.UNCHANGED]
    assert decided("b", "B", "b", rules).agreed == ()
