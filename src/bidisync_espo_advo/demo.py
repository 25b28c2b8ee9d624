"""The demo: two simulated systems over real HTTP, people who edit both, and the sync between them."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from bidisync.clock import SystemClock
from bidisync_espo_advo.app import PartySync, open_sync
from bidisync_espo_advo.commands import Exit, SyncResult
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.simulators import AdvowareServer, EspoServer, advoware_simulator, espocrm_simulator

EDITS = 10
"""How many records of each kind the simulated people edit, where there are that many."""


@attrs.frozen
class Office:
    """Both simulated systems and the people who edit them."""

    crm: EspoServer
    erp: AdvowareServer

    def pairs(self) -> list[tuple[str, int]]:
        """The linked records: EspoCRM's id and Advoware's number."""
        numbers = {id: record.get("betnr") for id, record in self.crm.store.records.items()}
        return [(id, number) for id, number in numbers.items() if isinstance(number, int)]

    def edit(self, pairs: list[tuple[str, int]]) -> Mapping[str, int]:
        """Let people edit: one side, the other, both in different fields, both in the same field."""
        kinds = {
            "edited in EspoCRM alone": self._in_crm,
            "edited in Advoware alone": self._in_erp,
            "edited on both sides, in different fields": self._disjoint,
            "edited on both sides, in the same field": self._contested,
            "edited in EspoCRM in a field that Advoware never changes": self._read_only,
        }
        share = min(EDITS, len(pairs) // len(kinds))
        done = {}
        for place, (kind, edit) in enumerate(kinds.items()):
            for id, number in pairs[place * share : (place + 1) * share]:
                edit(id, number)
            done[kind] = share
        return done

    def _in_crm(self, id: str, number: int) -> None:
        self.crm.store.edit(id, zusatz="c/o Musterfrau")

    def _in_erp(self, id: str, number: int) -> None:
        self.erp.store.edit(number, titel="Dr. h. c.")

    def _disjoint(self, id: str, number: int) -> None:
        self.crm.store.edit(id, zusatz="Hinterhaus")
        self.erp.store.edit(number, bAnrede="Guten Tag")

    def _contested(self, id: str, number: int) -> None:
        self.crm.store.edit(id, zusatz="2. Stock")
        self.erp.store.edit(number, zusatz="3. Stock")

    def _read_only(self, id: str, number: int) -> None:
        self.crm.store.edit(id, kurzname="Muster")


async def demo_command(*, records: int, seed: int, port: int, report: Report) -> int:
    """Run the demo and print each step; 0 if it came to rest, whatever it left to a person on the way."""
    own = max(1, records // 3)
    crm = espocrm_simulator(records=2 * own, seed=seed, port=port)
    erp = advoware_simulator(records=2 * own, seed=seed, port=port and port + 1, people_start=own)
    async with crm, erp:
        tables = {
            "espocrm": crm.config,
            "advoware": erp.config,
            "state": {"url": "sqlite:///:memory:"},
            "guards": {"max_overwrite_percent": 50.0},  # people here edit more at once than in any office
        }
        report.say(f"EspoCRM simulator on {crm.url} and Advoware simulator on {erp.url}")
        report.say(f"{2 * own} parties on each side, {own} of them on both; nothing is linked yet.")
        async with open_sync(Settings.from_tables(tables)) as sync:
            return await _show(Office(crm, erp), sync, report)


async def _show(office: Office, sync: PartySync, report: Report) -> int:
    steps: dict[str, object] = {}
    first = await _pass(sync, report, everything=True)
    _print(report, "1. First contact: both lists read once, the same parties linked, the others created", first)
    steps["first_contact"] = attrs.asdict(first)
    edits = office.edit(office.pairs())
    report.say("")
    for kind, number in edits.items():
        report.say(f"{number:>4} records {kind}")
    second = await _pass(sync, report)
    _print(report, "2. What people edited: carried over, merged, settled by strategy, or left to a person", second)
    steps["edits"], steps["second_sync"] = edits, attrs.asdict(second)
    third = await _pass(sync, report)
    writes = sum(third.calls[system][verb] for system in third.calls for verb in ("PUT", "DELETE"))
    writes += third.calls["espocrm"]["POST"] + sum(third.created.values())
    _print(report, f"3. Once more: {writes} writes", third)
    steps["third_sync"], steps["writes_of_third_sync"] = attrs.asdict(third), writes
    if report.as_json:
        report.show("Demo", [], steps)
    return Exit.IN_SYNC if writes == 0 else Exit.WAITING


def _print(report: Report, title: str, result: SyncResult) -> None:
    if not report.as_json:
        report.say("")
        report.show(title, result.rows(), {})


async def _pass(sync: PartySync, report: Report, *, everything: bool = False) -> SyncResult:
    clock = SystemClock()
    began, before = clock.monotonic(), sync.calls
    with report.progress("syncing") as progress:
        tally = await sync.sweep(everything=everything, progress=progress)
    calls = {
        system: {verb: number - before[system][verb] for verb, number in verbs.items()}
        for system, verbs in sync.calls.items()
    }
    return SyncResult.of(tally, await sync.states(), calls, clock.monotonic() - began)
