"""What EspoCRM shows of the sync: notes as bookkeeping attributes, and back."""

from __future__ import annotations

from collections.abc import Mapping

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


def to_attributes(notes: Notes, there: Notes | None) -> dict[str, object]:
    """The attributes to write; the counterpart only where the record does not name it yet."""
    attributes: dict[str, object] = {}
    if notes.counterpart is not None and (there is None or there.counterpart is None):
        attributes[COUNTERPART] = int(notes.counterpart)
    if notes.counterpart_version is not None:
        attributes[VERSION] = notes.counterpart_version
    if notes.synced_at is not None:
        attributes[SYNCED_AT] = utc_text(notes.synced_at)
    if notes.state is not None:
        attributes[STATUS] = STATUS_OF[notes.state]
        attributes[ATTEMPTS] = notes.attempts or 0
        attributes[REASON] = notes.reason or None
    return attributes


def from_attributes(attributes: Mapping[str, object]) -> Notes:
    """What a record shows. The state is not read back: several share one name."""
    counterpart, version = attributes.get(COUNTERPART), attributes.get(VERSION)
    return Notes(
        counterpart=str(counterpart) if type(counterpart) is int and counterpart > 0 else None,
        counterpart_version=version if isinstance(version, str) else None,
    )
