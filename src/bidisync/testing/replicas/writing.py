"""What an update promises."""

from __future__ import annotations

import asyncio

import attrs

from bidisync.errors import Permanent, Stale, SyncError
from bidisync.model import ABSENT, Conditional, Notes, Snapshot, Value
from bidisync.testing.broken import Broken, NotJudgedError, broken, holds
from bidisync.testing.replicas.case import Case, alike

ODD = (
    "  padded  ",
    "Ada ADA ada",
    "Åse Müller-Weiß",
    "A\u030ase",
    "0",
    "1.10",
    'say "x" & <y>',
    "two  spaces",
    "x" * 60,
)
"""Texts that something on the way likes to change."""


async def writes_what_it_is_given(case: Case) -> None:
    """Each value arrives as it was given, and is read again so."""
    for name, value in case.changing().items():
        id = await case.added()
        for new in [*(one.get(name) for one in case.examples.records if one.get(name) != value), value]:
            await _written(case, id, name, new)


async def keeps_odd_values(case: Case) -> None:
    """Any text that the system takes arrives untouched: no trimming, no folding, no rounding."""
    tried = [(name, value) for name, values in case.examples.values.items() for value in values]
    tried += [(name, text) for name in case.examples.texts for text in ODD]
    if not tried:
        raise NotJudgedError("the examples name no texts and no further values")
    id = await case.added()
    for name, value in tried:
        await _written(case, id, name, value)


async def clears_a_field(case: Case) -> None:
    """``None`` empties a field, where the examples say that it may be empty."""
    for name, value in case.changing().items():
        if value is not None and any(one.get(name) is None for one in case.examples.records):
            id = await case.added()
            await _written(case, id, name, None)


async def touches_nothing_else(case: Case) -> None:
    """An update changes the fields it was given and no other, mapped or not."""
    for name, value in case.changing().items():
        id, stranger = await case.added(), await case.added()
        before, others = await case.held(id), await case.held(stranger)
        await case.replica.update(await case.replica.get(id), {name: case.another(name, value)})
        held = await case.held(id)
        for other in sorted({*case.record(), *case.examples.unmapped} - {name}):
            what = "a field that no mapping knows" if other in case.examples.unmapped else f"the field {other!r}"
            holds(
                held.get(other) == before.get(other),
                f"an update of {name!r} changes {what}",
                "send only the fields that were given; where the system replaces records, send what was read with them",
            )
        holds(
            {n: v for n, v in (await case.held(stranger)).items() if n in case.record()}
            == {n: v for n, v in others.items() if n in case.record()},
            "an update changes another record",
            "address the record by the id of the snapshot",
        )


async def writes_nothing_for_no_change(case: Case) -> None:
    """An update of no field leaves all of them."""
    id = await case.added()
    before = await case.held(id)
    await case.replica.update(await case.replica.get(id), {})
    held = await case.held(id)
    for name in case.record():
        holds(held.get(name) == before.get(name), f"an update of nothing changes the field {name!r}", "send no fields")


async def answers_with_what_is_there(case: Case) -> None:
    """The snapshot that an update answers with is what ``get`` shows; its version is the new one."""
    id, name = await case.added(), case.names()[0]
    seen = await case.replica.get(id)
    now = await case.replica.update(seen, {name: case.another(name, case.record()[name])})
    read = await case.replica.get(id)
    if now is None:
        return
    for field, value in read.fields.items():
        shown = now.fields.get(field, ABSENT)
        holds(
            shown is ABSENT or shown == value or field not in case.record(),
            f"update answers with another value of {field!r} than get shows right after it",
            "build the snapshot from the system's reply, or answer None so that it is read back",
        )
    holds(
        now.version == read.version,
        "update answers with the version from before the write",
        "take it from the reply, or answer None: the next write would be refused as stale",
    )


async def refuses_an_outdated_version(case: Case) -> None:
    """Where writes are conditional, one against an outdated version is ``Stale`` and changes nothing."""
    if case.can.conditional_write is Conditional.IGNORED:
        raise NotJudgedError("conditional_write is IGNORED")
    id, (name, other) = await case.added(), case.names()
    seen = await case.replica.get(id)
    await case.person.edit(id, {other: case.another(other, case.record()[other])})
    await _stale(case, seen, name, "after an edit of a person")
    id = await case.added()
    seen = await case.replica.get(id)
    await case.replica.update(seen, {other: case.another(other, case.record()[other])})
    await _stale(case, seen, name, "two writes against one version both succeeded")


async def lets_one_of_two_win(case: Case) -> None:
    """Of two writes at the same moment against one version exactly one succeeds, where that is enforced."""
    if case.can.conditional_write is not Conditional.ENFORCED:
        raise NotJudgedError("conditional_write is not ENFORCED")
    name = case.names()[0]
    for _ in range(5):
        id = await case.added()
        seen = await case.replica.get(id)
        value = case.another(name, case.record()[name])
        tries = [case.replica.update(seen, {name: value}) for _ in range(3)]
        answers = await asyncio.gather(*tries, return_exceptions=True)
        others = [one for one in answers if isinstance(one, BaseException) and not isinstance(one, Stale)]
        if others:
            raise others[0]
        won = sum(not isinstance(one, Stale) for one in answers)
        holds(
            won == 1,
            f"of three writes at once against one version {won} succeed",
            "declare conditional_write=CHECKED, or have the system compare and write in one step",
        )


