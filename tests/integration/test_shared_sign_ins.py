"""One sign-in to Advoware for many processes: kept sealed, refreshed once, and harmless to lose."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest
from redis import asyncio as aioredis

from bidisync.clock import SystemClock
from bidisync.errors import Unauthorized
from bidisync.locks.local import LocalLocks
from bidisync.locks.redis import RedisLocks
from bidisync.stores.seal import AesSeal
from bidisync.stores.sqlite import SqliteStore
from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.sign_ins import RedisTokens, SignIns, StateTokens
from bidisync_espo_advo.simulators.server import FaultRule
from command import environment
from office import Office, opened
from toml_text import render_toml

PROCESS = """
import asyncio, sys
from pathlib import Path
from bidisync.clock import SystemClock
from bidisync.locks.redis import RedisLocks
from bidisync.stores.seal import AesSeal
from bidisync_espo_advo import load_settings, open_sync
from bidisync_espo_advo.simulators.server import FaultRule
from bidisync_espo_advo.sign_ins import RedisTokens, SignIns

async def main():
    settings = load_settings(Path(sys.argv[1]))
    locks = await RedisLocks.open(settings.lock.url, lease_s=4.0, wait_s=20.0, namespace=sys.argv[2])
    shared = SignIns(RedisTokens(locks), locks, AesSeal.of("a long key for tests"), SystemClock())
    async with open_sync(settings, locks=locks, sign_ins=shared) as sync:
        await sync.remotes.advoware.who_am_i()
    await locks.close()

asyncio.run(main())
"""


def sign_ins_of(office: Office) -> int:
    return sum(entry.path.endswith("Token") for entry in office.erp.control.log)


def discoveries_of(office: Office) -> int:
    return sum("Configurator" in entry.path for entry in office.erp.control.log)


async def shared_in(redis_url: str, namespace: str, key: str = "a key") -> SignIns:
    locks = await RedisLocks.open(redis_url, lease_s=4.0, wait_s=10.0, namespace=namespace)
    return SignIns(RedisTokens(locks), locks, AesSeal.of(key), SystemClock())


async def reached(office: Office, shared: SignIns) -> None:
    """One process' work, as far as Advoware can tell: a session that starts with nothing."""
    async with open_sync(office.settings, sign_ins=shared) as sync:
        await sync.remotes.advoware.who_am_i()


async def test_six_processes_at_once_sign_in_once(redis_url, tmp_path):
    async with opened(lock={"url": redis_url}) as office:
        (tmp_path / "espo-advo.toml").write_text(render_toml(office.tables))
        arguments = [sys.executable, "-c", PROCESS, str(tmp_path / "espo-advo.toml"), f"six-{tmp_path.name}"]
        started = [await asyncio.create_subprocess_exec(*arguments, env=environment()) for _ in range(6)]
        assert [await process.wait() for process in started] == [0] * 6
        assert sign_ins_of(office) == 1
        assert 1 <= discoveries_of(office) <= 6


async def test_what_is_kept_is_sealed_and_spares_the_next_process_sign_in_and_discovery(redis_url):
    shared = await shared_in(redis_url, "sealed")
    async with opened() as office:
        await reached(office, shared)
        office.forget_calls()
        await reached(office, shared)
        assert (sign_ins_of(office), discoveries_of(office)) == (0, 0)
        client = aioredis.Redis.from_url(redis_url)
        (name,) = await client.keys("sealed:sign-in:*")
        text = (await client.get(name)).decode()
        assert text.startswith("sealed:1:")
        assert "http" not in text
        assert office.settings.advoware.password not in text
        assert 0 < await client.pttl(name) < 3600_000, "it goes by itself when the token ends"
        await client.aclose()
    await shared.locks.close()


