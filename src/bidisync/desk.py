"""Tells people what waits for them: each thing once, many in one notice, never a flood.

The desk looks at the state now and then. What it has not told yet goes out by every channel,
one notice for each kind, and then not again before ``every_s`` has passed. What was told is
remembered in the state, so a restart repeats nothing; what is settled is forgotten, so it is
told again when it comes again. A channel that fails is tried again with the next batch, alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack

import attrs

from bidisync.errors import Contended, SyncError
from bidisync.events import Called, CircuitMoved, Event, SystemFailed, Told
from bidisync.guards import held_review
from bidisync.notices import Notice, NoticeKind, Waiting
from bidisync.protocols import Clock, LockProvider, Notifier, Observer
from bidisync.state import Link
from bidisync.storage import StateStore

MARK = "notices"

Advice = Callable[[NoticeKind, Sequence[Link]], str]
"""What to do about things of a kind, among these links that wait."""


@attrs.define
class _Memory:
    """Since when each open thing is known and by which channels it was told; when each channel last spoke."""

    things: dict[str, tuple[float, tuple[str, ...]]] = attrs.Factory(dict)
    last: dict[str, float] = attrs.Factory(dict)

    @classmethod
    def read(cls, text: str | None) -> _Memory:
        document = json.loads(text or "{}")
        things = {key: (at, tuple(channels)) for key, (at, channels) in document.get("things", {}).items()}
        return cls(things, document.get("last", {}))

    def written(self) -> str:
        return json.dumps({"things": self.things, "last": self.last}, separators=(",", ":"))


@attrs.define
class Reach:
    """Which systems fail as a whole, as far as this process has heard: an observer."""

    heard: dict[str, str] = attrs.Factory(dict)  # by system the code of its failure; empty: it answers

    def __call__(self, event: Event) -> None:
        """Note what an event says of a system."""
        match event:
            case SystemFailed():
                self.heard[event.system] = event.reason
            case CircuitMoved(open=True):
                self.heard[event.system] = self.heard.get(event.system) or "unavailable"
            case Called(outcome="ok"):
                self.heard[event.system] = ""


@attrs.define(kw_only=True)
class Desk:
    """What waits for people in one state, and the channels to them.

    With ``locks`` only one of many processes looks at a time. A system counts as down once
    it has failed as a whole for ``down_after_s``, and until a request to it succeeds.
    """

    store: StateStore
    clock: Clock
    channels: Mapping[str, Notifier]
    advise: Advice = attrs.field(default=lambda kind, waiting: "")
    every_s: float = 900.0
    down_after_s: float = 900.0
    reach: Reach = attrs.Factory(Reach)
    locks: LockProvider | None = None
    observe: Observer = attrs.field(default=lambda event: None)

    async def run(self, every_s: float = 60.0) -> None:
        """Look again and again, until cancelled; whatever fails is tried again at the next look."""
        while True:
            try:
                await self.look()
            except SyncError as error:
                self.observe(Told("any", "desk", 0, error.reason))
            await self.clock.sleep(every_s)

    async def look(self) -> int:
        """Tell what has not been told yet, if it is time; how many notices went out."""
        async with AsyncExitStack() as stack:
            try:
                if self.locks is not None:
                    await stack.enter_async_context(self.locks.hold(MARK))
            except Contended:
                return 0  # another process is looking
            return await self._look()

    async def _look(self) -> int:
        now, before = self.clock.now(), await self.store.get_mark(MARK)
        memory, waiting = _Memory.read(before), await self.store.waiting()
        open_things = {_key(kind, item): (kind, item) for kind, item in self._open(waiting)}
        kept = {key: known for key, known in memory.things.items() if key in open_things or self._unheard(key)}
        memory.things = {**dict.fromkeys(open_things, (now, ())), **kept}
        sent = 0
        for channel, notifier in self.channels.items():
            if 0 <= now - memory.last.get(channel, float("-inf")) < self.every_s:
                continue
            for notice, keys in self._untold(channel, open_things, memory, now, waiting):
                memory.last[channel] = now
                if await self._tell(channel, notifier, notice):
                    sent += 1
                    for key in keys:
                        since, told = memory.things[key]
                        memory.things[key] = (since, (*told, channel))
                await self.store.set_mark(MARK, memory.written())
        after = memory.written()
        if after != (before or _Memory().written()):
            await self.store.set_mark(MARK, after)
        return sent

    async def _tell(self, channel: str, notifier: Notifier, notice: Notice) -> bool:
        reason = ""
        try:
            await notifier.notify(notice)
        except SyncError as error:
            reason = error.reason
        self.observe(Told(notice.kind.value, channel, notice.count, reason))
        return not reason

    def _open(self, waiting: Iterable[Link]) -> Iterable[tuple[NoticeKind, Waiting]]:
        for link in waiting:
            held = held_review(link)
            if link.attempts.dead:
                yield NoticeKind.DEAD, Waiting(link.id, link.attempts.reason, records=link.refs)
            if held is not None:
                yield NoticeKind.HELD, Waiting(link.id, held.reason, records=link.refs)
            other = next((review for review in link.reviews if review is not held), None)
            if other is not None:
                yield NoticeKind.REVIEW, Waiting(link.id, other.reason, records=link.refs)
        for system, reason in self.reach.heard.items():
            if reason:
                yield NoticeKind.REMOTE_DOWN, Waiting(system, reason)

    def _unheard(self, key: str) -> bool:
        """Whether this is a system of which this process knows nothing: another one may."""
        prefix = f"{NoticeKind.REMOTE_DOWN.value}:"
        return key.startswith(prefix) and key.removeprefix(prefix) not in self.reach.heard

    def _untold(
        self,
        channel: str,
        open_things: Mapping[str, tuple[NoticeKind, Waiting]],
        memory: _Memory,
        now: float,
        waiting: Sequence[Link],
    ) -> Iterable[tuple[Notice, list[str]]]:
        for kind in NoticeKind:
            patience = self.down_after_s if kind is NoticeKind.REMOTE_DOWN else 0.0
            found = {
                key: attrs.evolve(item, since=memory.things[key][0])
                for key, (its_kind, item) in open_things.items()
                if its_kind is kind and channel not in memory.things[key][1] and now - memory.things[key][0] >= patience
            }
            if found:
                yield Notice(kind, tuple(found.values()), self.advise(kind, waiting)), list(found)


def _key(kind: NoticeKind, item: Waiting) -> str:
    """The name of a thing in the memory: no id can be read from it."""
    if kind is NoticeKind.REMOTE_DOWN:
        return f"{kind.value}:{item.subject}"
    told = "\x1f".join((kind.value, item.reason, item.subject))
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:20]
