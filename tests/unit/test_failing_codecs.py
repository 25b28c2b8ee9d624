"""A codec or a key that fails on one value stops the group of that record, and nobody else."""

from __future__ import annotations

import pytest
from test_pair import Shelf

from bidisync import (
    ABSENT,
    Codec,
    Field,
    FieldMap,
    FieldMapper,
    Group,
    LinkState,
    Mapped,
    Policy,
    RecordReplica,
    Side,
    Snapshot,
    open_pair,
    reconcile,
)
from bidisync.detectors import ByContent
from bidisync.errors import Unmappable
from bidisync.items import Items
from bidisync.lists import Column, ListMapper
from bidisync.model import ReviewKind
from bidisync.schema import alike
from bidisync.state import Agreement, Shadow


def fails(value: object) -> object:
    if value == "secret":
        raise KeyError(value)
    return value


READS = Codec("odd", fails, lambda value: value, fails)  # type: ignore[arg-type,return-value]
WRITES = Codec("odd", lambda native: native, fails)  # type: ignore[arg-type,return-value]


def test_what_a_codec_fails_on_is_unreadable_and_told_by_field_and_type_alone():
    mapper = FieldMapper((FieldMap("title", "T", READS), FieldMap("place", "P")))
    native = {"T": "secret", "P": "here"}
    assert mapper.get(native) == {"title": ABSENT, "place": "here"}
    assert mapper.unreadable(native) == mapper.unknown(native) == {"title"}
    with pytest.raises(Unmappable) as refused:
        FieldMap("title", "T", READS).get(native)
    assert str(refused.value) == "the field title: the codec odd can't read it (KeyError)"
    with pytest.raises(Unmappable) as refused:
        FieldMapper((FieldMap("title", "T", WRITES),)).put({"title": "secret"}, {})
    assert str(refused.value) == "the field title: the codec odd can't write it (KeyError)"
    assert refused.value.field == "title"


def test_what_a_codec_reads_is_a_value_with_lists_as_tuples():
    assert Codec("list", lambda native: [native], str).read("a") == ("a",)  # type: ignore[arg-type,return-value]
    with pytest.raises(Unmappable, match="the codec deep reads dict, which is no value"):
        Codec("deep", lambda native: ({"a": native},), str).read("a")


def test_a_list_whose_column_fails_is_unreadable_as_a_whole():
    items = Items(("number", "kind"), same_by=("number",))
    mapper = ListMapper("phones", "P", items, {"number": Column("n", READS), "kind": Column("k")})
    assert mapper.get({"P": [{"n": "secret", "k": "home"}]}) == {"phones": ABSENT}
    assert mapper.unreadable({"P": [{"n": "secret", "k": "home"}]}) == {"phones"}


@pytest.mark.parametrize("codec", [READS, WRITES])
async def test_one_value_that_a_codec_fails_on_stops_nobody_else(codec):
    left, right = Shelf(*({"id": str(n), "title": "old"} for n in range(9))), Shelf()
    maps = FieldMapper((FieldMap("id", "id"), FieldMap("title", "title", codec)))
    here, there = left, right
    if codec is READS:
        here = Mapped(RecordReplica(left, ("id", "title")), maps)
    else:
        there = Mapped(RecordReplica(right, ("id", "title")), maps)
    async with open_pair(here, there, policy=POLICY, match=["id"]) as pair:
        await pair.sync()
        for n in range(9):
            left.add({"id": str(n), "title": "secret" if n == 4 else "new"})
        tally = await pair.sync()
        assert tally.states() == {LinkState.IN_SYNC: 8, LinkState.BLOCKED: 1}
        assert [right.books[str(n)]["title"] for n in range(9)] == ["new"] * 4 + ["old"] + ["new"] * 4
        left.add({"id": "4", "title": "mended"})
        assert (await pair.sync()).states() == {LinkState.IN_SYNC: 9}
        assert right.books["4"]["title"] == "mended"


POLICY = Policy([Field("id", "ids"), Field("title", "titles")], [Group("ids"), Group("titles")])
KEYED = Policy([Field("f", "g", key=fails), Field("o", "h")], [Group("g"), Group("h")])  # type: ignore[arg-type]


@pytest.mark.parametrize("base", [{}, {"f": Agreement("b", "b"), "o": Agreement("b", "b")}])
def test_a_value_that_the_key_fails_on_blocks_its_group_alone(base):
    left, right = Snapshot("1", {"f": "secret", "o": "z"}), Snapshot("2", {"f": "b", "o": None})
    plan = reconcile(KEYED, base and base | {"o": Agreement(None, None)}, left, right)
    assert [(review.kind, review.reason, list(review.fields)) for review in plan.reviews] == [
        (ReviewKind.BLOCKED, "unmappable", ["f"])
    ]
    assert [(write.side, write.fields) for write in plan.writes] == [(Side.RIGHT, {"o": "z"})]
    assert "secret" not in repr(plan)


def test_what_a_key_fails_on_is_like_itself_alone_and_counts_as_moved():
    assert alike(fails, "secret", "secret")  # type: ignore[arg-type]
    assert not alike(fails, "secret", "b")  # type: ignore[arg-type]
    change = ByContent.of(KEYED)(Shadow({"f": "b"}), Snapshot("1", {"f": "secret"}))
    assert change is not None and change.fields == {"f"}
