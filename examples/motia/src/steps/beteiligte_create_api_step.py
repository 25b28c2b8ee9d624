"""EspoCRM tells of new parties."""

from typing import Any

from bidisync_espo_advo.motia import Context, take_webhook

TOPIC = "vmh.beteiligte.create"

config = {
    "type": "api",
    "name": "BeteiligteCreated",
    "description": "EspoCRM's webhook CBeteiligte.create",
    "path": "/webhooks/espocrm/create",
    "method": "POST",
    "emits": [TOPIC],
    "flows": ["beteiligte"],
}


async def handler(req: dict[str, Any], context: Context) -> dict[str, object]:
    return await take_webhook(req, context, event="create", topic=TOPIC)
