"""Entries of the decision log: what was decided for a link and why, stored before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bidisync.detectors import dated
from bidisync.guards import Act, acts_of
from bidisync.model import Decision, Plan, Side, Snapshot, Verb
from bidisync.parts import Parts
from bidisync.replay import grounds_of, kept
from bidisync.state import Grounds, Journaled, Link


def journaled(
    parts: Parts,
    link: Link,
    what: str,
    decisions: Iterable[Decision] = (),
    *,
    reason: str = "",
    acts: Iterable[str] = (),
    grounds: Grounds | None = None,
) -> Journaled:
    """An entry of now. Decisions that change nothing and ask nobody leave no trace."""
    asked = bool(link.approved)
    counted = tuple(act for act in acts if parts.run.counts(act, approved=asked))
    traces = kept(decisions)
    return Journaled(
        link.id,
        parts.clock.now(),
        what,
        traces,
        reason=reason,
        run=parts.run.id,
        acts=counted,
        grounds=grounds if traces else None,
    )


def of_plan(parts: Parts, before: Link, plan: Plan, looks: Mapping[Side, Snapshot]) -> list[Journaled]:
    """What is to be remembered of a plan; nothing for one that says what was known before."""
    if any(write.verb is Verb.DELETE for write in plan.writes):
        return [journaled(parts, before, "delete", plan.decisions, acts=acts_of(plan))]
    if plan.ends:
        return [journaled(parts, before, "end")]
    if plan.writes:
        grounds = _grounds(parts, before, plan, looks)
        return [journaled(parts, before, "update", plan.decisions, acts=acts_of(plan), grounds=grounds)]
    opened = [review for review in plan.reviews if not _known(before, review.kind, review.group, review.reason)]
    if opened:
        grounds = _grounds(parts, before, plan, looks)
        return [journaled(parts, before, "review", plan.decisions, reason=opened[0].reason, grounds=grounds)]
    if plan.agreed:
        return [journaled(parts, before, "agree", plan.decisions, grounds=_grounds(parts, before, plan, looks))]
    return []


def _grounds(parts: Parts, before: Link, plan: Plan, looks: Mapping[Side, Snapshot]) -> Grounds | None:
    """What the plan was made from, as the engine gave it to ``reconcile``."""
    if not plan.decisions:
        return None
    left, right = (dated(looks[s], before.shadow(s), parts.replica(s).capabilities.clock) for s in Side)
    return grounds_of(parts.policy, before.base, left, right, before.reviews, plan.decisions)


def _known(link: Link, *what: object) -> bool:
    return any((review.kind, review.group, review.reason) == what for review in link.reviews)


def of_create(parts: Parts, link: Link, plan: Plan, side: Side) -> Journaled:
    """What is to be remembered of a record that is made on that side."""
    grounds = Grounds(parts.policy.name_of(decision.group for decision in plan.decisions))
    return journaled(parts, link, "create", plan.decisions, acts=[Act.CREATE.on(side)], grounds=grounds)
