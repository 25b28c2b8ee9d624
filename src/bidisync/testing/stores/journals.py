"""The journal: complete and in order, and without the values that were taken out of it."""

from __future__ import annotations

import attrs

from bidisync.errors import Contended
from bidisync.model import ABSENT, Decision, Ref, Row, Side, Versions
from bidisync.state import Journaled, Link, Tombstone, without_values
from bidisync.storage import StateStore
from bidisync.testing.broken import broken, holds
from bidisync.testing.stores import rich_link

AT_ONCE = "compare and write in one transaction"
OUTDATED = "raise Contended where the revision is not the stored one"


async def _journals(store: StateStore) -> None:
    line = Journaled(
        "left:1",
        1.0,
        "update",
        (Decision("a", "g", Row.BOTH_CHANGED, Versions(None, "X", "Y"), "prefer left", (Side.RIGHT,), "X"),),
    )
    saved = await store.save(rich_link(), journal=[line, attrs.evolve(line, what="adopt", decisions=())])
    await store.save(saved, journal=[attrs.evolve(line, what="review", reason="match_weak")])
    lines = await store.journal("left:1")
    holds(
        [one.what for one in lines] == ["update", "adopt", "review"],
        "the journal does not keep its order",
        "number its lines in the transaction that writes them",
    )
    holds(
        lines[0] == line,
        "an entry of the journal comes back otherwise than it was written",
        "keep every field, and all values",
    )
    holds(
        lines[0].lost == (("a", Side.RIGHT, "Y"),),
        "what was overwritten can't be read in the journal",
        "keep the values of both sides",
    )
    try:
        await store.save(saved, journal=[line])
    except Contended:
        holds(
            len(await store.journal("left:1")) == 3,
            "a refused save leaves a line in the journal",
            AT_ONCE,
        )
    else:
        broken("a save over an older revision is not refused", OUTDATED)


async def _counts_acts(store: StateStore) -> None:
    line = Journaled("left:1", 100.0, "update", run="r1", acts=("overwrite:right", "blank:right"))
    saved = await store.save(rich_link(), journal=[line])
    saved = await store.save(saved, journal=[attrs.evolve(line, at=200.0, acts=("overwrite:right",))])
    two = attrs.evolve(line, link_id="left:2", at=300.0, run="r2", acts=("overwrite:right",))
    await store.save(Link.begin(Ref(Side.LEFT, "2")), journal=[two])
    found = await store.acts_since(100.0)
    holds(
        dict(found) == {"overwrite:right": {"left:1", "left:2"}, "blank:right": {"left:1"}},
        "acts_since does not name each link of an act once",
    )
    holds(
        dict(await store.acts_since(250.0)) == {"overwrite:right": {"left:2"}},
        "acts_since counts acts before that time",
    )
    blanked = await store.acts_since(0.0, only=["blank:right"])
    holds(dict(blanked) == {"blank:right": {"left:1"}}, "acts_since tells acts that were not asked for")
    newest = await store.history(limit=2)
    holds([entry.run for _, entry in newest] == ["r2", "r1"], "history does not begin with the newest entry")
    older = await store.history(before=newest[-1][0])
    holds([entry.at for _, entry in older] == [100.0], "history does not go on before a number that it told")


async def _erases(store: StateStore) -> None:
    decision = Decision("a", "g", Row.BOTH_CHANGED, Versions("b", "X", "Y"), "prefer left", (Side.RIGHT,), "X")
    line = Journaled("left:1", 1.0, "update", (decision,), run="r")
    saved = await store.save(rich_link(), journal=[line])
    await store.save(Link.begin(Ref(Side.LEFT, "2")), journal=[attrs.evolve(line, link_id="left:2")])
    await store.save(Link.begin(Ref(Side.RIGHT, "3")), journal=[attrs.evolve(line, link_id="right:R1")])
    over = Link(
        saved.origin, "1", "R1", tombstone=Tombstone(2.0, by="forget"), revision=saved.revision, fence=saved.fence
    )
    erased = await store.erase(over, journal=[Journaled("left:1", 2.0, "forget")])
    holds(
        (await store.load(erased.refs))[erased.refs[0]] == erased,
        "an erased link comes back otherwise than it was erased",
    )
    lines = await store.journal("left:1")
    holds(
        [(one.what, one.run) for one in lines] == [("update", "r"), ("forget", "")],
        "erase takes lines out of the journal",
        "take out their values alone: what was done stays",
    )
    holds(
        lines[0].lost == (),
        "a value stays in the journal of an erased link",
        "take out what decisions hold: base, both sides, result",
    )
    holds(
        lines[0].decisions[0].result is ABSENT,
        "a value stays in the journal of an erased link",
        "take out what decisions hold: base, both sides, result",
    )
    holds(
        (await store.journal("left:2"))[0].lost == (("a", Side.RIGHT, "Y"),), "erase takes out values of another link"
    )
    holds(
        (await store.journal("right:R1"))[0].lost == (),
        "a value stays in the journal under the name that a record of the link had alone",
        "erase by every ref of the link, too",
    )
    await _erase_refused(store, saved)


async def _erase_refused(store: StateStore, outdated: Link) -> None:
    try:
        await store.erase(outdated)
    except Contended:
        return
    broken("an outdated link is erased", OUTDATED)


async def _fades(store: StateStore) -> None:
    decision = Decision("a", "g", Row.BOTH_CHANGED, Versions("b", "X", "Y"), "prefer left", (Side.RIGHT,), "X")
    lines = [Journaled("left:1", at, "update", (decision,), run="r", acts=("overwrite:right",)) for at in (1.0, 2.0)]
    saved = await store.save(rich_link(), journal=lines)
    (_, newer), (old, older) = await store.history()
    outdated = attrs.evolve(saved, revision=saved.revision - 1)
    try:
        await store.fade([old], journal=[Journaled("left:1", 3.0, "expire")], decided_on=[saved, outdated])
    except Contended:
        holds(len(await store.history()) == 2, "a refused fade leaves a line in the journal", AT_ONCE)
        holds((await store.history())[1][1] == older, "a refused fade has taken values out", AT_ONCE)
    else:
        broken(
            "values fade although a link has changed since it was read",
            "raise Contended unless each of decided_on has its revision",
        )
    await store.fade([old], decided_on=[saved])
    await store.fade([])
    await store.shred()
    faded = [entry for _, entry in await store.history()]
    holds(
        faded == [newer, without_values(older)],
        "what fades does not lose its values and nothing else",
        "keep what without_values keeps",
    )
    holds((await store.load(saved.refs))[saved.refs[0]] == saved, "fade changes the link itself")


LAWS = (_journals, _counts_acts, _erases, _fades)
