"""What must hold once faults have stopped and the last worker found nothing left to do.

The laws are those of ``design/reliability.md``, C1 to C15, as far as one run can tell.
"""

from __future__ import annotations

import re
from collections import Counter

import attrs

from bidisync.events import Examined, Failed, Wrote
from bidisync.look import same
from bidisync.model import ABSENT, Decision, LinkState, ReviewKind, Row, Seen, Side, Verb
from bidisync.replay import Repeat, replay
from bidisync.state import Link
from bidisync.testing.simulation.drills import MOST_ALIKE
from bidisync.testing.simulation.lineage import token_of
from bidisync.testing.simulation.watch import notes_of
from bidisync.testing.simulation.world import Applied, World

_TOKEN = re.compile(r"\bt\d+\b")
Key = tuple[str, str, str]
STUCK = 4
LEAST_GRACE_S = 5.0
"""Two passes of two workers may be close to each other, but not closer than this."""


@attrs.define
class Verdict:
    """What was found beside violations."""

    window_losses: int = 0  # edits written over unseen, where the remote has no conditional write
    edits: int = 0
    writes: int = 0  # ours, that carried data
    states: Counter[str] = attrs.Factory(Counter)
    settled: int = 0  # conflicts that a strategy settled
    unlisted: int = 0  # records that neither a list nor a hint ever showed
    spurious: int = 0  # of these, where one edit knew the other
    replayed: int = 0  # decisions that were made again from the journal


