"""What tests of a sync need: checks of every protocol, replicas in memory, time that a test decides."""

from bidisync.testing.clock import ManualClock, SeededChance
from bidisync.testing.locks import check_lock_provider
from bidisync.testing.replica import FULL, Call, MemoryReplica
from bidisync.testing.stores import check_state_store

__all__ = [
    "FULL",
    "Call",
    "ManualClock",
    "MemoryReplica",
    "SeededChance",
    "check_lock_provider",
    "check_state_store",
]
