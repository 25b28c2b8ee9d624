"""The public names with their signatures, as text that is compared and read in a review."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import griffe
from promised import PACKAGES, PARTS

ROOT = Path(__file__).parents[2]
CALLED = ("__init__", "__call__")
"""Special methods whose signature a caller sees."""

LONG = 200
"""A table that is longer is no default value that somebody reads in a signature."""


@attrs.frozen
class Name:
    """A public name: where it is imported from, where it lives, and what it is."""

    package: str
    name: str
    what: Any

    @property
    def home(self) -> str:
        """Its path where it is written down."""
        return str(self.what.path)

    @property
    def promise(self) -> str:
        """The first sentence of its docstring; empty without one."""
        text = "" if self.what.docstring is None else str(self.what.docstring.value)
        return " ".join(text.split("\n\n")[0].split()).split(". ")[0].removesuffix(".").removesuffix(":")


def names(packages: tuple[str, ...] = PACKAGES) -> list[Name]:
    """Every public name of these packages, and the parts that are imported from their own modules."""
    loader = griffe.GriffeLoader(search_paths=[str(ROOT / "src")])
    for top in sorted({package.partition(".")[0] for package in packages}):
        loader.load(top)
    loader.resolve_aliases(implicit=True, external=False)
    found = []
    for package in packages:
        module = loader.modules_collection[package]
        found += [Name(package, name, _named(module, name)) for name in sorted(module.exports or [])]
    for module_path, parts in PARTS.items():
        module = loader.modules_collection[module_path]
        found += [Name(module_path, name, _target(module[name])) for name in parts.split()]
    return found


def as_text(package: str, known: list[Name]) -> str:
    """The public names of one package: a line for each, and below a class one for each member."""
    return "".join(f"{line}\n" for name in known if name.package == package for line in _lines(name.name, name.what))


def _named(package: Any, name: str) -> Any:
    """What a package means by the name: never the module that is called like its function."""
    found = _target(package[name])
    return _target(found[name]) if found.is_module else found


def _target(found: Any) -> Any:
    return found.final_target if found.is_alias else found


def _lines(name: str, what: Any) -> Iterator[str]:
    if not what.is_class:
        yield _line(name, what)
        return
    bases, made = ", ".join(map(str, what.bases)), " ".join(f"@{d.value}" for d in what.decorators)
    yield f"class {name}{f'({bases})' if bases else ''}{f'  {made}' if made else ''}"
    for member, found in what.all_members.items():
        target = _target(found)
        if (member in CALLED and target.is_function) or not member.startswith("_"):
            yield f"    {_line(member, target)}"


def _line(name: str, what: Any) -> str:
    if what.is_function:
        kinds = [str(d.value) for d in what.decorators if "contextmanager" in str(d.value)]
        kinds += [label for label in ("async", "classmethod", "staticmethod") if label in what.labels]
        return " ".join([*kinds, f"{name}{_signature(what)}"])
    if what.is_class:
        return f"class {name}"
    if "property" in what.labels:
        return f"property {name}: {what.annotation}"
    annotation = "" if what.annotation is None else f": {what.annotation}"
    value = "" if what.value is None else f" = {what.value}"
    return f"{name}{annotation}{value if len(value) <= LONG else ' = …'}"


def _signature(function: Any) -> str:
    return str(function.signature()).removeprefix(str(function.name))
