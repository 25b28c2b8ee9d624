"""No room for the state: nothing is sent that is not remembered, one line says why, and it goes on later."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest
from ledger import journal
from siege import Town, town

from bidisync.errors import Unavailable
from bidisync.stores import sqlite
from bidisync.stores.migrating import migrate
from bidisync.stores.sqlite import SqliteStore
from command import Ended, environment, run, start
from watch import WATCH

LIMITED = """
import resource, sys
from bidisync_espo_advo.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
main(sys.argv[2:])
"""


async def run_with_room_for(size: int, *arguments: str, cwd: Path) -> Ended:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LIMITED, str(size), *arguments, cwd=cwd, stdout=pipe, stderr=pipe, env=environment()
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    WATCH.hear(f"output of {' '.join(arguments)}", out + err)
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def a_busy_day(office: Town, day: str) -> None:
    """An edit of every record, half of them on each side."""
    people = office.people
    for number, id in enumerate(people.crm_ids[:10]):
        people.replaced[f"{day} {number}"] = await people.crm.edit(id, "titel", f"{day} {number}")
    for number, id in enumerate(people.erp_ids[:10], 10):
        people.replaced[f"{day} {number}"] = await people.erp.edit(id, "titel", f"{day} {number}")


async def arrived(office: Town, day: str) -> set[str]:
    """The texts of that day that the sync has written to the other side."""
    ours = set(office.people.crm_ids[:10])
    crm, erp = await office.people.crm.rows(), await office.people.erp.rows()
    theirs = {row["betnr"] for row in crm if row["id"] in ours}
    texts = [row["titel"] for row in crm if row["id"] not in ours]
    texts += [row["titel"] for row in erp if row["betNr"] in theirs]
    return {text for text in texts if text and text.startswith(day)}


async def test_without_room_for_the_state_nothing_is_sent_that_is_not_remembered(tmp_path, redis_server):
    async with town(tmp_path, redis_server, 1) as office:
        room, seen = office.state.stat().st_size, []
        for number, more in enumerate((16_384, 65_536, 131_072)):
            day = f"Tag{number}"
            await a_busy_day(office, day)
            ended = await run_with_room_for(room + more, "sync", "--all", "--json", cwd=tmp_path)
            assert ended.status == 3, ended
            assert (len(ended.err.splitlines()), "nothing was lost" in ended.err) == (1, True), ended
            assert json.loads(ended.out)["error"]["code"] == "unavailable"
            written = {d.result for line in journal(office.state) for d in line.decisions if d.writes}
            there = await arrived(office, day)
            assert there <= written, "every value that was sent stood in an intent before"
            seen.append(len(there))
            room = max(room, office.state.stat().st_size)
        print(f"no room for the state: {seen} of 20 edits had been sent, each with its intent")
        await office.settle()
        await office.nothing_is_wrong()


async def test_a_state_that_a_stopped_process_holds_is_said_plainly(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_S", 0.3)
    store = await SqliteStore.open(tmp_path / "s.db", seal=WATCH.seal())
    holder = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="another process holds it for too long"):
        await store.set_mark("a", "b")
    holder.execute("ROLLBACK")
    holder.close()
    await store.set_mark("a", "b")
    await store.close()


async def test_a_sync_that_is_told_to_end_does_so_in_order(tmp_path, redis_server):
    async with town(tmp_path, redis_server, 1) as office:
        for number, status, interrupts in (
            (signal.SIGTERM, 143, True),
            (signal.SIGTERM, 143, False),
            (signal.SIGINT, 130, True),
        ):
            await a_busy_day(office, f"{number.name} {interrupts}")
            await office.people.erp.fail({"action": "hold", "method": "PUT", "path": "eteiligte", "when": "after"})
            process = await start("sync", "--all", cwd=tmp_path, interrupts=interrupts)
            async with office.people.crm.http.get(f"{office.people.erp.url}_simulator/held"):
                process.send_signal(number)
            out, err = await asyncio.wait_for(process.communicate(), 10)
            assert (process.returncode, out) == (status, b"")
            assert err.strip() == b"espo-advo: stopped; what was done is kept, run it again to go on"
            assert (await run("sync", "--all", "--rounds", "5", cwd=tmp_path)).status == 0
        await office.nothing_is_wrong()


async def test_a_migration_that_is_killed_at_any_statement_leaves_a_usable_file(tmp_path):
    whole = await statements_of(tmp_path / "whole.db")
    assert whole > 5
    for number in range(1, whole + 1, 1 if os.environ.get("BIDISYNC_NIGHT") else 5):
        path = tmp_path / f"{number}.db"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, str(path), str(number), cwd=tmp_path, env=environment(),
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert await process.wait() == -signal.SIGKILL
        store = await SqliteStore.open(path)
        await store.set_mark("usable", "yes")
        assert await store.get_mark("usable") == "yes"
        await store.close()


class Counting:
    """A connection that counts what it is asked to do in a migration."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection, self.count = connection, 0

    def execute(self, *arguments: object) -> sqlite3.Cursor:
        self.count += 1
        return self.connection.execute(*arguments)  # type: ignore[arg-type]


async def statements_of(path: Path) -> int:
    connection = sqlite3.connect(path, isolation_level=None)
    counting = Counting(connection)
    connection.execute("BEGIN")
    migrate(counting, "sqlite")  # type: ignore[arg-type]
    connection.execute("COMMIT")
    connection.close()
    return counting.count


KILLED = """
import asyncio, os, signal, sys
from bidisync.stores import sqlite

class Killing:
    def __init__(self, connection):
        self.connection, self.left = connection, int(sys.argv[2])
    def execute(self, *arguments):
        answer = self.connection.execute(*arguments)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

whole = sqlite.migrate
sqlite.migrate = lambda connection, dialect: whole(Killing(connection), dialect)
asyncio.run(sqlite.SqliteStore.open(sys.argv[1]))
"""
