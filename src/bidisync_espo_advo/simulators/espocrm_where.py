"""Filters of a list: each where item becomes a function of a row, as SQL would judge it.

A comparison with NULL is never true, also not ``notEquals`` and ``notIn``. Text is compared
without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from bidisync_espo_advo.simulators.espocrm_fields import SHARED, EntityType
from bidisync_espo_advo.simulators.espocrm_refusals import Refusal, bad_where
from bidisync_espo_advo.simulators.espocrm_values import DATE, SECONDS, zoned_to_utc

Row = Mapping[str, Any]
Test = Callable[[Row], bool]
Compare = Callable[[Any, Any], bool]

NUMBERS = frozenset({"int", "float", "bool", "currency"})
LINK_TYPES = frozenset({"linkedWith", "notLinkedWith", "isLinked", "isNotLinked", "linkedWithAll"})
SUB_QUERIES = frozenset({"not", "subQueryIn", "subQueryNotIn"})
COMPARISONS: Mapping[str, Compare] = {
    "greaterThan": lambda a, b: a > b,
    "greaterThanOrEquals": lambda a, b: a >= b,
    "lessThan": lambda a, b: a < b,
    "lessThanOrEquals": lambda a, b: a <= b,
    "after": lambda a, b: a > b,
    "before": lambda a, b: a < b,
    "on": lambda a, b: a == b,
    "notOn": lambda a, b: a != b,
}
PATTERNS = {
    "like": "{}", "notLike": "{}", "startsWith": "{}%", "endsWith": "%{}", "contains": "%{}%", "notContains": "%{}%",
}  # fmt: skip
ARRAYS: Mapping[str, Callable[[set[str], set[str]], bool]] = {
    "arrayAnyOf": lambda has, asked: bool(has & asked),
    "arrayNoneOf": lambda has, asked: not has & asked,
    "arrayAllOf": lambda has, asked: asked <= has,
    "arrayIsEmpty": lambda has, _asked: not has,
    "arrayIsNotEmpty": lambda has, _asked: bool(has),
}


Ends = tuple[datetime | None, datetime | None]


def _days(count: int) -> timedelta:
    return timedelta(days=count)


def _month(today: datetime, ahead: int, length: int = 1) -> Ends:
    months = today.year * 12 + today.month - 1 + ahead
    first, last = (today.replace(year=m // 12, month=m % 12 + 1, day=1) for m in (months, months + length))
    return first, last


PERIODS: Mapping[str, Callable[[datetime, int], Ends]] = {
    "lastSevenDays": lambda today, _x: (today - _days(7), today + _days(1)),
    "lastXDays": lambda today, x: (today - _days(x), today + _days(1)),
    "nextXDays": lambda today, x: (today, today + _days(x + 1)),
    "olderThanXDays": lambda today, x: (None, today - _days(x)),
    "afterXDays": lambda today, x: (today + _days(x + 1), None),
    "currentMonth": lambda today, _x: _month(today, 0),
    "lastMonth": lambda today, _x: _month(today, -1),
    "nextMonth": lambda today, _x: _month(today, 1),
    "currentQuarter": lambda today, _x: _month(today, -((today.month - 1) % 3), 3),
    "lastQuarter": lambda today, _x: _month(today, -((today.month - 1) % 3) - 3, 3),
    "currentYear": lambda today, _x: _month(today, 1 - today.month, 12),
    "lastYear": lambda today, _x: _month(today, -11 - today.month, 12),
}
"""Periods of dates: by their first day, and the day after their last (from the source, not recorded)."""


@attrs.frozen
class Filters:
    """Makes where items of one entity type into tests of rows."""

    kind: EntityType
    hidden: frozenset[str]  # attributes that the user may not filter by
    now: datetime
    exists: Callable[[str, str], bool]  # whether there is a record of this type with this id
    related: Callable[[str, str], Sequence[str]] = lambda _id, _foreign: ()  # ids on the other end of a relation

    def test(self, items: Iterable[Any]) -> Test:
        """True for rows that all items let through; ``Refusal`` for what may not be asked."""
        return _all([self._item(item) for item in items])

    def _item(self, item: Any) -> Test:
        if not isinstance(item, dict) or not item.get("type") or not isinstance(item["type"], str):
            raise Refusal(500)
        how, value = item["type"], item.get("value")
        if how in SUB_QUERIES:
            raise bad_where("Sub-queries are forbidden in where.")
        if how in ("or", "and"):
            if not isinstance(value, list):
                raise bad_where("Bad where item.")
            tests = [self._item(part) for part in value]
            return _all(tests) if how == "and" else lambda row: any(test(row) for test in tests)
        name = item.get("attribute", item.get("field"))
        if not isinstance(name, str) or not name:
            raise bad_where("Bad where item. No 'attribute'.")
        if how in LINK_TYPES:
            return self._linked(how, name, value)
        if name not in self.kind.kinds:
            raise Refusal(400, f"Not existing attribute '{name}' in where.")
        if name in self.hidden:
            raise bad_where(f"Forbidden attribute '{name}' in where.")
        return self._simple(how, name, value, item)

    def _simple(self, how: str, name: str, value: Any, item: Mapping[str, Any]) -> Test:
        if how == "isNull":
            return lambda row: row[name] is None
        if how == "isNotNull":
            return lambda row: row[name] is not None
        if how in ("isTrue", "isFalse"):
            wanted = how == "isTrue"
            return lambda row: row[name] is not None and bool(row[name]) is wanted
        if how in ("in", "notIn") or (how in ("equals", "notEquals") and isinstance(value, list)):
            if not isinstance(value, list):
                raise bad_where(f"Bad where item '{how}'.")
            return self._one_of(how in ("in", "equals"), name, value)
        if how == "equals":
            return self._one_of(True, name, [value]) if value is not None else lambda row: row[name] is None
        if how == "notEquals":
            return self._one_of(False, name, [value]) if value is not None else lambda row: row[name] is not None
        if how in ARRAYS:
            asked, judge = set(_listed(value)), ARRAYS[how]
            return lambda row: judge(set(row[name] or ()), asked)
        if how in PATTERNS:
            pattern = _like(PATTERNS[how].format(_text(value)))
            wanted = not how.startswith("not")
            return self._compare(name, lambda own, _: bool(pattern.fullmatch(str(own))) is wanted, None)
        return self._ordered(how, name, value, item)

    def _ordered(self, how: str, name: str, value: Any, item: Mapping[str, Any]) -> Test:
        as_given = self._sql(name)
        if how == "between":
            ends = _listed(value)
            if len(ends) < 2:
                raise bad_where("Bad where item 'between'.")
            low, high = as_given(ends[0]), as_given(ends[1])
            return self._compare(name, lambda own, _: low <= own <= high, None)
        if how in ("past", "future"):
            now = self.now.strftime(SECONDS if self.kind.kinds[name] == "datetime" else "%Y-%m-%d")
            return self._compare(name, COMPARISONS["before" if how == "past" else "after"], now)
        if how == "today" or (how in COMPARISONS and "dateTime" in item and self.kind.kinds[name] == "datetime"):
            return self._in_zone(how, name, value, item)
        if how in PERIODS and self.kind.kinds[name] in ("date", "datetime"):
            return self._in_period(how, name, value, item)
        if how not in COMPARISONS:
            raise Refusal(400, f"Unknown where item type '{how}'.")
        return self._compare(name, COMPARISONS[how], as_given(value))

    def _in_period(self, how: str, name: str, value: Any, item: Mapping[str, Any]) -> Test:
        """Days counted from today in a time zone: the first is within, the last no more."""
        try:
            zone = ZoneInfo(str(item.get("timeZone") or "UTC"))
        except (ZoneInfoNotFoundError, ValueError):
            raise bad_where("Bad timezone.") from None
        today = self.now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        ends = PERIODS[how](today, max(0, min(int(_number(value)), 36_500)))
        if self.kind.kinds[name] == "date":
            first, last = (None if end is None else end.strftime("%Y-%m-%d") for end in ends)
        else:
            first, last = (None if end is None else end.astimezone(UTC).strftime(SECONDS) for end in ends)
        return self._compare(
            name, lambda own, _: (first is None or own >= first) and (last is None or own < last), None
        )

    def _in_zone(self, how: str, name: str, value: Any, item: Mapping[str, Any]) -> Test:
        """Dates and times that are meant in a time zone; a date alone is the whole day there."""
        try:
            zone = ZoneInfo(str(item.get("timeZone") or "UTC"))
        except (ZoneInfoNotFoundError, ValueError):
            raise bad_where("Bad timezone.") from None
        if how == "today":
            if self.kind.kinds[name] == "date":
                return self._compare(name, COMPARISONS["on"], self.now.astimezone(zone).strftime("%Y-%m-%d"))
            how, value = "on", self.now.astimezone(zone).strftime("%Y-%m-%d")
        text = str(value)
        try:
            start = datetime.fromisoformat(text)
        except ValueError:
            raise bad_where("Bad where item. Bad date-time value.") from None
        start = start if start.tzinfo else start.replace(tzinfo=zone)
        end = start + timedelta(days=1) - timedelta(seconds=1) if DATE.fullmatch(text) else start
        first, last = (moment.astimezone(UTC).strftime(SECONDS) for moment in (start, end))
        if how in ("on", "notOn"):
            return self._compare(name, lambda own, _: (first <= own <= last) is (how == "on"), None)
        edge = last if how in ("after", "greaterThan", "lessThanOrEquals") else first
        return self._compare(name, COMPARISONS[how], edge)

    def _one_of(self, wanted: bool, name: str, values: Sequence[Any]) -> Test:
        as_given = self._sql(name)
        asked = {as_given(value) for value in values if not isinstance(value, list | dict)}
        return self._compare(name, lambda own, _: (own in asked) is wanted, None)

    def _compare(self, name: str, judge: Compare, value: Any) -> Test:
        """The judgement on the row's value as SQL compares it; never true of NULL."""
        if name in SHARED:  # any address of the record will do
            return lambda row: any(judge(own, value) for own in row[f"_{name}"])
        if self.kind.kinds[name] in NUMBERS or self.kind.kinds[name] in ("date", "datetime", "id"):
            return lambda row: row[name] is not None and judge(row[name], value)
        return lambda row: row[name] is not None and judge(_text(row[name]), value)

    def _sql(self, name: str) -> Callable[[Any], Any]:
        kind = self.kind.kinds[name]
        if kind in NUMBERS:
            return _number
        if kind == "datetime":
            return lambda value: zoned_to_utc(str(value)) or str(value)
        return str if kind in ("date", "id") else _text

    def _linked(self, how: str, link: str, value: Any) -> Test:
        if link not in self.kind.links:
            raise Refusal(400, f"Not existing relation '{link}' in where.")
        if link in self.hidden:
            raise bad_where(f"Forbidden relation '{link}' in where.")
        foreign, ends = self.kind.links[link], self._ends(link)
        if how in ("isLinked", "isNotLinked"):
            return lambda row: bool(ends(row)) is (how == "isLinked")
        asked = _listed(value)
        for target in asked:
            if not self.exists(foreign, target):
                raise bad_where(f"Record '{foreign}' `{target}` not found.")
        if how == "linkedWithAll":
            return lambda row: set(asked) <= ends(row)
        return lambda row: bool(ends(row) & set(asked)) is (how == "linkedWith")

    def _ends(self, link: str) -> Callable[[Row], set[str]]:
        """The ids on the other end of a link of a row."""
        if link in self.kind.relations:
            foreign = self.kind.relations[link]
            return lambda row: set(self.related(row["id"], foreign))
        return lambda row: {row[f"{link}Id"]} if row.get(f"{link}Id") is not None else set()


