"""TOML and environment into one frozen value, or one line that says which key is wrong.

Every key of the file can be set by ``ESPO_ADVO_<SECTION>_<KEY>``, and read from a file by
the same name with ``_FILE``. Messages never hold a value, so no secret can stand in one.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from bidisync.errors import Misconfigured
from bidisync_espo_advo.connections import AdvowareConfig, EspoConfig
from bidisync_espo_advo.environment import PREFIX, settings_in, variable
from bidisync_espo_advo.sections import (
    DEFAULT_GROUPS,
    GroupSettings,
    GuardSettings,
    LockSettings,
    NotifySettings,
    PrivacySettings,
    QueueSettings,
    StateSettings,
    StrategyName,
    SyncSettings,
    WebSettings,
)
from bidisync_espo_advo.tables import read, structure

DEFAULT_FILE = Path("espo-advo.toml")


@attrs.frozen(kw_only=True)
class Settings:
    """Everything that can be configured."""

    espocrm: EspoConfig = EspoConfig()
    advoware: AdvowareConfig = AdvowareConfig()
    state: StateSettings = StateSettings()
    lock: LockSettings = LockSettings()
    queue: QueueSettings = QueueSettings()
    sync: SyncSettings = SyncSettings()
    guards: GuardSettings = GuardSettings()
    groups: Mapping[str, GroupSettings] = attrs.field(factory=lambda: _structure_groups({}))
    web: WebSettings = WebSettings()
    notify: NotifySettings = NotifySettings()
    privacy: PrivacySettings = PrivacySettings()

    @classmethod
    def from_tables(cls, tables: Mapping[str, Mapping[str, Any]]) -> Settings:
        """The settings of these tables; a wrong one is ``Misconfigured``."""
        unknown = sorted(set(tables) - set(_SECTIONS) - {"groups"})
        if unknown:
            raise Misconfigured(f"unknown section [{unknown[0]}]; known are {', '.join([*_SECTIONS, 'groups'])}")
        values: dict[str, Any] = {
            name: structure(name, type_, tables.get(name, {})) for name, type_ in _SECTIONS.items()
        }
        settings = cls(groups=_structure_groups(tables.get("groups", {})), **values)
        _check(settings)
        return settings

    def with_state(self, url: str) -> Settings:
        """These settings with the state elsewhere; ``Misconfigured`` for an address that can't be right."""
        moved = attrs.evolve(self, state=attrs.evolve(self.state, url=url))
        _require_url(moved, "state", "url", ("sqlite", "postgresql"))
        return moved

    def require_remotes(self) -> Settings:
        """These settings, if they are enough to reach both systems."""
        needed = {
            "espocrm": ("url", "api_key"),
            "advoware": ("kanzlei", "database", "user", "password", "app_id", "api_key"),
        }
        for section, keys in needed.items():
            for key in keys:
                if not getattr(getattr(self, section), key):
                    raise Misconfigured(
                        f"{section}.{key} is missing: set it in the file or as {variable(section, key)}"
                    )
        return self


_SECTIONS: Mapping[str, type] = {
    "espocrm": EspoConfig,
    "advoware": AdvowareConfig,
    "state": StateSettings,
    "lock": LockSettings,
    "queue": QueueSettings,
    "sync": SyncSettings,
    "guards": GuardSettings,
    "web": WebSettings,
    "notify": NotifySettings,
    "privacy": PrivacySettings,
}
_KINDS = {**_SECTIONS, **{f"groups.{name}": GroupSettings for name in DEFAULT_GROUPS}}


