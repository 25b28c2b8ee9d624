"""EspoCRM tells of new parties."""

from bidisync_espo_advo.motia import take_webhook

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


async def handler(req, context):
    return await take_webhook(req, context, event="create", topic=TOPIC)
