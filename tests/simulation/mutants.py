"""Faults seeded into the shipped engine, one at a time, and whether the simulation notices.

``python tests/simulation/mutants.py [NAME …]`` runs them and prints what killed each; without a
name it runs all and writes ``benchmarks/results/mutants-engine.md``, as ``python3 dev night
engine`` does. ``BIDISYNC_MUTANT_SEEDS`` and ``BIDISYNC_MUTANT_S`` bound each hunt. A mutant is one
piece of text put in the place of another in one shipped file; text that is not there, or stands
there twice, is an error. So is a kill by a seed that breaks the law without the mutant, too.
"""

from __future__ import annotations

import datetime
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import attrs

from bidisync.testing.simulation import simulate
from bidisync.testing.simulation.pairs import PAIRS, STRAINED

PAGE = Path(__file__).parents[2] / "benchmarks" / "results" / "mutants-engine.md"
SOURCE = Path(__file__).parents[2] / "src"
SEEDS = int(os.environ.get("BIDISYNC_MUTANT_SEEDS", "2000"))
SECONDS = float(os.environ.get("BIDISYNC_MUTANT_S", "120"))

HUNT = """
import logging, sys, time
logging.getLogger("stamina").disabled = True
from bidisync.testing.simulation import simulate
from bidisync.testing.simulation.pairs import PAIRS, STRAINED
makers = dict(PAIRS, **STRAINED)
scenarios = [(name, makers[name]()) for name in {names}]
ends = time.monotonic() + {seconds}
for seed in range({seeds}):
    for name, scenario in scenarios:
        run = simulate(scenario, seed)
        for violation in run.violations:
            if not {laws} or violation.partition(":")[0] in {laws}:
                print(f"{{name}}, seed {{seed}}: {{violation}}")
                sys.exit(7)
    if time.monotonic() > ends:
        print(f"survived {{seed + 1}} seeds")
        sys.exit(0)
print("survived {seeds} seeds")
"""


@attrs.frozen
class Mutant:
    """``old`` becomes ``new`` in a file of the core."""

    name: str
    file: str
    old: str
    new: str
    why_it_lives: str = ""
    scenarios: tuple[str, ...] = ("pair",)
    laws: tuple[str, ...] = ()  # only these count, where the strain of a scenario breaks others by itself

    def plant(self, folder: Path) -> None:
        """Put it into a copy of the sources."""
        path = folder / "bidisync" / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"mutant {self.name}: its text stands {text.count(self.old)} times in {self.file}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


