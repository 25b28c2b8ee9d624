"""One record brought into step: look, decide, write, remember.

``Engine.sync`` is level-triggered. Whatever made somebody call it (a webhook, a list, a
timer, a person) is a hint that names a record and nothing more; the engine looks at both
sides as they are now. So order, loss and repetition of hints do not matter, the echo of an
own write ends after one look, and a crash is healed by calling it again.

    link       which two records are one, and what is remembered of them
    lease      so that nobody does the same work at the same time
    recover    a create whose outcome is not known, first of all
    look       the hinted side; the other one only if something moved
    meet       a record without a counterpart: adopt, create, or ask a person
    reconcile  three versions in, a plan out; pure
    gone       a record that is not there: is that certain, and what follows?
    gate       may the plan go, or does somebody have to approve it?
    apply      intent, writes, proof, commit
"""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import attrs

from bidisync.apply import Again, apply, landed
from bidisync.create import TWIN
from bidisync.detectors import dated
from bidisync.errors import (
    Contended,
    Merged,
    Moved,
    ParentNotLinked,
    Stale,
    SyncError,
    Unauthorized,
    Unavailable,
)
from bidisync.events import Failed, Noticed, SystemFailed
from bidisync.fence import Underway, permit
from bidisync.flapping import calm
from bidisync.gate import held
from bidisync.gone import Canaries, weigh
from bidisync.guards import DAY_S, Act, Run, too_much
from bidisync.imposing import Choose, impose
from bidisync.index import Index
from bidisync.journal import journaled
from bidisync.looking import Rows, brought_news, look, nothing_new, twin_due
from bidisync.meet import Meeting
from bidisync.model import ABSENT, Decision, LinkState, Plan, Ref, Review, ReviewKind, Side, Snapshot, Verb
from bidisync.notes import show
from bidisync.outcome import NOT_FOUND, NOT_LINKED, Effects, Outcome
from bidisync.parts import Parts, living
from bidisync.plain import carry, means_of, plain_update
from bidisync.proof import Looks
from bidisync.protocols import Lease
from bidisync.reading import read_many
from bidisync.reconcile import explain, reconcile
from bidisync.replay import Replayed, replay
from bidisync.retry import counts
from bidisync.scope import begin_anew, in_baseline
from bidisync.spawn import beside, group_by_group
from bidisync.state import BROUGHT_BACK, Attempts, Journaled, Link, Shadow, Tombstone
from bidisync.twins import look_for_twin
from bidisync.values import Unread, read

Work = Callable[["Engine", Ref, Link, Lease, Rows, Effects], Awaitable[Outcome]]
"""What is done with a link while it is held."""


@attrs.frozen
class Explanation:
    """Why a record is as it is: the decisions on every field now, and those taken before, oldest first.

    ``now`` is empty for a record without a counterpart, or where one side is gone.
    ``replayed`` says of each of those before what comes of deciding it again.
    """

    link: Link
    now: tuple[Decision, ...]
    past: tuple[Journaled, ...]
    replayed: tuple[Replayed, ...] = ()


@attrs.frozen
class _Job:
    """A record of a chunk, with what is known of it already."""

    ref: Ref
    rows: Rows
    known: Link | None
    effects: Effects | None = None


