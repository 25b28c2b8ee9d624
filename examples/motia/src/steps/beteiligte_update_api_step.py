"""EspoCRM tells of changed parties."""

from typing import Any

from bidisync_espo_advo.motia import Context, take_webhook

TOPIC = "vmh.beteiligte.update"

config = {
    "type": "api",
    "name": "BeteiligteUpdated",
    "description": "EspoCRM's webhook CBeteiligte.update",
    "path": "/webhooks/espocrm/update",
    "method": "POST",
    "emits": [TOPIC],
    "flows": ["beteiligte"],
}


async def handler(req: dict[str, Any], context: Context) -> dict[str, object]:
    return await take_webhook(req, context, event="update", topic=TOPIC)
