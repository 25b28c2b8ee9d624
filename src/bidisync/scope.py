"""What the state was made for: where the mapping or the systems change, the fields concerned begin anew.

A base that was agreed on under another mapping says nothing about the values of now. So the
base of such fields is dropped once, the sides meet again under the initial policy, and until
both lists were read in full nothing is deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress

import attrs

from bidisync.errors import Contended
from bidisync.model import ReviewKind
from bidisync.parts import Parts
from bidisync.proof import DELETE_REFUSED
from bidisync.state import Attempts, Link

EVERYTHING = ""
"""The name in a scope of what concerns every field: the systems and the kind of record."""

POLICY = ":policy"
"""The name in a scope of what the groups are configured to do: what it blocked is tried again."""

_SCOPE, _BASELINE = "scope", "baseline"


async def begin_anew(parts: Parts) -> frozenset[str]:
    """Drop the base of the fields whose mapping is not the one that this state was used with; their names."""
    now = {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in sorted(parts.scope.items())}
    stored = await parts.store.get_mark(_SCOPE)
    if not now or stored == json.dumps(now):
        return frozenset()
    before: Mapping[str, str] = json.loads(stored) if stored else now
    changed = frozenset(name for name in now if before.get(name, now[name]) != now[name])
    if EVERYTHING in changed:
        changed = frozenset(field.name for field in parts.policy.fields)
    if changed - {POLICY}:
        await parts.store.set_mark(_BASELINE, "pending")
        async for links in parts.store.links():
            for link in links:
                await _forget_base(parts, link, changed)
    if changed:
        for link in await parts.store.waiting():
            await _try_again(parts, link)
    await parts.store.set_mark(_SCOPE, json.dumps(now))
    return changed - {POLICY}


async def _try_again(parts: Parts, link: Link) -> None:
    """What was blocked, contested, refused or given up under another configuration is decided anew."""
    kinds = (ReviewKind.BLOCKED, ReviewKind.CONFLICT)
    kept = tuple(review for review in link.reviews if review.kind not in kinds and review.reason != DELETE_REFUSED)
    if len(kept) < len(link.reviews) or link.attempts.dead:
        with suppress(Contended):  # whoever is at it uses the new configuration, or will
            await parts.store.save(attrs.evolve(link, reviews=kept, attempts=Attempts(), settled=False))


async def _forget_base(parts: Parts, link: Link, fields: frozenset[str]) -> None:
    while not link.tombstoned and fields & set(link.base):
        base = {name: agreed for name, agreed in link.base.items() if name not in fields}
        try:
            await parts.store.save(attrs.evolve(link, base=base, settled=False))
        except Contended:
            found = await parts.store.load(link.refs)
            link = next(iter(found.values()), attrs.evolve(link, base={}))
        else:
            return


async def in_baseline(parts: Parts) -> bool:
    """Whether nothing may be deleted yet, because a full pass under the new scope is still to come."""
    return await parts.store.get_mark(_BASELINE) is not None


async def baseline_done(parts: Parts) -> None:
    """Both lists were read in full under this scope."""
    if await in_baseline(parts):
        await parts.store.set_mark(_BASELINE, None)
