"""Who is who: strong keys decide, hints ask, and nobody guesses."""

from __future__ import annotations

import pytest
from pairs import Pair

from bidisync import ABSENT, Defer, Identity, Ref, Side
from bidisync.errors import Misconfigured, Unmappable
from bidisync.identity import COUNTERPART, contradicts, plain, shares_strong
from bidisync.state import Known

SECRET = b"secret"
WHO = Identity(
    strong=(("court", "number"), ("name", "born")),
    weak=(("name",),),
    scored={"city": 1.0, "phone": 2.0},
    hint_at=3.0,
)


def known(id: str, **fields: object) -> Known:
    return Known(Ref(Side.RIGHT, id), WHO.keys(fields, SECRET))  # type: ignore[arg-type]


def judge(mine: dict[str, object], *others: Known, taken: str = "") -> object:
    return WHO.judge(WHO.keys(mine, SECRET), others, lambda ref: ref.id == taken)  # type: ignore[arg-type]


ADA = {"name": "Ada", "born": "1990-01-01"}


def test_one_strong_hit_is_the_same_record():
    assert judge(ADA, known("1", **ADA)) == Ref(Side.RIGHT, "1")
    assert judge({"court": "K", "number": "7"}, known("1", court="k ", number="7")) == Ref(Side.RIGHT, "1")


def test_a_hit_that_belongs_to_somebody_is_for_a_person():
    assert judge(ADA, known("1", **ADA), taken="1") == Defer("match_taken")


def test_several_strong_hits_are_for_a_person():
    assert judge(ADA, known("1", **ADA), known("2", **ADA)) == Defer("match_several")


def test_a_strong_hit_that_another_strong_key_contradicts_is_for_a_person():
    company = {**ADA, "court": "K", "number": "7"}
    assert judge(company, known("1", **ADA, court="K", number="8")) == Defer("match_contradicted")


def test_a_name_alone_is_a_hint_unless_a_strong_key_tells_them_apart():
    assert judge({"name": "Ada"}, known("1", **ADA)) == Defer("match_weak")
    assert judge(ADA, known("1", name="Ada", born="1991-01-01")) is None
    assert judge({"name": "Eve"}, known("1", **ADA)) is None
    assert judge(ADA) is None


def test_every_part_of_a_strong_key_must_be_there():
    keys = WHO.keys({"name": "Ada", "born": None, "court": "K", "number": ABSENT}, SECRET)
    assert set(keys) == {"weak:name"}


def test_scored_fields_add_up_to_a_hint_and_never_to_a_match():
    there = known("1", city="Köln", phone="7")
    assert judge({"city": "Köln"}, there) is None
    assert judge({"phone": "7"}, there) is None
    assert judge({"city": "köln", "phone": "7"}, there) == Defer("match_weak")
    assert WHO.score(WHO.keys({"city": "Köln", "phone": "8"}, SECRET), there.keys) == 1.0
    assert Identity(weak=(("name",),)).hints({}, {}) is False, "no fields score nothing"


def test_an_identity_names_all_its_fields():
    assert WHO.fields == {"court", "number", "name", "born", "city", "phone"}


def test_keys_are_keyed_hashes_that_hold_no_value():
    keys = WHO.keys(ADA, SECRET, counterpart="17")
    assert set(keys) == {COUNTERPART, "strong:name+born", "weak:name"}
    assert all("ada" not in value.casefold() and len(value) == 64 for value in keys.values())
    assert keys != WHO.keys(ADA, b"another", counterpart="17")
    assert WHO.keys({"name": "A", "born": "B"}, SECRET) != WHO.keys({"name": "AB", "born": ""}, SECRET)
    assert keys["weak:name"] != WHO.keys({"city": "Ada"}, SECRET)["scored:city"], "a hash tells of which key it is"


@pytest.mark.parametrize(
    ("value", "form"), [(None, ""), (ABSENT, ""), ("  Ada ", "ada"), (7, "7"), ("STRASSE", "strasse")]
)
def test_the_default_form_of_a_value(value, form):
    assert plain(value) == form


def test_contradiction_and_agreement_need_a_strong_key_of_both():
    ada, eve = WHO.keys(ADA, SECRET), WHO.keys({"name": "Eve", "born": "1990-01-01"}, SECRET)
    assert contradicts(ada, eve)
    assert not contradicts(ada, {})
    assert not contradicts(ada, ada)
    assert shares_strong(ada, ada)
    assert not shares_strong(ada, eve)
    assert not shares_strong({"weak:name": "1"}, {"weak:name": "1"})


async def test_two_strangers_with_one_name_and_no_birth_date_wait_for_a_person():
    pair = Pair()
    pair.left.add(name="Ada", x="1", y=None, born=None)
    pair.right.add(name="Ada", x="2", y=None, born=None)
    await pair.sweep(everything=True)
    assert {state.value for state in pair.tally.states()} == {"review"}
    assert len(pair.left.records) == len(pair.right.records) == 1


def test_a_form_of_ones_own_sees_what_was_not_delivered():
    seen = []
    who = Identity(weak=(("name", "city"),), normal=lambda value: seen.append(value) or plain(value))
    assert set(who.keys({"name": "Ada"}, SECRET)) == {"weak:name+city"}, (
        "of a weak key only the first part must be there"
    )
    assert seen == ["Ada", ABSENT]
    assert who.keys({"city": "K"}, SECRET) == {}


def test_keys_take_any_text_and_tell_parts_apart():
    assert WHO.keys({"name": "A\ud800", "born": "1"}, SECRET)
    one = WHO.keys({"name": "A\x1fB", "born": "C"}, SECRET)["strong:name+born"]
    assert len(one) == 64


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"strong": ("name", "born")}, "each strong key is a tuple"),
        ({"strong": "name"}, "each strong key"),
        ({"strong": ((),)}, "each strong key"),
        ({"weak": ("name",)}, "each weak key"),
        ({"weak": (["name"],)}, "each weak key"),
        ({"scored": {"city": 0.0}}, "weights and hint_at of scored fields"),
        ({"scored": {"city": 1.0}, "hint_at": 0.0}, "weights and hint_at"),
    ],
)
def test_an_identity_that_can_never_match_or_always_does_is_refused_when_it_is_made(wrong, message):
    with pytest.raises(Misconfigured, match=message):
        Identity(**wrong)


def test_weights_may_be_small():
    assert Identity(scored={"city": 0.5}, hint_at=0.5).hint_at == 0.5


def test_a_form_that_fails_is_told_by_the_field_and_never_by_the_value():
    identity = Identity(strong=(("name", "born"),), normal=lambda value: str(int(value)))  # type: ignore[arg-type]
    with pytest.raises(Unmappable) as told:
        identity.keys({"name": "secret", "born": "1"}, b"s")
    assert str(told.value) == "the identity can't read name or born (ValueError)"
