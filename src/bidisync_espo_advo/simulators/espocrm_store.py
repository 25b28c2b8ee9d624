"""The records of one EspoCRM, and everything that may happen to them.

Each method takes effect at once and as a whole. A person who works in the CRM uses ``edit``,
``create`` and ``delete``, as the administrator; requests use the rest.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from bidisync_espo_advo.simulators.espocrm_entities import ENTITY_TYPES
from bidisync_espo_advo.simulators.espocrm_fields import BETEILIGTE, EntityType
from bidisync_espo_advo.simulators.espocrm_notes import Notes
from bidisync_espo_advo.simulators.espocrm_people import values_of
from bidisync_espo_advo.simulators.espocrm_refusals import Refusal, cannot_relate
from bidisync_espo_advo.simulators.espocrm_related import Deletion, Related
from bidisync_espo_advo.simulators.espocrm_shared import SharedRows
from bidisync_espo_advo.simulators.espocrm_switches import EspoSwitches
from bidisync_espo_advo.simulators.espocrm_table import Record, Table
from bidisync_espo_advo.simulators.espocrm_users import User, users_of
from bidisync_espo_advo.simulators.espocrm_values import SECONDS, Accepted, accepted
from bidisync_espo_advo.simulators.espocrm_webhooks import Webhooks
from bidisync_espo_advo.simulators.people import SyntheticParty

Clock = Callable[[], datetime]
SINCE = datetime(2012, 1, 2, 9, tzinfo=UTC)  # when the first of the old stock was entered


def utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


@attrs.define
class EspoStore:
    """All records by entity type; the same for the same seed and the same calls at the same times."""

    seed: int = 0
    switches: EspoSwitches = attrs.Factory(EspoSwitches)
    clock: Clock = utc_now
    users: dict[str, User] = attrs.field(init=False, repr=False)
    webhooks: Webhooks = attrs.field(init=False, repr=False)
    related: Related = attrs.Factory(Related)
    notes: Notes = attrs.Factory(Notes)
    deletions: list[Deletion] = attrs.Factory(list)
    _tables: dict[str, Table] = attrs.field(init=False, repr=False)
    _shared: SharedRows = attrs.Factory(SharedRows)
    _rng: random.Random = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.users = users_of(self.seed)
        self.webhooks = Webhooks(self.seed, lambda: self.clock())
        self._tables = {name: Table(kind) for name, kind in ENTITY_TYPES.items()}
        self._rng = random.Random(f"espocrm/{self.seed}")

    def behave(self, switches: Mapping[str, str]) -> None:
        """Have these switches from now on, all others at their default; what is stored stays."""
        self.switches = EspoSwitches(switches)
        for table in self._tables.values():
            for record in table.records.values():
                record.forget_json()

    # A person who works in the CRM

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """A copy of every CBeteiligte by id, as a GET shows it; deleted ones are left out."""
        live = self.table(BETEILIGTE).all_live()
        return {record.id: deepcopy(self.shown(BETEILIGTE, record)) for record in live}

    def create(self, **values: Any) -> str:
        """A new CBeteiligte with these values, twin or not; returns its id. ``ValueError`` if they do not fit."""
        with _as_value_error():
            made = self.add(BETEILIGTE, _known(values), self.users["admin"], even_a_twin=True)
        return str(made["id"])

    def edit(self, id: str, **changes: Any) -> None:
        """Change these attributes and no others.

        ``KeyError`` if there is no such record, ``ValueError`` if the values do not fit.
        """
        with _as_value_error():
            self.change(BETEILIGTE, id, _known(changes), self.users["admin"])

    def delete(self, id: str) -> None:
        """Delete the record; ``KeyError`` if there is none."""
        self.remove(BETEILIGTE, id, self.users["admin"])

    def fill(self, people: Iterable[SyntheticParty]) -> None:
        """Take these people on, as entered in years past."""
        for person in people:
            rng = random.Random(f"espocrm/{self.seed}/{person.family_name}/{person.given_name}")
            entered = SINCE + timedelta(seconds=rng.randint(0, 4500 * 86_400))
            self._insert(BETEILIGTE, values_of(person, rng), self.users["admin"], entered)

    # Requests

    def table(self, kind: EntityType) -> Table:
        """All records of an entity type."""
        return self._tables[kind.name]

    def exists(self, entity_type: str, id: str) -> bool:
        """Whether a link may point there."""
        if entity_type == "User":
            return any(user.id == id for user in self.users.values())
        table = self._tables.get(entity_type)
        return table is not None and id in table.records and not table.records[id].deleted

    def pointing_at(self, kind: EntityType, id: str, foreign: EntityType) -> list[str]:
        """The records of another type that point at this one."""
        places = [f"{field.name}Id" for field in foreign.fields if field.kind == "link" and field.foreign == kind.name]
        live = self.table(foreign).all_live()
        return [record.id for record in live if any(record.row[place] == id for place in places)]

    def behind(self, kind: EntityType, id: str, foreign: str) -> list[str]:
        """The records of another type on the other end of a relation."""
        return self.related.of((kind.name, id), foreign) or self.pointing_at(kind, id, ENTITY_TYPES[foreign])

    def shown(self, kind: EntityType, record: Record) -> dict[str, Any]:
        """Every attribute of one record, as a GET shows it."""
        full = self.shown_in_list(kind, record)
        version = full.pop("versionNumber", None)
        for name in kind.shared:
            full[f"{name}Data"] = self._shared.shown(name, record.keys.get(name, ()))
        full |= {"teamsIds": [], "teamsNames": {}}
        for link, foreign in kind.relations.items():
            if kind.shows_related:
                ids = self.related.of((kind.name, record.id), foreign)
                rows = self._tables[foreign].records
                full |= {f"{link}Ids": ids, f"{link}Names": {id: rows[id].row["name"] for id in ids}}
        return full | {"versionNumber": version} if self.counts_versions(kind) else full

    def shown_in_list(self, kind: EntityType, record: Record) -> dict[str, Any]:
        """Those attributes of one record that a list shows."""
        versions = self.counts_versions(kind)
        return {
            name: value
            for name, value in record.row.items()
            if name[0] != "_" and (versions or name != "versionNumber")
        }

    def add(self, kind: EntityType, given: Mapping[str, Any], by: User, *, even_a_twin: bool = False) -> dict[str, Any]:
        """Create what the request says; the reply holds only what is set. ``Refusal`` if it may not be."""
        taken = accepted(kind, {**kind.defaults, **given}, {}, creating=True)
        self._check_links(kind, taken)
        if not even_a_twin:
            addresses = [row["emailAddress"].casefold() for row in taken.values.get("emailAddressData", ())]
            twins = self.table(kind).twins(taken.values, addresses)
            if twins:
                raise Refusal(409, "duplicate", [self.shown_in_list(kind, twin) for twin in twins])
        record = self._insert(kind, taken.values, by, self.clock())
        reply = self._created(kind, record, taken)
        self.webhooks.happened(kind.name, "create", _news_of_create(reply), by, record.row["name"])
        return reply

    def change(
        self, kind: EntityType, id: str, given: Mapping[str, Any], by: User, *, version: int | None = None
    ) -> dict[str, Any]:
        """Change what the request says; the reply is what was loaded, with what was sent on top.

        ``KeyError`` if there is no such record, ``Refusal`` if it may not be, or if ``version`` is stale.
        """
        table = self.table(kind)
        record = table.live(id)
        before = self.shown(kind, record)
        taken = accepted(kind, given, before, creating=False)
        known = before.get("versionNumber")
        if taken.changed and version is not None and known is not None and version != known:
            values = {name: before[name] for name in before if name in taken.changed and name in given}
            raise Refusal(409, "modified", {"values": values, "versionNumber": known})
        self._check_links(kind, taken)
        table.leave(record)
        self._write(kind, record, taken.values)
        modifier = record.row["modifiedById"]
        if taken.changed:
            record.row |= {"modifiedAt": self._now(), "modifiedById": by.id, "modifiedByName": by.full_name}
        if self.counts_versions(kind):
            record.row["versionNumber"] = (known or 0) + 1
        table.enter(record)
        reply = self._changed(kind, record, before, taken)
        if taken.changed:
            now = self.shown(kind, record)
            news = {name: now[name] for name in now if now[name] != before[name] and name not in _NO_NEWS}
            if modifier != by.id:
                news |= {"modifiedById": by.id, "modifiedByName": by.full_name}
            self.webhooks.happened(kind.name, "update", {**news, "id": id}, by, record.row["name"])
        return reply

    def remove(self, kind: EntityType, id: str, by: User) -> None:
        """Mark the record deleted; ``KeyError`` if there is none."""
        table = self.table(kind)
        record = table.live(id)
        table.leave(record)
        record.row |= {"deleted": True, "modifiedAt": self._now()}
        record.row |= {"modifiedById": by.id, "modifiedByName": by.full_name}
        record.forget_json()
        self.deletions.append(Deletion(kind.name, id, record.row["name"], by, self._now()))
        self.webhooks.happened(kind.name, "delete", {"id": id}, by)

    def restore(self, kind: EntityType, id: str) -> None:
        """Undo the deletion, and nothing else; ``KeyError`` if there was none."""
        record = self.table(kind).records[id]
        if not record.deleted:
            raise KeyError(id)
        record.row["deleted"] = False
        record.forget_json()
        self.table(kind).enter(record)

    def counts_versions(self, kind: EntityType) -> bool:
        """Whether the entity type has optimistic concurrency control."""
        return self.switches["occ"] == "on" and kind is BETEILIGTE

    def _now(self) -> str:
        return self.clock().astimezone(UTC).strftime(SECONDS)

    def _check_links(self, kind: EntityType, taken: Accepted) -> None:
        for link, foreign in kind.links.items():
            target = taken.values.get(f"{link}Id")
            if target is not None and f"{link}Id" in taken.changed and not self.exists(foreign, target):
                raise cannot_relate(kind.name, link, foreign)

    def _insert(self, kind: EntityType, values: Mapping[str, Any], by: User, at: datetime) -> Record:
        stamp = at.astimezone(UTC).strftime(SECONDS)
        row: dict[str, Any] = dict.fromkeys(kind.kinds)
        row |= {"id": f"{self._rng.getrandbits(68):017x}", "deleted": False, **kind.defaults}
        row |= {"createdAt": stamp, "modifiedAt": stamp, "createdById": by.id, "createdByName": by.full_name}
        row |= {f"_{name}": [] for name in kind.shared}
        row["versionNumber"] = 1 if self.counts_versions(kind) else None
        record = Record(row["id"], row)
        self.table(kind).records[record.id] = record
        self._write(kind, record, values)
        self.table(kind).enter(record)
        return record

    def _write(self, kind: EntityType, record: Record, values: Mapping[str, Any]) -> None:
        """Store the values and what is computed from them."""
        row = record.row
        row |= {name: value for name, value in values.items() if not name.endswith("Data")}
        if kind.template == "Person":
            row["name"] = " ".join(part for part in (row["firstName"], row["lastName"]) if part) or None
        for name in kind.amounts:
            row[f"{name}Converted"] = row[name]
        for link, foreign in kind.links.items():
            if f"{link}Id" in values:
                row[f"{link}Name"] = self._name_of(foreign, values[f"{link}Id"])
        record.forget_json()
        for name in kind.shared:
            if f"{name}Data" in values:
                self._share(name, record, values[f"{name}Data"])

    def _share(self, field: str, record: Record, rows: Iterable[Mapping[str, Any]]) -> None:
        keys, differs = self._shared.keep(field, rows)
        record.keys[field] = keys
        record.row[f"_{field}"] = keys
        self._show_primary(field, record)
        for key in keys if differs else ():
            for table in self._tables.values():
                for other in table.with_key(field, key):
                    self._show_primary(field, other)

    def _show_primary(self, field: str, record: Record) -> None:
        rows = self._shared.shown(field, record.keys[field])
        first = rows[0] if rows else {}
        record.row |= {
            field: first.get(field),
            f"{field}IsOptedOut": first.get("optOut"),
            f"{field}IsInvalid": first.get("invalid"),
        }
        record.forget_json()

    def _name_of(self, entity_type: str, id: str | None) -> str | None:
        if id is None or not self.exists(entity_type, id):
            return None
        if entity_type == "User":
            return next(user.full_name for user in self.users.values() if user.id == id)
        name = self._tables[entity_type].records[id].row["name"]
        return str(name)

    def _created(self, kind: EntityType, record: Record, taken: Accepted) -> dict[str, Any]:
        """A reply to a create: what is set or loaded, the rest is left out."""
        full = self.shown(kind, record)
        told = {name for name in taken.values if name in full} | set(taken.echo) & set(full)
        told |= {
            "id",
            "deleted",
            "createdAt",
            "modifiedAt",
            "createdById",
            "createdByName",
            "teamsIds",
            "teamsNames",
        }
        told |= {f"{link}Name" for link in kind.links} | {f"{name}Data" for name in kind.shared}
        told |= {name for name in kind.shared if taken.values.get(f"{name}Data")}
        if "firstName" in taken.values:
            told.add("name")
        told |= {f"{name}Converted" for name in kind.amounts if taken.values.get(name) is not None}
        if kind.shows_related:
            told |= {f"{link}{part}" for link in kind.relations for part in ("Ids", "Names")}
        told.add("versionNumber")
        reply = {name: value for name, value in full.items() if name in told}
        reply |= {name: value for name, value in taken.echo.items() if not name.endswith("Data")}
        return reply | {f"{name}{flag}": False for name in kind.shared for flag in ("IsOptedOut", "IsInvalid")}

    def _changed(self, kind: EntityType, record: Record, before: Mapping[str, Any], taken: Accepted) -> dict[str, Any]:
        """A reply to an update: no re-read, so what belongs to an address is still the old one."""
        now = self.shown(kind, record)
        stale = {f"{name}{part}" for name in kind.shared for part in ("Data", "IsOptedOut", "IsInvalid")}
        return {name: before[name] if name in stale else now[name] for name in now} | taken.echo


_NO_NEWS = frozenset({"modifiedAt", "modifiedById", "modifiedByName", "versionNumber", "teamsIds", "teamsNames"})


def _news_of_create(reply: Mapping[str, Any]) -> dict[str, Any]:
    """What a webhook tells of a new record: what is set, without names of others and without rows."""
    return {
        name: value
        for name, value in reply.items()
        if value is not None and not name.endswith(("ByName", "Data", "teamsIds", "teamsNames"))
    }


@contextmanager
def _as_value_error() -> Iterator[None]:
    try:
        yield
    except Refusal as refused:
        raise ValueError(str(refused)) from None


def _known(given: Mapping[str, Any]) -> Mapping[str, Any]:
    fields = (field.name for field in BETEILIGTE.fields if not field.read_only)
    writable = {name for field in fields for name in BETEILIGTE.attributes_of(field)}
    unknown = set(given) - writable
    if unknown:
        raise ValueError(f"no such attribute: {', '.join(sorted(unknown))}")
    return deepcopy(dict(given))
