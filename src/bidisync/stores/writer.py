"""Threads that own a database connection each and share a commit among all who wait.

A transaction is one function of the connection. Functions that are handed in at one turn of
the event loop, or while a commit is under way, run together in one commit. They run straight
on; only where one of them refuses is the group run again with a savepoint around each, so
that a refusal touches nobody else. So a transaction may run more than once, and must have no
effect but on the database. Nobody is told of success before the commit is on disk. A look, which
only reads, is answered first, from what was committed before: it waits for nobody's commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import attrs

from bidisync.errors import Unavailable

T = TypeVar("T")
TRIES = 5


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows it touched."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows."""
        ...

    def fetchone(self) -> Any:
        """The next row, or ``None``."""
        ...


class Connection(Protocol):
    """The little that both databases have in common; ``?`` stands for a value."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, failed or not."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Rows:
        """Run one statement for each row of values; ``rowcount`` is of all of them."""
        ...

    def close(self) -> None:
        """Let go of it; an open transaction is rolled back."""
        ...


Transaction = Callable[[Connection], T]
Ending = Callable[[Connection, Sequence[Any]], None]
_Job = tuple[Transaction[Any], "asyncio.Future[Any]", Sequence[Any] | None]  # nothing to leave: a look
_Answer = tuple["asyncio.Future[Any]", Any, BaseException | None]


def nothing(_connection: Connection, _leaves: Sequence[Any]) -> None:
    """An ending that does nothing."""


def never(_error: BaseException) -> bool:
    """No error is of that kind."""
    return False


@attrs.frozen
class Driver:
    """How one database is reached and what its errors mean.

    ``again`` are errors after which the same transactions may simply be run again, ``lost``
    those that end the connection. ``translated`` turns errors into ours. ``skip_locked`` is
    what a SELECT needs to pass by the rows that others hold, ``lock`` what it needs to hold
    rows until the commit.
    """

    name: str
    connect: Callable[[], Connection]
    begin: str
    translated: Callable[[], AbstractContextManager[None]]
    again: Callable[[BaseException], bool] = never
    lost: Callable[[BaseException], bool] = never
    skip_locked: str = ""
    lock: str = ""
    threads: int = 1
    most_at_once: int = 500


@attrs.define(eq=False)
class Writer:
    """Runs transactions on its own threads; ``driver.connect`` is called there.

    What the transactions of one commit leave for its end is given to ``ending`` all at once.
    """

    driver: Driver
    ending: Ending = nothing
    commits: int = 0
    _handed_in: dict[asyncio.AbstractEventLoop, list[_Job]] = attrs.Factory(dict)  # at this turn of each loop
    _jobs: queue.SimpleQueue[list[_Job] | None] = attrs.Factory(queue.SimpleQueue)
    _threads: list[threading.Thread] = attrs.Factory(list)

    async def start(self) -> None:
        """Open a connection; its errors are raised here."""
        opened: Future[Connection] = Future()
        for number in range(self.driver.threads):
            thread = threading.Thread(
                target=self._work, args=(opened if number == 0 else None,), name=f"bidisync-{self.driver.name}"
            )
            thread.daemon = True
            thread.start()
            self._threads.append(thread)
        try:
            await asyncio.wrap_future(opened)
        except BaseException:
            await self.stop()
            raise

    async def run(self, transaction: Transaction[T], leaves: Sequence[Any] = ()) -> T:
        """The function's result, once its effects, and those of what it leaves for the commit's end, are on disk.

        Shielded: a commit is not half taken back.
        """
        return await self._result_of(transaction, leaves)

    async def look(self, reading: Transaction[T]) -> T:
        """The result of a function that makes one query and changes nothing."""
        return await self._result_of(reading, None)

    async def _result_of(self, transaction: Transaction[T], leaves: Sequence[Any] | None) -> T:
        if not self._threads:
            raise Unavailable("the store is closed", system="state")
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        jobs = self._handed_in.setdefault(loop, [])
        jobs.append((transaction, result, leaves))
        if len(jobs) == 1:
            loop.call_soon(self._hand_on, loop)
        return await result

    def _hand_on(self, loop: asyncio.AbstractEventLoop) -> None:
        jobs = self._handed_in.pop(loop, [])
        size = self.driver.most_at_once
        for start in range(0, len(jobs), size):
            self._jobs.put(jobs[start : start + size])

    async def stop(self) -> None:
        """Finish what was handed in and close the connections."""
        for loop in tuple(self._handed_in):  # one may have ended before its turn came
            self._hand_on(loop)
        threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            await asyncio.to_thread(thread.join)

    def _work(self, opened: Future[Connection] | None) -> None:
        connection: Connection | None = None
        if opened is not None:
            try:
                connection = self.driver.connect()
            except BaseException as error:  # told to the caller of start
                opened.set_exception(error)
            else:
                opened.set_result(connection)
        while jobs := self._next():
            running = _looked(connection, [job for job in jobs if not job[1].cancelled()])
            if running:
                connection = self._settle(connection, running)
        if connection is not None:
            _drop(connection)

    def _next(self) -> list[_Job]:
        """The jobs that wait, at least one; none once the store is closed."""
        first = self._jobs.get()
        if first is None:
            return []
        jobs = first
        with contextlib.suppress(queue.Empty):
            while len(jobs) < self.driver.most_at_once:
                more = self._jobs.get_nowait()
                if more is None:
                    self._jobs.put(None)  # for the next round of this thread, or for another one
                    break
                jobs += more
        return jobs

    def _settle(self, connection: Connection | None, jobs: list[_Job]) -> Connection | None:
        """Run the jobs and tell everybody; the connection to go on with, ``None`` if it was lost."""
        for left in reversed(range(TRIES)):
            sent = [False]
            try:
                connection = connection or self.driver.connect()
                answers = self._commit(connection, jobs, sent)
            except BaseException as error:  # told to everybody who shared this commit
                if connection is None:
                    _tell((future, None, error) for _, future, _ in jobs)
                    return None
                lost = self.driver.lost(error) or not _rolled_back(connection)
                if lost:
                    _drop(connection)
                    connection = None
                if left and (self.driver.again(error) or (lost and not sent[0])):
                    continue
                if lost and sent[0]:
                    error = _unknown(error)
                _tell((future, None, error) for _, future, _ in jobs)
                return connection
            _tell(answers)
            return connection
        raise AssertionError("the last try always answers")  # pragma: no cover

    def _commit(self, connection: Connection, jobs: list[_Job], sent: list[bool]) -> list[_Answer]:
        """The jobs in one transaction; raises what concerns all of them."""
        connection.execute(self.driver.begin)
        answers: list[_Answer]
        try:
            answers = [(future, transaction(connection), None) for transaction, future, _ in jobs]
        except BaseException as error:
            if self._concerns_all(error):
                raise
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if len(jobs) == 1:
                return [(jobs[0][1], None, error)]
            connection.execute(self.driver.begin)
            answers = [self._apart(connection, *job[:2]) for job in jobs]
        taken = {id(future) for future, _, refused in answers if refused is None}
        left = [leaf for _, future, leaves in jobs if id(future) in taken for leaf in leaves or ()]
        if left:
            self.ending(connection, left)
        sent[0] = True
        connection.execute("COMMIT")
        self.commits += 1
        return answers

    def _apart(self, connection: Connection, transaction: Transaction[Any], future: asyncio.Future[Any]) -> _Answer:
        """One job in a savepoint of its own: what it refuses does not touch the others."""
        connection.execute("SAVEPOINT one")
        try:
            answer = transaction(connection)
        except BaseException as error:  # told to whoever asked
            if self._concerns_all(error) or not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO SAVEPOINT one")
            connection.execute("RELEASE SAVEPOINT one")
            return future, None, error
        connection.execute("RELEASE SAVEPOINT one")
        return future, answer, None

    def _concerns_all(self, error: BaseException) -> bool:
        return self.driver.again(error) or self.driver.lost(error)


def _looked(connection: Connection | None, jobs: Sequence[_Job]) -> list[_Job]:
    """Answer the looks; what is left are transactions, and looks that need to be run as one."""
    left: list[_Job] = []
    answers: list[_Answer] = []
    for transaction, future, leaves in jobs:
        if connection is None or leaves is not None:
            left.append((transaction, future, leaves))
            continue
        try:
            answer = transaction(connection)
        except Exception:  # as a transaction it is tried again, or its error told
            left.append((transaction, future, leaves))
        else:
            answers.append((future, answer, None))
    _tell(answers)
    return left


def _unknown(error: BaseException) -> Unavailable:
    unknown = Unavailable(
        "the state's server went away in the middle of a commit: what it holds is read anew", system="state"
    )
    unknown.__cause__ = error
    return unknown


def _rolled_back(connection: Connection) -> bool:
    """Whether the connection is as it was before the transaction."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except Exception:  # the caller drops such a connection
        return False
    return True


def _drop(connection: Connection) -> None:
    with contextlib.suppress(Exception):  # it may be dead already
        connection.close()


def _tell(answers: Iterable[_Answer]) -> None:
    """Give everybody their answer in the loop that they wait in: all of a commit at once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
    for answer in answers:
        by_loop.setdefault(answer[0].get_loop(), []).append(answer)
    for loop, told in by_loop.items():
        with contextlib.suppress(RuntimeError):  # it was closed: nobody waits there any more
            loop.call_soon_threadsafe(_answered, told)


def _answered(answers: Iterable[_Answer]) -> None:
    for future, answer, refused in answers:
        if future.done():  # whoever asked was cancelled
            continue
        if refused is None:
            future.set_result(answer)
        else:
            future.set_exception(refused)
