"""Entries of the decision log: what was decided for a link and why, stored before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bidisync.guards import Act, acts_of
from bidisync.model import ABSENT, Decision, Plan, Row, Side, Value, Verb, Versions
from bidisync.parts import Parts
from bidisync.state import Journaled, Link


def journaled(
    parts: Parts,
    link: Link,
    what: str,
    decisions: Iterable[Decision] = (),
    *,
    reason: str = "",
    acts: Iterable[str] = (),
) -> Journaled:
    """An entry of now. Decisions that change nothing and ask nobody leave no trace."""
    kept = tuple(d for d in decisions if d.writes or d.agreed or (d.reason and d.row is not Row.NOT_DELIVERED))
    asked = bool(link.approved)
    counted = tuple(act for act in acts if parts.run.counts(act, approved=asked))
    return Journaled(link.id, parts.clock.now(), what, kept, reason=reason, run=parts.run.id, acts=counted)


def of_plan(parts: Parts, before: Link, plan: Plan) -> list[Journaled]:
    """What is to be remembered of a plan; nothing for one that says what was known before."""
    if any(write.verb is Verb.DELETE for write in plan.writes):
        return [journaled(parts, before, "delete", plan.decisions, acts=acts_of(plan))]
    if plan.ends:
        return [journaled(parts, before, "end")]
    if plan.writes:
        return [journaled(parts, before, "update", plan.decisions, acts=acts_of(plan))]
    opened = [review for review in plan.reviews if not _known(before, review.kind, review.group, review.reason)]
    if opened:
        return [journaled(parts, before, "review", plan.decisions, reason=opened[0].reason)]
    return [journaled(parts, before, "agree", plan.decisions)] if plan.agreed else []


def _known(link: Link, *what: object) -> bool:
    return any((review.kind, review.group, review.reason) == what for review in link.reviews)


def of_create(parts: Parts, link: Link, plan: Plan, side: Side) -> Journaled:
    """What is to be remembered of a record that is made on that side."""
    return journaled(parts, link, "create", plan.decisions, acts=[Act.CREATE.on(side)])


def new_record(parts: Parts, payload: Mapping[str, Value], source: Side) -> list[Decision]:
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
        for field in parts.policy.fields
        if (value := payload.get(field.name)) is not None
    ]
