"""Advoware as a replica: parties, or another collection, in its own form; errors in ours.

A PUT replaces the whole party, so it is always a fresh read with the changes in it: what
the mapping does not know travels along untouched. Its reply proves the write only where the
rowId moved and every value that was sent stands in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NoReturn
from urllib.parse import quote

import attrs

from bidisync.clock import local_seconds
from bidisync.errors import Merged, Rejected, Stale, Unauthorized, Unconfirmed
from bidisync.model import Capabilities, Created, Notes, Page, Seen, Snapshot, Value
from bidisync.protocols import Clock
from bidisync.state import Intent
from bidisync_espo_advo.advoware_replies import (
    PARTIES,
    VERSION,
    Resource,
    a_list,
    about_a_party,
    bare_number,
    camel,
    located,
    number_of,
    one_party,
    rows_of,
    total_of,
    value_of,
    without_twins,
)
from bidisync_espo_advo.advoware_session import SYSTEM, AdvowareSession
from bidisync_espo_advo.connections import AdvowareConfig
from bidisync_espo_advo.profile import AdvowareProfile
from bidisync_espo_advo.refusals import unexplained
from bidisync_espo_advo.transport import Request, Response, has_address

CHANGED, CREATED = "geaendertAm", "angelegtAm"
PAGE = 200
CLOCK_CHANGE_S = 2 * 3600.0
CLOCK_SKEW_S = 300.0
CAPS = 50
"""A list of a multiple of so many rows may have been cut off there."""
GAP = 5
"""So many numbers in a row without a party are taken for the end of the numbers."""
PROBED = 200
"""So many numbers beyond a list are looked at in one incremental pass."""


@attrs.define(eq=False, repr=False)
class AdvowareReplica:
    """The parties of one firm, in Advoware's own fields. What it guarantees stands in its profile.

    With another ``resource`` the records of that collection; in the words below they are parties too.
    """

    config: AdvowareConfig
    session: AdvowareSession
    clock: Clock
    profile: AdvowareProfile = AdvowareProfile()
    names: tuple[str, ...] = ()  # mapped fields: absent ones are empty, where the profile says so
    resource: Resource = PARTIES
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
            creates=self.resource.creates,
            updates=self.resource.updates,
        )

    @property
    def newest(self) -> str | None:
        """The highest number seen so far."""
        return str(self._highest) if self._highest else None

    async def get(self, id: str) -> Snapshot:
        """The party now; gone if Advoware says so by number."""
        if not has_address(id):
            return Snapshot(id, {}, gone=True, seen_at=self.clock.now())
        path = f"{self.resource.path}/{quote(id, safe='')}"
        response = await self.session.request("GET", path, usable=self._about_one)
        if response.status in (404, 410):
            return Snapshot(id, {}, gone=True, seen_at=self.clock.now())
        document = self._document(response, of_record=True)
        if document == []:  # how one that was merged into another may look
            return Snapshot(id, {}, gone=True, seen_at=self.clock.now())
        party = self._one(document)
        if party is None:
            raise self.session.wire.unreadable(Request("GET", ""))
        if self._number(camel(party)) != id:
            raise Merged("advoware answered with another party than the one asked for: it may have been merged")
        return self._snapshot(party)

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """Nothing: Advoware has no bulk read by numbers."""
        return {}

    async def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """All parties; Advoware knows no filter for changes.

        A list that seems to be cut off is followed by a look at the numbers behind its last
        one; the cursor says up to where, if parties were found there.
        """
        asked_at = self.clock.now()
        response = await self.session.request("GET", self.resource.path, usable=a_list)
        document = self._document(response, of_record=False)
        rows = rows_of(document)
        if rows is None:
            raise self.session.wire.unreadable(Request("GET", ""))
        last = 0
        for start in range(0, len(rows), PAGE):
            page = [row for row in rows[start : start + PAGE] if self._number(camel(row)) is not None]
            seen = tuple(attrs.evolve(self._snapshot(row), row=True, seen_at=asked_at) for row in page)
            last = max([last, *(int(snapshot.id) for snapshot in seen)])
            yield Page(seen)
        cut = (total_of(document) or 0) > len(rows)
        if since is not None and bare_number(since):
            if last <= int(since):
                async for page_beyond in self._beyond(int(since), GAP, PROBED):
                    yield page_beyond
        elif last and (cut or len(rows) % CAPS == 0):
            async for page_beyond in self._beyond(last, GAP if cut else 1, None):
                yield page_beyond

    async def _beyond(self, last: int, gap: int, most: int | None) -> AsyncIterator[Page]:
        """The parties whose numbers follow on ``last``, until so many in a row are nobody's."""
        number, misses = last, 0
        while misses < gap and (most is None or number < last + most):
            number += 1
            snapshot = await self.get(str(number))
            if snapshot.gone:
                misses += 1
                continue
            misses, gap = 0, GAP
            yield Page((snapshot,), str(number), beyond=True)

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Make a party; its number comes with the reply, whatever shape that has."""
        if not self.resource.creates:
            raise Rejected(f"people alone make {self.resource.path} in advoware")
        response = await self.session.request(
            "POST", self.resource.path, {self._spelled(n): v for n, v in fields.items()}
        )
        if response.status not in (200, 201):
            self._refused(response, "POST")
        document = self._readable(response)
        native = self._one(document)
        party = None if native is None else camel(native)
        id = self._number(party) if party is not None else bare_number(document)
        id = id or located(response)
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
        if not self.resource.updates:
            raise Rejected(f"people alone change {self.resource.path} in advoware")
        if seen.row or not isinstance(seen.native, dict):
            raise ValueError("a party is only written over a read by its number")
        body = {**without_twins(seen.native), **{self._spelled(name): value for name, value in changes.items()}}
        response = await self.session.request("PUT", f"{self.resource.path}/{seen.id}", body)
        if response.status in (404, 409, 423):
            raise Stale("the party was changed or is open in advoware")
        if response.status not in (200, 201, 204):
            self._refused(response, "PUT")
        if not self._about_one(response):
            raise Unconfirmed("advoware answered a PUT with something else than a party: the write may have happened")
        native = self._one(self._readable(response))
        if native is None:
            return None
        party = camel(native)
        if self._number(party) != seen.id or party.get(VERSION) in (None, seen.version):
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
        earliest = intent.sent_at - CLOCK_CHANGE_S - CLOCK_SKEW_S
        watermark = int(intent.watermark or 0)
        found = []
        async for page in self.list(intent.watermark or None):
            for row in page.snapshots:
                born = self._time(row.fields.get(CREATED)) or self._time(row.fields.get(CHANGED))
                if (born >= earliest) if born is not None else (int(row.id) > watermark):
                    found.append(row)
        return found

    async def who_am_i(self) -> str:
        """The user that the credentials sign in: proves addresses and credentials."""
        await self.session.sign_in()
        return self.config.user

    def _document(self, response: Response, *, of_record: bool) -> object:
        if response.status != 200:
            self._refused(response, "GET", of_record=of_record)
        try:
            return response.json()
        except ValueError:
            raise self.session.wire.unreadable(Request("GET", "")) from None  # its message may hold what was read

    def _readable(self, response: Response) -> object:
        """The reply to a write as JSON, or nothing: then it proves nothing."""
        try:
            return response.json()
        except ValueError:
            return None

    def _refused(self, response: Response, method: str, *, of_record: bool = True) -> NoReturn:
        if response.status == 403:
            raise Unauthorized("advoware does not let this user do that: check its rights", system=SYSTEM)
        at_an_address = response.status == 404 or (response.status == 410 and method == "POST")  # of all parties
        raise unexplained(SYSTEM, response.status, method, of_record=of_record and not at_an_address)

    def _one(self, document: object) -> dict[str, object] | None:
        """A party that comes as an object, or as a list of one; how it spells its fields is remembered."""
        native = one_party(document, self.resource.key)
        if native is not None:
            self._pascal = self.resource.key not in native
        return native

    def _number(self, party: Mapping[str, object] | None) -> str | None:
        return number_of(party, self.resource.key)

    def _about_one(self, response: Response) -> bool:
        return about_a_party(response, self.resource.key)

    def _spelled(self, name: str) -> str:
        """A field's name as this Advoware spells it."""
        return name[:1].upper() + name[1:] if self._pascal else name

    def _snapshot(self, native: Mapping[str, object]) -> Snapshot:
        party = camel(native)
        self._pascal = self.resource.key not in native
        id, version = self._number(party) or "", party.get(VERSION)
        self._highest = max(self._highest, int(id or 0))
        fields: dict[str, Seen] = {name: value_of(value) for name, value in party.items()}
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
        """A time of Advoware's, where it can be read; in the hour of a clock change the earlier one.

        With ``certain`` nothing for a time that may mean two moments or none, or that is
        known to mean nothing.
        """
        if not isinstance(text, str) or text.startswith("0001-"):
            return None
        if certain and self.profile.changed_at in ("missing", "unreliable"):
            return None
        try:
            time = local_seconds(text, "UTC" if self.profile.changed_at == "utc" else self.config.timezone)
        except ValueError:
            return None
        return time.at if time.certain or not certain else None
