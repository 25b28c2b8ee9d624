"""Settings: one line for every mistake, with the key's name in it and no value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from bidisync.errors import Misconfigured
from bidisync_espo_advo.settings import Settings, load_settings
from toml_text import render_toml

CANARY = "kanarienvogel"
GOOD: dict[str, dict[str, Any]] = {
    "espocrm": {"url": "https://crm.example.org", "api_key": CANARY},
    "advoware": {
        "kanzlei": "k", "database": "d", "user": "u", "password": CANARY, "app_id": "a", "api_key": CANARY,
    },
}  # fmt: skip


def test_the_defaults_are_those_of_the_contract():
    settings = Settings.from_tables({})
    assert (settings.espocrm.entity_type, settings.espocrm.timeout_s) == ("CBeteiligte", 30.0)
    assert (settings.advoware.path, settings.advoware.role, settings.advoware.product) == ("api/v1/advonet/", 2, 64)
    assert (settings.state.url, settings.lock.url, settings.lock.lease_s) == (
        "sqlite:///espo-advo.db",
        "local://",
        60.0,
    )
    assert (settings.sync.concurrency, settings.sync.max_attempts, settings.sync.delete) == (10, 5, "review")
    assert {name: group.strategy for name, group in settings.groups.items()} == {
        "stammdaten": "espocrm",
        "register": "advoware",
        "personenstand": "advoware",
    }


@pytest.mark.parametrize(
    ("tables", "key"),
    [
        ({"espocrm": {"colour": CANARY}}, "espocrm.colour"),
        ({"espo": {}}, "[espo]"),
        ({"espocrm": {"timeout_s": CANARY}}, "espocrm.timeout_s"),
        ({"espocrm": {"max_concurrency": 1.5}}, "espocrm.max_concurrency"),
        ({"espocrm": {"max_concurrency": True}}, "espocrm.max_concurrency"),
        ({"espocrm": {"api_key": 5}}, "espocrm.api_key"),
        ({"espocrm": {"url": CANARY}}, "espocrm.url"),
        ({"espocrm": {"webhooks": {"a": 1}}}, "espocrm.webhooks"),
        ({"espocrm": CANARY}, "[espocrm]"),
        ({"advoware": {"role": "2"}}, "advoware.role"),
        ({"sync": {"delete": CANARY}}, "sync.delete"),
        ({"sync": {"poll_interval_s": -1}}, "sync.poll_interval_s"),
        ({"sync": {"delete": "archive"}}, "sync.archive_field"),
        ({"guards": {"max_deletes": -1}}, "guards.max_deletes"),
        ({"lock": {"lease_s": 33}}, "lock.lease_s"),
        ({"lock": {"url": f"http://{CANARY}"}}, "lock.url"),
        ({"state": {"url": "sqlite://x"}}, "state.url"),
        ({"groups": {"adressen": {}}}, "groups.adressen"),
        ({"groups": {"stammdaten": {"strategy": CANARY}}}, "groups.stammdaten.strategy"),
        ({"groups": {"stammdaten": {"drift": "report"}}}, "groups.stammdaten.owner"),
        ({"groups": {"stammdaten": {"units": True}}}, "groups.stammdaten.units"),
        ({"groups": CANARY}, "[groups]"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key_and_no_value(tables, key):
    with pytest.raises(Misconfigured) as caught:
        Settings.from_tables(tables)
    message = str(caught.value)
    assert key in message
    assert CANARY not in message
    assert "\n" not in message


def test_secrets_stand_in_no_repr():
    settings = Settings.from_tables({**GOOD, "web": {"token": CANARY}, "lock": {"url": f"redis://:{CANARY}@h/0"}})
    assert CANARY not in repr(settings)
    assert CANARY not in repr(attrs.evolve(settings.espocrm, webhooks={"id": CANARY}))


@pytest.mark.parametrize("missing", [("espocrm", "url"), ("espocrm", "api_key"), ("advoware", "password")])
def test_what_is_needed_to_reach_both_systems_is_named_with_its_variable(missing):
    section, key = missing
    tables = {name: {k: v for k, v in table.items() if (name, k) != missing} for name, table in GOOD.items()}
    Settings.from_tables(GOOD).require_remotes()
    with pytest.raises(Misconfigured, match=f"{section}.{key} .*ESPO_ADVO_{section.upper()}_{key.upper()}"):
        Settings.from_tables(tables).require_remotes()


def test_the_environment_goes_before_the_file_and_files_before_nothing(tmp_path: Path):
    file, secret = tmp_path / "x.toml", tmp_path / "key"
    file.write_text('[espocrm]\nurl = "https://a.example"\n[groups.stammdaten]\nunit = true\n')
    secret.write_text(CANARY + "\n")
    settings = load_settings(
        None,
        {
            "ESPO_ADVO_CONFIG": str(file),
            "ESPO_ADVO_ESPOCRM_API_KEY_FILE": str(secret),
            "ESPO_ADVO_ESPOCRM_TIMEOUT_S": "7.5",
            "ESPO_ADVO_SYNC_CONCURRENCY": "3",
            "ESPO_ADVO_GROUPS_STAMMDATEN_STRATEGY": "review",
            "ESPO_ADVO_GROUPS_REGISTER_ALLOW_CLEAR": "no",
            "OTHER": "ignored",
        },
    )
    assert settings.espocrm.url == "https://a.example"
    assert settings.espocrm.api_key == CANARY
    assert (settings.espocrm.timeout_s, settings.sync.concurrency) == (7.5, 3)
    assert (settings.groups["stammdaten"].strategy, settings.groups["stammdaten"].unit) == ("review", True)
    assert settings.groups["register"].allow_clear is False


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ESPO_ADVO_ESPOCRM_COLOUR", "x"),
        ("ESPO_ADVO_SYNC_CONCURRENCY", "many"),
        ("ESPO_ADVO_GROUPS_REGISTER_UNIT", "maybe"),
        ("ESPO_ADVO_ESPOCRM_API_KEY_FILE", "/nowhere/at/all"),
    ],
)
def test_a_wrong_variable_is_named(variable, value):
    with pytest.raises(Misconfigured, match=variable):
        load_settings(None, {variable: value})


def test_files_that_are_missing_or_no_toml_are_said_plainly(tmp_path: Path):
    with pytest.raises(Misconfigured, match="no configuration file"):
        load_settings(tmp_path / "none.toml", {})
    broken = tmp_path / "broken.toml"
    broken.write_text(f'[espocrm]\napi_key = "{CANARY}')
    with pytest.raises(Misconfigured, match="not valid TOML") as caught:
        load_settings(broken, {})
    assert CANARY not in str(caught.value)
    broken.write_text("espocrm = 5\n")
    with pytest.raises(Misconfigured, match=r"\[espocrm\]"):
        load_settings(broken, {"ESPO_ADVO_ESPOCRM_API_KEY": "x"})


def test_rendered_tables_are_read_again(tmp_path: Path):
    file = tmp_path / "x.toml"
    file.write_text(render_toml({**GOOD, "advoware": {**GOOD["advoware"], "password": 'a"b\\c ß'}}))
    assert load_settings(file, {}).advoware.password == 'a"b\\c ß'


def test_addresses_of_notices_come_as_a_list_or_separated_by_spaces_and_stay_out_of_repr():
    settings = load_settings(
        None, {"ESPO_ADVO_NOTIFY_URLS": "json://a:canary@h b://c", "ESPO_ADVO_NOTIFY_ESPOCRM": "yes"}
    )
    assert settings.notify.urls == ("json://a:canary@h", "b://c")
    assert settings.notify.wanted
    assert "canary" not in repr(settings)
    with pytest.raises(Misconfigured, match=r"notify\.urls must be a list of texts"):
        Settings.from_tables({"notify": {"urls": "json://h"}})
    with pytest.raises(Misconfigured, match=r"unknown key notify\.url;"):
        Settings.from_tables({"notify": {"url": []}})
    assert not Settings.from_tables({}).notify.wanted
