"""Values that a person decided on: written to both sides over whatever the policy says.

Pure, and beside ``reconcile``: the fields that the person decided are taken out of its sight,
everything else of the record is decided as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from bidisync.look import Look, same
from bidisync.model import ABSENT, Decision, Plan, Review, Row, Seen, Snapshot, Versions
from bidisync.reconcile import WRITE_ORDER, reconcile, writes_of
from bidisync.schema import Policy
from bidisync.state import Agreement
from bidisync.values import value_of

Choose = Callable[[str, Versions], Seen]
"""A field's name and its versions in, the value that both sides shall hold out; ``ABSENT`` leaves it alone."""


def impose(
    policy: Policy,
    base: Mapping[str, Agreement],
    left: Snapshot,
    right: Snapshot,
    reviews: Sequence[Review],
    choose: Choose,
    by: str,
) -> Plan:
    """The plan that gives both sides the chosen values, and does for every other field what is due.

    A side that takes no change of a field keeps its own. ``by`` says in the decision whose
    choice it was. A choice that is no value is a ``TypeError``.
    """
    decisions = [
        decision
        for field in policy.fields
        if (decision := _decided(policy, field.name, base, left, right, choose, by)) is not None
    ]
    chosen = {decision.field for decision in decisions}
    agreed = {d.field: Agreement(d.versions.left, d.versions.right) for d in decisions}
    others = [kept for review in reviews if (kept := _without(chosen, review)) is not None]
    rest = reconcile(policy, {**base, **agreed}, left, right, others)
    every = [*decisions, *(decision for decision in rest.decisions if decision.field not in chosen)]
    return Plan(
        tuple(every),
        writes_of(every, left, right),
        tuple(decision.field for decision in every if decision.agreed),
        rest.reviews,
    )


def _decided(
    policy: Policy,
    name: str,
    base: Mapping[str, Agreement],
    left: Snapshot,
    right: Snapshot,
    choose: Choose,
    by: str,
) -> Decision | None:
    field = policy.field(name)
    readable = name not in left.unreadable | right.unreadable
    look = Look.at(field, base.get(name), left.fields.get(name, ABSENT), right.fields.get(name, ABSENT), readable)
    value = _chosen(name, choose(name, look.versions)) if look.readable and look.delivered else ABSENT
    if value is ABSENT or (value is None and field.required):
        return None
    different = [side for side in WRITE_ORDER if not same(field, value, look.versions.on(side))]
    writes = tuple(side for side in different if not field.ignored_by(side))
    return Decision(name, field.group, Row.DECIDED, look.versions, by, writes, value, agreed=not writes)


def _chosen(name: str, choice: object) -> Seen:
    try:
        return ABSENT if choice is ABSENT else value_of(choice)
    except TypeError as error:
        raise TypeError(f"the field {name} can't be given {error}, which is no value") from None


def _without(chosen: set[str], review: Review) -> Review | None:
    """The review without these fields; ``None`` where it has no other."""
    if not chosen & set(review.fields):
        return review
    kept = {name: versions for name, versions in review.fields.items() if name not in chosen}
    return attrs.evolve(review, fields=kept) if kept else None
