"""What the state was made for: where the mapping or the systems change, the fields concerned begin anew.

A base that was agreed on under another mapping says nothing about the values of now. So the
base of such fields is dropped once, the sides meet again under the initial policy, and until
both lists were read in full nothing is deleted. A field that takes part since now has no base
yet: whoever lacks it is looked at again, though no record moved.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

import attrs

from bidisync.errors import Contended
from bidisync.model import Review, ReviewKind, Side
from bidisync.parts import Parts
from bidisync.schema import Policy
from bidisync.state import ALTERED, DELETE_REFUSED, Attempts, Link
from bidisync.storage import SavesMany

EVERYTHING = ""
"""The name in a scope of what concerns every field: the systems and the kind of record."""

POLICY = ":policy"
"""The name in a scope of what the groups are configured to do: what it blocked is tried again."""


def scope_of(policy: Policy) -> Mapping[str, str]:
    """The scope of fields that are called the same on both sides: which they are, and what is declared of them."""
    names = [field.name for field in policy.fields]
    return {**dict(zip(names, names, strict=True)), POLICY: policy.name_of(group.name for group in policy.groups)}


_SCOPE, _BASELINE = "scope", "baseline"
_LEFT_OUT = "was "
"""Begins in the mark what the state was made for where that takes no part any more: a base of it is still there."""
_ANYBODY = "pending"
"""What a release that knew no name of a scope stored as such a mark."""


async def begin_anew(parts: Parts) -> frozenset[str]:
    """Have the fields begin anew whose mapping is not the one that this state was used with; their names.

    Those that it was not used with at all begin now, and what comes back counts as what it was
    when it left. That nobody named the systems before does not make them others.
    """
    now = _hashed(parts.scope)
    if now and await in_baseline(parts):
        await _begin_baseline(parts)
    stored = await parts.store.get_mark(_SCOPE)
    before: Mapping[str, str] = json.loads(stored) if stored else {}
    mark = json.dumps(_remembered(before, now))
    if not now or stored == mark:
        return frozenset()
    fields = frozenset(field.name for field in parts.policy.fields)
    changed = frozenset(name for name in now if name in before and before[name].removeprefix(_LEFT_OUT) != now[name])
    if EVERYTHING in changed:
        changed = fields
    added = frozenset(name for name in now if before.get(name, _LEFT_OUT).startswith(_LEFT_OUT)) & (fields | {POLICY})
    if stored:  # what a base of theirs was agreed on under is not known
        changed |= added - before.keys()
    concerned = (changed | added) - {POLICY}
    if concerned:
        if stored:
            await _begin_baseline(parts)
        async for links in parts.store.links():
            await _all_begin_again(parts, links, changed - {POLICY}, concerned & fields)
    if stored and (changed or added):  # a state that knew no scope was used with this one, as far as anybody can tell
        for link in await parts.store.waiting():
            await _try_again(parts, link, changed)
    await parts.store.set_mark(_SCOPE, mark)
    return concerned


def _hashed(scope: Mapping[str, str]) -> Mapping[str, str]:
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in sorted(scope.items())}


def _remembered(before: Mapping[str, str], now: Mapping[str, str]) -> Mapping[str, str]:
    """The scope of now, and what left it; nothing of that counts any more where the systems are others."""
    if EVERYTHING in now and before.get(EVERYTHING, now[EVERYTHING]).removeprefix(_LEFT_OUT) != now[EVERYTHING]:
        return now
    left = {name: _LEFT_OUT + text.removeprefix(_LEFT_OUT) for name, text in before.items() if name not in now}
    return dict(sorted({**left, **now}.items()))


async def _try_again(parts: Parts, link: Link, changed: frozenset[str]) -> None:
    """What was blocked, contested, refused or given up under another configuration is decided anew.

    Not what a side made of a value of ours, unless the field is another one now: what stands
    there is no edit of a person, and would count as one.
    """
    kinds = (ReviewKind.BLOCKED, ReviewKind.CONFLICT)

    def stays(review: Review) -> bool:
        if review.reason == ALTERED:
            return not changed & review.fields.keys()
        return review.kind not in kinds and review.reason != DELETE_REFUSED

    kept = tuple(review for review in link.reviews if stays(review))
    if len(kept) < len(link.reviews) or link.attempts.dead:
        with suppress(Contended):  # whoever is at it uses the new configuration, or will
            await parts.store.save(attrs.evolve(link, reviews=kept, attempts=Attempts(), settled=False))


async def _all_begin_again(
    parts: Parts, links: Sequence[Link], dropped: frozenset[str], wanted: frozenset[str]
) -> None:
    """Store those of the links that begin again; together, where the store can and nobody is at one of them."""
    due = [again for link in links if (again := _begun_again(link, dropped, wanted)) is not None]
    if due and not await in_baseline(parts):
        await _begin_baseline(parts)
    if due and isinstance(parts.store, SavesMany):
        with suppress(Contended):
            await parts.store.save_many([(link, ()) for link in due])
            return
    for again in due:
        await _begin_again(parts, again, dropped, wanted)


def _begun_again(link: Link, dropped: frozenset[str], wanted: frozenset[str]) -> Link | None:
    """The link without a base of the dropped fields, and due; ``None`` where it has one of all that are wanted."""
    if link.tombstoned or not (dropped & set(link.base) or _lacks(link, wanted)):
        return None
    base = {name: agreed for name, agreed in link.base.items() if name not in dropped}
    return attrs.evolve(link, base=base, settled=False)


async def _begin_again(parts: Parts, again: Link, dropped: frozenset[str], wanted: frozenset[str]) -> None:
    """Store a link that begins again; read anew where somebody was at it."""
    due: Link | None = again
    while due is not None:
        try:
            await parts.store.save(due)
        except Contended:
            found = await parts.store.load(due.refs)
            due = next((_begun_again(link, dropped, wanted) for link in found.values()), None)
        else:
            return


def _lacks(link: Link, fields: frozenset[str]) -> bool:
    """Whether two linked records were last looked at without one of these fields, or never agreed on it."""
    shadows = [link.shadow(side) for side in Side]
    known = [link.base, *(() if shadow is None else shadow.fields for shadow in shadows)]
    return len(link.refs) == len(Side) and any(name not in names for names in known for name in fields)


async def _begin_baseline(parts: Parts) -> None:
    """Nothing is deleted before both lists were read in full under this scope; who begins last reads them."""
    await parts.store.set_mark(_BASELINE, _name_of(parts))


async def in_baseline(parts: Parts) -> bool:
    """Whether nothing may be deleted yet, because a full pass under the new scope is still to come."""
    return await parts.store.get_mark(_BASELINE) is not None


async def baseline_done(parts: Parts) -> None:
    """Both lists were read in full under this scope; that of a worker with another one is still to come."""
    pending = await parts.store.get_mark(_BASELINE)
    if pending is not None and (not parts.scope or pending in (_name_of(parts), _ANYBODY)):
        await parts.store.set_mark(_BASELINE, None)


def _name_of(parts: Parts) -> str:
    """Tells this scope from others, whatever the policy is."""
    mapped = {name: text for name, text in _hashed(parts.scope).items() if name != POLICY}
    return hashlib.sha256(json.dumps(mapped).encode()).hexdigest()[:16]
