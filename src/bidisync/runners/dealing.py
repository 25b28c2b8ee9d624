"""One hint and the look at its record, whatever brought the two together.

A system that is out of order concerns every record. So nobody goes on asking for all of
them: the hints stay where they are, as old as they are, and one look at a time is tried
until one ends well. What fails for any other reason concerns one record alone.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import attrs

from bidisync.circuit import Circuit
from bidisync.clock import SystemClock
from bidisync.errors import Transient, Unauthorized, Unavailable
from bidisync.events import Served
from bidisync.protocols import Clock, Look, Observer
from bidisync.state import Hint
from bidisync.storage import HintStore

SOON_S = 0.2
DEFECT_S = 600.0
LOG = logging.getLogger("bidisync.runners")


def patience() -> Circuit:
    """Opens with the first look that finds a system out of order: 1 s, then up to a minute."""
    return Circuit(failures=1, first_s=1.0, most_s=60.0)


@attrs.define(eq=False)
class Dealing:
    """Takes hints from the store, has their records looked at, and settles them."""

    store: HintStore
    clock: Clock = attrs.Factory(SystemClock)
    hold_s: float = 60.0
    observe: Observer = lambda event: None
    _patience: Circuit = attrs.Factory(patience)

    def wait(self) -> float:
        """Seconds until hints may be taken; 0 lets the next one go."""
        return self._patience.wait(self.clock.monotonic())

    @property
    def careful(self) -> bool:
        """Whether a system was out of order when it was last asked: one look is enough to see."""
        return self._patience.open

    def untried(self) -> None:
        """There was nothing to look at."""
        self._patience.untold()

    async def settle(self, hint: Hint, look: Look) -> float | None:
        """Have the record looked at, and say when it is due again; a hint that was not dealt with stays."""
        looking = asyncio.ensure_future(look(hint.ref))
        try:
            hint = await self._held_while(looking, hint)
            again_at = await looking
        except (Unavailable, Unauthorized) as error:
            self._out_of_order(error)
            again_at = self.clock.now()
        except Exception as error:  # a defect that concerns one record must not stop the others
            self._patience.untold()
            LOG.error("a look at a record failed: %s", type(error).__name__)
            again_at = self.clock.now() + DEFECT_S
        except BaseException:
            self._patience.untold()
            await self.store.put_off(hint, self.clock.now())
            raise
        else:
            self._patience.succeeded()
            if again_at is None:
                await self.store.done([hint])
                self.observe(Served(hint.ref, max(0.0, self.clock.now() - hint.first_at)))
                return None
            again_at = max(again_at, self.clock.now() + SOON_S)
        await self.store.put_off(hint, again_at)
        return again_at

    async def _held_while(self, looking: asyncio.Future[float | None], hint: Hint) -> Hint:
        """The hint as it is held when the look has ended: nobody else gets it before that."""
        try:
            while not (await asyncio.wait([looking], timeout=self.hold_s / 3))[0]:
                with suppress(Transient):  # the next time, then
                    hint = await self.store.hold(hint, self.clock.now() + self.hold_s) or hint
        except asyncio.CancelledError:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            raise
        return hint

    def _out_of_order(self, error: Unavailable | Unauthorized) -> None:
        if not self._patience.open:
            LOG.warning("work pauses: %s", error)
        self._patience.failed(self.clock.monotonic())
