"""What stands in the examples and in the docs runs as printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from command import environment

ROOT = Path(__file__).parents[2]
SHOWN = ("04_communication", "05_bank_accounts", "06_cases", "07_addresses")
EXAMPLES = [path for path in sorted((ROOT / "examples").glob("[0-9]*.py")) if path.stem not in SHOWN]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE))
]


def run(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example, tmp_path):
    assert run(str(example), cwd=tmp_path)


def test_the_examples_are_numbered_without_a_gap():
    numbers = [int(path.stem[:2]) for path in sorted((ROOT / "examples").glob("[0-9]*.py"))]
    assert numbers == list(range(1, len(numbers) + 1))


def told_on(name: str) -> str:
    """The page that tells what the example of that name prints."""
    pages = [page.read_text() for page in PAGES if "how-to" in page.parts]
    (found,) = [page for page in pages if f"examples/{name}.py" in page]
    return found


@pytest.mark.parametrize("name", SHOWN)
def test_a_page_says_what_its_example_prints_and_how_long_it_is(name, tmp_path):
    example, page = ROOT / "examples" / f"{name}.py", told_on(name)
    printed = run(str(example), cwd=tmp_path)
    assert f"prints\n\n```text\n{printed}```\n" in page
    lines = len(example.read_text().splitlines())
    assert f"in {lines} lines with" in " ".join(page.split())
    assert lines <= 150


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_the_docs_runs_as_printed(block, tmp_path):
    run("-c", block, cwd=tmp_path)


def test_the_example_of_the_readme_prints_what_it_says(tmp_path):
    readme = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    printed = run("-c", block, cwd=tmp_path).strip()
    assert f"It prints `{printed}`" in readme
    assert len([line for line in block.splitlines() if line.strip()]) <= 12


def test_the_demo_ends_in_sync_and_its_last_pass_writes_nothing(tmp_path):
    import json

    printed = run("-m", "bidisync_espo_advo", "demo", "--records", "60", "--json", cwd=tmp_path)
    demo = json.loads(printed)
    assert demo["first_contact"]["created"]["left"] > 0
    assert demo["first_contact"]["created"]["right"] > 0
    assert demo["second_sync"]["updated"]["left"] > 0
    assert demo["second_sync"]["updated"]["right"] > 0
    assert demo["second_sync"]["conflicts"]["resolved"] > 0
    assert demo["second_sync"]["review"] > 0
    assert demo["writes_of_third_sync"] == 0
