"""Nothing big happens unasked: what a plan does to people's records, and how much of that is too much.

A plan's *acts* are what a guard counts: a record made, emptied, overwritten or deleted on one
side. They are added up over a pass, before anything of it is sent, and over the last day.
Where an act would pass its bound, every plan that contains it is held for this pass, and
the rest goes on. An operator lets exactly the plans go that were shown: a plan has a digest,
and one that has moved since has another.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

import attrs

from bidisync.model import ABSENT, Decision, Plan, Review, ReviewKind, Side, Verb
from bidisync.rest import to_rest
from bidisync.state import Journaled, Link

LEAST_SAMPLE = 20
"""Fewer records than this prove nothing about all of them."""

DAY_S = 86_400.0


class Act(enum.Enum):
    """What a write does to a record of one side."""

    CREATE = "create"
    OVERWRITE = "overwrite"  # a filled field gets another value
    BLANK = "blank"  # a filled field is emptied
    DELETE = "delete"  # or archived

    def on(self, side: Side) -> str:
        """The act with its direction, as it is counted and stored."""
        return _DIRECTED[self, side]


_DIRECTED = {(act, side): f"{act.value}:{side.value}" for act in Act for side in Side}


@attrs.frozen
class Bounds:
    """How much may happen unasked on each side, in a pass and what came within a day before it.

    An act is held when it passes its number and its percentage (of all links) both; for
    overwriting and emptying the number is ``LEAST_SAMPLE`` - 1, so that 20 records are the first
    that can be too many. What is held waits for an approval, and everything else goes on.

    * ``max_deletes``, ``max_delete_percent``: records deleted or archived, whoever asked for that.
    * ``max_creates``, ``max_create_percent``: records made, save at the first contact.
    * ``max_overwrite_percent``: records of which a filled field gets another value; 100: none is held.
    * ``max_blank_percent``: records of which a filled field is emptied.
    """

    max_deletes: int = 5
    max_delete_percent: float = 2.0
    max_creates: int = 50
    max_create_percent: float = 20.0
    max_overwrite_percent: float = 20.0
    max_blank_percent: float = 5.0

    def passed(self, act: Act, count: int, links: int) -> bool:
        """Whether that many are too many."""
        number, percent = {
            Act.DELETE: (self.max_deletes, self.max_delete_percent),
            Act.CREATE: (self.max_creates, self.max_create_percent),
            Act.OVERWRITE: (LEAST_SAMPLE - 1, self.max_overwrite_percent),
            Act.BLANK: (LEAST_SAMPLE - 1, self.max_blank_percent),
        }[act]
        return count > number and count > links * percent / 100


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


def _sides(sides: Iterable[Side]) -> frozenset[Side]:
    return frozenset(sides)


@attrs.frozen
class NeedsApproval:
    """The guard that lets nobody alone give a side a value of these fields: somebody approves exactly that plan.

    For what does harm where a single person is deceived, like the account that money is paid to.

    * ``fields``: any of these, written, makes the whole plan wait: a create and an update, not a
      deletion.
    * ``sides``: only writes to these sides count; by default to both.
    * ``reason``: the code under which the plan waits. Plans of one reason are approved together.
    """

    fields: frozenset[str] = attrs.field(converter=_names)
    sides: frozenset[Side] = attrs.field(default=frozenset(Side), converter=_sides)
    reason: str = "needs_approval"

    def __call__(self, link: Link, plan: Plan) -> str | None:
        """Why the plan waits, if it writes one of the fields."""
        written = {name for write in plan.writes if write.side in self.sides for name in write.fields}
        return self.reason if written & self.fields else None


class Occasion(enum.Enum):
    """What made a pass look at records: guards of edits judge only what nobody named."""

    NAMED = "named"  # a hint, or a person who named the record
    POLL = "poll"  # what changed since the cursor
    FULL = "full"  # both lists in full


@attrs.frozen
class Run:
    """One pass, or one record that was named: its name in the journal, and what is held in it.

    ``held`` gives for an act with its direction the reason why plans that contain it wait.
    With ``only`` nothing else is carried out than the plans of these digests, by link; their
    key is ``key``. ``began`` is when the pass did, by the clock of its
    process; 0: not known.
    """

    id: str = ""
    occasion: Occasion = Occasion.NAMED
    first_contact: bool = False
    held: Mapping[str, str] = attrs.field(factory=dict)
    only: Mapping[str, str] | None = None
    key: bytes = attrs.field(default=b"", repr=False)
    links: int = 0  # how many there were when the pass began, without those that are over; 0: not counted
    began: float = 0.0

    def counts(self, act: str, *, approved: bool = False) -> bool:
        """Whether an act of this run is remembered for the bounds of the next day.

        Deletions are, whoever asked for them; what a person approved is no reason to hold the
        ordinary work that follows.
        """
        if act.startswith(Act.DELETE.value):
            return True
        if approved:
            return False
        if act.startswith(Act.CREATE.value) and self.first_contact:
            return False
        return self.occasion is not Occasion.NAMED

    def holds(self, plan: Plan) -> str | None:
        """Why this plan has to wait, if it has to."""
        if not self.held:
            return None
        return next((self.held[act] for act in acts_of(plan) if act in self.held), None)


def acts_of(plan: Plan) -> tuple[str, ...]:
    """What this plan does, each act once, in a stable order."""
    found: dict[str, None] = {}
    for write in plan.writes:
        if write.verb is Verb.CREATE:
            found[Act.CREATE.on(write.side)] = None
        elif write.verb is Verb.DELETE:
            found[Act.DELETE.on(write.side)] = None
    for decision in plan.decisions:
        act = Act.BLANK if decision.result is None else Act.OVERWRITE
        for side in decision.writes:
            if decision.versions.on(side) not in (None, ABSENT):
                found[act.on(side)] = None
    return tuple(found)


def too_much(
    bounds: Bounds,
    planned: Mapping[str, Iterable[str]],
    lately: Mapping[str, AbstractSet[str]],
    links: int,
    meeting: int = 0,
) -> dict[str, str]:
    """The acts that pass their bounds, each with the reason under which its plans are held.

    ``planned`` are the acts of each plan of the pass by link, ``lately`` the links that each act
    concerned within a day before it: one that is among both counts once. ``meeting`` more links
    are about to be made of pairs that are found to be the same; edits count against them too.
    Edits count for no more links than there are: who allows them for all of them has nothing held.
    """
    concerned: dict[str, set[str]] = {}
    for link_id, acts in planned.items():
        for act in acts:
            concerned.setdefault(act, set()).add(link_id)
    held = {}
    for act, ids in concerned.items():
        kind, number, all_of = Act(act.partition(":")[0]), len(ids | lately.get(act, frozenset())), links
        if kind in (Act.OVERWRITE, Act.BLANK):
            all_of = links + meeting
            number = max(len(ids), min(number, all_of))
        if bounds.passed(kind, number, all_of):
            held[act] = f"mass_{kind.value}"
    return held


def shrunk(before: int, now: int) -> bool:
    """Whether a list has become so much shorter that it may not be complete."""
    return before >= LEAST_SAMPLE // 2 and now < before * 0.9


def digest(plan: Plan, link: Link, secret: bytes) -> str:
    """The name of exactly this plan: another one as soon as a value in it is another.

    Keyed, so that nobody can tell the values by trying.
    """
    verbs = {write.verb for write in plan.writes}
    what = next((verb for verb in (Verb.DELETE, Verb.CREATE) if verb in verbs), Verb.UPDATE)
    return _name_of(link.id, what.value, plan.decisions, secret)


def digest_of(entry: Journaled, secret: bytes) -> str:
    """The name of the plan that this entry of the journal remembers."""
    return _name_of(entry.link_id, entry.what, entry.decisions, secret)


def _name_of(link_id: str, what: str, decisions: Iterable[Decision], secret: bytes) -> str:
    text = "\x1f".join((link_id, what, *(to_rest(decision) for decision in decisions if decision.writes)))
    return hmac.new(secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


@attrs.frozen
class HeldPlan:
    """Plans that wait for one approval: the digest to approve, the reason, and the links."""

    digest: str
    reason: str
    links: tuple[str, ...]


def held_plans(links: Iterable[Link]) -> tuple[HeldPlan, ...]:
    """What waits for approval among these links, by reason: the largest first."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for link in links:
        review = held_review(link)
        if review is not None:
            by_reason.setdefault(review.reason, []).append((link.id, review.plan))
    found = [
        HeldPlan(_of_many(pairs), reason, tuple(sorted(link_id for link_id, _ in pairs)))
        for reason, pairs in by_reason.items()
    ]
    return tuple(sorted(found, key=lambda held: (-len(held.links), held.reason)))


def held_by(links: Iterable[Link], digest: str) -> HeldPlan | None:
    """What an approval of this digest lets go: the plans of one reason together, or the plan of one link alone."""
    waiting = list(links)
    for held in held_plans(waiting):
        if held.digest == digest:
            return held
    for link in waiting:
        review = held_review(link)
        if review is not None and review.plan == digest:
            return HeldPlan(digest, review.reason, (link.id,))
    return None


def held_review(link: Link) -> Review | None:
    """The review of a link whose plan waits for an approval."""
    return next((review for review in link.reviews if review.kind is ReviewKind.HELD and review.plan), None)


def _of_many(pairs: Iterable[tuple[str, str]]) -> str:
    ordered = sorted(pairs)
    if len(ordered) == 1:
        return ordered[0][1]
    return hashlib.sha256("\x1f".join(plan for _, plan in ordered).encode()).hexdigest()[:16]