async def test_a_process_that_dies_while_it_signs_in_holds_the_others_up_for_its_lease_at_most(redis_url, tmp_path):
    async with opened(lock={"url": redis_url}, advoware={"timeout_s": 3.0}) as office:
        (tmp_path / "espo-advo.toml").write_text(render_toml(office.tables))
        arguments = [sys.executable, "-c", PROCESS, str(tmp_path / "espo-advo.toml"), f"dies-{tmp_path.name}"]
        office.erp.control.rules.append(FaultRule("hold", method="POST", path="Token"))
        first = await asyncio.create_subprocess_exec(*arguments, env=environment())
        await asyncio.wait_for(office.erp.control.wait_until_held(), 20)
        first.kill()
        await first.wait()
        second = await asyncio.create_subprocess_exec(*arguments, env=environment())
        assert await asyncio.wait_for(second.wait(), 20) == 0
        assert sign_ins_of(office) == 2, "the one that was lost, and one"


@pytest.mark.parametrize("harm", ["wiped", "garbled", "foreign"])
async def test_a_store_without_a_usable_sign_in_costs_one_and_nothing_else(redis_url, harm):
    shared = await shared_in(redis_url, f"harm-{harm}")
    async with opened() as office:
        await reached(office, shared)
        client = aioredis.Redis.from_url(redis_url)
        (name,) = await client.keys(f"harm-{harm}:sign-in:*")
        sealed = AesSeal.of("a key")
        left = {"garbled": b"\xff\x00", "foreign": sealed.seal(json.dumps({"for": "another firm"})).encode()}
        await (client.delete(name) if harm == "wiped" else client.set(name, left[harm]))
        office.forget_calls()
        await reached(office, shared)
        assert sign_ins_of(office) == 1
        await client.aclose()
    await shared.locks.close()


async def test_with_another_key_one_signs_in_anew_and_the_right_one_still_works_after(redis_url):
    one, other = await shared_in(redis_url, "keys"), await shared_in(redis_url, "keys", "another key")
    async with opened() as office:
        await reached(office, one)
        await reached(office, other)
        assert sign_ins_of(office) == 2
        await reached(office, other)
        assert sign_ins_of(office) == 2
    for shared in (one, other):
        await shared.locks.close()


async def test_a_redis_that_is_gone_costs_a_sign_in_each(redis_url):
    shared = await shared_in(redis_url, "gone")
    await shared.locks.client.aclose()
    shared.locks.client = aioredis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2)
    async with opened() as office:
        await reached(office, shared)
        await reached(office, shared)
        assert sign_ins_of(office) == 2
    await shared.locks.close()


async def test_a_token_that_was_revoked_early_is_refreshed_for_everybody(redis_url):
    shared = await shared_in(redis_url, "revoked")
    switches = {"token.early_revoke": "after_n_calls"}
    async with opened(erp_records=1, erp_switches=switches) as office:
        (number,) = office.erp.store.records
        for _ in range(50):
            async with open_sync(office.settings, sign_ins=shared) as sync:
                await sync.remotes.advoware.get(str(number))
        calls = sum("Beteiligte" in entry.path for entry in office.erp.control.log)
        assert 2 <= sign_ins_of(office) <= 1 + calls // 20
    await shared.locks.close()


async def test_without_a_server_the_state_keeps_it(tmp_path):
    store = await SqliteStore.open(tmp_path / "state.db")
    shared = SignIns(StateTokens(store), LocalLocks(), AesSeal.of("a key"), SystemClock())
    async with opened() as office:
        await reached(office, shared)
        await reached(office, shared)
        assert sign_ins_of(office) == 1
        office.forget_calls()
        tables = {**office.tables, "advoware": {**office.tables["advoware"], "password": "something else"}}
        with pytest.raises(Unauthorized):
            async with open_sync(Settings.from_tables(tables), sign_ins=shared) as sync:
                await sync.remotes.advoware.who_am_i()
        assert sign_ins_of(office) == 1, "what another password brought is not taken for one's own"
    await store.close()
