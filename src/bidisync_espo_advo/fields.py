"""The default mapping of a party, as data: the one place where field names of both systems stand."""

from __future__ import annotations

from typing import Literal

import attrs

from bidisync.identity import Identity
from bidisync.mapping import TEXT, Codec, FieldMap, FieldMapper, match_key, same_text
from bidisync.model import Side, Value
from bidisync.schema import Field
from bidisync_espo_advo.german import day


@attrs.frozen
class PartyField:
    """A row of the mapping: where a field lives, and whether Advoware takes it after the create."""

    group: str
    name: str
    espocrm: str
    advoware: str
    writable: bool = True
    form: Literal["text", "date"] = "text"
    required: bool = False


PARTY = (
    PartyField("stammdaten", "family_name", "lastName", "name", required=True),
    PartyField("stammdaten", "given_name", "firstName", "vorname"),
    PartyField("stammdaten", "legal_form", "rechtsform", "rechtsform"),
    PartyField("stammdaten", "title", "titel", "titel"),
    PartyField("stammdaten", "form_of_address", "anrede", "anrede"),
    PartyField("stammdaten", "letter_salutation", "briefanrede", "bAnrede"),
    PartyField("stammdaten", "addition", "zusatz", "zusatz"),
    PartyField("stammdaten", "birth_date", "dateOfBirth", "geburtsdatum", form="date"),
    PartyField("register", "register_number", "handelsregisterNummer", "handelsRegisterNummer", writable=False),
    PartyField("register", "register_court", "registergericht", "registergericht", writable=False),
    PartyField("personenstand", "birth_name", "geburtsname", "geburtsname", writable=False),
    PartyField("personenstand", "marital_status", "familienstand", "familienstand", writable=False),
    PartyField("personenstand", "search_name", "kurzname", "kurzname", writable=False),
    PartyField("personenstand", "category", "art", "art", writable=False),
)

GROUPS = tuple(dict.fromkeys(field.group for field in PARTY))

PARTY_IDENTITY = Identity(
    strong=(("register_court", "register_number"), ("family_name", "given_name", "birth_date")),
    weak=(("family_name", "given_name"),),
    normal=match_key,
)


def _midnight(value: Value) -> object:
    return f"{day(value)}T00:00:00"


_DATES = {"espocrm": Codec("date", day, day), "advoware": Codec("date", day, _midnight)}


def party_mapper(system: Literal["espocrm", "advoware"], fields: tuple[PartyField, ...] = PARTY) -> FieldMapper:
    """The mapper of one system."""
    maps = [
        FieldMap(
            field.name,
            field.espocrm if system == "espocrm" else field.advoware,
            _DATES[system] if field.form == "date" else TEXT,
        )
        for field in fields
    ]
    return FieldMapper(tuple(maps))


def party_fields(fields: tuple[PartyField, ...] = PARTY) -> tuple[Field, ...]:
    """The fields of a party for a policy: text is compared aside from its spelling."""
    return tuple(
        Field(
            field.name,
            field.group,
            key=same_text,
            required=field.required,
            create_only=frozenset() if field.writable else frozenset({Side.RIGHT}),
        )
        for field in fields
    )