@attrs.define(eq=False)
class Oracle:
    """Judges one world at rest."""

    world: World
    verdict: Verdict = attrs.Factory(Verdict)
    _links: list[Link] = attrs.Factory(list)

    async def judge(self) -> Verdict:
        """Every law; violations are told to the world."""
        world = self.world
        self._links = [link async for links in world.store.inner.links() for link in links]
        self.verdict.edits = world.people.done["edit"]
        self.verdict.writes = sum(self._has_data(applied) for applied in world.applied)
        self.verdict.states.update(link.state.value for link in self._links)
        self._no_lost_update()
        self._no_duplicates()
        self._converged()
        self._no_resurrection()
        self._deletions_told()
        self._nothing_due()
        self._shown()
        self._journaled()
        self._replayed()
        self._conflicts()
        self._no_way_back()
        self._no_values_told()
        self._nothing_deleted()
        self._no_quarrel()
        self._attempts_counted()
        if not world.faulty:
            self._no_more_writes_than_edits()
        return self.verdict

    def _key(self, side: Side, id: str, field: str, value: Seen) -> Key:
        return (self.world.people.names.get((side, id)) or "", field, token_of(value))

    def _no_lost_update(self) -> None:
        """C2."""
        world, people = self.world, self.world.people
        roots: set[Key] = set(people.kept)
        for side in Side:
            for fields in world.remote(side).records().values():
                who = people.who(fields)
                roots.update((who, name, token_of(value)) for name, value in fields.items())
        for link, line in world.store.journaled:
            who = self._who(link)
            roots.update((who, name, token_of(value)) for name, _, value in line.lost)
        certain = people.lineage.ancestors(roots)
        window: set[Key] = set()
        for applied in world.applied:
            window.update(self._key(applied.side, applied.id, f, applied.before.get(f)) for f in applied.in_window)
        traced = certain | people.lineage.ancestors(window) if window else certain
        for key, told in people.lineage.edits.items():
            if key in certain:
                continue
            self.verdict.window_losses += 1
            if key not in traced or world.scenario.enforced:
                world.violated("C2", f"the edit {key[2]} of {key[1]} ({key[0]}; {told}) is lost without a trace")

    def _who(self, link: Link) -> str:
        for side in Side:
            id = link.on(side)
            if id is not None and (side, id) in self.world.people.names:
                return self.world.people.names[side, id]
        for side in Side:
            shadow = link.shadow(side)
            if shadow is not None and self.world.scenario.who in shadow.fields:
                return self.world.people.who(shadow.fields)
        return ""

    def _by_person(self, side: Side) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for id, fields in self.world.remote(side).records().items():
            found.setdefault(self.world.people.who(fields), []).append(id)
        return found

    def _no_duplicates(self) -> None:
        """C3: nobody is doubled by us; links are one-to-one."""
        people = self.world.people
        for side in Side:
            for who, ids in self._by_person(side).items():
                entered = people.made.get((side, who), ())
                allowed = max(1, sum(id in ids for id in entered))
                if who in people.doubled and self.world.restored:
                    # an old state does not know of a deletion: the other side's record is copied back once for each
                    allowed += len(people.made.get((side.other, who), ())) + sum(id not in ids for id in entered)
                elif who in people.doubled:  # somebody entered twice may be known twice to the other side too
                    allowed += people.excused[side.other, who]
                if len(ids) > allowed:
                    self.world.violated("C3", f"{who} stands {len(ids)} times on the {side.value}")
        owners = Counter(ref for link in self._links if not link.tombstoned for ref in link.refs)
        for ref, number in owners.items():
            if number > 1:
                self.world.violated("C3", f"{ref} is part of {number} links")

    def _converged(self) -> None:
        """C1: whoever was neither deleted nor doubled is on both sides, and equal but for what waits."""
        world, people = self.world, self.world.people
        lefts, rights = self._by_person(Side.LEFT), self._by_person(Side.RIGHT)
        by_ref = {ref: link for link in self._links if not link.tombstoned for ref in link.refs}
        for who in sorted({*lefts, *rights}):
            if who in people.doubled or any((side, who) in people.gone for side in Side):
                continue
            ids = (lefts.get(who, []), rights.get(who, []))
            refs = [(side, id) for side, found in zip(Side, ids, strict=True) for id in found]
            links = {link.id: link for ref, link in by_ref.items() if (ref.side, ref.id) in refs}
            if any(link.state.waits_for_a_person and not link.settled for link in links.values()):
                continue
            if not links and world.scenario.exercise.unlisted:
                self.verdict.unlisted += 1
                continue
            if len(links) != 1 or any(len(found) != 1 for found in ids):
                waits = all(link.state.waits_for_a_person for link in links.values())
                if not (links and waits):
                    world.violated("C1", f"{who} is on {[len(found) for found in ids]} sides, in {len(links)} links")
                continue
            self._equal(who, next(iter(links.values())), ids[0][0], ids[1][0])

    def _equal(self, who: str, link: Link, left: str, right: str) -> None:
        world = self.world
        if self._waits(link, ReviewKind.HELD):
            return
        frozen = {review.group for review in link.reviews if review.freezes}
        named = {name for review in link.reviews for name in review.fields}
        lefts, rights = world.remote(Side.LEFT).records()[left], world.remote(Side.RIGHT).records()[right]
        for field in world.scenario.policy.fields:
            if field.name in named or field.group in frozen or link.attempts.dead:
                continue
            one, other = lefts.get(field.name, ABSENT), rights.get(field.name, ABSENT)
            if ABSENT not in (one, other) and not same(field, one, other):
                base = link.base.get(field.name)
                accepted = base is not None and same(field, base.left, one) and same(field, base.right, other)
                if accepted and (field.create_only or field.read_only):
                    continue
                world.violated("C1", f"{who}.{field.name} differs: {token_of(one)!r} and {token_of(other)!r}")

    def _no_resurrection(self) -> None:
        """C4: who was deleted stays so, unless a person enters them again."""
        people = self.world.people
        if self.world.restored:
            return
        for side, who in people.deleted:
            live = self._by_person(side).get(who, [])
            by_us = [id for id in live if id not in people.made.get((side, who), ())]
            if by_us and who not in people.doubled:
                self.world.violated("C4", f"{who} was deleted on the {side.value}, and is there again")

    def _deletions_told(self) -> None:
        """C10: what one side deleted waits for a person, as long as the other side has it."""
        live = {side: self.world.remote(side).records() for side in Side}
        for link in self._links:
            if link.left_id is None or link.right_id is None:
                continue
            there = [link.on(side) in live[side] for side in Side]
            if link.tombstoned and any(there):
                self.world.violated("C10", f"{link.id} ended although one of its records is there")
            if (
                not link.tombstoned
                and there.count(True) == 1
                and not (self._waits(link, ReviewKind.GONE) or self._waits(link, ReviewKind.HELD))
            ):
                self.world.violated("C10", f"nobody was told that a record of {link.id} is gone")

    def _waits(self, link: Link, kind: ReviewKind) -> bool:
        return link.attempts.dead or any(review.kind is kind for review in link.reviews)

    def _nothing_due(self) -> None:
        """C11: every link rests or waits for a person."""
        for link in self._links:
            if link.due:
                self.world.violated("C11", f"{link.id} is still due: {link.state.value}, {link.attempts.reason}")
            elif link.intent is not None and not (link.attempts.dead or (link.missing and link.intent.payload)):
                self.world.violated("C11", f"{link.id} rests with an open intent")

    def _shown(self) -> None:
        """C11: a record that is in sync shows it, where it keeps notes."""
        world = self.world
        for link in self._links:
            if link.state is not LinkState.IN_SYNC or len(link.refs) < len(Side) or world.restored:
                continue
            for ref in link.refs:
                notes = notes_of(world, ref.side, ref.id)
                if notes is not None and (notes.state, notes.counterpart) != (link.state, link.on(ref.side.other)):
                    world.violated("C11", f"{ref} does not show that it is in sync")

    def _journaled(self) -> None:
        """C8 and C9: our writes change something, and each stands in the journal with its values."""
        lines: dict[str, set[tuple[str, str]]] = {}
        for link, line in self.world.store.journaled:
            for decision in line.decisions:
                if decision.writes:
                    lines.setdefault(self._who(link), set()).add((decision.field, token_of(decision.result)))
        for applied in self.world.applied:
            if applied.verb is Verb.DELETE:
                continue
            idle = applied.before == applied.after and not applied.notes
            if self.world.scenario.enforced and applied.side is Side.RIGHT and idle:
                self.world.violated("C8", f"{applied.by} wrote right {applied.id} as it was")
            who = self.world.people.who(applied.after)
            for name, value in applied.after.items():
                if token_of(value) == token_of(applied.before.get(name)) or name in applied.in_window:
                    continue
                if (name, token_of(value)) not in lines.get(who, set()):
                    self.world.violated("C9", f"{applied.by} wrote {name} of {who} without a line in the journal")

    def _replayed(self) -> None:
        """C9: what was decided is decided again from the journal alone."""
        for link, line in self.world.store.journaled:
            again = replay(self.world.scenario.policy, line)
            self.verdict.replayed += len(line.decisions) if again.repeat is Repeat.SAME else 0
            if again.repeat not in (Repeat.SAME, Repeat.NOTHING):
                fields = ", ".join(again.differs)
                self.world.violated("C9", f"{line.what} of {link.id} replays {again.repeat.value} {fields}".rstrip())

    def _has_data(self, applied: Applied) -> bool:
        return any(token_of(value) != token_of(applied.before.get(name)) for name, value in applied.after.items())

    def _conflicts(self) -> None:
        """C13, as a number: conflicts between two edits of which one knew the other."""
        lineage = self.world.people.lineage
        for link, line in self.world.store.journaled:
            who = self._who(link)
            for decision in line.decisions:
                strangers = decision.row is Row.FIRST_CONTACT and self._made_by_us(link)
                if decision.row is not Row.BOTH_CHANGED and not strangers:
                    continue
                self.verdict.settled += 1
                one = (who, decision.field, token_of(decision.versions.left))
                other = (who, decision.field, token_of(decision.versions.right))
                if (who, decision.field) not in lineage.reused and lineage.descends(one, other):
                    self.verdict.spurious += 1
                    if not self._disturbed and self.world.scenario.enforced:
                        self.world.violated("C13", f"{one[2]} and {other[2]} of {decision.field} were no conflict")

            for decision in line.decisions:
                self._own_value(link, who, decision)

    def _own_value(self, link: Link, who: str, decision: Decision) -> None:
        """C13, whatever went wrong: what we wrote ourselves is nobody's edit, and so no party to a conflict."""
        if decision.row not in (Row.BOTH_CHANGED, Row.FIRST_CONTACT) or self.world.restored:
            return
        if decision.row is Row.FIRST_CONTACT and not self._made_by_us(link):
            return
        lineage = self.world.people.lineage
        for side in Side:
            key = (who, decision.field, token_of(decision.versions.on(side)))
            other = (who, decision.field, token_of(decision.versions.on(side.other)))
            typed = lineage.sides.get(key)
            if typed is None or side in typed or key == other or (who, decision.field) in lineage.reused:
                continue
            self.world.violated("C13", f"{key[2]} of {decision.field} on the {side.value} was our own, and a conflict")

    def _no_way_back(self) -> None:
        """C2: outside a conflict no value is written over one that somebody made of it."""
        world, lineage = self.world, self.world.people.lineage
        if world.restored:
            return
        conflicts = {
            (self._who(link), decision.field, token_of(decision.result))
            for link, line in world.store.journaled
            for decision in line.decisions
            if decision.row in (Row.BOTH_CHANGED, Row.FIRST_CONTACT)
        }
        for applied in world.applied:
            who = world.people.names.get((applied.side, applied.id)) or ""
            for name in world.scenario.edited if applied.verb is Verb.UPDATE else ():
                old, new = (
                    self._key(applied.side, applied.id, name, f.get(name)) for f in (applied.before, applied.after)
                )
                if old == new or name in applied.in_window or (who, name) in lineage.reused or new in conflicts:
                    continue
                if new in lineage.ancestors([old]):
                    world.violated("C2", f"{old[2]} of {name} ({who}) was taken back to {new[2] or 'nothing'}")

    @property
    def _disturbed(self) -> bool:
        """Whether anything went wrong: where a write's outcome was unknown for a while, such conflicts are counted."""
        return self.world.faulty or any(fault[0] in "FPLS" for fault in self.world.faults)

    def _made_by_us(self, link: Link) -> bool:
        """Whether one of the two records was made from the other: then they never meet as strangers."""
        made = self.world.people.made
        ids = [(side, link.on(side)) for side in Side]
        return all(id is not None for _, id in ids) and any(
            id not in made.get((side, self.world.people.names.get((side, id or ""), "")), ()) for side, id in ids
        )

    def _no_values_told(self) -> None:
        """C15: no observer is ever told a value."""
        for event in self.world.events:
            if _TOKEN.search(repr(event)):
                self.world.violated("C15", f"an observer was told a value: {type(event).__name__}")
                return

    def _nothing_deleted(self) -> None:
        """C10: nothing is deleted beyond what the scenario allows, nor while its counterpart is there."""
        world, exercise = self.world, self.world.scenario.exercise
        unasked: Counter[Side] = Counter()
        by_ref = {(ref.side, ref.id): link for link in self._links for ref in link.refs}
        for applied in world.applied:
            if applied.verb is not Verb.DELETE:
                continue
            link = by_ref.get((applied.side, applied.id))
            unasked[applied.side] += link is None or link.id not in world.office.deletable
            if unasked[applied.side] > exercise.deletes:
                world.violated("C10", f"{applied.side.value} {applied.id} was deleted, one too many")
            lost = None if link is None else link.on(applied.side.other)
            at = world.people.gone_at.get((applied.side.other, lost or ""))
            ours = any(a.verb is Verb.DELETE and (a.side, a.id) == (applied.side.other, lost) for a in world.applied)
            if world.restored and ours:  # of which the old state knows nothing
                continue
            if at is None or at > applied.at:
                world.violated("C10", f"{applied.side.value} {applied.id} was deleted, its counterpart was not")
            elif applied.at - at < min(exercise.grace_s, LEAST_GRACE_S):
                world.violated("C10", f"{applied.side.value} {applied.id} was deleted without grace")

    def _no_quarrel(self) -> None:
        """C5: a loop that others keep going is ended by us."""
        if self.world.scenario.exercise.drills:
            written: Counter[tuple[Side, str, str, object]] = Counter()
            for a in self.world.applied:
                changed = [name for name in a.after if a.after[name] != a.before.get(name) and a.verb is Verb.UPDATE]
                written.update((a.side, a.id, name, a.after[name]) for name in changed if a.after[name])
            for (side, id, name, _value), number in written.items():
                if number > MOST_ALIKE:
                    self.world.violated("C5", f"{name} of {side.value} {id} was given the same value {number} times")

    def _attempts_counted(self) -> None:
        """C11: failures in a row are counted, so that they end some day."""
        last: dict[str, int] = {}
        stuck: Counter[str] = Counter()  # a write that had landed after all counts as a success, which nobody sees
        for event in self.world.events:
            if isinstance(event, Wrote) or (isinstance(event, Examined) and event.state is not LinkState.RETRY):
                last.pop(event.link_id, None)
                stuck.pop(event.link_id, None)
            elif isinstance(event, Failed) and event.reason not in ("stale", "again", "contended", "underway"):
                stuck[event.link_id] += event.attempt <= last.get(event.link_id, 0)
                if stuck[event.link_id] >= STUCK and not self.world.restored:
                    self.world.violated("C11", f"failures of {event.link_id} are not counted: {event.reason}")
                last[event.link_id] = event.attempt

    def _no_more_writes_than_edits(self) -> None:
        """C6, in a world without faults."""
        done = self.world.people.done
        begun = len({who for (_side, who) in self.world.people.made})
        allowed = done["edit"] + done["create"] + begun
        if self.verdict.writes > allowed:
            self.world.violated("C6", f"{self.verdict.writes} data writes for {allowed} edits and new records")
