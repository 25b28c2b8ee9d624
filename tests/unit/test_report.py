"""Tables on terminals of every width: nothing is wider, and nothing is left out."""

from __future__ import annotations

import re
import sys

import pytest

from bidisync_espo_advo.report import Report

HEAD = ("field", "row", "base", "EspoCRM", "Advoware", "result", "written to", "why")
ROWS = [
    ("letter_salutation", "5", "‹A›", "‹B›", "‹C›", "‹B›", "Advoware", "both changed (espocrm); the other one is kept"),
    ("given_name", "2", "‹A›", "‹B›", "‹A›", "‹B›", "Advoware", "one side changed"),
]
STYLES = re.compile(r"\x1b\[[0-9;?]*m")


@pytest.fixture
def terminal(monkeypatch):
    def of(columns: int) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))

    return of


@pytest.mark.parametrize("columns", [30, 50, 79, 80, 100, 130, 200])
def test_a_table_fits_the_terminal_and_keeps_every_cell(terminal, columns, capsys):
    terminal(columns)
    Report().table("decision 4711 of right:104711", HEAD, ROWS)
    printed = STYLES.sub("", capsys.readouterr().out)
    assert max(len(line.rstrip()) for line in printed.splitlines()) <= columns
    words = " ".join(printed.replace("│", " ").replace("┃", " ").split())
    for cells in (HEAD, *ROWS):
        for cell in cells[1:-1]:
            assert cell in words
        assert all(word in words for word in cells[-1].split())


def test_long_values_and_wide_letters_are_wrapped_too(terminal, capsys):
    terminal(60)
    Report(False).table("t", ("field", "base", "EspoCRM"), [("n", "名前" * 40, "x" * 200)])
    Report(False).show("t", [("a name", "y" * 200)], {})
    printed = STYLES.sub("", capsys.readouterr().out)
    assert max(len(line) for line in printed.splitlines()) <= 60
    assert printed.count("x") == 200
    assert printed.count("y") == 200


def test_in_a_pipe_a_row_is_a_line(capsys):
    Report().table("t", HEAD, ROWS)
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(ROWS)


def test_in_a_pipe_a_text_of_several_lines_is_a_list_beside_its_name(capsys):
    Report().show("t", [("short", "one"), ("a name", "first\nsecond")], {})
    assert capsys.readouterr().out.splitlines() == ["t", "  short   one", "  a name  first", "          second"]


@pytest.mark.parametrize("rows", [[], ROWS])
def test_a_table_without_rows_is_its_title(terminal, rows, capsys):
    terminal(200)
    Report().table("t", HEAD, rows)
    assert ("field" in capsys.readouterr().out) == bool(rows)
