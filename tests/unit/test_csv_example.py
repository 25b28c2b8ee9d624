"""What once went wrong with the example of a CSV file."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest

from bidisync import Rejected, Unconfirmed

EXAMPLE = Path(__file__).parents[2] / "examples" / "08_csv_folder.py"


@pytest.fixture
def file(tmp_path):
    """An empty file of people."""
    (tmp_path / "people.csv").write_text("id,name\n")
    return runpy.run_path(str(EXAMPLE))["CsvFile"](tmp_path / "people.csv")


def test_a_write_that_fails_leaves_nothing_behind(file, tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unconfirmed):
        file.add({"name": "Ahorn"})
    assert os.listdir(tmp_path) == ["people.csv"]


def test_a_field_without_a_column_is_refused_by_name(file):
    with pytest.raises(Rejected, match="no column born"):
        file.add({"name": "Ahorn", "born": "1970"})
