"""Every edit that people made, what it replaced, and whether any was lost.

An edit is a text that nobody else writes. It is not lost if it stands on both sides, or if
the journal says that the sync wrote over it, or if a person who had it before their eyes
replaced it by an edit that is not lost: an ancestor of something kept.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import attrs

from bidisync.rest import from_rest
from bidisync.state import Journaled
from watch import WATCH

PAIRS = {"lastName": "name", "firstName": "vorname", "titel": "titel", "zusatz": "zusatz", "briefanrede": "bAnrede"}
"""What each of EspoCRM's fields is in Advoware, of those that people edit here."""
SHARED, CRM_ALONE, ERP_ALONE = "zusatz", "titel", "briefanrede"


@attrs.frozen
class System:
    """One simulator's control channel: what a person does there."""

    url: str
    key: str
    http: aiohttp.ClientSession

    async def rows(self) -> list[dict[str, Any]]:
        """Every record."""
        async with self.http.get(f"{self.url}_simulator/records") as reply:
            return list(await reply.json())

    async def create(self, values: Mapping[str, Any]) -> Any:
        """A new record; its key."""
        async with self.http.post(f"{self.url}_simulator/records", json=dict(values)) as reply:
            return next(iter((await reply.json()).values()))

    async def edit(self, id: Any, field: str, text: str) -> str | None:
        """Write one field; what stood there at that moment."""
        async with self.http.patch(f"{self.url}_simulator/records/{id}", json={field: text}) as reply:
            reply.raise_for_status()
            return (await reply.json())[field]

    async def fail(self, *rules: Mapping[str, Any]) -> None:
        """Order faults."""
        async with self.http.post(f"{self.url}_simulator/faults", json=list(rules)) as reply:
            reply.raise_for_status()

    async def behave_well(self) -> None:
        """No more faults."""
        async with self.http.delete(f"{self.url}_simulator/faults") as reply:
            reply.raise_for_status()

    async def requests(self) -> list[dict[str, Any]]:
        """The log of the requests."""
        async with self.http.get(f"{self.url}_simulator/log") as reply:
            return list((await reply.json())["requests"])

    async def forget_requests(self) -> None:
        """Count from here."""
        async with self.http.delete(f"{self.url}_simulator/log") as reply:
            reply.raise_for_status()

    async def writes(self) -> dict[str, int]:
        """How many requests there were that may have written a record, by verb."""
        found = {"POST": 0, "PUT": 0, "DELETE": 0}
        for entry in await self.requests():
            if entry["method"] in found and "eteiligte" in entry["path"]:
                found[entry["method"]] += 1
        return found