@attrs.frozen(eq=False, repr=False)
class Engine:
    """Keeps pairs of records in step. Open it with ``Engine.open``; it owns none of its parts."""

    parts: Parts
    index: Index
    _canaries: Canaries = attrs.field(factory=Canaries, repr=False, eq=False)
    _noticed: set[tuple[Side, str, str]] = attrs.field(factory=set, repr=False, eq=False)

    @classmethod
    async def open(cls, parts: Parts) -> Engine:
        """An engine over these parts, which stay the caller's."""
        await begin_anew(parts)
        return cls(parts, await Index.open(parts))

    def during(self, run: Run) -> Engine:
        """The same engine for one pass."""
        return attrs.evolve(self, parts=attrs.evolve(self.parts, run=run))

    def _in_a_run(self) -> Engine:
        """The engine within the pass that it serves, else within a new one for what was named."""
        return self if self.parts.run.id else self.during(Run(self.parts.chance.token()[:16]))

    async def sync(
        self, ref: Ref | str, rows: Rows | None = None, known: Link | None = None, effects: Effects | None = None
    ) -> Outcome:
        """Bring one record into step, from wherever it stands, and say how it stands then.

        ``ref`` may be written, as ``left:ID`` or ``right:ID``; here and wherever one record is named.
        ``known`` is its link as somebody has just read it, where it has two records already and
        nobody was at work on it: an intent from then says nothing of who is by now. ``effects``
        are what was done for it already.
        Raises what concerns more than this record: ``Unauthorized``, and ``Unavailable`` for
        a whole system. Everything else becomes the outcome's state.
        """
        engine = self._in_a_run()
        return await engine._observed(Ref.of(ref), Engine._sync_held, rows or {}, known, effects or Effects())

    async def impose(self, ref: Ref | str, choose: Choose, *, by: str) -> Outcome:
        """Give both sides of a linked record the values that a person chose, and bring the rest into step.

        Guards do not hold what a person decided record by record. A record without a
        counterpart, or with one side gone, stays as it is, and one that nobody has is told as
        ``NOT_FOUND``.
        """

        def work(engine: Engine, ref: Ref, link: Link, lease: Lease, _: Rows, effects: Effects) -> Awaitable[Outcome]:
            return engine._impose_held(choose, by, ref, link, lease, effects)

        return await self._in_a_run()._observed(Ref.of(ref), work, {}, None, Effects())

    async def _observed(self, ref: Ref, work: Work, rows: Rows, known: Link | None, effects: Effects) -> Outcome:
        """The outcome of the work, once observers know of it."""
        began = self.parts.clock.monotonic()
        with self._failures_observed():
            outcome = await self._tried(ref, work, rows, known, effects)
        return self._told(outcome, began)

    @contextmanager
    def _failures_observed(self) -> Iterator[None]:
        """Observers know of a system that fails as a whole."""
        try:
            yield
        except (Unavailable, Unauthorized) as error:
            if error.system:
                self.parts.observe(SystemFailed(error.system, error.reason, self.parts.run.id))
            raise

    def _told(self, outcome: Outcome, began: float) -> Outcome:
        """The outcome, once observers know of it."""
        if self.parts.observers:
            self.parts.observe(outcome.examined(self.parts.run.id, self.parts.clock.monotonic() - began))
        return outcome

    async def _tried(self, ref: Ref, work: Work, rows: Rows, known: Link | None, effects: Effects) -> Outcome:
        """The outcome of the work on a link that is held meanwhile; from the top where a record moved.

        A known link without an intent needs no second reading: nothing is sent before it is
        saved, and that is refused where somebody else has changed it.
        """
        link = Link.begin(ref)
        for attempt in range(1, self.parts.limits.requeues + 1):
            try:
                link = known or await self._link_of(ref)
                async with self.parts.locks.hold(link.id) as lease:
                    link = known or await self._still(ref, link)
                    known = None
                    effects.begin(link)
                    return await work(self, ref, link, lease, rows, effects)
            except SyncError as error:
                outcome = await self._answer(ref, link, error, effects)
                if outcome is not None:
                    return outcome
                rows, last = {}, error
                if isinstance(error, Contended):
                    delay = self.parts.backoff.delay(error, attempt, self.parts.chance.fraction())
                    await self.parts.clock.sleep(delay or 0.0)
        return self._later(ref, link, last, effects, self.parts.clock.now())

    async def _answer(self, ref: Ref, link: Link, error: SyncError, effects: Effects) -> Outcome | None:
        """What follows from an error; ``None`` where all that follows is another try from the top."""
        match error:
            case Underway():
                return self._later(ref, link, error, effects, error.until)
            case Stale() | Contended():
                return None
            case Moved():
                return attrs.evolve(Outcome.of(ref, link, effects), reason=error.reason)
            case Merged():
                return await self._merged(ref, error, effects)
            case ParentNotLinked():
                return await self._waits(ref, error, effects)
        return await self._failed(ref, error, effects)

    async def sync_many(self, refs: Iterable[Ref], rows: Rows | None = None) -> list[Outcome]:
        """Bring many records into step, a bounded number at once, with their reads in bulk.

        Refs of one link are dealt with once. The outcomes come in the order of the refs.
        """
        for side in Side:
            await self.index.learn(side, [row for ref, row in (rows or {}).items() if ref.side is side])
        found: dict[Ref, Outcome] = {}
        wanted = list(dict.fromkeys(refs))
        await self._in_a_run().deal(wanted, rows or {}, lambda outcome: found.setdefault(outcome.ref, outcome))
        return [found[ref] for ref in wanted if ref in found]

    async def deal(self, refs: Sequence[Ref], rows: Rows, tell: Callable[[Outcome], object]) -> None:
        """The same, with each outcome told as it comes; reads are made just before they are needed.

        The index knows the rows already. Of each chunk, plain updates are done together.
        """
        begun: set[int] = set()  # the hashes of links, and of records, in place of their names: there may be many
        done: set[int] = set()
        slots = asyncio.Semaphore(self.parts.limits.concurrency)  # of those alone and those together

        def finish(outcome: Outcome) -> None:
            done.update(map(hash, outcome.refs))
            tell(outcome)

        async def groups() -> AsyncIterator[list[_Job]]:
            for start in range(0, len(refs), self.parts.limits.chunk):
                group = [ref for ref in refs[start : start + self.parts.limits.chunk] if hash(ref) not in done]
                links = await self.parts.store.load(group)
                chosen: dict[str, Ref] = {}
                for ref in group:
                    id = links[ref].id if ref in links else str(ref)
                    if hash(id) not in begun:
                        chosen.setdefault(id, ref)
                begun.update(map(hash, chosen))
                read = ChainMap(await read_many(self.parts, self.index, chosen.values(), links, rows), rows)  # type: ignore[arg-type]  # it is only read
                known = {ref: link for ref, link in links.items() if len(link.refs) == len(Side) and not link.intent}
                jobs = [_Job(ref, read, known.get(ref)) for ref in chosen.values()]
                yield await self._plain(jobs, finish, slots)

        async def one(job: _Job) -> None:
            async with slots:
                if hash(job.ref) not in done:
                    finish(await self.sync(job.ref, job.rows, job.known, job.effects))

        await group_by_group(groups(), one, self.parts.limits.concurrency)

    async def _plain(
        self, jobs: list[_Job], finish: Callable[[Outcome], object], slots: asyncio.Semaphore
    ) -> list[_Job]:
        """What is left of a chunk once its plain updates are done together."""
        parts, began = self.parts, self.parts.clock.monotonic()
        means = means_of(parts)
        if means is None:
            return jobs
        updates = [
            update
            for job in jobs
            if job.known and (update := plain_update(parts, job.ref, job.known, job.rows, self.index.secret))
        ]
        if not updates:
            return jobs
        with self._failures_observed():
            carried = await carry(parts, means, updates, slots)
        left = {job.ref: job for job in jobs}
        for update in carried:
            outcome = None
            if update.error is not None:
                outcome = await self._answer(update.ref, update.link, update.error, update.effects)
            elif update.done is not None and update.done.settled:
                outcome = Outcome.of(update.ref, update.done, update.effects)
            if outcome is None:
                left[update.ref] = _Job(update.ref, {}, None, update.effects)
            else:
                del left[update.ref]
                finish(self._told(outcome, began))
        return list(left.values())

    async def explain(self, ref: Ref | str) -> Explanation:
        """Every field of a record as it is now, with its row and result, and the decisions taken before.

        Those before come from the log, as they were taken; each is also decided again from its grounds.
        """
        link = await self._link_of(Ref.of(ref))
        now: tuple[Decision, ...] = ()
        if link.left_id is not None and link.right_id is not None and not link.tombstoned:
            left = await self.parts.left.get(link.left_id)
            right = await self.parts.right.get(link.right_id)
            left, right = self._dated(link, {Side.LEFT: left, Side.RIGHT: right})
            now = explain(self.parts.policy, link.base, left, right, link.reviews)
        past = tuple(await self.parts.store.journal(link.id))
        return Explanation(link, now, past, tuple(replay(self.parts.policy, entry) for entry in past))

    async def decide(self, ref: Ref | str) -> tuple[Link, Plan] | None:
        """What would be done for a linked record as it is now; ``None`` if it has no counterpart."""
        link = await self._link_of(Ref.of(ref))
        if link.left_id is None or link.right_id is None:
            return None
        left = await self.parts.left.get(link.left_id)
        right = await self.parts.right.get(link.right_id)
        left, right = self._dated(link, {Side.LEFT: left, Side.RIGHT: right})
        return link, reconcile(self.parts.policy, link.base, left, right, link.reviews)

    def _dated(self, link: Link, looks: Looks) -> tuple[Snapshot, Snapshot]:
        """Left and right, each with a time only where it is that of somebody's last edit."""
        left, right = (
            dated(looks[side], link.shadow(side), self.parts.replica(side).capabilities.clock) for side in Side
        )
        return left, right

    async def _link_of(self, ref: Ref) -> Link:
        return (await self.parts.store.load([ref])).get(ref) or Link.begin(ref)

    async def _still(self, ref: Ref, link: Link) -> Link:
        """The link as it is now that it is held: whoever held it before may have changed it."""
        now = await self._link_of(ref)
        if now.id != link.id:
            raise Again("the record has become part of another link")
        return now

    async def _sync_held(self, ref: Ref, link: Link, lease: Lease, rows: Rows, effects: Effects) -> Outcome:
        if link.tombstone is not None:
            if ref.side not in link.tombstone.gone or (await self.parts.replica(ref.side).get(ref.id)).gone:
                return Outcome.of(ref, link, effects)
            link = await self.parts.store.save(_restored(link))
        meeting = Meeting.under(lease, self.parts, self.index, effects)
        if twin_due(self.parts, link):
            link = await look_for_twin(self.parts, self.index, meeting.creation, link)
        if link.creating:
            link = await meeting.creation.recover(link)
            if link.tombstoned:
                return attrs.evolve(Outcome.of(ref, await self._over(link), effects), reason=NOT_FOUND)
            if link.intent is not None:
                return Outcome.of(ref, link, effects, retry_at=link.intent.not_before)
            if link.attempts.dead or any(review.kind is ReviewKind.IDENTITY for review in link.reviews):
                await self._show_standing(link, lease, effects)
                return Outcome.of(ref, link, effects)
        mine = effects.looks[ref.side] = await look(self.parts, self._canaries, ref, link, rows)
        if nothing_new(self.parts, link, ref.side, mine):
            link = await self._remember_version(link, ref.side, mine)
            if not brought_news(self.parts, link, ref.side.other, rows):
                return Outcome.of(ref, link, effects)
        _named_are_linked(mine)
        if link.attempts.dead:  # what it failed with is not what it is now
            link = await self.parts.store.save(attrs.evolve(link, attempts=Attempts(), settled=False))
        other = ref.side.other
        if link.on(other) is None:
            if mine.gone:
                over = Outcome.of(ref, await self._over(link), effects)
                return attrs.evolve(over, reason=NOT_FOUND)
            await self.index.learn(ref.side, [mine])
            self._notice({ref.side: mine})
            link = await meeting.meet(link, mine, ref.side)
            there = link.on(other)
            if there is None:
                waiting = None if link.intent is None else link.intent.not_before
                return Outcome.of(ref, link, effects, retry_at=waiting)
            if other in effects.created:
                link = await self._finish_created(link, mine, ref.side, lease)
                if link.settled:
                    return Outcome.of(ref, link, effects)
                raise Again("the new record is already another one")
        theirs = await look(self.parts, self._canaries, Ref(other, link.on(other) or ""), link, rows)
        _named_are_linked(theirs)
        looks = {ref.side: mine, other: theirs}
        effects.looks.update(looks)
        link = await beside(self._settle(link, looks, lease, effects), self._learn(looks))
        if link.tombstoned:  # what was just learnt is over, and nobody new is like it
            await self.parts.store.forget(link.refs)
        return self._done(ref, link, effects)

    async def _impose_held(
        self, choose: Choose, by: str, ref: Ref, link: Link, lease: Lease, effects: Effects
    ) -> Outcome:
        if link.revision == 0:
            nobody = (await self.parts.replica(ref.side).get(ref.id)).gone
            known = Outcome.of(ref, await self._over(link) if nobody else link, effects)
            return attrs.evolve(known, reason=NOT_FOUND if nobody else NOT_LINKED)
        if link.tombstoned or len(link.refs) < len(Side):
            return Outcome.of(ref, link, effects)
        looks = {r.side: await look(self.parts, self._canaries, r, link, {}) for r in reversed(link.refs)}
        effects.looks.update(looks)
        if any(snapshot.gone for snapshot in looks.values()):
            return Outcome.of(ref, link, effects)
        link = landed(self.parts, link, looks)
        left, right = self._dated(link, looks)
        plan = impose(self.parts.policy, link.base, left, right, link.reviews, choose, by)
        applied = apply(self.parts, link, plan, looks, lease, effects)
        return self._done(ref, await beside(applied, self._learn(looks)), effects)

    def _done(self, ref: Ref, link: Link, effects: Effects) -> Outcome:
        """The outcome of a link that was carried through; from the top where a record moved meanwhile."""
        if not link.settled:
            raise Again("a record moved while it was written")
        return Outcome.of(ref, link, effects)

    async def _remember_version(self, link: Link, side: Side, snapshot: Snapshot) -> Link:
        """A token that moved with equal values moves the shadow, and nothing else."""
        shadow = link.shadow(side)
        if shadow is None or snapshot.gone or shadow.version == snapshot.version:
            return link
        return await self.parts.store.save(link.with_shadow(side, Shadow.of(snapshot)))

    async def _settle(self, link: Link, looks: Looks, lease: Lease, effects: Effects) -> Link:
        self._notice(looks)
        link = landed(self.parts, link, looks)
        plan = reconcile(self.parts.policy, link.base, *self._dated(link, looks), link.reviews)
        if any(snapshot.gone for snapshot in looks.values()):
            link, plan = await weigh(self.parts, self._canaries, link, looks, plan)
        else:
            link = link if link.missing is None else attrs.evolve(link, missing=None)
        plan = calm(link, plan, self.parts.clock.now())
        waits = held(self.parts, link, plan, self.index.secret) or await self._too_many_deletes(link, plan)
        if waits is not None:
            plan = attrs.evolve(plan, writes=(), ends=False, reviews=(*plan.reviews, waits))
        shared = await self._still_shared(link)
        if shared:
            plan = attrs.evolve(plan, reviews=(*plan.reviews, *shared))
        return await apply(self.parts, link, plan, looks, lease, effects)

    def _notice(self, looks: Looks) -> None:
        """Tell once of each field that holds an unknown code or no value, or was not delivered."""
        for side, snapshot in looks.items():
            unread = [name for name, value in snapshot.fields.items() if value is ABSENT]
            found = [(name, "unknown_code") for name in sorted(snapshot.unknown)]
            found += [(name, "not_delivered") for name in unread if name not in snapshot.unreadable]
            if isinstance(snapshot.native, Unread):
                found += [(name, f"no_value:{kind}") for name, kind in snapshot.native.kinds.items()]
            for name, code in found:
                if (side, name, code) not in self._noticed:
                    self._noticed.add((side, name, code))
                    self.parts.observe(Noticed(Ref(side, snapshot.id), name, code, self.parts.run.id))

    async def _still_shared(self, link: Link) -> tuple[Review, ...]:
        """The doubt about a linked record, as long as another record names the same counterpart."""
        doubts = tuple(review for review in link.reviews if review.kind is ReviewKind.IDENTITY)
        if not doubts:
            return ()
        if any(review.reason == TWIN for review in doubts):
            return doubts
        for side in Side:
            counterpart = link.on(side.other)
            if counterpart is not None and self.parts.replica(side).capabilities.keeps_notes:
                naming = await self.index.naming(side, counterpart)
                if any(known.ref.id != link.on(side) for known in naming):
                    return doubts
        return ()

    async def _finish_created(self, link: Link, mine: Snapshot, side: Side, lease: Lease) -> Link:
        """After a create: the record it was made from shows its counterpart."""
        fields = link.shadow(side.other)
        settled = fields is not None and not any(
            name in link.base and link.base[name].on(side.other) != value and not _reviewed(link, name)
            for name, value in fields.fields.items()
        )
        untold = any(mine.fields.get(name) not in (None, ABSENT) for name in self._never_agreed(link))
        settled = settled and not mine.unreadable and not untold
        shown = await show(self.parts, attrs.evolve(link, settled=settled), {side: mine}, permit(self.parts, lease))
        return shown if shown == link else await self.parts.store.save(shown)

    def _never_agreed(self, link: Link) -> list[str]:
        return [field.name for field in self.parts.policy.fields if field.name not in link.base]

    async def _over(self, link: Link) -> Link:
        """A record that vanished before it had a counterpart leaves nothing to do."""
        await self.parts.store.forget(link.refs)
        over = Tombstone(self.parts.clock.now(), tuple(ref.side for ref in link.refs))
        if link.revision == 0:
            return attrs.evolve(link, tombstone=over)
        return await self.parts.store.save(
            attrs.evolve(link, tombstone=over, intent=None, reviews=(), base={}, settled=True)
        )

    async def _learn(self, looks: Looks) -> None:
        """Who is missing stays known as long as the link does: so whoever is like them is no stranger.

        Rows are known since they were listed or read.
        """
        await self.index.learn_all({side: snapshot for side, snapshot in looks.items() if not snapshot.row})

    def _later(self, ref: Ref, link: Link, error: SyncError, effects: Effects, at: float) -> Outcome:
        """The record keeps moving, or is taken: not an attempt, and due again."""
        unsettled = attrs.evolve(link, settled=False)
        outcome = Outcome.of(ref, unsettled, effects, retry_at=at)
        return attrs.evolve(outcome, state=LinkState.RETRY, reason=error.reason)

    async def _waits(self, ref: Ref, error: ParentNotLinked, effects: Effects) -> Outcome:
        """What a record names has no counterpart yet: not an attempt, and every pass looks again."""
        link = await self._link_of(ref)
        waiting = attrs.evolve(link.attempts, next_at=0.0, reason=error.reason)
        if link.revision == 0 or link.settled or link.attempts != waiting:
            link = await self.parts.store.save(attrs.evolve(link, attempts=waiting, settled=False))
        return Outcome.of(ref, link, effects)

    async def _merged(self, ref: Ref, error: Merged, effects: Effects) -> Outcome:
        """Another record answers under this id: a person has to say what became of this one."""
        link = await self._link_of(ref)
        review = Review(ReviewKind.IDENTITY, error.reason)
        if review not in link.reviews:
            others = tuple(known for known in link.reviews if known.kind is not ReviewKind.IDENTITY)
            journal = [journaled(self.parts, link, "review", reason=error.reason)]
            link = attrs.evolve(link, reviews=(*others, review), attempts=Attempts(), settled=True)
            link = await self.parts.store.save(link, journal=journal)
        return await self._shown(ref, link, effects)

    async def _too_many_deletes(self, link: Link, plan: Plan) -> Review | None:
        """Deletions count whoever asked for them: the review under which one too many, or too early, waits."""
        acts = [Act.DELETE.on(write.side) for write in plan.writes if write.verb is Verb.DELETE]
        if not acts:
            return None
        parts = self.parts
        if await in_baseline(parts):
            over = dict.fromkeys(acts, "scope_changed")
        else:
            lately = await parts.store.acts_since(parts.clock.now() - DAY_S, only=acts)
            over = too_much(parts.bounds, {link.id: acts}, lately, await living(parts))
        run = attrs.evolve(parts.run, held={**over, **parts.run.held})
        return held(attrs.evolve(parts, run=run), link, plan, self.index.secret)

    async def _failed(self, ref: Ref, error: SyncError, effects: Effects) -> Outcome:
        """A failure of this record: counted, and due again after a while, or dead until it changes."""
        if isinstance(error, Unauthorized) or (isinstance(error, Unavailable) and error.system):
            raise error
        link = await self._link_of(ref)
        count = link.attempts.count + (1 if counts(error) else 0)
        delay = self.parts.backoff.delay(error, count, self.parts.chance.fraction())
        next_at = self.parts.clock.now() + (delay or 0.0)
        attempts = Attempts(count, next_at, error.reason, dead=delay is None)
        for side, snapshot in effects.looks.items():
            shadow = link.shadow(side)
            apart_s = self.parts.limits.clocks_apart_s
            written_since = shadow is not None and shadow.seen_at + apart_s > snapshot.seen_at
            storable = read(snapshot.fields)[1] is None
            if link.on(side) == snapshot.id and not snapshot.gone and not written_since and storable:
                link = link.with_shadow(side, Shadow.of(snapshot))
        link = await self.parts.store.save(attrs.evolve(link, attempts=attempts, settled=False))
        self.parts.observe(Failed(ref, link.id, error.reason, count, next_at, self.parts.run.id))
        return await self._shown(ref, link, effects, retry_at=None if delay is None else next_at)

    async def _shown(self, ref: Ref, link: Link, effects: Effects, *, retry_at: float | None = None) -> Outcome:
        """The outcome of a link that does not go on as it should, once its records show that.

        Where that is not possible now, they show it at the next occasion.
        """
        outcome = Outcome.of(ref, link, effects, retry_at=retry_at)
        with suppress(SyncError):
            async with self.parts.locks.hold(link.id) as lease:
                now = await self._link_of(link.origin)
                if now.revision == link.revision:  # else somebody went on with it
                    await self._show_standing(now, lease, effects)
        return outcome

    async def _show_standing(self, link: Link, lease: Lease, effects: Effects) -> None:
        parts = self.parts
        sides = [ref for ref in link.refs if parts.replica(ref.side).capabilities.keeps_notes]
        if not parts.show_state:
            return
        looks = {r.side: effects.looks.get(r.side) or await parts.replica(r.side).get(r.id) for r in sides}
        shown = await show(parts, link, looks, permit(parts, lease), claimed=link.intent is not None)
        if shown != link:
            await parts.store.save(attrs.evolve(shown, settled=link.settled, intent=link.intent))


def _named_are_linked(snapshot: Snapshot) -> None:
    """``ParentNotLinked`` where the record names one that has no counterpart yet: parents come first."""
    if snapshot.awaits:
        raise ParentNotLinked(snapshot.awaits)


def _restored(link: Link) -> Link:
    """The link of a record that somebody brought back: what both sides agreed on is over."""
    back = Review(ReviewKind.GONE, BROUGHT_BACK)
    return attrs.evolve(link, tombstone=None, missing=None, base={}, reviews=(back,), settled=False)


def _reviewed(link: Link, field: str) -> bool:
    return any(field in review.fields for review in link.reviews)
