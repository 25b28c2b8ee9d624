"""A loop that nobody would end: the same values written to and fro, by us and by something on a side.

Pure. What was written lately is remembered per link; a write that goes round in circles
freezes its group, with the values of both sides, until one of them changes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

import attrs

from bidisync.model import Decision, Plan, Review, ReviewKind, Verb, Write
from bidisync.rest import to_rest
from bidisync.state import Link, Recent

REMEMBERED = 6
TWICE = 2
MANY = 4
MANY_WITHIN_S = 600.0
FORGOTTEN_AFTER_S = 86_400.0
REASON = "flapping"


def calm(link: Link, plan: Plan, now: float) -> Plan:
    """The plan without the groups that go round in circles; each of those has a review instead.

    A group does if the same write of it was sent twice among its last six within a day, or
    if more than four were within ten minutes and one of them came back.
    """
    if not link.recent or not plan.writes:
        return plan
    circling = [group for group, name in _digests(plan.decisions).items() if _circles(link.recent, group, name, now)]
    if not circling:
        return plan
    left_out = {decision.field for decision in plan.decisions if decision.group in circling}
    decisions = tuple(
        attrs.evolve(d, writes=(), agreed=False, reason=REASON) if d.group in circling else d for d in plan.decisions
    )
    reviews = [
        Review(
            ReviewKind.BLOCKED,
            REASON,
            group,
            {d.field: d.versions for d in plan.decisions if d.group == group and d.writes},
        )
        for group in circling
    ]
    return attrs.evolve(
        plan,
        decisions=decisions,
        writes=tuple(kept for write in plan.writes if (kept := _without(write, left_out)) is not None),
        agreed=tuple(field for field in plan.agreed if field not in left_out),
        reviews=(*(review for review in plan.reviews if review.group not in circling), *reviews),
    )


def remembered(link: Link, plan: Plan, now: float) -> tuple[Recent, ...]:
    """What to remember once the plan is sent."""
    sent = [Recent(now, group, name) for group, name in _digests(plan.decisions).items()]
    kept: Counter[str] = Counter()
    newest: list[Recent] = []
    for recent in reversed((*link.recent, *sent)):
        kept[recent.group] += 1
        if kept[recent.group] <= REMEMBERED and now - recent.at < FORGOTTEN_AFTER_S:
            newest.append(recent)
    return tuple(reversed(newest))


def _circles(recent: Iterable[Recent], group: str, name: str, now: float) -> bool:
    mine = [entry for entry in recent if entry.group == group and now - entry.at < FORGOTTEN_AFTER_S][-REMEMBERED:]
    again = sum(entry.digest == name for entry in mine)
    lately = sum(now - entry.at < MANY_WITHIN_S for entry in mine)
    return again >= TWICE or (lately > MANY and again > 0)


def _digests(decisions: Iterable[Decision]) -> dict[str, str]:
    """For each group that is written, a name of exactly what is written."""
    parts: dict[str, list[str]] = {}
    for decision in decisions:
        if decision.writes:
            what = to_rest(attrs.evolve(decision, reason=None, policy=""))
            parts.setdefault(decision.group, []).append(what)
    return {
        group: hashlib.sha256("\x1f".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        for group, texts in parts.items()
    }


def _without(write: Write, fields: set[str]) -> Write | None:
    if write.verb is not Verb.UPDATE:
        return write
    kept = {name: value for name, value in write.fields.items() if name not in fields}
    return attrs.evolve(write, fields=kept) if kept else None
