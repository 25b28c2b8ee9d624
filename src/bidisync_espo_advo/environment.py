"""Settings in variables of the environment: ``ESPO_ADVO_<SECTION>_<KEY>``, or the same with ``_FILE``.

What a variable holds is read as the type that the key has; with ``_FILE`` it is what stands in
the file that it names. Messages never hold a value.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bidisync.errors import Misconfigured
from bidisync_espo_advo.tables import TEXTS, WORDS

PREFIX = "ESPO_ADVO_"
NOT_SETTINGS = frozenset({"CONFIG", "DEBUG"})


def variable(section: str, key: str) -> str:
    """The variable that sets this key."""
    return f"{PREFIX}{section.replace('.', '_')}_{key}".upper()


def settings_in(environ: Mapping[str, str], kinds: Mapping[str, type]) -> Iterator[tuple[str, str, object]]:
    """Section, key and value of every variable of ours, in their order; ``kinds`` are the types of the sections."""
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.removeprefix(PREFIX) in NOT_SETTINGS:
            continue
        rest, text = name.removeprefix(PREFIX).lower(), environ[name]
        found = _key_of(rest, kinds)
        if found is None and rest.endswith("_file"):
            found = _key_of(rest.removesuffix("_file"), kinds)
            text = _content(name, text)
        if found is None:
            raise Misconfigured(f"the environment variable {name} is no setting")
        section, key, type_ = found
        yield section, key, _parsed(name, text, type_)


def _key_of(rest: str, kinds: Mapping[str, type]) -> tuple[str, str, Any] | None:
    for section, type_ in kinds.items():
        prefix = f"{section.replace('.', '_')}_"
        key = rest.removeprefix(prefix)
        if rest.startswith(prefix) and key in (hints := typing.get_type_hints(type_)):
            return section, key, hints[key]
    return None


def _content(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the file that {name} names can't be read") from error


def _parsed(name: str, text: str, type_: Any) -> object:
    readers: dict[Any, Callable[[str], object]] = {int: int, float: float, bool: _boolean, TEXTS: str.split}
    try:
        return readers.get(type_, str)(text)
    except ValueError as error:
        raise Misconfigured(f"{name} is not {WORDS.get(type_, 'valid')}") from error


def _boolean(text: str) -> bool:
    try:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.strip().lower()]
    except KeyError as error:
        raise ValueError(text) from error
