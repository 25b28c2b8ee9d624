"""The decision log at the operator's hand: verified, decided again, and handed out for one person."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from command import configure, run
from office import FAST, Office, opened


def write_config(folder: Path, office: Office, **more: dict[str, Any]) -> None:
    tables = {**office.tables, "state": {"url": f"sqlite:///{folder / 'state.db'}"}, **FAST}
    for name, table in more.items():
        tables[name] = {**tables.get(name, {}), **table}
    configure(folder, tables)


async def lived_in(office, folder, **more) -> list[str]:
    """Some parties, synced; each edited on both sides, and synced again."""
    write_config(folder, office, guards={"max_overwrite_percent": 100.0}, **more)
    assert (await run("sync", "--all", cwd=folder)).status == 0
    ids = list(office.crm.store.records)
    for id in ids:
        office.crm.store.edit(id, zusatz="Hinterhaus", titel="Dr.")
        office.erp.store.edit(office.pair(id)[0]["betnr"], zusatz="Vorderhaus")
    assert (await run("sync", cwd=folder)).status == 0
    return ids


def tamper(folder, sql: str) -> None:
    connection = sqlite3.connect(folder / "state.db")
    with connection:
        connection.execute(sql)
    connection.close()


async def test_a_tampered_log_is_detected_and_the_line_named(tmp_path):
    async with opened(crm_records=4) as office:
        ids = await lived_in(office, tmp_path)
        sound = await run("--json", "history", "--verify", cwd=tmp_path)
        assert (sound.status, sound.json["holds"], sound.json["breaks"]) == (0, True, [])
        assert sound.json["lines"] == 8
        head = sound.json["head"]
        office.crm.store.edit(ids[0], zusatz="später")
        assert (await run("sync", cwd=tmp_path)).status == 0
        grown = await run("history", "--verify", "--head", head, cwd=tmp_path)
        assert grown.status == 0, grown.out
        assert "every line is as it was written" in grown.out
        forgotten = await run("forget", f"left:{ids[1]}", "--yes", cwd=tmp_path)
        assert forgotten.status == 0
        after = await run("--json", "history", "--verify", "--head", head, cwd=tmp_path)
        assert (after.status, after.json["erased"], after.json["lines"]) == (0, 3, 10)
        tamper(tmp_path, "UPDATE journal SET document = replace(document, 'Hinterhaus', 'Gartenhaus') WHERE number = 5")
        broken = await run("--json", "history", "--verify", cwd=tmp_path)
        assert (broken.status, broken.json["holds"]) == (1, False)
        assert [(one["decision"], one["what"]) for one in broken.json["breaks"]] == [(5, "values_altered")]
        told = await run("history", "--verify", cwd=tmp_path)
        assert "line 5: values were altered" in told.out
        assert "haus" not in told.out + told.err
        tamper(tmp_path, "DELETE FROM journal WHERE number IN (2, 3)")
        missed = await run("history", "--verify", cwd=tmp_path)
        assert (missed.status, "lines 2 to 3: missing" in missed.out) == (1, True)
        for arguments in (("--head", head), ("--verify", f"left:{ids[0]}"), ("--verify", "--head", "12")):
            wrong = await run("history", *arguments, cwd=tmp_path)
            assert (wrong.status, wrong.out) == (2, "")


async def test_decisions_are_made_again_and_another_policy_is_told_apart(tmp_path):
    async with opened(crm_records=5) as office:
        ids = await lived_in(office, tmp_path)
        await run("forget", f"left:{ids[0]}", "--yes", cwd=tmp_path)
        again = await run("--json", "history", "--replay", cwd=tmp_path)
        assert again.status == 0, again.out
        counts = {name: again.json[name] for name in ("entries", "same", "other", "erased", "other_policy", "nothing")}
        assert counts == {"entries": 11, "same": 8, "other": 0, "erased": 2, "other_policy": 0, "nothing": 1}
        assert again.json["decisions"] > 40
        one = await run("--json", "history", f"left:{ids[1]}", "--replay", cwd=tmp_path)
        assert (one.status, one.json["entries"], one.json["same"]) == (0, 2, 2)
        explained = await run("--json", "explain", f"left:{ids[1]}", cwd=tmp_path)
        assert [entry["decided_again"] for entry in explained.json["past"]] == ["same", "same"]
        tamper(
            tmp_path, 'UPDATE journal SET document = replace(document, \'"row":"5"\', \'"row":"2"\') WHERE number = 7'
        )
        other = await run("--json", "history", "--replay", cwd=tmp_path)
        assert (other.status, other.json["other"]) == (1, 1)
        (differs,) = other.json["differ"]
        assert (differs["decision"], [one["row"] for one in differs["now"]]) == (7, ["5"])
        assert "haus" not in other.out, "values are masked"
        told = await run("history", "--replay", "--show-values", cwd=tmp_path)
        assert (told.status, "Hinterhaus" in told.out) == (1, True)
        write_config(tmp_path, office, **{"groups.stammdaten": {"strategy": "advoware"}})
        changed = await run("--json", "history", "--replay", cwd=tmp_path)
        assert (changed.status, changed.json["other"], changed.json["other_policy"]) == (0, 0, 8)


async def test_everything_about_one_person_is_handed_out_and_nothing_about_others(tmp_path):
    async with opened(crm_records=3) as office:
        ids = await lived_in(office, tmp_path, state={"encryption_key": "a key that is long enough"})
        party = office.pair(ids[0])[0]
        others = [
            office.pair(id)[0]["lastName"] for id in ids[1:] if office.pair(id)[0]["lastName"] != party["lastName"]
        ]
        printed = await run("export", f"right:{party['betnr']}", cwd=tmp_path)
        assert printed.status == 0
        document = json.loads(printed.out)
        assert document["link"]["id"] == f"left:{ids[0]}"
        assert document["link"]["left_shadow"]["fields"]["family_name"] == party["lastName"]
        assert document["link"]["right_shadow"]["fields"]["addition"] == "Hinterhaus"
        assert [entry["what"] for entry in document["journal"]] == ["create", "update"]
        assert "Vorderhaus" in json.dumps(document["journal"]), "what was overwritten is a part of it"
        assert {entry["record"] for entry in document["index"]} == {f"left:{ids[0]}", f"right:{party['betnr']}"}
        assert not [name for name in others if name in printed.out]
        saved = await run("export", f"left:{ids[0]}", "-o", "person.json", cwd=tmp_path)
        assert (saved.status, party["lastName"] in saved.out) == (0, False)
        file = tmp_path / "person.json"
        assert file.stat().st_mode & 0o077 == 0
        assert json.loads(file.read_text())["link"] == document["link"]
        again = await run("export", f"left:{ids[0]}", "-o", "person.json", cwd=tmp_path)
        assert (again.status, "is there already" in again.err) == (2, True)
        unknown = await run("export", "left:nobody", cwd=tmp_path)
        assert (unknown.status, unknown.out) == (2, "")
        await run("forget", f"left:{ids[0]}", "--yes", cwd=tmp_path)
        empty = await run("export", f"left:{ids[0]}", cwd=tmp_path)
        assert "haus" not in empty.out
        assert party["lastName"] not in empty.out
        assert json.loads(empty.out)["link"]["tombstone"]["by"] == "forget"
