"""The cron step: a poll is asked for once in each slot, though every instance of Motia ticks."""

from __future__ import annotations

import time

from bidisync_espo_advo.motia.slots import claim
from bidisync_espo_advo.motia.talk import Context
from bidisync_espo_advo.settings import Settings, load_settings

CLOCKS_APART_S = 60.0


async def tick(
    context: Context,
    *,
    topic: str,
    interval_s: float,
    everything: bool = False,
    settings: Settings | None = None,
    now: float | None = None,
) -> bool:
    """Emit one event to ``topic`` that asks for a poll; false where another instance has done so for this slot.

    Slots are as long as the step's own interval and begin with the epoch. Who came first holds
    the slot until its end, and a minute more for clocks that differ. ``everything`` asks for a
    complete pass over both sides.
    """
    settings = settings or load_settings()
    slot = int((time.time() if now is None else now) // interval_s)
    key = f"bidisync:slot:{topic}:{'all' if everything else 'poll'}:{interval_s:g}:{slot}"
    if not await claim(settings.lock.url, key, interval_s + CLOCKS_APART_S):
        context.logger.debug("another instance has this slot", {"slot": slot})
        return False
    await context.emit({"topic": topic, "data": {"slot": slot, "everything": everything}})
    return True
