"""Uses of the values and errors that everything speaks in, only type-checked: what stands here is promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_type

from bidisync import (
    ABSENT,
    Agreement,
    Capabilities,
    Change,
    ClockTrust,
    Conditional,
    Conflict,
    Contended,
    Contested,
    Created,
    Decision,
    Deletion,
    Duplicate,
    LinkState,
    Merged,
    Misconfigured,
    Moved,
    Notes,
    Outdated,
    Page,
    ParentNotLinked,
    Permanent,
    Plan,
    Policy,
    RateLimited,
    Ref,
    Rejected,
    Review,
    Row,
    Shadow,
    Side,
    Snapshot,
    Stale,
    SyncError,
    Transient,
    Unauthorized,
    Unavailable,
    Unconfirmed,
    Unmappable,
    Value,
    Versions,
    Write,
    explain,
    reconcile,
)

ref: Ref = Ref.parse("left:1")
side: Side = ref.side.other
empty: Value = None
several: Value = ("a", "b")
notes = Notes(counterpart="2", counterpart_version="7", state=LinkState.IN_SYNC, reason=None, attempts=0, synced_at=0.0)
seen = Snapshot("1", {"name": "Ada", "title": None, "notes": ABSENT}, version="7", notes=notes, row=True, seen_at=1.0)
away = Snapshot("1", {}, gone=True)
page = Page((seen,), cursor="2026-01-01")
made = Created("1", seen, version="7")
versions = Versions(ABSENT, "a", None)
contested = Contested("base", "a", None)
conflict = Conflict("who", {"name": contested}, left_modified_at=1.0, right_modified_at=None)
able = Capabilities(
    conditional_write=Conditional.CHECKED,
    partial_write=True,
    deletion=Deletion.SOFT,
    finds_created=True,
    keeps_notes=True,
    changed_since=True,
    row_is_complete=True,
    row_can_be_written=True,
    clock=ClockTrust.TRUSTED,
)

transient: list[type[Transient]] = [Stale, Outdated, Contended, RateLimited, Unavailable, Unconfirmed, ParentNotLinked]
permanent: list[type[Permanent]] = [Unmappable, Rejected, Duplicate, Merged, Moved, Unauthorized, Misconfigured]


def decided(policy: Policy, base: Mapping[str, Agreement], left: Snapshot, right: Snapshot) -> None:
    plan = reconcile(policy, base, left, right)
    assert_type(plan, Plan)
    assert_type(plan.writes, tuple[Write, ...])
    assert_type(plan.reviews, tuple[Review, ...])
    assert_type(plan.write_to(Side.LEFT), Write | None)
    for decision in explain(policy, base, left, right):
        assert_type(decision, Decision)
        assert_type(decision.row, Row)
        assert_type(decision.policy, str)
        assert_type(decision.writes, tuple[Side, ...])


def changed(shadow: Shadow, snapshot: Snapshot) -> Change | None:
    return Change(snapshot, frozenset(snapshot.fields)) if shadow.version != snapshot.version else None


def told(error: SyncError) -> str:
    if isinstance(error, RateLimited | Unavailable):
        assert_type(error.retry_after, float)
    if isinstance(error, Unauthorized | Unconfirmed):
        assert_type(error.system, str)
    if isinstance(error, Duplicate):
        assert_type(error.existing, tuple[Snapshot, ...])
    if isinstance(error, Rejected | Unmappable):
        return error.field
    return error.reason


def raised(existing: Sequence[Snapshot]) -> list[SyncError]:
    return [
        Stale("it moved"),
        RateLimited("patience", retry_after=1.0),
        Unavailable("no answer", system="crm", retry_after=1.0),
        Unconfirmed("no answer to a write", system="crm"),
        Rejected("too long", field="name"),
        Duplicate("known already", existing=existing),
        Unauthorized("no", system="crm"),
        Unmappable("no form", field="born"),
    ]
