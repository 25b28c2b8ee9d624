"""Lists within a native record: lenses, whatever else stands in it."""

from __future__ import annotations

import attrs
import pytest

from bidisync import ABSENT, Codec, Field, FieldMap, FieldMapper, Link, Ref, Side
from bidisync.errors import Misconfigured, Unmappable
from bidisync.items import Items
from bidisync.lists import Column, FlatMapper, ListMapper, OneField, Together
from bidisync.mapping import TEXT
from bidisync.rest import from_rest, to_rest
from bidisync.state import Agreement
from bidisync.testing import check_mapper


def refuse(value: object) -> str:
    if value == "refused":
        raise Unmappable("no form for that")
    return str(value)


PHONES = Items(("number", "kind"), same_by=("number",), keys={"number": lambda value: str(value).strip()})
ADDRESS = Items(("street", "town"))
LIST = ListMapper("phones", "data", PHONES, {"number": Column("no", Codec("n", str, refuse)), "kind": Column("type")})
FLAT = FlatMapper("address", ADDRESS, {"street": Column("addressStreet"), "town": Column("addressTown", TEXT)})
ALL = Together((FieldMapper((FieldMap("name", "lastName"),)), LIST, FLAT))
NATIVE = {
    "lastName": "Köster",
    "data": ({"no": "1", "type": "Office", "optOut": True}, {"no": "2", "type": None}),
    "addressStreet": "Beispielstraße 5",
    "addressTown": None,
}


def test_lists_and_flat_fields_are_lenses_beside_others():
    empty = {"lastName": None, "data": None, "addressStreet": None, "addressTown": ""}
    records = [
        {"name": "Kaya", "phones": (("3", "Fax"),), "address": (("s", "t"),)},
        {"phones": None, "address": None},
        {"phones": (("1", "Home"), ("2", None)), "address": ((None, "t"),)},
        {"phones": (("refused", "Home"),)},
    ]
    check_mapper(ALL, [NATIVE, empty, {"lastName": "x"}], records)


def test_what_an_object_holds_besides_stays_with_its_item():
    written = LIST.put({"phones": (("2", "Fax"), ("1", "Home"), ("3", None))}, NATIVE)
    assert written == {
        "data": ({"no": "2", "type": "Fax"}, {"no": "1", "type": "Home", "optOut": True}, {"no": "3", "type": None})
    }


def test_what_is_no_list_of_objects_can_t_be_read_and_is_not_taken_for_empty():
    for broken in ("text", ("text",), 7):
        assert ALL.get({**NATIVE, "data": broken})["phones"] is ABSENT
        assert ALL.unreadable({**NATIVE, "data": broken}) == {"phones"}
    assert ALL.get({**NATIVE, "data": ABSENT})["phones"] is ABSENT
    assert not ALL.unreadable({**NATIVE, "data": ABSENT})
    assert ALL.unreadable({**NATIVE, "addressTown": 7}) == {"address"}


def test_a_refused_place_is_known_by_its_field():
    assert [ALL.field_of(name) for name in ("lastName", "data", "addressTown", "other")] == [
        "name",
        "phones",
        "address",
        "",
    ]
    with pytest.raises(Unmappable) as refused:
        ALL.put({"phones": (("refused", None),)}, NATIVE)
    assert refused.value.field == "phones"


def test_places_and_columns_fit_or_are_told_at_once():
    with pytest.raises(Misconfigured, match="each column"):
        ListMapper("phones", "data", PHONES, {"number": Column("no")})
    with pytest.raises(Misconfigured, match="one item"):
        FlatMapper("phones", PHONES, {"number": Column("no"), "kind": Column("type")})
    with pytest.raises(Misconfigured, match="twice"):
        Together((LIST, LIST))


class Pair:
    """A value that is spread over two native fields."""

    def read(self, native):
        start, end = native.get("from", ABSENT), native.get("to", ABSENT)
        if start is ABSENT or end is ABSENT:
            return ABSENT
        if bool(start) != bool(end):
            raise Unmappable("half a span")
        return f"{start}/{end}" if start else None

    def write(self, value, native):
        start, _, end = (value or "").partition("/")
        return {"from": start or None, "to": end or None}

    def holds(self, name):
        return name in ("from", "to")


def test_a_shape_of_ones_own_makes_a_mapper_of_one_field():
    mapper = OneField("span", Pair())
    check_mapper(mapper, [{"from": "1", "to": "2"}, {"from": None, "to": None}, {}], [{"span": "3/4"}, {"span": None}])
    assert mapper.unreadable({"from": "1", "to": None}) == {"span"}
    assert (mapper.field_of("to"), mapper.field_of("other")) == ("span", "")


def test_a_list_comes_back_from_rest_as_it_was():
    value = (("1", "Office"), ("2", None), ("3", "Fax"))
    link = Link.begin(Ref(Side.LEFT, "1"))
    link = attrs.evolve(link, base={"phones": Agreement(value, None)})
    assert from_rest(to_rest(link), Link).base["phones"] == Agreement(value, None)
    assert Field("phones", "g", key=PHONES.key).key(value) == PHONES.key(tuple(reversed(value)))
