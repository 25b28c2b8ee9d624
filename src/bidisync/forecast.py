"""What a pass would do, added up while its lists are read and before anything is sent.

A plan is made for every linked record that moved, from its row and what is remembered of the
other side; likewise for two strangers that are found to be the same, if the rows of both were
kept. That is a forecast: each record is read and decided again when its turn comes. It
is good enough to see that a pass would overwrite a fifth of everybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import attrs

from bidisync.conflicts import ask, fill_blanks
from bidisync.guards import DAY_S, LEAST_SAMPLE, Act, Run, acts_of, shrunk, too_much
from bidisync.index import Index
from bidisync.model import ABSENT, Defer, Ref, Side, Snapshot
from bidisync.parts import Parts, living
from bidisync.reconcile import reconcile
from bidisync.schema import OnDelete
from bidisync.state import Link


@attrs.define
class Forecast:
    """The acts of a pass to come, by link, and what its lists looked like; ``anew``: it is the first over its scope."""

    parts: Parts
    index: Index
    anew: bool = False
    _acts: dict[str, tuple[str, ...]] = attrs.Factory(dict)
    _met: dict[frozenset[Ref], bool] = attrs.Factory(dict)  # two strangers, and whether either is a link already
    _linked: Counter[Side] = attrs.Factory(Counter)
    _moved: Counter[Side] = attrs.Factory(Counter)

    def at_rest(self, side: Side, number: int = 1) -> None:
        """So many linked records are as they were."""
        self._linked[side] += number

    def moved(self, link: Link, side: Side, row: Snapshot, rows: Mapping[Ref, Snapshot]) -> None:
        """A linked record moved, or is due for something else: what would follow."""
        self._linked[side] += 1
        self._moved[side] += not _as_agreed(link, side, row)
        other = side.other
        id = link.on(other)
        complete = self.parts.replica(side).capabilities.row_is_complete
        if id is None or link.tombstoned or row.awaits or not complete:
            return
        shown = rows.get(Ref(other, id))
        theirs = shown or _remembered(link, other)
        if theirs is not None:
            self._decided(link, {side: row, other: theirs})
            if shown is None and any(row.fields.get(name) is not None for name in self._unknown(theirs)):
                self._overwrites(link)

    def due(self, link: Link) -> None:
        """A link is due again: what would follow if its records are as they were last seen."""
        looks = {side: seen for side in Side if (seen := _remembered(link, side)) is not None}
        if len(looks) == len(Side) and not link.tombstoned:
            self._decided(link, looks)
            if any(self._unknown(look) for look in looks.values()):
                self._overwrites(link)

    def _unknown(self, remembered: Snapshot) -> list[str]:
        """The fields that are new to that side, and may be overwritten there: nobody knows what it holds in them."""
        if not self.anew:
            return []
        careful = {group.name for group in self.parts.policy.groups if group.initial in (ask, fill_blanks)}
        new = [field for field in self.parts.policy.fields if field.name not in remembered.fields]
        return [field.name for field in new if field.group not in careful]

    def _overwrites(self, link: Link) -> None:
        """Count the link as one that is overwritten, wherever that may be."""
        self._acts[link.id] = (*self._acts[link.id], *(Act.OVERWRITE.on(one) for one in Side))

    def _decided(self, link: Link, looks: Mapping[Side, Snapshot]) -> None:
        plan = reconcile(self.parts.policy, link.base, looks[Side.LEFT], looks[Side.RIGHT], link.reviews)
        self._acts[link.id] = acts_of(plan)

    async def stranger(self, link_id: str, side: Side, row: Snapshot, rows: Mapping[Ref, Snapshot]) -> None:
        """A record has no counterpart: whether one would be made, or what would follow if it meets another stranger."""
        if row.awaits:
            return
        mine = Ref(side, row.id)
        there = await self._counterpart(side, row)
        if there is None:
            if self.parts.replica(side.other).capabilities.creates:
                self._acts[link_id] = (Act.CREATE.on(side.other),)
        elif isinstance(there, Ref) and there in rows and (pair := frozenset((mine, there))) not in self._met:
            links = await self.parts.store.load([mine, there])
            if there not in links or links[there].on(side) is None:
                self._met[pair] = bool(links)
                left, right = (row, rows[there]) if side is Side.LEFT else (rows[there], row)
                self._acts[link_id] = acts_of(reconcile(self.parts.policy, {}, left, right, ()))

    async def _counterpart(self, side: Side, row: Snapshot) -> Ref | Defer | None:
        """Who a record without a counterpart is taken for, as far as the index knows."""
        if row.notes is not None and row.notes.counterpart is not None:
            return Ref(side.other, row.notes.counterpart)
        known = await self.index.matches(side.other, row)
        return self.parts.identity.judge(self.index.keys(row), known, taken=lambda _: False)

    def missing(self, link_id: str, side: Side) -> None:
        """A linked record is in no list: it may be gone."""
        kept = side.other
        removes = self.parts.policy.on_delete in (OnDelete.PROPAGATE, OnDelete.ARCHIVE)
        if removes and kept in self.parts.policy.deletes_on:
            self._acts[link_id] = (Act.DELETE.on(kept),)

    async def judge(self, run: Run, listed: Mapping[Side, int], *, full: bool) -> Run:
        """The same run, knowing what is held in it. ``listed`` is how long each complete list was."""
        parts = self.parts
        held: dict[str, str] = {}
        if self._acts:
            lately = await parts.store.acts_since(parts.clock.now() - DAY_S)
            run = attrs.evolve(run, links=await living(parts))
            meeting = sum(not linked for linked in self._met.values())
            held = too_much(parts.bounds, self._acts, lately, run.links, meeting)
        if run.first_contact:
            held = {act: reason for act, reason in held.items() if not act.startswith(Act.CREATE.value)}
        for side in Side:
            if full and self._everything(side):
                for act in (Act.OVERWRITE, Act.BLANK):
                    held[act.on(side.other)] = "everything_changed"
            if await self._shrank(side, listed):
                held[Act.DELETE.on(side.other)] = "list_shrank"
        return attrs.evolve(run, held=held)

    def _everything(self, side: Side) -> bool:
        """Whether all records of a list changed at once; who lets everything be overwritten expects that."""
        expected = self.parts.bounds.max_overwrite_percent >= 100
        return not expected and self._moved[side] == self._linked[side] >= LEAST_SAMPLE

    async def _shrank(self, side: Side, listed: Mapping[Side, int]) -> bool:
        """Whether a complete list is much shorter than the last one; if it stays so, that is how long it is."""
        if side not in listed:
            return False
        store = self.parts.store
        before, short = await store.get_mark(f"listed:{side.value}"), f"short:{side.value}"
        if before is not None and shrunk(int(before), listed[side]) and await store.get_mark(short) is None:
            await store.set_mark(short, str(listed[side]))
            return True
        if before != str(listed[side]):
            await store.set_mark(f"listed:{side.value}", str(listed[side]))
        if await store.get_mark(short) is not None:
            await store.set_mark(short, None)
        return False


def _remembered(link: Link, side: Side) -> Snapshot | None:
    """A side as it was last seen."""
    id, shadow = link.on(side), link.shadow(side)
    if id is None or shadow is None:
        return None
    return Snapshot(id, shadow.fields, shadow.version, unreadable=shadow.unreadable)


def _as_agreed(link: Link, side: Side, row: Snapshot) -> bool:
    """Whether a record is what it was and holds what was agreed on, as far as anything was: it did not change."""
    shadow = link.shadow(side)
    if shadow is None or shadow.version != row.version:
        return False
    return all(
        name in link.base and link.base[name].on(side) == value
        for name, value in row.fields.items()
        if name in shadow.fields and value is not ABSENT
    )
