"""What a replica guarantees, and what it answers besides a record."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs

from bidisync.model.records import Snapshot


class ClockTrust(enum.Enum):
    """Whether a side's own time stamps may decide which edit is newer."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


class Conditional(enum.Enum):
    """What becomes of a write against an outdated version."""

    ENFORCED = "enforced"  # always refused
    CHECKED = "checked"  # refused, but two at the same moment may both pass
    IGNORED = "ignored"  # carried out


class Deletion(enum.Enum):
    """What a system does with a request to delete."""

    HARD = "hard"
    SOFT = "soft"
    FORBIDDEN = "forbidden"


@attrs.frozen
class Capabilities:
    """What a replica can guarantee. What is not known counts as the weakest: the defaults."""

    conditional_write: Conditional = Conditional.IGNORED
    partial_write: bool = False
    deletion: Deletion = Deletion.FORBIDDEN
    finds_created: bool = False  # a create of unknown outcome can be looked for
    keeps_notes: bool = False
    changed_since: bool = False  # lists what changed since a cursor
    row_is_complete: bool = False  # a list row may be decided on
    row_can_be_written: bool = False  # a list row may be the base of a write
    clock: ClockTrust = ClockTrust.UNTRUSTED
    creates: bool = True  # False: records are made there by people alone
    updates: bool = True  # False: what was made is not changed any more but by people


@attrs.frozen
class Created:
    """A create that the remote confirmed: the new id, and the record if the reply proves it.

    ``version`` is the token in the reply, which may be there although the values are not.
    """

    id: str
    snapshot: Snapshot | None = None
    version: str | None = None


@attrs.frozen
class Page:
    """Some records of a list, and the cursor to go on from once they are dealt with.

    ``snapshots`` may be made when they are asked for (``bidisync.pages``): then ``tokens``
    tells their ids and versions, in the same order, and only those that moved are made. Who
    gives other snapshots of a page gives their tokens too, or none (``tokens=None``).
    ``beyond``: found besides the list, which left them out though they are there.
    """

    snapshots: Sequence[Snapshot]
    cursor: str | None = None
    beyond: bool = False
    tokens: Sequence[tuple[str, str | None]] | None = attrs.field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.tokens is not None and len(self.tokens) != len(self.snapshots):
            raise ValueError(f"a page of {len(self.snapshots)} snapshots has {len(self.tokens)} tokens")

    @property
    def known_by(self) -> Sequence[tuple[str, str | None]]:
        """The id and version of each snapshot; none of one that is gone, or waits for others: it proves nothing."""
        if self.tokens is not None:
            return self.tokens
        return [(one.id, None if one.gone or one.awaits else one.version) for one in self.snapshots]
