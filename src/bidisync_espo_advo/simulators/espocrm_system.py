"""What EspoCRM answers beside records: webhooks and their queue, deletions, actions on many records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

import attrs

from bidisync_espo_advo.simulators.espocrm_entities import ENTITY_TYPES
from bidisync_espo_advo.simulators.espocrm_query import whole
from bidisync_espo_advo.simulators.espocrm_refusals import Refusal
from bidisync_espo_advo.simulators.espocrm_store import EspoStore
from bidisync_espo_advo.simulators.espocrm_users import User
from bidisync_espo_advo.simulators.espocrm_values import SECONDS
from bidisync_espo_advo.simulators.espocrm_where import Filters

ALLOWED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Webhook": (("GET", "POST"), ("GET", "DELETE", "PUT", "PATCH")),
    "WebhookQueueItem": (("GET",), ("GET", "PUT", "PATCH")),
    "WebhookEventQueueItem": (("GET",), ("GET",)),
    "ActionHistoryRecord": (("GET",), ("GET",)),
    "MassAction": (("POST",), ()),
    "Note": (("GET", "POST"), ("GET",)),
    "Notification": (("GET", "POST"), ("GET",)),
}
"""The verbs of each address: of the many, and of the one."""


@attrs.frozen
class Asked:
    """One request for something of the system."""

    method: str
    parts: list[str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    user: User


def system(store: EspoStore, asked: Asked) -> Any:
    """The reply; ``Refusal`` where that is not allowed."""
    return _ANSWERS[asked.parts[0]](store, asked)


def _webhook(store: EspoStore, asked: Asked) -> Any:
    hooks, user = store.webhooks, asked.user
    if not user.role.webhooks:
        raise Refusal(403, f"No {'create' if asked.method == 'POST' else 'read'} access.")
    if asked.method == "POST":
        return hooks.register(asked.body, user)
    if len(asked.parts) == 1:
        return hooks.listed(user)
    id = asked.parts[1]
    if asked.method == "GET":
        return hooks.one(id, user).shown(to=user)
    if asked.method == "DELETE":
        hooks.remove(id, user)
        return True
    return hooks.change(id, asked.body, user)


def _queue_item(store: EspoStore, asked: Asked) -> Any:
    if not asked.user.is_admin:
        raise Refusal(403, "No access to 'WebhookQueueItem'.")
    if asked.method != "GET":
        raise Refusal(403, "")
    return _cut(store.webhooks.shown_items(), asked.query)


def _event_item(store: EspoStore, asked: Asked) -> Any:
    if not asked.user.is_admin:
        raise Refusal(403, "No access to 'WebhookEventQueueItem'.")
    return _cut(store.webhooks.shown_queue(), asked.query)


def _cut(listed: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    return {**listed, "list": listed["list"][: whole(query.get("maxSize", "200"))]}


def _history(store: EspoStore, asked: Asked) -> Any:
    """Deletions alone, newest first: nothing else is kept here."""
    user = asked.user
    known = [(n, d) for n, d in enumerate(store.deletions, 1) if user.is_admin or d.by.id == user.id]
    most = whole(asked.query.get("maxSize", "20"))
    rows = [
        {
            "id": f"{number:017x}",
            "deleted": False,
            "number": number,
            "targetType": deletion.entity_type,
            "data": None,
            "action": "delete",
            "createdAt": deletion.at,
            "userType": "admin" if deletion.by.is_admin else "api",
            "ipAddress": "127.0.0.1",
            "targetId": deletion.id,
            "targetName": deletion.name,
            "userId": deletion.by.id,
            "userName": deletion.by.full_name,
            **({} if not user.is_admin else _sign_in_of(number)),
        }
        for number, deletion in reversed(known)
    ]
    return {"total": -1 if len(rows) > most else -2, "list": rows[:most]}


def _sign_in_of(number: int) -> dict[str, Any]:
    """How whoever did it had signed in: for the administrator alone."""
    record = f"{number:017x}"
    return {
        "authTokenId": None,
        "authTokenName": None,
        "authLogRecordId": record,
        "authLogRecordName": record,
    }


def _mass_action(store: EspoStore, asked: Asked) -> Any:
    """One action on many records, named or found."""
    body, user = asked.body, asked.user
    kind, action = ENTITY_TYPES.get(str(body.get("entityType"))), body.get("action")
    if action not in ("update", "delete"):
        raise Refusal(404, f"Mass action '{action}' not found.")
    if kind is None:
        raise Refusal(404, "")
    right = "edit" if action == "update" else "delete"
    if user.role.level("edit" if action == "update" else "delete", kind.name) == "no":
        raise Refusal(403, f"No {right} access for '{kind.name}'.")
    params = body.get("params") or {}
    if not isinstance(params, dict) or not isinstance(params.get("searchParams") or {}, dict):
        raise Refusal(400, "")
    ids, live = params.get("ids"), store.table(kind).all_live()
    if ids is None:
        where = (params.get("searchParams") or {}).get("where") or []
        test = Filters(kind, frozenset(), store.clock(), store.exists).test(where)
        chosen = [record.id for record in live if test(record.row)]
    else:
        there = {record.id for record in live}
        chosen = [id for id in ids if id in there]
    for id in chosen:
        if action == "delete":
            store.remove(kind, id, user)
        else:
            store.change(kind, id, (body.get("data") or {}).get("values") or {}, user)
    return {"count": len(chosen)} if ids is None else {"count": len(chosen), "ids": chosen}


def _note(store: EspoStore, asked: Asked) -> Any:
    """Posts: everybody may write them, and reads their own."""
    user = asked.user
    if asked.method == "POST":
        at = store.clock().astimezone(UTC).strftime(SECONDS)
        may = store.switches["message_permission"] == "all"
        return store.notes.post(asked.body, user, at, reads_parent=_readable(store, user), may_message=may)
    mine = [post for post in store.notes.posts if user.is_admin or post["createdById"] == user.id]
    if len(asked.parts) == 1:
        return _cut({"total": len(mine), "list": mine}, asked.query)
    found = next((post for post in mine if post["id"] == asked.parts[1]), None)
    if found is None:
        raise Refusal(404, f"Record {asked.parts[1]} does not exist.")
    return found


def _readable(store: EspoStore, user: User) -> Callable[[str, str], bool]:
    def readable(entity_type: str, id: str) -> bool:
        kind = ENTITY_TYPES.get(entity_type)
        level = "no" if kind is None else user.role.level("read", kind.name)
        if kind is None or level == "no" or not store.exists(kind.name, id):
            return False
        return level == "all" or bool(store.table(kind).records[id].row["assignedUserId"] == user.id)

    return readable


def _notification(store: EspoStore, asked: Asked) -> Any:
    """Notifications: EspoCRM makes them itself."""
    if asked.method == "POST" and not asked.user.is_admin:
        raise Refusal(403, "No create access.")
    return store.notes.shown_to(asked.user)


_ANSWERS = {
    "Note": _note,
    "Notification": _notification,
    "Webhook": _webhook,
    "WebhookQueueItem": _queue_item,
    "WebhookEventQueueItem": _event_item,
    "ActionHistoryRecord": _history,
    "MassAction": _mass_action,
}
