"""What EspoCRM lacks is said before the first record, in words that say what to do."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bidisync_espo_advo.espocrm_schema import STATES, problems
from bidisync_espo_advo.fields import PARTY
from bidisync_espo_advo.simulators.espocrm_fields import BETEILIGTE

WHOLE: dict[str, dict[str, Any]] = BETEILIGTE.definitions()


def changed(**changes: Any) -> list[str]:
    definitions = copy.deepcopy(WHOLE)
    for name, change in changes.items():
        if change is None:
            del definitions[name]
        else:
            definitions[name] = {**definitions.get(name, {}), **change}
    return problems(definitions, PARTY, "CBeteiligte")


def test_the_recorded_entity_type_with_the_mapped_fields_has_all_that_is_needed():
    assert changed() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"zusatz": None}, "CBeteiligte has no field zusatz (mapped as addition): make it, or change the mapping"),
        ({"dateOfBirth": {"type": "varchar"}}, "CBeteiligte.dateOfBirth has the type varchar, which can't hold date"),
        ({"titel": {"type": "int"}}, "CBeteiligte.titel has the type int, which can't hold text"),
        ({"betnr": None}, "CBeteiligte has no field betnr, which the bookkeeping needs: make it (int)"),
        ({"betnr": {"type": "varchar"}}, "CBeteiligte.betnr has the type varchar; the bookkeeping needs int"),
        ({"syncStatus": {"options": STATES[:-1]}}, ""),
        (
            {"syncStatus": {"options": [s for s in STATES if s != "clean"]}},
            "CBeteiligte.syncStatus lacks the option clean",
        ),
        ({"syncStatus": {"options": list(STATES[2:])}}, "CBeteiligte.syncStatus lacks the options pending_sync, dirty"),
        (
            {"aktenzeichen": {"type": "varchar", "required": True}},
            "CBeteiligte.aktenzeichen is required and not mapped: no record can be made there",
        ),
        ({"aktenzeichen": {"type": "varchar", "required": True, "default": "x"}}, ""),
    ],
)
def test_what_is_missing_is_named(changes, said):
    assert changed(**changes) == ([said] if said else [])
