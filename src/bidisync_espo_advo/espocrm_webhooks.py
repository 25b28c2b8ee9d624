"""Webhooks of our own in EspoCRM: registered once, found again, never twice.

EspoCRM's deliveries do not name their event, so each event has an address of its own. With
``skip_own`` it does not tell us of what we wrote ourselves: that needs the replies of writes
as shadows and a regular sweep, both of which this sync has. The user needs the scope Webhook.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from bidisync.errors import Unconfirmed
from bidisync_espo_advo.espocrm import EspoReplica

EVENTS = ("create", "update", "delete")


@attrs.frozen
class Registered:
    """One webhook as EspoCRM has it; ``secret`` goes into ``[espocrm.webhooks]`` under ``id``."""

    id: str
    event: str
    url: str
    secret: str = attrs.field(repr=False)
    active: bool = True
    skip_own: bool = False


async def registered(crm: EspoReplica) -> list[Registered]:
    """The webhooks of this user for the entity type; others are nobody's business here."""
    prefix = f"{crm.config.entity_type}."
    found = [_registered(item) for item in await crm.items("Webhook")]
    return [hook for hook in found if hook is not None and hook.event.startswith(prefix)]


async def register(crm: EspoReplica, url: str, *, skip_own: bool = True) -> list[Registered]:
    """See to it that every event is sent to ``URL/webhooks/espocrm/EVENT``; the webhooks for that.

    What is there already as it should be is left alone, for the same webhook twice would
    deliver everything twice; what is switched off is switched on; one that differs in
    ``skip_own``, which EspoCRM does not change, is made anew.
    """
    there = await registered(crm)
    return [await _one(crm, there, event, f"{url.rstrip('/')}/webhooks/espocrm/{event}", skip_own) for event in EVENTS]


async def _one(crm: EspoReplica, there: Sequence[Registered], event: str, url: str, skip_own: bool) -> Registered:
    wanted = f"{crm.config.entity_type}.{event}"
    mine = [hook for hook in there if (hook.event, hook.url) == (wanted, url)]
    keep = next((hook for hook in mine if hook.skip_own is skip_own), None)
    if keep is None:
        keep = await _made(crm, {"event": wanted, "url": url, "skipOwn": skip_own}, known={hook.id for hook in mine})
    elif not keep.active:
        await crm.put_item(f"Webhook/{keep.id}", {"isActive": True})
        keep = attrs.evolve(keep, active=True)
    for hook in mine:
        if hook.id != keep.id:
            await crm.delete_item(f"Webhook/{hook.id}")
    return keep


async def _made(crm: EspoReplica, body: dict[str, object], *, known: set[str]) -> Registered:
    """The new webhook; one whose reply was lost is looked for, and not made twice."""
    try:
        made = _registered(await crm.post_item("Webhook", body))
    except Unconfirmed:
        made = None
    if made is None:
        found = [h for h in await registered(crm) if (h.event, h.url) == (body["event"], body["url"])]
        made = next((hook for hook in found if hook.id not in known), None)
    if made is None:
        raise Unconfirmed("espocrm took a webhook without naming it: look at its list of webhooks")
    return made


def _registered(item: object) -> Registered | None:
    if not isinstance(item, dict):
        return None
    id, event, url = (item.get(name) for name in ("id", "event", "url"))
    if not (isinstance(id, str) and isinstance(event, str) and isinstance(url, str)):
        return None
    secret = item.get("secretKey")
    return Registered(
        id,
        event,
        url,
        secret if isinstance(secret, str) else "",
        active=item.get("isActive") is not False,
        skip_own=item.get("skipOwn") is True,
    )
