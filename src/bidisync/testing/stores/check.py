"""What every state store promises: run the check on yours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bidisync.storage import StateStore
from bidisync.testing.laws import all_hold
from bidisync.testing.stores import finding, journals, links, many

Make = Callable[[], Awaitable[StateStore]]
"""Makes an empty store; it is closed by the check."""


async def check_state_store(make: Make) -> None:
    """Fail with the name of the first promise that the stores made by ``make`` break. Has to be awaited.

    A store that offers ``save_many`` (``SavesMany``) is judged for that, too.
    """
    await all_hold((*links.LAWS, *finding.LAWS, *journals.LAWS, *many.LAWS), make)
