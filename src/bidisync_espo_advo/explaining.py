"""Decisions in words: tables for people and documents for programs, without anybody's data unless asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from bidisync.chain import EXPIRE, expired_before
from bidisync.clock import utc_text
from bidisync.engine import Explanation
from bidisync.model import ABSENT, Decision, Row, Seen, Side, Versions
from bidisync.state import Journaled, Link
from bidisync.table import RULE

NAMES = {Side.LEFT: "EspoCRM", Side.RIGHT: "Advoware"}
HEAD = ("field", "row", "base", "EspoCRM", "Advoware", "result", "written to", "why")


@attrs.frozen
class Mask:
    """Shows values, or only which of them are equal: the same letter is the same value."""

    shows: bool = False

    def of(self, decision: Decision) -> tuple[Seen, ...]:
        """Base, left, right and result of a decision; what is empty or was not delivered stays so."""
        versions = decision.versions
        return self.each(versions.base, versions.left, versions.right, decision.result)

    def each(self, *values: Seen) -> tuple[Seen, ...]:
        """These values of one field."""
        letters: dict[object, str] = {}
        return tuple(
            value if self.shows or value is None or value is ABSENT else _letter(value, letters) for value in values
        )


def _letter(value: Seen, letters: dict[object, str]) -> str:
    return f"‹{letters.setdefault(repr(value), chr(ord('A') + len(letters)))}›"


def _printed(value: Seen) -> str:
    """A value in a cell: on one line, and without anything that a terminal would obey."""
    if value is ABSENT:
        return "–"
    if value is None:
        return "(empty)"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))


def _told(value: Seen) -> object:
    """A value for a program: ``null`` is empty, and what was not delivered is no value at all."""
    return {"absent": True} if value is ABSENT else value


def why(decision: Decision) -> str:
    """The row's action, the policy where it mattered, and the reason code."""
    text = RULE[decision.row].action
    if decision.row in (Row.BOTH_CHANGED, Row.FIRST_CONTACT, Row.DRIFT, Row.DECIDED):
        text = f"{RULE[decision.row].name} ({decision.policy})"
    return f"{text}; {decision.reason}" if decision.reason else text


def because(entry: Journaled) -> str:
    """Why an entry was made, as people read it."""
    before = expired_before(entry.reason) if entry.what == EXPIRE else None
    return entry.reason if before is None else f"values stored before {utc_text(before)} UTC"


def line(decision: Decision, mask: Mask) -> tuple[str, ...]:
    """One field as a line of a table: see ``HEAD``."""
    written = " and ".join(NAMES[side] for side in decision.writes)
    return (decision.field, decision.row.value, *map(_printed, mask.of(decision)), written or "–", why(decision))


def versions_line(field: str, versions: Versions, mask: Mask) -> tuple[str, ...]:
    """A field that waits, as a line of a table: its name, base, left and right."""
    return (field, *map(_printed, mask.each(versions.base, versions.left, versions.right)))


def versions_document(versions: Versions, mask: Mask) -> dict[str, object]:
    """The same for a program."""
    told = map(_told, mask.each(versions.base, versions.left, versions.right))
    return dict(zip(("base", "left", "right"), told, strict=True))


def document(decision: Decision, mask: Mask) -> dict[str, object]:
    """One field for a program."""
    base, left, right, result = map(_told, mask.of(decision))
    return {
        "field": decision.field,
        "group": decision.group,
        "row": decision.row.value,
        "rule": RULE[decision.row].name,
        "policy": decision.policy,
        "base": base,
        "left": left,
        "right": right,
        "result": result,
        "writes": [side.value for side in decision.writes],
        "agreed": decision.agreed,
        "reason": decision.reason,
    }


def grouped(decisions: Iterable[Decision]) -> Mapping[str, list[Decision]]:
    """The decisions by their group, in order."""
    groups: dict[str, list[Decision]] = {}
    for decision in decisions:
        groups.setdefault(decision.group, []).append(decision)
    return groups


def entry_document(entry: Journaled, mask: Mask) -> dict[str, object]:
    """A decision of the past for a program."""
    return {
        "link": entry.link_id,
        "at": utc_text(entry.at),
        "what": entry.what,
        "reason": entry.reason,
        "fields": [document(decision, mask) for decision in entry.decisions],
    }


def explanation_document(found: Explanation, mask: Mask, group: str | None) -> dict[str, object]:
    """Everything that ``explain`` knows, for a program."""
    link = found.link
    return {
        "link": link.id,
        "left": link.left_id,
        "right": link.right_id,
        "state": link.state.value,
        "ended": ended_document(link),
        "hold": hold_document(link),
        "groups": {
            name: [document(decision, mask) for decision in decisions]
            for name, decisions in grouped(found.now).items()
            if group in (None, name)
        },
        "reviews": [
            {"kind": review.kind.value, "reason": review.reason, "group": review.group, "fields": list(review.fields)}
            for review in link.reviews
        ],
        "past": [
            {**entry_document(cut, mask), "decided_again": again.repeat.value}
            for entry, again in zip(found.past, found.replayed, strict=True)
            for cut in of_group([entry], group)
        ],
    }


def ended_document(link: Link) -> dict[str, object] | None:
    """Why nothing happens to a link any more; ``None`` for one that is kept in step."""
    over = link.tombstone
    if over is None:
        return None
    return {"at": utc_text(over.at), "by": over.by, "gone": [side.value for side in over.gone], "why": ended(link)}


def hold_document(link: Link) -> dict[str, object] | None:
    """The retention hold on a link; ``None`` without one."""
    hold = link.retention
    if hold is None:
        return None
    return {"since": utc_text(hold.since), "until": None if hold.until is None else utc_text(hold.until)}


def ended(link: Link) -> str:
    """The same in a sentence; empty for a link that is kept in step."""
    if link.tombstone is None:
        return ""
    if link.forgotten:
        return (
            "the values were erased on request (forget): edits of either record are not looked at, nothing is made"
            " from them again, and a new record of the same person waits for somebody to decide"
        )
    if link.tombstone.gone:
        where = " and ".join(NAMES[side] for side in link.tombstone.gone)
        return f"deleted in {where}: a record that comes back begins anew"
    return (
        "ended by an operator (unlink): the records are not kept in step; espo-advo unlink LINK --take-back begins anew"
    )


def of_group(entries: Iterable[Journaled], group: str | None) -> list[Journaled]:
    """The entries with the decisions of one group alone; all of them for ``None``."""
    if group is None:
        return list(entries)
    cut = [attrs.evolve(e, decisions=tuple(d for d in e.decisions if d.group == group)) for e in entries]
    return [entry for entry in cut if entry.decisions]
