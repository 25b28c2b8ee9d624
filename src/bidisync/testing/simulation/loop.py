"""An event loop in which time is a number, chance is drawn, and processes die without a word.

Every handle belongs to the simulated process whose context it carries, or to the world. Of
the handles that are ready, steps of different tasks may overtake each other; callbacks keep
their order. A process that is killed leaves its handles in a graveyard: nothing of it runs
again, no ``finally`` and no ``except``, until the run is over. A paused process keeps its
handles while time goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, NoReturn, TypeVar

import attrs

from bidisync.testing.simulation.choices import Choices

T = TypeVar("T")
MOST_STEPS = 60_000
REORDERED = 0.2


class Stuck(Exception):
    """Nothing can ever happen again, or something happens without end."""


@attrs.define(eq=False)
class Process:
    """One worker's life from start to end. ``ends_at`` and ``pauses_at`` are counted in its steps."""

    name: str
    skew_s: float = 0.0
    alive: bool = True
    steps: int = 0
    ends_at: int = 0
    politely: bool = False  # cancelled, not killed
    pauses_at: int = 0
    pause_s: float = 0.0
    parked_until: float = -1.0
    unsaved_writes: int = 0  # that a remote has taken and the state does not know of
    dry: bool = False  # it only looks at what would be done
    main: asyncio.Task[None] | None = None


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


@attrs.define
class Doom:
    """What becomes of a process at a step of its own; set by the world."""

    end: Callable[[Process], None] = lambda process: None
    pause: Callable[[Process], None] = lambda process: None
    kill_at: frozenset[int] = frozenset()  # steps of all processes together


class _Numbered(asyncio.Task[Any]):
    """A task whose place in a set is the same in every run: asyncio cancels the tasks of a group in that order."""

    def __init__(self, number: int, *arguments: Any, **options: Any) -> None:
        self._number = number  # asyncio puts it into a set at once
        super().__init__(*arguments, **options)

    def __hash__(self) -> int:
        return self._number


class SimLoop(asyncio.BaseEventLoop):
    """Virtual time, seeded order; no sockets, no threads."""

    # asyncio's own, of which its type stubs do not speak
    _ready: deque[Any]
    _scheduled: list[Any]
    _stopping: bool

    def __init__(self, choices: Choices) -> None:
        super().__init__()
        self.choices = choices
        self.doom = Doom()
        self.world: Context = copy_context()
        self.steps = self.process_steps = 0
        self.graveyard: list[asyncio.Handle] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self._time = 0.0
        self._paused: list[Process] = []
        self._hash = hashlib.blake2b(digest_size=12)
        self.set_task_factory(self._new_task)  # type: ignore[arg-type]  # the stubs differ from version to version
        self.set_exception_handler(lambda loop, context: None)

    def _new_task(self, loop: Any, coroutine: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
        task = _Numbered(len(self.tasks), coroutine, loop=self, **options)
        self.tasks.append(task)
        return task

    def time(self) -> float:
        """Virtual seconds since the run began."""
        return self._time

    def hash(self, text: str) -> None:
        """Make this part of the digest of the run."""
        self._hash.update(text.encode())

    @property
    def digest(self) -> str:
        """What tells two runs apart: every step, and all that was hashed."""
        return self._hash.hexdigest()

    def later(self, seconds: float, act: Callable[..., object], *arguments: Any) -> None:
        """Something that the world does after a while, whoever is alive then."""
        self.call_later(seconds, act, *arguments, context=self.world)

    def kill(self, process: Process) -> None:
        """End the process here and now; nothing of it ever runs again."""
        process.alive = False

    def park(self, process: Process, seconds: float) -> None:
        """Let the process stand still while time goes on."""
        process.parked_until = self._time + seconds
        self._paused.append(process)

    def bury(self) -> None:
        """After the run: close what was left in mid-air, quietly."""
        for task in self.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own
            coroutine = task.get_coro()
            for _ in range(5):
                try:
                    coroutine.close()
                    break
                except BaseException:  # noqa: S112 - a dead process may say what it likes
                    continue
        self.graveyard.clear()
        self.tasks.clear()
        self._ready.clear()
        self._scheduled.clear()
        self.close()

    def run_in_executor(self, *arguments: Any) -> NoReturn:  # type: ignore[override]  # it refuses, whatever it is given
        """Refused: threads can't be repeated."""
        raise RuntimeError("no threads in a simulation: put them behind a seam")

    def getaddrinfo(self, *arguments: Any, **options: Any) -> NoReturn:
        """Refused: networks can't be repeated."""
        raise RuntimeError("no network in a simulation: put it behind a seam")

    def _write_to_self(self) -> None:
        pass

    def _process_events(self, events: Any) -> None:
        pass

    def _choose(self) -> int | None:
        """The place of the handle that runs next; none if everything waits for time."""
        first, rivals = None, None
        for place, handle in enumerate(self._ready):
            process = handle._context.get(PROCESS)
            if process is not None and process.parked_until > self._time:
                continue
            if first is None:
                first = place
            elif isinstance(getattr(handle._callback, "__self__", None), asyncio.Task):
                rivals = [first, place] if rivals is None else [*rivals, place]
        if rivals is None:
            return first
        return rivals[self.choices.draw("order", REORDERED, len(rivals) - 1)]

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled
        while True:
            while scheduled and (scheduled[0]._cancelled or scheduled[0]._when <= self._time):
                handle = heapq.heappop(scheduled)
                handle._scheduled = False
                if not handle._cancelled:
                    ready.append(handle)
            place = self._choose() if ready else None
            if place is not None:
                break
            if self._stopping:
                return
            self._jump()
        handle = ready[place]
        del ready[place]
        if not handle._cancelled:
            self._run(handle)

    def _jump(self) -> None:
        """Go to the next moment at which anything can happen."""
        self._paused = [process for process in self._paused if process.parked_until > self._time and process.alive]
        moments = [process.parked_until for process in self._paused]
        if self._scheduled:
            moments.append(self._scheduled[0]._when)
        if not moments:
            raise Stuck("nothing can ever happen again")
        self._time = max(self._time, min(moments))

    def _run(self, handle: asyncio.Handle) -> None:
        process = handle._context.get(PROCESS)  # type: ignore[attr-defined]  # asyncio's own
        if process is not None:
            if not process.alive:
                self.graveyard.append(handle)
                return
            process.steps += 1
            self.process_steps += 1
            if process.steps == process.pauses_at:
                self.doom.pause(process)
                self._ready.appendleft(handle)
                return
            if process.steps == process.ends_at or self.process_steps in self.doom.kill_at:
                self.doom.end(process)
                if not process.alive:
                    self.graveyard.append(handle)
                    return
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Stuck(f"still busy after {MOST_STEPS} steps")
        self._hash.update(b"%.6f%s" % (self._time, b"." if process is None else process.name.encode()))
        handle._run()


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        answer: T = done.value
        return answer
    coroutine.close()
    raise RuntimeError("this part of a simulated remote waits: only its network may")
