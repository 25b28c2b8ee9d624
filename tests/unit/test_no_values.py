"""What is no value is refused where it comes in: it can't be stored, travels nowhere and stops nobody else."""

from __future__ import annotations

import datetime
import decimal
import uuid

import attrs
import pytest
from pairs import Pair
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
    Ref,
    Side,
    open_pair,
)
from bidisync.errors import Unmappable
from bidisync.events import Noticed
from bidisync.rest import from_rest, to_rest
from bidisync.state import Agreement, Link, Shadow
from bidisync.values import is_value, value_of

ODD = [
    {"a": 1},
    {"absent": True},
    [{"a": 1}],
    datetime.date(1895, 10, 1),
    decimal.Decimal("1.10"),
    b"ab",
    {1, 2},
    uuid.UUID(int=1),
    object(),
    ("a", ABSENT),
]
POLICY = Policy([Field("id", "ids"), Field("title", "titles")], [Group("ids"), Group("titles")])
OPTIONS = {"policy": POLICY, "match": ["id"]}


@pytest.mark.parametrize("odd", ODD)
def test_what_could_not_be_read_back_is_not_stored(odd):
    assert not is_value(odd)
    link = Link(Ref(Side.LEFT, "1"), "1", "2", left_shadow=Shadow({"title": "Effi Briest"}, "1"))
    for bad in (
        attrs.evolve(link, left_shadow=Shadow({"title": odd}, "1")),
        attrs.evolve(link, base={"title": Agreement("x", odd)}),
    ):
        with pytest.raises(Unmappable, match=r"the field title holds [A-Za-z]+, which is no value") as refused:
            to_rest(bad)
        assert refused.value.field == "title"
        assert "1895" not in str(refused.value)


def test_a_value_comes_back_as_it_was_and_a_list_as_a_tuple():
    values = {"a": "", "b": 1, "c": 1.5, "d": True, "e": None, "f": ("x", ("y", None)), "g": ABSENT}
    link = Link(Ref(Side.LEFT, "1"), "1", left_shadow=Shadow({**values, "h": ["x", ["y"]]}))  # type: ignore[dict-item]
    back = from_rest(to_rest(link), Link)
    assert back.left_shadow is not None
    assert back.left_shadow.fields == {**values, "h": ("x", ("y",))}
    assert value_of(["x", ["y"]]) == ("x", ("y",))


@pytest.mark.parametrize("odd", ODD)
async def test_a_field_that_holds_no_value_stops_its_own_group_until_it_is_mended(odd, tmp_path):
    left, right = Shelf(*({"id": str(n), "title": "old"} for n in range(4))), Shelf()
    told: list[object] = []
    async with open_pair(left, right, **OPTIONS, state=tmp_path / "s.db", observers=[told.append]) as pair:
        await pair.sync()
        for n in range(4):
            left.add({"id": str(n), "title": odd if n == 2 else "new"})
        assert (await pair.sync()).states() == {LinkState.IN_SYNC: 3, LinkState.BLOCKED: 1}
    assert [right.books[str(n)]["title"] for n in range(4)] == ["new", "new", "old", "new"]
    (noticed,) = [event for event in told if isinstance(event, Noticed)]
    kind, code, of = *noticed.code.split(":"), noticed.field
    assert (kind, of) == ("no_value", "title") and code in str([*map(type, ODD), ABSENT.__class__])
    async with open_pair(left, right, **OPTIONS, state=tmp_path / "s.db") as pair:
        left.add({"id": "2", "title": "mended"})
        assert (await pair.sync()).states() == {LinkState.IN_SYNC: 4}
    assert right.books["2"]["title"] == "mended"


async def test_a_codec_reads_what_is_no_value_by_itself():
    codec = Codec("day", lambda day: day.isoformat(), datetime.date.fromisoformat)  # type: ignore[attr-defined,arg-type]
    left, right = Shelf({"id": "1", "title": datetime.date(1895, 10, 1)}), Shelf()
    mapper = FieldMapper((FieldMap("id", "id"), FieldMap("title", "title", codec)))
    async with open_pair(Mapped(RecordReplica(left, ("id", "title")), mapper), right, **OPTIONS) as pair:
        assert (await pair.sync()).states() == {LinkState.IN_SYNC: 1}
        assert right.books["1"]["title"] == "1895-10-01"
        right.add({"id": "1", "title": "1896-01-01"})
        assert (await pair.sync()).states() == {LinkState.IN_SYNC: 1}
        assert left.books["1"]["title"] == datetime.date(1896, 1, 1)


async def test_a_mapper_that_reads_no_value_leaves_the_field_unreadable():
    class Loose(FieldMapper):
        def get(self, native):
            return {"title": {"a": 1}}

    replica = Mapped(RecordReplica(Shelf({"id": "1", "title": "x"}), ("title",)), Loose((FieldMap("title", "title"),)))
    seen = await replica.get("1")
    assert seen.fields == {"title": ABSENT} and seen.unreadable == {"title"}


async def test_what_a_replica_of_ones_own_gives_wrongly_is_that_records_failure(tmp_path):
    from bidisync.stores.sqlite import SqliteStore

    pair = Pair(store=await SqliteStore.open(tmp_path / "s.db"))
    for name in ("Ada", "Effi", "Crampas"):
        pair.left.add(name=name, born="1", x="old")
    await pair.sweep(everything=True)
    for id, x in (("l1", "new"), ("l2", {"a": 1}), ("l3", "new")):
        pair.left.edit(id, x=x)
    await pair.sweep()
    assert pair.tally.states() == {LinkState.IN_SYNC: 2, LinkState.DEAD: 1}
    assert [outcome.reason for outcome in pair.tally.outcomes.values() if outcome.reason] == ["unmappable"]
    pair.left.edit("l2", x="mended")
    await pair.sweep()
    assert {record.fields["x"] for record in pair.right.records.values()} == {"new", "mended"}
    await pair.store.close()


async def test_a_choice_that_is_no_value_is_refused_before_anything_is_written(tmp_path):
    left, right = Shelf({"id": "1", "title": "x"}), Shelf({"id": "1", "title": "x"})
    async with open_pair(left, right, **OPTIONS, state=tmp_path / "s.db") as pair:
        await pair.sync()
        with pytest.raises(TypeError, match="the field title can't be given dict, which is no value"):
            await pair.engine.impose(
                Ref(Side.LEFT, "1"), lambda name, _: {"a": 1} if name == "title" else ABSENT, by="me"
            )
        choice = ["a", ["b"]]
        await pair.engine.impose(Ref(Side.LEFT, "1"), lambda name, _: choice if name == "title" else ABSENT, by="me")
        assert left.books["1"]["title"] == right.books["1"]["title"] == ("a", ("b",))
        assert (await pair.sync()).states() == {LinkState.IN_SYNC: 1}
