"""Bank accounts over real HTTP, as the example declares them: what reaches Advoware, how often, and who hears of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from bidisync import Engine, LinkState, ReviewKind, Sweep, Unauthorized, Unavailable, tasks
from bidisync.approval import approve
from bidisync.clock import SystemClock
from bidisync.engine import Parts
from bidisync.model import Created
from bidisync.observe.log import Logged
from bidisync.state import Intent
from bidisync.stores.memory import MemoryStore
from bidisync.testing.replicas.check import judge_replica
from bidisync.testing.replicas.trial import Examples, Trial
from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.advoware_nested import NestedReplica
from bidisync_espo_advo.app import PartySync
from bidisync_espo_advo.simulators import AdvowareServer, EspoServer, advoware_simulator, espocrm_simulator
from bidisync_espo_advo.simulators.espocrm_desk import Desk
from bidisync_espo_advo.simulators.server import FaultRule
from examples import example

GERMAN, AUSTRIAN = "DE89370400440532013000", "AT611904300234573201"
bank = example("05_bank_accounts")


@attrs.define
class Firm:
    """Both simulators with two linked parties, and the sync of their accounts."""

    crm: EspoServer
    erp: AdvowareServer
    sync: PartySync
    parties: MemoryStore
    state: MemoryStore
    engine: Engine
    seen: list[Any]

    @property
    def desk(self) -> Desk:
        return self.crm.desk("CBankverbindungen")

    @property
    def party(self) -> str:
        return next(iter(self.crm.store.records))

    def posts(self) -> int:
        return sum(c.method == "POST" and "Bankverbindungen" in c.path for c in self.erp.control.log)

    async def sweep(self) -> None:
        await Sweep(self.engine).run(everything=True, rounds=1)

    async def agree(self) -> None:
        """A second person approves whatever waits for it."""
        for task in await tasks(self.state, {}):
            if task.approves:
                await approve(self.state, SystemClock(), task.approves)


@pytest.fixture
def start():
    @asynccontextmanager
    async def started(*, timeout_s: float = 30.0, **switches: str) -> AsyncIterator[Firm]:
        async with espocrm_simulator(records=2) as crm, advoware_simulator(switches=switches) as erp:
            parties, state, seen = MemoryStore(), MemoryStore(), []
            advoware = {**erp.config, "timeout_s": timeout_s}
            settings = Settings.from_tables({"espocrm": crm.config, "advoware": advoware})
            async with open_sync(settings, store=parties) as sync:
                await sync.sweep(everything=True)
                engine = await bank.accounts_of(sync.remotes, parties, state)
                parts: Parts = attrs.evolve(engine.parts, observers=[seen.append, Logged(str)])
                yield Firm(crm, erp, sync, parties, state, attrs.evolve(engine, parts=parts), seen)

    return started


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"post.reply": "bare_int"},
        {"post.reply": "201_location"},
        {"post.reply": "list_with_rowId", "json_case": "PascalCase"},
        {"post.reply": "dict_with_rowId"},
        {"path_prefix": "/api/v1", "discovery": "connector_set"},
    ],
    ids=lambda switches: ",".join(switches.values()) or "default",
)
async def test_a_new_account_is_made_once_and_its_record_names_it(start, switches):
    async with start(**switches) as firm:
        id = firm.desk.create(beteiligteId=firm.party, iban="de89 3704 0044 0532 0130 00", bankname="Musterbank")
        await firm.sweep()
        assert firm.posts() == 0, "one person alone is not enough"
        assert firm.desk.records[id]["syncStatus"] == "unclean"
        await firm.agree()
        for _ in range(2):
            await firm.sweep()
        (row,) = firm.erp.accounts.rows.values()
        assert (row["iban"], row["bankname"], firm.posts()) == (GERMAN, "Musterbank", 1)
        shown = firm.desk.records[id]
        assert (shown["advowareKontoId"], shown["syncStatus"]) == (f"{row['betNr']}/{row['id']}", "clean")
        assert shown["iban"] == "de89 3704 0044 0532 0130 00", "whoever typed it keeps the spelling"


async def test_a_lost_reply_makes_no_second_account(start):
    async with start(**{"post.commit_then_drop": "504_after_commit"}) as firm:
        firm.erp.store.behave({})
        firm.desk.create(beteiligteId=firm.party, iban=GERMAN)
        await firm.sweep()
        await firm.agree()
        firm.erp.store.behave({"post.commit_then_drop": "504_after_commit"})
        for _ in range(2):
            await firm.sweep()
        assert (len(firm.erp.accounts.rows), firm.posts()) == (1, 1)
        assert [link.state for link in await links(firm.state)] == [LinkState.IN_SYNC]


async def links(store: MemoryStore) -> list[Any]:
    return [link async for group in store.links() for link in group]


@pytest.mark.parametrize("wrong", ["DE89370400440532013001", "DE8937040044053201300", "not a number"])
async def test_a_wrong_iban_is_nobodys_to_approve_and_goes_once_it_is_right(start, wrong):
    async with start() as firm:
        id = firm.desk.create(beteiligteId=firm.party, iban=wrong)
        await firm.sweep()
        (task,) = await tasks(firm.state, bank.TEXTS)
        assert (task.kind, task.reason, task.fields) == (ReviewKind.BLOCKED, "unmappable", ("iban",))
        firm.desk.edit(id, iban=GERMAN)
        await firm.sweep()
        await firm.agree()
        await firm.sweep()
        assert [row["iban"] for row in firm.erp.accounts.rows.values()] == [GERMAN]


async def test_an_account_that_is_there_already_is_adopted_and_the_same_number_of_somebody_else_is_not(start):
    async with start() as firm:
        (mine, first), (other, _) = [(id, record["betnr"]) for id, record in firm.crm.store.records.items()]
        firm.erp.accounts.create(first, iban=AUSTRIAN)
        adopted = firm.desk.create(beteiligteId=mine, iban="AT61 1904 3002 3457 3201")
        made = firm.desk.create(beteiligteId=other, iban=AUSTRIAN)
        await firm.sweep()
        await firm.agree()
        await firm.sweep()
        shown = firm.desk.records
        assert shown[adopted]["advowareKontoId"] == f"{first}/501"
        assert shown[made]["advowareKontoId"].endswith("/502")
        assert firm.posts() == 1


async def test_an_account_of_the_other_side_reaches_the_crm_with_its_party(start):
    async with start() as firm:
        betnr = firm.crm.store.records[firm.party]["betnr"]
        firm.erp.accounts.create(betnr, iban=AUSTRIAN, bic="BKAUATWW")
        await firm.sweep()
        (record,) = firm.desk.records.values()
        assert (record["beteiligteId"], record["iban"], record["bic"]) == (firm.party, AUSTRIAN, "BKAUATWW")
        assert record["advowareKontoId"] == f"{betnr}/501"


async def test_an_edit_after_the_create_is_one_task_whatever_is_edited_and_no_request(start):
    async with start() as firm:
        id = firm.desk.create(beteiligteId=firm.party, iban=GERMAN)
        await firm.sweep()
        await firm.agree()
        await firm.sweep()
        firm.desk.edit(id, iban=AUSTRIAN)
        for _ in range(3):
            await firm.sweep()
        (task,) = await tasks(firm.state, bank.TEXTS)
        assert (task.kind, task.fields, task.approves) == (ReviewKind.READ_ONLY, ("iban",), "")
        assert "at Advoware's desk" in task.text
        writes = {call.method for call in firm.erp.control.log if "Bankverbindungen" in call.path}
        assert writes == {"GET", "POST"}
        assert firm.posts() == 1

        (row,) = firm.erp.accounts.rows.values()
        firm.erp.accounts.edit(row["id"], iban=AUSTRIAN)
        await firm.sweep()
        assert await tasks(firm.state, {}) == [], "somebody did what the task asked for"


async def test_an_account_that_somebody_ended_in_advoware_is_a_persons_call(start):
    async with start() as firm:
        betnr = firm.crm.store.records[firm.party]["betnr"]
        id = firm.erp.accounts.create(betnr, iban=AUSTRIAN)
        firm.erp.accounts.create(betnr, iban=GERMAN)
        await firm.sweep()
        firm.erp.accounts.delete(id)
        for _ in range(3):
            await firm.sweep()
        (task,) = await tasks(firm.state, bank.TEXTS)
        assert task.text.startswith(f"Account {betnr}/{id} is gone in Advoware")
        assert len(firm.desk.records) == 2


async def test_an_account_of_a_party_that_is_not_linked_waits_for_it(start):
    async with start() as firm:
        party = firm.crm.store.create(lastName="Beispiel", firstName="Nora")
        firm.desk.create(beteiligteId=party, iban=GERMAN)
        await firm.sweep()
        assert [(link.state, link.attempts.reason) for link in await links(firm.state)] == [
            (LinkState.RETRY, "parent_not_linked")
        ]
        await firm.sync.sweep()
        await firm.sweep()
        await firm.agree()
        await firm.sweep()
        assert [row["betNr"] for row in firm.erp.accounts.rows.values()] == [firm.crm.store.records[party]["betnr"]]


async def test_no_number_of_an_account_is_told_to_anybody(start, caplog):
    caplog.set_level(logging.DEBUG)
    async with start() as firm:
        betnr = firm.crm.store.records[firm.party]["betnr"]
        firm.erp.accounts.create(betnr, iban=AUSTRIAN)
        id = firm.desk.create(beteiligteId=firm.party, iban=GERMAN)
        wrong = firm.desk.create(beteiligteId=firm.party, iban="DE89370400440532013001")
        await firm.sweep()
        await firm.agree()
        await firm.sweep()
        firm.desk.edit(id, iban="DE75512108001245126199")
        firm.desk.edit(wrong, iban="AT611904300234573202")
        await firm.sweep()
        told = [repr(event) for event in firm.seen] + [str(vars(record)) for record in caplog.records]
        told += [repr(link) for link in await links(firm.state)]
        told += [repr(task) for task in await tasks(firm.state, bank.TEXTS)]
        told += [f"{call.path}?{call.query}" for call in (*firm.erp.control.log, *firm.crm.control.log)]
        assert len(told) > 20
        there = f"{firm.desk.records} {firm.erp.accounts.rows}"
        for number in ("37040044", "1904300", "51210800", "0532013", "23457320"):
            assert number in there, "it is there to be told"
            assert not [text for text in told if number in text]


@pytest.mark.parametrize("spelled", ["0{}/501", "{}", "{}/0501", "../1", "x/501", " {}/501", "{}/502"])
async def test_an_account_is_found_under_one_name_alone(start, spelled):
    async with start() as firm:
        betnr = firm.crm.store.records[firm.party]["betnr"]
        firm.erp.accounts.create(betnr, iban=AUSTRIAN)
        accounts = firm.engine.parts.right
        name, other = f"{betnr}/501", spelled.format(betnr)
        assert set(await accounts.get_many([name, other])) == {name}
        assert (await accounts.get(other)).gone
        assert not (await accounts.get(name)).gone


class OfOneParty(NestedReplica):
    """The accounts of one party: whose a row is stands in its id, and no edit changes that."""

    async def create(self, fields: Mapping[str, Any], **options: Any) -> Created:
        return await super().create({"betNr": 104_711, **fields}, **options)

    async def find_created(self, intent: Intent) -> Any:
        return await super().find_created(attrs.evolve(intent, payload={"betNr": 104_711, **intent.payload}))


@attrs.define
class AtTheDesk:
    """Somebody at Advoware's desktop program, at accounts."""

    firm: Firm

    async def add(self, fields: Mapping[str, Any]) -> str:
        return f"104711/{self.firm.erp.accounts.create(104_711, **fields)}"

    async def edit(self, id: str, fields: Mapping[str, Any]) -> None:
        self.firm.erp.accounts.edit(int(id.partition("/")[2]), **fields)

    async def remove(self, id: str) -> None:
        self.firm.erp.accounts.delete(int(id.partition("/")[2]))

    async def read(self, id: str) -> Mapping[str, Any] | None:
        return self.firm.erp.accounts.rows.get(int(id.partition("/")[2]))

    async def trash(self) -> tuple[str, ...]:
        return ()


