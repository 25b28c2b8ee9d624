"""What an installation weighs: the wheel in a fresh environment, as a user gets it, without extras."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import attrs
from promised import DISTRIBUTION

ROOT = Path(__file__).parents[2]
TOOLS = {"pip", "setuptools", DISTRIBUTION}
IMPORTS = {
    "nothing": "pass",
    "aiohttp": "import aiohttp",
    "bidisync": "import bidisync",
    "bidisync.Engine": "from bidisync import Engine",
    "open_sync": "from bidisync_espo_advo import open_sync",
    "the command": "from bidisync_espo_advo.cli import main",
}
TURNS = 5


@attrs.frozen
class Installed:
    """The wheel, installed where nothing else is."""

    wheel: Path
    python: Path

    @property
    def command(self) -> Path:
        """The console command, as pip put it there."""
        return self.python.parent / "espo-advo"

    @property
    def bytes(self) -> int:
        """The size of the wheel."""
        return self.wheel.stat().st_size

    @property
    def strangers(self) -> list[str]:
        """Files of the wheel that belong to neither package."""
        ours = ("bidisync/", "bidisync_espo_advo/", f"{self.wheel.name.rsplit('-', 3)[0]}.dist-info/")
        return [name for name in zipfile.ZipFile(self.wheel).namelist() if not name.startswith(ours)]

    def run(self, *command: str | Path, cwd: Path) -> str:
        """What the command prints, in an environment that knows nothing of this clone."""
        done = subprocess.run(command, cwd=cwd, env=alone(), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise SystemExit(f"surface: {' '.join(map(str, command))} failed:\n{done.stderr[-800:]}")
        return done.stdout

    def dependencies(self) -> list[str]:
        """What came along, by name."""
        pip = [self.python, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
        listed = json.loads(self.run(*pip, cwd=ROOT.parent))
        found = {entry["name"].lower().replace("_", "-") for entry in listed}
        return sorted(found - TOOLS)

    def ratios(self) -> dict[str, float]:
        """What each import costs of CPU above a bare interpreter, as ratio to that of aiohttp; the least of some."""
        best = {name: min(self._cost(code) for _ in range(TURNS)) for name, code in IMPORTS.items()}
        floor = best["aiohttp"] - best["nothing"]
        return {name: (best[name] - best["nothing"]) / floor for name in IMPORTS if name not in ("nothing", "aiohttp")}

    def _cost(self, code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([self.python, "-c", code], cwd=self.wheel.parent, env=alone(), check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def alone() -> Mapping[str, str]:
    """The environment without what points into this clone or another environment."""
    ours = ("PYTHON", "COVERAGE_", "ESPO_ADVO_", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def install(folder: Path) -> Installed:
    """Build the wheel and install it with pip into an environment of its own."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel]
    done = subprocess.run(pip, env=alone(), capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise SystemExit(f"surface: the wheel can't be installed:\n{done.stderr[-800:]}")
    return Installed(wheel, python)
