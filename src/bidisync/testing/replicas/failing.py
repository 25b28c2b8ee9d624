"""What a replica promises about requests that go wrong. Judged where the trial has a ``Line``."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bidisync.errors import Permanent, RateLimited, SyncError, Transient, Unavailable, Unconfirmed
from bidisync.model import Deletion, Notes, Side, Verb
from bidisync.state import Intent
from bidisync.testing.broken import Broken, broken, holds
from bidisync.testing.replicas.case import Case
from bidisync.testing.replicas.trial import Mishap

T = TypeVar("T")
DOUBTFUL = "raise Unconfirmed: a write was sent and nobody knows whether it took effect"


async def sends_a_write_once(case: Case) -> None:
    """Each write is one request."""
    name = case.names()[0]
    made = await _counted(case, "create", lambda: case.replica.create(case.record(), despite_duplicates=True))
    seen = await case.replica.get(made.id)
    change = {name: case.another(name, case.record()[name])}
    await _counted(case, "update", lambda: case.replica.update(seen, change))
    if case.can.deletion is not Deletion.FORBIDDEN:
        now = await case.replica.get(made.id)
        await _counted(case, "delete", lambda: case.replica.delete(now))


async def reads_without_writing(case: Case) -> None:
    """No read writes."""
    id = await case.added()
    before = case.line.writes
    await case.replica.get(id)
    await case.replica.get_many([id])
    _ = [page async for page in case.replica.list()]
    await case.replica.find_by_counterpart(case.examples.counterparts[0])
    holds(case.line.writes == before, "a read sends a write", "keep what you need to remember out of the system")


async def never_repeats_a_create(case: Case) -> None:
    """A create whose reply is lost is ``Unconfirmed``, is not sent again, and can be found."""
    _ = [page async for page in case.replica.list()]
    watermark, sent_at, before = case.replica.newest, case.trial.now(), await case.ids()
    notes = Notes(counterpart=case.examples.counterparts[0]) if case.can.keeps_notes else None
    await _uncertain(
        case,
        "create",
        lambda: case.replica.create(case.record(), notes=notes, despite_duplicates=True),
    )
    new = await case.ids() - before
    holds(len(new) == 1, f"a create whose reply was lost makes {len(new)} records", "never repeat a create")
    if case.can.keeps_notes:
        await case.finds(new.pop(), case.examples.counterparts[0])
    elif case.can.finds_created:
        intent = Intent(Verb.CREATE, Side.RIGHT, case.record(), sent_at, sent_at, watermark, unconfirmed=True)
        found = {one.id for one in await case.replica.find_created(intent)}
        holds(new <= found, "find_created misses the record whose reply was lost", "look behind the intent's watermark")


async def never_repeats_an_update(case: Case) -> None:
    """An update whose reply is lost is ``Unconfirmed`` and is not sent again."""
    id, name = await case.added(), case.names()[0]
    seen = await case.replica.get(id)
    value = case.another(name, case.record()[name])
    await _uncertain(case, "update", lambda: case.replica.update(seen, {name: value}))


async def says_that_nothing_arrived(case: Case) -> None:
    """A write that never arrived is an error that may be tried again, and nothing is written."""
    id, name = await case.added(), case.names()[0]
    seen, before = await case.replica.get(id), await case.ids()
    change = {name: case.another(name, case.record()[name])}
    writes: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
        ("create", lambda: case.replica.create(case.record(1), despite_duplicates=True)),
        ("update", lambda: case.replica.update(seen, change)),
    )
    for mishap in (Mishap.REQUEST_LOST, Mishap.FAILED, Mishap.LIMITED):
        for call, write in writes:
            sent = case.line.writes
            with case.line.befall(mishap):
                try:
                    await write()
                except Transient as error:
                    _fits(call, mishap, error)
                except Permanent as error:
                    raise Broken(
                        f"{call} raises {type(error).__name__} when its request failed ({mishap.value})",
                        "raise a Transient: it may work when tried again",
                    ) from error
                else:
                    broken(
                        f"{call} swallows an error ({mishap.value})",
                        "raise Unavailable, RateLimited or Unconfirmed: the engine takes silence for success",
                    )
            again = case.line.writes - sent
            holds(again <= 1, f"{call} is sent {again} times when it failed ({mishap.value})", "never repeat a write")
    now, held = await case.ids(), await case.held(id)
    same = all(held.get(field) == case.kept(field, value) for field, value in case.record().items())
    holds(same and now == before, "a write that failed was made later", "keep no queue of your own")


async def recovers(case: Case) -> None:
    """After a failure the replica works as before."""
    id, name = await case.added(), case.names()[0]
    for mishap in Mishap:
        with case.line.befall(mishap):
            with contextlib.suppress(SyncError):
                await case.replica.get(id)
    seen = await case.replica.get(id)
    value = case.another(name, case.record()[name])
    await case.replica.update(seen, {name: value})
    case.shows(await case.replica.get(id), {**case.record(), name: value}, "after requests have failed")


async def lists_all_or_says_so(case: Case) -> None:
    """A list that can't be read to its end is an error: a short one would look like deletions."""
    ids = {await case.added(number) for number in range(3)}
    for mishap in case.failing_reads():
        with case.line.befall(mishap):
            try:
                rows = {row.id async for page in case.replica.list() for row in page.snapshots}
            except SyncError:
                continue
        holds(
            ids <= rows,
            f"list gives a short list although a request failed ({mishap.value})",
            "raise Unavailable: who is missing from a list is suspected to be deleted",
        )


async def _counted(case: Case, call: str, write: Callable[[], Awaitable[T]]) -> T:
    before = case.line.writes
    answer = await write()
    sent = case.line.writes - before
    holds(sent == 1, f"{call} sends {sent} writing requests instead of one", "send all fields in one request, once")
    return answer


async def _uncertain(case: Case, call: str, write: Callable[[], Awaitable[object]]) -> None:
    before = case.line.writes
    with case.line.befall(Mishap.REPLY_LOST):
        try:
            await write()
        except Unconfirmed:
            pass
        except SyncError as error:
            raise Broken(f"{call} raises {type(error).__name__} when its reply was lost", DOUBTFUL) from error
        else:
            broken(f"{call} claims success although its reply was lost", DOUBTFUL)
    sent = case.line.writes - before
    holds(
        sent == 1, f"{call} is sent {sent} times when its reply is lost", "never repeat a write: the engine looks first"
    )


def _fits(call: str, mishap: Mishap, error: Transient) -> None:
    if mishap is Mishap.LIMITED:
        fits = isinstance(error, RateLimited | Unconfirmed)
        holds(fits, f"{call} raises {type(error).__name__} for a 429", "raise RateLimited with the seconds it asks for")
    else:
        fits = isinstance(error, Unavailable | RateLimited)
        holds(fits, f"{call} raises {type(error).__name__} for a failed request", "raise Unavailable or Unconfirmed")


LAWS = (
    sends_a_write_once,
    reads_without_writing,
    never_repeats_a_create,
    never_repeats_an_update,
    says_that_nothing_arrived,
    recovers,
    lists_all_or_says_so,
)
