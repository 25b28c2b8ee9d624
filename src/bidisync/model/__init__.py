"""The values everything speaks in: frozen, comparable, free of any system's own words.

``records`` are what is seen, ``plans`` what follows from it, ``replicas`` what a side
guarantees. Times are seconds since 1970 in UTC, as a float.
"""

from bidisync.model.plans import (
    Conflict,
    Contested,
    Decision,
    Defer,
    Plan,
    Resolution,
    Review,
    ReviewKind,
    Row,
    Settled,
    Verb,
    Versions,
    Write,
    overwritten,
)
from bidisync.model.records import (
    ABSENT,
    Absent,
    Change,
    Fields,
    Key,
    LinkState,
    Notes,
    Ref,
    Seen,
    Side,
    Snapshot,
    Value,
)
from bidisync.model.replicas import (
    Capabilities,
    ClockTrust,
    Conditional,
    Created,
    Deletion,
    Page,
)

__all__ = [
    "ABSENT",
    "Absent",
    "Change",
    "Fields",
    "Key",
    "LinkState",
    "Notes",
    "Ref",
    "Seen",
    "Side",
    "Snapshot",
    "Value",
    "Conflict",
    "Contested",
    "Decision",
    "Defer",
    "Plan",
    "Resolution",
    "Review",
    "ReviewKind",
    "Row",
    "Settled",
    "Verb",
    "Versions",
    "Write",
    "overwritten",
    "Capabilities",
    "ClockTrust",
    "Conditional",
    "Created",
    "Deletion",
    "Page",
]
