"""The operator's commands end to end: conflicts settled, plans applied, decisions taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from command import configure, run
from office import FAST, Office, opened


def write_config(folder: Path, office: Office, **more: dict[str, Any]) -> None:
    tables = {**office.tables, "state": {"url": f"sqlite:///{folder / 'state.db'}"}, **FAST}
    for name, table in more.items():
        tables[name] = {**tables.get(name, {}), **table}
    configure(folder, tables)


async def test_a_conflict_is_listed_masked_and_settled_in_every_way(tmp_path):
    review = {"groups.stammdaten": {"strategy": "review"}}
    async with opened(crm_records=5) as office:
        write_config(tmp_path, office, **review)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        ids = list(office.crm.store.records)
        for id in ids:
            office.crm.store.edit(id, zusatz="Seitenflügel")
            office.erp.store.edit(office.pair(id)[0]["betnr"], zusatz="Gartenhaus")
        assert (await run("sync", cwd=tmp_path)).status == 1
        listed = await run("conflicts", cwd=tmp_path)
        assert listed.status == 1
        assert listed.out.count("resolve") == 5
        assert "Gartenhaus" not in listed.out + listed.err, "values are masked"
        shown = await run("--json", "conflicts", "--show-values", cwd=tmp_path)
        (field,) = shown.json["conflicts"][0]["reviews"][0]["fields"].values()
        assert (field["left"], field["right"]) == ("Seitenflügel", "Gartenhaus")
        (tmp_path / "values.json").write_text(json.dumps({"addition": "Hofgebäude"}))
        takes = {ids[0]: "left", ids[1]: "right", ids[2]: "base", ids[3]: "values.json"}
        wanted = {"left": "Seitenflügel", "right": "Gartenhaus", "base": None, "values.json": "Hofgebäude"}
        for id, take in takes.items():
            done = await run(
                "--json", "resolve", f"left:{id}", "--field-group", "stammdaten", "--take", take, cwd=tmp_path
            )
            assert (done.status, done.json["state"], done.json["settled"]) == (0, "in_sync", ["addition"]), done
            crm, erp = office.pair(id)
            assert (crm["zusatz"] or None, erp["zusatz"] or None) == (wanted[take], wanted[take])
            assert crm["syncStatus"] == "clean"
        merged = await run("resolve", f"left:{ids[4]}", "--field-group", "stammdaten", "--take", "merged", cwd=tmp_path)
        assert (merged.status, merged.out) == (2, "")
        assert "can't be merged" in merged.err
        for arguments, what in (
            ((f"left:{ids[0]}", "--field-group", "stammdaten", "--take", "left"), "nothing of stammdaten waits"),
            ((f"left:{ids[4]}", "--field-group", "nope", "--take", "left"), "no field group"),
            ((f"left:{ids[4]}", "--field-group", "stammdaten", "--take", "missing.json"), "can't be read"),
            (("left:nobody", "--field-group", "stammdaten", "--take", "left"), "never synced"),
        ):
            wrong = await run("resolve", *arguments, cwd=tmp_path)
            assert (wrong.status, wrong.out) == (2, "")
            assert what in wrong.err


async def test_a_saved_plan_is_applied_exactly_or_refused_where_something_moved(tmp_path):
    async with opened(crm_records=6, erp_records=2) as office:
        write_config(tmp_path, office)
        planned = await run("plan", "--all", "-o", "plan.json", cwd=tmp_path)
        assert planned.status == 0, planned.err
        assert (tmp_path / "plan.json").stat().st_mode & 0o077 == 0
        assert office.writes() == 0
        ids = list(office.crm.store.records)
        office.crm.store.edit(ids[0], zusatz="bewegt")
        applied = await run("--json", "apply", "plan.json", cwd=tmp_path)
        assert applied.status == 1
        assert applied.json["refused"] == [f"left:{ids[0]}"]
        assert applied.json["created"] == {"left": 2, "right": 5}
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        office.crm.store.edit(ids[1], zusatz="geplant")
        assert (await run("plan", "-o", "plan.json", cwd=tmp_path)).status == 0
        office.erp.store.edit(office.pair(ids[2])[0]["betnr"], zusatz="nicht geplant")
        office.forget_calls()
        again = await run("--json", "apply", "plan.json", cwd=tmp_path)
        assert (again.status, again.json["updated"]) == (0, {"left": 0, "right": 1})
        assert office.pair(ids[1])[1]["zusatz"] == "geplant"
        assert office.pair(ids[2])[0]["zusatz"] != "nicht geplant", "nothing but the plan"
        text = (tmp_path / "plan.json").read_text()
        assert "geplant" not in text, "a plan holds no values"
        for content in ("", "{}", '{"format": 1, "key": "k", "plans": {"nonsense": "x"}}'):
            (tmp_path / "bad.json").write_text(content)
            bad = await run("apply", "bad.json", cwd=tmp_path)
            assert (bad.status, bad.out) == (2, "")
            assert "is no plan" in bad.err


async def test_a_saved_plan_is_applied_or_refused_on_whichever_side_a_record_was_edited(tmp_path):
    async with opened(crm_records=2, erp_records=2) as office:
        write_config(tmp_path, office)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        pairs = [(id, record["betnr"]) for id, record in office.crm.store.records.items()]
        assert len(pairs) == 4, "two links began on each side"
        for crm_id, _ in pairs:
            office.crm.store.edit(crm_id, zusatz="geplant")
        assert (await run("plan", "-o", "left.json", cwd=tmp_path)).status == 0
        office.crm.store.edit(pairs[0][0], zusatz="bewegt")
        office.crm.store.edit(pairs[3][0], zusatz="bewegt")
        applied = await run("--json", "apply", "left.json", cwd=tmp_path)
        assert (applied.status, applied.json["updated"]) == (1, {"left": 0, "right": 2})
        assert len(applied.json["refused"]) == 2
        assert (await run("sync", cwd=tmp_path)).status == 0
        for _, erp_id in pairs:
            office.erp.store.edit(erp_id, zusatz="auch geplant")
        assert (await run("plan", "-o", "right.json", cwd=tmp_path)).status == 0
        applied = await run("--json", "apply", "right.json", cwd=tmp_path)
        assert (applied.status, applied.json["updated"]) == (0, {"left": 4, "right": 0})


async def test_a_run_of_fifty_updates_is_taken_back_and_later_edits_stay(tmp_path):
    async with opened(crm_records=50) as office:
        write_config(tmp_path, office, guards={"max_overwrite_percent": 100.0})
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        ids = list(office.crm.store.records)
        before = {id: office.pair(id)[1]["name"] for id in ids}
        for id in ids:
            office.crm.store.edit(id, lastName=f"Falsch {id[-3:]}")
        assert (await run("sync", cwd=tmp_path)).status == 0
        (runs,) = {
            entry["run"]
            for entry in (await run("--json", "history", cwd=tmp_path)).json["history"]
            if entry["what"] == "update"
        }
        for id in ids[:5]:
            office.crm.store.edit(id, lastName="Später links")
        for id in ids[5:10]:
            office.erp.store.edit(office.pair(id)[0]["betnr"], name="Später rechts")
        undone = await run("--json", "undo", runs, cwd=tmp_path)
        assert (undone.status, undone.json["restored"], undone.json["kept"]) == (1, 40, 10)
        assert all(one["kept"] == ["family_name"] for one in undone.json["records"] if one["result"] == "kept")
        for place, id in enumerate(ids):
            crm, erp = office.pair(id)
            name = before[id] if place >= 10 else ("Später links" if place < 5 else "Später rechts")
            assert crm["lastName"] == erp["name"] == name
        assert (await run("sync", cwd=tmp_path)).status == 0
        office.forget_calls()
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        assert office.writes() == 0
        wrong = await run("undo", "nothing", "--yes", cwd=tmp_path)
        assert (wrong.status, wrong.out) == (2, "")
        told = await run("explain", f"left:{ids[20]}", cwd=tmp_path)
        assert f"undo of {runs}" in told.out


async def test_an_ended_link_is_left_alone_until_that_is_taken_back(tmp_path):
    async with opened(crm_records=3) as office:
        write_config(tmp_path, office)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        id = next(iter(office.crm.store.records))
        number = office.pair(id)[0]["betnr"]
        assert (await run("unlink", f"right:{number}", cwd=tmp_path)).status == 0
        office.crm.store.edit(id, zusatz="nur hier")
        office.forget_calls()
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        assert office.writes() == 0
        assert office.pair(id)[1]["zusatz"] != "nur hier"
        assert (await run("--json", "status", cwd=tmp_path)).json["links"]["tombstoned"] == 1
        back = await run("--json", "unlink", f"left:{id}", "--take-back", cwd=tmp_path)
        assert (back.status, back.json) == (0, {"readmitted": [f"left:{id}"]}), back.err
        assert (await run("unlink", f"left:{id}", "--take-back", cwd=tmp_path)).status == 2, "nothing to take back"
        assert (await run("sync", "--all", cwd=tmp_path)).status == 1, "both are filled, as at a first contact"
        assert (
            await run("resolve", f"left:{id}", "--field-group", "stammdaten", "--take", "left", cwd=tmp_path)
        ).status == 0
        assert office.pair(id)[1]["zusatz"] == "nur hier"


async def test_a_forgotten_person_leaves_no_value_behind_and_is_not_made_again(tmp_path):
    async with opened(crm_records=3) as office:
        write_config(tmp_path, office, state={"encryption_key": ""})
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        id = next(iter(office.crm.store.records))
        office.crm.store.edit(id, lastName="Vergissmeinnicht", zusatz="Hinterlassenschaft")
        assert (await run("sync", cwd=tmp_path)).status == 0
        office.crm.store.edit(id, lastName="Neuername")
        assert (await run("sync", cwd=tmp_path)).status == 0

        def stored() -> bytes:
            return b"".join(file.read_bytes() for file in tmp_path.glob("state.db*"))

        words = [word.encode() for word in ("Vergissmeinnicht", "Hinterlassenschaft", "Neuername")]
        assert all(word in stored() for word in words)
        assert (await run("forget", f"left:{id}", cwd=tmp_path)).status == 2, "it asks first"
        assert (await run("forget", f"left:{id}", "--yes", cwd=tmp_path)).status == 0
        assert not [word for word in words if word in stored()]
        office.erp.store.edit(office.crm.store.records[id]["betnr"], zusatz="auf der anderen Seite")
        office.forget_calls()
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        assert office.writes() == 0
        assert not [word for word in (*words, b"anderen Seite") if word in stored()]
        told = await run("history", f"left:{id}", "--show-values", cwd=tmp_path)
        assert told.status == 0
        assert "forget" in told.out
        assert "Vergissmeinnicht" not in told.out
