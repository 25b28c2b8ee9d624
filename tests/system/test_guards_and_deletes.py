"""Mass effects and deletions as an operator meets them: held, shown, approved, carried out."""

from __future__ import annotations

from pathlib import Path

from bidisync_espo_advo.simulators.espocrm_fields import BETEILIGTE
from command import configure, run
from office import FAST, Office, opened


def write_config(folder: Path, office: Office, **more: dict[str, object]) -> None:
    tables = {**office.tables, "state": {"url": f"sqlite:///{folder / 'state.db'}"}, **FAST}
    for name, table in more.items():
        tables[name] = {**tables.get(name, {}), **table}
    configure(folder, tables)


async def test_a_mass_overwrite_is_held_shown_and_let_go_by_its_hash(tmp_path):
    async with opened(crm_records=60) as office:
        write_config(tmp_path, office)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        ids = list(office.crm.store.records)
        for id in ids[:25]:
            office.crm.store.edit(id, lastName=f"Import {id[-4:]}")
        office.erp.store.edit(office.pair(ids[40])[0]["betnr"], zusatz="von Hand")
        planned = await run("--json", "plan", cwd=tmp_path)
        assert planned.status == 1
        (plan,) = planned.json["held_plans"]
        assert (plan["reason"], plan["records"]) == ("mass_overwrite", 25)
        office.forget_calls()
        held = await run("--json", "sync", cwd=tmp_path)
        assert (held.status, held.json["held"]) == (1, 25)
        assert office.counts()["right PUT"] == 0
        assert office.pair(ids[40])[0]["zusatz"] == "von Hand", "the rest goes on"
        assert {office.crm.store.records[id]["syncStatus"] for id in ids[:25]} == {"conflict"}
        assert {office.crm.store.records[id]["syncErrorMessage"] for id in ids[:25]} == {"mass_overwrite"}
        shown = await run("status", cwd=tmp_path)
        assert shown.status == 1
        assert f"espo-advo approve {plan['hash']}" in shown.out, "plan, sync and status name the same hash"
        wrong = await run("approve", "0123456789abcdef", cwd=tmp_path)
        assert (wrong.status, wrong.out) == (2, "")
        office.crm.store.edit(ids[0], lastName="Noch einmal")
        assert (await run("approve", plan["hash"], cwd=tmp_path)).status == 0
        done = await run("--json", "sync", cwd=tmp_path)
        assert done.status == 1, "the one that moved since waits again, under another hash"
        assert (done.json["updated"]["right"], done.json["held"]) in ((24, 1), (25, 0)), done.json
        names = {office.pair(id)[1]["name"] for id in ids[1:25]}
        assert names == {f"Import {id[-4:]}" for id in ids[1:25]}


async def test_a_deletion_in_advoware_archives_after_two_passes_and_a_mass_of_them_waits(tmp_path):
    async with opened(crm_records=40) as office:
        write_config(tmp_path, office, sync={"delete": "archive", "archive_field": "istAktiv"})
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        ids = list(office.crm.store.records)
        numbers = {id: office.crm.store.records[id]["betnr"] for id in ids}
        office.erp.store.delete(numbers[ids[0]])
        first = await run("--json", "sync", "--all", cwd=tmp_path)
        assert (first.status, first.json["review"]) == (1, 1)
        assert office.crm.store.records[ids[0]]["syncStatus"] == "deleted_in_advoware"
        second = await run("--json", "sync", "--all", cwd=tmp_path)
        assert (second.status, second.json["deleted"]) == (0, {"left": 1, "right": 0})
        for id in ids[1:10]:
            office.erp.store.delete(numbers[id])
        for _ in range(3):
            mass = await run("--json", "sync", "--all", cwd=tmp_path)
        assert (mass.status, mass.json["held"], mass.json["deleted"]) == (1, 9, {"left": 0, "right": 0})
        (plan,) = mass.json["held_plans"]
        assert (await run("approve", plan["hash"], cwd=tmp_path)).status == 0
        done = await run("--json", "sync", cwd=tmp_path)
        assert (done.status, done.json["deleted"]["left"]) == (0, 9)
        assert len(office.crm.store.records) == 40, "archived, not deleted"


