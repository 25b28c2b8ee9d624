"""Finds links by a number, an id, or parts of a name; names stay in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import attrs

from bidisync.mapping import match_key
from bidisync.model import ABSENT, Ref, Side
from bidisync.state import Link
from bidisync.storage import StateStore

MOST = 50
LONGEST = 200
WITHIN_S = 5.0
NAMES = ("family_name", "given_name", "search_name", "birth_name", "addition", "register_number")


@attrs.frozen
class Found:
    """The links, and whether there may be more than these."""

    links: tuple[Link, ...]
    more: bool = False


@attrs.define(eq=False)
class Finding:
    """Looks through the state, one search after another, for a bounded time each."""

    store: StateStore
    clock: Callable[[], float]
    within_s: float = WITHIN_S
    _turn: asyncio.Lock = attrs.Factory(asyncio.Lock)

    async def __call__(self, text: str) -> Found:
        """Links with this id or number; else those whose names hold every word, however they are spelled."""
        text = text.strip()[:LONGEST]
        exact = await self._named(text)
        if exact or not text:
            return Found(exact)
        words = [key for word in text.split() if (key := str(match_key(word) or ""))]
        async with self._turn:
            return await self._scanned(words) if words else Found(())

    async def _named(self, text: str) -> tuple[Link, ...]:
        refs = [Ref(side, text) for side in Side] if text else []
        with suppress(ValueError):
            refs.append(Ref.parse(text))
        found = await self.store.load(refs)
        return tuple({link.id: link for link in found.values()}.values())

    async def _scanned(self, words: list[str]) -> Found:
        found: list[Link] = []
        until = self.clock() + self.within_s
        async for links in self.store.links():
            for link in links:
                if not link.tombstoned and _holds(link, words):
                    found.append(link)
                    if len(found) >= MOST:
                        return Found(tuple(found), more=True)
            if self.clock() > until:
                return Found(tuple(found), more=True)
            await asyncio.sleep(0)  # others are served meanwhile
        return Found(tuple(found))


def _holds(link: Link, words: list[str]) -> bool:
    texts = []
    for shadow in (link.left_shadow, link.right_shadow):
        for name in NAMES if shadow is not None else ():
            value = shadow.fields.get(name, ABSENT) if shadow is not None else ABSENT
            if isinstance(value, str):
                texts.append(str(match_key(value)))
    every = " ".join(texts)
    return all(word in every for word in words)
