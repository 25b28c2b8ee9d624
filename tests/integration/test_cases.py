"""Cases and parts over real HTTP, as the example declares them: one way, parents first, and told to nobody."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from bidisync import LinkState, Outcome, Rejected, Sweep, Tally, tasks
from bidisync.observe.log import Logged
from bidisync.stores.memory import MemoryStore
from bidisync.testing.replicas.check import judge_replica
from bidisync.testing.replicas.trial import Examples, Trial
from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.advoware_replies import Resource
from bidisync_espo_advo.app import PartySync
from bidisync_espo_advo.simulators import AdvowareServer, EspoServer, advoware_simulator, espocrm_simulator
from bidisync_espo_advo.simulators.espocrm_desk import Desk
from examples import example

declared = example("06_cases")


@attrs.define
class Firm:
    """Both simulators with two linked parties, and the sync of cases and of parts."""

    crm: EspoServer
    erp: AdvowareServer
    sync: PartySync
    of_cases: MemoryStore
    of_parts: MemoryStore
    cases: Sweep
    parts: Sweep
    seen: list[Any]

    @property
    def shown(self) -> Desk:
        return self.crm.desk("CAdvowareAkten")

    @property
    def roles(self) -> Desk:
        return self.crm.desk("CAktenBeteiligte")

    def told(self) -> list[tuple[int, int, str]]:
        """Case, party and part of every record in the CRM, by Advoware's numbers."""
        cases, parties = self.shown.records, self.crm.store.records
        return sorted(
            (cases[r["akteId"]]["aktennummer"], parties[r["beteiligterId"]]["betnr"], r["rolle"])
            for r in self.roles.records.values()
        )

    async def sweep(self) -> Tally:
        await self.cases.run(everything=True, rounds=1)
        return await self.parts.run(everything=True, rounds=1)


@pytest.fixture
def start():
    @asynccontextmanager
    async def started(**switches: str) -> AsyncIterator[Firm]:
        async with espocrm_simulator(records=2) as crm, advoware_simulator(switches=switches) as erp:
            parties, of_cases, of_parts, seen = MemoryStore(), MemoryStore(), MemoryStore(), []
            settings = Settings.from_tables({"espocrm": crm.config, "advoware": erp.config})
            async with open_sync(settings, store=parties) as sync:
                await sync.sweep(everything=True)
                engines = (
                    await declared.cases_of(sync.remotes, of_cases),
                    await declared.parts_of(sync.remotes, of_cases, parties, of_parts),
                )
                cases, parts = [
                    Sweep(attrs.evolve(e, parts=attrs.evolve(e.parts, observers=[seen.append, Logged(str)])))
                    for e in engines
                ]
                yield Firm(crm, erp, sync, of_cases, of_parts, cases, parts, seen)

    return started


@pytest.mark.parametrize("switches", [{}, {"json_case": "PascalCase", "list.shape": "data_total"}], ids=["", "pascal"])
async def test_a_party_has_a_record_for_each_part_in_each_case(start, switches):
    async with start(**switches) as firm:
        one, two = firm.erp.store.records
        first, second = firm.erp.cases.create(az="1/26"), firm.erp.cases.create(az="2/26")
        wanted = [(first, one, "Mandant"), (first, one, "Zeuge"), (first, two, "Gegner"), (second, two, "Mandant")]
        for case, party, part in wanted:
            firm.erp.cases.involve(case, party, part)
        await firm.sweep()
        assert firm.told() == sorted(wanted)
        before = len(firm.crm.control.log)
        await firm.sweep()
        assert {call.method for call in firm.crm.control.log[before:]} == {"GET"}, "what is in step costs no write"


async def test_parts_wait_for_the_case_as_well_as_for_the_party(start):
    async with start() as firm:
        one, _ = firm.erp.store.records
        stranger = firm.erp.store.create(name="Beispiel", vorname="Rana")
        case = firm.erp.cases.create(az="1/26")
        firm.erp.cases.involve(case, one, "Mandant")
        firm.erp.cases.involve(case, stranger, "Gegner-RA")
        assert (await firm.parts.run(everything=True)).examined == 0, "nobody reads the parts of an unknown case"
        tally = await firm.sweep()
        outcomes: list[Outcome] = [o for o in tally.outcomes.values() if o.state is LinkState.RETRY]
        assert [o.reason for o in outcomes] == ["parent_not_linked"]
        assert outcomes[0].ref.id.startswith(f"{case}/{stranger}-")
        assert firm.told() == [(case, one, "Mandant")]
        await firm.sync.sweep()
        await firm.sweep()
        assert firm.told() == [(case, one, "Mandant"), (case, stranger, "Gegner-RA")]


