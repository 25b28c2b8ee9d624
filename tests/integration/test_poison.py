"""Records that a system can't save fail alone: nobody waits for them."""

from __future__ import annotations

import pytest

from bidisync import LinkState, Ref, Side
from bidisync_espo_advo import open_sync
from bidisync_espo_advo.simulators.server import FaultRule
from office import opened

pytestmark = pytest.mark.usefixtures("impatient")


async def test_six_writes_answered_500_pause_no_system_and_hold_up_no_other_record():
    async with opened(crm_records=16) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        ids = list(office.crm.store.records)
        poisoned = {id: office.crm.store.records[id]["betnr"] for id in ids[:6]}
        for number in poisoned.values():
            office.erp.control.rules.append(
                FaultRule("status", method="PUT", path=f"Beteiligte/{number}$", status=500, times=1000)
            )
        for id in ids:
            office.crm.store.edit(id, zusatz="c/o Muster")
        failed = await sync.sync_many([f"left:{id}" for id in poisoned])
        assert {outcome.state for outcome in failed} == {LinkState.RETRY}
        others = await sync.sync_many([f"left:{id}" for id in ids[6:]])
        assert {outcome.state for outcome in others} == {LinkState.IN_SYNC}
        assert all(office.pair(id)[1]["zusatz"] == "c/o Muster" for id in ids[6:])
        assert not any(wire.circuit.open for wire in sync.remotes.wires.values())
        office.erp.control.rules.clear()
        await sync.sweeps.named([Ref.parse(f"left:{id}") for id in poisoned], rounds=20)
        assert all(office.pair(id)[1]["zusatz"] == "c/o Muster" for id in ids), "and they go on when they can"


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("id", [".", "..", "a/../b", "action/x", "../User/1", "\\", "\x00", "\r\nX: y", "\ud800"])
async def test_an_id_that_would_lead_elsewhere_names_nobody_and_says_nothing_about_the_system(id, side):
    async with opened(crm_records=1) as office, open_sync(office.settings) as sync:
        await sync.sweep(everything=True)
        office.forget_calls()
        outcome = await sync.sync(Ref(side, id))
        assert (outcome.state, outcome.reason) == (LinkState.TOMBSTONED, "not_found")
        assert office.calls() == []
        assert set(await sync.states()) == {LinkState.IN_SYNC}


@pytest.mark.parametrize("id", ["%2e%2e", "a?b", "a#b", "*", "']", "ü", "a b", "x" * 255])
async def test_an_odd_id_is_asked_for_as_it_is(id):
    async with opened(crm_records=1) as office, open_sync(office.settings) as sync:
        outcome = await sync.sync(Ref(Side.LEFT, id))
        assert (outcome.state, outcome.reason) == (LinkState.TOMBSTONED, "not_found")
        assert [entry.path for entry in office.crm.control.log if "Beteiligte/" in entry.path] == [
            f"/api/v1/CBeteiligte/{id}"
        ]
