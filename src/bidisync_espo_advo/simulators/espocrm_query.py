"""A query string as PHP reads it: brackets make lists and maps, and every value is text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import attrs

from bidisync_espo_advo.simulators.espocrm_fields import EntityType
from bidisync_espo_advo.simulators.espocrm_refusals import Refusal

MAX_ROWS = 200
KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
ALWAYS = ("id", "createdById", "assignedUserId")


@attrs.frozen
class ListQuery:
    """Which rows, in which order, with which attributes."""

    where: tuple[Any, ...] = ()
    order_by: str = "createdAt"
    descending: bool = True
    select: frozenset[str] | None = None
    size: int = MAX_ROWS
    offset: int = 0
    text: str = ""
    only_my: bool = False
    without_total: bool = False


def list_query(query_string: str, kind: EntityType, *, without_total: bool) -> ListQuery:
    """What the query asks for; raises ``Refusal`` where EspoCRM refuses."""
    params: Mapping[str, Any] = php_params(query_string)
    if "searchParams" in params:
        params = _search_params(params["searchParams"])
    where = params.get("where", params.get("whereGroup", []))
    if isinstance(where, dict):
        raise Refusal(500, body={"message": "Slim Application Error"})
    order_by, descending = _order(params, kind)
    filters = params.get("boolFilterList")
    text = params.get("textFilter") or params.get("q") or ""
    return ListQuery(
        where=tuple(where) if isinstance(where, list) else (),
        order_by=order_by,
        descending=descending,
        select=_select(params, order_by),
        size=_size(params.get("maxSize")),
        offset=_offset(params.get("offset")),
        text=text if isinstance(text, str) else "",
        only_my=isinstance(filters, list) and "onlyMy" in filters,
        without_total=without_total or "q" in params,
    )


def php_params(query_string: str) -> dict[str, Any]:
    """The parameters; keys 0, 1, 2, … make a list, other keys a map."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(query_string, keep_blank_values=True, encoding="utf-8", errors="replace"):
        match = KEY.fullmatch(name)
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])] if match else [name]
        place = found
        for key in path[:-1]:
            deeper = place.setdefault(key or str(len(place)), {})
            if not isinstance(deeper, dict):
                break
            place = deeper
        else:
            place[path[-1] or str(len(place))] = value
    return {name: _as_list(value) for name, value in found.items()}


def _as_list(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if all(key.isascii() and key.isdecimal() for key in value):
        return [_as_list(item) for item in value.values()]
    return {key: _as_list(item) for key, item in value.items()}


def _search_params(text: Any) -> Mapping[str, Any]:
    try:
        params = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        params = None
    if not isinstance(params, dict):
        raise Refusal(400, "Invalid search params JSON.")
    return params


def _order(params: Mapping[str, Any], kind: EntityType) -> tuple[str, bool]:
    order_by, order = params.get("orderBy"), params.get("order")
    if isinstance(order_by, list | dict) or isinstance(order, list | dict):
        raise Refusal(500)
    if order not in (None, "", "asc", "desc", "ASC", "DESC", True, False):
        raise Refusal(400, "order value is bad.")
    if not order_by:
        return "createdAt", True if order in (None, "") else order in ("desc", "DESC", True)
    if order_by not in kind.kinds and order_by not in kind.by_name:
        raise Refusal(400, f"Order by non-existing field '{order_by}'.")
    return str(order_by), order in ("desc", "DESC", True)


def _select(params: Mapping[str, Any], order_by: str) -> frozenset[str] | None:
    chosen = params.get("select") or params.get("attributeSelect")
    if isinstance(chosen, str):
        chosen = chosen.split(",")
    if not isinstance(chosen, list):
        return None
    return frozenset({*ALWAYS, order_by, *(name.strip() for name in chosen if isinstance(name, str))})


def _size(raw: Any) -> int:
    if raw is None or raw == "":
        return MAX_ROWS
    size = whole(raw)
    if size > MAX_ROWS:
        raise Refusal(403, f"Max size should not exceed {MAX_ROWS}. Use offset and limit.")
    if size < 0:
        raise Refusal(500)
    return size


def _offset(raw: Any) -> int:
    offset = whole(raw)
    if offset < 0:
        raise Refusal(500)
    return offset


def whole(raw: Any) -> int:
    """A number as PHP reads it: the digits in front, else 0."""
    match = re.match(r"\s*[+-]?\d{1,18}", str(raw))
    return int(match[0]) if match else 0
