"""Is my replica right? Every promise of ``Replica`` and of the capabilities it declares, tried on a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeAlias

import attrs

from bidisync.errors import Stale, SyncError
from bidisync.testing.broken import Broken, NotJudgedError
from bidisync.testing.replicas import failing, listing, making, reading, writing
from bidisync.testing.replicas.case import Case
from bidisync.testing.replicas.opened import opened, unforeseen
from bidisync.testing.replicas.trial import Examples, MakeTrial
from bidisync.testing.replicas.watched import Watched

Law: TypeAlias = Callable[[Case], Awaitable[None]]
AS_TEXT = (
    "raise Stale only if the record moved since it was read: a version comes back as the text that was shown,"
    " so compare str(version), never a number with it"
)

LAWS: Mapping[str, Law] = {
    law.__name__: law for part in (reading, listing, writing, making, failing) for law in part.LAWS
}
PROMISES: Mapping[str, str] = {name: (law.__doc__ or "").partition("\n")[0] for name, law in LAWS.items()}
"""What is judged: the name of each promise, and the promise in a sentence."""


@attrs.frozen
class Judged:
    """What came of a check: the promises that were kept, those that were not judged and why, and those broken.

    ``kept`` and the keys of ``not_judged`` are names in ``PROMISES``; as a text it tells them all.
    """

    kept: tuple[str, ...] = ()
    not_judged: Mapping[str, str] = attrs.field(factory=dict)
    broken: tuple[Broken, ...] = ()

    def __str__(self) -> str:
        lines = [f"{len(self.kept)} promises kept, {len(self.broken)} broken, {len(self.not_judged)} not judged"]
        told: dict[str, list[str]] = {}
        for one in self.broken:
            told.setdefault(str(one), []).append(one.promise)
        for fault, (first, *others) in told.items():
            lines.append(f"  {first}{f' and {len(others)} more' if others else ''}: {fault}")
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
    """Try every promise, each on a trial of its own, and tell all that came of it. Has to be awaited.

    ``make`` and ``examples`` as for ``check_replica``. ``only`` names the promises to try,
    ``without`` those to leave out (see ``PROMISES``); a name that there is not is a
    ``ValueError``. ``patience_s`` is how long one promise may take.
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

    Has to be awaited: a call that nobody awaits checks nothing. ``make`` gives a trial for each
    promise: a replica, and a person at the same system. ``examples`` are made-up records that
    the system takes. ``only`` names the promises to try, ``without`` those to leave out (see
    ``PROMISES``), ``patience_s`` is how long one may take. What comes back says which promises
    were kept and which could not be judged; ``judge_replica`` goes on after a fault.
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
    try:
        async with opened(make) as trial:
            await _judge_one(law, Case(trial, examples, Watched(trial.replica, trial.settle)), patience_s)
    except (Broken, NotJudgedError):
        raise
    except Exception as error:
        raise unforeseen(error) from error


async def _judge_one(law: Law, case: Case, patience_s: float) -> None:
    try:
        async with asyncio.timeout(patience_s) as time:
            await law(case)
    except TimeoutError as error:
        if not time.expired():
            raise
        raise Broken(
            f"a call does not end within {patience_s:g} seconds",
            "bound every request by a time limit, and every repetition of a read",
        ) from error
    except SyncError as error:
        raise Broken(
            f"{type(error).__name__} is raised although nothing is wrong ({error})",
            AS_TEXT if isinstance(error, Stale) else "a call that the system can carry out has to succeed",
        ) from error
    case.replica.unchanged()
