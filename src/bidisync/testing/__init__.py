"""What tests of a sync need: checks of every protocol, replicas in memory, time that a test decides."""

from bidisync.testing.broken import Broken
from bidisync.testing.children import MemoryChildren, check_children
from bidisync.testing.clock import ManualClock, SeededChance
from bidisync.testing.detectors import check_detector
from bidisync.testing.faulty import Fault, Faulty, at_random, in_turn
from bidisync.testing.hints import check_hint_store
from bidisync.testing.keepers import Keeper, store_trial
from bidisync.testing.locks import check_lock_provider
from bidisync.testing.logs import check_decision_log
from bidisync.testing.mappers import check_mapper
from bidisync.testing.people import MappedPerson, MemoryLine, MemoryPerson, memory_trial
from bidisync.testing.queues import check_work_queue
from bidisync.testing.replica import FULL, Call, MemoryReplica
from bidisync.testing.replicas.check import PROMISES, Judged, check_replica, judge_replica
from bidisync.testing.replicas.trial import Examples, Line, MakeTrial, Mishap, Person, Trial
from bidisync.testing.stores.check import check_state_store
from bidisync.testing.strategies import check_conflict_strategy

__all__ = [
    "FULL",
    "PROMISES",
    "Broken",
    "Call",
    "Examples",
    "Fault",
    "Faulty",
    "Judged",
    "Keeper",
    "Line",
    "MakeTrial",
    "ManualClock",
    "MappedPerson",
    "MemoryChildren",
    "MemoryLine",
    "MemoryPerson",
    "MemoryReplica",
    "Mishap",
    "Person",
    "SeededChance",
    "Trial",
    "at_random",
    "check_children",
    "check_conflict_strategy",
    "check_decision_log",
    "check_detector",
    "check_hint_store",
    "check_lock_provider",
    "check_mapper",
    "check_replica",
    "check_state_store",
    "check_work_queue",
    "in_turn",
    "judge_replica",
    "memory_trial",
    "store_trial",
]
