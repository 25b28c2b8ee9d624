"""``espo-advo serve`` as a firm runs it: webhooks in, polls beside them, stops and restarts."""

from __future__ import annotations

import json
import signal

import aiohttp

from command import run
from office import opened
from served import BEARER, begun, drained, free_port, hooked, running, signed, status, until, write_config

QUIET = {"poll_interval_s": 3600.0}


async def test_a_webhook_brings_an_edit_over_and_its_own_echo_costs_one_read(tmp_path):
    port = free_port()
    async with opened(crm_records=5, crm_switches={"webhook.interval_s": "3600"}) as office:
        keys = hooked(office, port)
        write_config(tmp_path, office, sync=QUIET, espocrm={"webhooks": keys})
        async with running("serve", "--port", str(port), cwd=tmp_path) as served:
            await until(lambda: len(office.erp.store.records) == 5, what="the first contact")
            await begun(served)
            await until(lambda: all(r["syncStatus"] == "clean" for r in office.crm.store.records.values()))
            while await office.crm.send_webhooks():
                await drained(served)
            office.forget_calls()
            id = next(iter(office.crm.store.records))
            office.crm.store.edit(id, zusatz="Hinterhaus")
            assert sum(await office.crm.send_webhooks()) == 1
            await until(lambda: office.pair(id)[1]["zusatz"] == "Hinterhaus", what="the edit")
            await drained(served)
            assert office.counts()["right PUT"] == 1
            office.forget_calls()
            echoes = sum(await office.crm.send_webhooks())
            assert echoes == 1, "the bookkeeping write is told, as skipOwn is off"
            await drained(served)
            assert office.calls() == ["left GET"]
            assert await office.crm.send_webhooks() == [], "and makes nothing new"
            new = office.crm.store.create(lastName="Neumann", firstName="Nora")
            await office.crm.send_webhooks()
            await until(lambda: bool(office.crm.store.records[new].get("betnr")), what="a new record")
            assert (await status(served))["systems"] == {"espocrm": "reachable", "advoware": "reachable"}
            code, took = await served.stop()
            assert (code, took < 10) == (0, True)


async def test_what_was_taken_in_survives_a_kill_and_a_restart(tmp_path):
    port = free_port()
    async with opened(crm_records=30, crm_switches={"webhook.interval_s": "3600"}) as office:
        keys = hooked(office, port, skip_own=True)
        write_config(tmp_path, office, sync=QUIET, espocrm={"webhooks": keys})
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        ids = list(office.crm.store.records)
        async with running("serve", "--port", str(port), cwd=tmp_path) as served:
            await begun(served)
            office.erp.store.behave({"latency_ms": "200"})
            for id in ids:
                office.crm.store.edit(id, zusatz=f"Stock {id[-3:]}")
            while not await office.crm.send_webhooks():
                pass
            served.kill()
            await served.process.wait()
        done = [office.pair(id)[1]["zusatz"] == f"Stock {id[-3:]}" for id in ids]
        assert not all(done), "killed in the middle"
        async with running("serve", "--port", str(port), cwd=tmp_path) as served:
            await until(lambda: all(office.pair(id)[1]["zusatz"] == f"Stock {id[-3:]}" for id in ids), 60)
            served.process.send_signal(signal.SIGINT)
            assert await served.process.wait() == 0


async def test_a_stop_hands_back_what_can_not_end_in_time(tmp_path):
    port = free_port()
    async with opened(crm_records=3, crm_switches={"webhook.interval_s": "3600"}) as office:
        keys = hooked(office, port, skip_own=True)
        write_config(
            tmp_path, office, sync=QUIET, espocrm={"webhooks": keys, "timeout_s": 30.0}, lock={"lease_s": 40.0}
        )
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        async with running("serve", "--port", str(port), cwd=tmp_path) as served:
            await begun(served)
            office.crm.store.behave({"latency_ms": "15000"})
            id, secret = next(iter(keys.items()))
            body = json.dumps([{"id": next(iter(office.crm.store.records))}]).encode()
            async with aiohttp.ClientSession() as session:
                url = f"{served.url}/webhooks/espocrm/update"
                async with session.post(url, data=body, headers=signed(id, secret, body)) as response:
                    assert response.status == 200
            code, took = await served.stop()
            assert code == 0
            assert took < 10
        told = await run("--json", "status", cwd=tmp_path)
        assert told.json["hints"] == 1, "it is kept for the next one"


async def test_an_advoware_that_is_off_pauses_the_work_and_loses_nothing(tmp_path):
    port = free_port()
    async with opened(crm_records=30, crm_switches={"webhook.interval_s": "3600", "webhook.portion": "50"}) as office:
        keys = hooked(office, port, skip_own=True)
        write_config(tmp_path, office, sync=QUIET, espocrm={"webhooks": keys}, advoware={"timeout_s": 2.0})
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        ids = list(office.crm.store.records)
        async with running("serve", "--port", str(port), cwd=tmp_path) as served:
            await begun(served)
            office.erp.store.behave({"connector_offline": "503"})
            for id in ids:
                office.crm.store.edit(id, zusatz="bei Nacht")
            while await office.crm.send_webhooks() or office.crm.store.webhooks.queue:
                pass
            await until(lambda: any("pauses" in line for line in served.told), 40, "the pause")
            office.forget_calls()
            async with aiohttp.ClientSession(headers=BEARER) as session:
                async with session.get(served.url + "/healthz") as response:
                    assert response.status == 200
            assert (await status(served))["hints"]["waiting"] == 30, "every hint is kept"
            office.erp.store.behave({"connector_offline": "off"})
            await until(lambda: all(office.pair(id)[1]["zusatz"] == "bei Nacht" for id in ids), 90, "the catch-up")
            assert office.counts()["right PUT"] == 30
            await drained(served)
        assert {r["syncStatus"] for r in office.crm.store.records.values()} == {"clean"}
        assert {r["syncRetryCount"] or 0 for r in office.crm.store.records.values()} == {0}, "no attempt was counted"


async def test_what_was_edited_while_nobody_listened_is_fetched_at_the_start_without_any_webhook(tmp_path):
    port = free_port()
    async with opened(crm_records=4, crm_switches={"webhook.interval_s": "3600"}) as office:
        keys = hooked(office, port, skip_own=True)
        write_config(tmp_path, office, sync=QUIET, espocrm={"webhooks": keys})
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        first, second, *_ = office.crm.store.records
        office.crm.store.edit(first, zusatz="verpasst")
        office.erp.store.edit(office.crm.store.records[second]["betnr"], titel="Dr.")
        await office.crm.send_webhooks()  # refused, and not due again before ten minutes are over
        async with running("serve", "--port", str(port), cwd=tmp_path):
            await until(lambda: office.pair(first)[1]["zusatz"] == "verpasst", what="the edit in EspoCRM")
            await until(lambda: office.crm.store.records[second]["titel"] == "Dr.", what="the edit in Advoware")
            assert await office.crm.send_webhooks() == [], "nothing was sent again"
