"""Every recorded vector passes through a public codec, key or signature."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidisync.errors import Misconfigured, Unmappable
from bidisync.mapping import TEXT, CodeTable, FieldMap, FieldMapper, match_key, same_text
from bidisync_espo_advo.advoware_session import signature as advoware_signature
from bidisync_espo_advo.german import (
    LEGAL_FORM,
    SALUTATION,
    RegisterEntry,
    day,
    instant,
    postcode,
    register_entry,
    salutation,
    split_title,
)
from bidisync_espo_advo.numbers import EMAIL, IBAN, PHONE, email, email_key, iban, phone, phone_key, register_key
from bidisync_espo_advo.webhook import signature as webhook_signature

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())


def _legal_form(text: str) -> str:
    return LEGAL_FORM.meaning(text) or f"?{text}"


def _register(text: str) -> list[str | None]:
    entry = register_entry(text)
    return [entry.kind, entry.number, entry.court]


CODECS: dict[str, Callable[..., object]] = {
    "text": same_text,
    "key": match_key,
    "split_titel": lambda text: list(split_title(text)),
    "anrede": lambda text: list(salutation(text)),
    "rechtsform": _legal_form,
    "day": day,
    "instant": lambda text: list(instant(text)),
    "plz": lambda given: postcode(*given) if isinstance(given, list) else postcode(given),
    "phone": lambda text: [phone(text).e164, phone(text).text],
    "email": email,
    "iban": lambda text: list(iban(text)),
    "register": _register,
    "hmac512": lambda given: advoware_signature(*given),
    "espo_signature": lambda given: webhook_signature(given[0], given[1].encode(), given[2]),
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['id']}-{v['fn']}")
def test_a_recorded_vector_has_its_canonical_form(vector):
    made, wanted = CODECS[vector["fn"]](vector["input"]), vector["canonical"]
    if vector["fn"] == "phone":
        assert made[0] == wanted[0]
        assert "/" not in made[1] and "–" not in made[1], "EspoCRM takes the text"
        assert match_key(made[1]) == match_key(wanted[1])
        return
    assert made == wanted


def test_all_vectors_are_used():
    assert len(VECTORS) == 56
    assert {vector["fn"] for vector in VECTORS} == set(CODECS)


def test_an_unknown_code_is_kept_in_both_directions_and_named():
    mapper = FieldMapper((FieldMap("form", "anrede", SALUTATION.codec()), FieldMap("legal", "rechtsform")))
    native = {"anrede": "S. D.", "rechtsform": "anything"}
    assert mapper.get(native) == {"form": "S. D.", "legal": "anything"}
    assert mapper.unknown(native) == {"form"}
    assert mapper.put({"form": "S. D."}, native) == {"anrede": "S. D."}
    assert mapper.unknown({"anrede": "Herrn", "rechtsform": None}) == frozenset()
    assert mapper.get({"anrede": "Herrn"})["form"] == "Herr"
    assert mapper.unknown({"anrede": None}) == mapper.unknown({"anrede": " "}) == frozenset()


def test_a_spelling_with_two_meanings_is_found_when_the_table_is_made():
    with pytest.raises(Misconfigured, match="two meanings"):
        CodeTable("broken", {"a": ("x",), "b": ("X",)})


def test_the_native_spelling_of_a_code_is_the_first_one():
    table = CodeTable("sex", {"male": ("1", "m"), "female": ("2", "w")}).codec()
    assert (table.decode("m"), table.encode("male")) == ("male", "1")
    assert table.decode(table.encode("female")) == "female"


def test_a_new_record_gets_the_default_where_nothing_is_said_and_an_update_never():
    mapper = FieldMapper((FieldMap("kind", "art", default="Mandant"), FieldMap("name", "name")))
    assert mapper.put({"name": "A"}, {}) == {"name": "A", "art": "Mandant"}
    assert mapper.put({"name": "A", "kind": None}, {}) == {"name": "A", "art": "Mandant"}
    assert mapper.put({"name": "A", "kind": "Gegner"}, {}) == {"name": "A", "art": "Gegner"}
    assert mapper.put({"kind": None}, {"art": "Gegner"}) == {"art": None}


@pytest.mark.parametrize("text", ["0511/12345-60", "0511 12345 60", "+49 511 1234560", "0049 (0)511 / 12345-60"])
def test_spellings_of_one_phone_number_are_equal(text):
    assert phone_key(text) == "+495111234560"


def test_what_is_no_phone_number_is_compared_as_text():
    assert phone_key("112") == "112", "no area code is invented"
    assert phone_key("Durchwahl  7") == "Durchwahl 7"
    assert phone_key(None) is None


def test_two_addresses_in_one_field_are_refused_and_never_cut():
    with pytest.raises(Unmappable) as refused:
        EMAIL.encode("a@beispiel.de; b@beispiel.de")
    assert "beispiel" not in str(refused.value), "no value in a message"
    assert email_key("A@Beispiel.de") == email_key("mailto:a@beispiel.de")
    assert email_key("nobody") == "nobody"


def test_a_wrong_bank_number_is_never_written():
    assert IBAN.encode("de89 3704 0044 0532 0130 00") == "DE89370400440532013000"
    for wrong in ("DE89370400440532013001", "DE8937040044053201300", "XX12", "", 5):
        with pytest.raises(Unmappable):
            IBAN.encode(wrong)  # type: ignore[arg-type]


def test_a_register_entry_needs_kind_and_number_and_the_court_tells_companies_apart():
    assert register_entry("HRB 7") == RegisterEntry("HRB", "7", None)
    with pytest.raises(Unmappable):
        register_entry("Hannover")
    assert register_key("Amtsgericht Hannover HRB 12345") == register_key("HRB 12345 (AG Hannover)")
    assert register_key("Amtsgericht Hannover HRB 12345") != register_key("Amtsgericht Köln HRB 12345")
    assert register_key("Dorf HRB 5") == register_key("hrb 5, ag Dorf".replace("ag", "AG"))


@given(st.text())
def test_no_text_makes_a_codec_fail_with_anything_but_unmappable(text):
    for name, codec in CODECS.items():
        if name in ("hmac512", "espo_signature"):
            continue
        with contextlib.suppress(Unmappable):
            codec(text)
    assert TEXT.decode(text) in (text, None)
    assert "/" not in str(PHONE.encode(text))
