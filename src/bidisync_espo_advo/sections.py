"""What can be configured besides the two systems: a frozen value for each table of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

StrategyName = Literal["espocrm", "advoware", "newest", "merge", "review"]
InitialName = Literal["fill-blanks", "review", "espocrm", "advoware"]


@attrs.frozen(kw_only=True)
class StateSettings:
    """The table ``[state]``."""

    url: str = attrs.field(default="sqlite:///espo-advo.db", repr=False)  # may hold a password
    encryption_key: str = attrs.field(default="", repr=False)


@attrs.frozen(kw_only=True)
class LockSettings:
    """The table ``[lock]``."""

    url: str = attrs.field(default="local://", repr=False)  # may hold a password
    lease_s: float = 60.0
    when_unreachable: Literal["pause", "go_on"] = "pause"


@attrs.frozen(kw_only=True)
class QueueSettings:
    """The table ``[queue]``."""

    url: str = attrs.field(default="local://", repr=False)


@attrs.frozen(kw_only=True)
class SyncSettings:
    """The table ``[sync]``. Times in seconds."""

    concurrency: int = 10
    poll_interval_s: float = 60.0
    inventory_interval_s: float = 86400.0
    max_attempts: int = 5
    search_lag_s: float = 5.0
    delete: Literal["review", "archive", "propagate", "ignore"] = "review"
    archive_field: str = ""
    visible_status: Literal["off", "result", "live"] = "result"


@attrs.frozen(kw_only=True)
class GuardSettings:
    """The table ``[guards]``."""

    max_deletes: int = 5
    max_delete_percent: float = 2.0
    max_creates: int = 50
    max_create_percent: float = 20.0
    max_overwrite_percent: float = 20.0
    max_blank_percent: float = 5.0


@attrs.frozen(kw_only=True)
class GroupSettings:
    """A table ``[groups.NAME]``. ``fields`` gives single fields of the group a strategy of their own."""

    strategy: StrategyName = "espocrm"
    unit: bool = False
    on_merge_conflict: StrategyName = "espocrm"
    initial: InitialName = "fill-blanks"
    allow_clear: bool = True
    owner: Literal["", "espocrm", "advoware"] = ""
    drift: Literal["revert", "adopt", "report", "ignore"] = "revert"
    fields: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def strategies(self) -> Mapping[str, str]:
        """Every strategy named here, by its key."""
        return {"strategy": self.strategy, **{f"fields.{name}": named for name, named in self.fields.items()}}


@attrs.frozen(kw_only=True)
class WebSettings:
    """The table ``[web]``."""

    host: str = "127.0.0.1"
    port: int = 8377
    token: str = attrs.field(default="", repr=False)


@attrs.frozen(kw_only=True)
class NotifySettings:
    """The table ``[notify]``: nobody is told anything unless it names a channel. Times in seconds."""

    urls: tuple[str, ...] = attrs.field(default=(), converter=tuple, repr=False)  # may hold passwords
    espocrm: bool = False
    every_s: float = 900.0
    down_after_s: float = 900.0

    @property
    def wanted(self) -> bool:
        """Whether there is a channel."""
        return self.espocrm or bool(self.urls)


@attrs.frozen(kw_only=True)
class PrivacySettings:
    """The table ``[privacy]``. With 0 days values of the past stay as long as the state."""

    keep_values_days: float = 0.0


DEFAULT_GROUPS: Mapping[str, Mapping[str, object]] = {
    "stammdaten": {"strategy": "espocrm"},
    "register": {"strategy": "advoware"},
    "personenstand": {"strategy": "advoware"},
}
