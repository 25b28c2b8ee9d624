"""One field as it is: what both sides hold, what they agreed on, and the yes-or-noes that lead to its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from bidisync.errors import Unmappable
from bidisync.model import ABSENT, Contested, Fields, Row, Seen, Side, Versions
from bidisync.schema import Field, alike, compared
from bidisync.state import Agreed, Agreement
from bidisync.table import ROW_OF


@attrs.define
class Look:
    """One field as it is: its versions, and the yes-or-noes that lead to its row."""

    field: Field
    versions: Versions
    known: bool  # there is a base
    left_changed: bool
    right_changed: bool
    agree: bool
    readable: bool

    @classmethod
    def at(cls, field: Field, agreed: Agreement | None, left: Seen, right: Seen, readable: bool) -> Look:
        """The field with these values now, and what was agreed on. A value that its key can't read is not readable."""
        key = field.key
        try:
            if agreed is None or agreed.left is ABSENT or agreed.right is ABSENT:
                agree = compared(key, left, right)
                return cls(field, Versions(ABSENT, left, right), False, False, False, agree, readable)
            return cls(
                field,
                Versions(agreed.left, left, right),
                True,
                not compared(key, left, agreed.left),
                not compared(key, right, agreed.right),
                compared(key, left, right),
                readable,
            )
        except Unmappable:
            before = ABSENT if agreed is None else agreed.left
            return cls(field, Versions(before, left, right), before is not ABSENT, False, False, False, False)

    @property
    def row(self) -> Row:
        """The row that the four answers lead to."""
        return ROW_OF[self.known, self.left_changed, self.right_changed, self.agree]

    def changed(self, side: Side) -> bool:
        """Whether that side changed it."""
        return self.left_changed if side is Side.LEFT else self.right_changed

    def contested(self) -> Contested:
        """The field for a strategy, which is asked only about what was delivered."""
        base, left, right = self.versions.base, self.versions.left, self.versions.right
        if left is ABSENT or right is ABSENT:
            raise ValueError("a field that was not delivered is never contested")
        return Contested(base, left, right)

    @property
    def delivered(self) -> bool:
        """Whether both sides told it."""
        return self.versions.left is not ABSENT and self.versions.right is not ABSENT


def same(field: Field, one: Seen, other: Seen) -> bool:
    """Whether two spellings of a field mean the same."""
    return alike(field.key, one, other)


def moved_fields(
    fields: Sequence[Field], base: Mapping[str, Agreement], lefts: Fields, rights: Fields
) -> Sequence[Field]:
    """The fields that are not just as the base has them: all that is worth a look, found fast."""
    try:
        if isinstance(base, Agreed):  # as a link holds it
            left, right = base.left, base.right
            if left == lefts and right == rights and len(left) == len(fields):
                return ()
            return [field for field in fields if left[(n := field.name)] != lefts[n] or right[n] != rights[n]]
        return [
            field
            for field in fields
            if (agreed := base[(name := field.name)]).left != lefts[name] or agreed.right != rights[name]
        ]
    except KeyError:  # one that has no base, or was not delivered
        return [
            field
            for field in fields
            if (known := base.get(field.name)) is None
            or known.left != lefts.get(field.name, ABSENT)
            or known.right != rights.get(field.name, ABSENT)
        ]
