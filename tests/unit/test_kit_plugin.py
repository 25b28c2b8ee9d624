"""The kit without pytest, and the plugin for whoever asks for it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from bidisync.testing import PROMISES, Examples, MemoryReplica, memory_trial
from bidisync.testing.plugin import ReplicaPromise
from command import environment

TESTS = """
from bidisync.testing import FULL, Examples, MemoryReplica, memory_trial

EXAMPLES = Examples(records=[{"name": "Ada", "city": "Ulm"}, {"name": "Eva", "city": None}], texts=["name"])


class Trims(MemoryReplica):
    async def update(self, seen, changes, **options):
        kept = {name: value.strip() if isinstance(value, str) else value for name, value in changes.items()}
        return await MemoryReplica.update(self, seen, kept, **options)


def test_my_replica(replica_promise):
    async def make():
        return memory_trial(Trims(capabilities=FULL, names=("name", "city")))

    replica_promise(make, EXAMPLES)


def test_fixtures(manual_clock, seeded_chance, memory_store):
    before = manual_clock.now()
    manual_clock.advance(5)
    assert manual_clock.now() == before + 5
    assert 0 <= seeded_chance.fraction() < 1
    assert type(memory_store).__name__ == "MemoryStore"
"""


def test_the_plugin_runs_a_test_once_for_each_promise(tmp_path):
    (tmp_path / "test_mine.py").write_text(TESTS)
    some = "odd_values or gives_copies or changed_since or fixtures"
    command = ["-m", "pytest", "-q", "-rfs", "-k", some, "-p", "bidisync.testing.plugin", "-p", "no:cacheprovider", "."]
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60
    )
    failed = [line.split(" ")[1] for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert failed == ["test_mine.py::test_my_replica[keeps_odd_values]"], done.stdout
    assert "the field 'name' is trimmed" in done.stdout
    assert "changed_since is not declared" in done.stdout
    assert f"1 failed, 2 passed, 1 skipped, {len(PROMISES) - 3} deselected" in done.stdout


async def test_an_asynchronous_test_of_a_promise_is_told_to_be_a_plain_one():
    async def make():
        return memory_trial(MemoryReplica(names=("name", "city")))

    examples = Examples(records=[{"name": "Ada", "city": "Ulm"}, {"name": "Eva", "city": None}])
    with pytest.raises(pytest.fail.Exception, match="write the test with `def`, not `async def`"):
        ReplicaPromise("gives_copies")(make, examples)


def test_nobody_gets_the_plugin_unasked():
    values = [entry.value for entry in entry_points(group="pytest11")]
    assert not [value for value in values if value.startswith("bidisync")]


def test_the_kit_needs_neither_pytest_nor_hypothesis():
    code = "import sys, bidisync.testing; print(sorted({'pytest', '_pytest', 'hypothesis'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
