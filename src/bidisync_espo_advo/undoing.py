"""What was done, and how to take it back: the commands ``history`` and ``undo``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack

import attrs

from bidisync.clock import utc_text
from bidisync.engine import Engine
from bidisync.errors import Misconfigured
from bidisync.guards import Run
from bidisync.model import ABSENT, Decision, Seen, Side, Versions
from bidisync.state import Journaled
from bidisync.storage import StateStore
from bidisync_espo_advo.app import open_store, open_sync
from bidisync_espo_advo.commands import Exit
from bidisync_espo_advo.explaining import HEAD, Mask, because, entry_document, line
from bidisync_espo_advo.operating import link_named, opened_state
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.starting import sign_in

NEWEST = 50
PAGE = 500
RESULTS = {
    "restored": "restored",
    "kept": "kept, as somebody edited them since",
    "erased": "not restored, as what was there before was erased (forgotten, or too old)",
    "unresolved": "not undone, as there is no such link any more",
    "not_undone": "not undone (made or linked: end it with espo-advo unlink)",
}
ALWAYS = ("restored", "kept", "not_undone")


async def history_command(settings: Settings, *, name: str | None, shows: bool, report: Report) -> int:
    """The audit trail, newest first: of one link, or the newest entries of all."""
    mask = Mask(shows)
    async with opened_state(settings) as store:
        if name is None:
            entries = list(await store.history(limit=NEWEST))
        else:
            link = await link_named(store, name)
            entries = [pair async for pair in every_entry(store) if pair[1].link_id == link.id]
    if report.as_json:
        documents = [{"decision": number, "run": e.run, **entry_document(e, mask)} for number, e in entries]
        report.document({"history": documents})
        return Exit.IN_SYNC
    for number, entry in entries:
        head = f"{number}  {utc_text(entry.at)} UTC  {entry.what} {entry.link_id} {because(entry)}".rstrip()
        report.table(f"{head}  (run {entry.run})", HEAD, [line(decision, mask) for decision in entry.decisions])
    return Exit.IN_SYNC


async def every_entry(store: StateStore) -> AsyncIterator[tuple[int, Journaled]]:
    """The whole journal with its numbers, newest first."""
    before: int | None = None
    while page := await store.history(before=before, limit=PAGE):
        for pair in page:
            yield pair
        before = page[-1][0]


_NOTHING = Versions(ABSENT, ABSENT, ABSENT)


@attrs.define
class Undo:
    """Gives the fields of one link back what they held before, unless somebody has edited them since.

    ``erased`` are fields of which nobody knows any more what they held: their values were
    forgotten, or had their time.
    """

    before: Mapping[str, tuple[Seen, Seen]]
    erased: frozenset[str] = frozenset()
    restored: set[str] = attrs.Factory(set)
    kept: set[str] = attrs.Factory(set)

    @classmethod
    def of(cls, decisions: Sequence[Decision]) -> Undo:
        """What these decisions, oldest first, wrote over, and what they wrote."""
        found: dict[str, tuple[Seen, Seen]] = {}
        writes = [decision for decision in decisions if decision.writes]
        erased = frozenset(d.field for d in writes if d.versions == _NOTHING and d.result is ABSENT)
        for decision in writes:
            if decision.field not in erased:
                first = found[decision.field][0] if decision.field in found else _before(decision)
                found[decision.field] = (first, decision.result)
        return cls(found, erased)

    def __call__(self, name: str, versions: Versions) -> Seen:
        """The value from before, where both sides still hold what was written."""
        if name not in self.before:
            return ABSENT
        old, written = self.before[name]
        if versions.left != written or versions.right != written or old is ABSENT:
            self.kept.add(name)
            return ABSENT
        self.restored.add(name)
        return old

    @property
    def result(self) -> str:
        """What became of the link as a whole: the worst that became of a field."""
        if self.kept:
            return "kept"
        if self.erased:
            return "erased"
        return "restored" if self.restored else "not_undone"


def _before(decision: Decision) -> Seen:
    """What both sides get back: what the written side held, or the base where both were written."""
    if len(decision.writes) == 1:
        return decision.versions.on(decision.writes[0])
    return decision.versions.base


async def undo_command(settings: Settings, *, what: str, report: Report) -> int:
    """Take back a run or one decision, as far as nobody has edited the values since."""
    settings.require_remotes()
    async with AsyncExitStack() as stack:
        store = await open_store(settings, create=False)
        stack.push_async_callback(store.close)
        entries = await _entries(store, what)
        sync = await stack.enter_async_context(open_sync(settings, store=store))
        await sign_in(sync.remotes)
        run = Run(sync.engine.parts.chance.token()[:16])
        engine = sync.engine.during(run)
        with report.progress("undoing") as progress:
            undone = []
            for place, (link_id, mine) in enumerate(entries.items()):
                undone.append(await _undo_one(engine, store, link_id, mine, what))
                if progress is not None:
                    progress(place + 1, len(entries))
    counts = {kind: sum(one["result"] == kind for one in undone) for kind in RESULTS}
    rows = [(words, f"{counts[kind]} records") for kind, words in RESULTS.items() if counts[kind] or kind in ALWAYS]
    rows += [("not found", f"{one['link']}: {one['why']}") for one in undone if one["result"] == "unresolved"]
    if counts["restored"] or counts["kept"]:
        rows.append(("to take it back", f"espo-advo undo {run.id}"))
    report.show(f"Undo of {what}", rows, {"run": run.id, **counts, "records": undone})
    return Exit.IN_SYNC if counts["restored"] == len(undone) else Exit.WAITING


async def _entries(store: StateStore, what: str) -> dict[str, list[Journaled]]:
    """The entries of a run, or the one of that number, by link and oldest first."""
    found: dict[str, list[Journaled]] = {}
    async for number, entry in every_entry(store):
        if entry.run == what or str(number) == what:
            found.setdefault(entry.link_id, []).insert(0, entry)
    if not found:
        raise Misconfigured(f"there is no run and no decision {what}; espo-advo history lists them")
    return found


async def _undo_one(
    engine: Engine, store: StateStore, link_id: str, entries: Sequence[Journaled], what: str
) -> dict[str, object]:
    decisions = [decision for entry in entries if entry.what == "update" for decision in entry.decisions]
    undo = Undo.of(decisions)
    told: dict[str, object] = {"link": link_id, "result": undo.result, "restored": [], "kept": []}
    told["erased"] = sorted(undo.erased)
    if not undo.before:
        return told
    try:
        link = await link_named(store, link_id)
    except Misconfigured as error:  # the others are undone all the same
        return {**told, "result": "unresolved", "why": str(error)}
    side = Side.LEFT if link.left_id is not None else Side.RIGHT
    ref = next(ref for ref in link.refs if ref.side is side)
    outcome = await engine.impose(ref, undo, by=f"undo of {what}")
    told.update(restored=sorted(undo.restored), kept=sorted(undo.kept), state=outcome.state.value)
    return {**told, "result": undo.result}
