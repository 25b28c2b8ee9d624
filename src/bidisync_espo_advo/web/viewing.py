"""What pages show of links: cards of what waits, lines of versions, entries of a timeline, values masked or not."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

import attrs

from bidisync.create import UNCONFIRMED
from bidisync.model import ABSENT, Decision, Ref, Review, ReviewKind, Seen, Side, Versions
from bidisync.rest import to_rest
from bidisync.state import Journaled, Link
from bidisync_espo_advo.desk import TAKES, picks
from bidisync_espo_advo.explaining import Mask
from bidisync_espo_advo.fields import PARTY

_REQUIRED = frozenset(field.name for field in PARTY if field.required)
_GROUP = {field.name: field.group for field in PARTY}


@attrs.frozen
class Cell:
    """One value: ``kind`` is ``value``, ``masked``, ``empty`` or ``absent``."""

    kind: str
    text: str = attrs.field(default="", repr=False)

    @classmethod
    def of(cls, value: Seen, *, masked: bool) -> Cell:
        """What to show of a value."""
        if value is ABSENT:
            return cls("absent")
        if value is None or value == "":
            return cls("empty")
        return cls("masked" if masked else "value", str(value))


@attrs.frozen
class Line:
    """A field with its versions, and which sides differ from what was agreed on."""

    field: str
    base: Cell
    left: Cell
    right: Cell
    result: Cell
    moved: frozenset[str] = frozenset()

    @classmethod
    def of(cls, field: str, versions: Versions, mask: Mask, result: Seen = ABSENT) -> Line:
        """The line of this field."""
        seen = (versions.base, versions.left, versions.right, result)
        base, left, right, after = (Cell.of(shown, masked=not mask.shows) for shown in mask.each(*seen))
        moved = {side.value for side in Side if versions.base not in (versions.on(side), ABSENT)}
        return cls(field, base, left, right, after, frozenset(moved))


@attrs.frozen
class Who:
    """A link as pages name it: by its two numbers, and by its name where values are shown."""

    id: str
    left: str | None
    right: str | None
    state: str
    name: str = attrs.field(default="", repr=False)

    @classmethod
    def of(cls, link: Link, mask: Mask) -> Who:
        """How to name this link."""
        name = name_of(link) if mask.shows else ""
        return cls(link.id, link.left_id, link.right_id, link.state.value, name)

    @property
    def path(self) -> str:
        """The address of its page."""
        return path_of(Ref.parse(self.id))


def path_of(ref: Ref) -> str:
    """The address of a record's page: an id, never a name."""
    return f"/records/{ref.side.value}/{quote(ref.id, safe='')}"


def name_of(link: Link) -> str:
    """The name of a party as it was last seen on either side."""
    parts = (seen_of(link, name) for name in ("title", "given_name", "family_name"))
    return " ".join(part for part in parts if part)


def seen_of(link: Link, field: str) -> str:
    """A field as it was last seen, EspoCRM first; empty where nobody knows."""
    for shadow in (link.left_shadow, link.right_shadow):
        value = ABSENT if shadow is None else shadow.fields.get(field, ABSENT)
        if value is not ABSENT and value is not None:
            return str(value)
    return ""


@attrs.frozen
class Card:
    """Something that waits for a person.

    ``takes`` are the values that may be taken, ``acts`` what else can be done about it here;
    ``seen`` names what was shown.
    """

    who: Who
    dom: str
    kind: str
    reason: str
    group: str
    lines: tuple[Line, ...]
    takes: tuple[str, ...]
    seen: str
    acts: tuple[str, ...] = ()
    plan: str = ""


def cards(links: Iterable[Link], mask: Mask, secret: str) -> list[Card]:
    """What waits in these links, but what a guard holds: that waits for an approval of its own."""
    return [
        card_of(link, number, mask, secret)
        for link in links
        for number, review in enumerate(link.reviews)
        if not review.plan
    ]


def card_of(link: Link, number: int, mask: Mask, secret: str) -> Card:
    """The card of one review of a link."""
    review = link.reviews[number]
    lines = tuple(Line.of(name, versions, mask) for name, versions in review.fields.items())
    seen = seen_name(link, review, secret)
    kind, takes = review.kind.value, takes_of(review)
    who = Who.of(link, mask)
    return Card(who, f"card-{seen}", kind, review.reason, review.group, lines, takes, seen, acts_of(review))


def seen_name(link: Link, review: Review, secret: str) -> str:
    """The name of exactly what a page showed: with any other value it is another one."""
    text = f"{link.id}\x1f{to_rest(review)}"
    return hmac.new(secret.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:20]


def takes_of(review: Review) -> tuple[str, ...]:
    """The answers that every field of the review has; without a group nobody can answer here."""
    if not review.group or not review.fields:
        return ()
    if review.kind is ReviewKind.READ_ONLY:  # Advoware does not take another value
        return ("right",)
    return tuple(take for take in TAKES if _answers(review, take))


def acts_of(review: Review) -> tuple[str, ...]:
    """The commands that settle a review of a whole record: each is a button with its name."""
    if review.group or review.kind not in (ReviewKind.IDENTITY, ReviewKind.GONE):
        return ()
    return ("retry", "unlink") if review.reason == UNCONFIRMED else ("unlink",)


def _answers(review: Review, take: str) -> bool:
    answer = picks(take, review.group)
    given = {name: answer(name, versions) for name, versions in review.fields.items()}
    if any(value is ABSENT or (value is None and name in _REQUIRED) for name, value in given.items()):
        return False
    if take in ("left", "right"):
        return True
    return any(value not in (review.fields[name].left, review.fields[name].right) for name, value in given.items())


@attrs.frozen
class Step:
    """One field of an entry: what it was, what it became, where that was written, and why."""

    line: Line
    group: str
    row: str
    policy: str
    writes: tuple[str, ...]
    reason: str


@attrs.frozen
class Entry:
    """An entry of the timeline."""

    at: float
    what: str
    reason: str
    run: str
    steps: tuple[Step, ...]


def entries(journal: Sequence[Journaled], mask: Mask) -> list[Entry]:
    """A timeline, newest first; of each entry what was written or waits, else everything."""
    return [
        Entry(entry.at, entry.what, entry.reason, entry.run, tuple(_step(d, mask) for d in _telling(entry.decisions)))
        for entry in reversed(journal)
    ]


def _telling(decisions: Sequence[Decision]) -> Sequence[Decision]:
    told = [decision for decision in decisions if decision.writes or decision.reason]
    return told or [decision for decision in decisions if decision.agreed]


def _step(decision: Decision, mask: Mask) -> Step:
    line = Line.of(decision.field, decision.versions, mask, decision.result)
    writes = tuple(side.value for side in decision.writes)
    return Step(line, decision.group, decision.row.value, decision.policy, writes, decision.reason or "")


def standing_lines(link: Link, mask: Mask) -> Mapping[str, list[Line]]:
    """Every field as it was last seen, by its group."""
    found: dict[str, list[Line]] = {}
    for name, group in _GROUP.items():
        agreed = link.base.get(name)
        left, right = (
            ABSENT if shadow is None else shadow.fields.get(name, ABSENT)
            for shadow in (link.left_shadow, link.right_shadow)
        )
        base = ABSENT if agreed is None else agreed.left
        if not (left is ABSENT and right is ABSENT):
            found.setdefault(group, []).append(Line.of(name, Versions(base, left, right), mask))
    return found
