"""What a read by id promises."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import MutableMapping
from typing import cast

from bidisync.errors import Merged, SyncError
from bidisync.model import ABSENT, ClockTrust, Conditional
from bidisync.testing.broken import Broken, NotJudgedError, broken, holds
from bidisync.testing.replicas.case import Case, alike

LED = "quote ids where they stand in an address or a query, and answer gone for what no record can be called"


async def shows_what_is_there(case: Case) -> None:
    """``get`` shows every field as a person entered it, the empty ones as empty."""
    for number in range(len(case.examples.records)):
        id = await case.added(number)
        case.shows(await case.replica.get(id), case.record(number), "when a person enters a record and get reads it")


async def sees_an_edit_at_once(case: Case) -> None:
    """``get`` shows what a person has just changed, not what was read before."""
    id = await case.added()
    await case.replica.get(id)
    for name, value in case.changing().items():
        new = case.another(name, value)
        await case.person.edit(id, {name: new})
        shown = (await case.replica.get(id)).fields.get(name, ABSENT)
        if shown == case.kept(name, value) != case.kept(name, new):
            broken(
                f"get shows the field {name!r} as it was before a person changed it",
                "read the system each time: the engine takes an old value for the present one",
            )
        alike(name, case.kept(name, new), shown, "when a person changes a field and get reads it")


async def shows_a_cleared_field_as_empty(case: Case) -> None:
    """A field that a person clears is ``None``: not ``ABSENT``, and no empty text."""
    for name, value in case.changing().items():
        if value is None or not _may_be_empty(case, name):
            continue
        id = await case.added()
        await case.person.edit(id, {name: None})
        alike(name, None, (await case.replica.get(id)).fields.get(name, ABSENT), "when a person clears a field")


async def tells_absent_from_empty(case: Case) -> None:
    """A field that the system does not deliver is ``ABSENT``, which is no change; ``None`` would clear it."""
    if case.trial.withhold is None:
        raise NotJudgedError("the trial can't withhold a field")
    id, name = await case.added(), case.names()[0]
    await case.trial.withhold(name)
    holds(
        (await case.replica.get(id)).fields.get(name, ABSENT) is ABSENT,
        f"get shows the field {name!r} as empty although the system did not deliver it",
        "leave it out or answer ABSENT: None says that somebody cleared it, and would clear it on the other side",
    )
    async for page in case.replica.list():
        for row in page.snapshots:
            holds(
                row.id != id or row.fields.get(name, ABSENT) is ABSENT,
                f"list shows the field {name!r} as empty although the system did not deliver it",
                "leave it out or answer ABSENT",
            )


async def says_that_a_deleted_record_is_gone(case: Case) -> None:
    """``get`` answers ``gone`` for a record that was deleted, and for one that never was."""
    for id in [await case.removed(), *([case.examples.nobody] if case.examples.nobody else [])]:
        try:
            found = await case.replica.get(id)
        except Merged:  # the system answers with another record in its place
            continue
        except SyncError as error:
            raise Broken(
                f"get raises {type(error).__name__} for a record that does not exist",
                "answer Snapshot(id, {}, gone=True) where the system says by id that it is not there",
            ) from error
        holds(
            found.gone,
            "get shows a record that was deleted as if it were there",
            "answer gone=True, also for what lies in a trash",
        )


async def takes_only_an_absence_for_gone(case: Case) -> None:
    """A record that can't be read is not gone: the engine would delete its counterpart."""
    id = await case.added()
    for mishap in case.failing_reads():
        with case.line.befall(mishap):
            try:
                found = await case.replica.get(id)
            except SyncError:
                continue
        fault = f"get answers {'gone' if found.gone else 'a record'} although the request failed ({mishap.value})"
        broken(fault, "raise Unauthorized for 401 and 403, RateLimited for 429, Unavailable for what can't be reached")


async def reads_many_as_rows(case: Case) -> None:
    """``get_many`` finds some of those asked for, each as ``get`` shows it, and never says that one is gone."""
    ids = [await case.added(number) for number in range(case.examples.crowd)]
    missing = await case.removed()
    found = await case.replica.get_many([*ids, missing])
    unasked = set(found) - set(ids)
    holds(not unasked, "get_many answers with records that nobody asked for, or that are gone", "leave them out")
    backwards = await case.replica.get_many([missing, *reversed(ids)])
    holds(found == backwards, "get_many answers otherwise when asked in another order", "key the rows by their own ids")
    holds(not await case.replica.get_many([]), "get_many answers with records when none was asked for", "answer {}")
    for id, row in found.items():
        if id in ids[:3]:
            case.row_fits(row, await case.replica.get(id), "get_many")


async def moves_the_version_with_every_edit(case: Case) -> None:
    """The version stays while nothing happens, and every edit moves it; a token of the contents may come back."""
    id, name = await case.added(), case.names()[0]
    first, again = await case.replica.get(id), await case.replica.get(id)
    holds(
        first.version == again.version,
        "the version moves although nothing was changed",
        "use a token of the record, not of the request; answer None where there is none",
    )
    if first.version is None:
        claims = case.can.conditional_write is not Conditional.IGNORED
        holds(not claims, "writes are declared conditional, and snapshots carry no version", "fill in Snapshot.version")
        raise NotJudgedError("this system has no versions")
    versions = [first.version]
    for value in (case.another(name, case.record()[name]), case.record()[name]):
        await case.person.edit(id, {name: value})
        versions.append((await case.replica.get(id)).version or "")
    holds(
        all(one != next for one, next in itertools.pairwise(versions)),
        "the version does not move with an edit",
        "use a token that every edit moves; with a coarse time stamp answer None, so that contents are compared",
    )


