"""By when a write has to begin: after that, somebody else may be at the same record.

The engine looks at its lease just before it calls a replica. But a client may have to sign in
first, or to wait for its turn, and a process may be stopped meanwhile. So whoever sends asks
once more, at the moment of sending. A replica that sends at once needs not ask.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from bidisync.errors import Contended

_LATEST: ContextVar[float] = ContextVar("latest", default=math.inf)


@contextmanager
def begun_by(latest: float) -> Iterator[None]:
    """Within this block a write begins by then, by the clock that never goes back, or not at all."""
    before = _LATEST.set(latest)
    try:
        yield
    finally:
        _LATEST.reset(before)


def still_in_time(now: float) -> None:
    """Return if a write may begin now; ``Contended`` if that is too late, and nothing was sent."""
    if now > _LATEST.get():
        raise Contended("the lease ends before a request could")
