"""What ``open_pair`` was asked for, made into parts of a sync: whatever can't be meant so is told in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import TypeVar, cast

from bidisync.conflicts import ask, fill_blanks
from bidisync.errors import Misconfigured
from bidisync.identity import Identity
from bidisync.protocols import ConflictStrategy, Observer, Replica
from bidisync.records import RecordReplica, Records
from bidisync.schema import Field, Group, OnDelete, Policy

T = TypeVar("T")


def policy_of(
    fields: Iterable[str | Field],
    strategy: ConflictStrategy,
    initial: ConflictStrategy,
    on_delete: OnDelete,
    policy: Policy | None,
) -> Policy:
    """The policy that is given, or one of these fields: never both, for one of them would count for nothing."""
    named = [_field(field) for field in _listed("fields", fields)]
    if policy is not None:
        check_kind("policy", policy, Policy)
        told = {
            "fields": bool(named),
            "strategy": strategy is not ask,
            "initial": initial is not fill_blanks,
            "on_delete": on_delete is not OnDelete.REVIEW,
        }
        beside = [name for name, given in told.items() if given]
        if beside:
            raise Misconfigured(f"the policy says it all: leave out {', '.join(beside)}, or the policy")
        return policy
    if not named:
        raise Misconfigured("nothing takes part in this sync: name its fields, or give a policy")
    groups = dict.fromkeys(field.group for field in named)
    return Policy(named, [Group(name, strategy, initial) for name in groups], on_delete=on_delete)


def _field(field: object) -> Field:
    if isinstance(field, Field):
        return field
    if not isinstance(field, str) or not field:
        raise Misconfigured(f"a field is its name or a Field, not {type(field).__name__ if field else 'empty'}")
    return Field(field, "record")


def identity_of(match: Iterable[str], identity: Identity | None) -> Identity:
    """The identity that is given, or the one whose only key are the fields of ``match``."""
    names = _listed("match", match)
    strange = next((type(name).__name__ for name in names if not isinstance(name, str)), None)
    if strange is not None:
        raise Misconfigured(f"match is a list of names: {strange} is none")
    if identity is None:
        return Identity(strong=(names,) if names else ())
    check_kind("identity", identity, Identity)
    if names:
        raise Misconfigured("match and identity both say who is who: give one of them")
    return identity


def _listed(name: str, given: Iterable[T]) -> tuple[T, ...]:
    """What was given under that name, one by one and in an order that is the same at every start."""
    if isinstance(given, str):
        raise Misconfigured(f"{name} is a list of names: write {name}=[{given!r}]")
    if not isinstance(given, Iterable):
        raise Misconfigured(f"{name} is a list of names, not {type(given).__name__}")
    return tuple(sorted(given, key=str) if isinstance(given, Set) else given)


def observers_of(observers: Iterable[Observer]) -> Sequence[Observer]:
    """The observers, each of which can be told something."""
    told = tuple(observers) if isinstance(observers, Iterable) else (None,)
    if not all(map(callable, told)):
        raise Misconfigured("observers is a list of functions: write observers=[print]")
    return cast(Sequence[Observer], told)


def check_kind(name: str, given: object, kind: type) -> None:
    """``Misconfigured`` if what was given under that name is of another kind."""
    if not isinstance(given, kind):
        raise Misconfigured(f"{name} is made by {kind.__name__}(…), not {type(given).__name__}")


def check_can(name: str, given: object, *what: str) -> None:
    """``Misconfigured`` if what was given under that name lacks one of these."""
    if isinstance(given, type):
        raise Misconfigured(f"{name} can't be the class {given.__name__}: give one made of it")
    lacks = [one for one in what if not hasattr(given, one)]
    if lacks:
        raise Misconfigured(f"{name} can't be {type(given).__name__}: it lacks {', '.join(lacks)}")


def replicas_of(left: object, right: object, names: tuple[str, ...], now: Callable[[], float]) -> tuple[Replica, ...]:
    """Both sides as replicas; one store can't be both."""
    sides = tuple(_replica(side, names, now) for side in (left, right))
    if innermost(left) is innermost(right):
        raise Misconfigured("left and right are one and the same store: nothing can be kept in step with itself")
    return sides


def _replica(side: object, names: tuple[str, ...], now: Callable[[], float]) -> Replica:
    kind = type(side).__name__
    if isinstance(side, type):
        raise Misconfigured(f"{side.__name__} is a class: give a store that was made of it")
    if isinstance(side, Records):
        return RecordReplica(side, names, now=now)
    if hasattr(side, "capabilities"):
        return side  # type: ignore[return-value]  # what else a replica needs is told by the first call that lacks it
    within = getattr(side, "replica", None)
    if isinstance(within, Records):
        inner = type(within).__name__
        raise Misconfigured(f"{kind} goes around a replica: RecordReplica(…) of the {inner}, not the {inner} itself")
    lacks = [name for name in ("all", "get", "add", "change") if not hasattr(side, name)]
    raise Misconfigured(f"{kind} is no store and no replica: it lacks {', '.join(lacks)}")


def innermost(side: object) -> object:
    """The store or replica beneath whatever was put around it."""
    while not isinstance(side, Records | RecordReplica) and hasattr(side, "replica"):
        side = side.replica
    return side.records if isinstance(side, RecordReplica) else side
