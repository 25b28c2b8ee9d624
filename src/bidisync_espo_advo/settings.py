"""TOML and environment into one frozen value, or one line that says which key is wrong.

Every key of the file can be set by ``ESPO_ADVO_<SECTION>_<KEY>``, and read from a file by
the same name with ``_FILE``. Nothing is converted silently: ``"1"`` is not a number in
TOML, and what the environment holds is read as the type that the key has. Messages never
hold a value, so no secret can stand in one.
"""

from __future__ import annotations

import os
import stat
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from bidisync.errors import Misconfigured
from bidisync_espo_advo.connections import AdvowareConfig, EspoConfig

PREFIX = "ESPO_ADVO_"
NOT_SETTINGS = frozenset({"CONFIG", "DEBUG"})
DEFAULT_FILE = Path("espo-advo.toml")

StrategyName = Literal["espocrm", "advoware", "newest", "merge", "review"]
InitialName = Literal["fill-blanks", "review", "espocrm", "advoware"]


@attrs.frozen(kw_only=True)
class StateSettings:
    """The table ``[state]``."""

    url: str = attrs.field(default="sqlite:///espo-advo.db", repr=False)  # may hold a password
    encryption_key: str = attrs.field(default="", repr=False)


@attrs.frozen(kw_only=True)
class LockSettings:
    """The table ``[lock]``."""

    url: str = attrs.field(default="local://", repr=False)  # may hold a password
    lease_s: float = 60.0
    when_unreachable: Literal["pause", "go_on"] = "pause"


@attrs.frozen(kw_only=True)
class QueueSettings:
    """The table ``[queue]``."""

    url: str = attrs.field(default="local://", repr=False)


@attrs.frozen(kw_only=True)
class SyncSettings:
    """The table ``[sync]``. Times in seconds."""

    concurrency: int = 10
    poll_interval_s: float = 60.0
    inventory_interval_s: float = 86400.0
    max_attempts: int = 5
    search_lag_s: float = 5.0
    delete: Literal["review", "archive", "propagate", "ignore"] = "review"
    archive_field: str = ""
    visible_status: Literal["off", "result", "live"] = "result"


@attrs.frozen(kw_only=True)
class GuardSettings:
    """The table ``[guards]``."""

    max_deletes: int = 5
    max_delete_percent: float = 2.0
    max_creates: int = 50
    max_create_percent: float = 20.0
    max_overwrite_percent: float = 20.0
    max_blank_percent: float = 5.0


@attrs.frozen(kw_only=True)
class GroupSettings:
    """A table ``[groups.NAME]``. ``fields`` gives single fields of the group a strategy of their own."""

    strategy: StrategyName = "espocrm"
    unit: bool = False
    on_merge_conflict: StrategyName = "espocrm"
    initial: InitialName = "fill-blanks"
    allow_clear: bool = True
    owner: Literal["", "espocrm", "advoware"] = ""
    drift: Literal["revert", "adopt", "report", "ignore"] = "revert"
    fields: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def strategies(self) -> Mapping[str, str]:
        """Every strategy named here, by its key."""
        return {"strategy": self.strategy, **{f"fields.{name}": named for name, named in self.fields.items()}}


@attrs.frozen(kw_only=True)
class WebSettings:
    """The table ``[web]``."""

    host: str = "127.0.0.1"
    port: int = 8377
    token: str = attrs.field(default="", repr=False)


@attrs.frozen(kw_only=True)
class NotifySettings:
    """The table ``[notify]``: nobody is told anything unless it names a channel. Times in seconds."""

    urls: tuple[str, ...] = attrs.field(default=(), converter=tuple, repr=False)  # may hold passwords
    espocrm: bool = False
    every_s: float = 900.0
    down_after_s: float = 900.0

    @property
    def wanted(self) -> bool:
        """Whether there is a channel."""
        return self.espocrm or bool(self.urls)


@attrs.frozen(kw_only=True)
class PrivacySettings:
    """The table ``[privacy]``. With 0 days values of the past stay as long as the state."""

    keep_values_days: float = 0.0


DEFAULT_GROUPS: Mapping[str, Mapping[str, object]] = {
    "stammdaten": {"strategy": "espocrm"},
    "register": {"strategy": "advoware"},
    "personenstand": {"strategy": "advoware"},
}


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
            name: _structure(name, type_, tables.get(name, {})) for name, type_ in _SECTIONS.items()
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
                        f"{section}.{key} is missing: set it in the file or as {_variable(section, key)}"
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


