"""EspoCRM tells of deleted parties."""

from typing import Any

from bidisync_espo_advo.motia import Context, take_webhook

TOPIC = "vmh.beteiligte.delete"

config = {
    "type": "api",
    "name": "BeteiligteDeleted",
    "description": "EspoCRM's webhook CBeteiligte.delete",
    "path": "/webhooks/espocrm/delete",
    "method": "POST",
    "emits": [TOPIC],
    "flows": ["beteiligte"],
}


async def handler(req: dict[str, Any], context: Context) -> dict[str, object]:
    return await take_webhook(req, context, event="delete", topic=TOPIC)
