"""The real Motia 0.17 from npm, with the example project: instances that a test starts and ends."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import psutil
import pytest

from command import environment

EXAMPLE = Path(__file__).parents[1] / "examples" / "motia"
STEP = "beteiligte_sync_event_step.py"


def installed() -> Path:
    """Where this version of Motia is installed, outside the repository; a skip or a failure says why it is not."""
    npm, required = shutil.which("npm"), bool(os.environ.get("CI"))
    if npm is None:
        pytest.skip("npm is not here, and Motia comes from there")
    if not (required or os.environ.get("BIDISYNC_MOTIA")):
        pytest.skip("takes a minute or two: `python3 dev motia` runs it, and so does CI")
    wanted = (EXAMPLE / "package.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "bidisync-tests" / f"motia-{hashlib.sha256(wanted).hexdigest()[:16]}"
    if not (home / "complete").exists():
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_bytes(wanted)
        quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
        env = {**os.environ, "REDISMS_DISABLE_POSTINSTALL": "1"}  # else it downloads a Redis of its own
        done = subprocess.run([npm, "install", *quiet], cwd=home, env=env, capture_output=True, text=True, timeout=600)
        if done.returncode:
            pytest.fail(f"npm can't install Motia: {done.stderr[-500:]}")
        (home / "complete").touch()
    return home / "node_modules"


def project(folder: Path, modules: Path, replaced: Mapping[str, Mapping[str, str]]) -> Path:
    """A copy of the example, with what a test needs quicker put in place of the original texts."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "python_modules", ".motia"))
    (folder / "node_modules").symlink_to(modules)
    (folder / "python_modules").symlink_to(sys.prefix)  # in place of `motia install`: the library as it is here
    for name, texts in replaced.items():
        step = folder / "src" / "steps" / name
        source = step.read_text()
        for old, new in texts.items():
            assert source.count(old) == 1, f"{name} has {old!r}"
            source = source.replace(old, new)
        step.write_text(source)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@attrs.define
class Motia:
    """One running instance."""

    process: asyncio.subprocess.Process
    port: int
    lines: list[str]

    def steps(self) -> list[psutil.Process]:
        """The event steps that run now."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if _is_event_step(child)]

    def kill(self) -> None:
        """The server alone, at once: its steps live on."""
        self.process.kill()


def _is_event_step(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return len(words) > 2 and words[1].endswith("python-runner.py") and words[2].endswith(STEP)


def connected_to(process: psutil.Process) -> set[int]:
    """The ports that it has connections to."""
    try:
        return {connection.raddr.port for connection in process.net_connections() if connection.raddr}
    except psutil.Error:
        return set()


@asynccontextmanager
async def running(folder: Path, redis_url: str, config: Path, port: int, level: str) -> AsyncIterator[Motia]:
    """Motia, answering at that port; its whole process group ends with the block."""
    env = environment(
        ESPO_ADVO_CONFIG=str(config),
        LOG_LEVEL=level,
        MOTIA_ANALYTICS_DISABLED="true",
        MOTIA_DOCKER_DISABLE_WORKBENCH="true",
        MOTIA_REDIS_PORT=redis_url.rsplit(":", 1)[1].split("/")[0],
        PYTHONUNBUFFERED="1",
    )
    process = await asyncio.create_subprocess_exec(
        *("node", "node_modules/motia/dist/cli.mjs", "start", "--port", str(port), "--host", "127.0.0.1"),
        cwd=folder,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    motia = Motia(process, port, [])
    reader = asyncio.ensure_future(_read(process, motia.lines))
    try:
        yield motia
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await reader


async def _read(process: asyncio.subprocess.Process, lines: list[str]) -> None:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        lines.append(line.decode("utf-8", "replace").rstrip())
