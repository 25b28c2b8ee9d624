"""What a user gets and may rely on, held against what is written down beside this file.

    python3 dev surface           # print and guard
    python3 dev surface --write   # write it down anew: the public names, their page in the docs, the dependencies

A public name that came, went or changed is a changed file here, to be seen in a review.
"""

from __future__ import annotations

import difflib
import sys
import tempfile
from pathlib import Path

from api import ROOT, Name, as_text, names
from pages import index
from promised import PACKAGES, PARTS
from weight import Installed, install

HERE = Path(__file__).parent
PAGE = ROOT / "docs" / "reference" / "names.md"
DEPENDENCIES = HERE / "dependencies.txt"
WHEEL_KB = 800
MOST_IMPORT = {"bidisync": 0.25, "bidisync.Engine": 1.5, "open_sync": 3.0, "the command": 2.0}
"""Times what `import aiohttp` costs: wide, for a busy machine; the goals stand in ``benchmarks/imports.py``."""


def written_down(known: list[Name]) -> dict[Path, str]:
    """The files that tell the public names, as they should be."""
    parts = "".join(f"{package}\n{as_text(package, known)}" for package in PARTS)
    texts = {HERE / "api" / f"{package}.txt": as_text(package, known) for package in PACKAGES}
    return {**texts, HERE / "api" / "parts.txt": parts, PAGE: index(known)}


def differences(wanted: dict[Path, str]) -> list[str]:
    """What differs from the files, line by line."""
    found = []
    for path, text in wanted.items():
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = difflib.unified_diff(there.splitlines(), text.splitlines(), str(path.relative_to(ROOT)), "now", n=0)
        found += [line.rstrip() for line in lines]
    return found


def guard_names(write: bool) -> list[str]:
    """Faults of the public names: undocumented, or not as they are written down."""
    known = names()
    wanted = written_down(known)
    counts = ", ".join(f"{package} {sum(n.package == package for n in known)}" for package in PACKAGES)
    print(f"public names: {len(known)} ({counts}, parts {sum(n.package in PARTS for n in known)})")
    if write:
        for path, text in wanted.items():
            path.write_text(text, encoding="utf-8")
    faults = [f"{name.package}.{name.name} has no docstring" for name in known if not name.promise]
    if different := differences(wanted):
        faults.append("\n".join(["the public names are not as written down:", *different]))
        faults.append("if that is meant: python3 dev surface --write, a line in CHANGELOG.md, and docs/stability.md")
    return faults


def guard_weight(installed: Installed, write: bool) -> list[str]:
    """Faults of the wheel, of what it brings along, and of what it costs to import."""
    came, faults = installed.dependencies(), []
    if write:
        DEPENDENCIES.write_text("".join(f"{name}\n" for name in came), encoding="utf-8")
    known = DEPENDENCIES.read_text(encoding="utf-8").split()
    print(f"wheel: {installed.bytes / 1000:.0f} kB, at most {WHEEL_KB}")
    print(f"a plain install brings {len(came)} packages, at most {len(known)}: {' '.join(came)}")
    if installed.bytes > WHEEL_KB * 1000:
        faults.append(f"the wheel has {installed.bytes / 1000:.0f} kB, more than {WHEEL_KB}")
    if strangers := installed.strangers:
        faults.append(f"the wheel holds files of no package: {' '.join(strangers)}")
    if new := sorted(set(came) - set(known)):
        faults.append(f"a plain install brings {' '.join(new)} besides: python3 dev surface --write, if that is meant")
    for name, ratio in installed.ratios().items():
        print(f"import of {name}: {ratio:.2f} x aiohttp, at most {MOST_IMPORT[name]:.2f}")
        if ratio > MOST_IMPORT[name]:
            faults.append(f"the import of {name} costs {ratio:.2f} x aiohttp")
    return faults


def guard_use(installed: Installed, folder: Path) -> list[str]:
    """Faults of the installed wheel: the command tells its version, and the ten lines of the README run."""
    version = installed.run(installed.command, "--version", cwd=folder).strip()
    printed = installed.run(installed.python, ROOT / "examples" / "01_library.py", cwd=folder).strip()
    print(f"installed: {version}; the library in ten lines printed {printed!r}")
    right = version.endswith(installed.wheel.name.split("-")[1]) and printed
    return [] if right else ["the installed wheel is not the one that was built"]


def main(arguments: list[str]) -> int:
    """1 if anything is not as written down."""
    write = "--write" in arguments
    faults = guard_names(write)
    with tempfile.TemporaryDirectory() as folder:
        installed = install(Path(folder))
        faults += guard_weight(installed, write) + guard_use(installed, Path(folder))
    for fault in faults:
        print(f"surface: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
