"""The policy of a party says what the settings and the caller said, key by key."""

from __future__ import annotations

from typing import Any

import pytest

from bidisync import (
    Conflict,
    Drift,
    Merge,
    Owner,
    Policy,
    Resolution,
    Side,
    ask,
    fill_blanks,
    prefer_left,
    prefer_right,
)
from bidisync.conflicts import Newest
from bidisync.schema import Group, OnDelete
from bidisync_espo_advo import Settings
from bidisync_espo_advo.policy import party_policy


def made(**tables: Any) -> Policy:
    return party_policy(Settings.from_tables(tables))


def stammdaten(**table: Any) -> Group:
    return made(groups={"stammdaten": table}).groups[0]


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ({}, "strategy", prefer_left),
        ({"strategy": "advoware"}, "strategy", prefer_right),
        ({"strategy": "newest"}, "strategy", Newest()),
        ({"strategy": "review"}, "strategy", ask),
        ({"strategy": "merge"}, "strategy", Merge(prefer_left)),
        ({"strategy": "merge", "on_merge_conflict": "review"}, "strategy", Merge(ask)),
        ({"strategy": "merge", "on_merge_conflict": "advoware"}, "strategy", Merge(prefer_right)),
        ({}, "initial", fill_blanks),
        ({"initial": "review"}, "initial", ask),
        ({"initial": "espocrm"}, "initial", prefer_left),
        ({}, "unit", False),
        ({"unit": True}, "unit", True),
        ({}, "allow_clear", True),
        ({"allow_clear": False}, "allow_clear", False),
        ({}, "owner", None),
        ({"owner": "advoware"}, "owner", Owner(Side.RIGHT, Drift.REVERT)),
        ({"owner": "espocrm", "drift": "report"}, "owner", Owner(Side.LEFT, Drift.REPORT)),
    ],
)
def test_a_key_of_a_group_does_what_it_says(table, key, value):
    assert getattr(stammdaten(**table), key) == value


def test_every_group_has_its_own_table_and_default():
    policy = made(groups={"register": {"strategy": "review"}})
    assert {group.name: group.strategy for group in policy.groups} == {
        "stammdaten": prefer_left,
        "register": ask,
        "personenstand": prefer_right,
    }


def test_a_single_field_has_its_own_strategy_with_the_groups_loser_rule():
    table = {"on_merge_conflict": "review", "fields": {"title": "merge"}}
    policy = made(groups={"stammdaten": table})
    assert policy.field("title").strategy == Merge(ask)
    assert policy.field("addition").strategy is None


def own(conflict: Conflict) -> Resolution:
    return {}


def test_strategies_of_the_caller_go_before_those_of_the_settings_by_group_and_by_field():
    settings = Settings.from_tables({"groups": {"stammdaten": {"owner": "advoware", "fields": {"title": "review"}}}})
    policy = party_policy(settings, {"stammdaten": own, "title": prefer_right})
    group = policy.groups[0]
    assert (group.strategy, group.owner) == (own, None)
    assert group.strategy_for(policy.field("title")) is prefer_right
    assert group.strategy_for(policy.field("addition")) is own
    assert party_policy(settings, {"search_name": own}).field("search_name").strategy is own


@pytest.mark.parametrize(
    ("delete", "meaning"),
    [("review", OnDelete.REVIEW), ("propagate", OnDelete.PROPAGATE), ("ignore", OnDelete.IGNORE)],
)
def test_what_follows_a_deletion_is_set(delete, meaning):
    assert made(sync={"delete": delete}).on_delete is meaning


def test_advoware_takes_fields_of_class_r_at_a_create_alone():
    policy = made()
    kept = {field.name for field in policy.fields if field.create_only}
    assert kept == {field.name for field in policy.fields if field.group != "stammdaten"}
    assert {field.name for field in policy.fields if field.required} == {"family_name"}
