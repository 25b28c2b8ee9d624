"""Parties kept in step between EspoCRM and Advoware."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bidisync_espo_advo.alone import open_espocrm
    from bidisync_espo_advo.app import PartySync, open_sync
    from bidisync_espo_advo.settings import Settings, load_settings

__all__ = ["PartySync", "Settings", "load_settings", "open_espocrm", "open_sync"]

_HOMES = {
    "PartySync": "app",
    "open_sync": "app",
    "open_espocrm": "alone",
    "Settings": "settings",
    "load_settings": "settings",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name when it is first used: settings alone need no HTTP client."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
