"""The decision: three versions of a record in, a plan out. Pure, and the heart of it all.

For every field there are three versions: what both sides last *agreed* on (the base), and
what *left* and *right* hold now. A side *changed* a field if its value differs from its own
value in the base; both *agree* if their keys are equal, spelling aside. From these three
yes-or-noes follows the row of the table:

| row | base | left changed | right changed | agree | what happens |
|---|---|---|---|---|---|
| 1 | yes | no | no | any | nothing, also where the spellings differ |
| 2 | yes | yes | no | no | the left value is written to the right |
| 3 | yes | no | yes | no | the right value is written to the left |
| 4 | yes | yes | yes | yes | no write; the base moves |
| 4b, 4c | yes | one of them | | yes | no write: the other side has it already |
| 5 | yes | yes | yes | no | the group's strategy settles it, or a person |
| 6 | no | | | yes | adopted without a write |
| 7 | no | | | no | first contact: the group's initial policy |
| 9 | yes | emptied | no | no | emptied on the other side too, if the policy allows it |
| 10 | | | | | a value was not delivered: not a change, the field is left alone |
| 11 | | | | | refused or impossible: the group is left alone until a value changes |
| 12 | | | | | a conflict of the group is open: nothing is written |
| 14 | | | | | the target ignores the field: a person is told once, the base accepts it |

A field that only one side changed keeps that change under every strategy: strategies see
rows 5 alone. What needs a person freezes its whole group, and no other. The base moves only
for fields that agree, or whose difference was accepted; for written fields the engine moves
it once the write is acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from bidisync.model import (
    ABSENT,
    Conflict,
    Contested,
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
from bidisync.schema import Field, Group, Initial, OnDelete, Policy
from bidisync.state import Agreement

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

    The same input gives the same plan. Applied, the plan leaves nothing to do.
    """
    if left.gone or right.gone:
        return _one_is_gone(policy, base, left, right)
    decisions: list[Decision] = []
    kept: list[Review] = []
    for group, fields in policy.members:
        looks = [_Look.at(field, base.get(field.name), left, right) for field in fields]
        open_reviews = [review for review in reviews if review.group == group.name]
        settled, waiting = _decide_group(group, looks, open_reviews, left, right)
        decisions += settled
        kept += waiting
    return Plan(
        decisions=tuple(decisions),
        writes=_writes(decisions, left, right),
        agreed=tuple(decision.field for decision in decisions if decision.agreed),
        reviews=tuple(kept),
    )


@attrs.frozen
class _Look:
    """One field as it is: its versions, and the yes-or-noes that lead to its row."""

    field: Field
    versions: Versions
    known: bool  # there is a base
    left_changed: bool
    right_changed: bool
    agree: bool
    readable: bool

    @classmethod
    def at(cls, field: Field, agreed: Agreement | None, left_now: Snapshot, right_now: Snapshot) -> _Look:
        left, right = (now.fields.get(field.name, ABSENT) for now in (left_now, right_now))
        known = agreed is not None and agreed.left is not ABSENT and agreed.right is not ABSENT
        return cls(
            field=field,
            versions=Versions(agreed.left if agreed is not None and known else ABSENT, left, right),
            known=known,
            left_changed=agreed is not None and not _same(field, left, agreed.left),
            right_changed=agreed is not None and not _same(field, right, agreed.right),
            agree=_same(field, left, right),
            readable=field.name not in left_now.unreadable | right_now.unreadable,
        )

    def contested(self) -> Contested:
        """The field for a strategy, which is asked only about what was delivered."""
        base, left, right = self.versions.base, self.versions.left, self.versions.right
        if left is ABSENT or right is ABSENT:
            raise ValueError("a field that was not delivered is never contested")
        return Contested(base, left, right)

    @property
    def delivered(self) -> bool:
        return self.versions.left is not ABSENT and self.versions.right is not ABSENT


def _same(field: Field, one: Seen, other: Seen) -> bool:
    if one is other or one == other:
        return True
    if one is ABSENT or other is ABSENT or one is None or other is None:
        return False
    return field.key(one) == field.key(other)