MUTANTS = (
    # state before action
    Mutant(
        "create without an intent",
        "create.py",
        "                intent=intent,\n                fence=link.fence + 1,",
        "                fence=link.fence + 1,",
    ),
    Mutant(
        "unconfirmed create forgotten",
        "create.py",
        "link = await self.parts.store.save(attrs.evolve(link, intent=attrs.evolve(intent, unconfirmed=True)))\n            return await self.recover(link)",
        "link = await self.parts.store.save(attrs.evolve(link, intent=None))\n            raise",
        scenarios=(
            "newcomers",
            "pair",
        ),
    ),
    Mutant("update without an intent", "apply.py", "            intent=_intent_of(parts, self.plan),\n", ""),
    Mutant(
        "no journal of an update",
        "apply.py",
        "stored = await parts.store.save(errand.intended(parts), journal=errand.lines(parts))",
        "stored = await parts.store.save(errand.intended(parts))",
    ),
    Mutant(
        "nothing stored before an update",
        "apply.py",
        "        stored = await parts.store.save(errand.intended(parts), journal=errand.lines(parts))\n",
        "        stored = errand.intended(parts)\n",
    ),
    Mutant(
        "many are sent without an intent",
        "plain.py",
        "(u.errand.intended(parts), u.errand.lines(parts))",
        "(u.errand.given_up(u.errand.done), u.errand.lines(parts))",
        scenarios=("forgetful",),
    ),
    Mutant(
        "many stand on old rows",
        "plain.py",
        "listed(parts, ref, link, rows), listed(parts, Ref(ref.side.other, there), link, rows)",
        "rows.get(ref), rows.get(Ref(ref.side.other, there))",
        scenarios=("forgetful",),
    ),
    # base and shadows
    Mutant(
        "base moves before the write",
        "apply.py",
        "base=agreed_anew(before.base, _agreements(plan.agreed, looks)),",
        "base=agreed_anew(before.base, _agreements([*plan.agreed, *(d.field for d in plan.decisions)], looks)),",
    ),
    Mutant(
        "base never moves", "apply.py", "        base=agreed_anew(link.base, agreed),\n", "        base=link.base,\n"
    ),
    Mutant(
        "base is what a person made of the other side meanwhile",
        "apply.py",
        "((seen if name in sent.get(side, ()) else looks)[side]",
        "(seen[side]",
        scenarios=("crossings",),
        laws=("C1",),
    ),
    Mutant(
        "the shadow stays after a write",
        "apply.py",
        "    link = link.with_shadow(write.side, Shadow.of(now).replacing(looks[write.side], write.fields, until))\n",
        "",
        scenarios=(
            "slow-unversioned",
            "unversioned",
        ),
    ),
    Mutant(
        "disturbed records count as settled",
        "apply.py",
        "        settled=link.settled and not moved(parts, expected, now.fields, ignore=write.fields),\n",
        "        settled=link.settled,\n",
        scenarios=(
            "unconditional-on-both",
            "crossings",
        ),
        laws=("C1",),
    ),
    Mutant(
        "a landed write is not recognised",
        "apply.py",
        "    if link.intent is None or link.intent.verb is not Verb.UPDATE:\n        return link\n",
        "    return link\n",
        scenarios=(
            "slow",
            "pair",
        ),
    ),
    Mutant(
        "a created record has no base",
        "create.py",
        "            base=self._base_of(intent.payload, other),\n",
        "            base={},\n",
    ),
    Mutant(
        "a found create has no base",
        "create.py",
        "                base=self._base_of(intent.payload, intent.side),\n                settled=False,\n",
        "                base={},\n                settled=False,\n",
        scenarios=(
            "newcomers",
            "pair",
        ),
    ),
    Mutant(
        "looks are not remembered",
        "apply.py",
        "    if side not in looks or looks[side].gone:\n        return link.shadow(side)",
        "    if True:\n        return link.shadow(side)",
        scenarios=("pair",),
    ),
    # ambiguous creates
    Mutant(
        "sent again at once",
        "create.py",
        "        if self.parts.clock.now() < intent.not_before:\n            return link\n        if doubtful",
        "        if doubtful",
        scenarios=("newcomers", "unhinted-newcomers"),
    ),
    Mutant(
        "sent again without a search",
        "create.py",
        "        found, doubtful = await self._made(link)\n",
        "        found, doubtful = [], False\n",
    ),
    Mutant(
        "sent again with a newer payload",
        "create.py",
        "        again = intent_for(self.parts, Verb.CREATE, intent.side, intent.payload, intent.watermark)\n        again = attrs.evolve(again",
        "        newer = {k: mine.fields.get(k) for k in intent.payload}\n        again = intent_for(self.parts, Verb.CREATE, intent.side, newer, intent.watermark)\n        again = attrs.evolve(again",
        scenarios=("newcomers",),
    ),
    Mutant(
        "open creates are not asked about",
        "meet.py",
        "        await self.creation.not_just_made(link, mine, side)\n",
        "",
        scenarios=("unhinted-newcomers",),
    ),
    Mutant(
        "an open create is not recovered",
        "engine.py",
        "        if link.creating:\n            link = await meeting",
        "        if False:\n            link = await meeting",
    ),
    Mutant(
        "no search by the counterpart before a create",
        "create.py",
        "            if named:\n                return",
        "            if False:\n                return",
        scenarios=("old-state",),
    ),
    # identity
    Mutant(
        "nobody is matched",
        "meet.py",
        "        candidates = await self.index.matches(side.other, mine)\n",
        "        candidates = []\n",
    ),
    Mutant(
        "taken records are matched again",
        "identity.py",
        "            if taken(strong[0].ref):\n",
        "            if False:\n",
        why_it_lives="an adoption looks once more whether the record is taken, and refuses",
        scenarios=("pair",),
    ),
    Mutant(
        "several matches: the first",
        "identity.py",
        '        if strong:\n            return Defer("match_several")',
        "        if strong:\n            return strong[0].ref",
        scenarios=("triplets",),
    ),
    Mutant(
        "an index that learns nothing",
        "index.py",
        "        await self.parts.store.learn([self.known(side, s) for s in snapshots if not s.gone])\n",
        "",
    ),
    Mutant(
        "hinted records stay unknown",
        "engine.py",
        "            await self.index.learn(ref.side, [mine])\n",
        "",
        scenarios=("copies",),
    ),
    Mutant(
        "each worker has its own secret",
        "index.py",
        "            secret = await parts.store.first_mark(_SECRET, parts.chance.token())\n",
        "            secret = parts.chance.token()\n",
    ),
    # fences, leases, versions
    Mutant(
        "fences are ignored",
        "fence.py",
        "    if await parts.store.fence(link) != link.fence:\n",
        "    if False:\n",
        scenarios=("taken-over",),
        laws=("C12",),
    ),
    Mutant(
        "the end of the lease is ignored",
        "fence.py",
        "    if not lasts(parts, lease):\n        await",
        "    if False:\n        await",
        scenarios=("short-leases",),
    ),
    Mutant(
        "an update under way is not waited for",
        "fence.py",
        "    if link.intent is not None and parts.clock.now() < link.intent.not_before:\n",
        "    if False:\n",
        scenarios=(
            "unconditional-on-both",
            "crossings",
        ),
        laws=("C12",),
    ),
    Mutant(
        "a time to wait until allows for no other clock",
        "fence.py",
        " + limits.search_lag_s + limits.clocks_apart_s",
        " + limits.search_lag_s",
        scenarios=("clocks-apart",),
        laws=("C2", "C3"),
    ),
    Mutant(
        "old answers are told by one clock",
        "apply.py",
        " + parts.limits.consistency_s + parts.limits.clocks_apart_s",
        " + parts.limits.consistency_s",
        scenarios=("clocks-apart",),
        laws=("C2",),
    ),
    Mutant(
        "a lease is released by anybody",
        "locks/local.py",
        "            if self.held.get(key) is lease:\n                del self.held[key]\n            lease.over",
        "            self.held.pop(key, None)\n            lease.over",
    ),
    Mutant(
        "revisions are not compared",
        "stores/memory.py",
        '        if (0 if stored is None else stored.revision) != link.revision:\n            raise Contended("somebody else changed this link")\n        if stored',
        "        if stored",
        scenarios=(
            "pair",
            "taken-over",
        ),
        laws=("C12",),
    ),
    Mutant(
        "a write may stand on an old read",
        "apply.py",
        "    if usable and (guarded or 0.0 <= age <= parts.limits.freshness_s):\n",
        "    if True:\n",
        scenarios=("crossings",),
        laws=("C12",),
    ),
    Mutant(
        "a moved record is written all the same",
        "apply.py",
        "    if change is None or change:\n        raise Stale",
        "    if False:\n        raise Stale",
        scenarios=("unconditional-on-both",),
        why_it_lives="a look is renewed only where it is over two seconds old, and between the two people of the"
        " simulation seldom edit; tests/unit/test_engine.py (an edit that is seen when an old look is renewed) notices it",
    ),
    Mutant(
        "notes of which nobody can tell count as shown",
        "notes.py",
        "            return attrs.evolve(link, settled=False, shown={s: n for s, n in link.shown.items() if s is not side})",
        "            return attrs.evolve(link, settled=False)",
        scenarios=("noted", "slow"),
    ),
    Mutant(
        "old rows are believed",
        "looking.py",
        "newer = shadow is None or row.seen_at > shadow.seen_at + parts.limits.clocks_apart_s",
        "newer = True",
        scenarios=(
            "slow",
            "pair",
        ),
    ),
    Mutant(
        "stale reads are believed",
        "detectors.py",
        "    if replaced is None or now >= replaced.until or snapshot.gone:\n        return False\n",
        "    return False\n",
        scenarios=(
            "slow",
            "pair",
        ),
    ),
    # decisions
    Mutant(
        "only the left side counts",
        "look.py",
        "                not compared(key, right, agreed.right),\n",
        "                False,\n",
    ),
    Mutant(
        "the stranger's edit wins over a conflict in silence",
        "replay.py",
        "    return tuple(d for d in decisions if d.writes or",
        "    return tuple(d for d in decisions if",
    ),
    Mutant(
        "a record gone is made again",
        "reconcile.py",
        "    if (left.gone and right.gone) or policy.on_delete is OnDelete.IGNORE:\n        return Plan(ends=True)\n",
        "    if left.gone or right.gone:\n        return Plan()\n",
    ),
    Mutant(
        "an edit goes with a deletion",
        "reconcile.py",
        "    if (left.gone and right.gone) or policy.on_delete is OnDelete.IGNORE:\n",
        "    if left.gone or right.gone:\n",
    ),
    Mutant(
        "guards are not asked",
        "gate.py",
        "    reason = parts.guard(link, plan) or parts.run.holds(plan)\n",
        "    reason = parts.run.holds(plan)\n",
        scenarios=("asking",),
    ),
    # engine and sweep
    Mutant(
        "echo: an unmoved record is decided again and shown again",
        "notes.py",
        "    if shown is None:\n        return True\n    return (",
        "    return True\n    return (",
    ),
    Mutant(
        "a pass does not take up what is open",
        "sweep.py",
        "            if link.attempts.next_at <= now:\n                work.add",
        "            if False:\n                work.add",
        scenarios=("polled",),
        laws=("C11",),
    ),
    Mutant(
        "unsettled links rest where nothing moved",
        "looking.py",
        "    if not (link.settled or link.attempts.dead):\n        return False\n",
        "    if not (link.settled or link.attempts.dead):\n        shadow = link.shadow(side)\n        return shadow is not None and not snapshot.gone and shadow.version == snapshot.version\n",
    ),
    Mutant(
        "failures settle a link",
        "engine.py",
        "attrs.evolve(link, attempts=attempts, settled=False))\n        self.parts.observe(Failed",
        "attrs.evolve(link, attempts=attempts, settled=True))\n        self.parts.observe(Failed",
    ),
    Mutant(
        "a failed write leaves the link settled",
        "apply.py",
        "attrs.evolve(done, settled=False, attempts=self.before.attempts",
        "attrs.evolve(done, settled=True, attempts=self.before.attempts",
        scenarios=(
            "pair",
            "slow",
        ),
    ),
    # guards, grace, canaries, approvals
    Mutant(
        "deletions pass their guard",
        "engine.py",
        "plan, self.index.secret) or await self._too_many_deletes(link, plan)",
        "plan, self.index.secret)",
        scenarios=("new-scope",),
    ),
    Mutant(
        "two workers pass the guard at once",
        "apply.py",
        "            await _one_too_many(parts, plan)\n",
        "            pass\n",
        scenarios=("deletions-at-once", "guarded"),
    ),
    Mutant(
        "bounds bound nothing",
        "guards.py",
        "        return count > number and count > links * percent / 100\n",
        "        return False\n",
        scenarios=("guarded",),
    ),
    Mutant(
        "no grace",
        "gone.py",
        "        missing.passes >= PASSES or",
        "        missing.passes >= 0 or",
        scenarios=("guarded",),
    ),
    Mutant(
        "hints count as passes",
        "gone.py",
        "    if before.run == run or named or",
        "    if before.run == run or",
        scenarios=(
            "guarded",
            "brought-back",
        ),
    ),
    Mutant(
        "no canary",
        "gone.py",
        "        if alive is False:\n",
        "        if False:\n",
        why_it_lives="the deletion waits all the same, for it counts as certain only if another record answered; and a link that ended because both sides looked gone begins again when one of them shows up",
        scenarios=("looks-empty",),
    ),
    Mutant(
        "a canary of long ago",
        "gone.py",
        "        if id and id != link.on(side) and missed < at:\n",
        "        if id and id != link.on(side) and now - at < TRUSTED_S:\n",
        scenarios=("looks-empty", "guarded"),
    ),
    Mutant(
        "a deletion is believed without anybody else to ask",
        "gone.py",
        "    return link, plan if certain else",
        "    return link, plan if True else",
        scenarios=("alone",),
    ),
    Mutant(
        "who is missing is forgotten",
        "engine.py",
        "await self.index.learn_all({side: snapshot for side, snapshot in looks.items() if not snapshot.row})",
        "[await self.index.learn(side, [snapshot]) for side, snapshot in looks.items()]",
        scenarios=("guarded",),
    ),
    Mutant(
        "held plans go",
        "gate.py",
        "    return None if link.approved == name else Review",
        "    return None if True else Review",
        scenarios=("asking", "guarded"),
    ),
    Mutant(
        "an approval holds for every plan",
        "gate.py",
        "    return None if link.approved == name else Review",
        "    return None if link.approved else Review",
        scenarios=("second-thoughts",),
    ),
    Mutant(
        "an approval is never used up",
        "apply.py",
        '            settled=True,\n            approved="",\n',
        "            settled=True,\n",
        scenarios=("same-again",),
    ),
    Mutant(
        "held plans have no name",
        "guards.py",
        "(to_rest(decision) for decision in decisions if decision.writes)",
        "(decision.field for decision in decisions if decision.writes)",
        scenarios=("second-thoughts",),
    ),
    # what is over, twins, loops, attempts
    Mutant(
        "an ended link begins again without a cause",
        "engine.py",
        "            if ref.side not in link.tombstone.gone or (await self.parts.replica(ref.side).get(ref.id)).gone:\n",
        "            if False:\n",
        scenarios=("pair", "guarded"),
    ),
    Mutant(
        "a record that was brought back stays over",
        "engine.py",
        "            if ref.side not in link.tombstone.gone or (await self.parts.replica(ref.side).get(ref.id)).gone:\n                return Outcome.of(ref, link, effects)\n",
        "            if True:\n                return Outcome.of(ref, link, effects)\n",
        scenarios=("brought-back",),
    ),
    Mutant(
        "sent again where nobody can tell",
        "create.py",
        "        if doubtful or not self.parts.replica(intent.side).capabilities.finds_created:\n",
        "        if doubtful:\n",
        scenarios=("unsearchable-newcomers",),
    ),
    Mutant(
        "what was sent once is made again by the next pass",
        "meet.py",
        "        if doubt is not None:\n",
        "        if False:\n",
        scenarios=("unsearchable-newcomers",),
    ),
    Mutant("loops go on", "flapping.py", "    if not circling:\n", "    if True:\n", scenarios=("asking",)),
    Mutant(
        "what was written is not remembered",
        "apply.py",
        "recent=remembered(done, plan, parts.clock.now())",
        "recent=()",
        scenarios=("asking",),
    ),
    Mutant(
        "failures are not counted",
        "engine.py",
        "count = link.attempts.count + (1 if counts(error) else 0)",
        "count = 1",
        scenarios=("broken",),
    ),
    Mutant(
        "a create forgets how often it failed",
        "create.py",
        "                fence=link.fence + 1,\n                reviews=(),",
        "                fence=link.fence + 1,\n                attempts=Attempts(),\n                reviews=(),",
        scenarios=("broken",),
    ),
    Mutant(
        "a dry run changes records",
        "rehearsal.py",
        "        self._made[seen.id] = attrs.evolve(seen, fields",
        "        await self.replica.update(seen, changes, notes=notes)\n        self._made[seen.id] = attrs.evolve(seen, fields",
        scenarios=("dry-runs",),
    ),
    Mutant(
        "a dry run makes records",
        "rehearsal.py",
        '        id = f"{self.new_id}{len(self._made)}"\n',
        "        id = (await self.replica.create(fields, notes=notes)).id\n",
        scenarios=("dry-runs",),
    ),
    Mutant(
        "one record of two that no list shows is looked at",
        "sweep.py",
        "        await self._deal(engine, work.beside, work, tally, None)\n",
        "",
        scenarios=("partial",),
    ),
    Mutant(
        "missing from a list is not looked into",
        "sweep.py",
        "self._suspect_missing(work, side) if everything else {}",
        "self._suspect_missing(work, side) if False else {}",
    ),
)
IN_CI = (
    "create without an intent",
    "each worker has its own secret",
    "no journal of an update",
    "sent again without a search",
    "nobody is matched",
)