async def keeps_an_edit_made_meanwhile(case: Case) -> None:
    """A partial write leaves what somebody else changed since the read."""
    if not case.can.partial_write:
        raise NotJudgedError("partial_write is not declared")
    id, (name, other) = await case.added(), case.names()
    seen = await case.replica.get(id)
    theirs = case.another(other, case.record()[other])
    await case.person.edit(id, {other: theirs})
    try:
        await case.replica.update(seen, {name: case.another(name, case.record()[name])})
    except Stale:
        seen = await case.replica.get(id)
        poor = {field: ABSENT if field == other else value for field, value in seen.fields.items()}
        await case.replica.update(attrs.evolve(seen, fields=poor), {name: case.another(name, case.record()[name])})
    holds(
        (await case.held(id)).get(other) == case.kept(other, theirs),
        "partial_write is declared, and an update replaces the whole record",
        "send only the fields given, or declare partial_write=False",
    )


async def does_not_write_to_what_is_gone(case: Case) -> None:
    """An update of a record that was deleted meanwhile is ``Stale``, and brings nothing back."""
    id, name = await case.added(), case.names()[0]
    seen = await case.replica.get(id)
    try:
        await case.person.remove(id)
    except SyncError as error:
        raise NotJudgedError("nobody can delete a record") from error
    try:
        await case.replica.update(seen, {name: case.another(name, case.record()[name])})
    except Stale:
        pass
    except SyncError as error:
        raise Broken(f"update of a deleted record raises {type(error).__name__}", "raise Stale: look again") from error
    else:
        broken("update of a deleted record succeeds", "raise Stale where the system does not know the record")
    back = await case.person.read(id) is not None
    holds(not back, "update brings back a deleted record", "never create in an update")


async def says_which_change_is_refused(case: Case) -> None:
    """A change that the system refuses is ``Rejected`` or ``Unmappable``, and changes nothing."""
    invalid = case.invalid()
    id = await case.added()
    before = await case.held(id)
    try:
        await case.replica.update(await case.replica.get(id), invalid)
    except Permanent:
        pass
    except SyncError as error:
        raise Broken(
            f"update raises {type(error).__name__} for a change that the system refuses",
            "raise Rejected: the engine would try for ever what can't succeed",
        ) from error
    else:
        broken("update swallows the refusal of the system", "raise Rejected, with the field where the system names it")
    held = await case.held(id)
    same = all(held.get(name) == before.get(name) for name in case.record())
    holds(same, "update changes a record although it says that this was refused", "send all fields in one request")


async def takes_fields_in_any_order(case: Case) -> None:
    """The order in which fields are given makes no difference."""
    first, second = case.changing(), case.changing(1)
    changes = {name: case.another(name, value) for name, value in first.items() if second.get(name) != value}
    found = []
    for order in (changes, dict(reversed(changes.items()))):
        id = await case.added()
        await case.replica.update(await case.replica.get(id), order)
        held = await case.held(id)
        found.append({name: held.get(name) for name in first})
    holds(found[0] == found[1], "the order of the fields makes a difference", "address fields by name")


async def keeps_notes(case: Case) -> None:
    """Notes are shown as they were written, found by their counterpart, and what they leave out stays."""
    one, two = case.examples.counterparts
    id, stranger = await case.added(), await case.added(1)
    if not case.can.keeps_notes:
        found = await case.replica.find_by_counterpart(one)
        holds(
            not found, "notes are not kept, and yet records are found by their counterpart", "declare keeps_notes=True"
        )
        return
    for record, counterpart in ((id, one), (stranger, two)):
        await case.replica.update(await case.replica.get(record), {}, notes=Notes(counterpart=counterpart))
    await case.noted(id, one, "update loses the notes that it is given")
    name = case.names()[0]
    await case.replica.update(
        await case.replica.get(id), {name: case.another(name, case.record()[name])}, notes=Notes(attempts=2)
    )
    await case.noted(id, one, "a note that was not given is emptied")
    await case.replica.update(await case.replica.get(id), {name: case.record()[name]})
    await case.noted(id, one, "an update without notes empties them")
    case.shows(await case.replica.get(id), case.record(), "when notes and fields are written")
    await case.finds(id, one)


async def _written(case: Case, id: str, name: str, value: Value) -> None:
    seen = await case.replica.get(id)
    try:
        now = await case.replica.update(seen, {name: value})
    except Permanent as error:
        raise Broken(
            f"update refuses {value!r} in the field {name!r} ({type(error).__name__})",
            "name only texts that the system takes: Examples.values instead of Examples.texts where it is particular",
        ) from error
    kept, how = case.kept(name, value), "when update writes a record"
    read = await case.replica.get(id)
    if now is not None and name in now.fields:
        claim, there = now.fields[name], read.fields.get(name, ABSENT)
        holds(
            claim == there,
            f"update says that it wrote {name!r}, and get shows another value",
            "build the snapshot from the system's reply, or answer None so that it is read back",
        )
    alike(name, kept, (await case.held(id)).get(name), how)
    alike(name, kept, read.fields.get(name, ABSENT), "when get reads what was written")


async def _stale(case: Case, seen: Snapshot, name: str, when: str) -> None:
    before = await case.held(seen.id)
    try:
        await case.replica.update(seen, {name: case.another(name, before.get(name))})
    except Stale:
        pass
    else:
        broken(
            f"update lost the version ({when})",
            "send the version seen and raise Stale where it is refused; or declare conditional_write=IGNORED",
        )
    now = await case.held(seen.id)
    same = all(now.get(field) == before.get(field) for field in case.record())
    holds(same, "update raises Stale after it has written", "check the version before anything is sent")


LAWS = (
    writes_what_it_is_given,
    keeps_odd_values,
    clears_a_field,
    touches_nothing_else,
    writes_nothing_for_no_change,
    answers_with_what_is_there,
    refuses_an_outdated_version,
    lets_one_of_two_win,
    keeps_an_edit_made_meanwhile,
    does_not_write_to_what_is_gone,
    says_which_change_is_refused,
    takes_fields_in_any_order,
    keeps_notes,
)
