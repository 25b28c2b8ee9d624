"""Webhooks from registration to delivery: EspoCRM's simulator tells, and the record is looked at."""

from __future__ import annotations

from contextlib import asynccontextmanager

import attrs
import pytest
from aiohttp import web

from bidisync import LinkState
from bidisync.errors import Unauthorized
from bidisync_espo_advo import open_sync
from bidisync_espo_advo.espocrm_webhooks import EVENTS, register, registered
from bidisync_espo_advo.simulators.server import FaultRule
from bidisync_espo_advo.webhook import signature
from command import configure, run
from office import Office, opened


@attrs.define
class Ear:
    """Hears deliveries; an answer's status is what the test says."""

    url: str = ""
    secrets: dict[str, str] = attrs.Factory(dict)
    heard: list[tuple[str, str]] = attrs.Factory(list)
    status: int = 200

    async def hear(self, request: web.Request) -> web.Response:
        raw = await request.read()
        signed = request.headers["Signature"]
        assert any(signature(id, raw, secret) == signed for id, secret in self.secrets.items())
        if self.status == 200:
            self.heard += [(request.match_info["event"], item["id"]) for item in await request.json()]
        return web.Response(status=self.status)


@asynccontextmanager
async def listening():
    ear = Ear()
    app = web.Application()
    app.router.add_post("/webhooks/espocrm/{event}", ear.hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ear.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield ear
    finally:
        await runner.cleanup()


async def told(office: Office, sync, ear: Ear) -> int:
    """Deliveries until there are none, each followed by a look at its record; how many there were."""
    count = 0
    while await office.crm.send_webhooks():
        heard, ear.heard = ear.heard, []
        count += len(heard)
        await sync.sync_many([f"left:{id}" for _, id in heard])
    return count


async def test_every_event_is_registered_once_however_often_it_is_asked_for():
    async with opened() as office, open_sync(office.settings) as sync:
        crm = sync.remotes.espocrm
        first = await register(crm, "http://127.0.0.1:9/")
        assert [hook.event for hook in first] == [f"CBeteiligte.{event}" for event in EVENTS]
        assert all(hook.skip_own and hook.active and len(hook.secret) == 32 for hook in first)
        assert first[0].secret not in repr(first)
        assert await register(crm, "http://127.0.0.1:9") == first
        assert len(await registered(crm)) == 3
        office.crm.store.webhooks.hooks[first[0].id].active = False
        assert await register(crm, "http://127.0.0.1:9") == first, "one that was switched off is switched on"
        assert office.crm.store.webhooks.hooks[first[0].id].active
        other = await register(crm, "http://127.0.0.1:9", skip_own=False)
        assert not any(hook.skip_own for hook in other)
        assert len(await registered(crm)) == 3, "and what differs is replaced, not doubled"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_reply_registers_nothing_twice(when):
    async with opened() as office, open_sync(office.settings) as sync:
        office.crm.control.rules.append(FaultRule("drop", method="POST", path="Webhook", when=when))
        if when == "before":
            with pytest.raises(Exception, match="look at its list"):
                await register(sync.remotes.espocrm, "http://127.0.0.1:9")
        await register(sync.remotes.espocrm, "http://127.0.0.1:9")
        assert len(office.crm.store.webhooks.hooks) == 3


async def test_a_user_without_the_scope_is_told_so():
    async with opened() as office:
        office.tables["espocrm"]["api_key"] = office.crm.users["syncro"]["api_key"]
        async with open_sync(office.settings) as sync:
            with pytest.raises(Unauthorized, match="role"):
                await register(sync.remotes.espocrm, "http://127.0.0.1:9")


@pytest.mark.parametrize("occ", ["off", "on"])
@pytest.mark.parametrize("skip_own", [True, False])
async def test_a_day_by_webhooks_alone(skip_own, occ):
    async with listening() as ear, opened(crm_records=4, erp_records=2, crm_switches={"occ": occ}) as office:
        async with open_sync(office.settings) as sync:
            await sync.sweep(everything=True)
            hooks = await register(sync.remotes.espocrm, ear.url, skip_own=skip_own)
            ear.secrets = {hook.id: hook.secret for hook in hooks}
            ids = list(office.crm.store.records)
            for id in ids[:3]:
                office.crm.store.edit(id, zusatz="Hinterhaus")
            new = office.crm.store.create(lastName="Neu", firstName="Nora", dateOfBirth="1990-01-01")
            office.crm.store.delete(ids[3])
            count = await told(office, sync, ear)
            assert (count == 5) is skip_own, "our own writes are told of, or not"
            for id in ids[:3]:
                crm, erp = office.pair(id)
                assert erp["zusatz"] == "Hinterhaus"
            assert office.crm.store.records[new]["betnr"] in office.erp.store.records
            assert await sync.states() == {LinkState.IN_SYNC: 6, LinkState.GONE: 1}
            office.forget_calls()
            assert await told(office, sync, ear) == 0, "an echo is the last one"
            await sync.sweep(everything=True)
            assert office.writes() == 0


async def test_what_webhooks_lost_for_good_the_next_pass_finds():
    async with listening() as ear, opened(crm_records=2) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        hooks = await register(sync.remotes.espocrm, ear.url)
        ear.secrets, ear.status = {hook.id: hook.secret for hook in hooks}, 429  # which EspoCRM does not repeat
        (id, *_) = office.crm.store.records
        office.crm.store.edit(id, zusatz="verloren")
        assert await told(office, sync, ear) == 0
        await sync.sweep()
        assert office.pair(id)[1]["zusatz"] == "verloren"


async def test_check_tells_of_webhooks_and_of_everything_that_is_missing(tmp_path):
    async with opened(crm_records=1) as office:
        configure(tmp_path, office.tables)
        none = await run("check", "--json", cwd=tmp_path)
        assert none.status == 0, none.err
        assert none.json["webhooks"]["says"] == "no event of EspoCRM is sent here; the rest is found by polling"
        before = office.crm.store.records
        office.tables["espocrm"]["api_key"] = office.crm.users["syncro"]["api_key"]
        configure(tmp_path, office.tables)
        limited = await run("check", "--json", cwd=tmp_path)
        assert limited.status == 2
        says = limited.json["espocrm"]["says"]
        assert "may not create CBeteiligte; this user may not edit CBeteiligte" in says
        office.tables["espocrm"]["api_key"] = office.crm.users["syncfld"]["api_key"]
        configure(tmp_path, office.tables)
        field = await run("check", "--json", cwd=tmp_path)
        assert field.status == 2
        assert field.json["espocrm"]["says"] == "this user may not write the field betnr"
        assert office.crm.store.records == before, "check writes nothing"
