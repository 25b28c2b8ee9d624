"""A list: the rows that a query asks for and that the user may see, as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bidisync_espo_advo.simulators.espocrm_fields import EntityType
from bidisync_espo_advo.simulators.espocrm_query import list_query
from bidisync_espo_advo.simulators.espocrm_refusals import bad_where
from bidisync_espo_advo.simulators.espocrm_replies import encoded
from bidisync_espo_advo.simulators.espocrm_store import EspoStore
from bidisync_espo_advo.simulators.espocrm_table import Record
from bidisync_espo_advo.simulators.espocrm_users import User
from bidisync_espo_advo.simulators.espocrm_where import Filters, Row, Test, modified_since

MORE_FOLLOW, NO_MORE = -1, -2  # in place of the total, where none was wanted


def listed(store: EspoStore, kind: EntityType, user: User, query_string: str, *, without_total: bool) -> bytes:
    """The reply to a list request; raises ``Refusal`` where EspoCRM refuses."""
    query = list_query(query_string, kind, without_total=without_total)
    hidden = _hidden(kind, user)
    if query.order_by in hidden:
        raise bad_where(f"Not access to order by field '{query.order_by}'.")
    filters = Filters(kind, hidden, store.clock(), store.exists, lambda one, other: store.behind(kind, one, other))
    tests = [filters.test(query.where)] if query.where else []
    if user.role.level("read", kind.name) == "own" or query.only_my:
        tests.append(lambda row: bool(row["assignedUserId"] == user.id))
    if query.text:
        tests.append(_text_test(kind, query.text))
    found = store.table(kind).matching(query, _both(tests), modified_since(query.where))
    page = found[query.offset : query.offset + query.size]
    total = len(found)
    if query.without_total:
        total = MORE_FOLLOW if query.offset + query.size < len(found) else NO_MORE
    show = _shower(store, kind, hidden, query.select)
    return b'{"total":%d,"list":[' % total + b",".join(map(show, page)) + b"]}"


def _hidden(kind: EntityType, user: User) -> frozenset[str]:
    fields = user.role.hidden & set(kind.by_name)
    return frozenset(name for field in fields for name in kind.attributes_of(field))


def _shower(
    store: EspoStore, kind: EntityType, hidden: frozenset[str], select: frozenset[str] | None
) -> Callable[[Record], bytes]:
    def whole(record: Record) -> bytes:
        if record.row_json is None:
            record.row_json = encoded(store.shown_in_list(kind, record))
        return record.row_json

    def part(record: Record) -> bytes:
        row = store.shown_in_list(kind, record)
        return encoded({name: row[name] for name in row if name not in hidden and (select is None or name in select)})

    return part if hidden or select is not None else whole


def _both(tests: list[Test]) -> Test:
    def passes(row: Row) -> bool:
        return all(test(row) for test in tests)

    return tests[0] if len(tests) == 1 else passes


def _text_test(kind: EntityType, text: str) -> Test:
    """The search box: the beginning of the name or of an address; ``*`` stands for anything before."""
    wanted = text.strip().casefold()
    anywhere, wanted = wanted.startswith("*"), wanted.strip("*")

    def fits(value: Any) -> bool:
        own = str(value or "").casefold()
        return wanted in own if anywhere else own.startswith(wanted)

    names = ("name", "firstName", "lastName") if kind.template == "Person" else ("name",)
    return lambda row: any(fits(row[name]) for name in names) or any(map(fits, row.get("_emailAddress", ())))
