"""The decision: three versions of a record in, a plan out. Pure, and the heart of it all.

For every field the answers to four questions (is there a base, did left change it, did
right, do both agree) lead to a row of the table in ``bidisync.table``; here stands what each
row does.

A field that only one side changed keeps that change under every strategy: strategies see
rows 5 alone. What needs a person freezes its whole group, and no other. The base moves only
for fields that agree, or whose difference was accepted; for written fields the engine moves
it once the write is acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from bidisync.conflicts import Prefer, is_code
from bidisync.look import Look, moved_fields, same
from bidisync.model import (
    ABSENT,
    Conflict,
    Decision,
    Defer,
    Plan,
    Review,
    ReviewKind,
    Row,
    Seen,
    Settled,
    Side,
    Snapshot,
    Value,
    Verb,
    Versions,
    Write,
)
from bidisync.protocols import ConflictStrategy
from bidisync.schema import Drift, Field, Group, OnDelete, Owner, Policy
from bidisync.state import Agreement
from bidisync.values import is_value

WRITE_ORDER = (Side.RIGHT, Side.LEFT)
"""The right side is written first, so that what the left shows of it is already true."""


def reconcile(
    policy: Policy,
    base: Mapping[str, Agreement],
    left: Snapshot,
    right: Snapshot,
    reviews: Sequence[Review] = (),
) -> Plan:
    """What has to be written so that both sides agree again, and what a person has to settle.

    The same input gives the same plan. Applied, the plan leaves nothing to do. Fields with
    nothing to say are left out of its decisions; ``explain`` names every one.
    """
    if left.gone or right.gone:
        return _one_is_gone(policy, base, left, right)
    moved = moved_fields(policy.fields, base, left.fields, right.fields)
    if not moved and not reviews:
        return _NOTHING
    decisions, kept = _decide(policy, base, left, right, reviews, moved)
    return Plan(
        tuple(decisions),
        writes_of(decisions, left, right),
        tuple([decision.field for decision in decisions if decision.agreed]),
        tuple(kept),
    )


_NOTHING = Plan()


def explain(
    policy: Policy,
    base: Mapping[str, Agreement],
    left: Snapshot,
    right: Snapshot,
    reviews: Sequence[Review] = (),
) -> tuple[Decision, ...]:
    """The decision on every field, in order; empty where a record is gone."""
    if left.gone or right.gone:
        return ()
    return tuple(_decide(policy, base, left, right, reviews, policy.fields)[0])


def _decide(
    policy: Policy,
    base: Mapping[str, Agreement],
    left: Snapshot,
    right: Snapshot,
    reviews: Sequence[Review],
    moved: Sequence[Field],
) -> tuple[list[Decision], list[Review]]:
    """Decisions and reviews, group by group: on the moved fields, and on whole groups with an open review."""
    chosen: dict[str, list[Field]] = {}
    for field in moved:
        chosen.setdefault(field.group, []).append(field)
    for review in reviews:
        if review.group:
            chosen[review.group] = list(policy.members_of(review.group))
    unreadable = left.unreadable | right.unreadable
    lefts, rights, at = left.fields, right.fields, Look.at
    decisions: list[Decision] = []
    kept: list[Review] = []
    for group in policy.groups:
        if group.name not in chosen:
            continue
        looks = [
            at(
                field,
                base.get(name := field.name),
                lefts.get(name, ABSENT),
                rights.get(name, ABSENT),
                name not in unreadable,
            )
            for field in chosen[group.name]
        ]
        open_reviews = [review for review in reviews if review.group == group.name] if reviews else ()
        settled, waiting = _decide_group(group, looks, open_reviews, left, right)
        decisions += settled
        kept += waiting
    return decisions, kept


def _decide_group(
    group: Group, looks: Sequence[Look], open_reviews: Sequence[Review], left: Snapshot, right: Snapshot
) -> tuple[list[Decision], list[Review]]:
    frozen = _still_frozen(looks, open_reviews) if open_reviews else None
    if frozen is not None:
        row = Row.FROZEN if frozen.kind is ReviewKind.CONFLICT else Row.BLOCKED
        return [_leave(group, look, row, frozen.reason) for look in looks], [frozen]
    decisions = _decide_fields(group, looks, left, right)
    if not open_reviews and all(decision.reason is None for decision in decisions):
        return decisions, []
    review = _needs_a_person(group, decisions)
    if review is not None:
        return [_withhold(decision) for decision in decisions], [review]
    kept = [review for look in looks for review in open_reviews if _still_differs(look, review)]
    return decisions, kept + [task for decision in decisions if (task := _told_once(decision)) is not None]


def _still_frozen(looks: Sequence[Look], open_reviews: Sequence[Review]) -> Review | None:
    """The open review that freezes the group, refreshed; ``None`` where there is none any more."""
    now = {look.field.name: look for look in looks}
    for review in open_reviews:
        members = {name: now[name] for name in review.fields if name in now}
        if review.kind is ReviewKind.CONFLICT:
            open_fields = {name: look.versions for name, look in members.items() if not look.agree}
            if open_fields:
                return attrs.evolve(review, fields=open_fields)
        if review.kind is ReviewKind.BLOCKED and all(
            _unmoved(look, review.fields[name]) for name, look in members.items()
        ):
            return review
    return None


def _unmoved(look: Look, before: Versions) -> bool:
    return look.versions.left == before.left and look.versions.right == before.right


def _still_differs(look: Look, review: Review) -> bool:
    name = look.field.name
    return (
        review.kind in (ReviewKind.READ_ONLY, ReviewKind.DRIFT)
        and name in review.fields
        and not look.agree
        and _unmoved(look, review.fields[name])
    )


def _decide_fields(group: Group, looks: Sequence[Look], left: Snapshot, right: Snapshot) -> list[Decision]:
    if group.unit:
        moved = [look for look in looks if _may_be_contested(look)]
        if any(look.left_changed for look in moved) and any(look.right_changed for look in moved):
            strategy = group.strategy if group.owner is None else Prefer(group.owner.side)
            answers = _ask(group, strategy, moved, left, right)
            contested = {look.field.name for look in moved}
            return [
                _settle(group, look, Row.BOTH_CHANGED, answers)
                if look.field.name in contested
                else _decide_field(group, look, left, right)
                for look in looks
            ]
    decisions = [_decide_field(group, look, left, right) for look in looks]
    return _kept_whole(group, looks, decisions) if group.unit else decisions


def _kept_whole(group: Group, looks: Sequence[Look], decisions: list[Decision]) -> list[Decision]:
    """The decisions on a unit, unless two records that meet would be mixed in it: a person says then."""
    met = any(decision.row is Row.FIRST_CONTACT for decision in decisions)
    if not met or {(side,) for side in WRITE_ORDER} - {decision.writes for decision in decisions}:
        return decisions
    return [
        _leave(group, look, Row.FIRST_CONTACT, "first_contact") if decision.writes else decision
        for look, decision in zip(looks, decisions, strict=True)
    ]


def _may_be_contested(look: Look) -> bool:
    """Whether a field of a unit takes part in its conflict: changed somewhere, and different."""
    return look.readable and look.delivered and not look.agree and (look.left_changed or look.right_changed)


def _decide_field(group: Group, look: Look, left: Snapshot, right: Snapshot) -> Decision:
    """What each row does."""
    if not look.readable:
        return _leave(group, look, Row.BLOCKED, "unmappable")
    if not look.delivered:
        return _leave(group, look, Row.NOT_DELIVERED)
    row, field = look.row, look.field
    owner = group.owner_of(field)
    if owner is not None and not look.agree and look.changed(owner.side.other):
        return _drift(group, look, owner)
    match row:
        case Row.UNCHANGED:
            return _leave(group, look, row)
        case Row.LEFT_CHANGED:
            return _carry(group, look, row, Side.RIGHT, look.versions.left)
        case Row.RIGHT_CHANGED:
            return _carry(group, look, row, Side.LEFT, look.versions.right)
        case Row.BOTH_CHANGED:
            return _settle(group, look, row, _ask(group, group.strategy_for(field), [look], left, right))
        case Row.FIRST_CONTACT:
            answer = _ask(group, group.initial, [look], left, right)
            return _settle(group, look, row, Defer("first_contact") if isinstance(answer, Defer) else answer)
        case _:
            return _accept(group, look, row)


def _drift(group: Group, look: Look, owner: Owner) -> Decision:
    """Row 8: a change by the side that does not own the field."""
    mine, theirs = look.versions.on(owner.side), look.versions.on(owner.side.other)
    if look.changed(owner.side) or owner.drift is Drift.REVERT:
        return _carry(group, look, Row.DRIFT, owner.side.other, mine)
    if owner.drift is Drift.ADOPT:
        return _carry(group, look, Row.DRIFT, owner.side, theirs)
    return _accept(group, look, Row.DRIFT, "drift" if owner.drift is Drift.REPORT else None)


def _leave(group: Group, look: Look, row: Row, reason: str | None = None) -> Decision:
    return Decision(look.field.name, group.name, row, look.versions, group.policy_of(look.field), reason=reason)


def _accept(group: Group, look: Look, row: Row, reason: str | None = None) -> Decision:
    policy = group.policy_of(look.field)
    return Decision(look.field.name, group.name, row, look.versions, policy, agreed=True, reason=reason)


def _carry(group: Group, look: Look, row: Row, target: Side, value: Seen) -> Decision:
    """One side's change to the other; an emptied value only where it may travel."""
    if value is None:
        if look.field.required:
            return _leave(group, look, Row.BLOCKED, "required")
        if not group.allow_clear:
            return _accept(group, look, Row.CLEARED, "clear_not_allowed")
        row = Row.DRIFT if row is Row.DRIFT else Row.CLEARED
    return _write(group, look, row, (target,), value)


