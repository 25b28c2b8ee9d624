"""A table of the configuration as a value: every key known, every value of its type, or one line that says which.

Nothing is converted silently: ``"1"`` is not a number in TOML. Messages never hold a value, so
no secret can stand in one.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from bidisync.errors import Misconfigured

TEXTS = tuple[str, ...]
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def read(path: Path) -> dict[str, Any]:
    """The tables of a file."""
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Misconfigured(f"there is no configuration file {path}") from error
    except OSError as error:
        raise Misconfigured(f"the configuration file {path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        place = str(error).rpartition("(")[2].rstrip(")") if isinstance(error, tomllib.TOMLDecodeError) else "no UTF-8"
        raise Misconfigured(f"the configuration file {path} is not valid TOML ({place})") from error


def structure(section: str, type_: type, table: object) -> Any:
    """A table as a value: every key known, every value of its type."""
    if not isinstance(table, Mapping):
        raise Misconfigured(f"[{section}] is a table of keys")
    hints = typing.get_type_hints(type_)
    for key, value in table.items():
        if key not in hints:
            raise Misconfigured(f"unknown key {section}.{key}; known are {', '.join(hints)}")
        _require_type(f"{section}.{key}", value, hints[key])
    return type_(**table)


def _require_type(key: str, value: object, type_: Any) -> None:
    if typing.get_origin(type_) is Literal:
        if value not in typing.get_args(type_):
            raise Misconfigured(f"{key} must be one of {', '.join(typing.get_args(type_))}")
        return
    if typing.get_origin(type_) is Mapping:
        if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
            raise Misconfigured(f"{key} must be a table of texts")
        return
    if type_ == TEXTS:
        if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
            raise Misconfigured(f"{key} must be a list of texts")
        return
    accepted = (int, float) if type_ is float else (type_,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and type_ is not bool):
        raise Misconfigured(f"{key} must be {WORDS[type_]}")
