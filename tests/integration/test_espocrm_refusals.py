"""What EspoCRM's refusals mean: each of the many meanings of 403, 404, 409 and 503 is told apart."""

from __future__ import annotations

import time

import attrs
import pytest

from bidisync import LinkState
from bidisync.errors import Duplicate, RateLimited, Rejected, Stale, Unauthorized, Unavailable, Unconfirmed
from bidisync_espo_advo import open_sync
from odd import GOOD, SEEN, odd, text
from office import opened

RECORD_404 = text("", 404, X_Status_Reason="Record a does not exist.")
NO_CONTROLLER = text("", 404, X_Status_Reason="Controller 'CNope' does not exist.")
APACHE = text("<html>Not Found</html>", 404)


async def test_only_a_404_about_the_record_means_that_it_is_gone():
    async with odd(RECORD_404) as (_server, crm):
        assert (await crm.get("a")).gone
    for answer in (NO_CONTROLLER, APACHE):
        async with odd(answer) as (_server, crm):
            with pytest.raises(Unavailable, match="entity_type"):
                await crm.get("a")
            with pytest.raises(Unavailable, match="entity_type"):
                await crm.update(SEEN, {"lastName": "Neu"})
            with pytest.raises(Unavailable, match="entity_type"):
                await crm.delete(SEEN)


async def test_a_409_is_a_duplicate_or_a_moved_record_or_a_refusal():
    duplicate = text('[{"id": "b", "lastName": "Neu"}]', 409, X_Status_Reason="duplicate")
    moved = text('{"values": {}, "versionNumber": 3}', 409, X_Status_Reason="modified")
    invalid = text("{}", 409, X_Status_Reason="Field validation failure; field: lastName, type: valid.")
    async with odd(duplicate) as (_server, crm):
        with pytest.raises(Duplicate) as caught:
            await crm.create({"lastName": "Neu"})
        assert [there.id for there in caught.value.existing] == ["b"]
    for answer in (moved, text('{"values": {}, "versionNumber": 3}', 409)):
        async with odd(answer) as (_server, crm):
            with pytest.raises(Stale):
                await crm.update(SEEN, {"lastName": "Neu"})
    for write in ("create", "update"):
        async with odd(invalid) as (_server, crm):
            with pytest.raises(Rejected) as refused:
                await (crm.create({"lastName": "Neu"}) if write == "create" else crm.update(SEEN, {"lastName": "Neu"}))
            assert (type(refused.value), refused.value.field) == (Rejected, "lastName")


async def test_maintenance_is_named_and_neither_repeated_nor_taken_for_a_write_that_may_have_happened():
    answer = text("{}", 503, X_Status_Reason="Application is in maintenance mode.")
    async with odd(answer) as (server, crm):
        for call in (crm.get("a"), crm.create({"lastName": "Neu"}), crm.update(SEEN, {"lastName": "Neu"})):
            with pytest.raises(Unavailable, match="maintenance") as caught:
                await call
            assert caught.value.system == "espocrm"
            assert not isinstance(caught.value, Unconfirmed)
        assert len(server.seen) == 3


async def test_a_maintenance_in_the_middle_loses_nothing():
    async with opened(crm_records=3) as office, open_sync(office.settings) as sync:
        office.crm.store.behave({"maintenance": "on"})
        with pytest.raises(Unavailable, match="maintenance"):
            await sync.sweep(everything=True)
        office.crm.store.behave({})
        await sync.sweep(everything=True)
        assert await sync.states() == {LinkState.IN_SYNC: 3}


@pytest.mark.parametrize("asked", ["600", "Wed, 21 Oct 2099 07:28:00 GMT", "1e300", "inf"])
@pytest.mark.parametrize("status", [429, 503])
async def test_nobody_waits_longer_than_the_deadline_for_a_server_that_asks_for_more(asked, status):
    async with odd(text("", status, Retry_After=asked), GOOD) as (server, crm):
        began = time.monotonic()
        with pytest.raises(RateLimited if status == 429 else Unavailable) as caught:
            await crm.get("a")
        assert time.monotonic() - began < 1.5
        assert len(server.seen) == 1, "who asks for patience is not asked again at once"
        if isinstance(caught.value, RateLimited):
            assert 600 <= caught.value.retry_after <= 3600


@pytest.mark.parametrize(
    "asked",
    ["", "soon", "nan", "-7", "Wed, 21 Oct 2015 07:28:00", "Wed, 21 Oct 0001 07:28:00 GMT", "99999999999999999999"],
)
async def test_a_senseless_retry_after_harms_nobody(asked):
    async with odd(text("", 429, Retry_After=asked), GOOD) as (_server, crm):
        try:
            assert (await crm.get("a")).fields["lastName"] == "Beispiel"
        except RateLimited as error:
            assert error.retry_after == 3600


async def test_a_record_that_this_user_may_not_touch_stops_nobody_else():
    async with opened(crm_records=4, erp_records=0) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        mine, foreign, *_ = office.crm.store.records
        user = office.crm.store.users["sync"]
        limited = attrs.evolve(user, role=attrs.evolve(user.role, edit="own"))
        office.crm.store.edit(mine, assignedUserId=user.id)
        office.crm.store.users["sync"] = limited
        for id in (mine, foreign):
            office.erp.store.edit(office.crm.store.records[id]["betnr"], titel="Dr.")
        await sync.sweep()
        states = await sync.states()
        assert states[LinkState.IN_SYNC] == 3, "one that may not be edited holds up nobody"
        assert office.crm.store.records[mine]["titel"] == "Dr."
        assert sum(states.values()) == 4


async def test_a_role_without_a_permission_ends_the_pass_with_its_name():
    async with opened(crm_records=2) as office:
        key = office.crm.users["syncro"]["api_key"]
        office.tables["espocrm"]["api_key"] = key
        async with open_sync(office.settings) as sync:
            with pytest.raises(Unauthorized, match="edit CBeteiligte: check its role"):
                await sync.sweep(everything=True)
