"""What EspoCRM shows of the sync: notes as bookkeeping attributes, and back."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from bidisync.clock import utc_text
from bidisync.model import LinkState, Notes

COUNTERPART = "betnr"
VERSION = "advowareRowId"
SYNCED_AT = "advowareLastSync"
STATUS = "syncStatus"
ATTEMPTS = "syncRetryCount"
REASON = "syncErrorMessage"

STATUS_OF = {
    LinkState.TOMBSTONED: "deleted_in_advoware",
    LinkState.GONE: "deleted_in_advoware",
    LinkState.DEAD: "permanently_failed",
    LinkState.REVIEW: "conflict",
    LinkState.CONFLICT: "conflict",
    LinkState.BLOCKED: "conflict",
    LinkState.HELD: "conflict",
    LinkState.CREATING: "failed",
    LinkState.RETRY: "failed",
    LinkState.IN_SYNC: "clean",
}
"""The name of each state in EspoCRM."""


@attrs.frozen
class Bookkeeping:
    """The attributes in which records of one entity type show how they stand; those of a party by default.

    An empty name is not shown. Without one for the ``counterpart`` nothing is. ``numbered``
    says that ids of the other side are numbers.
    """

    counterpart: str = COUNTERPART
    version: str = VERSION
    synced_at: str = SYNCED_AT
    status: str = STATUS
    attempts: str = ATTEMPTS
    reason: str = REASON
    numbered: bool = True
    states: Mapping[LinkState, str] = attrs.field(default=STATUS_OF, repr=False)

    def id_of(self, counterpart: str) -> int | str:
        """An id of the other side as the attribute holds it."""
        return int(counterpart) if self.numbered else counterpart

    def to_attributes(self, notes: Notes, there: Notes | None) -> dict[str, object]:
        """The attributes to write; the counterpart only where the record names none, or one that was given up."""
        attributes: dict[str, object] = {}
        if notes.counterpart is not None and (there is None or there.counterpart in (None, notes.replaces)):
            attributes[self.counterpart] = self.id_of(notes.counterpart)
        if notes.counterpart_version is not None:
            attributes[self.version] = notes.counterpart_version
        if notes.synced_at is not None:
            attributes[self.synced_at] = utc_text(notes.synced_at)
        if notes.state is not None:
            attributes[self.status] = self.states[notes.state]
            attributes[self.attempts] = notes.attempts or 0
            attributes[self.reason] = notes.reason or None
        attributes.pop("", None)
        return attributes

    def from_attributes(self, attributes: Mapping[str, object]) -> Notes:
        """What a record shows. The state is not read back: several share one name."""
        counterpart, version = attributes.get(self.counterpart), attributes.get(self.version)
        if self.numbered:
            known = type(counterpart) is int and counterpart > 0
        else:
            known = isinstance(counterpart, str) and bool(counterpart)
        return Notes(
            counterpart=str(counterpart) if known else None,
            counterpart_version=version if isinstance(version, str) else None,
        )


SILENT = Bookkeeping("", "", "", "", "", "")
"""Of an entity type whose records show nothing."""
