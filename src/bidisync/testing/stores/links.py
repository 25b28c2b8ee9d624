"""Links: kept as they are, by one writer at a time."""

from __future__ import annotations

import asyncio

import attrs

from bidisync.errors import Contended
from bidisync.model import Ref, Side
from bidisync.state import Attempts, Known, Link
from bidisync.storage import StateStore
from bidisync.testing.broken import broken, holds
from bidisync.testing.stores import rich_link

AT_ONCE = "compare and write in one transaction"
OUTDATED = "raise Contended where the revision is not the stored one"
ESCAPE = "escape what the store can't hold: zero bytes, lone surrogates"


async def _keeps(store: StateStore) -> None:
    saved = await store.save(rich_link())
    holds(
        saved.revision == 1,
        "the first save of a link does not give revision 1",
        "count revisions from 1, and answer the link with its own",
    )
    loaded = await store.load([Ref(Side.LEFT, "1"), Ref(Side.RIGHT, "R1"), Ref(Side.RIGHT, "nobody")])
    holds(
        set(loaded) == {Ref(Side.LEFT, "1"), Ref(Side.RIGHT, "R1")},
        "a link is not found by each of its records, and under no other",
        "answer load by the refs that were asked for",
    )
    holds(
        loaded[Ref(Side.LEFT, "1")] == saved,
        "a link comes back otherwise than it was saved",
        "keep every field; ABSENT, None and an empty text are three things",
    )
    holds(await store.load([]) == {}, "load finds links although none was asked for")


async def _compares(store: StateStore) -> None:
    first = await store.save(rich_link())
    second = await store.save(attrs.evolve(first, settled=True))
    holds(second.revision == first.revision + 1, "a save does not raise the revision by one")
    await _refused(
        store,
        first,
        "a save over an older revision is not refused",
        OUTDATED,
    )
    await _refused(
        store,
        rich_link(),
        "a second link of the same name is not refused",
        OUTDATED,
    )
    holds(
        (await store.load(first.refs))[first.refs[0]] == second,
        "a refused save has changed the link",
        AT_ONCE,
    )


async def _binds_once(store: StateStore) -> None:
    saved = await store.save(rich_link("1"))
    other = attrs.evolve(rich_link("2"), right_id="R1")
    await _refused(
        store, other, "a record belongs to two links", "raise Contended where a record of the link is another link's"
    )
    holds(
        await store.load([Ref(Side.LEFT, "2")]) == {},
        "a refused save has left a link behind",
        AT_ONCE,
    )
    await store.save(attrs.evolve(saved, right_id=None))
    await store.save(other)
    owner = (await store.load([Ref(Side.RIGHT, "R1")]))[Ref(Side.RIGHT, "R1")]
    holds(
        owner.id == "left:2",
        "a record that a link let go is not free for another",
        "remove the refs that a save no longer names",
    )


async def _absorbs(store: StateStore) -> None:
    stranger = await store.save(attrs.evolve(Link.begin(Ref(Side.RIGHT, "9")), fence=3))
    link = await store.save(Link.begin(Ref(Side.LEFT, "1")))
    outdated = attrs.evolve(stranger, revision=stranger.revision + 7)
    await _refused(
        store,
        link.with_id(Side.RIGHT, "9"),
        "a link is absorbed although it is not as it was read",
        "compare the revisions of those, too",
        outdated,
    )
    late = attrs.evolve(stranger, fence=2)
    await _refused(
        store,
        link.with_id(Side.RIGHT, "9"),
        "a writer with a smaller fence absorbs a link",
        "compare the fences of those, too",
        late,
    )
    holds(
        len(await store.load([Ref(Side.LEFT, "1"), Ref(Side.RIGHT, "9")])) == 2,
        "a refused save has ended the link that it was to absorb",
        AT_ONCE,
    )
    both = await store.save(link.with_id(Side.RIGHT, "9"), absorbs=[stranger])
    found = await store.load([Ref(Side.LEFT, "1"), Ref(Side.RIGHT, "9")])
    holds(
        list(found.values()) == [both, both],
        "an absorbed link is still found by its record",
        AT_ONCE,
    )
    holds(sum((await store.count()).values()) == 1, "an absorbed link is still counted", AT_ONCE)


async def _fences(store: StateStore) -> None:
    saved = await store.save(attrs.evolve(rich_link(), fence=5))
    holds(await store.fence(saved) == 5, "fence does not tell the number that is stored")
    await _refused(
        store,
        attrs.evolve(saved, fence=4),
        "a writer with a smaller fence is not refused",
        "raise Contended where the stored fence is greater",
    )
    holds(await store.fence(Link.begin(Ref(Side.LEFT, "nobody"))) == 0, "fence of a link that is not stored is not 0")


async def _one_wins(store: StateStore) -> None:
    first = await store.save(rich_link())
    tries = [store.save(attrs.evolve(first, attempts=Attempts(n))) for n in range(50)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    won = [answer for answer in answers if isinstance(answer, Link)]
    holds(len(won) == 1, "of many savers of one revision not exactly one wins", AT_ONCE)
    holds(
        all(isinstance(answer, Link | Contended) for answer in answers),
        "a saver that came too late gets another error than Contended",
    )
    many = await asyncio.gather(*(store.save(Link.begin(Ref(Side.RIGHT, f"m{n}"))) for n in range(50)))
    holds({link.revision for link in many} == {1}, "savers of different links disturb each other")


async def _takes_any_text(store: StateStore) -> None:
    for id in ("a\x00b", "\ud800", "\ufdd0", "%s ? '\"; --", "\\x00", "ü" * 300, "😀"):
        saved = await store.save(attrs.evolve(Link.begin(Ref(Side.LEFT, id)), approved=id))
        holds(
            (await store.load(saved.refs)).get(saved.refs[0]) == saved,
            "a link whose id or value is an unusual text is not found again",
            ESCAPE,
        )
        await store.set_mark(id, id)
        holds(
            await store.get_mark(id) == id,
            "a mark of an unusual text is not found again",
            ESCAPE,
        )
        await store.learn([Known(saved.refs[0], {"k": "h"})])
        holds(
            [known.ref for known in await store.matches(Side.LEFT, {"k": "h"})] == [saved.refs[0]],
            "a record whose id is an unusual text is not found in the index",
            ESCAPE,
        )
        await store.forget(saved.refs)


async def _refused(store: StateStore, link: Link, fault: str, remedy: str, absorbs: Link | None = None) -> None:
    try:
        await store.save(link, absorbs=[] if absorbs is None else [absorbs])
    except Contended:
        return
    broken(fault, remedy)


LAWS = (_keeps, _compares, _binds_once, _absorbs, _fences, _one_wins, _takes_any_text)
