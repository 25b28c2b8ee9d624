"""Phone numbers and mail addresses: lists in EspoCRM, rows beneath the party in Advoware.

EspoCRM replaces its lists as a whole and gives no item an id. In Advoware each number is a row
whose kind is frozen and which nothing deletes. Here both are two fields of the party.
"""

import asyncio

import attrs

from bidisync import ByContent, Codec, Engine, Field, Group, Mapped, Parts, Policy, Side, Sweep
from bidisync.children import ChildList, WithChildren
from bidisync.clock import SystemChance, SystemClock
from bidisync.errors import Unmappable
from bidisync.items import Items, MergeItems
from bidisync.lists import Column, ListMapper, Together
from bidisync.locks.local import LocalLocks
from bidisync.operations import Abilities, Removal
from bidisync.stores.memory import MemoryStore
from bidisync_espo_advo import Settings
from bidisync_espo_advo.advoware_children import AdvowareChildren
from bidisync_espo_advo.fields import PARTY_IDENTITY, party_mapper
from bidisync_espo_advo.numbers import email_key, phone, phone_key
from bidisync_espo_advo.policy import party_policy
from bidisync_espo_advo.remotes import Remotes
from bidisync_espo_advo.simulators import advoware_simulator, espocrm_simulator

PHONES = Items(("number", "kind"), same_by=("number",), keys={"number": phone_key})
EMAILS = Items(("address",), same_by=("address",), keys={"address": email_key})
LISTS = {"phones": PHONES, "emails": EMAILS}
KINDS = {1: "Office", 2: "Fax", 3: "Mobile", 6: "Home", 10: "Other"}  # kommKz: yours may mean others
MAIL = (4, 8)


def international(value: object) -> str:
    """EspoCRM takes no other form; nothing is invented where there is no area code."""
    number = phone(str(value)).e164
    if number is None:
        raise Unmappable("this phone number has no international form")
    return number


E164 = Codec("phone", str, international)
KIND = Codec(
    "kind",
    lambda code: KINDS.get(code) if isinstance(code, int) else None,
    lambda name: next((code for code, known in KINDS.items() if known == name), None),
)


def in_espocrm(remotes: Remotes) -> Mapped:
    """Parties with the lists that a read by id shows."""
    names = ("phoneNumberData", "emailAddressData")
    phones = ListMapper("phones", names[0], PHONES, {"number": Column("phoneNumber", E164), "kind": Column("type")})
    emails = ListMapper("emails", names[1], EMAILS, {"address": Column("emailAddress")})
    replica = attrs.evolve(remotes.espocrm, attributes=(*remotes.espocrm.attributes, *names))
    return Mapped(replica, Together((party_mapper("espocrm"), phones, emails)))


def in_advoware(remotes: Remotes) -> WithChildren:
    """Parties with their Kommunikationen: what is no mail is a phone, and what is neither is left alone."""
    every = AdvowareChildren(
        remotes.advoware.session, "Kommunikationen", PHONES, {"number": Column("tlf"), "kind": Column("kommKz", KIND)},
        nested="kommunikation", read=lambda row: {**row, "kommKz": row.get("kommKz") or row.get("kommArt")},
    )  # fmt: skip
    phones = attrs.evolve(every, holds=lambda row: row["kommKz"] in KINDS)
    emails = attrs.evolve(
        every, items=EMAILS, places={"address": Column("tlf")},
        holds=lambda row: row["kommKz"] in MAIL, new=lambda: {"kommKz": MAIL[0]},
    )  # fmt: skip
    kept = {"phones": (phones, Abilities({"kind"}, Removal.BLANK)), "emails": (emails, Abilities((), Removal.BLANK))}
    lists = {name: ChildList(LISTS[name], rows, can) for name, (rows, can) in kept.items()}
    return WithChildren(Mapped(remotes.advoware, party_mapper("advoware")), lists)


async def open_engine(settings: Settings, remotes: Remotes) -> Engine:
    """The sync of parties, with two more groups: what both sides did to a list comes together."""
    party = party_policy(settings)
    merge = {name: MergeItems(items, prefer=Side.LEFT) for name, items in LISTS.items()}
    fields = [Field(name, name, key=items.key, update_only=frozenset({Side.RIGHT})) for name, items in LISTS.items()]
    groups = [Group(name, strategy=merge[name], initial=merge[name]) for name in LISTS]
    policy = Policy([*party.fields, *fields], [*party.groups, *groups], deletes_on=party.deletes_on)
    parts = Parts(
        left=in_espocrm(remotes), right=in_advoware(remotes), policy=policy, identity=PARTY_IDENTITY,
        detector=ByContent.of(policy), store=MemoryStore(), locks=LocalLocks(clock=SystemClock()),
    )  # fmt: skip
    return await Engine.open(parts)


async def main() -> None:
    async with espocrm_simulator() as crm, advoware_simulator() as erp:
        phones = [{"tlf": "0511/12345-60", "kommKz": 1}, {"tlf": "kanzlei@beispiel.example", "kommKz": 4}]
        number = erp.store.create(name="Köster", vorname="Ida", geburtsdatum="1970-02-03", kommunikation=phones)
        settings = Settings.from_tables({"espocrm": crm.config, "advoware": erp.config})
        remotes = Remotes.of(settings, SystemClock(), SystemChance())
        sweep = Sweep(await open_engine(settings, remotes))
        await sweep.run(everything=True)
        (id,) = crm.store.records
        print("EspoCRM has:", crm.store.records[id]["phoneNumber"], crm.store.records[id]["emailAddress"])

        crm.store.edit(id, phoneNumberData=[{"phoneNumber": "+4915112345678", "type": "Mobile"}])
        rows = erp.store.records[number]["kommunikation"]
        erp.store.edit(number, kommunikation=[*rows, {"tlf": "0511/12345-61", "kommKz": 2}])
        await sweep.run()
        left = sorted(item["phoneNumber"] for item in crm.store.records[id]["phoneNumberData"])
        print("EspoCRM has:", *left)
        print("Advoware has:", *[row["tlf"] for row in erp.store.records[number]["kommunikation"] if row["tlf"]])
        await remotes.close()


if __name__ == "__main__":
    asyncio.run(main())