def modified_since(items: Iterable[Any]) -> str | None:
    """A time before which no row passes all the items, to skip older rows unseen."""
    bounds = [bound for bound in map(_bound, items) if bound is not None]
    return max(bounds, default=None)


def _bound(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None
    how, value = item.get("type"), item.get("value")
    if how in ("and", "or") and isinstance(value, list):
        bounds = [_bound(part) for part in value]
        known = [bound for bound in bounds if bound is not None]
        if how == "or":
            return min(known) if known and len(known) == len(bounds) else None
        return max(known, default=None)
    usual = item.get("attribute", item.get("field")) == "modifiedAt" and "dateTime" not in item
    if usual and how in ("greaterThan", "greaterThanOrEquals", "after", "equals") and isinstance(value, str):
        return zoned_to_utc(value) or value
    return None


def _all(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda row: all(test(row) for test in tests)


def _text(value: Any) -> str:
    return str(value).casefold()


def _number(value: Any) -> float:
    """Text compared with a number is the number that it begins with, else 0."""
    if isinstance(value, int | float):
        return value
    match = re.match(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)", str(value))
    return float(match[0]) if match else 0


def _listed(value: Any) -> list[str]:
    return [str(item) for item in (value if isinstance(value, list) else [value]) if item is not None]


def _like(pattern: str) -> re.Pattern[str]:
    """An SQL pattern: ``%`` stands for any text, ``_`` for one character."""
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(char, re.escape(char)) for char in pattern), re.DOTALL)
