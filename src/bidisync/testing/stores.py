"""What every state store promises, as assertions: run it on yours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import attrs

from bidisync.errors import Contended
from bidisync.model import (
    ABSENT,
    Decision,
    LinkState,
    Notes,
    Ref,
    Review,
    ReviewKind,
    Row,
    Side,
    Verb,
    Versions,
)
from bidisync.state import (
    Agreement,
    Attempts,
    Intent,
    Journaled,
    Known,
    Link,
    Missing,
    Recent,
    Replaced,
    Retention,
    Shadow,
    Tombstone,
    Watch,
    without_values,
)
from bidisync.storage import StateStore

Make = Callable[[], Awaitable[StateStore]]
"""Makes an empty store; it is closed by the check."""


def rich_link(id: str = "1") -> Link:
    """A link that uses every field there is."""
    return Link(
        origin=Ref(Side.LEFT, id),
        left_id=id,
        right_id=f"R{id}",
        base={"a": Agreement("x", "X"), "b": Agreement(None, ABSENT), "c": Agreement(("p", "q"), ("q",))},
        left_shadow=Shadow({"a": "x", "b": None, "d": 1, "e": True, "f": 1.5}, "v1", 12.5),
        right_shadow=Shadow(
            {"a": "X", "b": ABSENT}, unreadable=frozenset({"b", "c"}), replaced=Replaced({"a": "w"}, "v0", 20.0)
        ),
        intent=Intent(Verb.CREATE, Side.RIGHT, {"a": "x"}, 1.0, 2.0, "104711", True, True),
        reviews=(Review(ReviewKind.CONFLICT, "why", "g", {"a": Versions(ABSENT, "x", None)}, "digest"),),
        attempts=Attempts(2, 3.5, "unavailable"),
        shown={Side.LEFT: Notes("R1", "v", LinkState.CONFLICT, "why", 2, 9.0)},
        missing=Missing(Side.RIGHT, 1.5, "run", 2),
        approved="digest",
        watch=Watch(Intent(Verb.CREATE, Side.RIGHT, {"a": "x"}, 1.0, 2.0), 3.0, 4.0),
        recent=(Recent(1.0, "g", "digest"), Recent(2.0, "h", "other")),
        retention=Retention(1.0, 2.5),
        fence=3,
    )


async def check_state_store(make: Make) -> None:
    """Fail with the name of the first promise that the stores made by ``make`` break."""
    for law in (
        _keeps,
        _compares,
        _binds_once,
        _absorbs,
        _fences,
        _lists,
        _tells_who_rests,
        _journals,
        _counts_acts,
        _erases,
        _fades,
        _indexes,
        _marks,
        _one_wins,
        _takes_any_text,
    ):
        store = await make()
        try:
            await law(store)
        finally:
            await store.close()


async def _keeps(store: StateStore) -> None:
    saved = await store.save(rich_link())
    assert saved.revision == 1, "the first save of a link gives revision 1"
    loaded = await store.load([Ref(Side.LEFT, "1"), Ref(Side.RIGHT, "R1"), Ref(Side.RIGHT, "nobody")])
    assert set(loaded) == {Ref(Side.LEFT, "1"), Ref(Side.RIGHT, "R1")}, "a link is found by both its records"
    assert loaded[Ref(Side.LEFT, "1")] == saved, "a link comes back as it was saved"
    assert await store.load([]) == {}, "nothing asked, nothing found"


async def _compares(store: StateStore) -> None:
    first = await store.save(rich_link())
    second = await store.save(attrs.evolve(first, settled=True))
    assert second.revision == first.revision + 1, "each save raises the revision"
    await _refused(store, first, "a save over an older revision is refused")
    await _refused(store, rich_link(), "a second link of the same name is refused")
    assert (await store.load(first.refs))[first.refs[0]] == second, "a refused save changes nothing"


async def _binds_once(store: StateStore) -> None:
    saved = await store.save(rich_link("1"))
    other = attrs.evolve(rich_link("2"), right_id="R1")
    await _refused(store, other, "a record belongs to one link")
    assert await store.load([Ref(Side.LEFT, "2")]) == {}, "a refused save leaves nothing behind"
    await store.save(attrs.evolve(saved, right_id=None))
    await store.save(other)
    owner = (await store.load([Ref(Side.RIGHT, "R1")]))[Ref(Side.RIGHT, "R1")]
    assert owner.id == "left:2", "a record that a link let go is free for another"


async def _absorbs(store: StateStore) -> None:
    stranger = await store.save(attrs.evolve(Link.begin(Ref(Side.RIGHT, "9")), fence=3))
    link = await store.save(Link.begin(Ref(Side.LEFT, "1")))
    outdated = attrs.evolve(stranger, revision=stranger.revision + 7)
    await _refused(store, link.with_id(Side.RIGHT, "9"), "what is absorbed must be as it was read", outdated)
    late = attrs.evolve(stranger, fence=2)
    await _refused(store, link.with_id(Side.RIGHT, "9"), "a writer with a smaller fence can't absorb a link", late)
    assert len(await store.load([Ref(Side.LEFT, "1"), Ref(Side.RIGHT, "9")])) == 2, "a refused end ends nothing"
    both = await store.save(link.with_id(Side.RIGHT, "9"), absorbs=[stranger])
    found = await store.load([Ref(Side.LEFT, "1"), Ref(Side.RIGHT, "9")])
    assert list(found.values()) == [both, both], "an absorbed link is gone"
    assert sum((await store.count()).values()) == 1, "an absorbed link is not counted"


async def _fences(store: StateStore) -> None:
    saved = await store.save(attrs.evolve(rich_link(), fence=5))
    assert await store.fence(saved) == 5, "the fence that is stored is told"
    await _refused(store, attrs.evolve(saved, fence=4), "a writer with a smaller fence is refused")
    assert await store.fence(Link.begin(Ref(Side.LEFT, "nobody"))) == 0, "what is not stored has the fence 0"


async def _lists(store: StateStore) -> None:
    settled = attrs.evolve(Link.begin(Ref(Side.LEFT, "s")), settled=True)
    links = [settled, rich_link(), Link.begin(Ref(Side.LEFT, "due"))]
    links += [attrs.evolve(Link.begin(Ref(Side.RIGHT, f"{n:04}")), settled=True) for n in range(1200)]
    for link in links:
        await store.save(link)
    listed = [link.id async for group in store.links() for link in group]
    assert sorted(listed) == sorted(link.id for link in links), "every link is listed once"
    assert {link.id for link in await store.open_creates()} == {"left:1"}, "open creates are found"
    assert {link.id for link in await store.unsettled()} == {"left:1", "left:due"}, "what is due is found"
    assert (await store.count())["in_sync"] == 1201, "links are counted by their state"
    assert {link.id for link in await store.waiting()} == {"left:1"}, "what waits for a person is found"
    assert {link.id for link in await store.watched()} == {"left:1"}, "watched creates are found"
    over = attrs.evolve((await store.load([Ref(Side.LEFT, "1")]))[Ref(Side.LEFT, "1")], tombstone=Tombstone(1.0))
    over = await store.save(attrs.evolve(over, intent=None, watch=None))
    assert (await store.load(over.refs))[over.refs[0]] == over, "a tombstone comes back as it was saved"
    assert not await store.waiting(), "what is over waits for nobody"
    assert not await store.watched(), "what is over is not watched"


async def _tells_who_rests(store: StateStore) -> None:
    one, other = Shadow({"a": "x"}, "v1"), Shadow({"a": "x"}, "w1")
    both = Link(Ref(Side.LEFT, "1"), "1", "R1", left_shadow=one, right_shadow=other, settled=True)
    saved = await store.save(both)
    asked = [("1", "v1"), ("nobody", "v1"), ("2", None)]
    assert dict(await store.resting(Side.LEFT, asked)) == {"1": "left:1"}, "a record rests at its shadow's version"
    assert not await store.resting(Side.LEFT, [("1", "v2"), ("R1", "w1")]), "at another version, or side, it does not"
    assert not await store.resting(Side.LEFT, []), "nobody asked for, nobody rests"
    many = [attrs.evolve(both, origin=Ref(Side.LEFT, f"m{n}"), left_id=f"m{n}", right_id=f"n{n}") for n in range(900)]
    await asyncio.gather(*(store.save(link) for link in many))
    few = [("m899", "v1"), ("1", "v1"), ("m0", "w1")]
    assert set(await store.resting(Side.LEFT, few)) == {"m899", "1"}, "those asked for are found among many"
    due, tried = attrs.evolve(saved, settled=False), attrs.evolve(saved, attempts=Attempts(1))
    for waits in (due, tried, attrs.evolve(saved, missing=Missing(Side.LEFT, 1.0, "r"))):
        saved = await store.save(attrs.evolve(waits, revision=saved.revision))
        assert not await store.resting(Side.LEFT, asked), "whoever has to be looked at rests at no version"
    found = [living async for group in store.living(Side.LEFT) for living in group]
    ids = [id for id, _, _ in found]
    assert ids == sorted(ids) and len(ids) == 901, "each record of a side is told once, by its id"
    mine = [(link_id, bool(rests)) for id, link_id, rests in found if id == "1"]
    assert mine == [("left:1", False)], "a record is told with its link, and whether it rests"
    await store.save(attrs.evolve(saved, tombstone=Tombstone(1.0)))
    ids = [id async for group in store.living(Side.LEFT) for id, _, _ in group]
    assert "1" not in ids, "a record of a link that is over lives no more"


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
    assert [one.what for one in lines] == ["update", "adopt", "review"], "the journal keeps its order"
    assert lines[0] == line, "an entry comes back as it was, values included"
    assert lines[0].lost == (("a", Side.RIGHT, "Y"),), "what was overwritten can be read"
    try:
        await store.save(saved, journal=[line])
    except Contended:
        assert len(await store.journal("left:1")) == 3, "a refused save leaves no line in the journal"
    else:
        raise AssertionError("a save over an older revision is refused")


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
    assert (await store.load(erased.refs))[erased.refs[0]] == erased, "an erased link comes back as it was erased"
    lines = await store.journal("left:1")
    assert [(one.what, one.run) for one in lines] == [("update", "r"), ("forget", "")], "that something was done stays"
    assert lines[0].lost == (), "no value stays in the journal of an erased link"
    assert lines[0].decisions[0].result is ABSENT, "no value stays in the journal of an erased link"
    assert (await store.journal("left:2"))[0].lost == (("a", Side.RIGHT, "Y"),), "other links keep theirs"
    assert (await store.journal("right:R1"))[0].lost == (), "no value stays under a name that its record once had alone"
    await _erase_refused(store, saved)


async def _fades(store: StateStore) -> None:
    decision = Decision("a", "g", Row.BOTH_CHANGED, Versions("b", "X", "Y"), "prefer left", (Side.RIGHT,), "X")
    lines = [Journaled("left:1", at, "update", (decision,), run="r", acts=("overwrite:right",)) for at in (1.0, 2.0)]
    saved = await store.save(rich_link(), journal=lines)
    (_, newer), (old, older) = await store.history()
    outdated = attrs.evolve(saved, revision=saved.revision - 1)
    try:
        await store.fade([old], journal=[Journaled("left:1", 3.0, "expire")], decided_on=[saved, outdated])
    except Contended:
        assert len(await store.history()) == 2, "what is refused leaves no line"
        assert (await store.history())[1][1] == older, "and takes nothing out"
    else:
        raise AssertionError("nothing fades on what was read before somebody changed it")
    await store.fade([old], decided_on=[saved])
    await store.fade([])
    await store.shred()
    faded = [entry for _, entry in await store.history()]
    assert faded == [newer, without_values(older)], "what fades loses its values and nothing else"
    assert (await store.load(saved.refs))[saved.refs[0]] == saved, "the link itself keeps its own"


async def _erase_refused(store: StateStore, outdated: Link) -> None:
    try:
        await store.erase(outdated)
    except Contended:
        return
    raise AssertionError("an outdated link is not erased")


async def _counts_acts(store: StateStore) -> None:
    line = Journaled("left:1", 100.0, "update", run="r1", acts=("overwrite:right", "blank:right"))
    saved = await store.save(rich_link(), journal=[line])
    saved = await store.save(saved, journal=[attrs.evolve(line, at=200.0, acts=("overwrite:right",))])
    two = attrs.evolve(line, link_id="left:2", at=300.0, run="r2", acts=("overwrite:right",))
    await store.save(Link.begin(Ref(Side.LEFT, "2")), journal=[two])
    found = await store.acts_since(100.0)
    assert dict(found) == {"overwrite:right": {"left:1", "left:2"}, "blank:right": {"left:1"}}, (
        "an act names each link once"
    )
    assert dict(await store.acts_since(250.0)) == {"overwrite:right": {"left:2"}}, "acts before that time do not count"
    blanked = await store.acts_since(0.0, only=["blank:right"])
    assert dict(blanked) == {"blank:right": {"left:1"}}, "only the acts asked for are told"
    newest = await store.history(limit=2)
    assert [entry.run for _, entry in newest] == ["r2", "r1"], "the journal of all can be read from its newest entry"
    older = await store.history(before=newest[-1][0])
    assert [entry.at for _, entry in older] == [100.0], "and on from any of its numbers"


async def _indexes(store: StateStore) -> None:
    one, two = Ref(Side.LEFT, "1"), Ref(Side.LEFT, "2")
    await store.learn(
        [Known(one, {"k": "h", "n": "x"}), Known(two, {"k": "h"}), Known(Ref(Side.RIGHT, "1"), {"k": "h"})]
    )
    found = await store.matches(Side.LEFT, {"k": "h", "n": "other"})
    assert {known.ref for known in found} == {one, two}, "records that share one key are found, on their side alone"
    assert dict(next(k for k in found if k.ref == one).keys) == {"k": "h", "n": "x"}, "with all their keys"
    await store.learn([Known(one, {"n": "y"})])
    assert {k.ref for k in await store.matches(Side.LEFT, {"k": "h"})} == {two}, "a new entry replaces the old one"
    await store.forget([two])
    assert not await store.matches(Side.LEFT, {"k": "h"}), "a forgotten record is not found"
    assert not await store.matches(Side.LEFT, {}), "no key, no match"


async def _marks(store: StateStore) -> None:
    assert await store.get_mark("m") is None, "a mark that was never set is nothing"
    await store.set_mark("m", "1")
    await store.set_mark("m", "2")
    assert await store.get_mark("m") == "2", "a mark keeps its last value"
    await store.set_mark("m", None)
    assert await store.get_mark("m") is None, "a mark can be removed"
    firsts = await asyncio.gather(*(store.first_mark("m", str(number)) for number in range(5)))
    assert len(set(firsts)) == 1 and await store.get_mark("m") == firsts[0], "the first to set a mark decides for all"


async def _one_wins(store: StateStore) -> None:
    first = await store.save(rich_link())
    tries = [store.save(attrs.evolve(first, attempts=Attempts(n))) for n in range(50)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    won = [answer for answer in answers if isinstance(answer, Link)]
    assert len(won) == 1, "of many savers of one revision exactly one wins"
    assert all(isinstance(answer, Link | Contended) for answer in answers), "the others are told so"
    many = await asyncio.gather(*(store.save(Link.begin(Ref(Side.RIGHT, f"m{n}"))) for n in range(50)))
    assert {link.revision for link in many} == {1}, "savers of different links do not disturb each other"


async def _takes_any_text(store: StateStore) -> None:
    for id in ("a\x00b", "\ud800", "\ufdd0", "%s ? '\"; --", "\\x00", "ü" * 300, "😀"):
        saved = await store.save(attrs.evolve(Link.begin(Ref(Side.LEFT, id)), approved=id))
        assert (await store.load(saved.refs)).get(saved.refs[0]) == saved, "any text can be an id, and a value"
        await store.set_mark(id, id)
        assert await store.get_mark(id) == id, "any text can be a mark"
        await store.learn([Known(saved.refs[0], {"k": "h"})])
        assert [known.ref for known in await store.matches(Side.LEFT, {"k": "h"})] == [saved.refs[0]], (
            "and in the index"
        )
        await store.forget(saved.refs)


async def _refused(store: StateStore, link: Link, law: str, absorbs: Link | None = None) -> None:
    try:
        await store.save(link, absorbs=[] if absorbs is None else [absorbs])
    except Contended:
        return
    raise AssertionError(law)
