"""Whether a plan may go: guards say no, an operator's approval of exactly this plan says yes."""

from __future__ import annotations

from bidisync.errors import Moved
from bidisync.guards import digest
from bidisync.model import Plan, Review, ReviewKind
from bidisync.parts import Parts
from bidisync.state import Link


def held(parts: Parts, link: Link, plan: Plan, secret: bytes) -> Review | None:
    """The review under which the plan waits; ``None`` if it may be carried out.

    ``Moved`` where only saved plans are carried out, and this is none of them.
    """
    if not plan.writes:
        return None
    if parts.run.only is not None and parts.run.only.get(link.id) != digest(plan, link, parts.run.key):
        raise Moved("the record moved since its plan was saved")
    reason = parts.guard(link, plan) or parts.run.holds(plan)
    if reason is None:
        return None
    name = digest(plan, link, secret)
    return None if link.approved == name else Review(ReviewKind.HELD, reason, plan=name)