async def keeps_time(case: Case) -> None:
    """``seen_at`` is a moment of the trial's clock, not after the answer; ``modified_at`` does not go back."""
    id, name = await case.added(), case.names()[0]
    asked_at = case.trial.now()
    first = await case.replica.get(id)
    got_at = case.trial.now()
    holds(
        asked_at - 1.0 <= first.seen_at <= got_at + 1.0,
        "seen_at is not when the record was read",
        "take it from the clock that the replica was given, in seconds since 1970, or give the trial that clock",
    )
    await case.person.edit(id, {name: case.another(name, case.record()[name])})
    second = await case.replica.get(id)
    holds(first.seen_at <= second.seen_at, "seen_at goes back", "take it from one clock")
    if first.modified_at is None or second.modified_at is None:
        trusted = case.can.clock is ClockTrust.TRUSTED
        holds(not trusted, "the clock is declared trusted, and snapshots carry no modified_at", "declare it UNTRUSTED")
        raise NotJudgedError("this system tells no times")
    holds(
        first.modified_at <= second.modified_at,
        "modified_at goes back with an edit",
        "read it in the system's time zone: a local time without its offset goes back in autumn",
    )
    holds(
        abs(second.modified_at - got_at) < 300.0 or case.can.clock is not ClockTrust.TRUSTED,
        "modified_at is far from now although the clock is declared trusted",
        "check its time zone, or declare the clock UNTRUSTED",
    )


async def gives_copies(case: Case) -> None:
    """Whoever changes what a snapshot holds changes nothing else."""
    id, name = await case.added(), case.names()[0]
    first = await case.replica.get(id)
    before = dict(first.fields)
    try:
        cast(MutableMapping[str, object], first.fields)[name] = "changed by the caller"
    except TypeError:
        return
    shown = dict((await case.replica.get(id)).fields)
    cast(MutableMapping[str, object], first.fields).update(before)
    holds(
        shown == before,
        "a snapshot shares its fields with what the replica keeps",
        "copy the fields into each snapshot",
    )


async def answers_each_of_many_at_once(case: Case) -> None:
    """Reads at the same time get their own records."""
    ids = [await case.added(number) for number in range(4)]
    found = await asyncio.gather(*(case.replica.get(id) for id in [*ids, *ids]))
    for number, snapshot in enumerate(found):
        holds(
            snapshot.id == ids[number % 4],
            "of reads at the same time one gets another's record",
            "keep no state per request",
        )
        case.shows(snapshot, case.record(number % 4), "when several records are read at once")


async def is_not_led_elsewhere(case: Case) -> None:
    """An id that nobody has is nobody's, whatever it looks like: hints come from elsewhere."""
    id, other = await case.added(), await case.added(1)
    for odd in (
        "..",
        f"../{id}",
        f"{other}/../{id}",
        f"{id}/",
        f"{id}?x=1",
        f"{id}#x",
        f"{id}' OR '1'='1",
        "%",
        "\x00",
    ):
        try:
            found = await case.replica.get(odd)
        except Broken as fault:
            raise Broken(f"an id like {odd!r} leads somewhere else ({fault.fault})", LED) from fault
        except SyncError:
            continue
        holds(found.gone, f"an id like {odd!r} leads to a record", LED)


async def can_be_stopped(case: Case) -> None:
    """A read that is cancelled ends, and the next one works."""
    id = await case.added()
    for steps in (0, 1, 3, 10, 30):
        reading = asyncio.ensure_future(case.replica.get(id))
        for _ in range(steps):
            await asyncio.sleep(0)
        if reading.done():
            await reading
            break
        reading.cancel()
        try:
            await reading
        except asyncio.CancelledError:
            continue
        broken("get goes on although it was cancelled", "let CancelledError through: it is how a worker is stopped")
    case.shows(await case.replica.get(id), case.record(), "after a read was cancelled")


async def is_right_about_itself(case: Case) -> None:
    """Capabilities do not change while the replica is used."""
    before = case.can
    id = await case.added()
    await case.replica.get(id)
    _ = [page async for page in case.replica.list()]
    holds(before == case.can, "the capabilities change by themselves", "measure them first: the engine decides by them")


def _may_be_empty(case: Case, name: str) -> bool:
    return any(one.get(name) is None for one in case.examples.records)


LAWS = (
    shows_what_is_there,
    sees_an_edit_at_once,
    shows_a_cleared_field_as_empty,
    tells_absent_from_empty,
    says_that_a_deleted_record_is_gone,
    takes_only_an_absence_for_gone,
    reads_many_as_rows,
    moves_the_version_with_every_edit,
    keeps_time,
    gives_copies,
    answers_each_of_many_at_once,
    is_not_led_elsewhere,
    can_be_stopped,
    is_right_about_itself,
)