def load_settings(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the file (``path``, else ``$ESPO_ADVO_CONFIG``, else ``./espo-advo.toml``) and environment."""
    named = path or (Path(environ[f"{PREFIX}CONFIG"]) if environ.get(f"{PREFIX}CONFIG") else None)
    file = named or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    tables = {} if file is None else read(file)
    for section, key, value in settings_in(environ, _KINDS):
        table: Any = tables
        for name in section.split("."):
            table = table.setdefault(name, {}) if isinstance(table, dict) else None
        if isinstance(table, dict):  # a table that is none is refused below
            table[key] = value
    return Settings.from_tables(tables)


def _structure_groups(tables: object) -> Mapping[str, GroupSettings]:
    if not isinstance(tables, Mapping):
        raise Misconfigured("[groups] holds one table per field group")
    for name in tables:
        if name not in DEFAULT_GROUPS:
            raise Misconfigured(f"unknown field group groups.{name}; known are {', '.join(DEFAULT_GROUPS)}")
    return {
        name: structure(f"groups.{name}", GroupSettings, {**default, **_table(name, tables.get(name, {}))})
        for name, default in DEFAULT_GROUPS.items()
    }


def _table(name: str, table: object) -> Mapping[str, object]:
    if not isinstance(table, Mapping):
        raise Misconfigured(f"[groups.{name}] is a table of keys")
    return table


def _check(settings: Settings) -> None:
    """What no type says: ranges, addresses, and keys that must fit each other."""
    positive = {
        "espocrm": ("timeout_s", "max_concurrency"),
        "advoware": ("timeout_s", "max_concurrency"),
        "lock": ("lease_s",),
        "sync": ("concurrency", "poll_interval_s", "inventory_interval_s", "max_attempts"),
        "notify": ("every_s",),
    }
    for section, keys in positive.items():
        for key in keys:
            if getattr(getattr(settings, section), key) <= 0:
                raise Misconfigured(f"{section}.{key} must be greater than 0")
    notless = {
        "espocrm": ("requests_per_second",),
        "advoware": ("requests_per_second",),
        "sync": ("search_lag_s",),
        "notify": ("down_after_s",),
        "privacy": ("keep_values_days",),
        "guards": tuple(attrs.fields_dict(GuardSettings)),
    }
    for section, keys in notless.items():
        for key in keys:
            if getattr(getattr(settings, section), key) < 0:
                raise Misconfigured(f"{section}.{key} must not be negative")
    for section in ("espocrm", "advoware"):
        timeout = getattr(settings, section).timeout_s
        if settings.lock.lease_s <= 1.1 * timeout:
            raise Misconfigured(f"lock.lease_s must be more than 1.1 times {section}.timeout_s")
    _require_url(settings, "espocrm", "url", ("http", "https"))
    for key in ("discovery_url", "api_url", "security_url"):
        _require_url(settings, "advoware", key, ("http", "https"))
    _require_url(settings, "state", "url", ("sqlite", "postgresql"))
    _require_url(settings, "lock", "url", ("local", "redis", "rediss", "off"))
    _require_url(settings, "queue", "url", ("local", "redis", "rediss"))
    for group, table in settings.groups.items():
        for key, named in table.strategies.items():
            if named not in typing.get_args(StrategyName):
                raise Misconfigured(f"groups.{group}.{key} must be one of {', '.join(typing.get_args(StrategyName))}")
        if table.drift != "revert" and not table.owner:
            raise Misconfigured(f"groups.{group}.drift needs groups.{group}.owner: nobody drifts from nobody")
        if table.on_merge_conflict == "merge":
            raise Misconfigured(f"groups.{group}.on_merge_conflict can't be merge: name who wins where nothing merges")
    if settings.sync.delete == "archive" and not settings.sync.archive_field:
        raise Misconfigured('sync.delete = "archive" needs sync.archive_field')


def _require_url(settings: Settings, section: str, key: str, schemes: tuple[str, ...]) -> None:
    url = getattr(getattr(settings, section), key)
    if not url:
        return
    try:
        parts = urlsplit(url)
        fits = parts.scheme in schemes and (parts.scheme in ("sqlite", "local", "off") or bool(parts.hostname))
    except ValueError:
        fits = False
    if not fits or (parts.scheme == "sqlite" and not url.startswith("sqlite:///")):
        forms = {"sqlite": "sqlite:///FILE", "local": "local://", "off": "off://"}
        known = " or ".join(forms.get(scheme, f"{scheme}://HOST") for scheme in schemes)
        raise Misconfigured(f"{section}.{key} must have the form {known}")
