"""Two-way sync of records between two systems that are both edited.

Put a ``Parts`` together from two replicas, a policy, a state store and a lock provider, open
an ``Engine`` over it, and call ``engine.sync(ref)`` whenever something may have changed; a
``Sweep`` finds what nobody told you of.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bidisync.children import ChildList, Children, WithChildren
    from bidisync.conflicts import (
        FillBlanks,
        Longest,
        Merge,
        Newest,
        Prefer,
        Union,
        ask,
        fill_blanks,
        prefer_left,
        prefer_right,
    )
    from bidisync.detectors import ByContent, ByTimestamp, by_version, first_that_knows
    from bidisync.engine import Engine, Explanation
    from bidisync.errors import (
        Contended,
        Duplicate,
        Merged,
        Misconfigured,
        Moved,
        Outdated,
        ParentNotLinked,
        Permanent,
        RateLimited,
        Rejected,
        Stale,
        SyncError,
        Transient,
        Unauthorized,
        Unavailable,
        Unconfirmed,
        Unmappable,
    )
    from bidisync.events import Event
    from bidisync.guards import Bounds, HeldPlan, NeedsApproval
    from bidisync.identity import Identity
    from bidisync.items import Items, MergeItems
    from bidisync.lists import Column, FlatMapper, ListMapper, Together
    from bidisync.mapping import AS_IT_IS, Codec, CodeTable, FieldMap, FieldMapper, Mapped
    from bidisync.model import (
        ABSENT,
        Capabilities,
        Change,
        ClockTrust,
        Conditional,
        Conflict,
        Contested,
        Created,
        Decision,
        Defer,
        Deletion,
        LinkState,
        Notes,
        Page,
        Plan,
        Ref,
        Resolution,
        Review,
        ReviewKind,
        Row,
        Side,
        Snapshot,
        Value,
        Versions,
        Write,
    )
    from bidisync.notices import Notice
    from bidisync.operations import Abilities, Removal
    from bidisync.outcome import Outcome, Tally
    from bidisync.pair import Pair, open_pair
    from bidisync.parts import Limits, Parts
    from bidisync.protocols import (
        Chance,
        ChangeDetector,
        Clock,
        ConflictStrategy,
        Guard,
        Lease,
        LockProvider,
        Look,
        Mapper,
        Notifier,
        Observer,
        Replica,
        WorkQueue,
    )
    from bidisync.reconcile import explain, reconcile
    from bidisync.records import Changes, Feed, RecordReplica, Records, Removes
    from bidisync.references import NUMBERED, Referring
    from bidisync.retry import Backoff
    from bidisync.schema import Drift, Field, Group, OnDelete, Owner, Policy, one_way
    from bidisync.state import Agreement, Hint, Intent, Link, Shadow
    from bidisync.storage import HintStore, Seal, StateStore
    from bidisync.sweep import Sweep
    from bidisync.tasks import Task, tasks

__version__ = "0.1.0.dev0"

__all__ = [
    "ABSENT",
    "AS_IT_IS",
    "NUMBERED",
    "Abilities",
    "Agreement",
    "Backoff",
    "Bounds",
    "ByContent",
    "ByTimestamp",
    "Capabilities",
    "Chance",
    "Change",
    "ChangeDetector",
    "Changes",
    "ChildList",
    "Children",
    "Clock",
    "ClockTrust",
    "CodeTable",
    "Codec",
    "Column",
    "Conditional",
    "Conflict",
    "ConflictStrategy",
    "Contended",
    "Contested",
    "Created",
    "Decision",
    "Defer",
    "Deletion",
    "Drift",
    "Duplicate",
    "Engine",
    "Event",
    "Explanation",
    "Feed",
    "Field",
    "FieldMap",
    "FieldMapper",
    "FillBlanks",
    "FlatMapper",
    "Group",
    "Guard",
    "HeldPlan",
    "Hint",
    "HintStore",
    "Identity",
    "Intent",
    "Items",
    "Lease",
    "Limits",
    "Link",
    "LinkState",
    "ListMapper",
    "LockProvider",
    "Longest",
    "Look",
    "Mapped",
    "Mapper",
    "Merge",
    "MergeItems",
    "Merged",
    "Misconfigured",
    "Moved",
    "NeedsApproval",
    "Newest",
    "Notes",
    "Notice",
    "Notifier",
    "Observer",
    "OnDelete",
    "Outcome",
    "Outdated",
    "Owner",
    "Page",
    "ParentNotLinked",
    "Pair",
    "Parts",
    "Permanent",
    "Plan",
    "Policy",
    "Prefer",
    "RateLimited",
    "RecordReplica",
    "Records",
    "Ref",
    "Referring",
    "Rejected",
    "Removal",
    "Removes",
    "Replica",
    "Resolution",
    "Review",
    "ReviewKind",
    "Row",
    "Seal",
    "Shadow",
    "Side",
    "Snapshot",
    "Stale",
    "StateStore",
    "Sweep",
    "SyncError",
    "Tally",
    "Task",
    "Together",
    "Transient",
    "Unauthorized",
    "Unavailable",
    "Unconfirmed",
    "Union",
    "Unmappable",
    "Value",
    "Versions",
    "WithChildren",
    "WorkQueue",
    "Write",
    "ask",
    "by_version",
    "explain",
    "fill_blanks",
    "first_that_knows",
    "one_way",
    "open_pair",
    "prefer_left",
    "prefer_right",
    "reconcile",
    "tasks",
]

_NAMES = {
    "children": "ChildList Children WithChildren",
    "conflicts": "FillBlanks Longest Merge Newest Prefer Union ask fill_blanks prefer_left prefer_right",
    "detectors": "ByContent ByTimestamp by_version first_that_knows",
    "engine": "Engine Explanation",
    "errors": (
        "Contended Duplicate Merged Misconfigured Moved Outdated ParentNotLinked Permanent RateLimited "
        "Rejected Stale SyncError Transient Unauthorized Unavailable Unconfirmed Unmappable"
    ),
    "events": "Event",
    "guards": "Bounds HeldPlan NeedsApproval",
    "identity": "Identity",
    "items": "Items MergeItems",
    "lists": "Column FlatMapper ListMapper Together",
    "mapping": "AS_IT_IS CodeTable Codec FieldMap FieldMapper Mapped",
    "model": (
        "ABSENT Capabilities Change ClockTrust Conditional Conflict Contested Created Decision Defer Deletion "
        "LinkState Notes Page Plan Ref Resolution Review ReviewKind Row Side Snapshot Value Versions Write"
    ),
    "notices": "Notice",
    "operations": "Abilities Removal",
    "outcome": "Outcome Tally",
    "pair": "Pair open_pair",
    "parts": "Limits Parts",
    "protocols": (
        "Chance ChangeDetector Clock ConflictStrategy Guard Lease LockProvider Look Mapper Notifier Observer "
        "Replica WorkQueue"
    ),
    "reconcile": "explain reconcile",
    "references": "NUMBERED Referring",
    "records": "Changes Feed RecordReplica Records Removes",
    "retry": "Backoff",
    "schema": "Drift Field Group OnDelete Owner Policy one_way",
    "state": "Agreement Hint Intent Link Shadow",
    "storage": "HintStore Seal StateStore",
    "sweep": "Sweep",
    "tasks": "Task tasks",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}


class _Package(ModuleType):
    """The package itself: ``reconcile`` and ``tasks`` are functions, whether or not their modules are loaded."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("reconcile", "tasks") and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name when it is first used: who needs one value does not wait for the engine."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value

    sys.modules[__name__].__class__ = _Package
