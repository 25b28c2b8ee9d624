"""What Advoware keeps beneath a party, phone numbers and addresses, as children of its record.

Made by POST, changed by a PUT that replaces the whole row, never deleted. So a row is always
sent back as it was read, with the changes in it: what no list knows travels along untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import attrs

from bidisync.errors import Rejected, Stale, Unauthorized, Unavailable, Unconfirmed, Unmappable
from bidisync.items import Items
from bidisync.lists import Column
from bidisync.model import Snapshot, Value
from bidisync.operations import Child
from bidisync_espo_advo.advoware_replies import KEY, VERSION, a_list, about_a_party, camel, rows_of
from bidisync_espo_advo.advoware_session import SYSTEM, AdvowareSession
from bidisync_espo_advo.transport import Request, Response

Row = Mapping[str, object]


def _every(row: Row) -> bool:
    return True


def _by_number(row: Row) -> Any:
    return row["id"]


def _as_it_is(row: Row) -> Row:
    return row


def _nothing() -> Row:
    return {}


@attrs.frozen
class AdvowareChildren:
    """The rows of one resource beneath a party that hold the items of a list.

    ``places`` says where each column stands. ``nested`` names the rows in the party's own
    reply, where they come along; else they are read. ``holds`` tells which rows are meant,
    ``order`` which come first; ``read`` puts a row into the form that these and the columns
    go by. ``new`` is what a row gets besides its item when it is made. A blank
    row takes another item only where ``spare`` is empty, too.
    """

    session: AdvowareSession
    resource: str
    items: Items
    places: Mapping[str, Column]
    nested: str = ""
    read: Callable[[Row], Row] = _as_it_is
    holds: Callable[[Row], bool] = _every
    order: Callable[[Row], Any] = _by_number
    new: Callable[[], Row] = _nothing
    spare: tuple[str, ...] = ("bemerkung",)

    def told(self, parent: Snapshot) -> Sequence[Child] | None:
        """The rows that came with the party, where it names them."""
        rows = camel(_native(parent)).get(self.nested) if self.nested else None
        return None if not isinstance(rows, list) else self._children(rows)

    async def list(self, parent: Snapshot) -> Sequence[Child]:
        """The rows now."""
        response = await self.session.request("GET", self._path(parent), usable=a_list)
        if response.status == 404:
            raise Stale("the party is gone from advoware")
        if response.status != 200:
            raise _refused(response, "GET")
        rows = rows_of(response.json())
        if rows is None:
            raise self.session.wire.unreadable(Request("GET", ""))
        return self._children(rows)

    async def create(self, parent: Snapshot, item: Mapping[str, Value]) -> None:
        """Make a row that holds this item."""
        body = {**self.new(), **self._placed(item)}
        response = await self.session.request("POST", self._path(parent), _spelled(body, _native(parent), KEY))
        self._taken(response, "POST")

    async def update(self, parent: Snapshot, child: Child, changes: Mapping[str, Value]) -> None:
        """Replace the row by what was read, with these columns in it."""
        row = child.native if isinstance(child.native, dict) else {}
        item = {**dict(zip(self.items.columns, child.item, strict=True)), **changes}
        body = {**row, **_spelled(self._placed(item), row, "id")}
        response = await self.session.request("PUT", f"{self._path(parent)}/{quote(child.id, safe='')}", body)
        self._taken(response, "PUT")

    async def delete(self, parent: Snapshot, child: Child) -> None:
        """Always refused: Advoware deletes nothing beneath a party."""
        raise Rejected("advoware does not allow to delete what belongs to a party")

    def _path(self, parent: Snapshot) -> str:
        return f"Beteiligte/{quote(parent.id, safe='')}/{self.resource}"

    def _children(self, rows: Sequence[object]) -> tuple[Child, ...]:
        """The rows that are meant; one that can't be read is left alone."""
        known = [row for row in rows if isinstance(row, dict) and isinstance(camel(row).get("id"), int)]
        meant = [(row, native) for native in known if self.holds(row := self.read(camel(native)))]
        read = [self._child(row, native) for row, native in sorted(meant, key=lambda pair: self.order(pair[0]))]
        return tuple(child for child in read if child is not None)

    def _child(self, row: Row, native: Row) -> Child | None:
        try:
            item = tuple(self.places[name].get(row) for name in self.items.columns)
        except Unmappable:
            return None
        version, spare = row.get(VERSION), not any(row.get(name) for name in self.spare)
        told = version if isinstance(version, str) and version else None
        return Child(str(row["id"]), item, told, reusable=spare, native=dict(native))

    def _placed(self, columns: Mapping[str, Value]) -> Row:
        return {self.places[name].native: self.places[name].put(value) for name, value in columns.items()}

    def _taken(self, response: Response, method: str) -> None:
        if response.status in (404, 409, 423):
            raise Stale("the party was changed or is open in advoware")
        if response.status not in (200, 201, 204):
            raise _refused(response, method)
        if not about_a_party(response):
            raise Unconfirmed(f"advoware answered a {method} with something else than a row: it may have happened")


def _native(parent: Snapshot) -> dict[str, object]:
    """The party as Advoware sent it, however often it was translated since."""
    native: object = parent
    while isinstance(native, Snapshot):
        native = native.native
    return native if isinstance(native, dict) else {}


def _spelled(body: Row, like: Row, key: str) -> dict[str, object]:
    """The body with names that begin as those of what was read: with a capital where its key does."""
    capital = bool(like) and key not in like
    return {name[:1].upper() + name[1:] if capital else name: value for name, value in body.items()}


def _refused(response: Response, method: str) -> Rejected | Unauthorized | Unavailable:
    if response.status in (400, 413, 422):
        return Rejected(f"advoware refuses the row ({response.status} to a {method})")
    if response.status == 403:
        return Unauthorized("advoware does not let this user do that: check its rights", system=SYSTEM)
    return Unavailable(f"advoware answered {response.status} to a {method}", system=SYSTEM)
