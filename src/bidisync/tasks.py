"""What people have to do by hand, each in words that say what and where.

A review is a code and the values that it was found with. A task is what becomes of it for a
person: the records, the fields by name, and a sentence that the kind of record brings along.
It holds no value, so it may go to a log, a mail or a list on the wall.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from bidisync.model import Ref, ReviewKind, Side
from bidisync.state import Link
from bidisync.storage import StateStore

Texts = Mapping[str, str]
"""Sentences by reason, by kind, or under ``""`` for everything else.

In them ``{fields}``, ``{left}``, ``{right}`` and ``{reason}`` stand for what they say.
"""


@attrs.frozen
class Task:
    """One thing to do by hand.

    ``approves`` is the digest that ``approve`` takes, where a plan is held: it lets this plan go
    and no other, however many wait.
    """

    link_id: str
    refs: tuple[Ref, ...]
    kind: ReviewKind
    reason: str
    fields: tuple[str, ...]
    text: str
    approves: str = ""


async def tasks(store: StateStore, texts: Texts) -> list[Task]:
    """Everything about which a person is asked, by link; each review is one task."""
    return [task for link in await store.waiting() for task in of_link(link, texts)]


def of_link(link: Link, texts: Texts) -> list[Task]:
    """The tasks of one link."""
    found = []
    for review in link.reviews:
        fields = tuple(review.fields)
        text = texts.get(review.reason) or texts.get(review.kind.value) or texts.get("") or review.reason
        said = text.format(
            fields=", ".join(fields),
            left=link.on(Side.LEFT) or "-",
            right=link.on(Side.RIGHT) or "-",
            reason=review.reason,
        )
        found.append(Task(link.id, link.refs, review.kind, review.reason, fields, said, review.plan))
    return found
