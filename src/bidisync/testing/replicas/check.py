"""Is my replica right? Every promise of ``Replica`` and of the capabilities it declares, tried on a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import attrs

from bidisync.errors import SyncError
from bidisync.testing.broken import Broken, NotJudgedError
from bidisync.testing.replicas import failing, listing, making, reading, writing
from bidisync.testing.replicas.case import Case
from bidisync.testing.replicas.trial import Examples, MakeTrial, Trial
from bidisync.testing.replicas.watched import Watched

Law: TypeAlias = Callable[[Case], Awaitable[None]]

LAWS: Mapping[str, Law] = {
    law.__name__: law for part in (reading, listing, writing, making, failing) for law in part.LAWS
}
PROMISES: Mapping[str, str] = {name: (law.__doc__ or "").partition("\n")[0] for name, law in LAWS.items()}
"""What is judged: the name of each promise, and the promise in a sentence."""


@attrs.frozen
class Judged:
    """What came of a check: the promises that were kept, those that were not judged and why, and those broken."""

    kept: tuple[str, ...] = ()
    not_judged: Mapping[str, str] = attrs.field(factory=dict)
    broken: tuple[Broken, ...] = ()

    def __str__(self) -> str:
        lines = [f"{len(self.kept)} promises kept, {len(self.broken)} broken, {len(self.not_judged)} not judged"]
        lines += [f"  {one.promise}: {one}" for one in self.broken]
        lines += [f"  {name} not judged: {why}" for name, why in self.not_judged.items()]
        return "\n".join(lines)


async def judge_replica(
    make: MakeTrial,
    examples: Examples,
    *,
    only: Collection[str] = (),
    without: Collection[str] = (),
    patience_s: float = 60.0,
) -> Judged:
    """Try every promise, each on a trial of its own, and tell all that came of it.

    ``only`` names the promises to try, ``without`` those to leave out (see ``PROMISES``); a
    name that there is not is a ``ValueError``. ``patience_s`` is how long one promise may take.
    """
    return await _judge(make, examples, only, without, patience_s, at_once=False)


async def check_replica(
    make: MakeTrial,
    examples: Examples,
    *,
    only: Collection[str] = (),
    without: Collection[str] = (),
    patience_s: float = 60.0,
) -> Judged:
    """Fail with the name of the first promise that the replica breaks, and what to do about it.

    ``make`` gives a trial for each promise: a replica, and a person at the same system. What
    comes back says which promises were kept and which could not be judged; ``judge_replica``
    goes on after a fault.
    """
    judged = await _judge(make, examples, only, without, patience_s, at_once=True)
    if judged.broken:
        raise judged.broken[0]
    return judged


async def _judge(
    make: MakeTrial,
    examples: Examples,
    only: Collection[str],
    without: Collection[str],
    patience_s: float,
    *,
    at_once: bool,
) -> Judged:
    if wrong := sorted({*only, *without} - set(LAWS)):
        raise ValueError(f"there is no promise {wrong[0]!r}: see PROMISES")
    kept, not_judged, faults = [], dict.fromkeys(without, "left out"), []
    for name, law in LAWS.items():
        if name in without or (only and name not in only):
            continue
        try:
            await _try(law, make, examples, patience_s)
        except NotJudgedError as why:
            not_judged[name] = str(why)
        except Broken as fault:
            fault.promise = name
            faults.append(fault)
            if at_once:
                break
        else:
            kept.append(name)
    return Judged(tuple(kept), not_judged, tuple(faults))


async def _try(law: Law, make: MakeTrial, examples: Examples, patience_s: float) -> None:
    async with _made(make) as trial:
        replica = Watched(trial.replica, trial.settle)
        try:
            async with asyncio.timeout(patience_s):
                await law(Case(trial, examples, replica))
        except TimeoutError as error:
            raise Broken(
                f"a call does not end within {patience_s:g} seconds",
                "bound every request by a time limit, and every repetition of a read",
            ) from error
        except SyncError as error:
            raise Broken(
                f"{type(error).__name__} is raised although nothing is wrong ({error})",
                "a call that the system can carry out has to succeed",
            ) from error
        replica.unchanged()


@asynccontextmanager
async def _made(make: MakeTrial) -> AsyncIterator[Trial]:
    made = make()
    if isinstance(made, AbstractAsyncContextManager):
        async with made as trial:
            yield trial
    else:
        yield await made
