"""The command line keeps its contract: names, options, help, completion, and what a program reads of errors."""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import sys

import pytest
from click.shell_completion import get_completion_class

from bidisync_espo_advo.cli import group, run
from bidisync_espo_advo.fields import GROUPS
from command import environment

CONTRACT = {
    "demo": "--records --seed --port --serve --hostile",
    "simulate": "system --port --records --seed --switch",
    "check": "",
    "certify": "system --sandbox-record --yes",
    "sync": "ids --all --side --dry-run --rounds",
    "plan": "ids --all -o",
    "apply": "file",
    "serve": "--host --port",
    "worker": "",
    "status": "",
    "conflicts": "",
    "resolve": "link --field-group --take",
    "explain": "link --group",
    "history": "link --verify --head --replay",
    "export": "link -o",
    "undo": "run_or_decision --yes",
    "retry": "links --all",
    "approve": "plan_hash --yes",
    "unlink": "links --take-back --yes",
    "forget": "link --take-back --even-unknown --yes",
    "report": "--from --to",
    "hold": "links --until --release",
    "expire": "--days --yes",
    "completion": "shell",
    "backup": "file",
}
COMMANDS = sorted(group.commands.items())


@pytest.fixture(autouse=True)
def _nothing_configured(tmp_path, monkeypatch):
    for name in os.environ:
        if name.startswith("ESPO_ADVO_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("stamina"), "disabled", False)


@pytest.mark.parametrize("name", CONTRACT)
def test_every_command_of_the_contract_is_there_with_its_options(name):
    known = {opt for parameter in group.commands[name].params for opt in (*parameter.opts, parameter.name)}
    assert {*CONTRACT[name].split(), "--json", "--config"} <= known


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_the_help_of_a_command_has_examples_that_can_be_called(name, command, capsys):
    assert run([name, "--help"]) == 0
    page = capsys.readouterr().out
    assert command.examples, "others than ours have none"
    for line, does in command.examples:
        assert line in page
        assert does.split()[0] in page
        program, *words = shlex.split(line.partition(" > ")[0])
        if program != "espo-advo":
            continue
        context = group.make_context("espo-advo", words)
        _, found, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        found.make_context(found.name, rest, parent=context)


def test_no_line_of_the_help_is_wider_than_a_terminal_and_no_command_is_cut_short(capsys):
    for words in ([], *([name] for name in group.commands)):
        run([*words, "--help"])
        printed = capsys.readouterr().out
        examples = {line for command in group.commands.values() for line, _ in command.examples}
        assert [line for line in printed.splitlines() if len(line) > 80 and line.strip() not in examples] == []
    for _, command in COMMANDS:
        assert command.get_short_help_str(70)[-3:] != "..."


def test_without_a_command_the_help_says_what_there_is(capsys):
    assert run([]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert {line.split()[0] for line in told.err.splitlines() if line.startswith("  ")} >= set(CONTRACT)
    assert "Exit status" in told.err


LEAST = {
    "certify": ["advoware", "--yes"],
    "apply": ["plan.json"],
    "resolve": ["left:1", "--field-group", "stammdaten", "--take", "left"],
    "explain": ["left:1"],
    "undo": ["1"],
    "retry": ["--all"],
    "approve": ["0123"],
    "backup": ["copy.db"],
    "unlink": ["left:1"],
    "forget": ["left:1", "--yes"],
    "export": ["left:1"],
    "report": ["--from", "2026-01-31"],
    "expire": ["--yes"],
}
OFFLINE = {"demo", "simulate", "completion"}


@pytest.mark.parametrize("name", sorted(CONTRACT.keys() - OFFLINE))
@pytest.mark.parametrize("where", ["before", "after"])
def test_without_a_configuration_every_command_ends_with_2_and_tells_a_program_why(name, where, capsys):
    words = [name, *LEAST.get(name, [])]
    assert run(["--json", *words] if where == "before" else [*words, "--json"]) == 2
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert set(document["error"]) == {"code", "message", "next"}
    assert document["error"]["message"].rstrip(".") in told.err
    assert len(told.err.splitlines()) == 1


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_an_option_that_there_is_not_is_told_to_programs_and_people(name, capsys):
    assert run([name, "--json", "--no-such-option"]) == 2
    told = capsys.readouterr()
    assert json.loads(told.out)["error"]["code"] == "usage"
    assert f"espo-advo {name} --help" in told.err


@pytest.fixture
def _configured(monkeypatch):
    for key in ("ESPOCRM_URL", "ESPOCRM_API_KEY", "ADVOWARE_KANZLEI", "ADVOWARE_DATABASE", "ADVOWARE_USER"):
        monkeypatch.setenv(f"ESPO_ADVO_{key}", "https://crm.example.org")
    for key in ("PASSWORD", "APP_ID", "API_KEY"):
        monkeypatch.setenv(f"ESPO_ADVO_ADVOWARE_{key}", "Zg==")


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize("name", ["certify", "forget", "expire"])
def test_what_can_not_be_taken_back_needs_a_yes_where_nobody_can_be_asked(name, capsys):
    words = [word for word in LEAST[name] if word != "--yes"]
    assert run([name, *words]) == 2
    assert "--yes" in capsys.readouterr().err


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize("name", ["undo", "unlink", "approve"])
def test_what_can_be_taken_back_is_done_where_nobody_can_be_asked(name, capsys):
    assert run([name, *LEAST[name]]) == 2
    told = capsys.readouterr().err
    assert "there is no state" in told, "it went as far as that"
    assert run([name, *LEAST[name], "--yes"]) == 2
    assert capsys.readouterr().err == told


def completed(words: str, begun: str) -> list[str]:
    kind = get_completion_class("bash")
    assert kind is not None
    return [item.value for item in kind(group, {}, "espo-advo", "X").get_completions(shlex.split(words), begun)]


def test_a_shell_completes_commands_options_and_what_they_may_say():
    assert completed("", "res") == ["resolve"]
    assert set(completed("", "")) == set(group.commands)
    assert "--field-group" in completed("resolve left:1", "--f")
    assert completed("resolve left:1 --field-group", "") == list(GROUPS)
    assert completed("resolve left:1 --take", "r") == ["right"]
    assert completed("sync --side", "") == ["left", "right"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell, capsys):
    assert run(["completion", shell]) == 0
    assert "_ESPO_ADVO_COMPLETE" in capsys.readouterr().out
    assert run(["completion", shell, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shell"] == shell


def test_bash_itself_completes_with_that_script(tmp_path):
    (tmp_path / "espo-advo").write_text(f'#!/bin/sh\nexec {sys.executable} -m bidisync_espo_advo "$@"\n')
    (tmp_path / "espo-advo").chmod(0o755)
    script = """
source <(espo-advo completion bash)
COMP_WORDS=(espo-advo resolve left:1 --take ""); COMP_CWORD=4
_espo_advo_completion espo-advo; echo "${COMPREPLY[@]}"
"""
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], env=environment(PATH=path), capture_output=True, text=True, timeout=30
    )
    assert (done.stdout.split(), done.stderr) == (["left", "right", "base", "merged"], "")
