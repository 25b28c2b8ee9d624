"""The people on both sides: what they do, when, and what they had before their eyes.

Every edit writes a value that nobody else writes, a *token*, and remembers which token it
replaced: its parent. Whatever becomes of the record, each token must in the end be an
ancestor of a value that is still there, that the journal keeps, or that a person deleted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import attrs

from bidisync.model import ABSENT, Fields, Ref, Seen, Side, Value
from bidisync.testing.simulation.loop import at_once

if TYPE_CHECKING:
    from bidisync.testing.simulation.world import Remote, World

LEAST, MOST = 6, 9
BUSY_S = 150.0
AT_ONCE = 0.04
SLOTS, PLACES, FIELDS = 64, 6, 5


def token_of(value: Seen) -> str:
    """The token that a value is, however it is spelled; empty for an empty one."""
    return "" if value is ABSENT or value is None else str(value).strip().casefold()


@attrs.define
class Lineage:
    """Which edit replaced which value, for every field of every person on record."""

    parents: dict[tuple[str, str, str], set[tuple[str, str, str]]] = attrs.Factory(dict)
    reused: set[tuple[str, str]] = attrs.Factory(set)
    """Fields that got a value for a second time: there, who knew what can't be told."""
    edits: dict[tuple[str, str, str], str] = attrs.Factory(dict)
    """Each edit (who, field, token) and the moment and side at which it was made, in words."""
    sides: dict[tuple[str, str, str], set[Side]] = attrs.Factory(dict)
    """The sides on which people made each edit."""

    def edited(self, who: str, field: str, token: str, before: Iterable[str], side: Side, told: str) -> None:
        """Somebody replaced one of these values."""
        key = (who, field, token)
        if not token or key in self.parents:
            self.reused.add((who, field))
        self.parents.setdefault(key, set()).update((who, field, old) for old in before if old != token)
        if token:
            self.edits.setdefault(key, told)
            self.sides.setdefault(key, set()).add(side)

    def ancestors(self, roots: Iterable[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
        """The roots, and everything that was knowingly replaced on the way to them."""
        found, todo = set(roots), list(roots)
        while todo:
            for parent in self.parents.get(todo.pop(), ()):
                if parent not in found:
                    found.add(parent)
                    todo.append(parent)
        return found

    def descends(self, one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
        """Whether one of the two knowingly replaced the other."""
        return one in self.ancestors([other]) or other in self.ancestors([one])


@attrs.define(eq=False)
class People:
    """Everybody who edits, on both sides."""

    world: World
    lineage: Lineage = attrs.Factory(Lineage)
    made: dict[tuple[Side, str], list[str]] = attrs.Factory(dict)
    """Ids of the records that people made, by side and person on record; also deleted ones."""
    gone: set[tuple[Side, str]] = attrs.Factory(set)
    """Whose record was deleted on which side."""
    gone_at: dict[tuple[Side, str], float] = attrs.Factory(dict)
    """When each record was deleted first."""
    deleted: set[tuple[Side, str]] = attrs.Factory(set)
    """Likewise, and the sync knew the record, so it must not come back."""
    kept: set[tuple[str, str, str]] = attrs.Factory(set)
    """Tokens that a person knowingly deleted with their record."""
    doubled: set[str] = attrs.Factory(set)
    excused: Counter[tuple[Side, str]] = attrs.Factory(Counter)
    """How often somebody was entered again while the sync could not know them: by side and person."""
    names: dict[tuple[Side, str], str] = attrs.Factory(dict)
    actions: int = 0
    done: Counter[str] = attrs.Factory(Counter)
    _tokens: int = 0
    _persons: int = 0
    _last_edit: dict[tuple[Side, str], float] = attrs.Factory(dict)
    _conflicts: set[tuple[str, str]] = attrs.Factory(set)

    # What there is at the beginning, and when who does what

    def settle_in(self) -> None:
        """One person known to both sides, one to each side alone."""
        everybody = ((Side.LEFT, Side.RIGHT), (Side.LEFT,), (Side.RIGHT,))
        for sides in everybody[:1] if self.world.scenario.exercise.alone else everybody:
            fields = self._new_person()
            for side in sides:
                self._make(side, fields, hint=False)

    def plan(self) -> None:
        """Draw everything that people will do on their own account."""
        for number in range(MOST):
            drawn = self.world.draw("people", 1.0 if number < LEAST else 0.5, SLOTS * 2 * PLACES * FIELDS * len(_KINDS))
            if not drawn:
                continue
            rest, slot = divmod(drawn - 1, SLOTS)
            rest, side = divmod(rest, 2)
            rest, place = divmod(rest, PLACES)
            kind, field = divmod(rest, FIELDS)
            act = _KINDS[kind]
            if self.world.scenario.exercise.alone and act in _ENTERING:
                act = People.edit
            self.actions += 1
            at = 3.0 + slot * BUSY_S / SLOTS
            self.world.loop.later(at, act, self, list(Side)[side], place, field)

    def in_the_window(self, remote: str, id: str) -> bool:
        """Somebody may edit a record just before a request of ours arrives there; whether they did."""
        side = Side(remote)
        drawn = self.world.draw("window", self.world.scenario.exercise.edits_in_window, FIELDS)
        if drawn and id in self.world.remote(side).records():
            self.world.fault("U1", f"{remote} {id}")
            self._edit(side, id, drawn - 1)
            return True
        return False

    def enters_first(self, side: Side, who: str) -> None:
        """Somebody enters the person whom a create of ours is about to make."""
        if self.world.draw("twin", AT_ONCE, 1) and not any(
            who == self.who(f) for f in self.world.remote(side).records().values()
        ):
            self.doubled.add(who)
            self._make(side, {**self.world.scenario.person(who)})

    def remove(self, side: Side, id: str) -> None:
        """Somebody deletes this record."""
        self.world.fault("U3", f"{side.value} {id}")
        self._delete(side, id)

    def change(self, side: Side, id: str, field: int) -> None:
        """Somebody edits this record, if it is still there."""
        if id in self.world.remote(side).records():
            self._edit(side, id, field)

    def enter(self, side: Side, who: str = "", *, hint: bool = True) -> str:
        """Somebody enters a new person, or this one again; the record's id."""
        if who:
            self.doubled.add(who)
            ids = [id for id, fields in self.world.remote(side).records().items() if self.who(fields) == who]
            self.excused[side.other, who] += len(
                set(ids) - set(self.made.get((side, who), ()))
            )  # ours, and rightly there
        return self._make(side, {**self.world.scenario.person(who)} if who else self._new_person(), hint=hint)

    def bring_back(self, side: Side, id: str) -> None:
        """Somebody takes a deletion back, where the system can do that."""
        undelete = getattr(self.world.remote(side), "undelete", None)
        if undelete is not None and undelete(id):
            self.world.watch.back.add((side, id))
            self.deleted.discard((side, self.names[side, id]))
            self.world.tell("people", f"{side.value} {id} brought back")
            self.world.hints.moved(side, id)

    def insist(self, side: Side, id: str, field: str, value: Value) -> None:
        """Somebody, or something, wants this value here."""
        self._write(side, id, field, value)

    def pair(self, place: int) -> Mapping[Side, str] | None:
        """Two records of the same person."""
        id = self._pick(Side.LEFT, place)
        there = None if id is None else self._counterpart(Side.LEFT, id)
        return None if id is None or there is None else {Side.LEFT: id, Side.RIGHT: there}

    # What they do

    def edit(self, side: Side, place: int, field: int) -> None:
        """One field of one record."""
        id = self._pick(side, place)
        if id is not None:
            self._edit(side, id, field)

    def edit_both(self, side: Side, place: int, field: int) -> None:
        """The same field on both sides, differently, and once more while it is settled."""
        id = self._pick(side, place)
        there = None if id is None else self._counterpart(side, id)
        if id is None or there is None:
            return self.edit(side, place, field)
        self._edit(side, id, field)
        self._edit(side.other, there, field)
        self.world.loop.later(1.3, self._again, side, id, field)
        return None

    def _again(self, side: Side, id: str, field: int) -> None:
        if id in self.world.remote(side).records():
            self.world.fault("U2", f"{side.value} {id}")
            self._edit(side, id, field)

    def edit_alike(self, side: Side, place: int, field: int) -> None:
        """The same edit on both sides."""
        id = self._pick(side, place)
        there = None if id is None else self._counterpart(side, id)
        if id is None or there is None:
            return self.edit(side, place, field)
        self.world.fault("U7", f"{side.value} {id}")
        token = self._token()
        self._edit(side, id, field, token)
        self._edit(side.other, there, field, token)
        return None

    def edit_and_back(self, side: Side, place: int, field: int) -> None:
        """An edit, and after a while the old value again."""
        id = self._pick(side, place)
        if id is None:
            return
        name = self._field(field)
        old = self.world.remote(side).records()[id].get(name)
        self._edit(side, id, field)

        def back() -> None:
            if id in self.world.remote(side).records():
                self.world.fault("U8", f"{side.value} {id}")
                self._write(side, id, name, None if old is ABSENT else old)

        self.world.loop.later(9.0, back)

    def clear(self, side: Side, place: int, field: int) -> None:
        """A field emptied."""
        id = self._pick(side, place)
        if id is not None:
            self._write(side, id, self._field(field), None)

    def respell(self, side: Side, place: int, field: int) -> None:
        """A value in a spelling that one side makes into another."""
        id = self._pick(side, place)
        if id is not None:
            self.world.fault("R1", f"{side.value} {id}")
            self._edit(side, id, field, f" {self._token()} ")

    def create(self, side: Side, place: int, field: int) -> None:
        """A new person."""
        self._make(side, self._new_person())

    def delete(self, side: Side, place: int, field: int) -> None:
        """One record deleted."""
        id = self._pick(side, place)
        if id is not None:
            self.world.fault("U3", f"{side.value} {id}")
            self._delete(side, id)

    def delete_against_edit(self, side: Side, place: int, field: int) -> None:
        """One side deletes what the other one edits."""
        id = self._pick(side, place)
        there = None if id is None else self._counterpart(side, id)
        if id is not None and there is not None:
            self.world.fault("U4", f"{side.value} {id}")
            self._edit(side.other, there, field)
            self._delete(side, id)

    def delete_and_make_again(self, side: Side, place: int, field: int) -> None:
        """A record deleted, and somebody of the same name and date entered later."""
        id = self._pick(side, place)
        if id is None:
            return
        who = self.names[side, id]
        self._delete(side, id)

        def again() -> None:
            self.world.fault("U5", f"{side.value} {who}")
            self.doubled.add(who)
            self._make(side, {**self.world.scenario.person(who)})

        self.world.loop.later(35.0, again)

    def merge(self, side: Side, place: int, field: int) -> None:
        """A record entered twice by mistake; somebody notices, and deletes one."""
        id = self._pick(side, place)
        if id is None:
            return
        who = self.names[side, id]
        self.doubled.add(who)
        copy = self._make(side, {**self.world.scenario.person(who)})

        def merged() -> None:
            if copy in self.world.remote(side).records():
                self.world.fault("U6", f"{side.value} {copy}")
                self._delete(side, copy)

        self.world.loop.later(25.0, merged)

    def edit_ignored(self, side: Side, place: int, field: int) -> None:
        """A field that the other side takes only at a create."""
        names = self.world.scenario.ignored_by(side.other)
        id = self._pick(side, place)
        if id is not None and names:
            self.world.fault("R7", f"{side.value} {id}")
            self._write(side, id, names[field % len(names)], self._token())

    def poison(self, side: Side, place: int, field: int) -> None:
        """A value that the other side refuses, put right after a while."""
        id, bad = self._pick(side, place), self.world.scenario.refused(side.other)
        if id is None or bad is None:
            return
        name, value = bad
        self.world.fault("D9", f"{side.value} {id}")
        self._write(side, id, name, f"{self._token()}{value}")

        def cured() -> None:
            if id in self.world.remote(side).records():
                self._write(side, id, name, self._token())

        self.world.loop.later(40.0, cured)

    # How

    def _new_person(self) -> dict[str, Value]:
        self._persons += 1
        who = f"p{self._persons}"
        return {**self.world.scenario.person(who)}

    def who(self, fields: Fields) -> str:
        """Whose record it is."""
        return token_of(fields.get(self.world.scenario.who))

    def _token(self) -> str:
        self._tokens += 1
        return f"t{self._tokens}"

    def _field(self, number: int) -> str:
        names = self.world.scenario.edited
        return names[number % len(names)]

    def _pick(self, side: Side, place: int) -> str | None:
        ids = list(self.world.remote(side).records())
        return ids[place % len(ids)] if ids else None

    def _counterpart(self, side: Side, id: str) -> str | None:
        who = self._named(side, id)
        return next((there for there, f in self.world.remote(side.other).records().items() if self.who(f) == who), None)

    def _named(self, side: Side, id: str) -> str:
        key = (side, id)
        if key not in self.names:
            self.names[key] = self.who(self.world.remote(side).records()[id])
        return self.names[key]

    def _make(self, side: Side, fields: dict[str, Value], *, hint: bool = True) -> str:
        known = self._linked(side.other, self.who(fields))
        id = self.world.remote(side).create(fields)
        who = self._named(side, id)
        if who in self.doubled and not known:
            self.excused[side, who] += 1
        self.made.setdefault((side, who), []).append(id)
        self.world.tell("people", f"{side.value} {id}: {who} entered")
        self.done["create"] += 1
        if hint:
            self.world.hints.moved(side, id)
        return id

    def _linked(self, side: Side, who: str) -> bool:
        """Whether the sync knows a live record of this person on that side as half of a pair."""
        refs = [Ref(side, id) for id, fields in self.world.remote(side).records().items() if self.who(fields) == who]
        links = at_once(self.world.store.inner.load(refs))
        return any(link.on(side.other) is not None for link in links.values())

    def _edit(self, side: Side, id: str, field: int, value: str | None = None) -> None:
        self._write(side, id, self._field(field), value or self._token())

    def _write(self, side: Side, id: str, name: str, value: Value) -> None:
        remote, now = self.world.remote(side), self.world.loop.time()
        who, before = self._named(side, id), token_of(remote.records()[id].get(name))
        if int(self._last_edit.get((side, id), -9.0)) == int(now):
            self.world.fault("R4", f"{side.value} {id}")
        self._last_edit[side, id] = now
        remote.edit(id, name, value)
        self.lineage.edited(who, name, token_of(value), [before], side, f"{now:.2f} s, {side.value} {id}")
        self.world.tell(
            "people", f"{side.value} {id} ({who}): {name} {before or 'empty'} → {token_of(value) or 'empty'}"
        )
        self.done["edit"] += 1
        self.world.hints.moved(side, id)

    def _delete(self, side: Side, id: str) -> None:
        remote: Remote = self.world.remote(side)
        who, fields = self._named(side, id), remote.records()[id]
        shown = {**dict.fromkeys(self.world.scenario.edited), **fields}
        self.kept.update((who, name, token_of(value)) for name, value in shown.items())
        remote.delete(id)
        self.world.watch.back.discard((side, id))
        self.gone.add((side, who))
        self.gone_at.setdefault((side, id), self.world.loop.time())
        link = at_once(self.world.store.inner.load([Ref(side, id)])).get(Ref(side, id))
        if who in self.doubled or link is None:  # what the sync never saw it may make again
            self.excused[side.other, who] += 1
        if link is not None and (link.intent is not None or link.on(side.other) is not None):
            self.deleted.add((side, who))
        self.world.tell("people", f"{side.value} {id} ({who}) deleted")
        self.done["delete"] += 1
        self.world.hints.moved(side, id)


_KINDS: tuple[Callable[[People, Side, int, int], None], ...] = (
    *[People.edit] * 8,
    *[People.edit_both] * 3,
    People.edit_alike,
    People.edit_and_back,
    People.clear,
    People.respell,
    *[People.create] * 2,
    People.delete,
    People.delete_against_edit,
    People.delete_and_make_again,
    People.merge,
    People.edit_ignored,
    People.poison,
)
_ENTERING = (People.create, People.delete_and_make_again, People.merge)