async def test_what_is_edited_in_the_crm_is_put_back_and_nothing_is_written_in_advoware(start):
    async with start() as firm:
        one, two = firm.erp.store.records
        case = firm.erp.cases.create(az="1/26", rubrum="Nachlass", pfad="N:/2026/1")
        firm.erp.cases.involve(case, one, "Mandant")
        await firm.sweep()
        (record,), (role,) = firm.shown.records, firm.roles.records
        firm.shown.edit(record, name="etwas anderes", aktenpfad=None)
        firm.roles.edit(role, rolle="Gegner")
        await firm.sweep()
        assert (firm.shown.records[record]["name"], firm.shown.records[record]["aktenpfad"]) == (
            "Nachlass",
            "N:/2026/1",
        )
        assert firm.told() == [(case, one, "Mandant")]

        firm.erp.cases.edit(case, ablage=True, rubrum="Nachlass, erledigt")
        await firm.sweep()
        assert firm.shown.records[record]["istArchiviert"] is True
        assert firm.shown.records[record]["name"] == "Nachlass, erledigt"
        assert {call.method for call in firm.erp.control.log if "Akten" in call.path} == {"GET"}


async def test_a_part_that_ended_is_a_persons_call_and_its_record_stays(start):
    async with start() as firm:
        one, _ = firm.erp.store.records
        case = firm.erp.cases.create(az="1/26")
        firm.erp.cases.involve(case, one, "Mandant")
        firm.erp.cases.involve(case, one, "Zeuge")
        await firm.sweep()
        firm.erp.cases.dismiss(case, one, "Zeuge")
        for _ in range(3):
            await firm.sweep()
        assert len(firm.told()) == 2
        (task,) = await tasks(firm.of_parts, {"gone": "Part {right} ended in Advoware; {left} is still there."})
        assert task.text.startswith(f"Part {case}/{one}-")


async def test_a_case_that_was_opened_in_the_crm_waits_for_the_one_that_a_person_opens_in_advoware(start):
    async with start() as firm:
        id = firm.shown.create(aktenzeichen="7/26", name="Kauf?")
        await firm.sweep()
        (task,) = await tasks(firm.of_cases, declared.TEXTS)
        assert task.reason == "made_by_people"
        case = firm.erp.cases.create(az="7/26", rubrum="Kauf")
        await firm.sweep()
        assert (firm.shown.records[id]["aktennummer"], firm.shown.records[id]["name"]) == (case, "Kauf")
        assert len(firm.shown.records) == 1
        assert await tasks(firm.of_cases, {}) == []


async def test_who_plays_which_part_where_is_told_to_nobody(start, caplog):
    caplog.set_level(logging.DEBUG)
    async with start() as firm:
        one, two = firm.erp.store.records
        case = firm.erp.cases.create(az="4711/26", rubrum="Morgenthau gegen Zwiebelturm")
        firm.erp.cases.involve(case, one, "Insolvenzverwalterin")
        await firm.sweep()
        (record,) = firm.shown.records
        firm.shown.edit(record, name="Zwiebelturm allein")
        await firm.sweep()
        assert firm.told() == [(case, one, "Insolvenzverwalterin")]
        told = [str(vars(record)) for record in caplog.records] + [repr(event) for event in firm.seen]
        told += [repr(task) for task in await tasks(firm.of_cases, declared.TEXTS)]
        assert len(told) > 3
        for word in ("4711/26", "Morgenthau", "Zwiebelturm", "Insolvenzverwalterin"):
            assert not [text for text in told if word in text]


@attrs.define
class AtTheDesk:
    """Somebody at Advoware's desktop program, at cases."""

    erp: AdvowareServer

    async def add(self, fields: Mapping[str, Any]) -> str:
        return str(self.erp.cases.create(**fields))

    async def edit(self, id: str, fields: Mapping[str, Any]) -> None:
        self.erp.cases.edit(int(id), **fields)

    async def remove(self, id: str) -> None:
        raise Rejected("cases are archived, not deleted")

    async def read(self, id: str) -> Mapping[str, Any] | None:
        return self.erp.cases.rows.get(int(id))

    async def trash(self) -> tuple[str, ...]:
        return ()


async def test_a_collection_beside_the_parties_keeps_what_a_replica_promises(start):
    @asynccontextmanager
    async def trial() -> AsyncIterator[Trial]:
        async with start() as firm:
            cases = firm.sync.remotes.resource(Resource("Akten", "aktNr", creates=False, updates=False))
            yield Trial(replica=cases, person=AtTheDesk(firm.erp))

    records = [{"az": "1/26", "rubrum": "Nachlass"}, {"az": "2/26", "rubrum": None}]
    judged = await judge_replica(
        trial, Examples(records=records, nobody="999999", unmapped={"pfad": "N:/1"}, crowd=210)
    )
    assert not judged.broken, str(judged)
    assert len(judged.kept) > 10
    told = {why for why in judged.not_judged.values() if "alone" in why}
    assert told == {"records are made by people alone", "records are changed by people alone"}
