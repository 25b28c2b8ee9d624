"""Advoware as a replica: parties in its own form, errors in ours.

A PUT replaces the whole party, so it is always a fresh read with the changes in it: what
the mapping does not know travels along untouched. Its reply proves the write only where the
rowId moved and every value that was sent stands in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NoReturn, cast

import attrs

from bidisync.clock import local_seconds
from bidisync.errors import Rejected, Stale, Unauthorized, Unavailable, Unconfirmed
from bidisync.model import ABSENT, Capabilities, Created, Notes, Page, Seen, Snapshot, Value
from bidisync.protocols import Clock
from bidisync.state import Intent
from bidisync_espo_advo.advoware_session import SYSTEM, AdvowareSession
from bidisync_espo_advo.connections import AdvowareConfig
from bidisync_espo_advo.profile import AdvowareProfile
from bidisync_espo_advo.transport import Request, Response

RESOURCE = "Beteiligte"
KEY, VERSION, CHANGED, CREATED = "betNr", "rowId", "geaendertAm", "angelegtAm"
PAGE = 200
CLOCK_CHANGE_S = 2 * 3600.0


@attrs.define
class AdvowareReplica:
    """The parties of one firm, in Advoware's own fields. What it guarantees stands in its profile."""

    config: AdvowareConfig
    session: AdvowareSession
    clock: Clock
    profile: AdvowareProfile = AdvowareProfile()
    names: tuple[str, ...] = ()  # mapped fields: absent ones are empty, where the profile says so
    _highest: int = attrs.field(default=0, init=False)
    _pascal: bool = attrs.field(default=False, init=False)  # names begin with a capital

    @property
    def capabilities(self) -> Capabilities:
        """The weakest, as long as nothing better was measured."""
        return Capabilities(
            conditional_write=self.profile.conditional_write,
            finds_created=True,
            row_is_complete=True,
            row_can_be_written=False,
            clock=self.profile.clock,
        )

    @property
    def newest(self) -> str | None:
        """The highest number seen so far."""
        return str(self._highest) if self._highest else None

    async def get(self, id: str) -> Snapshot:
        """The party now; gone if Advoware says so by number."""
        response = await self.session.request("GET", f"{RESOURCE}/{id}", usable=_about_a_party)
        if response.status == 404:
            return Snapshot(id, {}, gone=True, seen_at=self.clock.now())
        party = self._one(self._document(response, "GET"))
        if party is None:
            raise self.session.wire.unreadable(Request("GET", ""))
        if _number(_camel(party)) != id:
            raise Rejected("advoware answered with another party than the one asked for: it may have been merged")
        return self._snapshot(party)

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """Nothing: Advoware has no bulk read by numbers."""
        return {}

    async def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """All parties; Advoware knows no filter for changes."""
        asked_at = self.clock.now()
        response = await self.session.request("GET", RESOURCE, usable=_a_list)
        rows = _rows(self._document(response, "GET"))
        if rows is None:
            raise self.session.wire.unreadable(Request("GET", ""))
        for start in range(0, len(rows), PAGE):
            page = [row for row in rows[start : start + PAGE] if _number(_camel(row)) is not None]
            yield Page(tuple(attrs.evolve(self._snapshot(row), row=True, seen_at=asked_at) for row in page))

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Make a party; its number comes with the reply, whatever shape that has."""
        response = await self.session.request("POST", RESOURCE, {self._spelled(n): v for n, v in fields.items()})
        if response.status not in (200, 201):
            self._refused(response, "POST")
        document = self._readable(response)
        native = self._one(document)
        party = None if native is None else _camel(native)
        id = _number(party) if party is not None else _bare_number(document)
        id = id or _located(response)
        if id is None:
            raise Unconfirmed("advoware took a create without naming the new party's number")
        self._highest = max(self._highest, int(id))
        proven = party is not None and VERSION in party and all(party.get(n) == v for n, v in fields.items())
        version = None if party is None else party.get(VERSION)
        return Created(
            id,
            self._snapshot(native) if proven and native is not None else None,
            version if isinstance(version, str) else None,
        )

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Replace the party by what was read, with the changes in it."""
        if seen.row or not isinstance(seen.native, dict):
            raise ValueError("a party is only written over a read by its number")
        body = {**seen.native, **{self._spelled(name): value for name, value in changes.items()}}
        response = await self.session.request("PUT", f"{RESOURCE}/{seen.id}", body)
        if response.status in (404, 409, 423):
            raise Stale("the party was changed or is open in advoware")
        if response.status not in (200, 201, 204):
            self._refused(response, "PUT")
        if not _about_a_party(response):
            raise Unconfirmed("advoware answered a PUT with something else than a party: the write may have happened")
        native = self._one(self._readable(response))
        if native is None:
            return None
        party = _camel(native)
        if _number(party) != seen.id or party.get(VERSION) in (None, seen.version):
            return None
        proven = all(party.get(name) == value for name, value in changes.items())
        return self._snapshot(native) if proven else None

    async def delete(self, seen: Snapshot) -> None:
        """Always refused: Advoware deletes nothing through its API."""
        raise Rejected("advoware does not allow to delete a party")

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """Nothing: parties name nobody."""
        return ()

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """Parties that came into being about when the create was sent, or carry a higher number."""
        earliest = intent.sent_at - CLOCK_CHANGE_S
        watermark = int(intent.watermark or 0)
        found = []
        async for page in self.list():
            for row in page.snapshots:
                born = self._time(row.fields.get(CREATED)) or self._time(row.fields.get(CHANGED))
                if (born >= earliest) if born is not None else (int(row.id) > watermark):
                    found.append(row)
        return found

    async def who_am_i(self) -> str:
        """The user that the credentials sign in: proves addresses and credentials."""
        await self.session.sign_in()
        return self.config.user

    def _document(self, response: Response, method: str) -> object:
        if response.status != 200:
            self._refused(response, method)
        try:
            return response.json()
        except ValueError:
            raise self.session.wire.unreadable(Request(method, "")) from None  # its message may hold what was read

    def _readable(self, response: Response) -> object:
        """The reply to a write as JSON, or nothing: then it proves nothing."""
        try:
            return response.json()
        except ValueError:
            return None

    def _refused(self, response: Response, method: str) -> NoReturn:
        if response.status in (400, 409, 413, 422, 423):
            raise Rejected(f"advoware refuses the party ({response.status} to a {method})")
        if response.status == 403:
            raise Unauthorized("advoware does not let this user do that: check its rights", system=SYSTEM)
        raise Unavailable(f"advoware answered {response.status} to a {method}", system=SYSTEM)

    def _one(self, document: object) -> dict[str, object] | None:
        """A party that comes as an object, or as a list of one; how it spells its fields is remembered."""
        native = _one(document)
        if native is not None:
            self._pascal = KEY not in native
        return native

    def _spelled(self, name: str) -> str:
        """A field's name as this Advoware spells it."""
        return name[:1].upper() + name[1:] if self._pascal else name

    def _snapshot(self, native: Mapping[str, object]) -> Snapshot:
        party = _camel(native)
        self._pascal = KEY not in native
        id, version = _number(party) or "", party.get(VERSION)
        self._highest = max(self._highest, int(id or 0))
        fields: dict[str, Seen] = {name: _value(value) for name, value in party.items()}
        if self.profile.empty_as == "absent":
            fields = {**dict.fromkeys(self.names), **fields}
        return Snapshot(
            id,
            fields,
            version=version if isinstance(version, str) and version else None,
            modified_at=self._time(party.get(CHANGED), certain=True),
            seen_at=self.clock.now(),
            native=dict(native),
        )

    def _time(self, text: object, *, certain: bool = False) -> float | None:
        """A time of Advoware's, where it can be read.

        In the hour of a clock change the earlier one, or none if it has to be ``certain``.
        """
        if not isinstance(text, str) or text.startswith("0001-"):
            return None
        try:
            time = local_seconds(text, "UTC" if self.profile.changed_at == "utc" else self.config.timezone)
        except ValueError:
            return None
        return None if certain and time.kind != "ok" else time.at


