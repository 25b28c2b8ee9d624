"""The entity types of the simulated EspoCRM: their fields in the order in which they are checked.

``CBeteiligte`` has the recorded fields and those that the default mapping needs besides; the
others are there to be linked to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal

import attrs

Kind = Literal[
    "personName", "varchar", "text", "int", "float", "bool", "enum", "multiEnum", "date", "datetime",
    "email", "phone", "url", "jsonObject", "currency", "link",
]  # fmt: skip

CURRENCIES = ("USD",)
PHONE_TYPES = ("Mobile", "Office", "Home", "Fax", "Other")
SYNC_STATES = (
    "pending_sync", "syncing", "clean", "dirty", "conflict", "failed", "permanently_failed",
    "deleted_in_advoware",
)  # fmt: skip
SHARED = ("emailAddress", "phoneNumber")  # one row for all records with the same address or number


@attrs.frozen
class Field:
    """One field; ``custom`` ones were made by an administrator."""

    name: str
    kind: Kind = "varchar"
    max_length: int | None = None
    options: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    plain_chars: bool = False  # none of < > =
    not_null: bool = False
    read_only: bool = False
    foreign: str = ""
    custom: bool = False

    def definition(self) -> dict[str, Any]:
        """What the metadata says about it."""
        told: dict[str, Any] = {"type": self.kind}
        if self.max_length is not None and self.kind != "url":
            told["maxLength"] = self.max_length
        if self.options:
            told["options"] = list(self.options)
        if self.default is not None:
            told["default"] = self.default
        if self.kind == "phone":
            told |= {"typeList": list(PHONE_TYPES), "defaultType": PHONE_TYPES[0]}
        if self.kind in ("date", "datetime", "float", "bool") and self.custom:
            told["notNull"] = self.not_null
        flags = {
            "required": self.required,
            "readOnly": self.read_only,
            "isCustom": self.custom,
        }
        told |= {name: True for name, on in flags.items() if on}
        if self.plain_chars:
            told["pattern"] = "$noBadCharacters"
        return told


@attrs.frozen(slots=False)
class EntityType:
    """A kind of record. ``Person`` and ``Company`` are checked for duplicates, ``Base`` is not."""

    name: str
    template: Literal["Person", "Company", "Base"]
    fields: tuple[Field, ...]
    relations: Mapping[str, str] = attrs.Factory(dict)  # many-to-many: link -> entity type
    shows_related: bool = False  # a GET has the ids behind its relations

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """The fields by name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """The kind of value that each attribute of a list row holds."""
        kinds: dict[str, str] = {"id": "id", "name": "varchar", "deleted": "bool"}
        kinds |= {field.name: field.kind for field in self.fields if field.kind not in ("link", "personName")}
        for name in self.shared:
            kinds |= {f"{name}IsOptedOut": "bool", f"{name}IsInvalid": "bool"}
        kinds |= {f"{name}Currency": "varchar" for name in self._of_kind("currency")}
        for name in self._of_kind("link"):
            kinds |= {f"{name}Id": "id", f"{name}Name": "varchar"}
        kinds |= {f"{name}Converted": "float" for name in self._of_kind("currency")}
        return kinds | {"versionNumber": "int"}

    @cached_property
    def amounts(self) -> tuple[str, ...]:
        """Its fields that hold money."""
        return tuple(self._of_kind("currency"))

    @cached_property
    def shared(self) -> tuple[str, ...]:
        """Its fields whose rows are shared between records."""
        return tuple(name for name in SHARED if name in self.by_name)

    @cached_property
    def links(self) -> Mapping[str, str]:
        """Every relation and the entity type on its other end."""
        to_one = {field.name: field.foreign for field in self.fields if field.kind == "link"}
        return {**to_one, **self.relations, "teams": "Team"}

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """What a new record has unless the request says otherwise."""
        return {field.name: field.default for field in self.fields if field.default is not None}

    def attributes_of(self, field: str) -> tuple[str, ...]:
        """All attributes that belong to a field."""
        kind = self.by_name[field].kind
        if kind == "link":
            return (f"{field}Id", f"{field}Name")
        if kind == "currency":
            return (field, f"{field}Currency", f"{field}Converted")
        if field in SHARED:
            return (field, f"{field}Data", f"{field}IsOptedOut", f"{field}IsInvalid")
        return (field,)

    def definitions(self) -> dict[str, Any]:
        """What the metadata says about its fields."""
        return dict(self._definitions())

    def _definitions(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for field in self.fields:
            yield field.name, field.definition()
        yield "teams", {"type": "linkMultiple"}
        for name in self.shared:
            for suffix in ("IsOptedOut", "IsInvalid"):
                yield f"{name}{suffix}", {"type": "bool", "notStorable": True}
        for name in self._of_kind("currency"):
            yield f"{name}Currency", {"type": "enum", "maxLength": 3}
            yield f"{name}Converted", {"type": "currencyConverted", "readOnly": True}

    def _of_kind(self, kind: Kind) -> Iterator[str]:
        return (field.name for field in self.fields if field.kind == kind)


def _address(prefix: str) -> tuple[Field, ...]:
    return (
        Field(f"{prefix}Street", "text", max_length=255),
        *(Field(f"{prefix}{part}", max_length=100, plain_chars=True) for part in ("City", "State", "Country")),
        Field(f"{prefix}PostalCode", max_length=40, plain_chars=True),
    )


SYSTEM = (
    Field("createdAt", "datetime", read_only=True),
    Field("modifiedAt", "datetime", read_only=True),
    Field("createdBy", "link", read_only=True, foreign="User"),
    Field("modifiedBy", "link", read_only=True, foreign="User"),
    Field("assignedUser", "link", foreign="User"),
)
BETEILIGTE = EntityType(
    "CBeteiligte",
    "Person",
    (
        Field("name", "personName"),
        Field("salutationName", "enum", options=("", "Mr.", "Ms.", "Mrs.", "Dr.")),
        Field("firstName", max_length=100, plain_chars=True),
        Field("lastName", max_length=100, plain_chars=True, required=True),
        Field("description", "text"),
        Field("emailAddress", "email"),
        Field("phoneNumber", "phone"),
        *_address("address"),
        *SYSTEM,
        Field("betnr", "int", custom=True),
        Field("advowareRowId", max_length=100, custom=True),
        Field("advowareLastSync", "datetime", custom=True),
        Field("syncStatus", "enum", options=SYNC_STATES, default=SYNC_STATES[0], max_length=100, custom=True),
        Field("syncRetryCount", "int", default=0, custom=True),
        Field("syncErrorMessage", "text", custom=True),
        Field("rechtsform", max_length=40, custom=True),
        Field("anrede", max_length=40, custom=True),
        Field("titel", max_length=60, custom=True),
        Field("dateOfBirth", "date", custom=True),
        Field("handelsregisterNummer", max_length=60, custom=True),
        Field("istAktiv", "bool", default=True, not_null=True, custom=True),
        Field("quote", "float", custom=True),
        Field("streitwert", "currency", custom=True),
        Field("rollen", "multiEnum", options=("Mandant", "Gegner", "Zeuge"), custom=True),
        Field("rohdaten", "jsonObject", custom=True),
        Field("webseite", "url", max_length=255, custom=True),
        Field("briefanrede", max_length=150, custom=True),
        Field("zusatz", max_length=100, custom=True),
        Field("registergericht", max_length=100, custom=True),
        Field("geburtsname", max_length=100, custom=True),
        Field("familienstand", max_length=60, custom=True),
        Field("kurzname", max_length=60, custom=True),
        Field("art", max_length=60, custom=True),
        Field("firma", "link", foreign="CFirma"),
        Field("middleName", max_length=100, plain_chars=True),
    ),
    relations={"akten": "CAkte"},
)
FIRMA = EntityType(
    "CFirma",
    "Company",
    (
        Field("name", max_length=255, required=True, plain_chars=True),
        Field("description", "text"),
        Field("website", "url", max_length=255),
        Field("emailAddress", "email"),
        Field("phoneNumber", "phone"),
        *_address("billingAddress"),
        *_address("shippingAddress"),
        *SYSTEM,
    ),
    relations={"beteiligte": "CBeteiligte"},
)
AKTE = EntityType(
    "CAkte",
    "Base",
    (
        Field("name", max_length=255, required=True, plain_chars=True),
        Field("description", "text"),
        *SYSTEM,
        Field("aktenzeichen", max_length=100, required=True, custom=True),
    ),
    relations={"beteiligte": "CBeteiligte"},
    shows_related=True,
)
