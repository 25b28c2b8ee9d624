"""Adapters for the steps of Motia 0.17, where every call is a process of its own that is killed at its end.

So nothing lasts between calls but what stands in the state, in Redis and in the two systems:
each call opens what it needs and closes it. Nothing here imports Motia, and importing this
package costs next to nothing, for every call pays for it.

    take_webhook   an API step: proves who sent it, and names the records in events
    sync_event     the event step: brings what is hinted at into step, or polls
    tick           a cron step: asks for a poll, once in each slot however many instances run
    shadow_event   an event step that writes nothing: what would the library do here?
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bidisync_espo_advo.motia.cron import tick
    from bidisync_espo_advo.motia.intake import take_webhook
    from bidisync_espo_advo.motia.shadow import shadow_event
    from bidisync_espo_advo.motia.syncing import sync_event
    from bidisync_espo_advo.motia.talk import Context, Logger

__all__ = ["Context", "Logger", "shadow_event", "sync_event", "take_webhook", "tick"]

_HOMES = {
    "Context": "talk",
    "Logger": "talk",
    "shadow_event": "shadow",
    "sync_event": "syncing",
    "take_webhook": "intake",
    "tick": "cron",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name when it is first used: a webhook does not wait for an HTTP client."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