def hunt(mutant: Mutant, *, seeds: int = SEEDS, seconds: float = SECONDS) -> str:
    """What killed it, or how many seeds it survived."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src"
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        mutant.plant(copy)
        done = subprocess.run(
            [sys.executable, "-c", HUNT.format(names=mutant.scenarios, laws=mutant.laws, seeds=seeds, seconds=seconds)],
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode == 7:
        return done.stdout.strip() if _holds_without(mutant, done.stdout) else f"error: no fault needed: {done.stdout}"
    if done.returncode:
        return f"error: {done.stderr.strip().splitlines()[-1]}"
    return done.stdout.strip()


def _holds_without(mutant: Mutant, killed_by: str) -> bool:
    """Whether the seed that killed a mutant breaks none of its laws with the shipped engine."""
    logging.getLogger("stamina").disabled = True
    found = re.match(r"(.+), seed (\d+): ", killed_by)
    assert found is not None
    make = {**PAIRS, **STRAINED}[found[1]]
    broken = {violation.partition(":")[0] for violation in simulate(make(), int(found[2])).violations}
    return not (broken & set(mutant.laws) if mutant.laws else broken)


def dead(how: str) -> bool:
    """Whether that is the end of a mutant."""
    return not how.startswith(("survived", "error"))


def page(results: Mapping[str, str]) -> str:
    """The whole page."""
    number, killed = len(results), sum(map(dead, results.values()))
    lines = [
        "# Faults seeded into the engine, and what noticed them",
        "",
        "<!-- written by `python3 dev night engine`: edit tests/simulation/mutants.py instead -->",
        "",
        f"{datetime.datetime.now(datetime.UTC).date()}: **{killed} of {number} killed"
        f" ({100 * killed / max(1, number):.0f} %)**. Each mutant is one piece of text of a shipped file in the place of",
        f"another (`tests/simulation/mutants.py`). It is run from seed 0 until a law is broken, for at most {SEEDS} seeds",
        f"of its scenario or {SECONDS:.0f} seconds. A kill counts only if the same seed breaks no such law in the shipped engine.",
        "",
        "| mutant | file | scenario, first seed, law |",
        "|---|---|---|",
    ]
    for mutant in MUTANTS:
        how = results[mutant.name]
        lines.append(f"| {mutant.name} | {mutant.file} | {how if dead(how) else f'**{how}**'} |")
    lines += ["", "## Survivors", ""]
    for mutant in MUTANTS:
        if not dead(results[mutant.name]):
            lines.append(f"- *{mutant.name}* ({results[mutant.name]}): {mutant.why_it_lives or 'not explained'}.")
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> int:
    """Hunt them; print what became of each, and the rate."""
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    results = {}
    for mutant in chosen:
        how = results[mutant.name] = hunt(mutant)
        print(f"{mutant.name}: {how}", flush=True)
    killed = sum(map(dead, results.values()))
    print(f"\n{killed} of {len(chosen)} killed ({100 * killed / max(1, len(chosen)):.0f} %)")
    if not names:
        PAGE.write_text(page(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
