"""The command as a process of its own, against simulators that are processes or servers in the test."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import attrs

from bidisync_espo_advo import cli
from toml_text import render_toml
from watch import WATCH


@attrs.frozen
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.out)


def environment(**more: str) -> dict[str, str]:
    """The environment without any setting of ours but these, and without the measuring of coverage.

    A measured process loads more modules, writes files of its own, and takes signals later.
    """
    ours = ("ESPO_ADVO_", "COVERAGE_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**clean, **more}


async def start(*arguments: str, cwd: Path, interrupts: bool = True, **env: str) -> asyncio.subprocess.Process:
    """The command, running; SIGINT interrupts it, as at a terminal, or is ignored, as in the background of a shell."""
    pipe = asyncio.subprocess.PIPE

    def disposed() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL if interrupts else signal.SIG_IGN)

    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bidisync_espo_advo",
        *arguments,
        cwd=cwd,
        stdout=pipe,
        stderr=pipe,
        env=environment(**env),
        preexec_fn=disposed,
    )


async def run(*arguments: str, cwd: Path, **env: str) -> Ended:
    """The command, ended."""
    process = await start(*arguments, cwd=cwd, **env)
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return _heard(arguments, Ended(process.returncode or 0, out.decode(), err.decode()))


def _heard(arguments: tuple[str, ...], ended: Ended) -> Ended:
    """The same, once it is known what the command said to somebody who did not ask for values."""
    if "--show-values" not in arguments:
        WATCH.hear(f"stdout of {' '.join(arguments)}", ended.out)
    WATCH.hear(f"stderr of {' '.join(arguments)}", ended.err)
    return ended


async def within(*arguments: str, cwd: Path) -> Ended:
    """The command, ended, in a thread of this process: what many calls need, as a new process takes a while."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = await asyncio.to_thread(cli.run, ["--config", str(cwd / "espo-advo.toml"), *arguments])
    return _heard(arguments, Ended(status, out.getvalue(), err.getvalue()))


@asynccontextmanager
async def simulated(*arguments: str, cwd: Path) -> AsyncIterator[dict[str, Any]]:
    """A simulator as a process; what it announced."""
    process = await start("simulate", *arguments, cwd=cwd)
    assert process.stdout is not None
    try:
        told = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
        yield told
        if WATCH.on and process.returncode is None:
            with await asyncio.to_thread(urlopen, f"{told['url']}_simulator/records", timeout=10) as records:
                WATCH.keep(json.load(records), {"": told["config"]})
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0


def configure(folder: Path, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the configuration file that the command finds by itself."""
    if "state" in tables:
        tables = {**tables, "state": WATCH.sealing(tables["state"])}
    WATCH.keep([], tables)
    (folder / "espo-advo.toml").write_text(render_toml(tables))
