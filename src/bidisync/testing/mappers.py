"""What every mapper promises: run the check on yours."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping

from bidisync.errors import Unmappable
from bidisync.model import ABSENT, Fields, Value
from bidisync.protocols import Mapper
from bidisync.testing.broken import ALLOWED, Broken, broken, holds
from bidisync.values import is_value

UNMAPPED = "field that no mapping knows"


def check_mapper(
    mapper: Mapper,
    natives: Iterable[Mapping[str, object]],
    records: Iterable[Mapping[str, Value]] = (),
    *,
    unseen: Collection[str] = (),
) -> None:
    """Send the records through the mapper in both directions, and fail with the first law of a lens that it breaks.

    ``natives`` are records as the system has them, ``records`` shared ones to be written
    (those read from the natives are tried too). Each field of the mapper has to stand in one
    of the natives, or its native name may be misspelt; ``unseen`` are those that none can show.
    Not to be awaited.
    """
    originals = [dict(native) for native in natives]
    shared = [dict(record) for record in records]
    holds(originals or shared, "a mapper is checked with at least one record")
    for original in originals:
        _reads(mapper, original)
        shared.append({name: value for name, value in _read(mapper, original).items() if value is not ABSENT})
    for record in shared:
        for original in [{}, *originals]:
            _writes(mapper, record, original)
        for name, value in record.items():
            _touches_its_own(mapper, name, value, originals)
    if originals:
        _has_a_place(mapper, originals, unseen)


def _read(mapper: Mapper, native: Mapping[str, object]) -> Fields:
    """What the mapper reads; what it raises is told as its fault, without the text of the error."""
    try:
        return mapper.get(native)
    except Exception as error:
        raise Broken(
            f"reading a record raises {type(error).__name__}",
            "a value without a form is ABSENT, and named by unreadable: let its codec raise Unmappable",
        ) from error


def _put(mapper: Mapper, record: Mapping[str, Value], native: Mapping[str, object]) -> Mapping[str, object]:
    try:
        return mapper.put(record, native)
    except Unmappable:
        raise
    except Exception as error:
        raise Broken(
            f"writing {', '.join(map(repr, record))} raises {type(error).__name__}",
            "raise Unmappable for a value without a form, with the name of its field",
        ) from error


def _has_a_place(mapper: Mapper, natives: Iterable[Mapping[str, object]], unseen: Collection[str]) -> None:
    seen = {name for native in natives for name, value in _read(mapper, native).items() if value is not ABSENT}
    for name in sorted(mapper.fields - seen - set(unseen)):
        broken(
            f"the field {name!r} can be read in none of the native records",
            "check its native name for a slip, or give a record that has it; what none can show is named in unseen",
        )


def _reads(mapper: Mapper, native: Mapping[str, object]) -> None:
    before = copy.deepcopy(dict(native))
    fields = _read(mapper, native)
    holds(dict(native) == before, "reading changes nothing")
    for name, value in fields.items():
        holds(
            value is ABSENT or is_value(value),
            f"the field {name!r} is read as {type(value).__name__}, which is no value",
            f"let its codec make it {ALLOWED}: it is stored with the base, and compared",
        )
    holds(_read(mapper, native) == fields, "the same record reads the same")
    holds(set(fields) <= mapper.fields, "a mapper reads only fields that it says it has")
    unreadable = mapper.unreadable(native)
    holds(unreadable <= mapper.fields, "what can't be read is named by its field")
    holds(all(fields.get(name, ABSENT) is ABSENT for name in unreadable), "what can't be read is ABSENT")
    holds(all(value is ABSENT for value in _read(mapper, {}).values()), "what was not delivered is ABSENT, not empty")
    holds(not mapper.unreadable({}), "what was not delivered is not unreadable")
    changes: dict[str, Value] = {name: value for name, value in fields.items() if value is not ABSENT}
    stored = {**native, **_put(mapper, changes, native)}
    holds(_read(mapper, stored) == fields, "putting back what was read changes nothing")


def _writes(mapper: Mapper, record: Mapping[str, Value], native: Mapping[str, object]) -> None:
    before = copy.deepcopy(dict(native))
    try:
        placed = _put(mapper, record, native)
    except Unmappable as error:
        holds(error.field in record, "a value without a form is refused by the name of its field")
        return
    holds(dict(native) == before, "writing changes the given record only by what it answers")
    holds(dict(_put(mapper, record, native)) == dict(placed), "the same change is written the same")
    now = _read(mapper, {**native, **placed})
    for name, value in record.items():
        if value is not None or native:
            holds(now.get(name, ABSENT) == value, f"what is put into {name!r} is read again")


def _touches_its_own(mapper: Mapper, name: str, value: Value, originals: Iterable[Mapping[str, object]]) -> None:
    for original in originals:
        try:
            placed = _put(mapper, {name: value}, {**original, UNMAPPED: "untouched"})
        except Unmappable:
            continue
        holds(UNMAPPED not in placed, "a field that no mapping knows is never written")
        others = {other: seen for other, seen in _read(mapper, original).items() if other != name}
        now = _read(mapper, {**original, **placed})
        holds(all(now[other] == seen for other, seen in others.items()), f"writing {name!r} changes no other field")
    holds(not dict(_put(mapper, {}, {UNMAPPED: "untouched"})), "no change writes nothing")
