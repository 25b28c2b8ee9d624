"""How a trial is opened: whoever makes it, and the person in it, are told their mistakes as such."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import attrs

from bidisync.errors import SyncError
from bidisync.model import Value
from bidisync.testing.broken import Broken, NotJudgedError, broken
from bidisync.testing.replicas.trial import MakeTrial, Person, Trial

T = TypeVar("T")
LIBRARY = str(Path(__file__).parents[2])
A_MAKER = "hand over an async function, or an async context manager, that gives a Trial (for a store: store_trial)"


@attrs.frozen
class Told:
    """A person who is told what goes wrong at the system's own side: that is no fault of the replica."""

    person: Person

    async def add(self, fields: Mapping[str, Value]) -> str:
        """Make a record; its id is a text."""
        id: object = await self._ask("add", self.person.add(fields))
        if not isinstance(id, str) or not id:
            broken(f"the person's add tells {id!r} and no id", "tell the new record's id, as a text: str(id)")
        return id

    async def edit(self, id: str, fields: Mapping[str, Value]) -> None:
        """Change these fields."""
        await self._ask("edit", self.person.edit(id, fields))

    async def remove(self, id: str) -> None:
        """Delete the record."""
        await self._ask("remove", self.person.remove(id))

    async def read(self, id: str) -> Mapping[str, Value] | None:
        """All fields, by name, or nothing."""
        found: object = await self._ask("read", self.person.read(id))
        if found is not None and not isinstance(found, Mapping):
            broken(f"the person's read answers {named(found)} and no fields", "answer a mapping of names to values")
        return found

    async def trash(self) -> Collection[str]:
        """Ids."""
        return await self._ask("trash", self.person.trash())

    async def _ask(self, call: str, answer: Awaitable[T]) -> T:
        if not inspect.isawaitable(answer):
            broken(f"the person's {call} is no coroutine", "write it with `async def`")
        try:
            return await answer
        except (SyncError, Broken, NotJudgedError):
            raise
        except Exception as error:
            raise Broken(
                f"the person's {call} raises {_said(error)}",
                "the person works at the system without errors: the fault is in the trial, or in the store itself",
            ) from error


@asynccontextmanager
async def opened(make: MakeTrial) -> AsyncIterator[Trial]:
    """The trial that ``make`` gives, closed at the end; ``Broken`` for what is no trial, or can't be made."""
    try:
        made: object = make()
        if inspect.isawaitable(made):
            made = await made
    except (Broken, NotJudgedError):
        raise
    except Exception as error:
        raise Broken(f"the trial can't be made: {_said(error)}", A_MAKER) from error
    if isinstance(made, AbstractAsyncContextManager):
        async with made as trial:
            yield _trial(trial)
    else:
        yield _trial(made)


def _trial(made: object) -> Trial:
    if not isinstance(made, Trial):
        broken(f"the maker gives {named(made)} and no Trial", A_MAKER)
    return attrs.evolve(made, person=Told(made.person))


def unforeseen(error: Exception) -> Broken:
    """What is raised where nobody may raise anything: where that was, in the reader's own words and lines."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(LIBRARY)]
    place = f" in {frames[-1].name} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return Broken(
        f"{_said(error)} is raised{place}",
        "answer what the protocols of Replica, Person and Trial say: each call, also newest, settle and keeps",
    )


def named(thing: object) -> str:
    """What kind of thing it is, as its class is called."""
    return type(thing).__name__


def _said(error: Exception) -> str:
    return f"{named(error)}: {error}" if str(error) else named(error)