@attrs.define
class People:
    """Those who work in both systems, and the ledger of what they did."""

    crm: System
    erp: System
    rng: random.Random
    both_sides: bool = True  # False: each field is edited on one side alone
    replaced: dict[str, str | None] = attrs.Factory(dict)
    uncontested: set[str] = attrs.Factory(set)  # edits of fields that only one side's people touch
    names: set[str] = attrs.Factory(set)
    crm_ids: list[str] = attrs.Factory(list)
    erp_ids: list[int] = attrs.Factory(list)

    async def know_everybody(self) -> None:
        """Take the records that are there already for theirs."""
        for row in await self.crm.rows():
            self.crm_ids.append(row["id"])
            self.names.add(row["lastName"])
        for row in await self.erp.rows():
            self.erp_ids.append(row["betNr"])
            self.names.add(row["name"])

    async def do_something(self) -> None:
        """An edit, or now and then a new party."""
        if self.rng.random() < 0.06:
            await self.take_on_somebody()
        else:
            await self.edit_something()

    async def take_on_somebody(self) -> None:
        """A new party on one side, by a name that nobody else has."""
        name, text = f"Neu{len(self.names)}", self._text()
        self.names.add(name)
        self.replaced[text] = None
        if self.rng.random() < 0.5:
            person = {"lastName": name, "firstName": "Ada", "dateOfBirth": "1980-02-29", "zusatz": text}
            self.crm_ids.append(await self.crm.create(person))
        else:
            person = {"name": name, "vorname": "Bob", "geburtsdatum": "1970-01-01T00:00:00", "zusatz": text}
            self.erp_ids.append(await self.erp.create(person))

    async def edit_something(self, id: Any = None) -> str:
        """A new text in a field of some record; the text."""
        text, in_crm = self._text(), self.rng.random() < 0.5
        shared = self.both_sides and self.rng.random() < 0.5
        if in_crm:
            field = SHARED if shared else CRM_ALONE
            self.replaced[text] = await self.crm.edit(id or self.rng.choice(self.crm_ids), field, text)
        else:
            field = PAIRS[SHARED if shared else ERP_ALONE]
            self.replaced[text] = await self.erp.edit(id or self.rng.choice(self.erp_ids), field, text)
        if not shared:
            self.uncontested.add(text)
        return text

    def _text(self) -> str:
        return f"Text {len(self.replaced)}"

    async def find_faults(self, state: Path) -> Findings:
        """What went wrong: compare both sides, the journal and the ledger."""
        crm, erp = await self.crm.rows(), {row["betNr"]: row for row in await self.erp.rows()}
        findings = Findings()
        WATCH.keep([*crm, *erp.values(), *({"name": word} for word in (*self.names, *self.replaced))], {})
        kept: set[str] = set()
        for row in crm:
            party = erp.get(row["betnr"])
            if party is None:
                findings.unlinked.append(row["lastName"])
                continue
            for mine, theirs in PAIRS.items():
                if row[mine] != party[theirs]:
                    findings.different.append(f"{row['lastName']}.{mine}: {row[mine]!r}, {party[theirs]!r}")
                elif row[mine] is not None:
                    kept.add(row[mine])
        names = [row["lastName"] for row in crm], [row["name"] for row in erp.values()]
        findings.doubled = [name for side in names for name in sorted(set(side)) if side.count(name) > 1]
        findings.missing = [name for side in names for name in sorted(self.names - set(side))]
        journaled = {value for line in journal(state) for _, _, value in line.lost if isinstance(value, str)}
        lost = set(self.replaced) - self._ancestors(kept | journaled)
        findings.lost = sorted(lost)
        beaten = set(self.replaced) - self._ancestors(kept)
        findings.beaten = len(beaten)
        findings.misjudged = sorted(beaten & self.uncontested)
        return findings

    def _ancestors(self, texts: Iterable[str]) -> set[str]:
        known: set[str] = set()
        for text in texts:
            now: str | None = text
            while now is not None and now not in known:
                known.add(now)
                now = self.replaced.get(now)
        return known


@attrs.define
class Findings:
    """What is wrong in the end.

    ``misjudged`` are edits that the sync took back although nobody edited the other side;
    ``beaten`` are all that lost a conflict, which is not wrong.
    """

    lost: list[str] = attrs.Factory(list)
    doubled: list[str] = attrs.Factory(list)
    missing: list[str] = attrs.Factory(list)
    unlinked: list[str] = attrs.Factory(list)
    different: list[str] = attrs.Factory(list)
    misjudged: list[str] = attrs.Factory(list)
    beaten: int = 0

    @property
    def wrong(self) -> dict[str, list[str]]:
        """Everything wrong, by kind."""
        kinds = ("lost", "doubled", "missing", "unlinked", "different", "misjudged")
        return {kind: found for kind in kinds if (found := getattr(self, kind))}


def journal(state: Path) -> list[Journaled]:
    """The whole journal."""
    connection = sqlite3.connect(f"{state.resolve().as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT document FROM journal").fetchall()
    finally:
        connection.close()
    return [from_rest(WATCH.seal().unseal(document), Journaled) for (document,) in rows]


def left_open(state: Path) -> dict[str, int]:
    """Links that are not simply in step, and open intents, by name; empty in the end."""
    connection = sqlite3.connect(f"{state.resolve().as_uri()}?mode=ro", uri=True)
    try:
        found = dict(connection.execute("SELECT state, count(*) FROM link WHERE state <> 'in_sync' GROUP BY state"))
        for name in ("intent", "due"):
            (number,) = connection.execute(f"SELECT count(*) FROM link WHERE {name} = 1").fetchone()
            if number:
                found[name] = number
    finally:
        connection.close()
    return found
