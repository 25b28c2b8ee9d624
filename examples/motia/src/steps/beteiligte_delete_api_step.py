"""EspoCRM tells of deleted parties."""

from bidisync_espo_advo.motia import take_webhook

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


async def handler(req, context):
    return await take_webhook(req, context, event="delete", topic=TOPIC)