def _settle(group: Group, look: Look, row: Row, answer: Settled | Defer) -> Decision:
    """A settled value to every side that does not hold it already."""
    if isinstance(answer, Defer):
        return _leave(group, look, row, answer.reason)
    value: Seen = answer[look.field.name]
    if value is None and not group.allow_clear:
        value = look.versions.left if look.versions.right is None else look.versions.right
    if value is None and look.field.required:
        return _leave(group, look, Row.BLOCKED, "required")
    targets = tuple(side for side in WRITE_ORDER if not same(look.field, value, look.versions.on(side)))
    return _write(group, look, row, targets, value)


def _write(group: Group, look: Look, row: Row, targets: tuple[Side, ...], value: Seen) -> Decision:
    """The write, without the sides that would ignore it."""
    field, writes = look.field, targets
    if field.create_only or field.read_only:
        writes = tuple([side for side in targets if not field.ignored_by(side)])
        if len(writes) < len(targets):
            row = Row.READ_ONLY
    policy = group.policy_of(field)
    if row is Row.READ_ONLY:
        return Decision(field.name, group.name, row, look.versions, policy, writes, value, not writes, "read_only")
    return Decision(field.name, group.name, row, look.versions, policy, writes, value)


def _ask(
    group: Group, strategy: ConflictStrategy, looks: Sequence[Look], left: Snapshot, right: Snapshot
) -> Settled | Defer:
    """The strategy's answer; a wrong one, or a failure of a function of the user's, is for a person.

    So one record that a strategy can't deal with stops neither its other groups nor anybody else.
    """
    conflict = Conflict(
        group=group.name,
        fields={look.field.name: look.contested() for look in looks},
        left_modified_at=None if left.modified_by_us else left.modified_at,
        right_modified_at=None if right.modified_by_us else right.modified_at,
    )
    try:
        answer = strategy(conflict)
    except Exception as error:  # it is not ours: whatever it raises is told by its name
        return Defer(f"strategy_failed:{type(error).__name__}")
    if isinstance(answer, Defer):
        return answer if is_code(answer.reason) else Defer("strategy_reason")
    return answer if _answers(conflict, answer) else Defer("strategy_answer")


