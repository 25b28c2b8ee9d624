"""A replica in the shared form around one in its system's own."""

from __future__ import annotations

import pytest

from bidisync import ABSENT, Capabilities, Notes, Side, Snapshot
from bidisync.errors import Duplicate, Misconfigured, Rejected, Unmappable
from bidisync.mapping import TEXT, CodeTable, FieldMap, FieldMapper, Mapped
from bidisync.model import Created, Page, Verb
from bidisync.state import Intent
from bidisync.testing import FULL, MemoryReplica

FORMS = CodeTable("form", {"Herr": ("Herrn",), "Frau": ("Fr.",)})
MAPPER = FieldMapper(
    (FieldMap("name", "NAME"), FieldMap("form", "FORM", FORMS.codec()), FieldMap("kind", "KIND", default="K"))
)
NOTES = Notes(counterpart="7")


def replica(**options: object) -> tuple[Mapped, MemoryReplica]:
    inner = MemoryReplica("n", capabilities=Capabilities(partial_write=True, keeps_notes=True), **options)  # type: ignore[arg-type]
    return Mapped(inner, MAPPER), inner


async def test_a_record_is_read_in_the_shared_form_with_its_version_and_what_is_odd_about_it():
    mapped, inner = replica()
    id = inner.add(NAME="Ada", FORM="Herrn", other=1)
    seen = await mapped.get(id)
    assert dict(seen.fields) == {"name": "Ada", "form": "Herr", "kind": ABSENT}
    assert (seen.id, seen.version, seen.row, seen.gone) == (id, "1", False, False)
    assert (seen.unknown, seen.unreadable) == (frozenset(), frozenset())
    assert isinstance(seen.native, Snapshot)
    assert seen.native.fields == {"NAME": "Ada", "FORM": "Herrn", "other": 1}
    odd = await mapped.get(inner.add(NAME=5, FORM="S. D."))
    assert (odd.unreadable, odd.unknown) == ({"name"}, {"form"})
    assert dict(odd.fields) == {"name": ABSENT, "form": "S. D.", "kind": ABSENT}


async def test_a_record_that_is_gone_has_no_fields_and_can_still_be_named():
    mapped, _ = replica()
    gone = await mapped.get("n9")
    assert (gone.gone, gone.fields, gone.id) == (True, {}, "n9")
    assert isinstance(gone.native, Snapshot)


async def test_lists_and_bulk_reads_come_in_the_shared_form():
    mapped, inner = replica()
    ids = [inner.add(NAME=f"n{n}") for n in range(60)]
    pages = [page async for page in mapped.list()]
    assert [s.fields["name"] for page in pages for s in page.snapshots] == [f"n{n}" for n in range(60)]
    assert len(pages) == 2
    many = await mapped.get_many([ids[0], "missing"])
    assert {id: s.fields["name"] for id, s in many.items()} == {ids[0]: "n0"}
    assert mapped.newest == inner.newest == "60"
    assert mapped.capabilities is inner.capabilities


async def test_a_list_goes_on_from_its_cursor_and_keeps_the_pages_cursor():
    asked = []

    class Pages(MemoryReplica):
        async def list(self, since=None):
            asked.append(since)
            yield Page((), "cursor")

    mapped = Mapped(Pages(), MAPPER)
    assert [page.cursor async for page in mapped.list("since")] == ["cursor"]
    assert asked == ["since"]


async def test_a_record_is_made_in_the_native_form_with_notes_and_defaults():
    mapped, inner = replica()
    created = await mapped.create({"name": "Ada", "form": "Frau"}, notes=NOTES)
    assert inner.values(created.id) == {"NAME": "Ada", "FORM": "Fr.", "KIND": "K"}
    assert inner.records[created.id].notes == NOTES
    assert created.snapshot is not None
    assert created.snapshot.fields["form"] == "Frau"
    inner.capabilities = Capabilities()
    assert (await mapped.create({"name": "Eve"})).snapshot is None


async def test_a_create_passes_on_that_duplicates_are_known_and_translates_those_it_is_told_of():
    told = []

    class Knowing(MemoryReplica):
        async def create(self, fields, *, notes=None, despite_duplicates=False):
            told.append(despite_duplicates)
            if despite_duplicates:
                return Created("1")
            raise Duplicate("there is one", existing=[Snapshot("9", {"NAME": "Ada"})])

    mapped = Mapped(Knowing(), MAPPER)
    with pytest.raises(Duplicate, match="there is one") as refused:
        await mapped.create({"name": "Ada"})
    assert [(s.id, s.fields["name"]) for s in refused.value.existing] == [("9", "Ada")]
    assert (await mapped.create({"name": "Ada"}, despite_duplicates=True)).id == "1"
    assert told == [False, True]