def load_settings(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the file (``path``, else ``$ESPO_ADVO_CONFIG``, else ``./espo-advo.toml``) and environment."""
    named = path or (Path(environ[f"{PREFIX}CONFIG"]) if environ.get(f"{PREFIX}CONFIG") else None)
    file = named or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    tables = {} if file is None else _read(file)
    for section, key, value in _from_environment(environ):
        table: Any = tables
        for name in section.split("."):
            table = table.setdefault(name, {}) if isinstance(table, dict) else None
        if isinstance(table, dict):  # a table that is none is refused below
            table[key] = value
    return Settings.from_tables(tables)


def readable_by_others(path: Path) -> bool:
    """Whether a file that may hold secrets can be read by other users of this machine."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Misconfigured(f"there is no configuration file {path}") from error
    except OSError as error:
        raise Misconfigured(f"the configuration file {path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        place = str(error).rpartition("(")[2].rstrip(")") if isinstance(error, tomllib.TOMLDecodeError) else "no UTF-8"
        raise Misconfigured(f"the configuration file {path} is not valid TOML ({place})") from error


def _from_environment(environ: Mapping[str, str]) -> typing.Iterator[tuple[str, str, object]]:
    """Section, key and value of every variable of ours, in their order."""
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.removeprefix(PREFIX) in NOT_SETTINGS:
            continue
        rest, text = name.removeprefix(PREFIX).lower(), environ[name]
        found = _key_of(rest)
        if found is None and rest.endswith("_file"):
            found = _key_of(rest.removesuffix("_file"))
            text = _content(name, text)
        if found is None:
            raise Misconfigured(f"the environment variable {name} is no setting")
        section, key, type_ = found
        yield section, key, _parsed(name, text, type_)


def _key_of(rest: str) -> tuple[str, str, Any] | None:
    for section, type_ in _SECTIONS.items():
        key = rest.removeprefix(f"{section}_")
        if rest.startswith(f"{section}_") and key in (hints := typing.get_type_hints(type_)):
            return section, key, hints[key]
    for group in DEFAULT_GROUPS:
        key = rest.removeprefix(f"groups_{group}_")
        if key != rest and key in (hints := typing.get_type_hints(GroupSettings)):
            return f"groups.{group}", key, hints[key]
    return None


def _content(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the file that {name} names can't be read") from error


def _parsed(name: str, text: str, type_: Any) -> object:
    readers: dict[Any, Callable[[str], object]] = {int: int, float: float, bool: _boolean, _TEXTS: str.split}
    try:
        return readers.get(type_, str)(text)
    except ValueError as error:
        raise Misconfigured(f"{name} is not {_WORDS.get(type_, 'valid')}") from error


def _boolean(text: str) -> bool:
    try:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.strip().lower()]
    except KeyError as error:
        raise ValueError(text) from error


_TEXTS = tuple[str, ...]
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def _variable(section: str, key: str) -> str:
    return f"{PREFIX}{section.replace('.', '_')}_{key}".upper()


def _structure(section: str, type_: type, table: object) -> Any:
    """A table as a value: every key known, every value of its type."""
    if not isinstance(table, Mapping):
        raise Misconfigured(f"[{section}] is a table of keys")
    hints = typing.get_type_hints(type_)
    for key, value in table.items():
        if key not in hints:
            raise Misconfigured(f"unknown key {section}.{key}; known are {', '.join(hints)}")
        _require_type(f"{section}.{key}", value, hints[key])
    return type_(**table)


def _require_type(key: str, value: object, type_: Any) -> None:
    if typing.get_origin(type_) is Literal:
        if value not in typing.get_args(type_):
            raise Misconfigured(f"{key} must be one of {', '.join(typing.get_args(type_))}")
        return
    if typing.get_origin(type_) is Mapping:
        if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
            raise Misconfigured(f"{key} must be a table of texts")
        return
    if type_ == _TEXTS:
        if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
            raise Misconfigured(f"{key} must be a list of texts")
        return
    accepted = (int, float) if type_ is float else (type_,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and type_ is not bool):
        raise Misconfigured(f"{key} must be {_WORDS[type_]}")


def _structure_groups(tables: object) -> Mapping[str, GroupSettings]:
    if not isinstance(tables, Mapping):
        raise Misconfigured("[groups] holds one table per field group")
    for name in tables:
        if name not in DEFAULT_GROUPS:
            raise Misconfigured(f"unknown field group groups.{name}; known are {', '.join(DEFAULT_GROUPS)}")
    return {
        name: _structure(f"groups.{name}", GroupSettings, {**default, **_table(name, tables.get(name, {}))})
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


def render_toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    """These tables as TOML text."""
    lines = []
    for section, table in tables.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {_toml(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
        for key, inner in table.items():
            if isinstance(inner, Mapping) and inner:
                lines += [
                    "",
                    f"[{section}.{key}]",
                    *(f"{_toml(name)} = {_toml(value)}" for name, value in inner.items()),
                ]
        lines.append("")
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value)