def _answers(conflict: Conflict, answer: object) -> bool:
    """Whether this is a value for every field of the conflict, and for no other."""
    return (
        isinstance(answer, Mapping)
        and answer.keys() == conflict.fields.keys()
        and all(is_value(value) for value in answer.values())
    )


_DEFERRED = (Row.BOTH_CHANGED, Row.FIRST_CONTACT)


def _needs_a_person(group: Group, decisions: Sequence[Decision]) -> Review | None:
    """The review that freezes the group, if one of its fields can't be decided."""
    for kind, rows in ((ReviewKind.BLOCKED, (Row.BLOCKED,)), (ReviewKind.CONFLICT, _DEFERRED)):
        stuck = [decision for decision in decisions if decision.row in rows and decision.reason is not None]
        if stuck:
            fields = {decision.field: decision.versions for decision in stuck}
            return Review(kind, stuck[0].reason or kind.value, group.name, fields)
    return None


def _withhold(decision: Decision) -> Decision:
    """The same decision in a group that waits for a person: nothing is written."""
    if not decision.writes:
        return decision
    return attrs.evolve(decision, row=Row.FROZEN, writes=(), result=ABSENT, agreed=False)


def _told_once(decision: Decision) -> Review | None:
    """A task about a field that one side ignores, or does not own, with the values that the plan leaves behind."""
    if decision.row is Row.READ_ONLY:
        kind = ReviewKind.READ_ONLY
    elif decision.row is Row.DRIFT and decision.reason == "drift":
        kind = ReviewKind.DRIFT
    else:
        return None
    left, right = (
        decision.result if side in decision.writes else decision.versions.on(side) for side in (Side.LEFT, Side.RIGHT)
    )
    versions = attrs.evolve(decision.versions, left=left, right=right)
    return Review(kind, kind.value, decision.group, {decision.field: versions})