async def test_rows_within_records_keep_what_a_replica_promises(start):
    @asynccontextmanager
    async def trial() -> AsyncIterator[Trial]:
        async with start() as firm:
            remotes = firm.sync.remotes
            rows = OfOneParty(remotes.advoware.session, remotes.advoware.clock, bank.ROWS, firm.parties)
            yield Trial(replica=rows, person=AtTheDesk(firm))

    judged = await judge_replica(
        trial,
        Examples(
            records=[
                {"iban": GERMAN, "bankname": "Musterbank"},
                {"iban": AUSTRIAN, "bankname": None},
            ],
            texts=("bankname",),
            unmapped={"kontoinhaber": "Beispiel"},
            crowd=12,
        ),
    )
    assert not judged.broken, str(judged)
    assert len(judged.kept) > 15
    assert {why for why in judged.not_judged.values() if "alone" in why} == {"records are changed by people alone"}


ROWS = r"/Bankverbindungen$"


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"status": 403}, Unauthorized),
        ({"status": 500}, Unavailable),
        ({"status": 200, "body": "<html>login</html>"}, Unavailable),
        ({"status": 200, "body": '{"error": "x"}'}, Unavailable),
    ],
    ids=["forbidden", "failing", "a page", "an error of success"],
)
async def test_accounts_that_cannot_be_read_are_not_taken_for_none(start, rule, error):
    async with start(timeout_s=2.0) as firm:  # so long is a failing read repeated
        firm.desk.create(beteiligteId=firm.party, iban=GERMAN)
        firm.erp.control.rules.append(FaultRule("status", "GET", ROWS, times=1000, **rule))
        with pytest.raises(error):
            await firm.sweep()
        assert firm.posts() == 0


