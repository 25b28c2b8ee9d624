"""What can go wrong, sorted by what the caller should do.

```
SyncError
├── Transient            try again
│   ├── Stale            at once, from the top: the record moved since it was read
│   ├── Outdated         later: a read shows what was there before our own last write
│   ├── Contended        soon: somebody else is at it
│   ├── ParentNotLinked  once a record that it names has a counterpart
│   ├── RateLimited      after ``retry_after`` seconds
│   └── Unavailable      later: the remote, the state or the lock can't be reached
│       └── Unconfirmed  look first: the write may have happened
└── Permanent            not again as it is
    ├── Unmappable       a value that has no form on the other side
    ├── Rejected         the remote refuses it as invalid
    │   └── Duplicate    … because such a record exists already
    ├── Merged           another record answers under this id
    ├── Moved            not as it was when its plan was saved
    ├── Unauthorized     credentials or permissions
    └── Misconfigured    settings, mapping or policy are wrong
```

Messages name fields, ids of systems and codes. They never hold a value of a record or a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bidisync.model import Snapshot


class SyncError(Exception):
    """Anything this library raises on purpose; ``reason`` is a short code for logs and status fields."""

    reason = "error"


class Transient(SyncError):
    """May work when tried again."""

    reason = "transient"


class Stale(Transient):
    """The record is not as it was when it was read; nothing was written."""

    reason = "stale"


class Outdated(Transient):
    """A side still shows the state from before our own last write to it."""

    reason = "outdated"


class Contended(Transient):
    """Somebody else holds the lease or was first to write the state."""

    reason = "contended"


class ParentNotLinked(Transient):
    """A record names another one that has no counterpart yet; nothing was written. ``fields`` name where."""

    reason = "parent_not_linked"

    def __init__(self, fields: Iterable[str]) -> None:
        self.fields = tuple(sorted(fields))
        super().__init__(f"waits for what {', '.join(self.fields)} names to be linked")


class Unavailable(Transient):
    """A system can't be reached or does not answer as it should; nothing was written.

    ``retry_after`` is how long it is left alone, in seconds, 0 where nobody knows.
    """

    reason = "unavailable"

    def __init__(self, message: str, *, system: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.system = system
        self.retry_after = retry_after


class Unconfirmed(Unavailable):
    """A write was sent and its outcome is not known: it may have happened."""

    reason = "unconfirmed"


class RateLimited(Transient):
    """The remote asks for patience; ``retry_after`` is in seconds, 0 where it did not say."""

    reason = "rate_limited"

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Permanent(SyncError):
    """Will not work when tried again as it is."""

    reason = "permanent"


class Unmappable(Permanent):
    """A value has no form on the other side; ``field`` names where."""

    reason = "unmappable"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Rejected(Permanent):
    """The remote refuses the write as invalid; ``field`` names where, if it said so."""

    reason = "rejected"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Duplicate(Rejected):
    """The remote refuses a create because it knows such records; ``existing`` are those."""

    reason = "duplicate"

    def __init__(self, message: str, *, existing: Sequence[Snapshot] = ()) -> None:
        super().__init__(message)
        self.existing = tuple(existing)


class Merged(Permanent):
    """A record answered under an id that is not its own: somebody may have merged two."""

    reason = "merged"


class Moved(Permanent):
    """What would be done is not what a saved plan says; nothing was written."""

    reason = "moved"


class Unauthorized(Permanent):
    """Credentials are refused, or a permission is missing; ``system`` names where."""

    reason = "unauthorized"

    def __init__(self, message: str, *, system: str = "") -> None:
        super().__init__(message)
        self.system = system


class Misconfigured(Permanent):
    """Settings, mapping or policy are wrong: said at start, before anything is written."""

    reason = "misconfigured"
