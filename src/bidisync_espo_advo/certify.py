"""Measuring one Advoware on one party: what it stores, refuses, normalises, and when its tokens move.

Everything is found out by writing and reading like any client; what the party held before is
written back at the end. Nobody else should work on that party meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import attrs

from bidisync.clock import local_seconds, utc_seconds, utc_text
from bidisync.errors import Misconfigured, Rejected, Stale, Unavailable
from bidisync.mapping import same_text
from bidisync.model import ABSENT, Conditional, Seen, Snapshot, Value
from bidisync.protocols import Chance, Clock
from bidisync_espo_advo.advoware import CHANGED, AdvowareReplica
from bidisync_espo_advo.fields import PARTY, PartyField
from bidisync_espo_advo.profile import AdvowareProfile, Empty, Moves, Stamp

PAUSE_S = 1.1  # so that a stamp of whole seconds can move
LIST_PATIENCE_S = 30.0
CLOSE_S = 120.0  # how far apart two clocks may be
RACES = 10
SCRATCH = "zusatz"
"""The field that is written to and fro: text, writable, and of no consequence."""

Told = Callable[[str], None]


@attrs.define
class Measurement:
    """One party under test. ``said`` hears what is being done."""

    replica: AdvowareReplica
    clock: Clock
    chance: Chance
    zone: str
    said: Told = lambda line: None
    profile: AdvowareProfile = AdvowareProfile()
    _original: dict[str, Value] = attrs.Factory(dict)

    async def run(self, id: str | None) -> tuple[str, AdvowareProfile]:
        """The number of the party that was used (made, if none is named), and what was found."""
        if id is None:
            self.said("making a party to measure on")
            id = await self._make()
        before = await self.replica.get(id)
        if before.gone:
            raise Misconfigured(f"there is no party {id} in advoware")
        self._original = {field.advoware: _held(before.fields.get(field.advoware)) for field in PARTY}
        try:
            for what, measure in (
                ("how tokens move", self._versions),
                ("whether outdated writes are refused", self._stale_writes),
                ("what empty fields look like", self._empty),
                ("what time stamps say", self._stamps),
                ("which fields are stored", self._fields),
            ):
                self.said(f"measuring {what}")
                await measure(id)
        finally:
            self.said("writing back what the party held before")
            await self._restore(id)
        return id, attrs.evolve(self.profile, measured_at=utc_text(self.clock.now()))

    async def _make(self) -> str:
        highest = 0
        async for page in self.replica.list():
            highest = max([highest, *(int(row.id) for row in page.snapshots)])
        name = f"Zz Pruefsatz {self.chance.token()[:8]}"
        began = self.clock.now()
        created = await self.replica.create({"name": name, "vorname": "Bidisync"})
        lag = await self._listed_after(created.id, began)
        self.profile = attrs.evolve(
            self.profile,
            create_reply_has_version=created.version is not None,
            numbers_rise=int(created.id) > highest,
            list_lag_s=lag,
        )
        return created.id

    async def _listed_after(self, id: str, began: float) -> float | None:
        while (waited := self.clock.now() - began) < LIST_PATIENCE_S:
            async for page in self.replica.list():
                if any(row.id == id for row in page.snapshots):
                    return round(self.clock.now() - began, 2)
            await self.clock.sleep(min(1.0, 0.1 + waited / 4))
        return None

    async def _write(self, seen: Snapshot, changes: Mapping[str, Value]) -> Snapshot:
        await self.replica.update(seen, changes)
        return await self.replica.get(seen.id)

    async def _versions(self, id: str) -> None:
        first = await self.replica.get(id)
        same = await self._write(first, {})
        changed = await self._write(same, {SCRATCH: "Probe A"})
        back = await self._write(changed, {SCRATCH: self._original[SCRATCH]})
        again = await self._write(back, {SCRATCH: "Probe A"})
        seen = [snapshot.version for snapshot in (first, same, changed, back, again)]
        moves: Moves = "unknown"
        if None not in seen:
            if changed.version == same.version or back.version == changed.version:
                moves = "never"
            else:
                moves = "every_write" if same.version != first.version else "real_change"
        returns = None in seen or back.version == same.version or again.version == changed.version
        self.profile = attrs.evolve(self.profile, version_moves=moves, version_returns=returns)

    async def _stale_writes(self, id: str) -> None:
        old = await self.replica.get(id)
        newer = await self._write(old, {SCRATCH: "Probe B"})
        if newer.version == old.version:
            return  # without a token that moves there is no telling: the weakest stands
        try:
            await self.replica.update(old, {SCRATCH: "Probe C"})
        except (Stale, Rejected):
            self.profile = attrs.evolve(self.profile, conditional_write=await self._raced(id))

    async def _raced(self, id: str) -> Conditional:
        """Whether of two writes at the same moment exactly one wins."""
        for number in range(RACES):
            seen = await self.replica.get(id)
            passed = await asyncio.gather(
                *(self.replica.update(seen, {SCRATCH: f"Probe {number}{side}"}) for side in "DE"),
                return_exceptions=True,
            )
            if sum(not isinstance(result, BaseException) for result in passed) > 1:
                return Conditional.CHECKED
        return Conditional.ENFORCED

    async def _empty(self, id: str) -> None:
        seen = await self._write(await self.replica.get(id), {SCRATCH: "Probe F"})
        now = await self._write(seen, {SCRATCH: None})
        shown = now.fields.get(SCRATCH, ABSENT)
        empty: Empty = "absent" if shown is ABSENT else "null" if _held(shown) in (None, "") else "other"
        self.profile = attrs.evolve(self.profile, empty_as=empty)

    async def _stamps(self, id: str) -> None:
        before = await self.replica.get(id)
        await self.clock.sleep(PAUSE_S)
        now = await self._write(before, {SCRATCH: "Probe G"})
        stamp = self._stamp(before.fields.get(CHANGED), now.fields.get(CHANGED))
        self.profile = attrs.evolve(self.profile, changed_at=stamp)
        if stamp in ("local", "utc", "offset"):
            at = local_seconds(str(now.fields[CHANGED]), "UTC" if stamp == "utc" else self.zone).at
            self.profile = attrs.evolve(self.profile, clock_off_s=round(at - self.clock.now(), 1))

    def _stamp(self, before: Seen, now: Seen) -> Stamp:
        if not isinstance(now, str) or now.startswith("0001-"):
            return "missing"
        if before == now:
            return "unreliable"
        try:
            local = local_seconds(now, self.zone)
            if now.endswith("Z") or local_seconds(now, "UTC").at == local_seconds(now, "America/New_York").at:
                return "offset" if abs(local.at - self.clock.now()) < CLOSE_S else "unreliable"
            if abs(local.at - self.clock.now()) < CLOSE_S:
                return "local"
            return "utc" if abs(utc_seconds(now[:19]) - self.clock.now()) < CLOSE_S else "unreliable"
        except ValueError:
            return "unreliable"

    async def _fields(self, id: str) -> None:
        ignored: list[str] = []
        altered: list[str] = []
        refused: list[str] = []
        moved: list[str] = []
        for number, field in enumerate(PARTY):
            seen = await self.replica.get(id)
            sent = _probe(field, number)
            try:
                now = await self._write(seen, {field.advoware: sent})
            except (Rejected, Stale):
                refused.append(field.advoware)
                continue
            got = _held(now.fields.get(field.advoware))
            if not _same(got, sent):
                untouched = _same(got, _held(seen.fields.get(field.advoware)))
                (ignored if untouched else altered).append(field.advoware)
            moved += _also_moved(seen, now, field.advoware)
        self.profile = attrs.evolve(
            self.profile,
            ignored=tuple(ignored),
            altered=tuple(altered),
            refused=tuple(refused),
            side_effects=tuple(dict.fromkeys(moved)),
        )

    async def _restore(self, id: str) -> None:
        seen = await self.replica.get(id)
        changed = {n: v for n, v in self._original.items() if not _same(_held(seen.fields.get(n)), v)}
        takes = {n: v for n, v in changed.items() if n not in (*self.profile.ignored, *self.profile.refused)}
        if takes:
            try:
                await self._write(seen, takes)
            except (Rejected, Stale) as error:
                names = ", ".join(takes)
                raise Unavailable(f"the party {id} could not be written back: check its fields {names}") from error


def _probe(field: PartyField, number: int) -> Value:
    if field.name == "form_of_address":
        return "Frau"  # a code that a system may act upon
    return f"1980-02-{10 + number:02}T00:00:00" if field.form == "date" else f"Probe {chr(ord('a') + number)}x"


def _held(value: Seen) -> Value:
    return None if value is ABSENT else value


def _same(one: Value, other: Value) -> bool:
    return (same_text(one) or None) == (same_text(other) or None)


def _also_moved(before: Snapshot, now: Snapshot, written: str) -> Sequence[str]:
    mapped = {field.advoware for field in PARTY} - {written}
    return [n for n in sorted(mapped) if not _same(_held(before.fields.get(n)), _held(now.fields.get(n)))]
