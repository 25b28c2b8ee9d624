"""EspoCRM as a replica: records in its own form, errors in ours.

What its replies mean differs by verb: in a create's reply a missing attribute is empty, in
a read it was not delivered. A reply proves a write when the attributes that were sent stand
in it as they were sent.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from urllib.parse import quote

import attrs

from bidisync.clock import utc_seconds, utc_text
from bidisync.errors import Duplicate, Merged, Misconfigured, Rejected, Stale, SyncError, Unavailable
from bidisync.model import (
    ABSENT,
    Capabilities,
    Conditional,
    Created,
    Deletion,
    Notes,
    Page,
    Seen,
    Snapshot,
    Value,
)
from bidisync.protocols import Clock
from bidisync.state import Intent
from bidisync_espo_advo import espocrm_errors as errors
from bidisync_espo_advo.connections import EspoConfig
from bidisync_espo_advo.profile import EspoProfile
from bidisync_espo_advo.status import Bookkeeping
from bidisync_espo_advo.transport import Request, Response, has_address
from bidisync_espo_advo.wire import Wire

SYSTEM = errors.SYSTEM
PAGE = 200
BULK = 100
OVERLAP_S = 120.0
LEFT_OUT_OF_LISTS = frozenset({"emailAddressData", "phoneNumberData"})
"""Attributes that a read by id shows and a list does not."""


@attrs.define(eq=False, repr=False)
class EspoReplica:
    """The records of one entity type, in EspoCRM's own attributes.

    ``attributes`` are those that matter to the caller: what a create's reply lacks of them
    is empty. Conditional writes are used where the server delivers version numbers. With an
    ``archive_field`` records are archived instead of deleted: it becomes false. Who we are is
    known once ``who_am_i`` was asked or something was written, with ``tells_writers`` from the
    first read on; before that anybody may be us. What a record ``shows`` of the sync stands in
    its bookkeeping attributes.
    """

    config: EspoConfig
    wire: Wire
    clock: Clock
    attributes: tuple[str, ...] = ()
    archive_field: str = ""
    tells_writers: bool = False
    profile: EspoProfile = EspoProfile()
    shows: Bookkeeping = Bookkeeping()
    _user_id: str | None = attrs.field(default=None, init=False)
    _rights: Mapping[str, object] | None = attrs.field(default=None, init=False)

    @property
    def capabilities(self) -> Capabilities:
        """What EspoCRM guarantees: versions, where there are any, are checked but not atomically.

        Unless it was measured that this one does not.
        """
        ignored = self.profile.has_versions and not self.profile.refuses_outdated
        return Capabilities(
            conditional_write=Conditional.IGNORED if ignored else Conditional.CHECKED,
            partial_write=True,
            deletion=Deletion.SOFT,
            finds_created=bool(self.shows.counterpart),
            keeps_notes=bool(self.shows.counterpart),
            changed_since=True,
            row_is_complete=not LEFT_OUT_OF_LISTS & set(self.attributes),
            row_can_be_written=True,
            clock=self.profile.clock,
        )

    @property
    def newest(self) -> str | None:
        """Not needed here: a create is found by the counterpart that it names."""
        return None

    async def get(self, id: str) -> Snapshot:
        """The record now; gone if EspoCRM says so by id."""
        if not has_address(id):
            return Snapshot(id, {}, gone=True, seen_at=self.clock.now())
        await self._know_writer()
        response = await self._send("GET", f"{self.config.entity_type}/{quote(id, safe='')}")
        if response.status == 404 and errors.says_absent(response):
            return Snapshot(id, {}, gone=True, seen_at=self.clock.now())
        record = self._record(response, "GET")
        if record["id"] != id:
            raise Merged("espocrm answered with another record than the one asked for")
        if record.get("deleted") is True:
            return Snapshot(id, {}, gone=True, seen_at=self.clock.now())
        return self._snapshot(record)

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """Those of the records that exist, as rows, 100 a request."""
        found = {}
        for start in range(0, len(ids), BULK):
            where = [{"type": "in", "attribute": "id", "value": list(ids[start : start + BULK])}]
            for row in await self._search(where, order="id"):
                found[row.id] = row
        return found

    async def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """All records, or those changed since a cursor with an overlap of two minutes."""
        last: tuple[str, str] | None = None
        start = None if since is None else utc_text(utc_seconds(since) - OVERLAP_S)
        while True:
            where = _after(last) if last is not None else _from(start)
            rows = await self._search(where, order="modifiedAt")
            if not rows:
                return
            newest = max(since or "", str(rows[-1].fields.get("modifiedAt") or ""))
            yield Page(tuple(rows), newest or None)
            if len(rows) < PAGE:
                return
            last = (str(rows[-1].fields.get("modifiedAt") or ""), rows[-1].id)

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Make a record; ``Duplicate`` with the existing ones where EspoCRM knows such."""
        attributes = self._with_notes(fields, notes, None)
        headers = {"X-Skip-Duplicate-Check": "true"} if despite_duplicates else {}
        response = await self._send("POST", self.config.entity_type, attributes, headers)
        if response.status == 409:
            rows = self._rows(self._json(response, "POST"), "POST")
            raise Duplicate("espocrm knows such a record already", existing=rows)
        record = self._record(response, "POST")
        complete = {**dict.fromkeys(self.attributes), **record}
        proven = all(complete.get(name) == _kept(value) for name, value in attributes.items())
        return Created(str(record["id"]), self._snapshot(complete) if proven else None)

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Change these attributes and the bookkeeping in one request."""
        attributes = self._with_notes(changes, notes, seen.notes)
        if not attributes:  # there is nothing in which the record could show it
            return seen
        headers = {} if seen.version is None else {"X-Version-Number": seen.version}
        response = await self._send("PUT", f"{self.config.entity_type}/{quote(seen.id, safe='')}", attributes, headers)
        if response.status == 404 and errors.says_absent(response):
            raise Stale("the record was deleted in espocrm since it was read")
        record = self._record(response, "PUT")
        if isinstance(record.get("modifiedById"), str):
            self._user_id = str(record["modifiedById"])
        proven = all(record.get(name) == _kept(value) for name, value in attributes.items())
        return self._snapshot(record) if proven else None

    async def delete(self, seen: Snapshot) -> None:
        """Delete or archive the record, if it is as it was seen; that it is gone already is as good.

        EspoCRM compares no version in a DELETE, so the record is read right before it.
        """
        if self.archive_field:
            await self.update(seen, {self.archive_field: False})
            return
        if self.capabilities.conditional_write is not Conditional.IGNORED and seen.version is not None:
            now = await self.get(seen.id)
            if not now.gone and now.version != seen.version:
                raise Stale("the record was changed in espocrm since it was read")
        response = await self._send("DELETE", f"{self.config.entity_type}/{quote(seen.id, safe='')}")
        if response.status == 404 and not errors.says_absent(response):
            raise errors.refused(response, "DELETE", self.config.entity_type)

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """The records with this id of the other system."""
        if not self.shows.counterpart:
            return ()
        where = [{"type": "equals", "attribute": self.shows.counterpart, "value": self.shows.id_of(counterpart)}]
        return await self._search(where, order="id")

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """Never asked: a create is found by the counterpart that it names."""
        return ()

    async def who_am_i(self) -> str:
        """The name of the user that the key belongs to: proves address and credentials."""
        document = self._document(await self._send("GET", "App/user"), "GET")
        user = document.get("user") if isinstance(document, dict) else None
        if not isinstance(document, dict) or not isinstance(user, dict) or not isinstance(user.get("id"), str):
            raise Unavailable("espocrm did not say whose key this is", system=SYSTEM)
        self._user_id = user["id"]
        rights = document.get("acl")
        self._rights = rights if isinstance(rights, dict) else {}
        return str(user.get("userName") or user["id"])

    async def schema(self) -> Mapping[str, Mapping[str, object]]:
        """The fields of the entity type as EspoCRM's metadata describes them."""
        key = f"entityDefs.{self.config.entity_type}.fields"
        response = await self._send("GET", "Metadata", query={"key": key})
        document = self._document(response, "GET") if response.body.strip() else None
        if not isinstance(document, dict):
            raise Misconfigured(
                f"espocrm has no entity type {self.config.entity_type}: check espocrm.url and espocrm.entity_type"
            )
        return {name: found for name, found in document.items() if isinstance(found, dict)}

    async def release(self) -> str:
        """The version that EspoCRM says it has; empty where it does not say."""
        document = self._document(await self._send("GET", "Settings"), "GET")
        found = document.get("version") if isinstance(document, dict) else None
        return found if isinstance(found, str) else ""

    async def items(self, path: str) -> Sequence[object]:
        """What EspoCRM lists besides records, the first 200."""
        document = self._json(await self._send("GET", path, query={"maxSize": str(PAGE)}), "GET")
        found = document.get("list") if isinstance(document, dict) else None
        if not isinstance(found, list):
            raise self.wire.unreadable(Request("GET", ""))
        return found

    async def post_item(self, path: str, body: Mapping[str, object]) -> object:
        """Make something that is no record; what EspoCRM says of it."""
        return self._json(await self._send("POST", path, body), "POST")

    async def put_item(self, path: str, body: Mapping[str, object]) -> None:
        """Change something that is no record."""
        await self._send("PUT", path, body)

    async def delete_item(self, path: str) -> None:
        """Delete something that is no record; that it is gone already is as good."""
        await self._send("DELETE", path)

    def locked(self, names: Iterable[str]) -> Sequence[str]:
        """Those of the fields that this user may not write, once EspoCRM said who it is."""
        locked = errors.locked_fields(self._rights or {}, self.config.entity_type)
        return [name for name in names if name in locked]

    def denied(self, methods: Iterable[str]) -> Sequence[str]:
        """Those of the verbs that this user may not use on records, once EspoCRM said who it is."""
        return [m for m in methods if errors.level(self._rights or {}, self.config.entity_type, m) == "no"]

    async def _know_writer(self) -> None:
        if self.tells_writers and self._user_id is None:
            await self.who_am_i()

    async def _search(self, where: Sequence[Mapping[str, object]], *, order: str) -> Sequence[Snapshot]:
        await self._know_writer()
        params = {"maxSize": PAGE, "orderBy": order, "order": "asc", "where": list(where)}
        query = {"searchParams": json.dumps(params, separators=(",", ":"))}
        asked_at = self.clock.now()
        response = await self._send("GET", self.config.entity_type, headers={"X-No-Total": "true"}, query=query)
        document = self._document(response, "GET")
        rows = self._rows(document.get("list") if isinstance(document, dict) else None, "GET")
        return [attrs.evolve(row, seen_at=asked_at) for row in rows]

    async def _send(
        self,
        method: str,
        path: str,
        attributes: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Response:
        body = None if attributes is None else json.dumps(attributes).encode()
        url = f"{self.config.url.rstrip('/')}/api/v1/{path}"
        sent = {"Accept": "application/json", **self._credentials(method, path), **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        response = await self.wire.send(Request(method, url, sent, query or {}, body), final=errors.in_maintenance)
        of_record = method != "GET" or path.startswith(f"{self.config.entity_type}/")
        expected = response.status in (200, 201, 404) or (response.status == 409 and errors.is_duplicate(response))
        if response.status == 401:
            self.wire.refused()
        if not expected:
            raise await self._refused(response, method, of_record)
        return response

    def _credentials(self, method: str, path: str) -> dict[str, str]:
        if not self.config.secret_key:
            return {"X-Api-Key": self.config.api_key}
        text = f"{method} /{path}".encode()
        digest = hmac.new(self.config.secret_key.encode(), text, hashlib.sha256).hexdigest()
        token = base64.b64encode(f"{self.config.api_key}:{digest}".encode()).decode()
        return {"X-Hmac-Authorization": token}

    async def _refused(self, response: Response, method: str, of_record: bool) -> SyncError:
        """The error of a reply; a missing permission to this record alone is this record's."""
        if errors.permission(response):
            mine = errors.of_one_record(response)
            if not mine and method in ("PUT", "DELETE"):  # says the same of one record and of all
                if self._rights is None:
                    with contextlib.suppress(SyncError):  # then it counts as the worse of the two
                        await self.who_am_i()
                mine = errors.level(self._rights or {}, self.config.entity_type, method) not in ("", "no")
            if mine:
                return Rejected("espocrm does not let this user at this record: check its role and the record's owner")
        return errors.refused(response, method, self.config.entity_type, of_record=of_record)

    def _document(self, response: Response, method: str) -> object:
        if response.status == 404:
            raise errors.refused(response, method, self.config.entity_type)
        return self._json(response, method)

    def _json(self, response: Response, method: str) -> object:
        try:
            return response.json()
        except ValueError:
            raise self.wire.unreadable(Request(method, "")) from None  # its message may hold what was read

    def _record(self, response: Response, method: str) -> dict[str, object]:
        document = self._document(response, method)
        if not isinstance(document, dict) or not isinstance(document.get("id"), str):
            raise self.wire.unreadable(Request(method, ""))
        return document

    def _rows(self, rows: object, method: str) -> Sequence[Snapshot]:
        if not isinstance(rows, list) or not all(isinstance(r, dict) and isinstance(r.get("id"), str) for r in rows):
            raise self.wire.unreadable(Request(method, ""))
        return [attrs.evolve(self._snapshot(row), row=True) for row in rows]

    def _snapshot(self, record: Mapping[str, object]) -> Snapshot:
        version, modified = record.get("versionNumber"), record.get("modifiedAt")
        fields: dict[str, Seen] = {name: _value(value) for name, value in record.items()}
        return Snapshot(
            str(record["id"]),
            fields,
            version=str(version) if isinstance(version, int) else None,
            modified_at=_seconds(modified),
            modified_by_us=self._user_id is None or record.get("modifiedById") == self._user_id,
            notes=self.shows.from_attributes(record),
            seen_at=self.clock.now(),
        )

    def _with_notes(self, fields: Mapping[str, Value], notes: Notes | None, there: Notes | None) -> dict[str, object]:
        return {**fields, **(self.shows.to_attributes(notes, there) if notes is not None else {})}


def _value(value: object) -> Seen:
    """A native value as it is; lists and objects are kept for the writer, but are no field's value."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, Mapping) else ABSENT


def _kept(value: object) -> object:
    """What EspoCRM is known to make of a value: it trims text, as PHP does."""
    return value.strip(" \t\n\r\0\v") or None if isinstance(value, str) else value


def _seconds(text: object) -> float | None:
    try:
        return utc_seconds(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _from(start: str | None) -> list[dict[str, object]]:
    if start is None:
        return []
    return [{"type": "greaterThanOrEquals", "attribute": "modifiedAt", "value": start}]


def _after(last: tuple[str, str]) -> list[dict[str, object]]:
    """Everything behind this place in the order (modifiedAt, id); rows without a time come first."""
    modified, id = last
    behind: dict[str, object] = {"type": "greaterThan", "attribute": "id", "value": id}
    if not modified:
        timeless = {"type": "isNull", "attribute": "modifiedAt"}
        later = {"type": "isNotNull", "attribute": "modifiedAt"}
        return [{"type": "or", "value": [later, {"type": "and", "value": [timeless, behind]}]}]
    same = [{"type": "equals", "attribute": "modifiedAt", "value": modified}, behind]
    later = {"type": "greaterThan", "attribute": "modifiedAt", "value": modified}
    return [{"type": "or", "value": [later, {"type": "and", "value": same}]}]
