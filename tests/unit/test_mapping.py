"""The lens laws of the mapping, and what a value may look like."""

from __future__ import annotations

import datetime
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidisync import ABSENT, AS_IT_IS
from bidisync.errors import Misconfigured, Unmappable
from bidisync.mapping import FieldMap, FieldMapper, match_key, same_text
from bidisync_espo_advo.fields import PARTY, day, party_mapper

text = st.text(min_size=1).filter(str.strip)
days = st.dates().filter(lambda d: d.year > 1).map(lambda d: d.isoformat())
records = st.fixed_dictionaries({field.name: st.none() | (days if field.form == "date" else text) for field in PARTY})
systems = pytest.mark.parametrize("system", ["espocrm", "advoware"])


@systems
@given(record=records)
def test_what_was_put_is_read_again(system, record):
    mapper = party_mapper(system)
    assert mapper.get(mapper.put(record, {})) == record


@systems
@given(record=records)
def test_putting_back_what_was_read_changes_nothing(system, record):
    mapper = party_mapper(system)
    native = {**mapper.put(record, {}), "other": "untouched"}
    changes = {name: value for name, value in mapper.get(native).items() if value is not ABSENT}
    assert {**native, **mapper.put(changes, native)} == native


@systems
@given(record=records, names=st.sets(st.sampled_from([field.name for field in PARTY])))
def test_only_the_places_of_the_changed_fields_are_touched(system, record, names):
    mapper = party_mapper(system)
    places = {getattr(field, system) for field in PARTY if field.name in names}
    assert set(mapper.put({name: record[name] for name in names}, {})) == places


@given(text)
def test_spellings_of_the_same_text_have_one_key(value):
    key = same_text(value)
    assert same_text(unicodedata.normalize("NFD", value)) == key
    assert same_text(f"  {value}\u200b ") == key
    assert same_text(key) == key, "a key is its own key"


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("Mu\u0308ller", "Müller"),
        (" Groß \u00a0Müller\u200b", "Groß Müller"),
        ("c/o Kanzlei Beispiel\r\nHinterhaus", "c/o Kanzlei Beispiel\nHinterhaus"),
        ("O’Brien", "O’Brien"),
        ("   ", None),
        (None, None),
        (5, 5),
    ],
)
def test_a_text_is_compared_aside_from_its_spelling(value, key):
    assert same_text(value) == key


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("GROSSMANN", "grossmann"),
        ("Großmann", "grossmann"),
        ("Jürgen Müller-Lüdenscheidt", "juergen mueller luedenscheidt"),
        ("Hauptstraße 5", "hauptstrasse 5"),
        ("O’Brien", "o brien"),
        (ABSENT, ""),
    ],
)
def test_a_name_is_matched_aside_from_case_umlauts_and_hyphens(value, key):
    assert match_key(value) == key


@pytest.mark.parametrize(
    ("native", "value"),
    [
        ("2001-01-05T00:00:00", "2001-01-05"),
        ("05.01.2001", "2001-01-05"),
        ("0001-01-01T00:00:00Z", None),
        ("1940-07-01T00:00:00", "1940-07-01"),
        ("2004-02-29", "2004-02-29"),
    ],
)
def test_a_date_is_a_day_and_never_goes_through_a_time_zone(native, value):
    assert day(native) == value


@pytest.mark.parametrize("native", ["1960", "1960-05", "2001-02-29", "gestern", 5])
def test_a_date_that_is_none_has_no_form(native):
    with pytest.raises(Unmappable):
        day(native)


def test_a_value_that_cannot_be_read_is_left_alone_and_can_be_named():
    mapper = party_mapper("espocrm")
    record = {"lastName": "Beispiel", "dateOfBirth": "unbekannt"}
    assert mapper.get(record)["birth_date"] is ABSENT
    assert mapper.unreadable(record) == {"birth_date"}
    with pytest.raises(Unmappable, match="birth_date"):
        mapper.put({"birth_date": "unbekannt"}, {})


def test_a_mapping_that_names_something_twice_is_refused():
    with pytest.raises(Misconfigured, match="'a'"):
        FieldMapper((FieldMap("a", "x"), FieldMap("a", "y")))
    with pytest.raises(Misconfigured, match="'x'"):
        FieldMapper((FieldMap("a", "x"), FieldMap("b", "x")))


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("Łukasz", "lukasz"),
        ("IŞIK ışık", "isik isik"),
        ("Straße 5", "strasse 5"),
        ("–", ""),
        ("a\rb", "a b"),
        (None, ""),
    ],
)
def test_names_are_compared_without_marks_and_case(value, key):
    assert match_key(value) == key


def test_line_ends_of_every_kind_are_one():
    assert same_text("a\rb") == same_text("a\r\nb") == same_text("a\nb") == "a\nb"
    assert match_key("\u200b") == ""


@pytest.mark.parametrize("value", ["", " ", "x", "ü ", 0, 1895, 1.5, True, None, ["a", 1, ["b", None]], ("a",)])
def test_as_it_is_a_value_is_read_and_written_without_a_translation(value):
    held = FieldMap("year", "YEAR", AS_IT_IS)
    mapper = FieldMapper((held,))
    read = mapper.get({"YEAR": value})["year"]
    assert (read, type(read)) in ((value, type(value)), (_tuples(value), tuple))
    assert not mapper.unreadable({"YEAR": value})
    assert mapper.get(mapper.put({"year": read}, {})) == {"year": read}


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


@pytest.mark.parametrize("value", [datetime.date(1895, 1, 1), b"x", {"a": 1}, {"a"}, [{"a": 1}], "half \ud800"])
def test_as_it_is_what_is_no_value_has_no_form(value):
    held = FieldMap("year", "YEAR", AS_IT_IS)
    assert FieldMapper((held,)).unreadable({"YEAR": value}) == {"year"}
    with pytest.raises(Unmappable, match="the field year: "):
        held.put(value)
