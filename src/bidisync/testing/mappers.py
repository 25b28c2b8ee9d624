"""What every mapper promises: run the check on yours."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

from bidisync.errors import Unmappable
from bidisync.model import ABSENT, Value
from bidisync.protocols import Mapper
from bidisync.testing.broken import holds

UNMAPPED = "field that no mapping knows"


def check_mapper(
    mapper: Mapper,
    natives: Iterable[Mapping[str, object]],
    records: Iterable[Mapping[str, Value]] = (),
) -> None:
    """Send the records through the mapper in both directions, and fail with the first law of a lens that it breaks.

    ``natives`` are records as the system has them, ``records`` shared ones to be written
    (those read from the natives are tried too).
    """
    originals = [dict(native) for native in natives]
    shared = [dict(record) for record in records]
    holds(originals or shared, "a mapper is checked with at least one record")
    for original in originals:
        _reads(mapper, original)
        shared.append({name: value for name, value in mapper.get(original).items() if value is not ABSENT})
    for record in shared:
        for original in [{}, *originals]:
            _writes(mapper, record, original)
        for name, value in record.items():
            _touches_its_own(mapper, name, value, originals)


def _reads(mapper: Mapper, native: Mapping[str, object]) -> None:
    before = copy.deepcopy(dict(native))
    fields = mapper.get(native)
    holds(dict(native) == before, "reading changes nothing")
    holds(mapper.get(native) == fields, "the same record reads the same")
    holds(set(fields) <= mapper.fields, "a mapper reads only fields that it says it has")
    unreadable = mapper.unreadable(native)
    holds(unreadable <= mapper.fields, "what can't be read is named by its field")
    holds(all(fields.get(name, ABSENT) is ABSENT for name in unreadable), "what can't be read is ABSENT")
    holds(all(value is ABSENT for value in mapper.get({}).values()), "what was not delivered is ABSENT, not empty")
    holds(not mapper.unreadable({}), "what was not delivered is not unreadable")
    changes: dict[str, Value] = {name: value for name, value in fields.items() if value is not ABSENT}
    stored = {**native, **mapper.put(changes, native)}
    holds(mapper.get(stored) == fields, "putting back what was read changes nothing")


def _writes(mapper: Mapper, record: Mapping[str, Value], native: Mapping[str, object]) -> None:
    before = copy.deepcopy(dict(native))
    try:
        placed = mapper.put(record, native)
    except Unmappable as error:
        holds(error.field in record, "a value without a form is refused by the name of its field")
        return
    holds(dict(native) == before, "writing changes the given record only by what it answers")
    holds(dict(mapper.put(record, native)) == dict(placed), "the same change is written the same")
    now = mapper.get({**native, **placed})
    for name, value in record.items():
        if value is not None or native:
            holds(now.get(name, ABSENT) == value, f"what is put into {name!r} is read again")


def _touches_its_own(mapper: Mapper, name: str, value: Value, originals: Iterable[Mapping[str, object]]) -> None:
    for original in originals:
        try:
            placed = mapper.put({name: value}, {**original, UNMAPPED: "untouched"})
        except Unmappable:
            continue
        holds(UNMAPPED not in placed, "a field that no mapping knows is never written")
        others = {other: seen for other, seen in mapper.get(original).items() if other != name}
        now = mapper.get({**original, **placed})
        holds(all(now[other] == seen for other, seen in others.items()), f"writing {name!r} changes no other field")
    holds(not dict(mapper.put({}, {UNMAPPED: "untouched"})), "no change writes nothing")
