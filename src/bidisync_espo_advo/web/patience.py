"""Wrong tokens make trying slow: who has tried a few is answered one by one, after a wait."""

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
    """Too many tries of this sender wait already."""


@attrs.define(eq=False)
class _Peer:
    wrong: deque[float] = attrs.Factory(deque)
    turn: asyncio.Lock = attrs.Factory(asyncio.Lock)
    waiting: int = 0


@attrs.define(eq=False)
class Patience:
    """Judges tries by sender: ``FREE`` wrong ones a minute at once, then ``slow_s`` for each, right or wrong."""

    clock: Callable[[], float]
    slow_s: float = SLOW_S
    _peers: dict[str, _Peer] = attrs.Factory(dict)

    async def judge(self, sender: str, right: Callable[[], bool]) -> bool:
        """What ``right`` says, once it is this try's turn; ``TooMany`` if too many wait for theirs."""
        peer = self._peers.get(sender)
        if peer is None:
            return self._judged(sender, _Peer(), right)
        while peer.wrong and peer.wrong[0] < self.clock() - WITHIN_S:
            peer.wrong.popleft()
        if len(peer.wrong) < FREE:
            return self._judged(sender, peer, right)
        if peer.waiting >= MOST_WAITING:
            raise TooMany
        peer.waiting += 1
        try:
            async with peer.turn:
                await asyncio.sleep(self.slow_s)
                return self._judged(sender, peer, right)
        finally:
            peer.waiting -= 1

    def _judged(self, sender: str, peer: _Peer, right: Callable[[], bool]) -> bool:
        if right():
            return True
        if sender not in self._peers and len(self._peers) >= MOST_PEERS:
            self._peers.pop(next(iter(self._peers)))
        self._peers[sender] = peer
        peer.wrong.append(self.clock())
        if len(peer.wrong) > FREE:
            peer.wrong.popleft()
        return False
