"""Does EspoCRM have the fields that the mapping and the bookkeeping need? Said before the first record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bidisync_espo_advo import status
from bidisync_espo_advo.fields import PartyField

Definitions = Mapping[str, Mapping[str, object]]
"""The fields of an entity type, as EspoCRM's metadata describes them."""

TEXTS = frozenset({"varchar", "text", "enum", "url", "phone", "email", "personName"})
STATES = ("pending_sync", "dirty", "syncing", *dict.fromkeys(status.STATUS_OF.values()))
"""Every option of the status field: those that people and hooks set, and those that the sync writes."""
BOOKKEEPING: Mapping[str, frozenset[str]] = {
    status.COUNTERPART: frozenset({"int"}),
    status.VERSION: frozenset({"varchar", "text"}),
    status.SYNCED_AT: frozenset({"datetime"}),
    status.STATUS: frozenset({"enum", "varchar"}),
    status.ATTEMPTS: frozenset({"int"}),
    status.REASON: frozenset({"text", "varchar"}),
}
LENGTHS = {status.VERSION: 40, status.STATUS: max(map(len, STATES)), status.REASON: 40}
SERVERS = frozenset({"name", "createdAt", "modifiedAt", "createdBy", "modifiedBy"})


def problems(definitions: Definitions, fields: Iterable[PartyField], entity_type: str) -> list[str]:
    """What is missing or of the wrong kind, in words that say what to do; empty if all is well."""
    return list(_problems(definitions, tuple(fields), entity_type))


def _problems(definitions: Definitions, fields: tuple[PartyField, ...], entity_type: str) -> Iterator[str]:
    for field in fields:
        found = definitions.get(field.espocrm)
        wanted = frozenset({"date"}) if field.form == "date" else TEXTS
        if found is None:
            yield f"{entity_type} has no field {field.espocrm} (mapped as {field.name}): make it, or change the mapping"
        elif found.get("type") not in wanted:
            yield f"{entity_type}.{field.espocrm} has the type {found.get('type')}, which can't hold {field.form}"
        elif found.get("readOnly"):
            yield f"{entity_type}.{field.espocrm} is read-only, but mapped as {field.name}"
    for name, types in BOOKKEEPING.items():
        found = definitions.get(name)
        if found is None:
            yield f"{entity_type} has no field {name}, which the bookkeeping needs: make it ({'/'.join(sorted(types))})"
        elif found.get("type") not in types:
            kinds = "/".join(sorted(types))
            yield f"{entity_type}.{name} has the type {found.get('type')}; the bookkeeping needs {kinds}"
        elif (longest := found.get("maxLength")) and isinstance(longest, int) and longest < LENGTHS.get(name, 0):
            yield f"{entity_type}.{name} takes {longest} characters; the bookkeeping needs {LENGTHS[name]}"
    shown = definitions.get(status.STATUS, {})
    options = shown.get("options")
    if shown.get("type") == "enum" and isinstance(options, list):
        missing = [state for state in STATES if state not in options]
        if missing:
            yield f"{entity_type}.{status.STATUS} lacks the option{'s' if missing[1:] else ''} {', '.join(missing)}"
    mapped = {field.espocrm for field in fields} | set(BOOKKEEPING) | SERVERS
    for name, found in definitions.items():
        if found.get("required") and name not in mapped and found.get("default") is None:
            yield f"{entity_type}.{name} is required and not mapped: no record can be made there"