def _value(value: object) -> Seen:
    """A native value as it is; what is no single value stays in the native record alone."""
    return value if value is None or isinstance(value, str | int | float | bool) else ABSENT


def _one(document: object) -> dict[str, object] | None:
    """A party that comes as an object, or as a list of one."""
    if isinstance(document, list):
        document = document[0] if len(document) == 1 else None
    return cast(dict[str, object], document) if isinstance(document, dict) and _number(_camel(document)) else None


def _camel(native: Mapping[str, object]) -> dict[str, object]:
    """The same party with names that begin with a small letter, as the mapping has them."""
    return {name[:1].lower() + name[1:]: value for name, value in native.items()}


def _about_a_party(response: Response) -> bool:
    """Whether a reply is one about parties at all: not an error page, nor an error in a reply of success."""
    if not response.body.strip():
        return True
    try:
        document = response.json()
    except ValueError:
        return False
    if isinstance(document, dict):
        return bool({KEY, VERSION} & set(_camel(document)))
    return isinstance(document, list | int) and not isinstance(document, bool)


def _a_list(response: Response) -> bool:
    try:
        return _rows(response.json()) is not None
    except ValueError:
        return False


def _rows(document: object) -> list[dict[str, object]] | None:
    """The rows of a list in any of its shapes."""
    if isinstance(document, dict):
        small = _camel(document)
        document = small.get("data", small.get("value"))
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        return None
    return document


def _number(party: Mapping[str, object] | None) -> str | None:
    number = None if party is None else party.get(KEY)
    return str(number) if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None


def _bare_number(document: object) -> str | None:
    if isinstance(document, bool) or not isinstance(document, int | str):
        return None
    text = str(document).strip()
    return text if text.isdigit() and int(text) > 0 else None


def _located(response: Response) -> str | None:
    tail = response.headers.get("location", "").rstrip("/").rpartition("/")[2]
    return tail if tail.isdigit() else None