def writes_of(decisions: Sequence[Decision], left: Snapshot, right: Snapshot) -> tuple[Write, ...]:
    """One write for each side that these decisions give something to, in the order in which they are sent."""
    to_right: dict[str, Value] = {}
    to_left: dict[str, Value] = {}
    for decision in decisions:
        for side in decision.writes:
            if decision.result is not ABSENT:
                (to_right if side is Side.RIGHT else to_left)[decision.field] = decision.result
    right_write = (Write(Side.RIGHT, Verb.UPDATE, to_right, right.version),) if to_right else ()
    left_write = (Write(Side.LEFT, Verb.UPDATE, to_left, left.version),) if to_left else ()
    return (*right_write, *left_write)  # in WRITE_ORDER


def _one_is_gone(policy: Policy, base: Mapping[str, Agreement], left: Snapshot, right: Snapshot) -> Plan:
    """A deletion: nobody's edit is deleted with it, and nothing is deleted against the policy."""
    if (left.gone and right.gone) or policy.on_delete is OnDelete.IGNORE:
        return Plan(ends=True)
    lost, kept = (Side.LEFT, Side.RIGHT) if left.gone else (Side.RIGHT, Side.LEFT)
    survivor = right if left.gone else left
    if not base or survivor.unreadable or any(_is_news(field, survivor, base, kept) for field in policy.fields):
        return Plan(reviews=(Review(ReviewKind.GONE, f"deleted_{lost.value}_edited_{kept.value}"),))
    if policy.on_delete in (OnDelete.PROPAGATE, OnDelete.ARCHIVE):
        return Plan(writes=(Write(kept, Verb.DELETE, expect=survivor.version),), ends=True)
    return Plan(reviews=(Review(ReviewKind.GONE, f"deleted_{lost.value}"),))


def _is_news(field: Field, survivor: Snapshot, base: Mapping[str, Agreement], side: Side) -> bool:
    """Whether the survivor of a deletion holds something that the other side never had."""
    value = survivor.fields.get(field.name, ABSENT)
    if value is ABSENT:
        return False
    return not same(field, value, base[field.name].on(side) if field.name in base else None)
