"""The checks of the kit pass for what is shipped, and name the fault of what is wrong."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import date

import attrs
import pytest

from bidisync import (
    ABSENT,
    Conflict,
    Defer,
    FillBlanks,
    Longest,
    Merge,
    Newest,
    Union,
    Value,
    ask,
    fill_blanks,
    prefer_left,
    prefer_right,
)
from bidisync.conflicts import Prefer
from bidisync.errors import Unmappable
from bidisync.mapping import Codec, FieldMap, FieldMapper
from bidisync.model import Fields, Resolution
from bidisync.schema import describe
from bidisync.testing import Broken, check_conflict_strategy, check_mapper
from bidisync_espo_advo.fields import party_mapper
from bidisync_espo_advo.german import SALUTATION

PLAIN = (ask, prefer_left, prefer_right, fill_blanks)
SHIPPED = [*PLAIN, *(kind(otherwise=one) for kind in (Newest, Merge, Union, Longest, FillBlanks) for one in PLAIN)]


@pytest.mark.parametrize("strategy", SHIPPED, ids=lambda s: f"{describe(s)}/{describe(getattr(s, 'otherwise', s))}")
def test_a_shipped_strategy_keeps_the_laws(strategy):
    check_conflict_strategy(strategy)


def forgets_a_field(conflict: Conflict) -> Resolution:
    return dict(list(prefer_left(conflict).items())[:1])  # type: ignore[union-attr]


def answers_for_others(conflict: Conflict) -> Resolution:
    return {**prefer_left(conflict), "another": 1}  # type: ignore[dict-item]


def undoes(conflict: Conflict) -> Resolution:
    """Goes back to the base, and from there to whoever left it: never settles."""
    settled = {}
    for name, c in conflict.fields.items():
        if c.base is not ABSENT and c.base not in (c.left, c.right):
            settled[name] = c.base
        else:
            settled[name] = c.left if c.left != c.base else c.right
    return settled


def appends(conflict: Conflict) -> Resolution:
    return {n: f"{c.left}{c.right}" for n, c in conflict.fields.items()}


def invents(conflict: Conflict) -> Resolution:
    return dict.fromkeys(conflict.fields, "invented")


def absent(conflict: Conflict) -> Resolution:
    return dict.fromkeys(conflict.fields, ABSENT)  # type: ignore[arg-type]


def wordless(conflict: Conflict) -> Resolution:
    return Defer("")


def tells_a_value(conflict: Conflict) -> Resolution:
    return Defer(f"both: {next(iter(conflict.fields.values())).left}")


def biggest(conflict: Conflict) -> Resolution:
    return {name: max(c.left, c.right) for name, c in conflict.fields.items()}  # type: ignore[type-var]


def silent(conflict: Conflict) -> Resolution:
    return None  # type: ignore[return-value]


def one_for_all(conflict: Conflict) -> Resolution:
    return next(iter(conflict.fields.values())).left  # type: ignore[return-value]


def listed(conflict: Conflict) -> Resolution:
    return {name: [c.left, c.right] for name, c in conflict.fields.items()}  # type: ignore[misc]


class Unmade:
    def __init__(self, conflict: Conflict, otherwise: object = None) -> None: ...


async def later(conflict: Conflict) -> Resolution:
    return prefer_left(conflict)


@attrs.define
class Moody:
    turns: itertools.cycle = attrs.Factory(lambda: itertools.cycle((prefer_left, prefer_right)))

    def __call__(self, conflict: Conflict) -> Resolution:
        return next(self.turns)(conflict)


@pytest.mark.parametrize(
    ("strategy", "law"),
    [
        (forgets_a_field, "every field"),
        (answers_for_others, "no other"),
        (undoes, "asked again"),
        (appends, "asked again|three versions"),
        (invents, "three versions"),
        (absent, "never ABSENT"),
        (wordless, "says why"),
        (Moody(), "same conflict"),
        (tells_a_value, "the reason of a Defer is no code"),
        (biggest, "the strategy raises TypeError for a conflict of .* and .*"),
        (silent, "the answer is NoneType: neither fields with their values nor a Defer"),
        (one_for_all, "the answer is .*: neither fields with their values nor a Defer"),
        (listed, "the answer for 'one' is list, which is no value"),
        (Unmade, "the answer is Unmade: .*: a class was handed over, make one of it"),
        (None, "NoneType is no strategy"),
        (later, "the answer is coroutine"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
@pytest.mark.filterwarnings("ignore:coroutine 'later' was never awaited")
def test_a_wrong_strategy_is_told_by_the_law_that_it_breaks(strategy, law):
    with pytest.raises(Broken, match=law):
        check_conflict_strategy(strategy)


def test_a_strategy_need_not_know_values_that_its_fields_never_hold():
    check_conflict_strategy(biggest, values=[1, 2, 2.5, -7])


def test_a_strategy_may_leave_a_conflict_to_a_person_by_any_code():
    check_conflict_strategy(lambda conflict: Defer("price_too_high:2"))


def test_a_strategy_that_makes_new_values_is_allowed_to_if_it_says_so():
    def longest_text(conflict: Conflict) -> Resolution:
        return dict.fromkeys(conflict.fields, "the same for everybody")

    check_conflict_strategy(longest_text, invents=True)


NATIVES = {
    "espocrm": {"lastName": "Muster", "firstName": None, "dateOfBirth": "2001-01-05", "other": 7},
    "advoware": {"name": " Muster ", "vorname": "", "geburtsdatum": "2001-01-05T00:00:00", "art": "x"},
}
RECORDS = [{"family_name": "Muster", "birth_date": None}, {"title": "Dr.", "given_name": "Anna"}]


@pytest.mark.parametrize("system", ["espocrm", "advoware"])
def test_the_mappers_of_parties_are_lenses(system):
    mapper = party_mapper(system)
    check_mapper(mapper, [NATIVES[system], {place.native: None for place in mapper.maps}], RECORDS)


def test_a_mapper_with_a_code_table_is_a_lens():
    check_mapper(FieldMapper((FieldMap("form", "anrede", SALUTATION.codec()),)), [{"anrede": "Herrn"}, {"anrede": "?"}])


@attrs.frozen
class Plain:
    """A right mapper of two fields, to be made wrong."""

    fields: frozenset[str] = frozenset({"a", "b"})

    def get(self, native: Mapping[str, object]) -> Fields:
        return {n: native.get(n.upper(), ABSENT) for n in ("a", "b")}  # type: ignore[misc]

    def unreadable(self, native: Mapping[str, object]) -> frozenset[str]:
        return frozenset()

    def unknown(self, native: Mapping[str, object]) -> frozenset[str]:
        return frozenset()

    def field_of(self, native: str) -> str:
        return native.lower()

    def put(self, changes: Mapping[str, Value], native: Mapping[str, object]) -> Mapping[str, object]:
        return {n.upper(): v for n, v in changes.items()}


class Trims(Plain):
    def put(self, changes, native):
        return {n.upper(): v.strip() if isinstance(v, str) else v for n, v in changes.items()}


class WritesEverything(Plain):
    def put(self, changes, native):
        return {"A": None, "B": None, **super().put(changes, native)}


class TouchesTheUnmapped(Plain):
    def put(self, changes, native):
        return {**native, **super().put(changes, native)}


class ReadsAbsentAsEmpty(Plain):
    def get(self, native):
        return {n: native.get(n.upper()) for n in ("a", "b")}


class ChangesWhatItReads(Plain):
    def get(self, native):
        native.setdefault("SEEN", True)
        return super().get({k: v for k, v in native.items() if k != "SEEN"})


class Remembers(Plain):
    def get(self, native):
        SEEN.append(1)
        return {**super().get(native), **({"a": len(SEEN)} if "A" in native else {})}


class Strangers(Plain):
    def get(self, native):
        return {**super().get(native), "c": 1}


class Swaps(Plain):
    def put(self, changes, native):
        return {{"a": "B", "b": "A"}[n]: v for n, v in changes.items()}


class DropsEmpty(Plain):
    def put(self, changes, native):
        return {n.upper(): v for n, v in changes.items() if v is not None}


class Nameless(Plain):
    def put(self, changes, native):
        if " x " in changes.values():
            raise Unmappable("no")
        return super().put(changes, native)


class HidesUnreadable(Plain):
    def unreadable(self, native):
        return frozenset({"a"} if "A" in native else ())


class ReadsDates(Plain):
    def get(self, native):
        return {n: date(2001, 1, 5) if v == "1" else v for n, v in super().get(native).items()}


class ReadsLists(Plain):
    def get(self, native):
        return {n: (["x"],) if v == "1" else v for n, v in super().get(native).items()}


class StumblesReading(Plain):
    def get(self, native):
        int(native.get("B", 0))
        return super().get(native)


class StumblesWriting(Plain):
    def put(self, changes, native):
        return {n.upper(): None if v is None else v.strip(v) if v == " x " else v.encode().decode() for n, v in changes}


class LooksElsewhere(Plain):
    def get(self, native):
        return {"a": native.get("A", ABSENT), "b": native.get("BB", ABSENT)}

    def put(self, changes, native):
        return {{"a": "A", "b": "BB"}[n]: v for n, v in changes.items()}


SEEN: list[int] = []
WRONG = [
    (Trims, "read again"),
    (WritesEverything, "read again|changes no other|changes nothing|writes nothing"),
    (TouchesTheUnmapped, "never written|no change writes"),
    (ReadsAbsentAsEmpty, "not delivered"),
    (ChangesWhatItReads, "reading changes nothing"),
    (Remembers, "reads the same"),
    (Strangers, "says it has"),
    (Swaps, "putting back|read again"),
    (DropsEmpty, "read again"),
    (Nameless, "name of its field"),
    (HidesUnreadable, "ABSENT"),
    (ReadsDates, "the field 'a' is read as date, which is no value"),
    (ReadsLists, "the field 'a' is read as tuple, which is no value"),
    (StumblesReading, "reading a record raises TypeError"),
    (StumblesWriting, "writing 'a'.* raises ValueError"),
    (LooksElsewhere, "the field 'b' can be read in none of the native records"),
]


def test_the_mapper_that_is_made_wrong_is_right():
    check_mapper(Plain(), [{"A": "1", "B": None}], [{"a": " x "}, {"b": None}])


def test_a_field_that_no_record_can_show_is_named():
    check_mapper(LooksElsewhere(), [{"A": "1", "B": "2"}], [{"a": " x "}], unseen=["b"])
    check_mapper(LooksElsewhere(), [], [{"a": " x "}])


def test_what_a_mapper_raises_is_told_without_the_value_that_it_stumbled_over():
    with pytest.raises(Broken) as told:
        check_mapper(FieldMapper((FieldMap("n", "N", Codec("number", int, str)),)), [{"N": "Ada Muster"}])
    assert "Ada" not in str(told.value)


@pytest.mark.parametrize(("wrong", "law"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_a_wrong_mapper_is_told_by_the_law_that_it_breaks(wrong, law):
    with pytest.raises(Broken, match=law):
        check_mapper(wrong(), [{"A": "1", "B": "2"}], [{"a": " x "}, {"b": None}])


def test_prefer_says_its_side():
    assert str(Prefer(prefer_left.side)) == "prefer left"
