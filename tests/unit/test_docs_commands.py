"""What the docs tell somebody to type is understood, also where a test can't run it: as root, or for hours."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from bidisync_espo_advo.cli import group
from bidisync_espo_advo.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
KINDS = {"", "python", "sh", "text", "toml"}
"""Python is run by `test_examples_and_docs`, sh and text by `test_tutorial`; commands and TOML are read here."""


def blocks(kind: str) -> list[tuple[str, str]]:
    return [(page.name, block[2]) for page in PAGES for block in BLOCK.finditer(page.read_text()) if block[1] == kind]


def typed(program: str) -> list[tuple[str, list[str]]]:
    """Every call of the program in a block of commands: its arguments, up to where the shell takes over."""
    begins = rf"(?:^|[;&(]\s*|/bin/)(?:{program})\s+([^|;&<>()#]*)"
    lines = [
        (page, line) for page, block in [*blocks(""), *blocks("sh")] for line in block.replace("\\\n", " ").splitlines()
    ]
    calls = [(page, call[1]) for page, line in lines for call in re.finditer(begins, line)]
    return [(page, shlex.split(call.replace("'", " "))) for page, call in calls if "$@" not in call]


def unknown(command: click.Command, arguments: list[str]) -> list[str]:
    """The first word that neither names a command nor an option that it has."""
    options = {name: option for option in command.params for name in option.opts}
    rest = iter(arguments)
    for argument in rest:
        name, _, value = argument.partition("=")
        if argument in ("--help", "-h"):
            return []
        if argument.startswith("-") and name not in options:
            return [argument]
        if name in options and argument.startswith("-"):
            if not (value or getattr(options[name], "is_flag", False)):
                next(rest, None)
        elif isinstance(command, click.Group):
            found = command.commands.get(argument)
            return [argument] if found is None else unknown(found, list(rest))
    return []


def test_every_block_of_the_docs_is_of_a_kind_that_a_test_looks_at():
    kinds = {(page.name, block[1]) for page in PAGES for block in BLOCK.finditer(page.read_text())}
    assert [kind for kind in sorted(kinds) if kind[1] not in KINDS] == []


def test_every_command_of_the_docs_is_one_with_these_options():
    calls = typed("espo-advo|python -m bidisync_espo_advo")
    assert len(calls) > 60
    assert [(page, arguments) for page, arguments in calls if unknown(group, arguments)] == []


def test_every_task_of_the_docs_is_one_of_dev():
    tasks = set(re.findall(r'^    "(\w+)": \w+,$', (ROOT / "dev").read_text(), re.MULTILINE))
    calls = typed("python3 dev")
    assert len(calls) > 5
    assert [(page, arguments) for page, arguments in calls if arguments[0] not in tasks] == []


@pytest.mark.parametrize(("page", "block"), blocks("toml"))
def test_every_setting_of_the_docs_is_one(page, block):
    Settings.from_tables(tomllib.loads(block))


def test_a_wrong_option_is_told():
    assert unknown(group, ["sync", "--alll"]) == ["--alll"]
    assert unknown(group, ["--config", "x.toml", "sinc"]) == ["sinc"]
    assert unknown(group, ["state", "move", "--url-file", "x"]) == []
