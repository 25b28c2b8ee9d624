"""What the state was made for: where the mapping or the systems change, the fields concerned begin anew.

A base that was agreed on under another mapping says nothing about the values of now. So the
base of such fields is dropped once, the sides meet again under the initial policy, and until
both lists were read in full nothing is deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import attrs

from bidisync.errors import Contended
from bidisync.parts import Parts
from bidisync.state import Link

EVERYTHING = ""
"""The name in a scope of what concerns every field: the systems and the kind of record."""

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
    if changed:
        await parts.store.set_mark(_BASELINE, "pending")
        async for links in parts.store.links():
            for link in links:
                await _forget_base(parts, link, changed)
    await parts.store.set_mark(_SCOPE, json.dumps(now))
    return changed


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
