"""A replica whose requests go wrong: to see that your set-up lives through what yours will meet.

``Faulty`` goes around any replica and carries out what it is told of each call. The engine
above it must end as if nothing had happened, or say what waits for a person.
"""

from __future__ import annotations

import contextlib
import enum
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import attrs

from bidisync.errors import RateLimited, SyncError, Unauthorized, Unavailable, Unconfirmed
from bidisync.model import Capabilities, Created, Notes, Page, Snapshot, Value
from bidisync.protocols import Replica
from bidisync.state import Intent
from bidisync.testing.replica import Call

T = TypeVar("T")


class Fault(enum.Enum):
    """What goes wrong with one call. A fault that does not fit a call does nothing to it."""

    REQUEST_LOST = "request lost"
    """It never arrives, and the sender is told nothing."""
    REPLY_LOST = "reply lost"
    """It takes effect, and the sender is told nothing."""
    LATE = "late"
    """A write that arrives after its sender gave up, before the next call."""
    LIMITED = "429"
    """Refused with a request for patience; nothing takes effect."""
    FAILED = "500"
    """Refused with an error of the server; nothing takes effect."""
    FORBIDDEN = "403"
    """Refused for want of a permission; nothing takes effect."""
    STALE_READ = "stale read"
    """A record as it was before its last change."""
    PARTIAL_LIST = "partial list"
    """Every second row is missing."""
    ROW_TWICE = "row twice"
    """The first row of a page comes again on the next."""


Choose: TypeAlias = Callable[[Call], Fault | None]
"""Says what goes wrong with a call; ``None``: nothing. It is asked before each call of the replica."""


def in_turn(*faults: Fault | None, verb: str = "") -> Choose:
    """These faults for the next calls of that verb (any, if none is named), one after the other, then none."""
    left = list(faults)

    def choose(call: Call) -> Fault | None:
        return left.pop(0) if left and verb in ("", call.verb) else None

    return choose


def at_random(seed: int, *, one_in: int = 5, among: Sequence[Fault] = tuple(Fault)) -> Choose:
    """A fault in one of ``one_in`` calls, drawn from those named in ``among``.

    By default one call in five suffers any of them. The same seed draws the same faults for the
    same calls; a fault that does not fit its call does nothing to it, so fewer are suffered than
    are drawn.
    """
    rng = random.Random(seed)
    return lambda call: rng.choice(among) if rng.randrange(one_in) == 0 else None


