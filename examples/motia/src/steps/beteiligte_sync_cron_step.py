"""The safety net: every minute a poll finds what no webhook told, on both sides."""

from bidisync_espo_advo.motia import Context, tick

TOPIC = "vmh.beteiligte.sync_check"

config = {
    "type": "cron",
    "name": "BeteiligteSyncCheck",
    "description": "Asks for a poll, once a minute however many instances run",
    "cron": "* * * * *",
    "emits": [TOPIC],
    "flows": ["beteiligte"],
}


async def handler(context: Context) -> None:
    await tick(context, topic=TOPIC, interval_s=60)