def _decide_group(
    group: Group, looks: Sequence[_Look], open_reviews: Sequence[Review], left: Snapshot, right: Snapshot
) -> tuple[list[Decision], list[Review]]:
    frozen = _still_frozen(looks, open_reviews)
    if frozen is not None:
        row = Row.FROZEN if frozen.kind is ReviewKind.CONFLICT else Row.BLOCKED
        return [_leave(group, look, row, frozen.reason) for look in looks], [frozen]
    decisions = _decide_fields(group, looks, left, right)
    review = _needs_a_person(group, decisions)
    if review is not None:
        return [_withhold(decision) for decision in decisions], [review]
    tasks = [_read_only_review(look, decision) for look, decision in zip(looks, decisions, strict=True)]
    kept = [review for look in looks for review in open_reviews if _still_differs(look, review)]
    return decisions, kept + [task for task in tasks if task is not None]


def _still_frozen(looks: Sequence[_Look], open_reviews: Sequence[Review]) -> Review | None:
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


def _unmoved(look: _Look, before: Versions) -> bool:
    return look.versions.left == before.left and look.versions.right == before.right


def _still_differs(look: _Look, review: Review) -> bool:
    name = look.field.name
    return (
        review.kind is ReviewKind.READ_ONLY
        and name in review.fields
        and not look.agree
        and _unmoved(look, review.fields[name])
    )


def _decide_fields(group: Group, looks: Sequence[_Look], left: Snapshot, right: Snapshot) -> list[Decision]:
    if group.unit:
        differing = [look for look in looks if look.delivered and look.known and not look.agree]
        if any(look.left_changed for look in differing) and any(look.right_changed for look in differing):
            answers = _ask_strategy(group, differing, left, right)
            contested = {look.field.name for look in differing}
            return [
                _settle(group, look, Row.BOTH_CHANGED, answers)
                if look.field.name in contested
                else _decide_field(group, look, left, right)
                for look in looks
            ]
    return [_decide_field(group, look, left, right) for look in looks]


def _decide_field(group: Group, look: _Look, left: Snapshot, right: Snapshot) -> Decision:
    """The table, row by row."""
    versions = look.versions
    if not look.readable:
        return _leave(group, look, Row.BLOCKED, "unmappable")
    if not look.delivered:
        return _leave(group, look, Row.NOT_DELIVERED)
    if not look.known:
        if look.agree:
            return _accept(group, look, Row.ADOPTED)
        return _settle(group, look, Row.FIRST_CONTACT, _first_contact(group, look))
    match look.left_changed, look.right_changed, look.agree:
        case False, False, _:
            return _leave(group, look, Row.UNCHANGED)
        case True, True, True:
            return _accept(group, look, Row.SAME_CHANGE)
        case True, False, True:
            return _accept(group, look, Row.LEFT_RESPELLED)
        case False, True, True:
            return _accept(group, look, Row.RIGHT_RESPELLED)
        case True, False, False:
            return _carry(group, look, Row.LEFT_CHANGED, Side.RIGHT, versions.left)
        case False, True, False:
            return _carry(group, look, Row.RIGHT_CHANGED, Side.LEFT, versions.right)
        case _:
            return _settle(group, look, Row.BOTH_CHANGED, _ask_strategy(group, [look], left, right))


def _leave(group: Group, look: _Look, row: Row, reason: str | None = None) -> Decision:
    return Decision(look.field.name, group.name, row, look.versions, group.policy, reason=reason)


def _accept(group: Group, look: _Look, row: Row, reason: str | None = None) -> Decision:
    return Decision(look.field.name, group.name, row, look.versions, group.policy, agreed=True, reason=reason)


def _carry(group: Group, look: _Look, row: Row, target: Side, value: Seen) -> Decision:
    """One side's change to the other; an emptied value only where it may travel."""
    if value is None:
        if look.field.required:
            return _leave(group, look, Row.BLOCKED, "required")
        if not group.allow_clear:
            return _accept(group, look, Row.CLEARED, "clear_not_allowed")
        row = Row.CLEARED
    return _write(group, look, row, (target,), value)


