"""The newest edit wins only where both clocks were measured and somebody else wrote last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bidisync import LinkState
from bidisync.stores.memory import MemoryStore
from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.profile import AdvowareProfile, EspoProfile, save_profile
from bidisync_espo_advo.simulators.espocrm_fields import BETEILIGTE
from office import Office, opened

NEWEST = {"stammdaten": {"strategy": "newest"}}


def certified(office: Office, folder: Path, *, espocrm: float | None = 0.4, advoware: float | None = -0.3) -> Settings:
    """The settings with a profile for each side whose clock was that far off."""
    save_profile(folder / "espocrm.json", EspoProfile(clock_off_s=espocrm))
    save_profile(folder / "advoware.json", AdvowareProfile(changed_at="local", clock_off_s=advoware))
    tables = {name: dict(table) for name, table in office.tables.items()}
    for name in ("espocrm", "advoware"):
        tables[name]["profile"] = str(folder / f"{name}.json")
    return Settings.from_tables(tables)


def later(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def both_edit(office: Office, sync, *, crm_at: float, erp_at: float) -> tuple[str, LinkState]:
    """The same field on both sides, by people, at these times from now."""
    await sync.sweep(everything=True)
    id = next(iter(office.crm.store.records))
    number = office.crm.store.records[id]["betnr"]
    office.crm.store.clock = lambda: later(crm_at)
    office.erp.store.clock = lambda: later(erp_at)
    office.crm.store.edit(id, zusatz="links")
    office.erp.store.edit(number, zusatz="rechts")
    return id, (await sync.sync(f"left:{id}")).state


@pytest.mark.parametrize(("crm_at", "erp_at", "winner"), [(60, 90, "rechts"), (90, 60, "links"), (60, 62, None)])
async def test_with_certified_clocks_the_newer_edit_wins_and_a_close_one_waits(tmp_path, crm_at, erp_at, winner):
    async with opened(crm_records=1, groups=NEWEST) as office:
        async with open_sync(certified(office, tmp_path)) as sync:
            id, state = await both_edit(office, sync, crm_at=crm_at, erp_at=erp_at)
        crm, erp = office.pair(id)
        assert state is (LinkState.IN_SYNC if winner else LinkState.CONFLICT)
        assert (crm["zusatz"], erp["zusatz"]) == ((winner, winner) if winner else ("links", "rechts"))


@pytest.mark.parametrize("off", [{"espocrm": None}, {"advoware": None}, {"espocrm": 30.0}, {"advoware": -30.0}])
async def test_where_a_clock_is_not_known_or_wrong_a_person_says(tmp_path, off):
    async with opened(crm_records=1, groups=NEWEST) as office, open_sync(certified(office, tmp_path, **off)) as sync:
        assert (await both_edit(office, sync, crm_at=60, erp_at=90))[1] is LinkState.CONFLICT


async def test_without_any_profile_a_person_says():
    async with opened(crm_records=1, groups=NEWEST) as office, open_sync(office.settings) as sync:
        assert (await both_edit(office, sync, crm_at=60, erp_at=90))[1] is LinkState.CONFLICT


async def test_in_the_hour_that_a_clock_change_repeats_a_person_says(tmp_path):
    """02:30 of that night was twice, an hour apart: Advoware's stamp does not say which."""
    night = datetime(2026, 10, 25, 0, 30, tzinfo=UTC) - datetime.now(UTC)
    async with opened(crm_records=1, groups=NEWEST) as office, open_sync(certified(office, tmp_path)) as sync:
        at = night.total_seconds()
        assert (await both_edit(office, sync, crm_at=at - 1800, erp_at=at))[1] is LinkState.CONFLICT


async def test_an_own_write_after_the_edit_leaves_it_to_a_person(tmp_path):
    """What we wrote last moved the stamp; when a person edited before that is not known any more."""
    async with opened(crm_records=1, groups=NEWEST) as office, open_sync(certified(office, tmp_path)) as sync:
        await sync.sweep(everything=True)
        id = next(iter(office.crm.store.records))
        number = office.crm.store.records[id]["betnr"]
        office.erp.store.edit(number, zusatz="rechts")
        office.crm.store.clock = lambda: later(60)
        store, us = office.crm.store, office.crm.store.users["sync"]
        store.change(BETEILIGTE, id, {"zusatz": "links"}, us)  # as our user: an automation, or an own write
        assert (await sync.sync(f"left:{id}")).state is LinkState.CONFLICT


async def test_a_process_that_does_not_know_its_own_user_yet_takes_nobody_for_somebody_else(tmp_path):
    store = MemoryStore()
    async with opened(crm_records=1, groups=NEWEST) as office:
        settings = certified(office, tmp_path)
        async with open_sync(settings, store=store) as sync:
            await sync.sweep(everything=True)
        id = next(iter(office.crm.store.records))
        office.erp.store.edit(office.crm.store.records[id]["betnr"], zusatz="rechts")
        office.crm.store.clock = lambda: later(60)
        office.crm.store.change(BETEILIGTE, id, {"zusatz": "links"}, office.crm.store.users["sync"])
        async with open_sync(settings, store=store) as sync:
            assert (await sync.sync(f"left:{id}")).state is LinkState.CONFLICT
