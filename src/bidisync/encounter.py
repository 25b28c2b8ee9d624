"""The first time that two stores meet: both hold records, and something has to tell which of them are the same.

Without that every record would be made on the other side too, and each would be there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Set

import attrs

from bidisync.errors import Misconfigured, Unmappable
from bidisync.identity import Identity
from bidisync.model import Side, Snapshot
from bidisync.pages import aopened
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

    That is so where no key was named, and where none is filled on both sides: a misspelt name is
    filled nowhere. Nothing was written then. What was begun before goes on, and a record that
    names its counterpart is no stranger.
    """
    if await parts.store.get_mark(CONTACT) is not None or any((await parts.store.count()).values()):
        return
    identity = parts.identity
    if identity.fields and not all(side.capabilities.row_is_complete for side in parts.replicas.values()):
        return  # what a row lacks may be filled all the same
    left = await _meet(parts.left, identity, bool if identity.fields else _whatever)
    if not left.strangers:
        return
    right = await _meet(parts.right, identity, left.keys.intersection if left.keys else _whatever)
    if not right.strangers or right.keys & left.keys:
        return
    if left.keys and right.keys:  # the left was read up to its first key only
        left = await _meet(parts.left, identity, right.keys.intersection)
        if left.keys & right.keys:
            return
    raise Misconfigured(_unanswered(identity, left, right) if identity.fields else UNTOLD)


@attrs.frozen
class _Met:
    """What is told of a side by the records that were read: whether any is a stranger, and the keys they answer to."""

    strangers: bool = False
    keys: frozenset[str] = frozenset()


async def _meet(replica: Replica, identity: Identity, enough: Callable[[frozenset[str]], object]) -> _Met:
    """Read that side until it holds a stranger and its keys are enough: one page says so as a rule."""
    met = _Met()
    async with aopened(replica.list()) as pages:
        async for page in pages:
            for row in page.snapshots:
                if row.gone:
                    continue
                names_nobody = row.notes is None or row.notes.counterpart is None
                met = _Met(met.strangers or names_nobody, met.keys | _keys(identity, row))
                if met.strangers and enough(met.keys):
                    return met
    return met


def _whatever(_: Set[str]) -> bool:
    return True


def _keys(identity: Identity, row: Snapshot) -> Set[str]:
    """The names of the keys that a record answers to; none where they can't be read, for it waits for a person."""
    try:
        return identity.keys(row.fields, b"").keys()
    except Unmappable:
        return frozenset()


def _unanswered(identity: Identity, left: _Met, right: _Met) -> str:
    keys = (*identity.strong, *identity.weak, *((name,) for name in identity.scored))
    named = " or ".join(" + ".join(names) for names in dict.fromkeys(keys))
    empty = next((side for side, met in ((Side.LEFT, left), (Side.RIGHT, right)) if not met.keys), None)
    lack = "none of them is filled on both sides" if empty is None else f"no record of the {empty.value} side has it"
    return (
        f"both sides hold records already, and {named} shall tell which of them are the same, but {lack}: "
        "is a name misspelt? Say strangers=True if none is on both sides, and each shall be made on the other too"
    )
