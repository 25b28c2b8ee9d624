"""What EspoCRM means by a status and its reason header, in our errors.

Its errors mostly have an empty body; the header ``X-Status-Reason`` names rules and fields,
never values. A 403 has five meanings, a 409 two, and a 404 may be about more than a record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bidisync.errors import Rejected, Stale, SyncError, Unauthorized, Unavailable
from bidisync_espo_advo.refusals import OF_CONTENT, unexplained
from bidisync_espo_advo.transport import Response

SYSTEM = "espocrm"
_FIELD = re.compile(r"field: (\w+)")
_ACTION = {"GET": "read", "POST": "create", "PUT": "edit", "DELETE": "delete"}


def reason(response: Response) -> str:
    """The reason header; empty where there is none."""
    return response.headers.get("x-status-reason", "")


def says_absent(response: Response) -> bool:
    """Whether a 404 is about the record alone, and not about the address or the entity type."""
    told = reason(response)
    return told.startswith("Record ") if told else not response.body.strip()


def in_maintenance(response: Response) -> bool:
    """Whether EspoCRM refuses everybody but its administrator: nothing was done, and it may last."""
    return response.status == 503 and "maintenance" in reason(response)


def is_duplicate(response: Response) -> bool:
    """Whether a 409 brings the records that EspoCRM takes for the same one."""
    told = reason(response)
    return told == "duplicate" or (not told and response.body.lstrip().startswith(b"["))


def is_modified(response: Response) -> bool:
    """Whether a 409 says that the record moved since the version that was named."""
    told = reason(response)
    return told == "modified" or (not told and b'"versionNumber"' in response.body)


def permission(response: Response) -> bool:
    """Whether a 403 names a permission that is missing."""
    return response.status == 403 and "access" in reason(response)


def of_one_record(response: Response) -> bool:
    """Whether the missing permission is certainly one to this record, not to all of its kind."""
    return "'" in reason(response)


def level(rights: Mapping[str, object], entity_type: str, method: str) -> str:
    """How far a user may go, as the rights say that EspoCRM tells with the user; empty: it does not say."""
    table = rights.get("table")
    scope = table.get(entity_type) if isinstance(table, dict) else None
    if scope is False:
        return "no"
    found = scope.get(_ACTION[method]) if isinstance(scope, dict) else None
    return found if isinstance(found, str) else ""


def locked_fields(rights: Mapping[str, object], entity_type: str) -> frozenset[str]:
    """The fields that the user may not write, as the rights say."""
    tables = rights.get("fieldTable")
    fields = tables.get(entity_type) if isinstance(tables, dict) else None
    if not isinstance(fields, dict):
        return frozenset()
    return frozenset(
        n for n, may in fields.items() if isinstance(may, dict) and "no" in (may.get("edit"), may.get("read"))
    )


def refused(response: Response, method: str, entity_type: str, *, of_record: bool = True) -> SyncError:
    """The error that a reply stands for, where nobody expected it; ``of_record``: one to a request for one record."""
    told = reason(response)
    if response.status == 401:
        return Unauthorized("espocrm refuses the API key: check espocrm.api_key", system=SYSTEM)
    if response.status == 403 and not told:
        return Unavailable("espocrm blocks this address for a while after failed logins", system=SYSTEM)
    if permission(response):
        return Unauthorized(
            f"espocrm does not let this user {_ACTION[method]} {entity_type}: check its role", system=SYSTEM
        )
    if in_maintenance(response):
        return Unavailable("espocrm is in maintenance mode", system=SYSTEM)
    if response.status == 404:
        return Unavailable(
            f"espocrm has no entity type {entity_type}: check espocrm.url and espocrm.entity_type", system=SYSTEM
        )
    if response.status == 409 and is_modified(response):
        return Stale("the record was changed in espocrm since it was read")
    if of_record and (response.status == 403 or response.status in OF_CONTENT):
        field = _FIELD.search(told)
        name = field.group(1) if field is not None else ""
        return Rejected(f"espocrm refuses the record{f': field {name}' if name else ''}", field=name)
    return unexplained(SYSTEM, response.status, method, of_record=of_record)
