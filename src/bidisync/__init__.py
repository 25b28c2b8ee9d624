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
    from bidisync.engine import Engine, Explanation
    from bidisync.identity import Identity
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
        Row,
        Side,
        Snapshot,
        Value,
        Versions,
        Write,
    )
    from bidisync.outcome import Outcome, Tally
    from bidisync.parts import Limits, Parts
    from bidisync.protocols import (
        Chance,
        ChangeDetector,
        Clock,
        ConflictStrategy,
        Guard,
        Lease,
        LockProvider,
        Mapper,
        Observer,
        Replica,
        StateStore,
    )
    from bidisync.reconcile import explain, reconcile
    from bidisync.schema import Drift, Field, Group, OnDelete, Owner, Policy, one_way
    from bidisync.state import Link
    from bidisync.sweep import Sweep

__version__ = "0.1.0.dev0"

__all__ = [
    "ABSENT",
    "Capabilities",
    "Chance",
    "Change",
    "ClockTrust",
    "ChangeDetector",
    "Clock",
    "Conditional",
    "Conflict",
    "ConflictStrategy",
    "Contested",
    "Created",
    "Decision",
    "Defer",
    "Deletion",
    "Drift",
    "Engine",
    "Explanation",
    "Field",
    "FillBlanks",
    "Group",
    "Guard",
    "Identity",
    "Lease",
    "Limits",
    "Link",
    "LinkState",
    "LockProvider",
    "Mapper",
    "Longest",
    "Merge",
    "Newest",
    "Notes",
    "Observer",
    "OnDelete",
    "Outcome",
    "Owner",
    "Page",
    "Parts",
    "Plan",
    "Policy",
    "Prefer",
    "Ref",
    "Replica",
    "Resolution",
    "Review",
    "Row",
    "Side",
    "Snapshot",
    "StateStore",
    "Sweep",
    "Tally",
    "Union",
    "Value",
    "Versions",
    "Write",
    "ask",
    "explain",
    "fill_blanks",
    "one_way",
    "prefer_left",
    "prefer_right",
    "reconcile",
]

_NAMES = {
    "conflicts": "FillBlanks Longest Merge Newest Prefer Union ask fill_blanks prefer_left prefer_right",
    "engine": "Engine Explanation",
    "identity": "Identity",
    "model": (
        "ABSENT Capabilities Change ClockTrust Conditional Conflict Contested Created Decision Defer Deletion "
        "LinkState Notes Page Plan Ref Resolution Review Row Side Snapshot Value Versions Write"
    ),
    "outcome": "Outcome Tally",
    "parts": "Limits Parts",
    "protocols": (
        "Chance ChangeDetector Clock ConflictStrategy Guard Lease LockProvider Mapper Observer Replica StateStore"
    ),
    "reconcile": "explain reconcile",
    "schema": "Drift Field Group OnDelete Owner Policy one_way",
    "state": "Link",
    "sweep": "Sweep",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}


class _Package(ModuleType):
    """The package itself: ``reconcile`` is the function, whether or not the module of that name is loaded."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "reconcile" and isinstance(value, ModuleType):
            value = value.reconcile
        super().__setattr__(name, value)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name when it is first used: who needs one value does not wait for the engine."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value

    sys.modules[__name__].__class__ = _Package
