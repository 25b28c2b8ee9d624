"""One thread that owns a SQLite connection and shares each commit among all who wait.

A transaction is one function of the connection. Functions that arrive while a commit is
under way run together in the next one, each in a savepoint of its own: what one of them
refuses does not touch the others, and nobody is told of success before the commit is on
disk.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import attrs

T = TypeVar("T")
Transaction = Callable[[sqlite3.Connection], T]
MOST_AT_ONCE = 500


@attrs.define(eq=False)
class Writer:
    """Runs transactions on its own thread; ``connect`` is called there."""

    connect: Callable[[], sqlite3.Connection]
    commits: int = 0
    _jobs: queue.SimpleQueue[tuple[Transaction[Any], Future[Any]] | None] = attrs.Factory(queue.SimpleQueue)
    _thread: threading.Thread | None = None

    async def start(self) -> None:
        """Open the connection; its errors are raised here."""
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="bidisync-sqlite", daemon=True)
        self._thread.start()
        await asyncio.wrap_future(opened)

    async def run(self, transaction: Transaction[T]) -> T:
        """The function's result, once its effects are on disk. Shielded: a commit is not half taken back."""
        result: Future[T] = Future()
        if self._thread is None:
            raise sqlite3.ProgrammingError("the store is closed")
        self._jobs.put((transaction, result))
        return await asyncio.wrap_future(result)

    async def stop(self) -> None:
        """Finish what was handed in and close the connection."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)

    def _run(self, opened: Future[None]) -> None:
        try:
            connection = self.connect()
        except BaseException as error:  # told to the caller of start
            opened.set_exception(error)
            return
        opened.set_result(None)
        while (first := self._jobs.get()) is not None:
            jobs, over = [first], False
            while len(jobs) < MOST_AT_ONCE and not over:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    over = True
                else:
                    jobs.append(job)
            self._commit(connection, jobs)
            if over:
                break
        connection.close()

    def _commit(self, connection: sqlite3.Connection, jobs: list[tuple[Transaction[Any], Future[Any]]]) -> None:
        answers: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for transaction, future in jobs:
                if not future.set_running_or_notify_cancel():
                    continue
                connection.execute("SAVEPOINT one")
                try:
                    answers.append((future, transaction(connection), None))
                    connection.execute("RELEASE one")
                except BaseException as error:  # told to whoever asked
                    if not connection.in_transaction:
                        raise
                    connection.execute("ROLLBACK TO one")
                    connection.execute("RELEASE one")
                    answers.append((future, None, error))
            connection.execute("COMMIT")
            self.commits += 1
        except BaseException as error:  # told to everybody who shared this commit
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for _, future in jobs:
                if not future.done():
                    future.set_exception(error)
            return
        for future, answer, refused in answers:
            if refused is None:
                future.set_result(answer)
            else:
                future.set_exception(refused)
