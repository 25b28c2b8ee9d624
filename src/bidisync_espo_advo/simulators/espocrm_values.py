"""What EspoCRM makes of the values in a request: mostly it coerces, sometimes it refuses.

Fields are taken in the order of the entity type; the first that breaks a rule is the one named.
Attributes that there are not, or that only the server sets, are dropped without a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import attrs

from bidisync_espo_advo.simulators.espocrm_fields import CURRENCIES, EntityType, Field
from bidisync_espo_advo.simulators.espocrm_refusals import Refusal, invalid
from bidisync_espo_advo.simulators.espocrm_shared import rows_of

DATE = re.compile(r"\d{4}-\d\d-\d\d")
DATETIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?")
ZONED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:?\d\d)")
URL = re.compile(r"[^\s<>\"]+")
BAD_CHARACTERS = re.compile(r"[<>=]")
INT32 = range(-(2**31), 2**31)
SECONDS = "%Y-%m-%d %H:%M:%S"


@attrs.define
class Accepted:
    """What a request changes: ``values`` to store, ``echo`` where the reply differs from them.

    ``changed`` names the attributes that are not what they were.
    """

    values: dict[str, Any] = attrs.Factory(dict)
    echo: dict[str, Any] = attrs.Factory(dict)
    changed: set[str] = attrs.Factory(set)

    def take(self, name: str, value: Any, current: Mapping[str, Any]) -> None:
        """Store the value, if it is another one."""
        self.values[name] = value
        if name not in current or current[name] != value or (value is None) != (current[name] is None):
            self.changed.add(name)


class BrokenRule(Exception):
    """A value breaks the rule named."""


def accepted(kind: EntityType, given: Mapping[str, Any], current: Mapping[str, Any], *, creating: bool) -> Accepted:
    """What the request may change in the record; raises ``Refusal`` for the first bad field."""
    result = Accepted()
    for field in kind.fields:
        try:
            if field.kind == "personName":
                _person_name(field, given, result)
            elif field.kind in ("email", "phone"):
                _shared(field, given, current, result)
            elif field.kind == "link":
                _link(field, given, current, result)
            elif field.kind == "currency":
                _currency(field, given, current, result, creating=creating)
            elif field.name in given and not field.read_only:
                _plain(field, given[field.name], current, result, creating=creating)
            if creating and field.required and result.values.get(field.name) is None:
                raise BrokenRule("required")
        except BrokenRule as rule:
            raise invalid(kind.name, field.name, str(rule)) from None
    if any(field.not_null and result.values.get(field.name, 0) is None for field in kind.fields):
        raise Refusal(500)  # the column takes no NULL, and nothing checked before
    return result


def zoned_to_utc(text: str) -> str | None:
    """An ISO instant with zone and without a fraction, as EspoCRM writes it; None for other text."""
    if not ZONED.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime(SECONDS)
    except (ValueError, OverflowError):
        return None


def _person_name(field: Field, given: Mapping[str, Any], result: Accepted) -> None:
    """The name of a person is computed; one that is sent only comes back."""
    if isinstance(given.get(field.name), str):
        result.echo[field.name] = given[field.name]


def _plain(field: Field, raw: Any, current: Mapping[str, Any], result: Accepted, *, creating: bool) -> None:
    value = _COERCED[field.kind](field, raw)
    if field.kind == "multiEnum" and value is None and (creating or current.get(field.name) is not None):
        value = []
    if field.required and value is None:
        raise BrokenRule("required")
    if isinstance(value, str):
        if field.max_length is not None and len(value) > field.max_length:
            raise BrokenRule("maxLength")
        if field.plain_chars and BAD_CHARACTERS.search(value):
            raise BrokenRule("pattern")
    if field.kind == "datetime" and value is not None and len(value) == len("2026-11-24 01:02"):
        result.echo[field.name] = value
        value += ":00"
    if isinstance(value, float):
        result.echo[field.name] = value
        value = _number(float(f"{value:.15g}"))
    result.take(field.name, value, current)


def _shared(field: Field, given: Mapping[str, Any], current: Mapping[str, Any], result: Accepted) -> None:
    """Addresses or numbers: the list wins over the primary one alone."""
    listed = f"{field.name}Data"
    before = current.get(listed) or []
    if isinstance(given.get(listed), list):
        rows = rows_of(field, given[listed])
        if rows is None:
            raise BrokenRule("emailAddress" if field.kind == "email" else "valid")
        result.values[listed] = rows
        result.echo[listed] = given[listed]
        if given[listed] != before:
            result.changed |= {listed, field.name}
    elif field.name in given:
        primary = _varchar(field, given[field.name])
        kept = before[1:]
        if primary is not None:
            rows = rows_of(field, [{field.name: primary, "primary": True}])
            if rows is None:
                raise BrokenRule("emailAddress" if field.kind == "email" else "valid")
            known = next((row for row in before if row[field.name] == rows[0][field.name]), rows[0])
            kept = [{**known, "primary": True}, *(row for row in kept if row is not known)]
        result.values[listed] = [{**row, "primary": place == 0} for place, row in enumerate(kept)]
        new = primary and kept[0][field.name]
        result.echo[field.name] = new
        if new != current.get(field.name):
            result.changed |= {listed, field.name}


def _link(field: Field, given: Mapping[str, Any], current: Mapping[str, Any], result: Accepted) -> None:
    name = f"{field.name}Id"
    if name in given and not field.read_only:
        result.take(name, _varchar(field, given[name]), current)


def _currency(
    field: Field, given: Mapping[str, Any], current: Mapping[str, Any], result: Accepted, *, creating: bool
) -> None:
    code_name = f"{field.name}Currency"
    amount: Any = current.get(field.name)
    if field.name in given:
        amount = _float(field, given[field.name])
        result.take(field.name, amount, current)
    code = current.get(code_name)
    if code_name in given:
        code = _varchar(field, given[code_name])
    elif creating and amount is not None:
        code = CURRENCIES[0]
    if code_name in given or (creating and amount is not None):
        result.take(code_name, code, current)
    if (field.name in given or code_name in given) and amount is not None and code not in CURRENCIES:
        raise BrokenRule("validCurrency")


def _varchar(_field: Field, raw: Any) -> str | None:
    text = _text(_field, raw)
    return None if text is None else text.strip(" \t\n\r\0\v") or None  # what PHP trims, and no more


def _text(_field: Field, raw: Any) -> str | None:
    if raw is None or raw == "":
        return None
    if isinstance(raw, bool):
        return "1" if raw else ""
    if isinstance(raw, list):
        return "Array"
    if isinstance(raw, dict):
        return "Object"
    return str(_number(raw)) if isinstance(raw, float) else str(raw)


def _int(_field: Field, raw: Any) -> int | None:
    number = _float(_field, raw)
    if number is None:
        return None
    if not INT32[0] <= number <= INT32[-1]:
        raise BrokenRule("rangeInternal")
    return int(number)


def _float(_field: Field, raw: Any) -> int | float | None:
    if raw is None or (isinstance(raw, int | float) and not isinstance(raw, bool)):
        return None if raw is None else _number(raw)
    if raw == "":
        return 0
    if isinstance(raw, str) and re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", raw):
        return _number(float(raw))
    raise BrokenRule("valid")


def _number(value: float) -> int | float:
    """A whole float is written as an int, as PHP does."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def _bool(_field: Field, raw: Any) -> bool | None:
    return None if raw is None else raw is True or raw in ("true", "1") or (raw == 1 and raw is not False)


