"""The API step: a webhook of EspoCRM becomes events that carry ids and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bidisync_espo_advo.motia.talk import Context, chunks
from bidisync_espo_advo.settings import Settings, load_settings
from bidisync_espo_advo.webhook import Forged, Unreadable, refs_of, verify

RECORDS_IN_AN_EVENT = 20


async def take_webhook(
    request: Mapping[str, Any], context: Context, *, event: str, topic: str, settings: Settings | None = None
) -> dict[str, object]:
    """The answer to a webhook for ``event`` (create, update or delete), after its records were emitted to ``topic``.

    202 once all are emitted; 401 where ``espocrm.webhooks`` does not prove the sender, 413 for a
    signed body that can't be read, both with nothing emitted. Whatever else goes wrong is
    raised, which Motia answers with 500: EspoCRM sends it again then. Proof is taken over
    ``rawBody``, as Motia 0.17 hands it out.
    """
    settings = settings or load_settings()
    body = str(request.get("rawBody") or "").encode("utf-8", "surrogatepass")
    headers = {str(name): str(value) for name, value in (request.get("headers") or {}).items()}
    try:
        verify(headers, body, settings.espocrm.webhooks)
        refs = refs_of(event, body)
    except Forged as error:
        context.logger.warn("a webhook was refused", {"reason": error.reason, "bytes": len(body)})
        return {"status": 401, "body": {"error": error.reason}}
    except Unreadable as error:
        context.logger.warn("a webhook was left to the next poll", {"reason": error.reason, "bytes": len(body)})
        return {"status": 413, "body": {"error": error.reason}}
    for ids in chunks([ref.id for ref in refs], most=RECORDS_IN_AN_EVENT):
        await context.emit({"topic": topic, "data": {"side": "left", "ids": ids}})
    return {"status": 202, "body": {"accepted": len(refs)}}
