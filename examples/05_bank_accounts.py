"""Bank accounts: entered in EspoCRM, checked, agreed to by a second person, made once in Advoware.

Advoware takes a new account and never a change of one. So whatever could be wrong is stopped
before: an IBAN with wrong check digits, an account that is there already, one person alone. What
is edited later becomes a task for somebody at Advoware's desk.
"""

import asyncio
import sys

from bidisync import (
    NUMBERED,
    Engine,
    Field,
    FieldMap,
    FieldMapper,
    Group,
    Identity,
    LinkState,
    Mapped,
    NeedsApproval,
    Parts,
    Policy,
    Referring,
    Side,
    StateStore,
    Sweep,
    tasks,
)
from bidisync.approval import approve
from bidisync.clock import SystemClock
from bidisync.locks.local import LocalLocks
from bidisync.model import Seen
from bidisync.stores.memory import MemoryStore
from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.advoware_nested import Rows
from bidisync_espo_advo.numbers import CHECKED_IBAN, IBAN, iban_key
from bidisync_espo_advo.remotes import Remotes
from bidisync_espo_advo.simulators import advoware_simulator, espocrm_simulator
from bidisync_espo_advo.status import Bookkeeping

SAME = (FieldMap("bic", "bic"), FieldMap("bank", "bankname"), FieldMap("holder", "kontoinhaber"))
CRM = FieldMapper((FieldMap("party", "beteiligteId"), FieldMap("iban", "iban", CHECKED_IBAN), *SAME))
ERP = FieldMapper((FieldMap("party", "betNr", NUMBERED), FieldMap("iban", "iban", IBAN), *SAME))
ROWS = Rows("Beteiligte/{parent}/Bankverbindungen", parent="betNr", creates=True)
STATES = dict.fromkeys((LinkState.DEAD, LinkState.RETRY, LinkState.CREATING), "failed")
SHOWN = Bookkeeping(
    counterpart="advowareKontoId", numbered=False, version="", attempts="", reason="",
    states=dict.fromkeys(LinkState, "unclean") | STATES | {LinkState.IN_SYNC: "clean"},
)  # fmt: skip
POLICY = Policy(
    [
        Field("party", "account", required=True),
        Field("iban", "account", required=True, key=iban_key),
        *(Field(name, "account") for name in ("bic", "bank", "holder")),
    ],
    [Group("account")],
)
TEXTS = {
    "needs_approval": "New account {left}: compare the IBAN with the letter, then approve.",
    "read_only": "Account {right} can't be changed by us: enter the new {fields} at Advoware's desk.",
    "gone": "Account {right} is gone in Advoware: end {left} too, or enter it again there.",
    "unmappable": "Account {left} has no valid {fields}: ask the client again.",
}


def one_spelling(value: Seen) -> str:
    """Ids and IBANs as they are compared to find an account that is there already."""
    return str(iban_key(value) or "") if isinstance(value, str) else ""


async def accounts_of(remotes: Remotes, parties: StateStore, store: StateStore) -> Engine:
    """The sync of accounts, whose parties are linked in a state of their own."""
    crm = remotes.entity("CBankverbindungen", [m.native for m in CRM.maps], shows=SHOWN)
    erp = remotes.rows(ROWS, parties)
    return await Engine.open(
        Parts(
            left=Referring(Mapped(crm, CRM), Side.LEFT, {"party": parties}),
            right=Referring(Mapped(erp, ERP), Side.RIGHT, {"party": parties}),
            policy=POLICY,
            identity=Identity(strong=(("party", "iban"),), weak=(("iban",),), normal=one_spelling),
            detector=remotes.detector(POLICY),
            guard=NeedsApproval({"iban"}, {Side.RIGHT}),
            store=store,
            locks=LocalLocks(),
        )
    )


async def main() -> None:
    async with espocrm_simulator(records=2) as crm, advoware_simulator() as erp:
        tables = {"espocrm": crm.config, "advoware": erp.config}
        parties, state, desk = MemoryStore(), MemoryStore(), crm.desk("CBankverbindungen")
        async with open_sync(Settings.from_tables(tables), store=parties) as sync:
            await sync.sweep(everything=True)
            (one, betnr), (two, _) = [(id, party["betnr"]) for id, party in crm.store.records.items()]
            erp.accounts.create(betnr, iban="AT611904300234573201", kontoinhaber="Beispiel")
            known = desk.create(beteiligteId=one, iban="AT61 1904 3002 3457 3201", kontoinhaber="Beispiel")
            new = desk.create(beteiligteId=two, iban="de89 3704 0044 0532 0130 00", bankname="Musterbank")
            desk.create(beteiligteId=two, iban="DE89370400440532013001")
            desk.create(beteiligteId=one, iban="DE02120300000000202051")

            engine = await accounts_of(sync.remotes, parties, state)
            await Sweep(engine).run(everything=True)
            print("adopted:", desk.records[known]["advowareKontoId"], "- made:", len(erp.accounts.rows) - 1)
            for task in await tasks(state, TEXTS):
                print("to do:", task.text)

            held = {task.refs[0].id: task.approves for task in await tasks(state, TEXTS) if task.approves}
            if await approve(state, SystemClock(), held[new]) is None:
                sys.exit("the account moved since it was shown: compare it again")
            await Sweep(engine).run()
            print("approved:", desk.records[new]["advowareKontoId"], desk.records[new]["syncStatus"])

            desk.edit(new, bankname="Musterbank Nord")
            await Sweep(engine).run()
            print("to do:", next(task.text for task in await tasks(state, TEXTS) if task.reason == "read_only"))
            assert [row["bankname"] for row in erp.accounts.rows.values()] == [None, "Musterbank"]


if __name__ == "__main__":
    asyncio.run(main())
