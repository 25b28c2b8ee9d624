"""What a remote made of a write: stored, ignored, altered or refused, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bidisync.errors import Rejected, Unmappable
from bidisync.model import ABSENT, Fields, Review, ReviewKind, Seen, Side, Snapshot, Verb, Versions, Write
from bidisync.parts import Parts
from bidisync.schema import alike
from bidisync.state import ALTERED, DELETE_REFUSED

Looks = Mapping[Side, Snapshot]
"""Both records of a link as they were seen."""


def proven(parts: Parts, write: Write, before: Fields, now: Fields) -> tuple[tuple[str, ...], tuple[Review, ...]]:
    """Which fields the remote stored (or plainly ignored), and what a person must be told of the others."""
    stored, reviews = [], []
    for name, sent in write.fields.items():
        field, got = parts.policy.field(name), now.get(name, ABSENT)
        if got is ABSENT:
            continue
        if same_value(parts, name, got, sent):
            stored.append(name)
            continue
        ignored = same_value(parts, name, got, before.get(name))
        versions = Versions(ABSENT, sent, got) if write.side is Side.RIGHT else Versions(ABSENT, got, sent)
        if ignored:
            stored.append(name)
            reviews.append(Review(ReviewKind.READ_ONLY, "ignored", field.group, {name: versions}))
        else:
            reviews.append(Review(ReviewKind.BLOCKED, ALTERED, field.group, {name: versions}))
    return tuple(stored), tuple(reviews)


LEFT_OVER = "left_over"
"""The reason under which a person is asked to end what nothing else can end."""


def left_over(parts: Parts, looks: Looks) -> tuple[Review, ...]:
    """A review for each list beside which something stands that only a person can end."""
    left, right = (looks[side].fields if side in looks else {} for side in Side)
    return tuple(
        Review(
            ReviewKind.READ_ONLY,
            LEFT_OVER,
            parts.policy.field(name).group,
            {name: Versions(ABSENT, left.get(name, ABSENT), right.get(name, ABSENT))},
        )
        for snapshot in looks.values()
        for name in sorted(snapshot.left_over)
    )


def refused(parts: Parts, write: Write, looks: Looks, error: Rejected | Unmappable) -> list[Review]:
    """A review for each group of a refused write; only for the named field's, if the error names one.

    A deletion has no groups: the whole record waits for a person.
    """
    if write.verb is Verb.DELETE:
        return [Review(ReviewKind.GONE, DELETE_REFUSED)]
    fields = [parts.policy.field(name) for name in write.fields]
    blamed = [field for field in fields if field.name == error.field] or fields
    left, right = (looks[side].fields if side in looks else {} for side in Side)
    reviews = {
        field.group: Review(
            ReviewKind.BLOCKED,
            error.reason,
            field.group,
            {
                other.name: Versions(ABSENT, left.get(other.name, ABSENT), right.get(other.name, ABSENT))
                for other in blamed
                if other.group == field.group
            },
        )
        for field in blamed
    }
    return list(reviews.values())


def same_value(parts: Parts, name: str, one: Seen, other: Seen) -> bool:
    """Whether two spellings of a field mean the same; one that no policy knows has no spellings."""
    return alike(parts.policy.key_of(name), one, other)


def moved(parts: Parts, expected: Fields, now: Fields, *, ignore: Iterable[str]) -> bool:
    """Whether somebody else changed the record while we wrote other fields of it."""
    ignored = set(ignore)
    for name, value in now.items():
        before = expected.get(name, ABSENT)
        if value == before or name in ignored or value is ABSENT or before is ABSENT:
            continue
        if not same_value(parts, name, value, before):
            return True
    return False
