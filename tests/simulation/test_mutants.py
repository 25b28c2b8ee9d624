"""The simulation notices faults that were seeded into the shipped engine: five here, all of them at night."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
mutants = importlib.import_module("mutants")

ALL = os.environ.get("BIDISYNC_MUTANTS") == "all"
RESULTS: dict[str, str] = {}
CHOSEN = [mutant for mutant in mutants.MUTANTS if ALL or mutant.name in mutants.IN_CI]


def test_every_mutant_can_be_planted(tmp_path):
    assert len(mutants.MUTANTS) >= 40
    for mutant in mutants.MUTANTS:
        text = (mutants.SOURCE / "bidisync" / mutant.file).read_text(encoding="utf-8")
        assert text.count(mutant.old) == 1, mutant.name


@pytest.mark.parametrize("mutant", CHOSEN, ids=lambda mutant: mutant.name)
def test_a_seeded_fault_is_noticed(mutant):
    how = RESULTS[mutant.name] = mutants.hunt(mutant)
    print(f"{mutant.name}: {how}")
    assert not how.startswith("error")
    if len(RESULTS) == len(mutants.MUTANTS):
        mutants.PAGE.write_text(mutants.page(RESULTS), encoding="utf-8")
    if mutant.why_it_lives and how.startswith("survived"):
        pytest.xfail(mutant.why_it_lives)
    assert not how.startswith("survived")
