"""Values of the past are erased when the settings say so: once a day, by whoever runs then, a portion at a time."""

from __future__ import annotations

from bidisync.protocols import Clock
from bidisync.retention import Expired, expire
from bidisync.runners.timetable import Timetable
from bidisync.storage import StateStore
from bidisync_espo_advo.settings import Settings

JOB = "expire"
DAY_S = 86_400.0
SOON_S = 60.0


async def expire_when_due(settings: Settings, store: StateStore, times: Timetable, clock: Clock) -> Expired | None:
    """Erase what is older than ``privacy.keep_values_days``, if a day has passed; what is left over, soon."""
    keep_s = settings.privacy.keep_values_days * DAY_S
    if not keep_s or await times.wait(JOB) > 0:
        return None
    async with times.turn(JOB, DAY_S) as turn:
        if turn is None:
            return None
        done = await expire(store, clock, keep_s=keep_s)
        turn.next_s = SOON_S if done.more else DAY_S
        return done
