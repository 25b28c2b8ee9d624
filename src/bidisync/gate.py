"""Whether a plan may go: guards say no, an operator's approval of exactly this plan says yes."""

from __future__ import annotations

from bidisync.guards import digest
from bidisync.model import Plan, Review, ReviewKind
from bidisync.parts import Parts
from bidisync.state import Link


def held(parts: Parts, link: Link, plan: Plan, secret: bytes) -> Review | None:
    """The review under which the plan waits; ``None`` if it may be carried out."""
    if not plan.writes:
        return None
    reason = parts.guard(link, plan) or parts.run.holds(plan)
    if reason is None:
        return None
    name = digest(plan, link, secret)
    return None if link.approved == name else Review(ReviewKind.HELD, reason, plan=name)
