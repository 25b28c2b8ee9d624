"""Phone, e-mail, bank and register numbers: read for comparison, kept as they are spelled.

Needs the extra ``numbers``. Each function gives a form in which two spellings of the same
thing are equal; what is no valid number has none, and nothing is invented.
"""

from __future__ import annotations

import re
from typing import Literal

import attrs
import phonenumbers
from email_validator import EmailNotValidError, validate_email
from stdnum import iban as stdnum_iban
from stdnum import numdb
from stdnum.de import handelsregisternummer
from stdnum.exceptions import ValidationError

from bidisync.errors import Unmappable
from bidisync.mapping import Codec, same_text
from bidisync.model import Value
from bidisync_espo_advo.german import register_entry


@attrs.frozen
class Phone:
    """A phone number: ``e164`` for comparison (``None`` where it can't be told), ``text`` as EspoCRM takes it."""

    e164: str | None
    text: str


_DASHES = str.maketrans({"–": "-", "—": "-", "‑": "-", "/": " "})


def phone(text: str, country: str = "DE") -> Phone:
    """A phone number as it is typed. Without an area code nothing is added to it."""
    typed = " ".join(text.translate(_DASHES).split())
    e164 = None
    if typed.startswith(("+", "0")):
        try:
            number = phonenumbers.parse(typed, country)
        except phonenumbers.NumberParseException:
            return Phone(None, typed)
        if phonenumbers.is_valid_number(number):
            e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return Phone(e164, typed)


def phone_key(value: Value) -> Value:
    """The form in which two spellings of a phone number are equal."""
    return (phone(value).e164 or same_text(value)) if isinstance(value, str) else value


def email(text: str) -> str:
    """An address with a lower-case domain and its local part as it is; ``Unmappable`` if it is none."""
    bare = re.sub(r"^mailto:", "", text.strip(), flags=re.IGNORECASE)
    try:
        return validate_email(bare, check_deliverability=False).normalized
    except EmailNotValidError:
        raise Unmappable("this is not one e-mail address") from None  # its message holds the address


def email_key(value: Value) -> Value:
    """The form in which two spellings of an e-mail address are equal: case aside, as EspoCRM does."""
    try:
        return email(value).casefold() if isinstance(value, str) else value
    except Unmappable:
        return same_text(value)


def iban(text: str) -> tuple[str, Literal["ok", "length", "checksum", "country"]]:
    """A bank account number without blanks, and whether it can be one: checked by country, length and check digits."""
    compact = stdnum_iban.compact(text).upper()
    known = [properties["bban"] for _, properties in numdb.get("iban").info(compact) if "bban" in properties]
    if not known:
        return compact, "country"
    if len(compact) != 4 + sum(int(n) for n in re.findall(r"(\d+)!", known[0])):
        return compact, "length"
    try:
        stdnum_iban.validate(compact)
    except ValidationError:
        return compact, "checksum"
    return compact, "ok"


def _encode_iban(value: Value) -> object:
    number, verdict = iban(value) if isinstance(value, str) else ("", "length")
    if verdict != "ok":
        raise Unmappable(f"this is not an IBAN ({verdict})")
    return number


def iban_key(value: Value) -> Value:
    """The form in which two spellings of an IBAN are equal."""
    return iban(value)[0] if isinstance(value, str) else value


def register_key(value: Value) -> Value:
    """The form in which two spellings of a register entry are equal, by the register's own rules where it is known."""
    if not isinstance(value, str):
        return value
    try:
        entry = register_entry(value)
    except Unmappable:
        return same_text(value)
    spelled = f"{entry.court or ''} {entry.kind} {entry.number}".strip()
    try:
        return str(handelsregisternummer.validate(spelled))
    except ValidationError:
        return spelled.casefold()


def _as_text(native: object) -> Value:
    if not isinstance(native, str):
        raise Unmappable(f"expected text, not {type(native).__name__}")
    return native if native.strip() else None


PHONE = Codec("phone", _as_text, lambda value: phone(str(value)).text)
"""A phone number towards EspoCRM, which refuses slashes and long dashes."""

EMAIL = Codec("e-mail", _as_text, lambda value: email(str(value)))
"""An e-mail address; what is none blocks its group."""

IBAN = Codec("iban", _as_text, _encode_iban)
"""A bank account number: written compact, and only with the right check digits."""


def _checked_iban(native: object) -> Value:
    text = _as_text(native)
    if text is not None:
        _encode_iban(text)
    return text


CHECKED_IBAN = Codec("iban, checked", _checked_iban, _encode_iban)
"""The same for a side where nobody checks what is typed: a wrong one blocks its record before anything follows."""
