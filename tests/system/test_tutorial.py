"""Both tutorials, run as they are printed: the wheel installed, every block in one shell, every line it shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import attrs
import pytest

from command import environment

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("tutorial-*.md"))
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@attrs.frozen
class Step:
    """A block to run, the line it begins at, and what is printed below it."""

    line: int
    script: str
    printed: str = ""


def steps(page: str) -> list[Step]:
    found: list[Step] = []
    for block in BLOCK.finditer(page):
        if block[1] == "sh":
            found.append(Step(page.count("\n", 0, block.start()) + 1, block[2]))
        else:
            assert not found[-1].printed, "one block of output for one block of commands"
            found[-1] = attrs.evolve(found[-1], printed=block[2])
    return found


def pattern(printed: str) -> re.Pattern[str]:
    """What was printed, where white space may differ and ``…`` is anything."""
    lines = [r"\s+".join(map(re.escape, line.split())).replace("…", ".*?") for line in printed.splitlines()]
    return re.compile(r"(?m)" + r"\s+".join(lines), re.DOTALL)


def office(folder: Path) -> dict[str, str]:
    """An environment in which pip finds this wheel, and what it needs, without a network."""
    wheels = folder / "wheels"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return environment(
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        PYTHONPATH=sysconfig.get_path("purelib"),
        PIP_NO_INDEX="1",
        PIP_NO_DEPS="1",
        PIP_IGNORE_INSTALLED="1",  # the wheel, not what PYTHONPATH shows
        PIP_FIND_LINKS=str(wheels),
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_NO_COMPILE="1",
        PYTHONDONTWRITEBYTECODE="",
    )


MARK = "::the block ended with"


@pytest.fixture
def shell(tmp_path):
    """Run a script in one shell that stays: its output and its status."""
    folder = tmp_path / "work"
    folder.mkdir()
    process = subprocess.Popen(
        ["bash", "--norc"], cwd=folder, env=office(tmp_path), text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None

    def ran(script: str) -> tuple[str, int]:
        process.stdin.write(f"{script}\necho\necho '{MARK}' $?\n")
        process.stdin.flush()
        lines: list[str] = []
        for line in process.stdout:
            if line.startswith(MARK):
                return "".join(lines), int(line.removeprefix(MARK))
            lines.append(line)
        raise AssertionError("the shell ended: " + "".join(lines))

    yield ran
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=20)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_runs_and_prints_what_it_says(page, shell):
    walk = steps(page.read_text())
    assert len(walk) > 7
    for step in walk:
        began = time.monotonic()
        printed, status = shell(step.script)
        if os.environ.get("BIDISYNC_TUTORIAL"):
            print(f"{time.monotonic() - began:5.1f} s  {step.script}{printed}")
        told = f"{page.name}:{step.line} printed\n{printed}"
        assert "status" in step.script or status == 0, told
        assert pattern(step.printed).search(printed), told
        assert "Traceback" not in printed, told
