"""What tests of a sync need: replicas in memory, time and chance that a test decides."""

from bidisync.testing.clock import ManualClock, SeededChance
from bidisync.testing.replica import FULL, Call, MemoryReplica

__all__ = ["FULL", "Call", "ManualClock", "MemoryReplica", "SeededChance"]
