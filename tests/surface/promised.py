"""What is public, as data: `docs/stability.md` promises these names, and every guard goes over them."""

from __future__ import annotations

PACKAGES = (
    "bidisync",
    "bidisync.testing",
    "bidisync.testing.simulation",
    "bidisync_espo_advo",
    "bidisync_espo_advo.motia",
    "bidisync_espo_advo.simulators",
)
"""Packages of which every name in ``__all__`` is public."""

PARTS = {
    "bidisync.stores.memory": "MemoryStore",
    "bidisync.stores.sqlite": "SqliteStore",
    "bidisync.stores.postgres": "PostgresStore",
    "bidisync.stores.seal": "AesSeal Plain",
    "bidisync.locks.local": "LocalLocks",
    "bidisync.locks.redis": "RedisLocks",
    "bidisync.runners.local": "LocalQueue",
    "bidisync.runners.docket": "DocketQueue",
    "bidisync.clock": "SystemClock SystemChance",
}
"""Parts with a library of their own, which are imported from where they live."""

DISTRIBUTION = "bidisync"
