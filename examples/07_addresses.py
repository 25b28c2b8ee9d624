"""Addresses: four fields in EspoCRM, the standard address among a party's Adressen in Advoware.

Of an address in Advoware street, postcode and town can be changed, and nothing else: not the
country, not until when it holds. Another country is another address; that the old one has to
be ended is a task for a person, who is told until it is done.
"""

import asyncio

from bidisync import ByContent, CodeTable, Engine, Field, Group, Mapped, Parts, Policy, Ref, Side, Sweep
from bidisync.children import ChildList, WithChildren
from bidisync.clock import SystemChance, SystemClock, utc_text
from bidisync.items import Items, MergeItems
from bidisync.lists import Column, FlatMapper, Together
from bidisync.locks.local import LocalLocks
from bidisync.mapping import same_text
from bidisync.operations import Abilities, Removal
from bidisync.stores.memory import MemoryStore
from bidisync_espo_advo import Settings
from bidisync_espo_advo.advoware_children import AdvowareChildren
from bidisync_espo_advo.fields import PARTY_IDENTITY, party_mapper
from bidisync_espo_advo.policy import party_policy
from bidisync_espo_advo.remotes import Remotes
from bidisync_espo_advo.simulators import advoware_simulator, espocrm_simulator

COLUMNS = ("street", "postcode", "town", "country")
ADDRESS = Items(COLUMNS, filled_by=COLUMNS[:3], keys=dict.fromkeys(COLUMNS, same_text))
COUNTRY = CodeTable("country", {"Deutschland": ("D", "DE"), "Österreich": ("A", "AT"), "Schweiz": ("CH",)}).codec()
IN_ESPOCRM = ("addressStreet", "addressPostalCode", "addressCity", "addressCountry")
IN_ADVOWARE = {"street": "strasse", "postcode": "plz", "town": "ort"}
CAN = Abilities(frozen={"country"}, removal=Removal.PERSON)


def in_espocrm(remotes: Remotes) -> Mapped:
    """Parties with an address that is one value: a street of one side and a town of the other make none."""
    places = {column: Column(attribute) for column, attribute in zip(COLUMNS, IN_ESPOCRM, strict=True)}
    return Mapped(remotes.espocrm, Together((party_mapper("espocrm"), FlatMapper("address", ADDRESS, places))))


def in_advoware(remotes: Remotes, clock: SystemClock) -> WithChildren:
    """Parties with the standard address that holds today, the newest where there are several."""

    def today() -> str:
        return utc_text(clock.now())[:10]

    places = {column: Column(field) for column, field in IN_ADVOWARE.items()} | {"country": Column("land", COUNTRY)}
    rows = AdvowareChildren(
        remotes.advoware.session, "Adressen", ADDRESS, places,
        holds=lambda row: row.get("standardAnschrift") is True
        and str(row.get("gueltigVon") or "")[:10] <= today() <= str(row.get("gueltigBis") or "9999"),
        order=lambda row: -int(str(row["id"])),
        new=lambda: {"standardAnschrift": True, "gueltigVon": f"{today()}T00:00:00"},
    )  # fmt: skip
    return WithChildren(Mapped(remotes.advoware, party_mapper("advoware")), {"address": ChildList(ADDRESS, rows, CAN)})


async def open_engine(settings: Settings, remotes: Remotes) -> Engine:
    """The sync of parties, with one more group."""
    party, merge, clock = party_policy(settings), MergeItems(ADDRESS, prefer=Side.LEFT), SystemClock()
    field = Field("address", "address", key=ADDRESS.key, update_only=frozenset({Side.RIGHT}))
    groups = [*party.groups, Group("address", strategy=merge, initial=merge)]
    policy = Policy([*party.fields, field], groups, deletes_on=party.deletes_on)
    parts = Parts(
        left=in_espocrm(remotes), right=in_advoware(remotes, clock), policy=policy, identity=PARTY_IDENTITY,
        detector=ByContent.of(policy), store=MemoryStore(), locks=LocalLocks(clock=clock),
    )  # fmt: skip
    return await Engine.open(parts)


async def main() -> None:
    async with espocrm_simulator() as crm, advoware_simulator() as erp:
        number = erp.store.create(name="Köster", vorname="Ida", geburtsdatum="1970-02-03")
        home = {"strasse": "Beispielstraße 5", "plz": "30159", "ort": "Hannover", "land": "D"}
        old = erp.addresses.add(number, **home, standardAnschrift=True)
        settings = Settings.from_tables({"espocrm": crm.config, "advoware": erp.config})
        remotes = Remotes.of(settings, SystemClock(), SystemChance())
        engine = await open_engine(settings, remotes)
        await Sweep(engine).run(everything=True)
        (id,) = crm.store.records
        print("EspoCRM has:", *[crm.store.records[id][attribute] for attribute in IN_ESPOCRM])

        moved = ("Musterweg 1", "1010", "Wien", "Österreich")
        crm.store.edit(id, **dict(zip(IN_ESPOCRM, moved, strict=True)))
        outcome = await engine.sync(Ref(Side.LEFT, id))
        print("Advoware has:", *[f"{row['strasse']}, {row['ort']}" for row in erp.addresses.of(number)])
        print("for a person:", outcome.reason)

        erp.addresses.edit(number, old, gueltigBis="2020-12-31T00:00:00")
        outcome = await engine.sync(Ref(Side.RIGHT, str(number)))
        print("once it is ended:", outcome.state.value)
        await remotes.close()


if __name__ == "__main__":
    asyncio.run(main())