async def test_only_the_changed_fields_are_written_against_the_version_seen():
    mapped, inner = replica()
    id = inner.add(NAME="Ada", FORM="Herrn", other=1)
    seen = await mapped.get(id)
    now = await mapped.update(seen, {"form": "Frau"}, notes=NOTES)
    assert inner.values(id) == {"NAME": "Ada", "FORM": "Fr.", "other": 1}
    assert inner.writes[-1].fields == ("FORM",)
    assert now is not None
    assert now.fields["form"] == "Frau"
    assert inner.records[id].notes == NOTES
    inner.capabilities = Capabilities()
    assert await mapped.update(await mapped.get(id), {"name": "Eve"}) is None


async def test_a_mapper_may_look_at_the_native_record_when_it_writes():
    class Joined(FieldMapper):
        def put(self, changes, native):
            return {"NAME": f"{native['FORM']} {changes['name']}"}

    inner = MemoryReplica("n", capabilities=Capabilities(partial_write=True))
    mapped = Mapped(inner, Joined(MAPPER.maps))
    id = inner.add(NAME="Ada", FORM="Herrn")
    await mapped.update(await mapped.get(id), {"name": "Eve"})
    assert inner.values(id)["NAME"] == "Herrn Eve"


async def test_a_record_is_deleted_by_what_was_seen():
    mapped, inner = replica()
    inner.capabilities = FULL
    id = inner.add(NAME="Ada")
    await mapped.delete(await mapped.get(id))
    assert id not in inner.records


async def test_records_are_found_by_their_counterpart_and_by_the_create_that_made_them():
    mapped, inner = replica()
    created = await mapped.create({"name": "Ada"}, notes=NOTES)
    assert [s.fields["name"] for s in await mapped.find_by_counterpart("7")] == ["Ada"]
    assert await mapped.find_by_counterpart("8") == []
    asked = []

    class Searching(MemoryReplica):
        async def find_created(self, intent):
            asked.append(intent)
            return [Snapshot("1", {"NAME": "Ada"})]

    intent = Intent(Verb.CREATE, Side.RIGHT, {"name": "Ada", "form": "Frau"}, 1.0, 2.0, watermark="5")
    found = await Mapped(Searching(), MAPPER).find_created(intent)
    assert [s.fields["name"] for s in found] == ["Ada"]
    assert dict(asked[0].payload) == {"NAME": "Ada", "FORM": "Fr.", "KIND": "K"}
    assert (asked[0].watermark, asked[0].verb) == ("5", Verb.CREATE)
    assert created.id == "n1"


def test_what_has_no_form_is_refused_by_the_name_of_its_field_and_without_its_value():
    field = FieldMap("name", "NAME")
    for translate, value in ((field.get, {"NAME": 4711}), (field.put, 4711)):
        with pytest.raises(Unmappable) as refused:
            translate(value)  # type: ignore[operator]
        assert refused.value.field == "name"
        assert str(refused.value) == "the field name: expected text, not int"
        assert "4711" not in str(refused.value)


def test_text_is_kept_as_it_is_spelled_and_blank_text_is_empty():
    assert (TEXT.decode(" a "), TEXT.decode(" "), TEXT.encode(" a ")) == (" a ", None, " a ")
    assert TEXT.name == "text"
    assert FieldMap("f", "F").get({}) is ABSENT
    assert FieldMap("f", "F").get({"F": None}) is None
    assert FieldMap("f", "F").put(None) is None


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ((FieldMap("a", "A"), FieldMap("a", "B")), "the field 'a' stands twice in the mapping"),
        ((FieldMap("a", "A"), FieldMap("b", "A")), "the native field 'A' stands twice in the mapping"),
    ],
)
def test_a_place_that_is_named_twice_is_found_when_the_mapper_is_made(maps, message):
    with pytest.raises(Misconfigured, match=message):
        FieldMapper(maps)


def test_a_code_table_has_a_name_and_keeps_what_it_does_not_know():
    codec = FORMS.codec()
    assert codec.name == "form"
    assert [codec.decode(code) for code in ("herrn", "HERR", " x ", " ")] == ["Herr", "Herr", " x ", None]
    assert [codec.encode(value) for value in ("Herr", "x")] == ["Herrn", "x"]
    with pytest.raises(Misconfigured) as wrong:
        CodeTable("twice", {"a": ("x",), "b": ("x",)})
    assert str(wrong.value) == "the code table 'twice' gives one spelling two meanings"
    with pytest.raises(Unmappable):
        codec.decode(7)
    assert not codec.knows("S. D.")
    assert codec.knows(7), "what is no text is not a code: decode refuses it"


async def test_a_refusal_names_the_shared_field_that_it_is_about():
    class Refusing(MemoryReplica):
        async def update(self, seen, changes, *, notes=None):
            raise Rejected("no", field="NAME")

        async def create(self, fields, *, notes=None, despite_duplicates=False):
            raise Rejected("no", field="elsewhere")

    inner = Refusing("n")
    mapped = Mapped(inner, MAPPER)
    id = inner.add(NAME="Ada")
    with pytest.raises(Rejected, match="no") as refused:
        await mapped.update(await mapped.get(id), {"name": "<>"})
    assert refused.value.field == "name"
    with pytest.raises(Rejected) as refused:
        await mapped.create({"name": "<>"})
    assert refused.value.field == "", "a field of no mapping is nobody's"
