"""Decisions as they are printed: masked unless asked for, and harmless to whoever reads them."""

from __future__ import annotations

import json
import sys

import pytest

from bidisync import ABSENT, Decision, Row, Side, Versions
from bidisync_espo_advo.explaining import HEAD, Mask, document, line
from bidisync_espo_advo.report import Report


def decision(base: object, left: object, right: object, result: object = ABSENT) -> Decision:
    versions = Versions(base, left, right)  # type: ignore[arg-type]
    return Decision("name", "g", Row.BOTH_CHANGED, versions, "merge", (Side.RIGHT,), result)  # type: ignore[arg-type]


def test_masked_values_show_which_are_equal_and_nothing_else():
    told = line(decision("Geheimnis", "Kanzlei", "Geheimnis", "Kanzlei"), Mask())
    assert told[2:6] == ("‹A›", "‹B›", "‹A›", "‹B›")
    assert told[6:] == ("Advoware", "both changed (merge)")
    masked = json.dumps(document(decision("Geheimnis", ("Kanzlei",), None), Mask()))
    assert "Geheimnis" not in masked and "Kanzlei" not in masked
    assert line(decision(ABSENT, None, "x"), Mask())[2:6] == ("–", "(empty)", "‹A›", "–")


def test_a_program_can_tell_a_value_from_an_empty_field_and_from_none_at_all():
    told = json.loads(json.dumps(document(decision(ABSENT, None, 7, ("a", "b")), Mask(shows=True))))
    assert [told[name] for name in ("base", "left", "right", "result")] == [{"absent": True}, None, 7, ["a", "b"]]
    assert document(decision("–", "(empty)", "x"), Mask(shows=True))["base"] == "–"


HOSTILE = "[/red] [bold]x[/bold] :smile: \x1b[2J\r\nzwei"


@pytest.mark.parametrize("terminal", [True, False])
def test_what_stands_in_a_record_is_no_instruction_to_the_terminal(terminal, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    Report().table("now", HEAD, [line(decision("b", HOSTILE, "y"), Mask(shows=True))])
    printed = capsys.readouterr().out
    assert "[/red] [bold]x[/bold] :smile:" in printed
    assert "\\x1b[2J\\r\\nzwei" in printed
    assert "\x1b[2J" not in printed
