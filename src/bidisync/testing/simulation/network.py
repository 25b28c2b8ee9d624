"""Requests as events of the world: they may arrive although their sender is gone.

A request takes effect at one moment, as a whole, whatever becomes of whoever sent it. The
answer, or the absence of one, reaches the sender later, if it still lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from bidisync.testing.simulation.loop import PROCESS, Process

if TYPE_CHECKING:
    from bidisync.testing.simulation.world import World

T = TypeVar("T")

TRIP_S = 0.04


class NotSent(Exception):
    """The request certainly did not arrive."""


class NoAnswer(Exception):
    """The request may have arrived; nothing came back in time."""


@attrs.frozen
class Twist:
    """An answer other than the true one.

    ``fault`` is its number; ``applies`` says whether the request takes effect first;
    ``answer`` makes the answer from the true one (``None`` if it did not take effect).
    """

    fault: str
    applies: bool
    answer: Callable[[Any], Any]


@attrs.frozen
class Ask(Generic[T]):
    """One request: ``act`` carries it out, at once and as a whole, and gives the answer.

    ``id`` is the record that it is about. ``before`` gives the answer that a read of this
    record gets as things are, for a write whose effect other readers see late. ``listing``
    marks a list. ``twists`` are answers that this kind of remote may give instead.
    """

    label: str
    act: Callable[[], T]
    writes: bool = False
    id: str = ""
    before: Callable[[], Any] | None = None
    listing: bool = False
    twists: Sequence[Twist] = ()
    sender: Process | None = None  # filled in by the network


_READS = ("F1", "F4", "F4", "F7", "F14")
_WRITES = ("F1", "F2", "F2", "F3", "F3", "F3", "F4", "F4", "F7", "F7", "F13", "F14")


@attrs.define(eq=False)
class Network:
    """The way from every worker to one remote."""

    world: World
    remote: str
    timeout_s: float
    lease_s: float
    lag_s: float
    requests: int = 0
    looks: int = 0  # at one record each, in memory
    looks_empty: bool = False
    edited_now: bool = False  # just before the write that is being carried out
    _copies: dict[str, tuple[float, Any]] = attrs.Factory(dict)

    async def carry(self, ask: Ask[T]) -> T:
        """The answer; ``NotSent`` or ``NoAnswer`` where there is none."""
        world, process = self.world, PROCESS.get()
        ask = attrs.evolve(ask, sender=process)
        self.requests += 1
        self.looks += ask.label == "get"
        if process is not None and ask.writes and world.poisonous(process, ask.id):
            await asyncio.sleep(TRIP_S)
        common = _WRITES if ask.writes else _READS
        if ask.writes:
            world.watch.requested(process, f"{self.remote} {ask.label}")
        drawn = world.draw(f"net.{self.remote}", world.scenario.exercise.requests_faulty, len(common) + len(ask.twists))
        if world.ordered is not None and process is not None:
            drawn = world.ordered(self.remote, ask, common, drawn)
        waiting: asyncio.Future[T] = world.loop.create_future()
        if 0 < drawn <= len(common):
            self._faulty(ask, waiting, common[drawn - 1], drawn)
        elif drawn:
            twist = ask.twists[drawn - len(common) - 1]
            world.fault(twist.fault, f"{self.remote} {ask.label}")
            world.loop.later(TRIP_S, self._twisted, ask, waiting, twist)
        else:
            world.loop.later(TRIP_S, self._arrive, ask, waiting, TRIP_S)
        return await waiting

    def _faulty(self, ask: Ask[Any], waiting: asyncio.Future[Any], fault: str, variant: int) -> None:
        world, later = self.world, self.world.loop.later
        if fault != "F13":
            world.fault(fault, f"{self.remote} {ask.label}")
        gives_up = NoAnswer("no answer in time")
        if fault == "F14":
            later(TRIP_S, _fail, waiting, NotSent("unreachable"))
        elif fault == "F7":
            if variant % 2:
                later(TRIP_S, self._arrive, ask, None, 0.0)
            later(2 * TRIP_S, _fail, waiting, NoAnswer("reset"))
        elif fault == "F1":
            later(self.timeout_s, _fail, waiting, gives_up)
        elif fault == "F2":
            later(TRIP_S, self._arrive, ask, None, 0.0)
            later(self.timeout_s, _fail, waiting, gives_up)
        elif fault == "F3":
            late = (0.5, 0.3 * self.lease_s, 0.9 * self.lease_s)[variant % 3]
            later(self.timeout_s + late, self._arrive, ask, None, 0.0)
            later(self.timeout_s, _fail, waiting, gives_up)
        elif fault == "F4":
            slow = 0.6 * self.timeout_s
            there, back = (slow, TRIP_S) if variant % 2 else (TRIP_S, slow)
            later(there, self._arrive, ask, waiting, back)
        else:
            if ask.before is not None:
                self._copies[ask.id] = (world.loop.time() + self.lag_s, ask.before())
            later(TRIP_S, self._arrive, ask, waiting, TRIP_S)

    def _arrive(self, ask: Ask[Any], waiting: asyncio.Future[Any] | None, back_s: float) -> None:
        """The request takes effect, now."""
        answer = self._carried_out(ask)
        if waiting is not None:
            self.world.loop.later(back_s, _answer, waiting, answer)

    def _twisted(self, ask: Ask[Any], waiting: asyncio.Future[Any], twist: Twist) -> None:
        answer = self._carried_out(ask) if twist.applies else None
        self.world.loop.later(TRIP_S, _answer, waiting, twist.answer(answer))

    def _carried_out(self, ask: Ask[Any]) -> Any:
        world = self.world
        if ask.writes:
            self.edited_now = world.people.in_the_window(self.remote, ask.id)
        elif not ask.listing and ask.id in self._copies:
            until, old = self._copies[ask.id]
            if world.loop.time() < until:
                world.fault("F13", f"{self.remote} {ask.label}")
                return old
            del self._copies[ask.id]
        world.sender = ask.sender
        try:
            return ask.act()
        except Exception as error:  # travels back to whoever asked
            return error


def _answer(waiting: asyncio.Future[Any], answer: Any) -> None:
    if waiting.done():
        return
    if isinstance(answer, Exception):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)


def _fail(waiting: asyncio.Future[Any], error: Exception) -> None:
    _answer(waiting, error)
