"""Rows that Advoware keeps within another record, as a replica: read through their parents, made, never changed.

A row is named by its parent and by what tells it from the others there: ``104711/88002``. The
parents are those that are linked already, so nobody's rows are read whom the sync does not
know; one request for each parent is what a list of them costs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from urllib.parse import quote

import attrs

from bidisync.errors import Rejected, Unauthorized, Unavailable, Unconfirmed
from bidisync.model import Capabilities, Created, Notes, Page, Seen, Snapshot, Value
from bidisync.protocols import Clock
from bidisync.spawn import side_by_side
from bidisync.state import Intent
from bidisync.storage import StateStore
from bidisync_espo_advo.advoware_replies import (
    VERSION,
    bare_number,
    camel,
    located,
    number_of,
    one_party,
    rows_of,
    value_of,
)
from bidisync_espo_advo.advoware_session import SYSTEM, AdvowareSession
from bidisync_espo_advo.transport import Request, Response

Native = Mapping[str, object]


def numbered(row: Native) -> str | None:
    """What tells a row from the others where it has a number of its own."""
    return number_of(row, "id")


@attrs.frozen
class Rows:
    """Where rows lie and what they are called.

    ``path`` has ``{parent}`` in the place of the parent's number. The rows are the whole reply,
    or the field ``within`` of it. ``name`` tells a row from the others of its parent;
    ``parent`` is the field under which each row gets its parent's number.
    """

    path: str
    parent: str
    within: str = ""
    name: Callable[[Native], str | None] = numbered
    creates: bool = False


@attrs.frozen
class NestedReplica:
    """The rows of all linked parents, in Advoware's own fields; nothing of them is changed or deleted here."""

    session: AdvowareSession
    clock: Clock
    rows: Rows
    parents: StateStore

    @property
    def capabilities(self) -> Capabilities:
        """Rows come whole, and are made where the collection takes any."""
        return Capabilities(finds_created=True, row_is_complete=True, creates=self.rows.creates, updates=False)

    @property
    def newest(self) -> str | None:
        """Not needed: what was made is looked for within its parent."""
        return None

    async def get(self, id: str) -> Snapshot:
        """The row now; gone if its parent has none of that name."""
        parent = id.partition("/")[0]
        found = await self._of(parent) if _is_number(parent) else ()
        return next((row for row in found if row.id == id), Snapshot(id, {}, gone=True, seen_at=self.clock.now()))

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """The rows that there are, each parent read once."""
        parents = [parent for parent in dict.fromkeys(id.partition("/")[0] for id in ids) if _is_number(parent)]
        found = {row.id: row for page in await self._pages(parents) for row in page.snapshots}
        return {id: found[id] for id in ids if id in found}

    async def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """All rows, a page for each parent; Advoware knows no filter for changes."""
        async for links in self.parents.links():
            known = [link for link in links if link.left_id is not None and not link.tombstoned]
            for page in await self._pages([link.right_id for link in known if link.right_id is not None]):
                yield page

    async def _pages(self, parents: Sequence[str]) -> Sequence[Page]:
        """The rows of these parents, as many read at once as the system takes requests."""
        found: dict[str, tuple[Snapshot, ...]] = {}

        async def read(parent: str) -> None:
            found[parent] = await self._listed(parent)

        await side_by_side(parents, read, self.session.config.max_concurrency)
        rows = [tuple(attrs.evolve(row, row=True) for row in found[parent]) for parent in parents]
        return [Page(page) for page in rows if page]

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Make a row; its number comes with the reply, whatever shape that has."""
        if not self.rows.creates:
            raise Rejected("people alone make such rows in advoware")
        parent = str(fields[self.rows.parent])
        sent = {name: value for name, value in fields.items() if name != self.rows.parent}
        response = await self.session.request("POST", self._path(parent), sent)
        if response.status not in (200, 201):
            raise _refusal(response, "POST")
        try:
            document = response.json()
        except ValueError:
            document = None
        native = one_party(document, "id")
        row = None if native is None else camel(native)
        number = number_of(row, "id") or bare_number(document) or located(response)
        if number is None:
            raise Unconfirmed("advoware took a row without naming its number")
        id = f"{parent}/{number}"
        proven = row is not None and all(row.get(name) == value for name, value in sent.items())
        return Created(id, self._snapshot(id, parent, row) if proven and row is not None else None)

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Always refused: Advoware changes no such row through its API."""
        raise Rejected("advoware does not allow to change such a row")

    async def delete(self, seen: Snapshot) -> None:
        """Always refused: Advoware deletes nothing through its API."""
        raise Rejected("advoware does not allow to delete such a row")

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """Nothing: rows name nobody."""
        return ()

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """The rows of the parent that the create was meant for."""
        return await self._of(str(intent.payload[self.rows.parent]))

    async def _listed(self, parent: str) -> tuple[Snapshot, ...]:
        """The rows of one parent as those of a list: true for certain when it was asked for."""
        asked_at = self.clock.now()
        return tuple(attrs.evolve(row, row=True, seen_at=asked_at) for row in await self._of(parent))

    async def _of(self, parent: str) -> tuple[Snapshot, ...]:
        """The rows of one parent; none where it is gone."""
        response = await self.session.request("GET", self._path(parent), usable=self._usable)
        if response.status in (404, 410):
            return ()
        if response.status != 200:
            raise _refusal(response, "GET")
        natives = self._natives(response)
        if natives is None:
            raise self.session.wire.unreadable(Request("GET", ""))
        named = [(self.rows.name(row), row) for row in map(camel, natives)]
        return tuple(self._snapshot(f"{parent}/{name}", parent, row) for name, row in named if name)

    def _usable(self, response: Response) -> bool:
        return response.status != 200 or self._natives(response) is not None

    def _natives(self, response: Response) -> Sequence[dict[str, object]] | None:
        """The rows in a reply; nothing where it has no place for any."""
        try:
            document = response.json()
        except ValueError:
            return None
        if self.rows.within:
            document = document[0] if isinstance(document, list) and len(document) == 1 else document
            document = camel(document).get(self.rows.within) if isinstance(document, dict) else None
        return rows_of(document)

    def _snapshot(self, id: str, parent: str, row: Native) -> Snapshot:
        fields: dict[str, Seen] = {name: value_of(value) for name, value in row.items()}
        fields[self.rows.parent] = int(parent)
        version = row.get(VERSION)
        return Snapshot(id, fields, version=version if isinstance(version, str) else None, seen_at=self.clock.now())

    def _path(self, parent: str) -> str:
        return self.rows.path.format(parent=quote(parent, safe=""))


def _is_number(parent: str) -> bool:
    """Whether this is a parent's number, spelled as ids are: another spelling would name a row twice."""
    return bare_number(parent) == parent and not parent.startswith("0")


def _refusal(response: Response, method: str) -> Rejected | Unauthorized | Unavailable:
    if response.status in (400, 404, 409, 413, 422, 423):
        return Rejected(f"advoware refuses the row ({response.status} to a {method})")
    if response.status == 403:
        return Unauthorized("advoware does not let this user do that: check its rights", system=SYSTEM)
    return Unavailable(f"advoware answered {response.status} to a {method}", system=SYSTEM)
