"""EspoCRM tells of changed parties."""

from bidisync_espo_advo.motia import take_webhook

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


async def handler(req, context):
    return await take_webhook(req, context, event="update", topic=TOPIC)
