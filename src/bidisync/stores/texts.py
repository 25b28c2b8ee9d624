"""Any Python text in a form that every database takes: no NUL, no half of a surrogate pair."""

from __future__ import annotations

import re

_MARK = "\ufdd0"  # a code point that Unicode promises never to use
_ODD = re.compile(f"[\x00\ud800-\udfff{_MARK}]")
_CODED = re.compile(f"{_MARK}(.{{4}})")


def stored_text(text: str) -> str:
    """The text in the form that is stored: nearly always itself."""
    return text if text.isascii() and "\x00" not in text else _ODD.sub(lambda odd: f"{_MARK}{ord(odd[0]):04x}", text)


def plain_text(text: str) -> str:
    """The text that has this stored form."""
    return text if text.isascii() else _CODED.sub(lambda coded: chr(int(coded[1], 16)), text)
