"""The example project on the real Motia 0.17: both ways, with steps that are killed, and two instances."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import psutil
from redis import asyncio as aioredis

import motia_project as motia
from bidisync_espo_advo import open_sync
from bidisync_espo_advo.espocrm_webhooks import register
from bidisync_espo_advo.simulators.server import FaultRule
from office import Office, opened
from toml_text import render_toml

SLOT_S, TIMEOUT_S = 6, 12
LEVELS = ("info", "debug")
"""What the instances log: where it is debug, ticks that came second can be counted, and Motia shows bodies."""


def quicker(instance: int) -> dict[str, dict[str, str]]:
    """The steps with shorter times; the instances tick 2 s apart, so that Motia's own lock can't keep them apart."""
    seconds = ",".join(map(str, range(2 * instance, 60, SLOT_S)))
    return {
        "beteiligte_sync_cron_step.py": {
            '"* * * * *"': f'"{seconds} * * * * *"',
            "interval_s=60": f"interval_s={SLOT_S}",
        },
        motia.STEP: {
            "TIMEOUT_S = 60": f"TIMEOUT_S = {TIMEOUT_S}",
            '"visibilityTimeout": 90': '"visibilityTimeout": 20',
        },
    }


async def until(true: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Return once it is true."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, what
        await asyncio.sleep(0.05)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def polls(office: Office) -> int:
    """How often EspoCRM was asked for what changed."""
    return sum(
        e.method == "GET" and e.path.endswith("/CBeteiligte") and "modifiedAt" in e.query
        for e in office.crm.control.log
    )


def puts(office: Office) -> int:
    return sum(e.method == "PUT" and "Beteiligte" in e.path for e in office.erp.control.log)


def sign_ins(office: Office) -> int:
    return sum(e.path.endswith("Token") for e in office.erp.control.log)


async def a_step_that_is_held(office: Office, instances: list[motia.Motia]) -> psutil.Process:
    """The step whose request Advoware holds back: the one that has a connection there."""
    await asyncio.wait_for(office.erp.control.wait_until_held(), 40)
    steps = [step for instance in instances if instance.process.returncode is None for step in instance.steps()]
    held = [step for step in steps if office.erp.port in motia.connected_to(step)]
    assert held, "the step that sent the held request runs"
    return held[0]


async def test_edits_travel_both_ways_through_motia_whatever_is_killed(tmp_path, redis_server):
    modules = motia.installed()
    began = time.monotonic()
    tables = {"state": {"url": f"sqlite:///{tmp_path}/state.db", "encryption_key": "only for this test"}}
    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(opened(**tables, lock={"url": redis_server.url}))
        ports = [motia.free_port(), motia.free_port()]
        async with open_sync(office.settings) as sync:
            hooks = await register(sync.remotes.espocrm, f"http://127.0.0.1:{ports[0]}")
        secrets = "\n".join(f'{hook.id} = "{hook.secret}"' for hook in hooks)
        config = tmp_path / "espo-advo.toml"
        config.write_text(f"{render_toml(office.tables)}\n[espocrm.webhooks]\n{secrets}\n")
        one, two = [
            await stack.enter_async_context(
                motia.running(
                    motia.project(tmp_path / f"instance{n}", modules, quicker(n)),
                    redis_server.url,
                    config,
                    port,
                    LEVELS[n],
                )
            )
            for n, port in enumerate(ports)
        ]
        await until(lambda: all(map(answers, ports)), "both instances answer", 90)
        print(f"two instances of Motia answer after {time.monotonic() - began:.0f} s")

        id = await there_and_back(office)
        await killed_step(office, [one, two], id)
        await once_per_slot(office, redis_server.url, [one, two])
        await killed_server(office, one, two, id)
        print(f"all of it took {time.monotonic() - began:.0f} s; {sign_ins(office)} sign-ins to Advoware")
        assert sign_ins(office) <= 3, "the steps share a sign-in; one was made by the test itself"
        text = "\n".join(one.lines)
        assert "Beispielmann" not in text
        assert office.settings.advoware.password not in text


async def there_and_back(office: Office) -> str:
    """A new party by webhook, API step and event step; an edit in Advoware by cron and event step."""
    id = office.crm.store.create(lastName="Beispielmann", firstName="Ada", dateOfBirth="1980-02-29")
    assert await office.crm.send_webhooks() == [1]
    await until(lambda: office.crm.store.records[id]["betnr"], "the new party is in Advoware")
    record, party = office.pair(id)
    assert (party["name"], party["vorname"]) == ("Beispielmann", "Ada")
    office.erp.store.edit(record["betnr"], titel="Dr.")
    await until(lambda: office.crm.store.records[id]["titel"] == "Dr.", "the edit in Advoware is in EspoCRM")
    assert len(office.erp.store.records) == len(office.crm.store.records) == 1
    return id


async def killed_step(office: Office, instances: list[motia.Motia], id: str) -> None:
    """Motia takes a step that was killed for done, and loses its event: the hint in the state does not."""
    before = puts(office)
    office.erp.control.rules.append(FaultRule("hold", method="PUT", path="Beteiligte", when="before"))
    office.crm.store.edit(id, zusatz="vor dem Absturz")
    await office.crm.send_webhooks()
    (await a_step_that_is_held(office, instances)).kill()
    await until(lambda: office.pair(id)[1]["zusatz"] == "vor dem Absturz", "the edit arrives all the same")
    assert puts(office) == before + 2, "one that was never carried out, and one that was"


async def once_per_slot(office: Office, redis_url: str, instances: list[motia.Motia]) -> None:
    """Both instances tick; one of them asks for a poll."""
    client = aioredis.Redis.from_url(redis_url)
    try:
        before, slots_before = polls(office), len(await client.keys("bidisync:slot:*"))
        await until(lambda: polls(office) >= before + 3, "three slots go by", 40)
        slots = len(await client.keys("bidisync:slot:*")) - slots_before
        assert polls(office) - before <= slots + 1, "no more polls than slots"
        kept = [int((await client.pttl(name)) / 1000) for name in await client.keys("bidisync:slot:*")]
        assert max(kept) > 0
    finally:
        await client.aclose()
    second = sum("another instance has this slot" in line for line in instances[1].lines)
    print(f"{slots} slots, {polls(office) - before} polls; {second} ticks came second so far")
    assert second >= 2


async def killed_server(office: Office, one: motia.Motia, two: motia.Motia, id: str) -> None:
    """A step that outlives its server writes nothing more; the other instance does the work."""
    before = puts(office)
    office.erp.control.rules.append(FaultRule("hold", method="GET", path="Beteiligte/", seconds=3.0, times=1))
    office.crm.store.edit(id, zusatz="nach dem Absturz")
    await office.crm.send_webhooks()
    step = await a_step_that_is_held(office, [one, two])
    server = next(instance for instance in (one, two) if step.ppid() == instance.process.pid)
    other = two if server is one else one
    server.kill()
    os.killpg(other.process.pid, signal.SIGSTOP)  # so that nobody but the orphan could write
    await until(lambda: not step.is_running() or step.status() == psutil.STATUS_ZOMBIE, "the orphan ends by itself", 20)
    assert puts(office) == before, "and wrote nothing"
    os.killpg(other.process.pid, signal.SIGCONT)
    await until(lambda: office.pair(id)[1]["zusatz"] == "nach dem Absturz", "the other instance brings the edit")
    assert puts(office) == before + 1
