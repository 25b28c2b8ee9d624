"""explain and plan as an operator calls them: readable, masked, and without any write."""

from __future__ import annotations

from pathlib import Path

from command import configure, run
from office import FAST, Office, opened


def write_config(folder: Path, office: Office) -> None:
    configure(folder, {**office.tables, "state": {"url": f"sqlite:///{folder / 'state.db'}"}, **FAST})


SECRETS = ("Geheimnis", "Kanzleigeheim")


async def test_explain_shows_the_table_now_and_every_decision_of_the_past(tmp_path):
    async with opened(crm_records=2) as office:
        write_config(tmp_path, office)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        id = next(iter(office.crm.store.records))
        number = office.crm.store.records[id]["betnr"]
        office.crm.store.edit(id, zusatz=SECRETS[0])
        office.erp.store.edit(number, zusatz=SECRETS[1], anrede=SECRETS[0])
        assert (await run("sync", cwd=tmp_path)).status == 0
        office.forget_calls()
        told = await run("explain", f"right:{number}", cwd=tmp_path)
        assert told.status == 0, told.err
        assert "now, stammdaten" in told.out
        assert "both changed (prefer left)" in told.out
        assert not any(secret in told.out for secret in SECRETS), "values are masked"
        open_told = await run("explain", f"left:{id}", "--group", "stammdaten", "--show-values", cwd=tmp_path)
        assert all(secret in open_told.out for secret in SECRETS)
        assert "now, register" not in open_told.out
        document = (await run("--json", "explain", f"left:{id}", cwd=tmp_path)).json
        assert (document["state"], document["right"]) == ("in_sync", str(number))
        assert set(document["groups"]) == {"stammdaten", "register", "personenstand"}
        assert sum(map(len, document["groups"].values())) == 14, "every field"
        assert {field["row"] for fields in document["groups"].values() for field in fields} == {"1"}
        assert [entry["what"] for entry in document["past"]] == ["create", "update"]
        update = {field["field"]: field for field in document["past"][1]["fields"]}
        assert update["addition"]["row"] == "5"
        assert update["addition"]["left"] == update["addition"]["result"]
        assert update["addition"]["right"] != update["addition"]["result"]
        assert update["form_of_address"]["writes"] == ["left"]
        assert office.writes() == 0


async def test_explain_of_what_was_never_synced_says_so(tmp_path):
    async with opened(crm_records=1) as office:
        write_config(tmp_path, office)
        nothing = await run("explain", "left:1", cwd=tmp_path)
        assert (nothing.status, nothing.out) == (2, "")
        assert "there is no state" in nothing.err
        await run("sync", cwd=tmp_path)
        unknown = await run("explain", "right:4711", cwd=tmp_path)
        assert unknown.status == 2
        assert "never synced" in unknown.err
        group = await run("explain", "right:1", "--group", "nope", cwd=tmp_path)
        assert group.status == 2
        assert "stammdaten, register, personenstand" in group.err


async def test_plan_says_what_sync_would_do_and_sync_does_just_that(tmp_path):
    async with opened(crm_records=3, erp_records=2) as office:
        write_config(tmp_path, office)
        first = await run("plan", "--all", "--json", cwd=tmp_path)
        assert first.status == 0, first.err
        assert first.json["creates"] == {"left": 2, "right": 3}
        assert not (tmp_path / "state.db").exists(), "nothing is written, not even a state"
        assert office.writes() == 0
        await run("sync", "--all", cwd=tmp_path)
        id, other, *_ = office.crm.store.records
        office.crm.store.edit(id, zusatz=SECRETS[0], anrede=None)
        office.crm.store.edit(other, kurzname=SECRETS[0])
        office.forget_calls()
        plan = await run("plan", cwd=tmp_path)
        assert plan.status == 1, "something would wait for a person"
        assert "would be updated                   0 in EspoCRM, 1 in Advoware" in plan.out
        assert f"update left:{id}" in plan.out
        assert not any(secret in plan.out for secret in SECRETS)
        document = (await run("plan", "--json", cwd=tmp_path)).json
        assert office.writes() == 0
        assert document["updates"] == {"left": 0, "right": 1}
        assert document["waiting"] == {"review": 1}
        fields = {f["field"]: f for record in document["records"] for f in record["fields"]}
        assert fields["addition"]["rule"] == "left changed"
        assert fields["search_name"]["rule"] == "read only"
        done = (await run("sync", "--json", cwd=tmp_path)).json
        assert done["updated"] == document["updates"]
        after = (await run("plan", "--json", cwd=tmp_path)).json
        assert after["updates"] == {"left": 0, "right": 0}
        assert after["records"] == []


async def test_a_mistake_in_the_policy_is_found_at_start(tmp_path):
    async with opened(crm_records=1) as office:
        wrong = {
            "groups.stammdaten": [
                ({"strategy": "espo"}, "groups.stammdaten.strategy"),
                ({"initial": "newest"}, "groups.stammdaten.initial"),
                ({"on_merge_conflict": "merge"}, "on_merge_conflict"),
                ({"drift": "undo"}, "groups.stammdaten.drift"),
                ({"unit": "yes"}, "groups.stammdaten.unit"),
            ],
            "groups.stammdaten.fields": [
                ({"title": "espo"}, "groups.stammdaten.fields.title"),
                ({"titel": "advoware"}, "groups.stammdaten.fields.titel"),
                ({"search_name": "advoware"}, "groups.stammdaten.fields.search_name"),
            ],
        }
        for section, tables in wrong.items():
            for table, named in tables:
                configure(tmp_path, {**office.tables, section: table})
                ended = await run("sync", cwd=tmp_path)
                assert (ended.status, ended.out) == (2, ""), table
                assert named in ended.err
                assert len(ended.err.splitlines()) == 1
        assert office.calls() == []


async def test_an_entity_type_that_there_is_not_is_said_before_anything_is_written(tmp_path):
    async with opened(crm_records=1) as office:
        office.tables["espocrm"]["entity_type"] = "CNope"
        write_config(tmp_path, office)
        for command in (["check"], ["sync", "--all"]):
            ended = await run(*command, cwd=tmp_path)
            assert ended.status == 2
            assert "espocrm has no entity type CNope" in ended.out + ended.err
        assert office.writes() == 0
