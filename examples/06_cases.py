"""Cases and who plays which part in them: from Advoware to EspoCRM, and never back.

A case is one kind of record; a party's part in a case is another, which names both. The same
party may be a client here and an opponent there, or have two parts in one case. A part is
brought along once its case and its party are: until then it waits, and that is no failure.
"""

import asyncio
from collections.abc import Mapping
from hashlib import blake2s

from bidisync import (
    NUMBERED,
    Codec,
    Engine,
    Field,
    FieldMap,
    FieldMapper,
    Group,
    Identity,
    LinkState,
    Mapped,
    Owner,
    Parts,
    Policy,
    Referring,
    Side,
    StateStore,
    Sweep,
    prefer_right,
    tasks,
)
from bidisync.locks.local import LocalLocks
from bidisync.stores.memory import MemoryStore
from bidisync_espo_advo import Settings, open_sync
from bidisync_espo_advo.advoware_nested import Rows
from bidisync_espo_advo.advoware_replies import Resource
from bidisync_espo_advo.remotes import Remotes
from bidisync_espo_advo.simulators import advoware_simulator, espocrm_simulator
from bidisync_espo_advo.status import Bookkeeping

FLAG = Codec("flag", bool, bool)
PAIRS = (("file_number", "aktenzeichen", "az"), ("title", "name", "rubrum"), ("path", "aktenpfad", "pfad"))
CRM_CASE = FieldMapper((*(FieldMap(f, c) for f, c, _ in PAIRS), FieldMap("archived", "istArchiviert", FLAG)))
ERP_CASE = FieldMapper((*(FieldMap(f, e) for f, _, e in PAIRS), FieldMap("archived", "ablage", FLAG)))
ONE_WAY = Group("all", owner=Owner(Side.RIGHT), initial=prefer_right)  # what is changed in EspoCRM is put back
CASE = Policy([Field(name, "all") for name in ("file_number", "title", "path", "archived")], [ONE_WAY])
CASE_SHOWN = Bookkeeping(
    counterpart="aktennummer", version="", synced_at="lastSync", attempts="", reason="",
    states=dict.fromkeys(LinkState, "unclean") | {LinkState.IN_SYNC: "clean"},
)  # fmt: skip

CRM_PART = FieldMapper(
    (FieldMap("case", "akteId"), FieldMap("party", "beteiligterId"), FieldMap("part", "rolle")),
)
ERP_PART = FieldMapper(
    (FieldMap("case", "aktNr", NUMBERED), FieldMap("party", "betNr", NUMBERED), FieldMap("part", "rolle")),
)
PART = Policy([Field(name, "all", required=True) for name in ("case", "party", "part")], [ONE_WAY])
PART_SHOWN = Bookkeeping("advowareId", "", "", "", "", "", numbered=False)
TEXTS = {"made_by_people": "Case {left} was opened in EspoCRM: open it in Advoware, or delete it here."}


def name_of_part(row: Mapping[str, object]) -> str | None:
    """Rows of a case have no ids: a party and its part are one. Ids are seen by many, so the part is a mere mark."""
    if not row.get("betNr") or not row.get("rolle"):
        return None
    return f"{row['betNr']}-{blake2s(str(row['rolle']).encode(), digest_size=4).hexdigest()}"


async def cases_of(remotes: Remotes, store: StateStore) -> Engine:
    """The sync of cases, which Advoware alone opens and changes."""
    crm = remotes.entity("CAdvowareAkten", [m.native for m in CRM_CASE.maps], shows=CASE_SHOWN)
    erp = remotes.resource(Resource("Akten", "aktNr", creates=False, updates=False))
    return await Engine.open(
        Parts(
            left=Mapped(crm, CRM_CASE),
            right=Mapped(erp, ERP_CASE),
            policy=CASE,
            detector=remotes.detector(CASE),
            identity=Identity(strong=(("file_number",),)),
            store=store,
            locks=LocalLocks(),
        )
    )


async def parts_of(remotes: Remotes, cases: StateStore, parties: StateStore, store: StateStore) -> Engine:
    """The sync of parts, between cases and parties that have states of their own."""
    crm = remotes.entity("CAktenBeteiligte", [m.native for m in CRM_PART.maps], shows=PART_SHOWN)
    erp = remotes.rows(Rows("Akten/{parent}", parent="aktNr", within="beteiligte", name=name_of_part), cases)
    named = {"case": cases, "party": parties}
    return await Engine.open(
        Parts(
            left=Referring(Mapped(crm, CRM_PART), Side.LEFT, named),
            right=Referring(Mapped(erp, ERP_PART), Side.RIGHT, named),
            policy=PART,
            detector=remotes.detector(PART),
            identity=Identity(strong=(("case", "party", "part"),)),
            store=store,
            locks=LocalLocks(),
        )
    )


async def main() -> None:
    async with espocrm_simulator(records=2) as crm, advoware_simulator() as erp:
        tables = {"espocrm": crm.config, "advoware": erp.config}
        parties, of_cases, of_parts = MemoryStore(), MemoryStore(), MemoryStore()
        async with open_sync(Settings.from_tables(tables), store=parties) as sync:
            await sync.sweep(everything=True)
            one, two = erp.store.records
            lawyer = erp.store.create(name="Beispiel", vorname="Rana", art="Rechtsanwalt")  # not in EspoCRM yet
            first = erp.cases.create(az="12/26", rubrum="Muster ./. Beispiel")
            second = erp.cases.create(az="13/26", rubrum="Nachlass")
            for case, party, part in (
                (first, one, "Mandant"), (first, two, "Gegner"), (first, lawyer, "Gegner-RA"),
                (second, two, "Mandant"), (second, two, "Zeuge"),
            ):  # fmt: skip
                erp.cases.involve(case, party, part)

            cases = Sweep(await cases_of(sync.remotes, of_cases))
            parts = Sweep(await parts_of(sync.remotes, of_cases, parties, of_parts))
            shown, roles = crm.desk("CAdvowareAkten"), crm.desk("CAktenBeteiligte")
            await cases.run(everything=True)
            tally = await parts.run(everything=True)
            waiting = [outcome.reason for outcome in tally.outcomes.values() if outcome.reason]
            print("cases:", len(shown.records), "- parts:", len(roles.records), "- waiting:", waiting)

            await sync.sweep()
            await parts.run()
            print("once the lawyer is known:", len(roles.records), "parts")

            erp.cases.edit(first, ablage=True)
            a_case = next(id for id, case in shown.records.items() if case["aktennummer"] == second)
            shown.edit(a_case, name="Nachlass (alt)")
            shown.create(aktenzeichen="99/26", name="Vorlage")
            await cases.run(everything=True)
            print("put back:", shown.records[a_case]["name"])
            print("archived:", [case["aktennummer"] for case in shown.records.values() if case["istArchiviert"]])
            for task in await tasks(of_cases, TEXTS):
                print("to do:", task.text)
            assert {call.method for call in erp.control.log if "Akten" in call.path} == {"GET"}


if __name__ == "__main__":
    asyncio.run(main())
