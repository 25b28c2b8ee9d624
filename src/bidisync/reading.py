"""Records read in bulk, just before their turn: one request a side for a chunk, where one by one would be hundreds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bidisync.detectors import by_version
from bidisync.index import Index
from bidisync.looking import Rows
from bidisync.model import Ref, Side, Snapshot
from bidisync.parts import Parts
from bidisync.plain import means_of
from bidisync.state import Link


async def read_many(
    parts: Parts, index: Index, refs: Collection[Ref], links: Mapping[Ref, Link], rows: Rows
) -> dict[Ref, Snapshot]:
    """The hinted records; also their counterparts where a list brought them along, or many go together."""
    wanted = [one for ref in refs for one in (links[ref].refs if ref in links and ref in rows else (ref,))]
    found = await _rows_of(parts, index, [ref for ref in wanted if ref not in rows], links)
    if means_of(parts) is not None:
        moved = [ref for ref in refs if ref in found and ref in links and not _as_it_was(links, ref, found[ref])]
        others = dict.fromkeys(other for ref in moved for other in links[ref].refs)
        missing = [ref for ref in others if ref not in rows and ref not in found]
        found |= await _rows_of(parts, index, missing, links)
    return found


async def _rows_of(parts: Parts, index: Index, refs: Sequence[Ref], links: Mapping[Ref, Link]) -> dict[Ref, Snapshot]:
    """Those of the records that are there, and known to the index from now on; one alone is looked at later."""
    found: dict[Ref, Snapshot] = {}
    for side in Side:
        ids = [ref.id for ref in refs if ref.side is side]
        if len(ids) > 1:
            many = await parts.replica(side).get_many(ids)
            found.update({Ref(side, id): snapshot for id, snapshot in many.items()})
            await index.learn(side, [s for id, s in many.items() if not _as_it_was(links, Ref(side, id), s)])
    return found


def _as_it_was(links: Mapping[Ref, Link], ref: Ref, snapshot: Snapshot) -> bool:
    """Whether a record has the version that it had when it was looked at last, and so is known by what it is."""
    shadow = links[ref].shadow(ref.side) if ref in links else None
    return shadow is not None and by_version(shadow, snapshot) is not None
