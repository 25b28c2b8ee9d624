"""The policy of a party: groups, strategies and guards, from settings."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from bidisync.conflicts import Merge, Newest, ask, fill_blanks, prefer_left, prefer_right
from bidisync.errors import Misconfigured
from bidisync.guards import Bounds
from bidisync.model import Plan, Side, Verb
from bidisync.parts import go
from bidisync.protocols import ConflictStrategy, Guard
from bidisync.schema import Drift, Group, OnDelete, Owner, Policy
from bidisync.scope import EVERYTHING, POLICY
from bidisync.state import Link
from bidisync_espo_advo.fields import GROUPS, PARTY, party_fields
from bidisync_espo_advo.sections import GroupSettings
from bidisync_espo_advo.settings import Settings

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
    "archive": OnDelete.ARCHIVE,
    "propagate": OnDelete.PROPAGATE,
    "ignore": OnDelete.IGNORE,
}


def party_policy(settings: Settings, strategies: Mapping[str, ConflictStrategy] | None = None) -> Policy:
    """The policy that the settings describe; ``strategies``, by group or by field, go before theirs.

    Raises ``Misconfigured`` for a group or a field that there is not.
    """
    own = dict(strategies or {})
    members = {name: [field for field in party_fields() if field.group == name] for name in GROUPS}
    known = {field.name for fields in members.values() for field in fields}
    unknown = sorted(set(own) - set(GROUPS) - known)
    if unknown:
        raise Misconfigured(
            f"there is no field group or field {unknown[0]!r}; groups are {', '.join(GROUPS)}, "
            f"fields {', '.join(sorted(known))}"
        )
    fields = []
    for group, table in settings.groups.items():
        mine = {field.name for field in members[group]}
        strange = sorted(set(table.fields) - mine)
        if strange:
            raise Misconfigured(f"groups.{group}.fields.{strange[0]} is no field of this group; it has {sorted(mine)}")
        for field in members[group]:
            named = table.fields.get(field.name)
            strategy = own.get(field.name) or (None if named is None else _strategy(named, table.on_merge_conflict))
            fields.append(attrs.evolve(field, strategy=strategy))
    return Policy(
        fields=fields,
        groups=[_group(name, settings.groups[name], own.get(name)) for name in GROUPS],
        on_delete=_ON_DELETE[settings.sync.delete],
        deletes_on=frozenset({Side.LEFT}),  # Advoware deletes nothing, and has no field to archive with
    )


def _group(name: str, settings: GroupSettings, strategy: ConflictStrategy | None) -> Group:
    owner = None
    if settings.owner and strategy is None:
        owner = Owner(_SIDES[settings.owner], Drift(settings.drift))
    return Group(
        name,
        strategy=strategy or _strategy(settings.strategy, settings.on_merge_conflict),
        initial=_INITIAL[settings.initial],
        unit=settings.unit,
        allow_clear=settings.allow_clear,
        owner=owner,
    )


_SIDES = {"espocrm": Side.LEFT, "advoware": Side.RIGHT}


def _strategy(name: str, on_merge_conflict: str) -> ConflictStrategy:
    return Merge(_STRATEGIES[on_merge_conflict]) if name == "merge" else _STRATEGIES[name]


def party_scope(settings: Settings) -> Mapping[str, str]:
    """What each field is mapped to, and under ``""`` which records of which systems these are."""
    fields = {field.name: f"{field.espocrm}|{field.advoware}|{field.form}" for field in PARTY}
    systems = (settings.espocrm.entity_type, settings.advoware.kanzlei, settings.advoware.database)
    groups = "|".join(f"{name}: {table}" for name, table in sorted(settings.groups.items()))
    return {**fields, EVERYTHING: "|".join(systems), POLICY: groups}


def party_bounds(settings: Settings) -> Bounds:
    """How much may happen unasked."""
    return Bounds(**attrs.asdict(settings.guards))


def delete_guard(settings: Settings) -> Guard:
    """The guard of this binding: no record is deleted without somebody's approval. Archiving can be undone."""
    return go if settings.sync.delete == "archive" else hold_deletes


def hold_deletes(link: Link, plan: Plan) -> str | None:
    """Holds every deletion."""
    return "delete_needs_approval" if any(write.verb is Verb.DELETE for write in plan.writes) else None
