"""A virtual environment of its own for the tools that the sync is compared with, made when it is first wanted."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".dev" / "peers"
WANTED = "vdirsyncer==0.21.0"


def python() -> str:
    """The interpreter that has them, and this project; ends with status 3 if pip can't install them."""
    found, stamp = PLACE / ("Scripts/python.exe" if os.name == "nt" else "bin/python"), PLACE / "installed"
    wanted = WANTED + (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return str(found)
    print(f"# installing {WANTED}", file=sys.stderr, flush=True)
    venv.EnvBuilder(clear=True, symlinks=os.name != "nt", with_pip=True).create(PLACE)
    pip = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, WANTED, "--editable", str(ROOT)], capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        print(f"pair: pip failed: {done.stderr.strip()[-800:]}", file=sys.stderr)
        print("pair: without --peers nothing is installed", file=sys.stderr)
        sys.exit(3)
    stamp.write_text(wanted, encoding="utf-8")
    return str(found)
