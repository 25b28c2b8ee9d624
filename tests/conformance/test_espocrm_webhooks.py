"""Webhooks of the EspoCRM simulator, received by a real server, as they were recorded."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp import web

from bidisync_espo_advo.simulators import EspoServer, espocrm_simulator
from bidisync_espo_advo.webhook import signature


@attrs.define
class Office:
    """An EspoCRM, a receiver of its webhooks, and a clock."""

    crm: EspoServer
    url: str
    now: list[datetime]
    received: list[tuple[str, bytes, dict[str, str]]] = attrs.Factory(list)
    answers: dict[str, int] = attrs.Factory(dict)

    def register(self, event: str, user: str = "sync", **more: Any) -> str:
        body = {"event": event, "url": f"{self.url}{event}", **more}
        return str(self.crm.store.webhooks.register(body, self.crm.store.users[user])["id"])

    def items(self, place: int = -1) -> Any:
        return json.loads(self.received[place][1])

    def states(self) -> list[tuple[str, int]]:
        return [(item.status, item.attempts) for item in self.crm.store.webhooks.items]

    def wait(self, minutes: float) -> None:
        self.now[0] += timedelta(minutes=minutes)


@asynccontextmanager
async def opened(**switches: str) -> AsyncIterator[Office]:
    now = [datetime(2026, 11, 24, 12, tzinfo=UTC)]
    received: list[tuple[str, bytes, dict[str, str]]] = []
    answers: dict[str, int] = {}

    async def receive(request: web.Request) -> web.Response:
        received.append((request.path, await request.read(), dict(request.headers)))
        return web.Response(status=answers.get(request.path.removeprefix("/"), 200))

    app = web.Application()
    app.add_routes([web.post("/{tail:.*}", receive)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with espocrm_simulator(switches=switches, clock=lambda: now[0]) as crm:
            yield Office(crm, f"http://127.0.0.1:{runner.addresses[0][1]}/", now, received, answers)
    finally:
        await runner.cleanup()


async def test_a_delivery_is_signed_over_its_bytes_in_both_ways():
    async with opened() as office:
        id = office.register("CBeteiligte.create")
        office.crm.store.create(lastName="Müller/Ä", betnr=7)
        assert await office.crm.send_webhooks() == [1]
        path, body, headers = office.received[0]
        assert path == "/CBeteiligte.create"
        assert rb"M\u00fcller\/\u00c4" in body, "escaped as PHP does"
        assert "User-Agent" not in headers
        assert headers["Content-Type"] == "application/json"
        secret = office.crm.store.webhooks.hooks[id].secret
        assert headers["Signature"] == signature(id, body, secret)
        proof = base64.b64decode(headers["X-Signature"]).removeprefix(f"{id}:".encode())
        assert proof == hmac.new(secret.encode(), body, hashlib.sha256).digest()


async def test_a_create_tells_what_is_set_an_update_what_changed_and_a_delete_the_id():
    async with opened() as office:
        for event in ("create", "update", "delete"):
            office.register(f"CBeteiligte.{event}")
        id = office.crm.store.create(lastName="Köster", titel="Dr.")
        office.crm.store.edit(id, titel="Prof.")
        office.crm.store.edit(id, titel="Prof.")
        office.crm.store.delete(id)
        await office.crm.send_webhooks()
        told = {path: json.loads(body) for path, body, _ in office.received}
        (created,) = told["/CBeteiligte.create"]
        assert (created["id"], created["lastName"], created["titel"]) == (id, "Köster", "Dr.")
        assert None not in created.values()
        assert "createdByName" not in created
        (updated,) = told["/CBeteiligte.update"]
        admin = office.crm.store.users["admin"]
        assert updated == {
            "titel": "Prof.", "modifiedById": admin.id, "modifiedByName": "Admin", "id": id
        }  # fmt: skip
        assert told["/CBeteiligte.delete"] == [{"id": id}]


async def test_a_second_update_by_the_same_person_does_not_name_them_again():
    async with opened() as office:
        id = office.crm.store.create(lastName="Köster")
        office.register("CBeteiligte.update")
        office.register("CBeteiligte.fieldUpdate.titel")
        office.crm.store.edit(id, titel="a")
        office.crm.store.edit(id, titel="b")
        office.crm.store.edit(id, zusatz="c")
        await office.crm.send_webhooks()
        told = {path: json.loads(body) for path, body, _ in office.received}
        assert told["/CBeteiligte.update"][1:] == [{"titel": "b", "id": id}, {"zusatz": "c", "id": id}]
        assert told["/CBeteiligte.fieldUpdate.titel"] == [{"titel": "a", "id": id}, {"titel": "b", "id": id}]


async def test_nothing_is_kept_for_a_webhook_that_is_not_there_yet_or_not_active():
    async with opened() as office:
        office.crm.store.create(lastName="Before")
        id = office.register("CBeteiligte.create")
        office.crm.store.webhooks.change(id, {"isActive": False}, office.crm.store.users["sync"])
        office.crm.store.create(lastName="Asleep")
        office.crm.store.webhooks.change(id, {"isActive": True}, office.crm.store.users["sync"])
        assert await office.crm.send_webhooks() == []


async def test_restoring_a_record_tells_nobody():
    async with opened() as office:
        id = office.crm.store.create(lastName="Köster")
        office.crm.store.delete(id)
        for event in ("create", "update"):
            office.register(f"CBeteiligte.{event}")
        from bidisync_espo_advo.simulators.espocrm_fields import BETEILIGTE

        office.crm.store.restore(BETEILIGTE, id)
        assert await office.crm.send_webhooks() == []


@pytest.mark.parametrize(("portion", "runs"), [("20", [[20], [20], [5], []]), ("500", [[45], [], [], []])])
async def test_a_run_takes_up_a_portion(portion, runs):
    async with opened(**{"webhook.portion": portion}) as office:
        office.register("CBeteiligte.create")
        for number in range(45):
            office.crm.store.create(lastName=f"P{number}")
        assert [await office.crm.send_webhooks() for _ in runs] == runs


async def test_a_post_holds_at_most_50_items():
    async with opened(**{"webhook.portion": "500"}) as office:
        office.register("CBeteiligte.create")
        for number in range(60):
            office.crm.store.create(lastName=f"P{number}")
        assert [await office.crm.send_webhooks() for _ in range(3)] == [[50], [10], []]
        assert [item["lastName"] for item in office.items(0)] == [f"P{number}" for number in range(50)]


RETRIED = (401, 403, 404, 405, 408, 500, 503)
LOST = (400, 402, 409, 413, 415, 422, 429, 501, 502, 504, 522)


@pytest.mark.parametrize("status", [200, 201, 204, 301, 302, *RETRIED, *LOST])
async def test_what_an_answer_means(status):
    async with opened() as office:
        office.register("CBeteiligte.create")
        office.answers["CBeteiligte.create"] = status
        office.crm.store.create(lastName="P")
        await office.crm.send_webhooks()
        wanted = "Success" if status < 400 else "Pending" if status in RETRIED else "Failed"
        assert office.states() == [(wanted, 1)]
        assert await office.crm.send_webhooks() == [], "not again at once"
        assert len(office.crm.store.webhooks.hooks) == 1


async def test_410_deletes_the_webhook():
    async with opened() as office:
        office.register("CBeteiligte.create")
        office.answers["CBeteiligte.create"] = 410
        office.crm.store.create(lastName="P")
        await office.crm.send_webhooks()
        assert office.crm.store.webhooks.hooks == {}


async def test_a_failed_delivery_is_tried_four_times_and_the_webhook_stays():
    async with opened() as office:
        office.register("CBeteiligte.create")
        office.answers["CBeteiligte.create"] = 503
        office.crm.store.create(lastName="P")
        states = []
        for _ in range(6):
            await office.crm.send_webhooks()
            states += office.states()
            office.wait(10)
        assert states == [("Pending", 1), ("Pending", 2), ("Pending", 3), ("Failed", 4), ("Failed", 4), ("Failed", 4)]
        assert len(office.received) == 4
        assert next(iter(office.crm.store.webhooks.hooks.values())).active


async def test_a_later_change_arrives_before_the_one_that_waits_for_its_retry():
    async with opened() as office:
        id = office.crm.store.create(lastName="P")
        office.register("CBeteiligte.update")
        office.answers["CBeteiligte.update"] = 503
        office.crm.store.edit(id, titel="first")
        await office.crm.send_webhooks()
        office.answers.clear()
        office.crm.store.edit(id, titel="second")
        await office.crm.send_webhooks()
        assert office.items()[0]["titel"] == "second"
        office.wait(10)
        office.crm.store.edit(id, titel="third")
        await office.crm.send_webhooks()
        assert [item["titel"] for item in office.items()] == ["first", "third"], "a retry goes out with what is new"


async def test_nobody_at_the_other_end_is_tried_again():
    async with opened() as office:
        office.crm.store.webhooks.register(
            {"event": "CBeteiligte.create", "url": "http://127.0.0.1:9/"}, office.crm.store.users["sync"]
        )
        office.crm.store.webhooks.register(
            {"event": "CBeteiligte.create", "url": "not a url"}, office.crm.store.users["sync"]
        )
        office.crm.store.create(lastName="P")
        await office.crm.send_webhooks()
        assert office.states() == [("Pending", 1), ("Pending", 1)]


async def test_skip_own_leaves_out_what_the_owner_wrote_and_nothing_else():
    async with opened() as office, aiohttp.ClientSession() as session:
        office.register("CBeteiligte.create", skipOwn=True)
        headers = {"X-Api-Key": office.crm.users["sync"]["api_key"]}
        async with session.post(
            f"{office.crm.url}api/v1/CBeteiligte", json={"lastName": "Own"}, headers=headers
        ) as answer:
            assert answer.status == 200
        office.crm.store.create(lastName="A person's")
        await office.crm.send_webhooks()
        assert [item["lastName"] for item in office.items()] == ["A person's"]


async def test_the_job_runs_by_itself_at_its_interval():
    import asyncio

    async with opened(**{"webhook.interval_s": "1"}) as office:
        office.register("CBeteiligte.create")
        office.crm.store.create(lastName="P")
        async with asyncio.timeout(10):
            while not office.received:
                await asyncio.sleep(0.05)
        assert office.items()[0]["lastName"] == "P"


async def test_a_delivery_leaves_out_what_its_owner_may_not_read():
    async with opened() as office:
        office.register("CBeteiligte.update", user="syncfld")
        office.register("CBeteiligte.update", user="sync")
        id = office.crm.store.create(lastName="Muster")
        office.crm.store.edit(id, quote=0.5, titel="Dr.")
        await office.crm.send_webhooks()
        told = sorted((set(office.items(place)[0]) for place in (0, 1)), key=len)
        assert told[1] - told[0] == {"quote"}
