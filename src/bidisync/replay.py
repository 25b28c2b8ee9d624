"""Decisions of the past made again, from what the log keeps of them: pure, like the decisions themselves.

The log holds of every decision its versions, and of every entry the grounds: what else went
into ``reconcile``. So the same function can be asked again, under the policy of today. Where
that policy is declared differently, the answer would say nothing about the past.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence

import attrs

from bidisync.flapping import REASON as FLAPPING
from bidisync.imposing import impose
from bidisync.model import ABSENT, Decision, Review, Row, Seen, Side, Snapshot, Value, Versions
from bidisync.reconcile import reconcile
from bidisync.schema import Policy
from bidisync.state import Agreement, Grounds, Journaled


class Repeat(enum.Enum):
    """What came of deciding an entry again."""

    SAME = "same"
    OTHER = "other"
    OTHER_POLICY = "other_policy"  # it was decided under another one than that of today
    ERASED = "erased"  # its values were forgotten
    NO_GROUNDS = "no_grounds"  # it is from before grounds were kept
    NOTHING = "nothing"  # it decided about no field


@attrs.frozen
class Replayed:
    """An entry decided again: how it compares, the fields that differ, and what is decided today."""

    repeat: Repeat
    differs: tuple[str, ...] = ()
    now: tuple[Decision, ...] = ()


def kept(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """Those that leave a trace in the log: they change something, or ask somebody."""
    return tuple(d for d in decisions if d.writes or d.agreed or (d.reason and d.row is not Row.NOT_DELIVERED))


def grounds_of(
    policy: Policy,
    base: Mapping[str, Agreement],
    left: Snapshot,
    right: Snapshot,
    reviews: Sequence[Review],
    decisions: Sequence[Decision],
) -> Grounds:
    """What ``reconcile`` was given, as far as the decisions do not hold it themselves."""
    names, traces = {d.field for d in decisions}, {d.field for d in kept(decisions)}
    agreed = {d.field: base[d.field] for d in decisions if d.field in base and d.versions.base is not ABSENT}
    return Grounds(
        policy=policy.name_of(d.group for d in decisions),
        left_version=left.version,
        right_version=right.version,
        left_edited_at=None if left.modified_by_us else left.modified_at,
        right_edited_at=None if right.modified_by_us else right.modified_at,
        respelled={name: one.right for name, one in agreed.items() if one.right != one.left},
        quiet={d.field: d.versions for d in decisions if d.field not in traces},
        unreadable=(left.unreadable | right.unreadable) & names,
        reviews=tuple(review for review in reviews if review.group),
    )


def new_record(policy: Policy, payload: Mapping[str, Value], source: Side) -> list[Decision]:
    """The decisions of a create: every value of the payload goes to the other side."""
    return [
        Decision(
            field=field.name,
            group=field.group,
            row=Row.NEW,
            versions=Versions(ABSENT, value, ABSENT) if source is Side.LEFT else Versions(ABSENT, ABSENT, value),
            policy="create",
            writes=(source.other,),
            result=value,
        )
        for field in policy.fields
        if (value := payload.get(field.name)) is not None
    ]


def replay(policy: Policy, entry: Journaled) -> Replayed:
    """Decide the entry again, and compare."""
    if not entry.decisions:
        return Replayed(Repeat.NOTHING)
    if entry.grounds is None:
        erased = all(d.versions == Versions(ABSENT, ABSENT, ABSENT) for d in entry.decisions)
        return Replayed(Repeat.ERASED if erased else Repeat.NO_GROUNDS)
    known = {field.name: field.group for field in policy.fields}
    named = [*(d.field for d in entry.decisions), *entry.grounds.quiet]
    if policy.name_of(known.get(name, "") for name in named) != entry.grounds.policy:
        return Replayed(Repeat.OTHER_POLICY)
    now = _again(policy, entry, entry.grounds)
    before, after = ({d.field: d for d in decisions} for decisions in (entry.decisions, now))
    differs = tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))
    return Replayed(Repeat.OTHER if differs else Repeat.SAME, differs, now)


def _again(policy: Policy, entry: Journaled, grounds: Grounds) -> tuple[Decision, ...]:
    first = entry.decisions[0]
    if first.row is Row.NEW:
        source = Side.RIGHT if first.versions.left is ABSENT else Side.LEFT
        values = {d.field: value for d in entry.decisions if (value := d.versions.on(source)) is not ABSENT}
        return kept(new_record(policy, values, source))
    versions = {**grounds.quiet, **{d.field: d.versions for d in entry.decisions}}
    base = {field.name: Agreement(None, None) for field in policy.fields if field.name not in versions}
    for name, one in versions.items():
        if one.base is not ABSENT:
            base[name] = Agreement(one.base, grounds.respelled.get(name, one.base))
    left, right = (_side(policy, versions, grounds, side) for side in Side)
    chosen = {d.field: d.result for d in entry.decisions if d.row is Row.DECIDED}
    if chosen:
        by = next(d.policy for d in entry.decisions if d.row is Row.DECIDED)

        def choose(name: str, _versions: Versions) -> Seen:
            return chosen.get(name, ABSENT)

        plan = impose(policy, base, left, right, grounds.reviews, choose, by)
    else:
        plan = reconcile(policy, base, left, right, grounds.reviews)
    calmed = {d.group for d in entry.decisions if d.reason == FLAPPING}
    return kept(
        attrs.evolve(d, writes=(), agreed=False, reason=FLAPPING) if d.group in calmed else d for d in plan.decisions
    )


def _side(policy: Policy, versions: Mapping[str, Versions], grounds: Grounds, side: Side) -> Snapshot:
    """A side as it was; fields that nothing is known of are as both agreed on them."""
    fields = {f.name: versions[f.name].on(side) if f.name in versions else None for f in policy.fields}
    edited_at = grounds.left_edited_at if side is Side.LEFT else grounds.right_edited_at
    return Snapshot("", fields, modified_at=edited_at, unreadable=grounds.unreadable)
