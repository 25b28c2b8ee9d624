"""Everything at once against real processes: kills, stops, a Redis that dies, replies that are lost."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import attrs
from ledger import Findings, People, System, left_open

from bidisync.model import Conditional
from bidisync_espo_advo.profile import AdvowareProfile, save_profile
from command import configure, environment, run, simulated
from servers import RedisServer

TIMEOUT_S, LEASE_S, LAG_S = 1.5, 2.5, 0.2
STOPS_S = (LEASE_S + 0.2, LEASE_S + TIMEOUT_S - 0.2)
"""Longer than the lease. A stop that outlasts lease, request and lag together and begins between the
last check and the socket can double a create, as `correctness.md` says; that is not what is tested here."""
ENFORCED = AdvowareProfile(
    measured_at="2026-01-01 00:00:00",
    conditional_write=Conditional.ENFORCED,
    version_moves="every_write",
    version_returns=False,
    changed_at="local",
)


@attrs.frozen(kw_only=True)
class Plan:
    """How much of what, from which seed."""

    seed: int
    kills: int
    redis_kills: int
    stops: int
    seconds: float
    edits_per_s: float = 8.0
    enforced: bool = True
    both_sides: bool = True
    workers: int = 2


@attrs.define
class Workers:
    """Processes that sync until they are killed, and are there again at once."""

    process: asyncio.subprocess.Process
    pids: list[int] = attrs.Factory(list)
    stopped_until: dict[int, float] = attrs.Factory(dict)
    _wakers: list[subprocess.Popen[bytes]] = attrs.Factory(list)

    async def begin(self, number: int) -> None:
        """That many of them."""
        for _ in range(number):
            self.pids.append(await self._fork())

    async def _fork(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        return int(await asyncio.wait_for(self.process.stdout.readline(), 20))

    async def kill(self, place: int) -> None:
        """One is killed, whatever it is doing, and another one takes its place."""
        with suppress(ProcessLookupError):
            os.kill(self.pids[place], signal.SIGKILL)
        self.pids[place] = await self._fork()

    def stop(self, place: int, seconds: float) -> None:
        """One is stopped; a process of its own lets it go on, even if this one is busy."""
        pid = self.pids[place]
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        self.stopped_until[pid] = time.monotonic() + seconds
        wake = f"sleep {seconds:.2f}; kill -CONT {pid}"
        nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._wakers.append(subprocess.Popen(["sh", "-c", wake], **nowhere))

    async def end(self) -> None:
        """All of them are killed."""
        for pid in self.pids:
            with suppress(ProcessLookupError):  # then it died by itself, and its log says of what
                os.kill(pid, signal.SIGKILL)
        if self.process.stdin is not None:
            self.process.stdin.close()
        await self.process.wait()
        for waker in self._wakers:
            await asyncio.to_thread(waker.wait)


@attrs.define
class Town:
    """Both systems, a Redis, people, and the folder with configuration and state."""

    folder: Path
    people: People
    redis: RedisServer
    counts: Counter[str] = attrs.Factory(Counter)

    @property
    def state(self) -> Path:
        """The state file."""
        return self.folder / "espo-advo.db"

    async def settle(self, tries: int = 6) -> dict[str, Any]:
        """Sync until nothing is open; what the last pass said."""
        for _ in range(tries):
            ended = await run("sync", "--all", "--rounds", "4", "--json", cwd=self.folder)
            if ended.status == 0:
                return dict(ended.json)
        raise AssertionError(f"never quiet: {ended.status} {ended.out} {ended.err} {left_open(self.state)}")

    async def nothing_is_wrong(self, *, may_lose: bool = False) -> Findings:
        """The findings in the end, after asserting that there are none, and that all is quiet.

        ``may_lose`` is for remotes that take outdated writes: lost edits are counted there.
        """
        findings = await self.people.find_faults(self.state)
        allowed = ("lost", "misjudged") if may_lose else ()
        assert {kind: found for kind, found in findings.wrong.items() if kind not in allowed} == {}
        assert left_open(self.state) == {}
        again = (await run("sync", "--all", "--json", cwd=self.folder)).json
        writes = {n: again["calls"][n][v] for n in again["calls"] for v in ("PUT", "DELETE")}
        assert not any(writes.values()), "a pass over records in step writes nothing"
        assert again["created"] == {"left": 0, "right": 0}
        return findings


@asynccontextmanager
async def town(
    folder: Path, redis: RedisServer, seed: int, *, enforced: bool = True, both_sides: bool = True, **tables: Any
) -> AsyncIterator[Town]:
    """Everything running and in step, with ten parties that were linked from each side."""
    crm_switches = ["--switch", "latency_ms=5", *(["--switch", "occ=on"] if enforced else [])]
    erp_switches = ["--switch", "latency_ms=5"]
    erp_switches += ["--switch", "if_match=rowId_in_body_checked"] if enforced else []
    async with AsyncExitStack() as stack:
        crm = await stack.enter_async_context(simulated("espocrm", "--records", "10", *crm_switches, cwd=folder))
        erp = await stack.enter_async_context(simulated("advoware", "--records", "10", *erp_switches, cwd=folder))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        if enforced:
            save_profile(folder / "profile.json", ENFORCED)
        settings: dict[str, dict[str, Any]] = {
            "espocrm": {**crm["config"], "timeout_s": TIMEOUT_S},
            "advoware": {**erp["config"], "timeout_s": TIMEOUT_S},
            "state": {"url": "sqlite:///espo-advo.db"},
            "lock": {"url": redis.url, "lease_s": LEASE_S},
            "sync": {"search_lag_s": LAG_S, "max_attempts": 30},
            "guards": {"max_creates": 100_000, "max_overwrite_percent": 100, "max_blank_percent": 100},
        }
        if enforced:
            settings["advoware"]["profile"] = "profile.json"
        for name, table in tables.items():
            settings[name] = {**settings.get(name, {}), **table}
        configure(folder, settings)
        rng = random.Random(f"people/{seed}")
        people = People(System(crm["url"], "id", http), System(erp["url"], "betNr", http), rng, both_sides=both_sides)
        made = Town(folder, people, redis)
        await made.settle()
        await people.know_everybody()
        yield made


@asynccontextmanager
async def workers(folder: Path) -> AsyncIterator[Workers]:
    """Where workers come from; none is left afterwards."""
    script = Path(__file__).with_name("worker.py")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), "espo-advo.toml", "worker.log",
        cwd=folder, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env=environment(),
    )  # fmt: skip
    made = Workers(process)
    try:
        yield made
    finally:
        await made.end()


async def besiege(plan: Plan, town: Town) -> None:
    """The whole plan, then peace: no workers, no faults, Redis there."""
    ends_at = time.monotonic() + plan.seconds
    rng = random.Random(f"siege/{plan.seed}")

    async def spread(number: float, what: Any, salt: str) -> None:
        """Do it that often, at random moments of the whole time."""
        own, done = random.Random(f"{plan.seed}/{salt}"), 0
        while (left := ends_at - time.monotonic()) > 0 or done < number:
            if done >= number:
                return
            await asyncio.sleep(min(own.expovariate(1.0) * max(left, 0.0) / (number - done), max(left, 0.0)))
            await what()
            done += 1

    async with workers(town.folder) as made:
        await made.begin(plan.workers)

        async def kill() -> None:
            place = rng.randrange(plan.workers)
            if made.stopped_until.get(made.pids[place], 0.0) > time.monotonic() and rng.random() < 0.9:
                place = (place + 1) % plan.workers  # mostly the one that is at work
            await made.kill(place)
            town.counts["kills"] += 1

        async def stop() -> None:
            made.stop(rng.randrange(plan.workers), rng.uniform(*STOPS_S))
            town.counts["stops"] += 1

        async def kill_redis() -> None:
            town.redis.kill()
            await asyncio.sleep(rng.uniform(0.0, 0.6))
            await asyncio.to_thread(town.redis.start)
            town.counts["redis kills"] += 1

        async def edit() -> None:
            await town.people.do_something()
            town.counts["edits"] += 1

        async def fail() -> None:
            system = rng.choice([town.people.crm, town.people.erp])
            await system.fail(_fault(rng))
            town.counts["faults ordered"] += 1

        await asyncio.gather(
            spread(plan.kills, kill, "kills"),
            spread(plan.stops, stop, "stops"),
            spread(plan.redis_kills, kill_redis, "redis"),
            spread(plan.seconds * plan.edits_per_s, edit, "edits"),
            spread(plan.seconds * 4, fail, "faults"),
        )
    await town.people.crm.behave_well()
    await town.people.erp.behave_well()


def _fault(rng: random.Random) -> dict[str, Any]:
    """Mostly replies to writes that are lost; also requests, errors, half a document, a slow answer."""
    method = rng.choice(["POST", "PUT", "PUT", "GET"])
    rule: dict[str, Any] = {"path": "eteiligte", "method": method, "skip": rng.randrange(2)}
    kind = rng.choice(["drop", "drop", "drop", "status", "status", "hold"])
    when = rng.choice(["after", "after", "before"])
    if kind == "status":
        status = rng.choice([500, 503, 429, 200])
        when = "after" if status in (200, 500) else "before"  # 200: with half a document
        return {**rule, "action": "status", "status": status, "body": '{"id', "when": when}
    if kind == "hold":
        return {**rule, "action": "hold", "when": when, "seconds": rng.choice([0.3, TIMEOUT_S + 0.5])}
    return {**rule, "action": "drop", "when": when}


def complaints(folder: Path) -> str:
    """What workers wrote before they died of something else than a kill."""
    with suppress(FileNotFoundError):
        return (folder / "worker.log").read_text()[-4000:]
    return ""


def told(counts: Counter[str], **more: object) -> str:
    """The figures in one line."""
    return json.dumps({**counts, **more})
