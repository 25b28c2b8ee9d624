"""An example of lists as a test needs it: both systems, the engine of the example, and quick times."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from bidisync import Engine, Limits, Link, Ref, Sweep
from bidisync.clock import SystemChance, SystemClock
from bidisync.locks.local import LocalLocks
from bidisync.outcome import Outcome, Tally
from bidisync_espo_advo.remotes import Remotes
from office import Office, opened

EXAMPLES = Path(__file__).parents[1] / "examples"
PERSON = {"name": "Köster", "vorname": "Ida", "geburtsdatum": "1970-02-03"}
SAME_PERSON = {"lastName": "Köster", "firstName": "Ida", "dateOfBirth": "1970-02-03"}


def example(name: str) -> ModuleType:
    """The example's module, not run."""
    found = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


@attrs.frozen
class Lists:
    """Both systems, and the engine of an example over them."""

    office: Office
    engine: Engine

    async def sweep(self, **options: Any) -> Tally:
        """A pass."""
        return await Sweep(self.engine, patience_s=20.0).run(**options)

    async def sync(self, ref: str) -> Outcome:
        """One record."""
        return await self.engine.sync(Ref.parse(ref))

    async def waiting(self) -> list[Link]:
        """What waits for a person."""
        return list(await self.engine.parts.store.waiting())


@asynccontextmanager
async def running(name: str, switches: dict[str, str] | None = None) -> AsyncIterator[Lists]:
    """The example over empty systems, with leases and requests of a few seconds."""
    async with opened(erp_switches=switches) as office:
        remotes = Remotes.of(office.settings, SystemClock(), SystemChance())
        try:
            made = await example(name).open_engine(office.settings, remotes)
            limits = Limits(request_timeout_s=3.0, search_lag_s=0.1, consistency_s=0.1)
            parts = attrs.evolve(made.parts, limits=limits, locks=LocalLocks(lease_s=3.5, clock=SystemClock()))
            yield Lists(office, await Engine.open(parts))
        finally:
            await remotes.close()
