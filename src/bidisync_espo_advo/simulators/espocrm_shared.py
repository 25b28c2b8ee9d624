"""E-mail addresses and phone numbers: one row each, shared by every record that has it.

So a flag set on one record shows on all others with that address, whose modification time
and version stay as they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from bidisync_espo_advo.simulators.espocrm_fields import PHONE_TYPES, Field

EMAIL = re.compile(r"[^\s@<>\",;:]+@[^\s@<>\",;:.]+(\.[^\s@<>\",;:.]+)+")
E164 = re.compile(r"\+[1-9]\d{6,14}")
PHONE_FILLERS = str.maketrans("", "", " -()/.")


def rows_of(field: Field, items: Sequence[Any]) -> list[dict[str, Any]] | None:
    """The items as full rows, the primary one first; None if one of them is not valid."""
    rows = [_email(item) if field.kind == "email" else _phone(item) for item in items]
    if not rows:
        return []
    if any(row is None for row in rows):
        return None
    full = [row for row in rows if row is not None]
    first = next((row for row in full if row["primary"]), full[0])
    ordered = [first, *(row for row in full if row is not first)]
    return [{**row, "primary": place == 0} for place, row in enumerate(ordered)]


@attrs.define
class SharedRows:
    """What is known of every address and number, whoever has it."""

    _rows: dict[tuple[str, str], dict[str, Any]] = attrs.field(factory=dict, repr=False)

    def keep(self, field: str, rows: Iterable[Mapping[str, Any]]) -> tuple[list[str], bool]:
        """Take the rows over; returns their keys in order, and whether a known one now differs."""
        keys, differs = [], False
        for row in rows:
            key = row[field].casefold()
            own = {name: value for name, value in row.items() if name != "primary"}
            known = self._rows.get((field, key))
            differs |= known is not None and known != own
            self._rows[field, key] = own
            keys.append(key)
        return list(dict.fromkeys(keys)), differs

    def shown(self, field: str, keys: Iterable[str]) -> list[dict[str, Any]]:
        """The rows with these keys as a reply has them; the first is the primary one."""
        return [_in_order({**self._rows[field, key], "primary": n == 0}) for n, key in enumerate(keys)]


def _email(item: Any) -> dict[str, Any] | None:
    address = item.get("emailAddress") if isinstance(item, dict) else None
    if not isinstance(address, str) or len(address) > 255 or not EMAIL.fullmatch(address.strip()):
        return None
    address = address.strip()
    return {"emailAddress": address, "lower": address.lower(), **_flags(item)}


def _phone(item: Any) -> dict[str, Any] | None:
    number = item.get("phoneNumber") if isinstance(item, dict) else None
    if not isinstance(number, str) or not E164.fullmatch(number.translate(PHONE_FILLERS)):
        return None
    kind = item.get("type") or PHONE_TYPES[0]
    if kind not in PHONE_TYPES:
        return None
    return {"phoneNumber": number.translate(PHONE_FILLERS), "type": kind, **_flags(item)}


def _flags(item: Mapping[str, Any]) -> dict[str, bool]:
    return {name: item.get(name) is True for name in ("primary", "optOut", "invalid")}


def _in_order(row: Mapping[str, Any]) -> dict[str, Any]:
    """The keys as EspoCRM orders them: what it is, primary, optOut, invalid."""
    last = ("primary", "optOut", "invalid")
    return {name: row[name] for name in (*(n for n in row if n not in last), *last)}
