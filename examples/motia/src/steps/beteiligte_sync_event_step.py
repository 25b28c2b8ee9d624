"""The central step: whatever happened to a party, look at both sides and bring them into step."""

from bidisync_espo_advo.motia import Context, sync_event

TIMEOUT_S = 60

config = {
    "type": "event",
    "name": "BeteiligteSync",
    "description": "Brings parties into step between EspoCRM and Advoware",
    "subscribes": [
        "vmh.beteiligte.create",
        "vmh.beteiligte.update",
        "vmh.beteiligte.delete",
        "vmh.beteiligte.sync_check",
    ],
    "emits": [],
    "flows": ["beteiligte"],
    "infrastructure": {
        "handler": {"timeout": TIMEOUT_S},
        # No messageGroupId and no fifo: this version of Motia loses events with them.
        "queue": {"type": "standard", "maxRetries": 2, "visibilityTimeout": 90, "concurrency": 4},
    },
}


async def handler(data: object, context: Context) -> None:
    await sync_event(data, context, timeout_s=TIMEOUT_S)
