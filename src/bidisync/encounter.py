"""The first time that two stores meet: both hold records, and something has to tell which of them are the same.

Without that every record would be made on the other side too, and each would be there twice.
"""

from __future__ import annotations

from bidisync.errors import Misconfigured
from bidisync.pages import listed
from bidisync.parts import Parts
from bidisync.protocols import Replica
from bidisync.sweep import CONTACT

UNTOLD = (
    "both sides hold records already, and nothing tells which of them are the same: name the fields that do, "
    "as in match=['isbn'], or say strangers=True if none is on both sides, and each shall be made on the other too; "
    "with state='memory:' every start is such a first contact"
)


async def refuse_untold(parts: Parts) -> None:
    """``Misconfigured`` if both sides hold records at first contact and nobody could tell one from another.

    Nothing was written then. What was begun before goes on, and a record that names its counterpart is no stranger.
    """
    if parts.identity.fields or await parts.store.get_mark(CONTACT) is not None:
        return
    if sum((await parts.store.count()).values()):
        return
    if await _holds_strangers(parts.left) and await _holds_strangers(parts.right):
        raise Misconfigured(UNTOLD)


async def _holds_strangers(replica: Replica) -> bool:
    """Whether that side has a record which names no counterpart; one page of its list says so as a rule."""
    async with listed(replica.list()) as pages:
        async for page in pages:
            for row in page.snapshots:
                if not row.gone and (row.notes is None or row.notes.counterpart is None):
                    return True
    return False
