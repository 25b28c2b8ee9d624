"""Replies that no page promises: each ends in a declared error, and no write is ever repeated."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import pytest
from aiohttp import web

from bidisync import LinkState
from bidisync.errors import RateLimited, Rejected, Stale, Unauthorized, Unavailable, Unconfirmed
from bidisync_espo_advo import open_sync
from bidisync_espo_advo.simulators.server import FaultRule
from odd import CANARY, GOOD, SEEN, half, odd, reset, text
from office import opened


@pytest.mark.parametrize(
    "trouble",
    [text("", 502), text("", 503), text("", 429, Retry_After="0"), reset, half],
    ids=["502", "503", "429", "reset", "half"],
)
async def test_a_read_is_repeated_until_it_is_answered(trouble):
    async with odd(trouble, trouble, GOOD) as (server, crm):
        assert (await crm.get("a")).fields["lastName"] == "Beispiel"
        assert len(server.seen) == 3


@pytest.mark.parametrize("trouble", [text("", 500), text("", 502), text("", 503), reset, half, text("<html>")])
async def test_a_write_without_a_readable_answer_is_sent_once_and_called_unconfirmed(trouble):
    for write in ("create", "update"):
        async with odd(trouble, GOOD) as (server, crm):
            with pytest.raises(Unconfirmed):
                await (crm.create({"lastName": "Neu"}) if write == "create" else crm.update(SEEN, {"lastName": "Neu"}))
            assert len(server.seen) == 1


async def test_patience_is_as_long_as_the_server_asks_for():
    for asked in (lambda: "1", lambda: formatdate(time.time() + 2, usegmt=True)):
        async with odd(text("", 503, Retry_After=asked()), GOOD, timeout_s=5) as (_server, crm):
            began = time.monotonic()
            await crm.get("a")
            assert time.monotonic() - began > 0.7
    async with odd(text("", 429, Retry_After="600")) as (_server, crm):
        with pytest.raises(RateLimited) as caught:
            await crm.update(SEEN, {"lastName": "Neu"})
        assert caught.value.retry_after == 600


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (text("", 302, Location="http://elsewhere.example/"), Unavailable),
        (text("<html>Anmeldung</html>"), Unavailable),
        (text("[]"), Unavailable),
        (text('{"id": 5}'), Unavailable),
        (text("", 401), Unauthorized),
        (text("", 403), Unavailable),
        (text("", 403, X_Status_Reason="No 'read' access."), Rejected),
        (text("", 403, X_Status_Reason="No read access."), Unauthorized),
        (text("", 400, X_Status_Reason="Field validation failure; field: lastName, type: required."), Rejected),
    ],
)
async def test_what_a_read_may_be_answered_has_a_name(answer, error):
    async with odd(answer) as (_server, crm):
        with pytest.raises(error) as caught:
            await crm.get("geheim")
        assert CANARY not in str(caught.value)
        assert "geheim" not in str(caught.value)


async def test_a_409_means_a_duplicate_on_a_create_and_a_moved_record_on_an_update():
    async with odd(text('{"values": {}, "versionNumber": 3}', 409, X_Status_Reason="modified")) as (_server, crm):
        with pytest.raises(Stale):
            await crm.update(SEEN, {"lastName": "Neu"})


async def test_a_slow_answer_ends_at_the_total_deadline():
    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.1)
        return response

    async with odd(slow, timeout_s=0.5) as (_server, crm):
        began = time.monotonic()
        with pytest.raises(Unconfirmed):
            await crm.update(SEEN, {"lastName": "Neu"})
        assert time.monotonic() - began < 2


async def test_many_requests_share_one_sign_in_and_one_refresh():
    async with opened(erp_records=5) as office, open_sync(office.settings) as sync:
        erp = sync.remotes.advoware
        await asyncio.gather(*(erp.get(str(number)) for number in office.erp.store.records))

        def sign_ins() -> int:
            return sum(entry.path.endswith("Token") for entry in office.erp.control.log)

        assert sign_ins() == 1
        office.erp.control.rules.append(FaultRule("status", path="Beteiligte", status=401))
        await asyncio.gather(*(erp.get(str(number)) for number in office.erp.store.records))
        assert sign_ins() == 2


async def test_one_record_that_always_fails_does_not_stop_the_others():
    async with opened(crm_records=30) as office, open_sync(office.settings) as sync:
        office.erp.control.rules.append(FaultRule("status", method="POST", path="Beteiligte", status=400, skip=7))
        await sync.sweep(everything=True)
        states = await sync.states()
        assert states == {LinkState.IN_SYNC: 29, LinkState.BLOCKED: 1}
        (blocked,) = [r for r in office.crm.store.records.values() if not r["betnr"]]
        assert (blocked["syncStatus"], blocked["syncErrorMessage"]) == ("conflict", "rejected")