def _settle(group: Group, look: _Look, row: Row, answer: Settled | Defer) -> Decision:
    """A settled value to every side that does not hold it already."""
    if isinstance(answer, Defer):
        return _leave(group, look, row, answer.reason)
    value = answer[look.field.name]
    if value is None and look.field.required:
        return _leave(group, look, Row.BLOCKED, "required")
    targets = tuple(side for side in WRITE_ORDER if not _same(look.field, value, look.versions.on(side)))
    return _write(group, look, row, targets, value)


def _write(group: Group, look: _Look, row: Row, targets: tuple[Side, ...], value: Seen) -> Decision:
    """The write, without the sides that would ignore it."""
    writes = tuple(side for side in targets if side not in look.field.ignored_by)
    ignored = len(writes) < len(targets)
    return Decision(
        field=look.field.name,
        group=group.name,
        row=Row.READ_ONLY if ignored else row,
        versions=look.versions,
        policy=group.policy,
        writes=writes,
        result=value,
        agreed=ignored and not writes,
        reason="read_only" if ignored else None,
    )


def _first_contact(group: Group, look: _Look) -> Settled | Defer:
    name, left, right = look.field.name, look.versions.left, look.versions.right
    match group.initial:
        case Initial.LEFT if left is not ABSENT:
            return {name: left}
        case Initial.RIGHT if right is not ABSENT:
            return {name: right}
        case Initial.FILL_BLANKS if left is None and right is not ABSENT:
            return {name: right}
        case Initial.FILL_BLANKS if right is None and left is not ABSENT:
            return {name: left}
        case _:
            return Defer("first_contact")


def _ask_strategy(group: Group, looks: Sequence[_Look], left: Snapshot, right: Snapshot) -> Settled | Defer:
    conflict = Conflict(
        group=group.name,
        fields={look.field.name: look.contested() for look in looks},
        left_modified_at=None if left.modified_by_us else left.modified_at,
        right_modified_at=None if right.modified_by_us else right.modified_at,
    )
    answer = group.strategy(conflict)
    if isinstance(answer, Defer) or set(answer) == set(conflict.fields):
        return answer
    return Defer("strategy_answer")


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


def _read_only_review(look: _Look, decision: Decision) -> Review | None:
    """A task about a field that one side ignores, with the values that the plan leaves behind."""
    if decision.row is not Row.READ_ONLY:
        return None
    left, right = (
        decision.result if side in decision.writes else look.versions.on(side) for side in (Side.LEFT, Side.RIGHT)
    )
    versions = attrs.evolve(look.versions, left=left, right=right)
    return Review(ReviewKind.READ_ONLY, "read_only", decision.group, {look.field.name: versions})


def _writes(decisions: Sequence[Decision], left: Snapshot, right: Snapshot) -> tuple[Write, ...]:
    writes = []
    for side in WRITE_ORDER:
        fields: dict[str, Value] = {
            decision.field: decision.result
            for decision in decisions
            if side in decision.writes and decision.result is not ABSENT
        }
        if fields:
            seen = left if side is Side.LEFT else right
            writes.append(Write(side, Verb.UPDATE, fields, expect=seen.version))
    return tuple(writes)


def _one_is_gone(policy: Policy, base: Mapping[str, Agreement], left: Snapshot, right: Snapshot) -> Plan:
    """A deletion: nobody's edit is deleted with it, and nothing is deleted against the policy."""
    if (left.gone and right.gone) or policy.on_delete is OnDelete.IGNORE:
        return Plan(ends=True)
    lost, kept = (Side.LEFT, Side.RIGHT) if left.gone else (Side.RIGHT, Side.LEFT)
    survivor = right if left.gone else left
    edited = not base or any(
        field.name in base and not _same(field, survivor.fields.get(field.name, ABSENT), base[field.name].on(kept))
        for field in policy.fields
        if survivor.fields.get(field.name, ABSENT) is not ABSENT
    )
    if edited:
        return Plan(reviews=(Review(ReviewKind.GONE, f"deleted_{lost.value}_edited_{kept.value}"),))
    if policy.on_delete is OnDelete.PROPAGATE:
        return Plan(writes=(Write(kept, Verb.DELETE, expect=survivor.version),), ends=True)
    return Plan(reviews=(Review(ReviewKind.GONE, f"deleted_{lost.value}"),))
