"""Every public name is used where types are checked, and promised where it can be read."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest
from promised import PACKAGES, PARTS

ROOT = Path(__file__).parents[2]
TYPED = sorted((ROOT / "tests" / "typing").glob("*.py"))


def used(source: str) -> set[str]:
    """The names that are used in a module, imports aside; of `package.name` the name."""
    nodes = list(ast.walk(ast.parse(source)))
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return attributes | {node.id for node in nodes if isinstance(node, ast.Name)}


USED = set().union(*(used(path.read_text()) for path in TYPED))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_used_where_types_are_checked(package):
    assert sorted(set(import_module(package).__all__) - USED) == []


def test_every_part_is_used_where_types_are_checked():
    assert sorted({name for names in PARTS.values() for name in names.split()} - USED) == []


def test_an_import_alone_is_no_use():
    assert used("from bidisync import Engine\nimport bidisync as b\nb.Ref") == {"b", "Ref"}


@pytest.mark.parametrize("package", [*PACKAGES, *PARTS])
def test_the_page_on_stability_names_every_public_module(package):
    assert f"`{package}`" in (ROOT / "docs" / "stability.md").read_text()
