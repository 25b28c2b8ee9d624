"""What the sync that this one replaces got wrong, by name, through both simulators over real HTTP."""

from __future__ import annotations

from bidisync import LinkState, Ref, Row, Side
from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.settings import load_settings
from office import Office, opened
from toml_text import render_toml


async def linked(office: Office, sync) -> tuple[str, int]:
    """One party on both sides, in step, and no call counted yet."""
    await sync.sweep(everything=True)
    id = next(iter(office.crm.store.records))
    number = office.crm.store.records[id]["betnr"]
    office.forget_calls()
    return id, number


async def test_a_rowid_that_moved_with_equal_values_writes_nothing_and_only_the_shadow_moves():
    async with opened(crm_records=1) as office, open_sync(office.settings) as sync:
        id, number = await linked(office, sync)
        before = office.erp.store.records[number]["rowId"]
        office.erp.store.edit(number)  # somebody saved without a change
        assert office.erp.store.records[number]["rowId"] != before
        outcome = await sync.sync(f"right:{number}")
        assert outcome.state is LinkState.IN_SYNC
        assert office.calls() == ["right GET"], "one look, no write"
        explained = await sync.explain(f"left:{id}")
        assert explained.link.shadow(Side.RIGHT).version == office.erp.store.records[number]["rowId"]


async def test_the_own_bookkeeping_write_moves_modified_at_and_is_no_change():
    async with opened(crm_records=1) as office, open_sync(office.settings) as sync:
        id, number = await linked(office, sync)
        office.erp.store.edit(number, zusatz="Hinterhaus")
        await sync.sync(f"right:{number}")
        stamp = office.crm.store.records[id]["modifiedAt"]
        assert office.crm.store.records[id]["advowareLastSync"], "the bookkeeping was written"
        office.forget_calls()
        await sync.sync(f"left:{id}")
        assert office.calls() == ["left GET"], "the echo of the own write ends after one look"
        assert office.crm.store.records[id]["modifiedAt"] == stamp


async def matched(office: Office, **erp: object) -> tuple[str, int]:
    """The same party on both sides by its strong keys, never linked, different in one field."""
    id = next(iter(office.crm.store.records))
    office.crm.store.edit(id, lastName="Muster", firstName="Anna", dateOfBirth="1990-01-01", zusatz="links", titel=None)
    number = next(iter(office.erp.store.records))
    office.erp.store.edit(
        number, name="Muster", vorname="Anna", geburtsdatum="1990-01-01T00:00:00", zusatz="rechts", titel="Dr.", **erp
    )
    return id, number


async def test_without_a_base_two_filled_values_follow_the_groups_policy_and_never_espocrm_blindly():
    async with opened(crm_records=1, erp_records=1) as office:
        id, number = await matched(office)
        async with open_sync(office.settings) as sync:
            await sync.sweep(everything=True)
            crm, erp = office.crm.store.records[id], office.erp.store.records[number]
            assert (crm["betnr"], crm["zusatz"], erp["zusatz"]) == (number, "links", "rechts")
            assert crm["syncStatus"] == "conflict", "both are filled and differ: a person says"
            explained = await sync.explain(f"left:{id}")
            rows = {d.field: d.row for d in explained.now}
            assert rows["addition"] is Row.FROZEN
            assert len(office.erp.store.records) == len(office.crm.store.records) == 1, "nobody is doubled"


async def test_without_a_base_the_configured_side_wins_where_one_is_named():
    async with opened(crm_records=1, erp_records=1, groups={"stammdaten": {"initial": "advoware"}}) as office:
        id, number = await matched(office)
        async with open_sync(office.settings) as sync:
            await sync.sweep(everything=True)
            crm = office.crm.store.records[id]
            assert (crm["zusatz"], crm["titel"]) == ("rechts", "Dr.")
            entries = (await sync.explain(f"left:{id}")).past
            assert ("addition", Side.LEFT, "links") in [lost for entry in entries for lost in entry.lost]


async def test_clearing_a_value_travels():
    async with opened(crm_records=1) as office, open_sync(office.settings) as sync:
        id, number = await linked(office, sync)
        office.crm.store.edit(id, zusatz="da")
        await sync.sync(f"left:{id}")
        office.crm.store.edit(id, zusatz=None)
        await sync.sync(f"left:{id}")
        assert office.erp.store.records[number]["zusatz"] is None


