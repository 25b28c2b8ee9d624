"""Many links in one go, where a store offers that (``SavesMany``): as ``save``, and all or none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import attrs

from bidisync.errors import Contended
from bidisync.model import Decision, Ref, Row, Side, Versions
from bidisync.state import Agreement, Attempts, Journaled, Link, Shadow
from bidisync.storage import SavesMany, StateStore
from bidisync.testing.broken import NotJudgedError, broken, holds
from bidisync.testing.stores import rich_link

ALL_OR_NONE = "compare all of them before the first is stored, in one transaction"
AS_SAVE = "store what save stores: the link, the tokens that it rests at, its lines and their acts"

Saving = tuple[Link, Sequence[Journaled]]


async def _saves_many(store: StateStore) -> None:
    many = _many(store)
    holds(list(await many.save_many([])) == [], "save_many of nothing answers with links", "answer an empty list")
    before = [*await _resting(store), await store.save(rich_link("rich"))]
    asked = [_moved(link) for link in before]
    stored = await many.save_many(asked)
    holds(
        [link.id for link in stored] == [link.id for link in before],
        "save_many answers with other links than it was given, or in another order",
        "answer each link in its place",
    )
    holds(
        all(link == attrs.evolve(wanted, revision=wanted.revision + 1) for link, (wanted, _) in _pairs(stored, asked)),
        "save_many answers otherwise than save: with the link and the next revision",
        "answer what is stored now: it is saved again from there",
    )
    refs = [ref for link in before for ref in link.refs]
    found = await store.load(refs)
    holds(
        all(found.get(ref) == link for link in stored for ref in link.refs),
        "a link comes back otherwise than save_many stored it",
        AS_SAVE,
    )
    await _shows_all(store, before, asked)
    again = await store.save(stored[0])
    holds(again.revision == stored[0].revision + 1, "a link can't be saved after save_many", AS_SAVE)


async def _shows_all(store: StateStore, before: Sequence[Link], asked: Sequence[Saving]) -> None:
    """What else tells of these links: the versions at which they rest, their journal, their acts."""
    resting = [("a1", "v2"), ("a2", "v2"), ("a3", "v1")]
    holds(
        dict(await store.resting(Side.LEFT, resting)) == {"a1": "left:a1", "a2": "left:a2"},
        "a record rests at another version than save_many stored",
        AS_SAVE,
    )
    lived = {id: bool(rests) async for group in store.living(Side.LEFT) for id, _, rests in group}
    holds(
        lived == {"a1": True, "a2": True, "a3": False, "rich": False},
        "living tells of a record otherwise than save_many stored it",
        AS_SAVE,
    )
    for link, lines in asked:
        holds(
            list(await store.journal(link.id)) == list(lines),
            "a line of the journal is lost, or another, after save_many",
            AS_SAVE,
        )
    history = [entry for _, entry in await store.history()]
    holds(
        history == [line for _, lines in reversed(asked) for line in reversed(lines)],
        "the journal does not keep the order in which save_many was given its lines",
        "number the lines in the transaction that writes them",
    )
    acts = dict(await store.acts_since(0.0))
    holds(acts == {"overwrite:right": {link.id for link in before}}, "acts_since misses what save_many stored", AS_SAVE)
    due = {link.id for link in await store.unsettled()}
    holds(due == {"left:a3", "left:rich"}, "what is due is not what save_many stored", AS_SAVE)


async def _saves_all_or_none(store: StateStore) -> None:
    _many(store)
    links = await _resting(store)
    for place in range(len(links)):
        outdated = attrs.evolve(links[place], revision=links[place].revision + 1)
        await _refused(store, links, place, outdated, "save_many stores a link over an older revision")


async def _fences_many(store: StateStore) -> None:
    _many(store)
    links = [await store.save(attrs.evolve(link, fence=5)) for link in await _resting(store)]
    for place in range(len(links)):
        late = attrs.evolve(links[place], fence=4)
        await _refused(store, links, place, late, "a writer with a smaller fence is not refused by save_many")


async def _one_of_many_wins(store: StateStore) -> None:
    many = _many(store)
    links = await _resting(store)
    orders = [links, links[::-1], [links[1], links[0]], [links[1], links[2]]] * 5
    tries = [
        many.save_many([(attrs.evolve(link, attempts=Attempts(number)), ()) for link in order])
        for number, order in enumerate(orders, 1)
    ]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    strange = [one for one in answers if isinstance(one, BaseException) and not isinstance(one, Contended)]
    holds(
        not strange,
        f"a save_many that came too late raises {type(strange[0]).__name__ if strange else ''} and not Contended",
        "take the links in one order, so that two writers do not wait for each other",
    )
    won = [link for one in answers if not isinstance(one, BaseException) for link in one]
    holds(
        len({link.id for link in won}) == len(won) > 0,
        "of many that save_many one revision not exactly one wins",
        ALL_OR_NONE,
    )


async def _refused(store: StateStore, links: Sequence[Link], place: int, wrong: Link, fault: str) -> None:
    """The whole is refused for this one, and nothing of the others is stored."""
    asked = [_moved(link) for link in links]
    asked[place] = (_moved(wrong)[0], asked[place][1])
    try:
        await _many(store).save_many(asked)
    except Contended:
        pass
    else:
        broken(fault, "raise Contended where the stored link is not the one that was read")
    found = await store.load([ref for link in links for ref in link.refs])
    holds(
        all(found[ref] == link for link in links for ref in link.refs),
        "a refused save_many has stored some of its links",
        ALL_OR_NONE,
    )
    lines = [line for link in links for line in await store.journal(link.id)]
    holds(
        not lines and not await store.acts_since(0.0), "a refused save_many leaves a line in the journal", ALL_OR_NONE
    )
    tokens = [(link.left_id or "", "v2") for link in links]
    holds(not await store.resting(Side.LEFT, tokens), "a refused save_many has moved who rests", ALL_OR_NONE)


async def _resting(store: StateStore) -> list[Link]:
    """Three links that rest, as they are stored."""
    found = []
    for id in ("a1", "a2", "a3"):
        link = Link(Ref(Side.LEFT, id), id, f"b{id}", settled=True, base={"f": Agreement("x", "x")})
        link = link.with_shadow(Side.LEFT, Shadow({"f": "x"}, "v1")).with_shadow(Side.RIGHT, Shadow({"f": "x"}, "w1"))
        found.append(await store.save(link))
    return found


def _moved(link: Link) -> Saving:
    """The link with another value and version on the left, and a line that says so; the third is due again."""
    values = Versions("x", f"of {link.id}", "x")
    decisions = (Decision("f", "g", Row.LEFT_CHANGED, values, "prefer left", (Side.RIGHT,), f"of {link.id}"),)
    lines = [
        Journaled(link.id, at, "update", decisions, run="r", acts=("overwrite:right",) if at == 1.0 else ())
        for at in (1.0, 2.0)
    ]
    left = Shadow({"f": f"of {link.id}"}, "v2")
    return attrs.evolve(link, left_shadow=left, settled=link.settled and link.left_id != "a3"), lines


def _many(store: StateStore) -> SavesMany:
    if not isinstance(store, SavesMany):
        raise NotJudgedError("the store does not offer save_many")
    return store


def _pairs(stored: Sequence[Link], asked: Sequence[Saving]) -> Sequence[tuple[Link, Saving]]:
    return list(zip(stored, asked, strict=True))


LAWS: tuple[Callable[[StateStore], Awaitable[None]], ...] = (
    _saves_many,
    _saves_all_or_none,
    _fences_many,
    _one_of_many_wins,
)
