"""What creates and deletes promise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bidisync.errors import Duplicate, Permanent, Rejected, Stale, SyncError
from bidisync.model import Conditional, Created, Deletion, Notes, Side, Verb
from bidisync.state import Intent
from bidisync.testing.broken import Broken, NotJudgedError, broken, holds
from bidisync.testing.replicas.case import Case, alike


async def makes_one_record(case: Case) -> None:
    """A create makes one record with the fields given, which is read and listed under its id."""
    for number in range(len(case.examples.records)):
        before = await case.ids()
        made = await _create(case, number)
        record = case.record(number)
        held = await case.held(made.id)
        for name, value in record.items():
            alike(name, case.kept(name, value), held.get(name), "when create makes a record")
        case.shows(await case.replica.get(made.id), record, "when create makes a record and get reads it")
        if made.snapshot is not None:
            case.shows(made.snapshot, record, "in the snapshot that create answers with")
        new = await case.ids() - before
        holds(new == {made.id}, f"one create makes {len(new)} records", "send the request once, whatever happens")


async def takes_new_fields_in_any_order(case: Case) -> None:
    """The order in which fields are given makes no difference."""
    record = dict(reversed(list(case.record().items())))
    made = await case.replica.create(record, despite_duplicates=True)
    case.shows(await case.replica.get(made.id), record, "when create is given the fields in another order")


async def makes_each_of_many_at_once(case: Case) -> None:
    """Creates at the same time make a record each, with its own fields."""
    made = await asyncio.gather(*(_create(case, number) for number in range(4)))
    ids = [one.id for one in made]
    holds(len(set(ids)) == 4, "of creates at the same time two answer with one id", "keep no state per request")
    for number, id in enumerate(ids):
        case.shows(await case.replica.get(id), case.record(number), "when several records are made at once")


async def makes_twins_when_told_to(case: Case) -> None:
    """Equal records are two, or a ``Duplicate`` that names the first; ``despite_duplicates`` makes the second."""
    first = await _create(case, 0)
    try:
        second = await case.replica.create(case.record())
    except Duplicate as error:
        known = {one.id for one in error.existing}
        holds(first.id in known, "Duplicate does not name the record that exists", "fill in Duplicate.existing")
        second = await case.replica.create(case.record(), despite_duplicates=True)
    holds(
        second.id != first.id,
        "a second create answers with the first record",
        "raise Duplicate where the system knows such a record: the engine decides",
    )


async def writes_notes_with_a_new_record(case: Case) -> None:
    """Notes that come with a create are on the record, and find it."""
    if not case.can.keeps_notes:
        raise NotJudgedError("keeps_notes is not declared")
    one, two = case.examples.counterparts
    id = (await case.replica.create(case.record(), notes=Notes(counterpart=one), despite_duplicates=True)).id
    await case.replica.create(case.record(1), notes=Notes(counterpart=two), despite_duplicates=True)
    await case.added()
    await case.noted(id, one, "create loses the notes that it is given")
    await case.finds(id, one)


async def finds_what_a_lost_reply_made(case: Case) -> None:
    """A create whose reply was lost is found again: by its counterpart, or by ``find_created``."""
    _ = [page async for page in case.replica.list()]
    watermark, sent_at = case.replica.newest, case.trial.now()
    notes = Notes(counterpart=case.examples.counterparts[0]) if case.can.keeps_notes else None
    made = await case.replica.create(case.record(), notes=notes, despite_duplicates=True)
    if case.can.keeps_notes:
        await case.finds(made.id, case.examples.counterparts[0])
        return
    if not case.can.finds_created:
        raise NotJudgedError("neither keeps_notes nor finds_created is declared")
    intent = Intent(Verb.CREATE, Side.RIGHT, case.record(), sent_at, sent_at, watermark)
    found = {one.id for one in await case.replica.find_created(intent)}
    holds(
        made.id in found,
        "find_created misses the record that a create made",
        "look through everything newer than the intent's watermark, or declare finds_created=False",
    )


async def says_what_is_refused(case: Case) -> None:
    """What the system refuses is ``Rejected`` or ``Unmappable``, and makes nothing."""
    invalid = case.invalid()
    before = await case.ids()
    try:
        await case.replica.create(invalid, despite_duplicates=True)
    except Permanent:
        pass
    except SyncError as error:
        raise Broken(
            f"create raises {type(error).__name__} for a record that the system refuses",
            "raise Rejected: the engine would try for ever what can't succeed",
        ) from error
    else:
        broken("create swallows the refusal of the system", "raise Rejected, with the field where the system names it")
    holds(await case.ids() == before, "create makes a record that it says was refused", "make nothing, or say so")


async def leaves_to_people_what_it_says(case: Case) -> None:
    """Where records are made or changed by people alone, a create or an update is ``Rejected`` and does nothing."""
    can, replica = case.can, case.trial.replica
    if can.creates and can.updates:
        raise NotJudgedError("creates and updates are declared")
    id, name = await case.added(), case.names()[0]
    seen, before = await case.replica.get(id), await case.ids()
    refused: list[tuple[str, Callable[[], Awaitable[object]]]] = []
    if not can.creates:
        refused.append(("creates", lambda: replica.create(case.record(1), despite_duplicates=True)))
    if not can.updates:
        refused.append(("updates", lambda: replica.update(seen, {name: case.another(name, case.record()[name])})))
    for declared, write in refused:
        try:
            await write()
        except Rejected:
            continue
        broken(f"{declared} is declared False, and such a write succeeds", "raise Rejected, or declare that you can")
    held = await case.held(id)
    same = all(held.get(name) == case.kept(name, value) for name, value in case.record().items())
    holds(same and await case.ids() == before, "a write is refused and takes effect all the same", "send nothing")


async def deletes_what_it_says(case: Case) -> None:
    """A delete ends that record and no other; where it is forbidden it is ``Rejected`` and ends nothing."""
    id, stranger = await case.added(), await case.added(1)
    seen = await case.replica.get(id)
    if case.can.deletion is Deletion.FORBIDDEN:
        try:
            await case.replica.delete(seen)
        except Rejected:
            await case.held(id)
            return
        broken("deletion is declared FORBIDDEN, and delete does not refuse", "raise Rejected, or declare what it does")
    await case.replica.delete(seen)
    holds((await case.replica.get(id)).gone, "a deleted record is not gone", "let get answer gone=True, in a trash too")
    rows = {row.id async for page in case.replica.list() for row in page.snapshots if not row.gone}
    holds(id not in rows, "list shows a record that was deleted", "leave out what is deleted, or give it as gone")
    holds(stranger in rows, "delete deletes another record too", "address the record by the id of the snapshot")
    holds(
        case.can.deletion is Deletion.SOFT or id not in await case.person.trash(),
        "deletion is declared HARD, and the record lies in a trash",
        "declare deletion=SOFT: people are told that it can be brought back",
    )


async def does_not_delete_what_has_moved(case: Case) -> None:
    """Where writes are conditional, a record that was edited since it was read is not deleted: ``Stale``."""
    deletes = case.can.deletion is not Deletion.FORBIDDEN
    if not deletes or case.can.conditional_write is Conditional.IGNORED:
        raise NotJudgedError("deletes are forbidden, or conditional_write is IGNORED")
    id, name = await case.added(), case.names()[0]
    seen = await case.replica.get(id)
    await case.person.edit(id, {name: case.another(name, case.record()[name])})
    try:
        await case.replica.delete(seen)
    except Stale:
        await case.held(id)
        return
    broken(
        "delete ends a record that was edited since it was read",
        "compare the version that it is given, as an update does, and raise Stale; where the system compares none"
        " in a delete, read the record right before it",
    )


async def takes_a_second_delete_calmly(case: Case) -> None:
    """What is deleted already needs no second deletion: silence, or ``Stale``."""
    if case.can.deletion is Deletion.FORBIDDEN:
        raise NotJudgedError("deletes are forbidden")
    id = await case.added()
    seen = await case.replica.get(id)
    await case.replica.delete(seen)
    try:
        await case.replica.delete(seen)
    except Stale:
        pass
    except SyncError as error:
        raise Broken(
            f"a second delete raises {type(error).__name__}",
            "that it is gone already is as good: say nothing, or Stale",
        ) from error


async def leaves_out_fields_that_it_is_not_given(case: Case) -> None:
    """A create invents no value: what it is not given is empty, or a default that a person gets too."""
    name = case.names()[0]
    few = {field: value for field, value in case.record().items() if field == name or field in case.examples.fixed}
    try:
        theirs = await case.held(await case.person.add(few))
        made = await case.replica.create(few, despite_duplicates=True)
    except Permanent as error:
        raise NotJudgedError("the system takes no record of one field alone") from error
    held = await case.held(made.id)
    for other in case.record():
        holds(
            other in few or held.get(other) == theirs.get(other),
            f"create makes up a value of {other!r}, which it was not given",
            "send only the fields that were given",
        )


async def gives_no_id_twice(case: Case) -> None:
    """The id of a deleted record is not given to another one, which would look like an edit of the first."""
    id, _ = await case.added(), await case.added(1)
    seen = await case.replica.get(id)
    try:
        await case.person.remove(id)
    except Rejected as error:
        raise NotJudgedError("nobody can delete a record") from error
    again = await case.added(1)
    if again != id:
        return
    same = (await case.replica.get(again)).version == seen.version
    broken(
        "the id of a deleted record is given to another one" + (", and its version, too" if same else ""),
        "never give an id twice (in SQLite AUTOINCREMENT): the engine takes the newcomer for the one before",
    )


async def _create(case: Case, number: int) -> Created:
    return await case.replica.create(case.record(number), despite_duplicates=True)


LAWS = (
    makes_one_record,
    takes_new_fields_in_any_order,
    makes_each_of_many_at_once,
    makes_twins_when_told_to,
    writes_notes_with_a_new_record,
    finds_what_a_lost_reply_made,
    leaves_out_fields_that_it_is_not_given,
    says_what_is_refused,
    leaves_to_people_what_it_says,
    deletes_what_it_says,
    does_not_delete_what_has_moved,
    takes_a_second_delete_calmly,
    gives_no_id_twice,
)
