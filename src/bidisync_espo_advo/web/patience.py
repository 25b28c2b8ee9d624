"""Wrong tokens make trying slow: who has tried a few is told one by one, after a wait, that another is wrong.

The right token is never slowed down, whoever else tries from the same address: behind a proxy
that is everybody. So a guess is worth as much as the token is short: it has to be long.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import attrs

FREE = 20
WITHIN_S = 60.0
SLOW_S = 0.25
MOST_WAITING = 20
MOST_PEERS = 10_000


class TooMany(Exception):
    """Too many wrong tries of this sender wait already."""


@attrs.define(eq=False)
class _Peer:
    wrong: deque[float] = attrs.Factory(deque)
    turn: asyncio.Lock = attrs.Factory(asyncio.Lock)
    waiting: int = 0


@attrs.define(eq=False)
class Patience:
    """Judges tries by sender: ``FREE`` wrong ones a minute are told at once, then each after ``slow_s``."""

    clock: Callable[[], float]
    slow_s: float = SLOW_S
    _peers: dict[str, _Peer] = attrs.Factory(dict)

    async def judge(self, sender: str, right: Callable[[], bool]) -> bool:
        """What ``right`` says: at once if it is right; ``TooMany`` if too many wrong ones wait for their turn."""
        if right():
            return True
        peer = self._peer(sender)
        while peer.wrong and peer.wrong[0] < self.clock() - WITHIN_S:
            peer.wrong.popleft()
        if len(peer.wrong) >= FREE:
            await self._turn(peer)
        peer.wrong.append(self.clock())
        if len(peer.wrong) > FREE:
            peer.wrong.popleft()
        return False

    def _peer(self, sender: str) -> _Peer:
        if sender not in self._peers and len(self._peers) >= MOST_PEERS:
            self._peers.pop(next(iter(self._peers)))
        return self._peers.setdefault(sender, _Peer())

    async def _turn(self, peer: _Peer) -> None:
        if peer.waiting >= MOST_WAITING:
            raise TooMany
        peer.waiting += 1
        try:
            async with peer.turn:
                await asyncio.sleep(self.slow_s)
        finally:
            peer.waiting -= 1
