"""The demo: two simulated systems over real HTTP, people who edit both, and the sync between them."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping

import attrs

from bidisync.clock import SystemClock
from bidisync.errors import Unavailable
from bidisync.outcome import Tally
from bidisync.stores.memory import MemoryStore
from bidisync.sweep import Progress
from bidisync_espo_advo.app import PartySync, Store, open_sync
from bidisync_espo_advo.commands import Exit, SyncResult
from bidisync_espo_advo.report import Report
from bidisync_espo_advo.running import opened
from bidisync_espo_advo.serving import site_of, stopped
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.simulators import AdvowareServer, EspoServer, advoware_simulator, espocrm_simulator
from bidisync_espo_advo.web import application, listening
from bidisync_espo_advo.web.pulse import Pulse
from bidisync_espo_advo.webhook import EVENTS

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


HOSTILE = {"faults": "all"}
"""One call in eight to Advoware goes wrong: lost, answered late, answered with half of the answer."""

MOST_TRIES = 12


async def demo_command(
    *, records: int, seed: int, port: int, report: Report, serve: bool = False, hostile: bool = False
) -> int:
    """Run the demo and print each step; 0 if it came to rest, whatever it left to a person on the way.

    With ``serve`` everything then goes on until stopped; with ``hostile`` the simulators misbehave.
    """
    own = max(1, records // 3)
    crm = espocrm_simulator(records=2 * own, seed=seed, port=port, switches={"webhook.interval_s": "1"})
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
        if hostile:
            tables |= {
                "espocrm": {**crm.config, "timeout_s": 3.0},
                "advoware": {**erp.config, "timeout_s": 3.0},
                "lock": {"lease_s": 4.0},
                "sync": {"search_lag_s": 0.2, "max_attempts": 50},
            }
            erp.store.behave(HOSTILE)
            report.say("Advoware misbehaves: one call in eight goes wrong.")
        store = MemoryStore()
        async with open_sync(Settings.from_tables(tables), store=store) as sync:
            status = await _show(Office(crm, erp), sync, report)
        if serve:
            await _go_on(Settings.from_tables(_hooked(tables, crm)), store, report)
        return status


def _hooked(tables: Mapping[str, Mapping[str, object]], crm: EspoServer) -> dict[str, dict[str, object]]:
    """The tables with a site on a free port, and webhooks of the simulated EspoCRM to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    keys = {}
    for event in EVENTS:
        body = {
            "event": f"CBeteiligte.{event}",
            "url": f"http://127.0.0.1:{port}/webhooks/espocrm/{event}",
            "skipOwn": True,
        }
        hook = crm.store.webhooks.register(body, crm.store.users["sync"])
        keys[hook["id"]] = hook["secretKey"]
    found = {name: dict(table) for name, table in tables.items()}
    found["espocrm"]["webhooks"] = keys
    found["web"] = {"port": port, "token": secrets.token_urlsafe(24)}
    found["sync"] = {**found.get("sync", {}), "poll_interval_s": 5.0}
    return found


async def _go_on(settings: Settings, store: Store, report: Report) -> None:
    """Keep the worker and the site running until stopped."""
    with stopped() as over:
        pulse = Pulse(SystemClock().monotonic)
        async with opened(settings, store=store, observers=(pulse,)) as works:
            site = application(site_of(works, settings.web.token, pulse))
            async with listening(site, settings.web.host, settings.web.port) as url:
                report.say("")
                addresses = f"EspoCRM on {settings.espocrm.url}, Advoware on {settings.advoware.discovery_url}"
                report.say(f"Still running: {addresses}")
                report.say(f"The site is {url}, its token {settings.web.token}; Ctrl-C ends it all.")
                await works.run(over)


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


async def _swept(sync: PartySync, everything: bool, progress: Progress | None) -> Tally:
    """One pass, tried again where a system could not be reached."""
    for left in reversed(range(MOST_TRIES)):
        try:
            return await sync.sweep(everything=everything, rounds=20, progress=progress)
        except Unavailable as error:
            if not left:
                raise
            await SystemClock().sleep(max(1.0, error.retry_after))
    raise AssertionError("the last try always answers")  # pragma: no cover


async def _pass(sync: PartySync, report: Report, *, everything: bool = False) -> SyncResult:
    clock = SystemClock()
    began, before = clock.monotonic(), sync.calls
    with report.progress("syncing") as progress:
        tally = await _swept(sync, everything, progress)
    calls = {
        system: {verb: number - before[system][verb] for verb, number in verbs.items()}
        for system, verbs in sync.calls.items()
    }
    return SyncResult.of(tally, await sync.states(), calls, clock.monotonic() - began)
