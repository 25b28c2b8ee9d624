"""The policy of a party: groups, strategies and guards, from settings."""

from __future__ import annotations

from collections.abc import Mapping

from bidisync.conflicts import Merge, Newest, ask, fill_blanks, prefer_left, prefer_right
from bidisync.errors import Misconfigured
from bidisync.model import Plan, Verb
from bidisync.protocols import ConflictStrategy
from bidisync.schema import Group, OnDelete, Policy
from bidisync.state import Link
from bidisync_espo_advo.fields import GROUPS, party_fields
from bidisync_espo_advo.settings import GroupSettings, Settings

_STRATEGIES: Mapping[str, ConflictStrategy] = {
    "espocrm": prefer_left,
    "advoware": prefer_right,
    "newest": Newest(),
    "review": ask,
}
_INITIAL: Mapping[str, ConflictStrategy] = {
    "fill-blanks": fill_blanks,
    "review": ask,
    "espocrm": prefer_left,
    "advoware": prefer_right,
}
_ON_DELETE = {
    "review": OnDelete.REVIEW,
    "archive": OnDelete.REVIEW,  # Advoware has no field to archive with
    "propagate": OnDelete.PROPAGATE,
    "ignore": OnDelete.IGNORE,
}


def party_policy(settings: Settings, strategies: Mapping[str, ConflictStrategy] | None = None) -> Policy:
    """The policy that the settings describe; ``strategies`` by group go before those of the settings."""
    own = strategies or {}
    unknown = sorted(set(own) - set(GROUPS))
    if unknown:
        raise Misconfigured(f"there is no field group {unknown[0]!r}; known are {', '.join(GROUPS)}")
    return Policy(
        fields=party_fields(),
        groups=[_group(name, settings.groups[name], own.get(name)) for name in GROUPS],
        on_delete=_ON_DELETE[settings.sync.delete],
    )


def _group(name: str, settings: GroupSettings, strategy: ConflictStrategy | None) -> Group:
    return Group(
        name,
        strategy=strategy or _strategy(settings),
        initial=_INITIAL[settings.initial],
        unit=settings.unit,
        allow_clear=settings.allow_clear,
    )


def _strategy(settings: GroupSettings) -> ConflictStrategy:
    if settings.strategy != "merge":
        return _STRATEGIES[settings.strategy]
    return Merge(_STRATEGIES.get(settings.on_merge_conflict, ask))


def hold_deletes(link: Link, plan: Plan) -> str | None:
    """The guard of this binding: no record is deleted without somebody's approval."""
    return "delete_needs_approval" if any(write.verb is Verb.DELETE for write in plan.writes) else None