@attrs.define
class Faulty:
    """A replica around yours, where each call suffers what ``choose`` says; ``suffered`` counts it.

    ``quiet`` ends all faults: from then on it is the replica within.
    """

    replica: Replica
    choose: Choose
    quiet: bool = False
    suffered: list[tuple[Call, Fault]] = attrs.Factory(list)
    _before: dict[str, Snapshot] = attrs.Factory(dict)
    _latest: dict[str, Snapshot] = attrs.Factory(dict)
    _late: list[Callable[[], Awaitable[object]]] = attrs.Factory(list)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the replica within."""
        return self.replica.capabilities

    @property
    def newest(self) -> str | None:
        """That of the replica within."""
        return self.replica.newest

    async def get(self, id: str) -> Snapshot:
        """The record, or what a fault makes of it."""
        fault = await self._begin(Call("get", id))
        return self._aged(await self._read(fault, lambda: self.replica.get(id)), fault)

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Snapshot]:
        """The records that a bulk read finds."""
        fault = await self._begin(Call("list"))
        found = await self._read(fault, lambda: self.replica.get_many(ids))
        kept = list(found.items())[:: 2 if fault is Fault.PARTIAL_LIST else 1]
        return {id: self._aged(row, fault) for id, row in kept}

    async def list(self, since: str | None = None) -> AsyncIterator[Page]:
        """The pages of the replica within; one fault for all of them, before the first."""
        fault = await self._begin(Call("list"))
        await self._read(fault, _nothing)
        again: tuple[Snapshot, ...] = ()
        async for page in self.replica.list(since):
            rows = tuple(self._aged(row, fault) for row in page.snapshots)
            rows = rows[:: 2 if fault is Fault.PARTIAL_LIST else 1]
            yield attrs.evolve(page, snapshots=(*again, *rows), tokens=None)
            again = rows[:1] if fault is Fault.ROW_TWICE else ()
        if again:
            yield Page(again)

    async def create(
        self, fields: Mapping[str, Value], *, notes: Notes | None = None, despite_duplicates: bool = False
    ) -> Created:
        """Make a record, unless a fault prevents it."""
        call = Call("create", fields=tuple(fields))
        return await self._write(
            call, lambda: self.replica.create(fields, notes=notes, despite_duplicates=despite_duplicates)
        )

    async def update(
        self, seen: Snapshot, changes: Mapping[str, Value], *, notes: Notes | None = None
    ) -> Snapshot | None:
        """Change these fields, unless a fault prevents it."""
        call = Call("update", seen.id, tuple(changes))
        return await self._write(call, lambda: self.replica.update(seen, changes, notes=notes))

    async def delete(self, seen: Snapshot) -> None:
        """Delete the record, unless a fault prevents it."""
        await self._write(Call("delete", seen.id), lambda: self.replica.delete(seen))

    async def find_by_counterpart(self, counterpart: str) -> Sequence[Snapshot]:
        """The records whose notes name this id."""
        fault = await self._begin(Call("search"))
        return await self._read(fault, lambda: self.replica.find_by_counterpart(counterpart))

    async def find_created(self, intent: Intent) -> Sequence[Snapshot]:
        """Records that may be the one which this create made."""
        fault = await self._begin(Call("search"))
        return await self._read(fault, lambda: self.replica.find_created(intent))

    async def _begin(self, call: Call) -> Fault | None:
        """What this call suffers; writes that are late arrive first."""
        while self._late:
            with contextlib.suppress(SyncError):  # nobody waits for the answer any more
                await self._late.pop(0)()
        fault = None if self.quiet else self.choose(call)
        if fault is not None:
            self.suffered.append((call, fault))
        return fault

    async def _read(self, fault: Fault | None, ask: Callable[[], Awaitable[T]]) -> T:
        match fault:
            case Fault.REQUEST_LOST | Fault.REPLY_LOST | Fault.LATE:
                raise Unavailable("no answer")
            case Fault.FAILED:
                raise Unavailable("500")
        _refused(fault)
        return await ask()

    async def _write(self, call: Call, send: Callable[[], Awaitable[T]]) -> T:
        fault = await self._begin(call)
        match fault:
            case Fault.REQUEST_LOST | Fault.FAILED:
                raise Unconfirmed("no answer")
            case Fault.LATE:
                self._late.append(send)
                raise Unconfirmed("no answer in time")
        _refused(fault)
        answer = await send()
        if fault is Fault.REPLY_LOST:
            raise Unconfirmed("no answer")
        return answer

    def _aged(self, snapshot: Snapshot, fault: Fault | None) -> Snapshot:
        """The record as it was before its last change, if that is the fault and we have seen it."""
        latest = self._latest.get(snapshot.id)
        if latest is not None and (latest.version, latest.fields) != (snapshot.version, snapshot.fields):
            self._before[snapshot.id] = latest
        self._latest[snapshot.id] = snapshot
        old = self._before.get(snapshot.id)
        if fault is not Fault.STALE_READ or old is None:
            return snapshot
        return attrs.evolve(old, row=snapshot.row, seen_at=snapshot.seen_at)


async def _nothing() -> None:
    """Asks for nothing."""


def _refused(fault: Fault | None) -> None:
    if fault is Fault.LIMITED:
        raise RateLimited("429", retry_after=1.0)
    if fault is Fault.FORBIDDEN:
        raise Unauthorized("403")
