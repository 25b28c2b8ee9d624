"""At a terminal: tables that fit, progress with the time left, questions before what can't be taken back."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

from command import Ended, configure, environment, run
from office import FAST, opened

STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


async def at_terminal(*arguments: str, cwd: Path, columns: int = 80, types: str = "") -> Ended:
    """The command at a terminal of that width; ``out`` and ``err`` are what two screens would be sent."""
    ends = [pty.openpty() for _ in range(2)]
    for _, screen in ends:
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    (out, shown), (err, said) = ends
    env = environment(TERM="xterm-256color")
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        env.pop(name, None)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bidisync_espo_advo", *arguments,
        cwd=cwd, env=env, stdin=shown, stdout=shown, stderr=said, start_new_session=True,
    )  # fmt: skip
    os.close(shown)
    os.close(said)
    os.write(out, types.encode())
    texts = await asyncio.gather(asyncio.to_thread(sent, out), asyncio.to_thread(sent, err))
    return Ended(await asyncio.wait_for(process.wait(), 60), *texts)


def sent(screen: int) -> str:
    """Everything until the last process has let go of the terminal."""
    parts = []
    try:
        while part := os.read(screen, 65_536):
            parts.append(part)
    except OSError:  # that is how Linux says so
        pass
    os.close(screen)
    return b"".join(parts).decode()


async def test_a_table_fits_its_terminal_progress_is_for_it_alone_and_a_person_is_asked(tmp_path):
    async with opened(crm_records=25, erp_records=2, crm_switches={"latency_ms": "20"}) as office:
        configure(tmp_path, {**office.tables, "state": {"url": "sqlite:///state.db"}, **FAST})
        synced = await at_terminal("sync", "--all", cwd=tmp_path, columns=50)
        assert synced.status == 0, synced
        assert "syncing" in synced.err and re.search(r"\d:\d\d:\d\d.*left", synced.err)
        assert "syncing" not in synced.out
        assert [line for line in STYLES.sub("", synced.out).splitlines() if len(line) > 50] == []
        piped = await run("sync", cwd=tmp_path)
        assert (piped.status, piped.err, "\x1b" in piped.out) == (0, "", False)

        id = next(iter(office.crm.store.records))
        declined = await at_terminal("forget", f"left:{id}", cwd=tmp_path, types="n\n")
        assert (declined.status, "nothing was done" in declined.err) == (2, True), declined
        agreed = await at_terminal("forget", f"left:{id}", cwd=tmp_path, types="y\n")
        assert (agreed.status, "Forgotten" in agreed.out) == (0, True), "it was still there, and is gone now"
