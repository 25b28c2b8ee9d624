"""Who is known on each side: keyed hashes, filled from lists, asked before anything is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from bidisync.identity import COUNTERPART
from bidisync.model import Fields, Ref, Side, Snapshot
from bidisync.pages import aopened
from bidisync.parts import Parts
from bidisync.state import Known

_SECRET = "index:secret"  # noqa: S105 - the name of a mark, not a secret


@attrs.define(eq=False, repr=False)
class Index:
    """The index of both sides, in the state store. Open it with ``Index.open``."""

    parts: Parts
    secret: bytes = attrs.field(repr=False)
    _listed: set[Side] = attrs.field(factory=set, repr=False, eq=False)

    @classmethod
    async def open(cls, parts: Parts) -> Index:
        """The index of this state; the secret of its hashes is made with it."""
        secret = await parts.store.get_mark(_SECRET)
        if secret is None:
            secret = await parts.store.first_mark(_SECRET, parts.chance.token())
        return cls(parts, secret.encode())

    def keys_of(self, fields: Fields) -> Mapping[str, str]:
        """The hashes that these fields answer to."""
        return self.parts.identity.keys(fields, self.secret)

    def keys(self, snapshot: Snapshot) -> Mapping[str, str]:
        """The hashes that a record answers to, the counterpart it names included."""
        counterpart = snapshot.notes.counterpart if snapshot.notes is not None else None
        return self.parts.identity.keys(snapshot.fields, self.secret, counterpart=counterpart)

    def known(self, side: Side, snapshot: Snapshot) -> Known:
        """The entry of a record."""
        return Known(Ref(side, snapshot.id), self.keys(snapshot))

    async def learn_all(self, snapshots: Mapping[Side, Snapshot]) -> None:
        """Put the records of a link that are there into the index."""
        there = [self.known(side, snapshot) for side, snapshot in snapshots.items() if not snapshot.gone]
        if there:
            await self.parts.store.learn(there)

    async def learn(self, side: Side, snapshots: Sequence[Snapshot]) -> None:
        """Put records into the index in place of what it held of them; gone ones leave it."""
        if not snapshots:
            return
        await self.parts.store.learn([self.known(side, s) for s in snapshots if not s.gone])
        gone = [Ref(side, s.id) for s in snapshots if s.gone]
        if gone:
            await self.parts.store.forget(gone)

    async def matches(self, side: Side, mine: Snapshot) -> Sequence[Known]:
        """The records of that side which share a key with this one."""
        return await self.parts.store.matches(side, self.parts.identity.keys(mine.fields, self.secret))

    async def naming(self, side: Side, counterpart: str) -> Sequence[Known]:
        """The records of that side whose notes name this id of the other."""
        keys = self.parts.identity.keys({}, self.secret, counterpart=counterpart)
        return await self.parts.store.matches(side, {COUNTERPART: keys[COUNTERPART]})

    async def ready(self, side: Side) -> None:
        """Make sure that the whole side was listed once; once it was, it stays so."""
        if side in self._listed:
            return
        if await self.parts.store.get_mark(f"index:{side.value}") is None:
            async with aopened(self.parts.replica(side).list()) as pages:
                async for page in pages:
                    await self.learn(side, page.snapshots)
            await self.complete(side)
        self._listed.add(side)

    async def complete(self, side: Side) -> None:
        """Remember that the whole side was listed, and how far it went."""
        newest = self.parts.replica(side).newest
        if newest is not None:
            await self.parts.store.set_mark(f"newest:{side.value}", newest)
        await self.parts.store.set_mark(f"index:{side.value}", "complete")

    async def newest(self, side: Side) -> str | None:
        """The newest record known on that side, in the replica's own words."""
        return self.parts.replica(side).newest or await self.parts.store.get_mark(f"newest:{side.value}")