async def test_an_advoware_that_lost_everything_costs_nobody_anything(tmp_path):
    async with opened(crm_records=25) as office:
        write_config(tmp_path, office, sync={"delete": "propagate"})
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        parties, office.erp.store._parties = office.erp.store._parties, {}
        for _ in range(2):
            empty = await run("--json", "sync", "--all", cwd=tmp_path)
            assert (empty.status, empty.json["held"]) == (1, 25)
            assert empty.json["reasons"] == {"side_looks_empty": 25}
        assert len(office.crm.store.records) == 25
        office.erp.store._parties = parties
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        assert {record["syncStatus"] for record in office.crm.store.records.values()} == {"clean"}


async def test_a_lost_state_is_rebuilt_from_the_records_and_deletes_nothing(tmp_path):
    async with opened(crm_records=20, erp_records=20) as office:
        write_config(tmp_path, office, sync={"delete": "propagate"})
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        for file in tmp_path.glob("state.db*"):
            file.unlink()
        ids = list(office.crm.store.records)
        number = office.crm.store.records[ids[3]]["betnr"]
        office.crm.store.edit(ids[3], zusatz="links")
        office.erp.store.edit(number, zusatz="rechts")
        office.erp.store.delete(office.crm.store.records[ids[5]]["betnr"])
        rebuilt = await run("--json", "sync", "--all", cwd=tmp_path)
        assert rebuilt.status == 1
        assert rebuilt.json["adopted"] == 39
        assert rebuilt.json["created"] == {"left": 0, "right": 0}
        assert rebuilt.json["deleted"] == {"left": 0, "right": 0}
        assert rebuilt.json["conflicts"]["open"] == 1, "both filled and different: nobody guesses"
        assert rebuilt.json["reasons"]["counterpart_missing"] == 1
        assert len(office.crm.store.records) == 40


async def test_what_was_given_up_is_tried_again_when_told(tmp_path):
    async with opened(crm_records=2) as office:
        write_config(tmp_path, office, sync={"max_attempts": 1})
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        id = next(iter(office.crm.store.records))
        office.crm.store.edit(id, zusatz="neu")
        from bidisync_espo_advo.simulators.server import FaultRule

        office.erp.control.rules.append(FaultRule("status", "GET", r"/Beteiligte/\d+$", status=500, times=1000))
        dead = await run("--json", "sync", cwd=tmp_path)
        assert (dead.status, dead.json["dead"]) == (1, 1), dead.json
        assert (await run("--json", "status", cwd=tmp_path)).json["dead"] == 1
        office.erp.control.rules.clear()
        assert (await run("sync", cwd=tmp_path)).status == 1, "it stays given up by itself"
        assert (await run("retry", "--all", cwd=tmp_path)).status == 0
        assert (await run("sync", cwd=tmp_path)).status == 0
        assert office.pair(id)[1]["zusatz"] == "neu"
        assert (await run("retry", cwd=tmp_path)).status == 2


async def test_a_record_that_is_restored_alone_gets_a_new_counterpart_and_its_number_once_told(tmp_path):
    async with opened(crm_records=3) as office:
        write_config(tmp_path, office)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        parties = office.crm.store.records
        betnr, id = min((record["betnr"], id) for id, record in parties.items())
        office.crm.store.delete(id)
        office.erp.store.delete(betnr)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        office.crm.store.restore(BETEILIGTE, id)
        asked = await run("--json", "sync", "--all", cwd=tmp_path)
        assert (asked.status, asked.json["reasons"]) == (1, {"brought_back": 1})
        assert (await run("retry", f"left:{id}", cwd=tmp_path)).status == 0
        made = await run("--json", "sync", cwd=tmp_path)
        assert (made.status, made.json["created"]) == (0, {"left": 0, "right": 1})
        new = office.crm.store.records[id]["betnr"]
        assert new != betnr
        assert office.erp.store.records[new]["name"] == office.crm.store.records[id]["lastName"]
