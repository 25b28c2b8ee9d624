"""Fixtures for pytest, for whoever asks for them: ``pytest_plugins = ["bidisync.testing.plugin"]``.

It is not registered as an entry point: that would import the kit in every run of pytest
wherever this library is installed, and put its fixtures into projects that never asked.
"""

from __future__ import annotations

import asyncio

import attrs
import pytest

from bidisync.stores.memory import MemoryStore
from bidisync.testing.clock import ManualClock, SeededChance
from bidisync.testing.replicas.check import PROMISES, judge_replica
from bidisync.testing.replicas.trial import Examples, MakeTrial


@attrs.frozen
class ReplicaPromise:
    """One promise of a replica; call it with a maker of trials and with examples."""

    name: str

    def __call__(self, make: MakeTrial, examples: Examples) -> None:
        """Fail with the fault if the promise is broken; skip where it can't be judged.

        Called from a plain test, since it runs a loop of its own.
        """
        if _in_a_loop():
            pytest.fail("replica_promise runs a loop of its own: write the test with `def`, not `async def`")
        judged = asyncio.run(judge_replica(make, examples, only=[self.name]))
        for fault in judged.broken:
            raise fault
        if why := judged.not_judged.get(self.name):
            pytest.skip(why)


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes ``replica_promise`` once for each promise, under its name."""
    if "replica_promise" in metafunc.fixturenames:
        promises = [pytest.param(ReplicaPromise(name), id=name) for name in PROMISES]
        metafunc.parametrize("replica_promise", promises)


@pytest.fixture
def manual_clock() -> ManualClock:
    """Time that moves when the test says so."""
    return ManualClock()


@pytest.fixture
def seeded_chance() -> SeededChance:
    """Chance that is the same in every run."""
    return SeededChance(0)


@pytest.fixture
def memory_store() -> MemoryStore:
    """An empty state in memory."""
    return MemoryStore()
