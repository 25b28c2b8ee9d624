"""The people on both sides: when they do something (``habits``), and what they had before their eyes (``lineage``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from bidisync.model import Fields, Ref, Side, Value
from bidisync.testing.simulation.habits import ENTERING, HABITS, edit
from bidisync.testing.simulation.lineage import Lineage, token_of
from bidisync.testing.simulation.loop import at_once

if TYPE_CHECKING:
    from bidisync.testing.simulation.world import Remote, World

LEAST, MOST = 6, 9
BUSY_S = 150.0
AT_ONCE = 0.04
SLOTS, PLACES, FIELDS = 64, 6, 5


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

    # What there is at the beginning, and when who does what

    def settle_in(self) -> None:
        """One person known to both sides, one to each side alone."""
        everybody = ((Side.LEFT, Side.RIGHT), (Side.LEFT,), (Side.RIGHT,))
        for sides in everybody[:1] if self.world.scenario.exercise.alone else everybody:
            fields = self.new_person()
            for side in sides:
                self.make(side, fields, hint=False)

    def plan(self) -> None:
        """Draw everything that people will do on their own account."""
        for number in range(MOST):
            drawn = self.world.draw("people", 1.0 if number < LEAST else 0.5, SLOTS * 2 * PLACES * FIELDS * len(HABITS))
            if not drawn:
                continue
            rest, slot = divmod(drawn - 1, SLOTS)
            rest, side = divmod(rest, 2)
            rest, place = divmod(rest, PLACES)
            kind, field = divmod(rest, FIELDS)
            act = HABITS[kind]
            if self.world.scenario.exercise.alone and act in ENTERING:
                act = edit
            self.actions += 1
            at = 3.0 + slot * BUSY_S / SLOTS
            self.world.loop.later(at, act, self, list(Side)[side], place, field)

    def in_the_window(self, remote: str, id: str) -> bool:
        """Somebody may edit a record just before a request of ours arrives there; whether they did."""
        side = Side(remote)
        drawn = self.world.draw("window", self.world.scenario.exercise.edits_in_window, FIELDS)
        if drawn and id in self.world.remote(side).records():
            self.world.fault("U1", f"{remote} {id}")
            self.edit(side, id, drawn - 1)
            return True
        return False

    def enters_first(self, side: Side, who: str) -> None:
        """Somebody enters the person whom a create of ours is about to make."""
        if self.world.draw("twin", AT_ONCE, 1) and not any(
            who == self.who(f) for f in self.world.remote(side).records().values()
        ):
            self.doubled.add(who)
            self.make(side, {**self.world.scenario.person(who)})

    def remove(self, side: Side, id: str) -> None:
        """Somebody deletes this record."""
        self.world.fault("U3", f"{side.value} {id}")
        self.delete(side, id)

    def change(self, side: Side, id: str, field: int) -> None:
        """Somebody edits this record, if it is still there."""
        if id in self.world.remote(side).records():
            self.edit(side, id, field)

    def enter(self, side: Side, who: str = "", *, hint: bool = True) -> str:
        """Somebody enters a new person, or this one again; the record's id."""
        if who:
            self.doubled.add(who)
            ids = [id for id, fields in self.world.remote(side).records().items() if self.who(fields) == who]
            self.excused[side.other, who] += len(
                set(ids) - set(self.made.get((side, who), ()))
            )  # ours, and rightly there
        return self.make(side, {**self.world.scenario.person(who)} if who else self.new_person(), hint=hint)

    def bring_back(self, side: Side, id: str) -> None:
        """Somebody takes a deletion back, where the system can do that."""
        undelete = getattr(self.world.remote(side), "undelete", None)
        if undelete is not None and undelete(id):
            self.world.watch.back.add((side, id))
            self.deleted.discard((side, self.names[side, id]))
            self.world.tell("people", f"{side.value} {id} brought back")
            self.world.hints.moved(side, id)

    def pair(self, place: int) -> Mapping[Side, str] | None:
        """Two records of the same person."""
        id = self.pick(Side.LEFT, place)
        there = None if id is None else self.counterpart(Side.LEFT, id)
        return None if id is None or there is None else {Side.LEFT: id, Side.RIGHT: there}

    # How they do it

    def new_person(self) -> dict[str, Value]:
        """Somebody who is on no record yet."""
        self._persons += 1
        who = f"p{self._persons}"
        return {**self.world.scenario.person(who)}

    def who(self, fields: Fields) -> str:
        """Whose record it is."""
        return token_of(fields.get(self.world.scenario.who))

    def token(self) -> str:
        """A value that nobody else writes."""
        self._tokens += 1
        return f"t{self._tokens}"

    def field_at(self, number: int) -> str:
        """The name of a field that people edit."""
        names = self.world.scenario.edited
        return names[number % len(names)]

    def pick(self, side: Side, place: int) -> str | None:
        """The record at this place, if there is any."""
        ids = list(self.world.remote(side).records())
        return ids[place % len(ids)] if ids else None

    def counterpart(self, side: Side, id: str) -> str | None:
        """The other side's record of the same person."""
        who = self._named(side, id)
        return next((there for there, f in self.world.remote(side.other).records().items() if self.who(f) == who), None)

    def _named(self, side: Side, id: str) -> str:
        key = (side, id)
        if key not in self.names:
            self.names[key] = self.who(self.world.remote(side).records()[id])
        return self.names[key]

    def make(self, side: Side, fields: dict[str, Value], *, hint: bool = True) -> str:
        """A record of this person, entered now; its id."""
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

    def edit(self, side: Side, id: str, field: int, value: str | None = None) -> None:
        """Another value in this field: a new token, if none is given."""
        self.write(side, id, self.field_at(field), value or self.token())

    def write(self, side: Side, id: str, name: str, value: Value) -> None:
        """Somebody, or something, wants this value here."""
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

    def delete(self, side: Side, id: str) -> None:
        """The record ends, and with it knowingly all that it shows."""
        remote: Remote = self.world.remote(side)
        who, fields = self._named(side, id), remote.records()[id]
        shown = {**dict.fromkeys(self.world.scenario.edited), **fields}
        self.kept.update((who, name, token_of(value)) for name, value in shown.items())
        remote.delete(id)
        self.world.watch.back.discard((side, id))
        self.gone.add((side, who))
        self.gone_at.setdefault((side, id), self.world.loop.time())
        link = at_once(self.world.store.inner.load([Ref(side, id)])).get(Ref(side, id))
        known = link is not None and (link.intent is not None or link.on(side.other) is not None)
        if who in self.doubled or not known:  # what the sync never saw, or only as a stranger, it may make again
            self.excused[side.other, who] += 1
        if known:
            self.deleted.add((side, who))
        self.world.tell("people", f"{side.value} {id} ({who}) deleted")
        self.done["delete"] += 1
        self.world.hints.moved(side, id)