def _enum(field: Field, raw: Any) -> str | None:
    if raw in (None, "") and "" in field.options:
        return None
    if not isinstance(raw, str) or raw not in field.options:
        raise BrokenRule("valid")
    return raw


def _multi_enum(field: Field, raw: Any) -> list[str] | None:
    if raw is None:
        return None
    if not isinstance(raw, list):
        raise BrokenRule("array")
    if any(not isinstance(item, str) or item not in field.options for item in raw):
        raise BrokenRule("valid")
    return list(raw)


def _date(_field: Field, raw: Any) -> str | None:
    if raw is None:
        return None
    if not isinstance(raw, str) or not DATE.fullmatch(raw):
        raise BrokenRule("valid")
    _real(date.fromisoformat, raw)
    return raw


def _datetime(_field: Field, raw: Any) -> str | None:
    if raw is None:
        return None
    if not isinstance(raw, str):
        raise BrokenRule("valid")
    text = zoned_to_utc(raw) or raw
    if not DATETIME.fullmatch(text):
        raise BrokenRule("valid")
    _real(datetime.fromisoformat, text)
    return text


def _real(parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except ValueError:
        raise BrokenRule("valid") from None


def _url(field: Field, raw: Any) -> str | None:
    text = _varchar(field, raw)
    if text is not None and not URL.fullmatch(text):
        raise BrokenRule("valid")
    return text


def _json_object(_field: Field, raw: Any) -> dict[str, Any] | None:
    return raw if isinstance(raw, dict) else None


_COERCED: Mapping[str, Callable[[Field, Any], Any]] = {
    "varchar": _varchar,
    "text": _text,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "enum": _enum,
    "multiEnum": _multi_enum,
    "date": _date,
    "datetime": _datetime,
    "url": _url,
    "jsonObject": _json_object,
}
