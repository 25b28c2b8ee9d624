"""The decision log at the operator's hand: verified, decided again, and handed out for one person."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.auditing import replay_command, verify_command
from bidisync_espo_advo.desk import forget_command
from bidisync_espo_advo.exporting import export_command
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.undoing import undo_command
from command import configure, run
from office import FAST, Office, opened

JSON = Report(as_json=True)


def tables_of(folder: Path, office: Office, **more: dict[str, Any]) -> dict[str, dict[str, Any]]:
    guards = {"max_overwrite_percent": 100.0}
    state = {"url": f"sqlite:///{folder / 'state.db'}", "encryption_key": ""}  # lines are altered in the file
    tables = {**office.tables, "state": state, **FAST, "guards": guards}
    for name, table in more.items():
        tables[name] = {**tables.get(name, {}), **table}
    configure(folder, tables)
    return tables


async def lived_in(office: Office, folder: Path, **more: dict[str, Any]) -> tuple[Settings, list[str]]:
    """Some parties, synced; each edited on both sides, and synced again."""
    settings = Settings.from_tables(tables_of(folder, office, **more))
    async with open_sync(settings) as sync:
        await sync.sweep(everything=True)
        ids = list(office.crm.store.records)
        for id in ids:
            office.crm.store.edit(id, zusatz="Hinterhaus", titel="Dr.")
            office.erp.store.edit(office.pair(id)[0]["betnr"], zusatz="Vorderhaus")
        await sync.sweep()
    return settings, ids


def tamper(folder: Path, sql: str) -> None:
    connection = sqlite3.connect(folder / "state.db")
    with connection:
        connection.execute(sql)
    connection.close()


async def test_a_tampered_log_is_detected_and_the_line_named(tmp_path, capsys):
    async with opened(crm_records=4) as office:
        settings, ids = await lived_in(office, tmp_path)
        assert await verify_command(settings, head=None, report=JSON) == 0
        sound = json.loads(capsys.readouterr().out)
        assert (sound["holds"], sound["lines"], sound["breaks"]) == (True, 8, [])
        office.crm.store.edit(ids[0], zusatz="später")
        async with open_sync(settings) as sync:
            await sync.sweep()
        checked = await run("--json", "check", cwd=tmp_path)
        says = "all 9 lines are as they were written; 9 of the newest entries were decided again, and came out the same"
        assert checked.json["log"] == {"works": True, "says": says}, checked.err
        assert await verify_command(settings, head=sound["head"], report=Report()) == 0
        assert "every line is as it was written" in capsys.readouterr().out
        assert await forget_command(settings, name=f"left:{ids[1]}", report=Report()) == 0
        capsys.readouterr()
        assert await verify_command(settings, head=sound["head"], report=JSON) == 0
        after = json.loads(capsys.readouterr().out)
        assert (after["erased"], after["lines"]) == (2, 10)
        tamper(tmp_path, "UPDATE journal SET document = replace(document, 'Hinterhaus', 'Gartenhaus') WHERE number = 5")
        broken = await run("--json", "history", "--verify", "--head", sound["head"], cwd=tmp_path)
        assert (broken.status, broken.json["holds"]) == (1, False)
        assert [(one["decision"], one["what"]) for one in broken.json["breaks"]] == [(5, "values_altered")]
        tamper(tmp_path, "DELETE FROM journal WHERE number IN (2, 3)")
        assert await verify_command(settings, head=None, report=Report()) == 1
        told = capsys.readouterr()
        assert "lines 2 to 3: missing" in told.out
        assert "line 5: values were altered" in told.out
        assert "haus" not in broken.out + broken.err + told.out + told.err
        checked = await run("--json", "check", cwd=tmp_path)
        assert (checked.status, checked.json["log"]["works"], checked.json["state"]["works"]) == (1, False, True)
        assert "lines 2 to 3: missing, and " in checked.json["log"]["says"]
        wrong = await run("history", "--verify", "--head", "12", cwd=tmp_path)
        assert (wrong.status, wrong.out, "NUMBER:CHAIN" in wrong.err) == (2, "", True)


async def test_decisions_are_made_again_and_another_policy_is_told_apart(tmp_path, capsys):
    async with opened(crm_records=5) as office:
        settings, ids = await lived_in(office, tmp_path)
        await forget_command(settings, name=f"left:{ids[0]}", report=Report())
        capsys.readouterr()
        assert await replay_command(settings, name=None, shows=False, report=JSON) == 0
        again = json.loads(capsys.readouterr().out)
        counts = {name: again[name] for name in ("entries", "same", "other", "erased", "other_policy", "nothing")}
        assert counts == {"entries": 11, "same": 8, "other": 0, "erased": 2, "other_policy": 0, "nothing": 1}
        assert again["decisions"] > 40
        explained = await run("--json", "explain", f"left:{ids[1]}", cwd=tmp_path)
        assert [entry["decided_again"] for entry in explained.json["past"]] == ["same", "same"]
        tamper(
            tmp_path, """UPDATE journal SET document = replace(document, '"row":"5"', '"row":"2"') WHERE number = 7"""
        )
        other = await run("--json", "history", "--replay", cwd=tmp_path)
        assert (other.status, other.json["other"]) == (1, 1)
        (differs,) = other.json["differ"]
        assert (differs["decision"], [one["row"] for one in differs["now"]]) == (7, ["5"])
        assert "haus" not in other.out, "values are masked"
        (sound, *_) = [f"left:{id}" for id in ids if f"left:{id}" != differs["link"]]
        assert await replay_command(settings, name=sound, shows=True, report=Report()) == 0
        assert await replay_command(settings, name=None, shows=True, report=Report()) == 1
        assert "Hinterhaus" in capsys.readouterr().out
        changed = Settings.from_tables(tables_of(tmp_path, office, groups={"stammdaten": {"strategy": "advoware"}}))
        assert await replay_command(changed, name=None, shows=False, report=JSON) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["other"], told["other_policy"]) == (0, 8)


async def test_everything_about_one_person_is_handed_out_and_nothing_about_others(tmp_path, capsys):
    async with opened(crm_records=3) as office:
        settings, ids = await lived_in(office, tmp_path, state={"encryption_key": "a key that is long enough"})
        party = office.pair(ids[0])[0]
        names = {office.pair(id)[0]["lastName"] for id in ids[1:]} - {party["lastName"]}
        assert await export_command(settings, name=f"right:{party['betnr']}", output=None, report=Report()) == 0
        printed = capsys.readouterr().out
        document = json.loads(printed)
        assert document["link"]["id"] == f"left:{ids[0]}"
        assert document["link"]["left_shadow"]["fields"]["family_name"] == party["lastName"]
        assert document["link"]["right_shadow"]["fields"]["addition"] == "Hinterhaus"
        assert [entry["what"] for entry in document["journal"]] == ["create", "update"]
        assert "Vorderhaus" in json.dumps(document["journal"]), "what was overwritten is a part of it"
        assert {entry["record"] for entry in document["index"]} == {f"left:{ids[0]}", f"right:{party['betnr']}"}
        assert not [name for name in names if name in printed]
        saved = await run("export", f"left:{ids[0]}", "-o", "person.json", cwd=tmp_path)
        assert (saved.status, party["lastName"] in saved.out) == (0, False)
        file = tmp_path / "person.json"
        assert file.stat().st_mode & 0o077 == 0
        assert json.loads(file.read_text())["link"] == document["link"]
        again = await run("export", f"left:{ids[0]}", "-o", "person.json", cwd=tmp_path)
        assert (again.status, "is there already" in again.err) == (2, True)
        await forget_command(settings, name=f"left:{ids[0]}", report=Report())
        capsys.readouterr()
        await export_command(settings, name=f"left:{ids[0]}", output=None, report=Report())
        empty = capsys.readouterr().out
        assert "haus" not in empty
        assert party["lastName"] not in empty
        assert json.loads(empty)["link"]["tombstone"]["by"] == "forget"


async def test_an_undo_goes_on_where_a_link_is_not_found_and_tells_erased_values_from_edited_ones(tmp_path, capsys):
    async with opened(crm_records=4) as office:
        settings, ids = await lived_in(office, tmp_path)
        forgotten, lost, edited, calm = ids
        async with open_sync(settings) as sync:
            run_of = (await sync.engine.parts.store.history(limit=1))[0][1].run
        await forget_command(settings, name=f"left:{forgotten}", report=Report())
        tamper(tmp_path, f"DELETE FROM record WHERE link_id = 'left:{lost}'")
        office.crm.store.edit(edited, zusatz="Seitenflügel")
        capsys.readouterr()
        assert await undo_command(settings, what=run_of, report=JSON) == 1
        done = json.loads(capsys.readouterr().out)
        counts = {kind: done[kind] for kind in ("restored", "kept", "erased", "unresolved", "not_undone")}
        assert counts == {"restored": 1, "kept": 1, "erased": 1, "unresolved": 1, "not_undone": 0}
        by_link = {one["link"]: one for one in done["records"]}
        assert by_link[f"left:{forgotten}"]["kept"] == []
        assert "addition" in by_link[f"left:{forgotten}"]["erased"]
        assert "nothing is known" in by_link[f"left:{lost}"]["why"]
        assert by_link[f"left:{edited}"]["kept"] == ["addition"]
        assert [one["zusatz"] for one in office.pair(calm)] == ["Vorderhaus", "Vorderhaus"]
        assert await undo_command(settings, what=done["run"], report=JSON) == 0, "an undo is undone like any run"
        again = json.loads(capsys.readouterr().out)
        assert {one["link"] for one in again["records"]} == {f"left:{edited}", f"left:{calm}"}
        assert [one["zusatz"] for one in office.pair(calm)] == ["Hinterhaus", "Hinterhaus"]
        assert await undo_command(settings, what=run_of, report=Report()) == 1
        told = capsys.readouterr().out
        assert "was erased (forgotten, or too old)" in told
        assert f"left:{lost}: nothing is known" in told
