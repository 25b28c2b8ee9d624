"""The lock providers through the same checks, and what is special about Redis and about doing without."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis import asyncio as aioredis

from bidisync import LockProvider
from bidisync.errors import Contended, Misconfigured, Unavailable
from bidisync.locks.local import LocalLocks
from bidisync.locks.none import GoingOn, NoLocks
from bidisync.locks.redis import RedisLocks
from bidisync.testing import ManualClock, check_lock_provider
from servers import RedisServer


async def test_leases_within_a_process_keep_every_promise():
    locks = LocalLocks(wait_s=0.3)

    async def make() -> LockProvider:
        return locks

    await check_lock_provider(make)


async def test_leases_in_redis_keep_every_promise(redis_url):
    made = []

    async def make() -> LockProvider:
        made.append(await RedisLocks.open(redis_url, lease_s=20, wait_s=0.5, namespace="check"))
        return made[-1]

    await check_lock_provider(make)
    for locks in made:
        await locks.close()


async def test_a_lease_that_ended_is_handed_to_the_next_and_its_owner_is_told():
    clock = ManualClock()
    locks = LocalLocks(lease_s=10, clock=clock)
    async with locks.hold("k") as first:
        clock.advance(10.1)
        assert first.remaining() == 0
        async with locks.hold("k") as second:
            assert second.remaining() == 10
            with pytest.raises(Contended):
                await first.renew()
        assert locks.held == {}


async def test_a_foreign_lease_cannot_be_given_back(redis_url):
    client = aioredis.Redis.from_url(redis_url)
    locks = RedisLocks(client, lease_s=20, wait_s=0.1, namespace="foreign")
    async with locks.hold("k") as lease:
        (name,) = await client.keys("foreign:*")
        await client.set(name, "somebody else")
        with pytest.raises(Contended):
            await lease.renew()
        assert lease.remaining() == 0
    assert await client.get(name) == b"somebody else", "the block's end left the other's lease alone"
    await client.delete(name)
    await client.aclose()


async def test_a_lease_is_renewed_while_its_block_runs_and_ends_by_itself_after_a_kill(redis_url):
    one = await RedisLocks.open(redis_url, lease_s=0.6, wait_s=0.05, namespace="renewed")
    two = await RedisLocks.open(redis_url, lease_s=0.6, wait_s=5, namespace="renewed")
    async with one.hold("k") as lease:
        await asyncio.sleep(1.0)
        assert lease.remaining() > 0
        short = RedisLocks(two.client, lease_s=0.6, wait_s=0.05, namespace="renewed")
        with pytest.raises(Contended):
            async with short.hold("k"):
                pass
    await one.client.set("renewed:lock:left", "a killed process", px=200)
    async with two.hold("k"):
        pass
    await one.close()
    await two.close()


async def test_no_record_and_no_password_stands_in_redis_or_in_a_message(redis_url):
    locks = await RedisLocks.open(redis_url, namespace="names")
    async with locks.hold("left:geheim"):
        keys = await locks.client.keys("*")
    await locks.close()
    assert keys
    assert not any(b"geheim" in key for key in keys)
    with pytest.raises(Unavailable) as caught:
        await RedisLocks.open("redis://:kanarienvogel@127.0.0.1:1/0")
    assert "kanarienvogel" not in str(caught.value) + repr(caught.value)
    with pytest.raises(Misconfigured, match="password"):
        await RedisLocks.open("redis://redis.example.org/0")


async def test_a_dead_redis_is_unavailable_and_back_when_it_is_back(redis_server: RedisServer):
    locks = await RedisLocks.open(redis_server.url, lease_s=5, wait_s=0.2)
    async with locks.hold("k") as lease:
        redis_server.kill()
        with pytest.raises(Unavailable):
            await lease.renew()
        assert lease.remaining() > 0, "what was granted lasts until its end"
    with pytest.raises(Unavailable):
        async with locks.hold("other"):
            pass
    redis_server.start()
    async with locks.hold("k"):
        pass
    await locks.close()


async def test_a_client_that_was_given_stays_open(redis_url):
    client = aioredis.Redis.from_url(redis_url)
    await RedisLocks(client).close()
    assert await client.ping()
    await client.aclose()


async def test_without_locks_everybody_is_granted_everything_for_a_bounded_time():
    clock = ManualClock()
    locks = NoLocks(lease_s=10, clock=clock)
    async with locks.hold("k") as one, locks.hold("k") as two:
        clock.advance(9)
        assert (one.remaining(), two.remaining()) == (1, 1)
        await one.renew()
        clock.advance(2)
        assert (one.remaining(), two.remaining()) == (8, 0)


async def test_while_redis_can_be_reached_its_leases_count(redis_url):
    locks = [RedisLocks.at(redis_url, lease_s=20, wait_s=0.5, namespace="going") for _ in range(2)]
    made = iter([GoingOn(locks[0]), GoingOn(locks[1])] * 9)

    async def make() -> LockProvider:
        return next(made)

    await check_lock_provider(make)
    for one in locks:
        await one.close()


async def test_going_on_works_through_a_dead_redis_and_uses_it_again_when_it_is_back(redis_server: RedisServer):
    redis = RedisLocks.at(redis_server.url, lease_s=5, wait_s=0.1)
    locks = GoingOn(redis, pause_s=0.2)
    async with locks.hold("k") as lease:
        redis_server.kill()
        await lease.renew()
        assert 4 < lease.remaining() <= 5, "kept without Redis"
    async with locks.hold("k"), locks.hold("k"):
        pass
    redis_server.start()
    await asyncio.sleep(0.3)
    async with locks.hold("k"):
        with pytest.raises(Contended):
            async with locks.hold("k"):
                pass
    await redis.close()


async def test_a_frozen_redis_costs_one_timeout_and_not_one_for_every_record(redis_server: RedisServer, monkeypatch):
    monkeypatch.setattr("bidisync.locks.redis.ANSWER_S", 0.3)
    redis = RedisLocks.at(redis_server.url, lease_s=5, wait_s=0.1)
    locks = GoingOn(redis, pause_s=60)
    redis_server.freeze()
    began = time.monotonic()
    try:
        for number in range(50):
            async with locks.hold(f"record {number}"):
                pass
    finally:
        redis_server.thaw()
        await redis.close()
    assert 0.25 < time.monotonic() - began < 2.0


async def test_a_lost_answer_to_the_request_for_a_key_does_not_lock_its_owner_out(redis_url):
    lost = RedisLocks.at(redis_url, lease_s=20, wait_s=0.1, namespace="asked twice")
    locks = RedisLocks.at(redis_url, lease_s=20, wait_s=0.1, namespace="asked twice")
    locks.chance = Same((await lost._take("k"))._token)
    async with locks.hold("k") as lease:
        assert lease.remaining() > 0
    await lost.close()
    await locks.close()


async def test_a_lease_costs_two_round_trips_and_those_who_wait_in_line_cost_none(redis_url):
    locks = await RedisLocks.open(redis_url, lease_s=20, wait_s=5, namespace="counted")
    commands, packets = await asked_of(locks.client)
    for _ in range(5):
        async with locks.hold("k"):
            pass
    assert await asked_of(locks.client) == (commands + 10, packets + 10 + 2), "two are these questions"
    commands, packets = await asked_of(locks.client)

    async def work() -> None:
        async with locks.hold("k"):
            await asyncio.sleep(0.03)

    await asyncio.gather(*(work() for _ in range(6)))
    assert await asked_of(locks.client) == (commands + 12, packets + 12 + 2)
    await locks.close()


async def test_leases_that_are_asked_for_at_once_travel_together(redis_url):
    locks = await RedisLocks.open(redis_url, lease_s=20, wait_s=5, namespace="together")
    commands, packets = await asked_of(locks.client)

    async def work(key: str) -> None:
        async with locks.hold(key):
            await everybody.wait()

    everybody = asyncio.Barrier(40)
    await asyncio.gather(*(work(f"k{number}") for number in range(40)))
    now, packets_now = await asked_of(locks.client)
    assert now == commands + 80
    assert packets_now - packets - 2 <= 8, "one each way, and a few more where they are read in parts"
    await locks.close()


async def test_a_key_that_is_granted_to_somebody_who_has_gone_is_given_back(redis_server: RedisServer):
    locks = await RedisLocks.open(redis_server.url, lease_s=20, wait_s=5, namespace="gone")
    redis_server.freeze()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), locks.hold("k"):
            pass
    redis_server.thaw()
    async with locks.hold("k") as lease:
        assert lease.remaining() > 0
    await locks.close()


async def asked_of(client: aioredis.Redis) -> tuple[int, int]:
    """How many scripts the server has run for anybody, and how often it has read from a connection."""
    scripts = (await client.info("commandstats")).get("cmdstat_eval", {"calls": 0})["calls"]
    return scripts, (await client.info("stats"))["total_reads_processed"]


class Same:
    """Chance that draws the same token again, as a command that is sent again carries it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        return self._token

    def fraction(self) -> float:
        return 0.5
