"""Uses of the adapters for Motia, which are only type-checked."""

from __future__ import annotations

import logging
from typing import Any

from bidisync.locks.redis import RedisLocks
from bidisync.protocols import Clock, LockProvider
from bidisync.storage import Seal, StateStore
from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.motia import Context, Logger, shadow_event, sync_event, take_webhook, tick
from bidisync_espo_advo.motia.talk import forwarded
from bidisync_espo_advo.sign_ins import RedisTokens, SignIns, StateTokens, TokenStore
from bidisync_espo_advo.webhook import refs_of, verify


class Printed:
    """A logger of one's own."""

    def info(self, message: str, args: Any = None) -> None: ...

    def warn(self, message: str, args: Any = None) -> None: ...

    def error(self, message: str, args: Any = None) -> None: ...

    def debug(self, message: str, args: Any = None) -> None: ...


class Own:
    """A context of one's own."""

    logger: Logger = Printed()

    async def emit(self, event: Any) -> None: ...


async def steps(settings: Settings, request: dict[str, Any]) -> None:
    """Each adapter with such a context."""
    context: Context = Own()
    answer: dict[str, object] = await take_webhook(request, context, event="update", topic="t", settings=settings)
    await sync_event({"ids": ["a"]}, context, timeout_s=60)
    ticked: bool = await tick(context, topic="t", interval_s=60, everything=True)
    differences: int = await shadow_event({}, context, timeout_s=60, report=lambda found: print(found["record"]))
    with forwarded(context.logger):
        logging.getLogger().info("%s %s %s", answer, ticked, differences)


async def shared(
    settings: Settings, redis: RedisLocks, store: StateStore, locks: LockProvider, seal: Seal, clock: Clock
) -> None:
    """A sign-in that is shared through one store or the other."""
    tokens: TokenStore = RedisTokens(redis)
    async with open_sync(settings, sign_ins=SignIns(tokens, redis, seal, clock)) as sync:
        await sync.sync("left:1")
    SignIns(StateTokens(store), locks, seal, clock)


def proven(headers: dict[str, str], body: bytes, secrets: dict[str, str]) -> list[str]:
    """What a server of one's own does with a webhook."""
    webhook_id: str = verify(headers, body, secrets)
    return [webhook_id, *(ref.id for ref in refs_of("update", body))]
