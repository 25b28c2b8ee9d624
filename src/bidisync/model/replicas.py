"""What a replica guarantees, and what it answers besides a record."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs

from bidisync.model.records import Snapshot


class ClockTrust(enum.Enum):
    """Whether a side's own time stamps may decide which edit is newer.

    ``TRUSTED``: they are right, so far as ``Newest`` allows. ``UNTRUSTED``: nobody knows, so they
    decide nothing.
    """

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


class Conditional(enum.Enum):
    """What becomes of a write against an outdated version.

    ``ENFORCED``: it is always refused. ``CHECKED``: it is refused, but two at the same moment may
    both pass. ``IGNORED``: it is carried out, so the record is read once more just before.
    """

    ENFORCED = "enforced"
    CHECKED = "checked"
    IGNORED = "ignored"


class Deletion(enum.Enum):
    """What a system does with a request to delete.

    ``HARD``: the record is gone for good. ``SOFT``: it is hidden, and can be brought back.
    ``FORBIDDEN``: it refuses.
    """

    HARD = "hard"
    SOFT = "soft"
    FORBIDDEN = "forbidden"


@attrs.frozen
class Capabilities:
    """What a replica can guarantee. What is not known counts as the weakest: the defaults.

    More than is true loses edits or makes records twice; ``bidisync.testing.check_replica`` tells.

    * ``conditional_write``: what becomes of a write against an outdated version.
    * ``partial_write``: an update sends its fields alone. Without it the whole record is sent as it
      was seen, in which what somebody changes meanwhile is written over.
    * ``deletion``: what becomes of a request to delete.
    * ``finds_created``: ``find_created`` finds every record that a create of unknown outcome may have
      made. Without it such a create is left to a person, and never sent again.
    * ``keeps_notes``: records have a place for ``Notes``, by which their counterpart is found again.
    * ``changed_since``: ``list(since)`` gives what changed since a cursor, and leaves nothing out.
    * ``row_is_complete``: a row of a list has every field, so it may be decided on without a read.
    * ``row_can_be_written``: a row of a list may be what a write stands on.
    * ``clock``: whether its time stamps may decide which edit is newer.
    * ``creates``: it takes new records. ``False``: they are made there by people alone.
    * ``updates``: it takes changes. ``False``: what was made is changed there by people alone.
    """

    conditional_write: Conditional = Conditional.IGNORED
    partial_write: bool = False
    deletion: Deletion = Deletion.FORBIDDEN
    finds_created: bool = False
    keeps_notes: bool = False
    changed_since: bool = False
    row_is_complete: bool = False
    row_can_be_written: bool = False
    clock: ClockTrust = ClockTrust.UNTRUSTED
    creates: bool = True
    updates: bool = True


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