async def test_the_initial_pass_is_an_ordinary_pass():
    """A plain sync of an empty state does the first contact: there is no other code for it."""
    async with opened(crm_records=3, erp_records=4) as office, open_sync(office.settings) as sync:
        tally = await sync.sweep()
        assert tally.states() == {LinkState.IN_SYNC: 7}
        assert len(office.crm.store.records) == len(office.erp.store.records) == 7
        office.forget_calls()
        await sync.sweep()
        assert office.writes() == 0


async def test_three_groups_of_one_record_follow_three_strategies_in_one_pass_from_toml_alone(tmp_path):
    groups = {
        "groups.stammdaten": {"strategy": "espocrm"},
        "groups.stammdaten.fields": {"title": "advoware"},
        "groups.register": {"strategy": "advoware"},
        "groups.personenstand": {"strategy": "review"},
    }
    async with opened(crm_records=1) as office:
        file = tmp_path / "espo-advo.toml"
        file.write_text(render_toml({**office.tables, **groups}))
        async with open_sync(load_settings(file, {})) as sync:
            id, number = await linked(office, sync)
            office.crm.store.edit(
                id, zusatz="links", briefanrede="nur links", titel="links", registergericht="links", kurzname="links"
            )
            office.erp.store.edit(
                number,
                zusatz="rechts",
                anrede="nur rechts",
                titel="rechts",
                registergericht="rechts",
                kurzname="rechts",
            )
            outcome = await sync.sync(f"left:{id}")
            crm, erp = office.crm.store.records[id], office.erp.store.records[number]
            assert (crm["zusatz"], erp["zusatz"]) == ("links", "links"), "EspoCRM wins"
            assert (crm["titel"], erp["titel"]) == ("rechts", "rechts"), "one field of the group has its own strategy"
            assert (crm["registergericht"], erp["registergericht"]) == ("rechts", "rechts"), "Advoware wins"
            assert (crm["kurzname"], erp["kurzname"]) == ("links", "rechts"), "a person says"
            assert (crm["anrede"], erp["anrede"]) == ("nur rechts", "nur rechts"), "other fields of the group travel"
            assert (crm["briefanrede"], erp["bAnrede"]) == ("nur links", "nur links")
            assert outcome.state is LinkState.CONFLICT
            assert outcome.settled == 2
            office.forget_calls()
            await sync.sweep(everything=True)
            assert office.writes() == 0


async def test_fields_that_move_together_conflict_when_each_side_changes_another_one():
    async with opened(crm_records=1, groups={"stammdaten": {"strategy": "review", "unit": True}}) as office:
        async with open_sync(office.settings) as sync:
            id, number = await linked(office, sync)
            office.crm.store.edit(id, zusatz="links")
            office.erp.store.edit(number, anrede="rechts")
            outcome = await sync.sync(f"left:{id}")
            assert outcome.state is LinkState.CONFLICT
            assert office.erp.store.records[number]["zusatz"] != "links"


async def test_an_owner_from_the_settings_reverts_drift_and_the_journal_keeps_it():
    groups = {"stammdaten": {"owner": "advoware", "drift": "revert"}}
    async with opened(crm_records=1, groups=groups) as office, open_sync(office.settings) as sync:
        id, number = await linked(office, sync)
        office.crm.store.edit(id, zusatz="fremd")
        await sync.sync(f"left:{id}")
        crm, erp = office.pair(id)
        assert crm["zusatz"] == erp["zusatz"] != "fremd"
        (entry,) = [e for e in (await sync.explain(f"left:{id}")).past if e.lost]
        assert entry.lost == (("addition", Side.LEFT, "fremd"),)
        assert [d.row for d in entry.decisions] == [Row.DRIFT]


async def test_what_was_decided_is_told_as_it_was_taken_even_after_the_policy_changed():
    from bidisync.stores.memory import MemoryStore

    store = MemoryStore()
    async with opened(crm_records=1) as office:
        async with open_sync(office.settings, store=store) as sync:
            id, number = await linked(office, sync)
            office.crm.store.edit(id, zusatz="links")
            office.erp.store.edit(number, zusatz="rechts")
            await sync.sync(f"left:{id}")
        changed = Settings.from_tables({**office.tables, "groups": {"stammdaten": {"strategy": "advoware"}}})
        async with open_sync(changed, store=store) as sync:
            explained = await sync.explain(Ref(Side.LEFT, id))
        (decision,) = explained.past[-1].decisions
        assert (decision.policy, decision.result, decision.row) == ("prefer left", "links", Row.BOTH_CHANGED)
        assert {d.field: d.policy for d in explained.now}["addition"] == "prefer right"
