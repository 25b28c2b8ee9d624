"""Passes over both sides: what changed since the last one, or everything.

A pass first takes up what an earlier one left open, then reads both lists once. Rows that
are as they were end there. The others are learnt by the index, and only when both lists are
through are they dealt with: so two strangers that are the same person meet before either is
made a second time, and guards see what the whole pass would do before any of it is done.
Cursors move once everything that they cover has been dealt with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import attrs

from bidisync.detectors import trusts_versions
from bidisync.engine import Engine
from bidisync.errors import Contended, SyncError, Unauthorized, Unavailable
from bidisync.events import Passed, SystemFailed
from bidisync.forecast import Forecast
from bidisync.guards import DAY_S, Occasion, Run
from bidisync.looking import nothing_new, unmoved
from bidisync.meet import named_anew
from bidisync.model import Page, Ref, Side, Snapshot
from bidisync.outcome import Outcome, Tally
from bidisync.pages import aopened
from bidisync.parts import living
from bidisync.roll import Roll
from bidisync.scope import baseline_done, in_baseline
from bidisync.state import Attempts, Link

Progress = Callable[[int, int], None]
"""Told how many records were dealt with, of how many."""

LEARNT_AT_ONCE = 500
READ_ORDER = (Side.RIGHT, Side.LEFT)

CONTACT = "contact"
"""The mark of the first pass over both lists that ended."""

PASSED = "passed:"
"""Begins the names of the marks that tell when the last pass of each kind ended well."""

_NOT_STORED = ("stale", "again", "contended")
"""Reasons to come back to a record that stand in no state: only its cursor brings it back."""


@attrs.define
class _Work:
    """What a pass has to deal with: one ref per link, and the rows that came with the lists."""

    keep_rows: int
    forecast: Forecast
    refs: dict[str, Ref] = attrs.Factory(dict)
    rows: dict[Ref, Snapshot] = attrs.Factory(dict)
    strangers: dict[str, Ref] = attrs.Factory(dict)
    unlearnt: list[Snapshot] = attrs.Factory(list)  # of the list that is being read
    beside: list[Ref] = attrs.Factory(list)  # the other record of a link that is to be looked at on both sides
    listed: dict[Side, Roll] = attrs.Factory(lambda: {side: Roll() for side in Side})
    unlinked: dict[Side, Roll] = attrs.Factory(lambda: {side: Roll() for side in Side})  # listed, and of no living link

    def linked(self, side: Side) -> int:
        """How many living links the list of that side has shown."""
        return len(self.listed[side]) - len(self.unlinked[side])

    def add(self, link_id: str, ref: Ref, row: Snapshot | None = None) -> None:
        first = self.refs.setdefault(link_id, ref)
        if row is not None and len(self.rows) < self.keep_rows:
            self.rows[ref] = row
        elif first != ref:  # nobody would know that both have to be looked at
            self.beside.append(ref)


@attrs.frozen
class Sweep:
    """Passes of one engine. ``patience_s`` is the longest that a later round waits for a retry.

    ``keep_rows`` is how many rows of moved records are kept until their turn; ``lean`` makes
    tallies that keep no outcome of those in step: so memory stays small however many changed.
    ``rotation`` is how many linked records a pass looks at by id, where a side's list was
    found to leave some out.
    """

    engine: Engine
    patience_s: float = 120.0
    keep_rows: int = 20_000
    rotation: int = 200
    lean: bool = False

    async def run(
        self,
        *,
        everything: bool = False,
        side: Side | None = None,
        rounds: int = 3,
        progress: Progress | None = None,
    ) -> Tally:
        """One pass, in up to ``rounds`` rounds: a later one takes up only what is still open.

        ``everything`` reads both sides in full and finds what is missing, as does the first pass
        over another scope. With ``side`` only changes seen on that side are dealt with. Raises
        ``Unavailable``, ``RateLimited`` and ``Unauthorized`` when a system fails as a whole; what
        was done until then is kept.
        """
        parts, tally = self.engine.parts, Tally(lean=self.lean)
        everything = everything or (side is None and await in_baseline(parts))
        began = parts.clock.monotonic()
        occasion = Occasion.FULL if everything else Occasion.POLL
        run = Run(parts.chance.token()[:16], occasion, began=parts.clock.now())
        reason = "stopped"
        try:
            await self._pass(run, tally, everything, side, rounds, progress)
            reason = ""
        except SyncError as error:
            reason = error.reason
            if isinstance(error, Unavailable | Unauthorized) and error.system:
                parts.observe(SystemFailed(error.system, reason, run.id))
            raise
        finally:
            duration_s = parts.clock.monotonic() - began
            parts.observe(Passed(occasion.value, tally.examined, duration_s, run.id, reason))
        await parts.store.set_mark(PASSED + occasion.value, str(parts.clock.now()))
        return tally

    async def _pass(
        self, run: Run, tally: Tally, everything: bool, side: Side | None, rounds: int, progress: Progress | None
    ) -> None:
        store = self.engine.parts.store
        first = await store.get_mark(CONTACT) is None
        run = attrs.evolve(run, first_contact=first)
        anew = await in_baseline(self.engine.parts)
        work = _Work(self.keep_rows, Forecast(self.engine.parts, self.engine.index, anew))
        await self._take_up(work, everything)
        whole = {listed for listed in READ_ORDER if await self._lists_all(listed, everything)}
        cursors = {listed: await self._read(listed, work, tally, everything, side) for listed in READ_ORDER}
        suspects = await self._suspect_missing(work, side) if everything else {}
        if not everything:
            await self._rotate(work, side)
        engine = self.engine.during(await self._judged(run, work, whole, everything))
        await self._deal(engine, list(work.refs.values()), work, tally, progress)
        await self._deal(engine, work.beside, work, tally, None)
        if everything and side is None:
            await self._remember_partial(suspects, tally)
        tally.rounds = 1
        while tally.rounds < rounds and await self._again(engine, tally, work, progress):
            tally.rounds += 1
        if side is None and len(whole) == len(READ_ORDER):
            await self._done_in_full(first)
        moving = any(o.open and o.reason in _NOT_STORED for o in tally.outcomes.values())
        for listed, cursor in cursors.items():
            if cursor is not None and side in (None, listed) and not moving:
                await self.engine.parts.store.set_mark(f"cursor:{listed.value}", cursor)

    async def named(
        self, refs: list[Ref], *, rounds: int = 3, progress: Progress | None = None, run: Run | None = None
    ) -> Tally:
        """The given records, in up to ``rounds`` rounds, as a run of their own unless one is given."""
        tally = Tally(lean=self.lean)
        work = _Work(self.keep_rows, Forecast(self.engine.parts, self.engine.index))
        engine = self.engine.during(run or Run(self.engine.parts.chance.token()[:16]))
        await self._deal(engine, refs, work, tally, progress)
        tally.rounds = 1
        while tally.rounds < rounds and await self._again(engine, tally, work, progress):
            tally.rounds += 1
        return tally

    async def _judged(self, run: Run, work: _Work, whole: set[Side], everything: bool) -> Run:
        """The run, with what guards hold in it after a look at everything that it would do."""
        for link_id, ref in work.strangers.items():
            if ref in work.rows:
                await work.forecast.stranger(link_id, ref.side, work.rows[ref], work.rows)
        lengths = {side: len(work.listed[side]) for side in whole}
        return await work.forecast.judge(run, lengths, full=everything)

    async def _take_up(self, work: _Work, everything: bool) -> None:
        """What an earlier pass left open, what is to be looked for again, and the dead after a day."""
        store, now = self.engine.parts.store, self.engine.parts.clock.now()
        for link in await store.unsettled():
            if link.attempts.next_at <= now:
                work.add(link.id, link.origin)
                work.forecast.due(link)
        for link in await store.watched():
            if link.watch is not None and link.watch.next_at <= now:
                work.add(link.id, link.origin)
        for link in await store.waiting() if everything else ():
            if link.attempts.dead and link.attempts.next_at + DAY_S <= now:
                with suppress(Contended):  # somebody is at it already
                    await store.save(attrs.evolve(link, attempts=Attempts(), settled=False))
                    work.add(link.id, link.origin)

    async def _lists_all(self, side: Side, everything: bool) -> bool:
        """Whether the list of that side comes in full in this pass."""
        parts = self.engine.parts
        follows = parts.replica(side).capabilities.changed_since
        return everything or not follows or await parts.store.get_mark(f"cursor:{side.value}") is None

    async def _done_in_full(self, first: bool) -> None:
        """Both lists were read in full and dealt with: what waited for that is over."""
        if first:
            await self.engine.parts.store.set_mark(CONTACT, "made")
        await baseline_done(self.engine.parts)

    async def _read(self, listed: Side, work: _Work, tally: Tally, everything: bool, only: Side | None) -> str | None:
        """Read one side's list; the cursor up to which it was read."""
        parts = self.engine.parts
        since = None if everything else await parts.store.get_mark(f"cursor:{listed.value}")
        cursor = since
        async with aopened(parts.replica(listed).list(since)) as pages:
            async for page in pages:
                await self._take(page, listed, work, tally, everything, only)
                cursor = page.cursor or cursor
        await self._learn(work, listed)
        if since is None or not parts.replica(listed).capabilities.changed_since:
            await self.engine.index.complete(listed)
        return cursor

    async def _take(
        self,
        page: Page,
        listed: Side,
        work: _Work,
        tally: Tally,
        everything: bool,
        only: Side | None,
    ) -> None:
        tokens = page.known_by
        resting = await self._resting(page, tokens, listed)
        if not page.beyond:  # else the list lacks it, as the look at what is missing shall find
            work.listed[listed].add(id for id, _ in tokens)
        work.forecast.at_rest(listed, len(resting))
        tally.rest(resting.values())
        if len(resting) == len(tokens):
            return
        rest = [page.snapshots[place] for place, (id, _) in enumerate(tokens) if id not in resting]
        links = await self.engine.parts.store.load([Ref(listed, snapshot.id) for snapshot in rest]) if rest else {}
        moved = []
        for snapshot in rest:
            ref = Ref(listed, snapshot.id)
            if page.beyond:
                work.rows[ref] = snapshot
            link = links.get(ref)
            if (link is None or link.tombstoned) and not page.beyond:
                work.unlinked[listed].add((snapshot.id,))
            if link is not None and link.tombstone is not None and listed not in link.tombstone.gone:
                tally.skip(link.id, link.state)
                continue
            if link is not None and await self._rests(link, listed, snapshot, everything):
                work.forecast.at_rest(listed)
                tally.skip(link.id, link.state)
                if not link.settled:  # put off, and perhaps before anybody knew who it is
                    work.unlearnt.append(snapshot)
                continue
            moved.append(snapshot)
            if only in (None, listed):
                work.add(str(ref) if link is None else link.id, ref, snapshot)
                if link is not None:
                    work.forecast.moved(link, listed, snapshot, work.rows)
                if link is None or link.on(listed.other) is None:
                    work.strangers[str(ref) if link is None else link.id] = ref
        work.unlearnt += [snapshot for snapshot in moved if not snapshot.gone]
        if len(work.unlearnt) >= LEARNT_AT_ONCE:
            await self._learn(work, listed)

    async def _learn(self, work: _Work, listed: Side) -> None:
        unlearnt, work.unlearnt = work.unlearnt, []
        await self.engine.index.learn(listed, unlearnt)

    async def _resting(self, page: Page, tokens: Sequence[tuple[str, str | None]], listed: Side) -> Mapping[str, str]:
        """The records of a page whose versions say that nobody has to look: their links, by record."""
        if page.beyond or not trusts_versions(self.engine.parts.detector):
            return {}
        found = await self.engine.parts.store.resting(listed, tokens)
        ids = [id for id, _ in tokens]
        if len(found) == len(ids) or len(set(ids)) == len(ids):
            return found
        shown = Counter(ids)  # who is there twice may have moved between
        return {id: link_id for id, link_id in found.items() if shown[id] == 1}

    async def _rests(self, link: Link, listed: Side, snapshot: Snapshot, everything: bool) -> bool:
        """Whether this record needs no look; a complete pass also looks at what waits for a person."""
        parts = self.engine.parts
        if everything and link.settled:
            return nothing_new(parts, link, listed, snapshot)
        return unmoved(parts, link, listed, snapshot) and not await named_anew(
            self.engine.index, link, listed, snapshot
        )

    async def _suspect_missing(self, work: _Work, only: Side | None) -> dict[str, Ref]:
        """Linked records that no list showed, by link: looked at by id, for a list proves nothing.

        A list that has shown as many links as there are lacks none of them.
        """
        suspects: dict[str, Ref] = {}
        links = await living(self.engine.parts)
        for side in Side:
            if only not in (None, side) or work.linked(side) == links:
                continue
            async for group in self.engine.parts.store.living(side):
                for id, link_id in work.listed[side].missing(group):
                    ref = Ref(side, id)
                    other = work.refs.get(link_id, ref)
                    if other != ref and other not in work.rows:
                        work.beside.append(other)
                    work.refs[link_id] = suspects[link_id] = ref
                    work.forecast.missing(link_id, side)
        return suspects

    async def _remember_partial(self, suspects: dict[str, Ref], tally: Tally) -> None:
        """Remember of each side whether its list leaves out records that are there."""
        there = {ref.side for link_id, ref in suspects.items() if tally.found(link_id)}
        for side in Side:
            await self.engine.parts.store.set_mark(f"partial:{side.value}", "yes" if side in there else None)

    async def _rotate(self, work: _Work, only: Side | None) -> None:
        """Of a side whose list is partial, some linked records that it did not show: others each time."""
        store = self.engine.parts.store
        for side in Side:
            if only not in (None, side) or await store.get_mark(f"partial:{side.value}") is None:
                continue
            place = await store.get_mark(f"rotation:{side.value}") or ""
            first: list[tuple[str, str]] = []
            later: list[tuple[str, str]] = []
            async for group in store.living(side):
                unseen = work.listed[side].missing(group)
                first += unseen[: self.rotation - len(first)]
                later += [one for one in unseen if one[0] > place][: self.rotation - len(later)]
                if len(later) == self.rotation:
                    break
            chosen = (later + first)[: self.rotation]
            for id, link_id in chosen:
                work.refs.setdefault(link_id, Ref(side, id))
            await store.set_mark(f"rotation:{side.value}", chosen[-1][0] if chosen else None)

    async def _deal(
        self, engine: Engine, refs: list[Ref], work: _Work, tally: Tally, progress: Progress | None
    ) -> None:
        done = 0

        def told(outcome: Outcome) -> None:
            nonlocal done
            tally.add(outcome)
            done += 1
            if progress is not None:
                progress(done, len(refs))

        await engine.deal(refs, work.rows, told)

    async def _again(self, engine: Engine, tally: Tally, work: _Work, progress: Progress | None) -> bool:
        """Another round for what is due within patience; false if nothing is."""
        clock = self.engine.parts.clock
        limit = clock.now() + self.patience_s
        due = [o for o in tally.outcomes.values() if o.retry_at is not None and o.retry_at <= limit]
        if not due:
            return False
        await clock.sleep(max(0.0, max(o.retry_at or 0.0 for o in due) - clock.now()))
        work.rows.clear()
        await self._deal(engine, [o.ref for o in due], work, tally, progress)
        return True
