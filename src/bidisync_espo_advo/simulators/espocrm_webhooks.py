"""Webhooks as EspoCRM 9.2.7 sends them: in portions, in batches, late, again, and sometimes never.

Every change of a record is queued at once. A job that runs now and then takes a portion of the
queue, makes one item of it for each webhook that wants it, and sends what is due: one POST for each
webhook, an array of at most 50 items. What the answer was decides what becomes of the items.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import aiohttp
import attrs

from bidisync_espo_advo.simulators.espocrm_entities import ENTITY_TYPES
from bidisync_espo_advo.simulators.espocrm_refusals import Refusal, invalid
from bidisync_espo_advo.simulators.espocrm_users import User
from bidisync_espo_advo.simulators.espocrm_values import SECONDS

BATCH = 50
ATTEMPTS = 4
RETRY_AFTER = timedelta(minutes=10)
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
RETRIED = frozenset({401, 403, 404, 405, 408, 500, 503})
DELETES = 410
EVENTS = ("create", "update", "delete", "fieldUpdate")
MOST = 50

Event = Literal["create", "update", "delete"]


@attrs.define
class Webhook:
    """Somebody wants to be told; ``secret`` signs what they are told."""

    id: str
    entity_type: str
    type: str
    field: str | None
    url: str
    secret: str = attrs.field(repr=False)
    owner: User
    created_at: str
    modified_at: str
    skip_own: bool = False
    active: bool = True
    modified_by: User | None = None

    @property
    def event(self) -> str:
        """The event by its name."""
        return ".".join(filter(None, (self.entity_type, self.type, self.field)))

    def shown(self, *, to: User, created: bool = False) -> dict[str, Any]:
        """The webhook as a reply has it; the administrator also sees whose it is."""
        told: dict[str, Any] = {
            "id": self.id,
            "deleted": False,
            "event": self.event,
            "url": self.url,
            "isActive": self.active,
            "entityType": self.entity_type,
            "type": self.type,
            "field": self.field,
            "secretKey": self.secret,
            "skipOwn": self.skip_own,
            "createdAt": self.created_at,
            "modifiedAt": self.modified_at,
        }
        if to.is_admin:
            told |= {"userId": self.owner.id, "userName": self.owner.full_name}
        told |= {"createdById": self.owner.id, "createdByName": self.owner.full_name}
        by = self.modified_by
        if not created:
            told["modifiedById"] = None if by is None else by.id
        return told | {"modifiedByName": None if by is None else by.full_name}

    def signatures(self, body: bytes) -> dict[str, str]:
        """Both headers that prove where the body comes from."""
        mac = hmac.new(self.secret.encode(), body, hashlib.sha256)
        new = f"{self.id}:{mac.hexdigest()}".encode()
        return {
            "Signature": base64.b64encode(new).decode(),
            "X-Signature": base64.b64encode(f"{self.id}:".encode() + mac.digest()).decode(),
        }


@attrs.define
class Queued:
    """One change, as it was when it happened."""

    id: str
    number: int
    entity_type: str
    type: str
    field: str | None
    data: dict[str, Any]
    by: User
    created_at: str
    target_name: str | None = None

    @property
    def event(self) -> str:
        """The event by its name."""
        return ".".join(filter(None, (self.entity_type, self.type, self.field)))

    def shown(self) -> dict[str, Any]:
        """The change as the administrator sees it."""
        return {
            "id": self.id,
            "deleted": False,
            "number": self.number,
            "event": self.event,
            "data": self.data,
            "createdAt": self.created_at,
            "isProcessed": False,
            "targetId": self.data["id"],
            "targetType": self.entity_type,
            "targetName": self.target_name,
            "userId": self.by.id,
            "userName": self.by.full_name,
        }


@attrs.define
class Item:
    """One change on its way to one webhook."""

    id: str
    number: int
    webhook: Webhook
    change: Queued
    created_at: str
    status: Literal["Pending", "Success", "Failed"] = "Pending"
    attempts: int = 0
    process_at: datetime | None = None
    processed_at: str | None = None

    def shown(self) -> dict[str, Any]:
        """The item as the administrator sees it."""
        return {
            "id": self.id,
            "deleted": False,
            "number": self.number,
            "event": self.change.event,
            "data": self.change.data,
            "createdAt": self.created_at,
            "status": self.status,
            "processedAt": self.processed_at,
            "attempts": self.attempts,
            "processAt": None if self.process_at is None else _stamp(self.process_at),
            "webhookId": self.webhook.id,
            "webhookName": self.webhook.id,
            "targetId": self.change.data["id"],
            "targetType": self.change.entity_type,
            "targetName": self.change.target_name,
        }


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime(SECONDS)


@attrs.define
class Webhooks:
    """All webhooks of one EspoCRM, what is queued for them, and the job that sends it."""

    seed: int
    clock: Callable[[], datetime]
    hooks: dict[str, Webhook] = attrs.Factory(dict)
    queue: list[Queued] = attrs.Factory(list)
    items: list[Item] = attrs.Factory(list)
    _numbers: int = 0
    _item_numbers: int = 0
    _rng: random.Random = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._rng = random.Random(f"espocrm/webhooks/{self.seed}")

    def register(self, body: Mapping[str, Any], by: User) -> dict[str, Any]:
        """A new webhook of this user; ``Refusal`` for an event that there is not."""
        entity_type, type_, field = _event_of(str(body.get("event") or ""))
        if not body.get("url"):
            raise invalid("Webhook", "url", "required")
        if sum(hook.owner.id == by.id for hook in self.hooks.values()) >= MOST:
            raise Refusal(403, "Webhook number limit reached.")
        now = _stamp(self.clock())
        hook = Webhook(
            id=self._id(),
            entity_type=entity_type,
            type=type_,
            field=field,
            url=str(body["url"]),
            secret=f"{self._rng.getrandbits(128):032x}",
            owner=by,
            created_at=now,
            modified_at=now,
            skip_own=bool(body.get("skipOwn", False)) and not by.is_admin,
        )
        self.hooks[hook.id] = hook
        return hook.shown(to=by, created=True)

    def listed(self, user: User) -> dict[str, Any]:
        """The webhooks of this user, newest first; the administrator sees all."""
        mine = [hook for hook in reversed(self.hooks.values()) if user.is_admin or hook.owner.id == user.id]
        return {"total": len(mine), "list": [hook.shown(to=user) for hook in mine]}

    def one(self, id: str, user: User) -> Webhook:
        """A webhook that this user may see."""
        hook = self.hooks.get(id)
        if hook is None or not (user.is_admin or hook.owner.id == user.id):
            raise Refusal(404, f"Record {id} does not exist.")
        return hook

    def change(self, id: str, body: Mapping[str, Any], by: User) -> dict[str, Any]:
        """Change address or activity; an event is never changed, and nobody says so."""
        hook = self.one(id, by)
        url, active = str(body.get("url", hook.url)), bool(body.get("isActive", hook.active))
        if (url, active) != (hook.url, hook.active):
            hook.url, hook.active, hook.modified_at, hook.modified_by = url, active, _stamp(self.clock()), by
        return hook.shown(to=by)

    def remove(self, id: str, by: User) -> None:
        """No more of it."""
        del self.hooks[self.one(id, by).id]

    def happened(self, entity_type: str, type_: Event, data: dict[str, Any], by: User, name: str | None = None) -> None:
        """Queue a change, and one for each field that somebody watches; nothing is kept for nobody."""
        wanted = {
            (hook.type, hook.field) for hook in self.hooks.values() if hook.active and hook.entity_type == entity_type
        }
        if (type_, None) in wanted:
            self._queue(entity_type, type_, None, data, by, name)
        kind = ENTITY_TYPES[entity_type]
        for field in sorted(field for event, field in wanted if event == "fieldUpdate" and field is not None):
            attributes = kind.attributes_of(field)
            if type_ == "update" and any(attribute in data for attribute in attributes):
                part = {n: data[n] for n in attributes if n in data}
                self._queue(entity_type, "fieldUpdate", field, {**part, "id": data["id"]}, by, name)

    def shown_queue(self) -> dict[str, Any]:
        """What waits to be sorted."""
        return {"total": len(self.queue), "list": [change.shown() for change in self.queue]}

    def shown_items(self) -> dict[str, Any]:
        """What was or will be sent, newest first."""
        return {"total": len(self.items), "list": [item.shown() for item in reversed(self.items)]}

    async def run(self, portion: int) -> list[int]:
        """The job: sort a portion of the queue, send what is due; how many items each POST had."""
        now = self.clock()
        taken, self.queue = self.queue[:portion], self.queue[portion:]
        for change in taken:
            for hook in [hook for hook in self.hooks.values() if self._wants(hook, change)]:
                self._item_numbers += 1
                self.items.append(Item(self._id(), self._item_numbers, hook, change, _stamp(now)))
        sent = []
        async with aiohttp.ClientSession(timeout=TIMEOUT, skip_auto_headers=["User-Agent"]) as session:
            for hook in list(self.hooks.values()):
                due = [item for item in self.items if item.webhook is hook and _is_due(item, now)][:BATCH]
                if due and hook.active:
                    self._settle(hook, due, await _posted(session, hook, due), now)
                    sent.append(len(due))
        return sent

    async def run_every(self, interval_s: Callable[[], float], portion: Callable[[], int]) -> None:
        """The job, again and again."""
        while True:
            await asyncio.sleep(interval_s())
            await self.run(portion())

    def _wants(self, hook: Webhook, change: Queued) -> bool:
        same = (hook.entity_type, hook.type, hook.field) == (change.entity_type, change.type, change.field)
        may = hook.owner.role.level("read", change.entity_type) == "all"
        return same and hook.active and may and not (hook.skip_own and hook.owner.id == change.by.id)

    def _settle(self, hook: Webhook, items: list[Item], status: int, now: datetime) -> None:
        if status == DELETES:
            self.hooks.pop(hook.id, None)
        for item in items:
            item.attempts += 1
            item.processed_at = None
            if 200 <= status < 400:
                item.status, item.processed_at, item.process_at = "Success", _stamp(now), None
            elif status in RETRIED and item.attempts < ATTEMPTS:
                item.process_at = now + RETRY_AFTER
            else:
                item.status, item.process_at = "Failed", None

    def _queue(
        self, entity_type: str, type_: str, field: str | None, data: dict[str, Any], by: User, name: str | None
    ) -> None:
        self._numbers += 1
        self.queue.append(
            Queued(self._id(), self._numbers, entity_type, type_, field, data, by, _stamp(self.clock()), name)
        )

    def _id(self) -> str:
        return f"{self._rng.getrandbits(68):017x}"


def _permitted(hook: Webhook, change: Queued) -> dict[str, Any]:
    """What the webhook's owner may read of a change."""
    kind = ENTITY_TYPES[change.entity_type]
    hidden = {name for field in hook.owner.role.hidden & set(kind.by_name) for name in kind.attributes_of(field)}
    return {name: value for name, value in change.data.items() if name not in hidden}


def _is_due(item: Item, now: datetime) -> bool:
    return item.status == "Pending" and (item.process_at is None or item.process_at <= now)


async def _posted(session: aiohttp.ClientSession, hook: Webhook, items: list[Item]) -> int:
    """The status of the answer; 408 for none at all."""
    body = (
        json.dumps([_permitted(hook, item.change) for item in items], separators=(",", ":"))
        .replace("/", "\\/")
        .encode()
    )
    headers = {"Content-Type": "application/json", "Accept": "*/*", **hook.signatures(body)}
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
        async with session.post(hook.url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status
    return 408


def _event_of(event: str) -> tuple[str, str, str | None]:
    entity_type, _, rest = event.partition(".")
    type_, _, field = rest.partition(".")
    kind = ENTITY_TYPES.get(entity_type)
    if kind is None:
        raise Refusal(403, "Entity type is not available for Webhooks.")
    if type_ not in EVENTS or (type_ == "fieldUpdate") != bool(field):
        raise Refusal(403, "Not supported event.")
    if field and field not in kind.by_name:
        raise Refusal(403, "Field does not exist.")
    return entity_type, type_, field or None
