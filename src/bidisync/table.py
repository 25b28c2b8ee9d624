"""The decision table, as data: the code looks rows up in it, and the docs are rendered from it.

For every field there are three versions: what both sides last *agreed* on (the base), and
what *left* and *right* hold now. A side *changed* a field if its value differs from its own
value in the base; both *agree* if their keys are equal, spelling aside. These yes-or-noes
lead to one row; rows without them are found by what their text says.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import attrs

from bidisync.model import Row


@attrs.frozen
class Rule:
    """One row: when it applies (``None``: whatever the answer), what happens, and what becomes of the base."""

    row: Row
    base: bool | None = None
    left_changed: bool | None = None
    right_changed: bool | None = None
    agree: bool | None = None
    when: str = ""
    action: str = ""
    new_base: str = "stays"

    @property
    def name(self) -> str:
        """The row's name, for people."""
        return self.row.name.lower().replace("_", " ")

    def answers(self) -> Iterator[tuple[bool, bool, bool, bool]]:
        """Every combination of answers that leads here; none for rows found by other means."""
        if not self.when:
            given = (self.base, self.left_changed, self.right_changed, self.agree)
            yield from product(*((False, True) if answer is None else (answer,) for answer in given))


RULES = (
    Rule(Row.UNCHANGED, True, False, False, action="nothing, also where the spellings differ"),
    Rule(Row.LEFT_CHANGED, True, True, False, False, action="the left value is written to the right", new_base="moves"),
    Rule(
        Row.RIGHT_CHANGED, True, False, True, False, action="the right value is written to the left", new_base="moves"
    ),
    Rule(Row.SAME_CHANGE, True, True, True, True, action="no write: both made the same of it", new_base="moves"),
    Rule(Row.LEFT_RESPELLED, True, True, False, True, action="no write: only the spelling changed", new_base="moves"),
    Rule(Row.RIGHT_RESPELLED, True, False, True, True, action="no write: only the spelling changed", new_base="moves"),
    Rule(
        Row.BOTH_CHANGED,
        True,
        True,
        True,
        False,
        action="the strategy settles it, or a person; what is overwritten is journaled",
        new_base="moves when all writes are acknowledged",
    ),
    Rule(Row.ADOPTED, False, agree=True, action="adopted without a write", new_base="begins"),
    Rule(
        Row.FIRST_CONTACT,
        False,
        agree=False,
        action="first contact: the initial policy settles it, or a person",
        new_base="begins when the write is acknowledged",
    ),
    Rule(
        Row.DRIFT,
        when="the side that does not own the field changed it, and the sides differ",
        action="reverted, adopted, reported or left, by the owner's drift policy; the owner's own change wins",
        new_base="moves",
    ),
    Rule(
        Row.CLEARED,
        when="like rows 2 and 3, but the new value is empty",
        action="emptied on the other side too, unless the policy keeps it; a required field blocks its group",
        new_base="moves",
    ),
    Rule(
        Row.NOT_DELIVERED,
        when="a side did not deliver the field (no permission, not selected)",
        action="not a change: the field is left alone, and said once",
    ),
    Rule(
        Row.BLOCKED,
        when="a value can't be translated, a required one is empty, or the target refused it",
        action="the group is left alone until a value of it changes",
    ),
    Rule(
        Row.FROZEN,
        when="a conflict of the group is open",
        action="the conflict shows the newest values; nothing of the group is written",
    ),
    Rule(
        Row.OUTDATED,
        when="a read shows the state from before the last own write",
        action="read again, up to three times; then the record is due again later",
    ),
    Rule(
        Row.READ_ONLY,
        when="the target takes no change of this field",
        action="no write: a person is told once for each value",
        new_base="accepts the difference",
    ),
    Rule(
        Row.DECIDED,
        when="a person chose the value, or took an earlier decision back",
        action="written to every side that holds another one, whatever the policy",
        new_base="moves when all writes are acknowledged",
    ),
    Rule(
        Row.NEW,
        when="the record has no counterpart, and nobody matches",
        action="made on the other side, once, from these values",
        new_base="begins with what was sent",
    ),
)

RULE = {rule.row: rule for rule in RULES}

ROW_OF = {answers: rule.row for rule in RULES for answers in rule.answers()}
"""The row for (there is a base, left changed, right changed, both agree)."""


def as_markdown() -> str:
    """The table as the docs show it."""
    lines = [
        "| row | name | base | left changed | right changed | agree | what happens | base |",
        "|---|---|---|---|---|---|---|---|",
    ]
    words = {True: "yes", False: "no", None: "any"}
    for rule in RULES:
        answers = (
            f"{words[rule.base]} | {words[rule.left_changed]} | {words[rule.right_changed]} | {words[rule.agree]}"
            if not rule.when
            else " | | | "
        )
        text = f"{rule.when}: {rule.action}" if rule.when else rule.action
        lines.append(f"| {rule.row.value} | {rule.name} | {answers} | {text} | {rule.new_base} |")
    return "\n".join(lines) + "\n"