async def test_an_account_that_is_refused_waits_for_a_person_and_no_value_is_told(start):
    async with start() as firm:
        id = firm.desk.create(beteiligteId=firm.party, iban=GERMAN)
        await firm.sweep()
        await firm.agree()
        refused = FaultRule("status", "POST", ROWS, status=400, body=f"Die IBAN {GERMAN} ist gesperrt.")
        firm.erp.control.rules.append(refused)
        await firm.sweep()
        (link,) = await links(firm.state)
        assert (link.state, link.reviews[0].reason) == (LinkState.BLOCKED, "rejected")
        assert GERMAN not in repr((link, firm.seen))
        assert firm.desk.records[id]["syncStatus"] == "unclean"


async def test_a_reply_that_names_no_account_is_looked_into_and_not_sent_again(start):
    async with start() as firm:
        firm.desk.create(beteiligteId=firm.party, iban=GERMAN)
        await firm.sweep()
        await firm.agree()
        firm.erp.control.rules.append(FaultRule("status", "POST", ROWS, "after", status=200, body="ja"))
        for _ in range(2):
            await firm.sweep()
        assert (len(firm.erp.accounts.rows), firm.posts()) == (1, 1)
        assert [link.state for link in await links(firm.state)] == [LinkState.IN_SYNC]
