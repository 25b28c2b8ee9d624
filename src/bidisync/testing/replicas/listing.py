"""What a list promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection

from bidisync.errors import Rejected, SyncError
from bidisync.model import ABSENT, Page, Snapshot, Value
from bidisync.testing.broken import NotJudgedError, broken, holds
from bidisync.testing.replicas.case import Case

NO_CURSOR = "changed_since is declared, and the pages carry no cursor"


async def lists_every_record_once(case: Case) -> None:
    """A list has every record, once, as ``get`` shows it, and none that was deleted."""
    ids = [await case.added(number) for number in range(case.examples.crowd)]
    missing = await case.removed()
    rows = [row async for page in case.replica.list() for row in page.snapshots]
    twice = [id for id, times in Counter(row.id for row in rows).items() if times > 1]
    holds(
        not twice,
        f"list gives {_many(twice)} twice",
        "page by a key that no two records share, or by offset in its order",
    )
    lost = set(ids) - {row.id for row in rows}
    holds(
        not lost,
        f"list leaves out {_many(lost)} of {len(ids)}",
        "read on until a page is empty: also the last, short one",
    )
    there = next((row for row in rows if row.id == missing and not row.gone), None)
    holds(there is None, "list shows a record that was deleted", "leave out what is deleted, or give it as gone")
    for row in rows:
        if row.id in ids[:3]:
            case.row_fits(row, await case.replica.get(row.id), "list")


async def loses_nobody_while_people_work(case: Case) -> None:
    """What is edited, made or deleted between two pages makes a list leave out nobody who was there all the time."""
    ids = [await case.added(number) for number in range(case.examples.crowd)]
    pages = case.replica.list()
    first = await _next(pages)
    if first is None:
        broken("list gives no page although there are records", "yield the records as pages")
    on_it = [row.id for row in first.snapshots if row.id in ids]
    if len(on_it) == len(ids):
        raise NotJudgedError(f"a page holds more than Examples.crowd = {len(ids)} records")
    touched = on_it[:3]
    await case.person.edit(touched[0], _other_values(case, ids.index(touched[0])))
    await case.added()
    try:
        await case.person.remove(touched[1])
    except Rejected:
        touched = touched[:1]
    seen = [row.id for row in first.snapshots] + [row.id async for page in pages for row in page.snapshots]
    lost = set(ids) - set(seen) - set(touched)
    holds(
        not lost,
        f"list leaves out {_many(lost)} after a deletion between two pages",
        "page behind the last key seen instead of by offset: rows move up when one before them is deleted",
    )


async def writes_against_rows(case: Case) -> None:
    """A row may be the base of a write, where that is declared, and leaves the other fields alone."""
    if not case.can.row_can_be_written:
        raise NotJudgedError("row_can_be_written is not declared")
    id, (name, other) = await case.added(), case.names()
    row = await _row(case, id)
    try:
        await case.replica.update(row, {name: case.another(name, case.record()[name])})
    except SyncError as error:
        broken(f"update refuses a row ({type(error).__name__})", "declare row_can_be_written=False")
    held = await case.held(id)
    kept = case.kept(other, case.record()[other])
    holds(
        held.get(other) == kept,
        f"a write against a row empties the field {other!r}",
        "declare row_can_be_written=False, or send only what was given",
    )


async def lists_what_changed_since(case: Case) -> None:
    """From the cursor of a list on, everything that is new or edited later is listed."""
    early = [await case.added(number) for number in range(4)]
    cursor = await _cursor(case)
    late = await case.added()
    await case.person.edit(early[0], _other_values(case, 0))
    first = {row.id async for page in case.replica.list(cursor) for row in page.snapshots}
    holds(
        {late, early[0]} <= first,
        "list from a cursor skips an edit that came right behind it",
        "let the next list begin at the cursor's own moment or earlier: two edits may share a second",
    )


async def loses_no_edit_between_pages(case: Case) -> None:
    """What is edited while a list is read comes with the next one from its cursor, also with what changed since."""
    ids = [await case.added()]
    begin = await _cursor(case)
    ids += [await case.added(number) for number in range(1, case.examples.crowd)]
    for since in (None, begin):
        pages = case.replica.list(since)
        first = await _next(pages)
        if first is None:
            broken("list gives no page although there are records", "yield them as pages")
        edited = [row.id for row in first.snapshots if row.id in ids][:3]
        for id in edited:
            await case.person.edit(id, _other_values(case, ids.index(id)))
        rest = [page async for page in pages]
        again = {row.id for page in rest for row in page.snapshots}
        cursor = next((page.cursor for page in reversed([first, *rest]) if page.cursor), None)
        holds(cursor is not None, NO_CURSOR, "name in each page where to go on from")
        again |= {row.id async for page in case.replica.list(cursor) for row in page.snapshots}
        lost = set(edited) - again
        holds(
            not lost,
            f"the cursor skips edits, made while the list was read, of {_many(lost)}",
            "let the cursor stand where the list began, or at the newest row of the page it comes with",
        )


async def goes_on_from_any_page(case: Case) -> None:
    """A run that ends after a page goes on from its cursor and misses nobody."""
    if not case.can.changed_since:
        raise NotJudgedError("changed_since is not declared")
    ids = [await case.added(number) for number in range(case.examples.crowd)]
    first = await _next(case.replica.list())
    holds(first is not None, "list gives no page although there are records", "yield them as pages")
    assert first is not None
    if len({row.id for row in first.snapshots} & set(ids)) == len(ids):
        raise NotJudgedError(f"a page holds more than Examples.crowd = {len(ids)} records")
    if first.cursor is None:
        return
    seen = {row.id for row in first.snapshots}
    seen |= {row.id async for page in case.replica.list(first.cursor) for row in page.snapshots}
    lost = set(ids) - seen
    holds(
        not lost,
        f"whoever goes on from the cursor of the first page misses {_many(lost)}",
        "let a page's cursor cover that page and those before, not the ones behind it",
    )


async def lists_what_was_deleted_since(case: Case) -> None:
    """From a cursor on a list names what was deleted as gone, where the trial says that it tells deletions."""
    if not case.trial.tells_deletions:
        raise NotJudgedError("the trial does not say that deletions are told")
    id, stranger = await case.added(), await case.added(1)
    cursor = await _cursor(case)
    try:
        await case.person.remove(id)
    except Rejected as error:
        raise NotJudgedError("nobody can delete a record") from error
    told = {row.id: row.gone async for page in case.replica.list(cursor) for row in page.snapshots}
    holds(
        told.get(id),
        "what changed since a cursor does not name a record that was deleted",
        "name it as gone (a store: Changes.gone); nobody looks for it before everything is compared",
    )
    holds(not told.get(stranger), "what changed since a cursor names a record as gone that is there", "leave it out")


async def keeps_a_page_as_it_was(case: Case) -> None:
    """A page shows its records as they were when it was given, also to whoever looks at it later."""
    id, name = await case.added(), case.names()[0]
    was, new = case.record()[name], case.another(name, case.record()[name])
    async for page in case.replica.unread():
        tokens = dict(page.known_by)
        if id not in tokens:
            continue
        await case.person.edit(id, {name: new})
        row = next(row for row in page.snapshots if row.id == id)
        changed = row.fields.get(name, ABSENT) not in (case.kept(name, was), ABSENT)
        holds(
            not changed and tokens[id] in (None, row.version),
            "a page that was given shows an edit that came after it",
            "hand out copies, or make a new record of each change: the engine looks at a row when it gets to it",
        )
        return


async def _cursor(case: Case) -> str:
    if not case.can.changed_since:
        raise NotJudgedError("changed_since is not declared")
    cursor = None
    async for page in case.replica.list():
        cursor = page.cursor or cursor
    if cursor is None:
        broken(NO_CURSOR, "name in each page where to go on from")
    return cursor


async def _next(pages: AsyncIterator[Page]) -> Page | None:
    return await anext(pages, None)


async def _row(case: Case, id: str) -> Snapshot:
    rows = [row async for page in case.replica.list() for row in page.snapshots if row.id == id]
    holds(rows, "list leaves out a record", "read on until a page is empty")
    return rows[0]


def _other_values(case: Case, number: int) -> dict[str, Value]:
    name = case.names()[0]
    return {name: case.another(name, case.record(number)[name])}


def _many(ids: Collection[str]) -> str:
    number = len(ids)
    return "a record" if number == 1 else f"{number} records"


LAWS = (
    lists_every_record_once,
    loses_nobody_while_people_work,
    writes_against_rows,
    lists_what_changed_since,
    loses_no_edit_between_pages,
    goes_on_from_any_page,
    lists_what_was_deleted_since,
    keeps_a_page_as_it_was,
)
