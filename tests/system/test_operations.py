"""What the operations pages promise: backups that may be restored, a wrong clock, a state that is too new, a unit."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bidisync_espo_advo.cli import run as cli
from command import Ended, configure, environment, run
from office import FAST, Office, opened

DEPLOY = Path(__file__).parents[2] / "deploy"


def write_config(folder: Path, office: Office, **more: dict[str, Any]) -> None:
    tables = {**office.tables, "state": {"url": f"sqlite:///{folder / 'state.db'}"}, **FAST}
    for name, table in more.items():
        tables[name] = {**tables.get(name, {}), **table}
    configure(folder, tables)


def backup(folder: Path, name: str) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        return cli(["--config", str(folder / "espo-advo.toml"), "backup", str(folder / name)])


def restore(folder: Path, copy: str) -> None:
    """As the page says: nothing runs, the files of the state go, the copy takes their place."""
    for file in folder.glob("state.db*"):
        file.unlink()
    shutil.copy(folder / copy, folder / "state.db")


async def test_an_old_state_that_is_restored_deletes_nothing_doubles_nobody_and_takes_no_edit_back(tmp_path):
    async with opened(crm_records=12, erp_records=8) as office:
        write_config(
            tmp_path, office, sync={"delete": "propagate"}, state={"encryption_key": "made for this test alone"}
        )
        crm, erp = office.crm.store, office.erp.store
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        assert backup(tmp_path, "old.db") == 0
        assert (tmp_path / "old.db").stat().st_mode & 0o077 == 0
        assert backup(tmp_path, "old.db") == 2, "a copy is never written over"
        assert b"Muster" not in (tmp_path / "old.db").read_bytes()

        ids = list(crm.records)
        for number, id in enumerate(ids[:4]):  # a week goes by
            crm.edit(id, zusatz=f"links {number}")
            erp.edit(crm.records[id]["betnr"], titel=f"rechts {number}")
        crm.create(lastName="Neumann", firstName="Lina", dateOfBirth="1990-01-01")
        erp.create(name="Neubert", vorname="Ole", geburtsdatum="1991-01-01T00:00:00")
        gone = crm.records[ids[9]]["betnr"]
        crm.delete(ids[9])
        await run("sync", "--all", cwd=tmp_path)
        assert (await run("unlink", f"right:{gone}", "--yes", cwd=tmp_path)).status == 0
        week = {id: dict(record) for id, record in crm.records.items()}, {n: dict(p) for n, p in erp.records.items()}

        restore(tmp_path, "old.db")
        crm.edit(ids[0], zusatz="nach der Sicherung")  # over what the old state does not know of
        erp.edit(crm.records[ids[5]]["betnr"], zusatz="ebenso")
        office.forget_calls()
        rebuilt = await run("--json", "sync", "--all", cwd=tmp_path)
        assert rebuilt.json["deleted"] == rebuilt.json["created"] == {"left": 0, "right": 0}, rebuilt
        assert rebuilt.json["updated"] == {"left": 1, "right": 1}
        assert rebuilt.json["reasons"] == {"deleted_left": 1}, "what was settled since is asked again"
        assert "DELETE" not in " ".join(office.calls())
        assert (len(crm.records), len(erp.records)) == (21, 22)
        told = {"lastName", "firstName", "zusatz", "titel", "dateOfBirth", "betnr"}
        for id, record in crm.records.items():
            changed = {name for name in told if record[name] != week[0][id][name]}
            assert changed == ({"zusatz"} if id in (ids[0], ids[5]) else set()), (id, changed)
        for number, party in erp.records.items():
            changed = {name for name in ("name", "vorname", "zusatz", "titel") if party[name] != week[1][number][name]}
            expected = {crm.records[ids[0]]["betnr"], crm.records[ids[5]]["betnr"]}
            assert changed == ({"zusatz"} if number in expected else set()), (number, changed)
        again = await run("--json", "sync", "--all", cwd=tmp_path)
        assert again.json["updated"] == again.json["created"] == {"left": 0, "right": 0}


async def test_a_backup_is_whole_while_others_write(tmp_path):
    async with opened(crm_records=60) as office:
        write_config(tmp_path, office)
        syncing = asyncio.create_task(run("sync", "--all", cwd=tmp_path))
        while not (tmp_path / "state.db").exists():
            await asyncio.sleep(0.05)
        statuses = []
        while not syncing.done():
            statuses.append(backup(tmp_path, f"{len(statuses)}.db"))
            await asyncio.sleep(0.3)
        assert (await syncing).status == 0
        whole = [number for number, status in enumerate(statuses) if status == 0]
        assert whole, "the first ones may come before the tables"
        assert set(statuses) <= {0, 3}
        assert not list(tmp_path.glob("*.unfinished"))
        restore(tmp_path, f"{whole[-1]}.db")
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        assert len(office.erp.store.records) == 60


SKEWED = """
import sys, time
off, true = float(sys.argv[1]), time.time
time.time = lambda: true() + off
from bidisync_espo_advo.cli import main
main(sys.argv[2:])
"""


async def run_with_clock(off: float, *arguments: str, cwd: Path) -> Ended:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SKEWED, str(off), *arguments, cwd=cwd, env=environment(),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def test_a_clock_that_is_an_hour_wrong_is_said_and_nothing_is_written(tmp_path):
    async with opened(crm_records=3) as office:
        write_config(tmp_path, office)
        ended = await run_with_clock(3600, "sync", "--all", cwd=tmp_path)
        assert ended.status == 2, ended
        assert "clock" in ended.err, ended
        assert office.writes() == 0


@pytest.mark.parametrize("off", [86_400, -86_400] if os.environ.get("BIDISYNC_NIGHT") else [86_400])
async def test_a_day_with_a_wrong_clock_hides_no_edit_and_takes_none_back(tmp_path, off):
    async with opened(crm_records=6, erp_switches={"token.clock_skew_max_s": "unlimited"}) as office:
        write_config(tmp_path, office)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        ids = list(office.crm.store.records)
        for number, clock in enumerate((off, 0)):
            crm, (_, erp) = ids[2 * number], office.pair(ids[2 * number + 1])
            office.crm.store.edit(crm, zusatz=f"links {number}")
            office.erp.store.edit(erp["betNr"], zusatz=f"rechts {number}")
            ended = await run_with_clock(clock, "--json", "sync", cwd=tmp_path)
            assert (ended.status, ended.json["updated"]) == (0, {"left": 1, "right": 1}), ended
        for id in ids:
            one, other = office.pair(id)
            assert (one["zusatz"] or None) == (other["zusatz"] or None)
        assert sorted(r["zusatz"] for r in office.crm.store.records.values() if "s " in (r["zusatz"] or "")) == [
            "links 0", "links 1", "rechts 0", "rechts 1",
        ]  # fmt: skip


async def test_a_state_of_a_newer_version_is_refused_and_stays_as_it_is(tmp_path):
    async with opened(crm_records=1) as office:
        write_config(tmp_path, office)
        assert (await run("sync", "--all", cwd=tmp_path)).status == 0
        with sqlite3.connect(tmp_path / "state.db") as state:
            state.execute("INSERT INTO migration VALUES (9999, 'of a version to come')")
            before = list(state.iterdump())
        office.forget_calls()
        ended = await run("sync", cwd=tmp_path)
        assert (ended.status, "newer version" in ended.err) == (2, True), ended
        with sqlite3.connect(tmp_path / "state.db") as state:
            assert list(state.iterdump()) == before
        assert office.writes() == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd")
def test_the_unit_is_one_that_systemd_takes_and_it_is_locked_up_well(tmp_path):
    for unit in sorted(DEPLOY.glob("*.service")) + sorted(DEPLOY.glob("*.timer")):
        text = unit.read_text().replace("/opt/espo-advo/bin/espo-advo", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    for unit in sorted(tmp_path.iterdir()):
        judged = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60
        )
        assert (judged.returncode, judged.stderr) == (0, "")
    exposed = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(tmp_path / "espo-advo.service")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert exposed.returncode == 0, exposed.stdout + exposed.stderr
