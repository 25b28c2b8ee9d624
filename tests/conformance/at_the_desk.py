"""People at the simulated systems, and the lines to them: what a check of the real replicas needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import attrs

from bidisync import Ref, Side
from bidisync.clock import SystemClock
from bidisync.mapping import Mapped
from bidisync.state import Link
from bidisync.stores.memory import MemoryStore
from bidisync.testing import MappedPerson, Mishap, SeededChance, Trial
from bidisync_espo_advo import Settings
from bidisync_espo_advo.advoware_nested import Rows
from bidisync_espo_advo.app import Remotes
from bidisync_espo_advo.fields import party_mapper
from bidisync_espo_advo.profile import AdvowareProfile, EspoProfile
from bidisync_espo_advo.simulators import AdvowareServer, EspoServer, advoware_simulator, espocrm_simulator
from bidisync_espo_advo.simulators.espocrm_fields import BETEILIGTE
from bidisync_espo_advo.simulators.server import Control, FaultRule

ALWAYS = 10**9
ACCOUNTS = Rows("Beteiligte/{parent}/Bankverbindungen", parent="betNr", creates=True)
UNMEASURED_CRM, UNMEASURED_ERP = EspoProfile(), AdvowareProfile()


@attrs.frozen
class AtTheCrm:
    """Somebody who works in EspoCRM."""

    server: EspoServer

    async def add(self, fields):
        return self.server.store.create(**fields)

    async def edit(self, id, fields):
        self.server.store.edit(id, **fields)

    async def remove(self, id):
        self.server.store.delete(id)

    async def read(self, id):
        stored = self.server.store.table(BETEILIGTE).records.get(id)
        shown = stored and not stored.deleted and self.server.store.shown(BETEILIGTE, stored)
        return dict(shown) if shown else None

    async def trash(self):
        return {id for id, stored in self.server.store.table(BETEILIGTE).records.items() if stored.deleted}


@attrs.frozen
class AtTheDesk:
    """Somebody at Advoware's desktop program."""

    server: AdvowareServer

    async def add(self, fields):
        return str(self.server.store.create(**fields))

    async def edit(self, id, fields):
        self.server.store.edit(int(id), **fields)

    async def remove(self, id):
        self.server.store.delete(int(id))

    async def read(self, id):
        try:
            return self.server.store.shown(int(id))
        except KeyError:
            return None

    async def trash(self):
        return ()


@attrs.frozen
class WithAccounts:
    """Somebody at Advoware's desktop program who looks after the bank accounts."""

    server: AdvowareServer

    async def add(self, fields):
        values = {name: value for name, value in fields.items() if name != "betNr"}
        return f"{fields['betNr']}/{self.server.accounts.create(fields['betNr'], **values)}"

    async def edit(self, id, fields):
        self.server.accounts.edit(_row(id), **fields)

    async def remove(self, id):
        self.server.accounts.delete(_row(id))

    async def read(self, id):
        row = self.server.accounts.rows.get(_row(id))
        return None if row is None else dict(row)

    async def trash(self):
        return ()


def _row(id: str) -> int:
    return int(id.partition("/")[2])


@attrs.frozen
class ServerLine:
    """The way to a simulator's records; sign-ins are left alone."""

    control: Control
    resource: str

    @property
    def writes(self) -> int:
        return sum(one.method != "GET" and f"/{self.resource}" in one.path for one in self.control.log)

    @contextmanager
    def befall(self, mishap: Mishap) -> Iterator[None]:
        options: Mapping[Mishap, dict[str, Any]] = {
            Mishap.REQUEST_LOST: {"action": "drop"},
            Mishap.REPLY_LOST: {"action": "drop", "when": "after"},
            Mishap.LIMITED: {"action": "status", "status": 429, "headers": {"Retry-After": "0"}},
            Mishap.FAILED: {"action": "status", "status": 500},
            Mishap.FORBIDDEN: {"action": "status", "status": 403},
        }
        rule = FaultRule(path=f"/{self.resource}", times=ALWAYS, **options[mishap])
        self.control.rules.append(rule)
        try:
            yield
        finally:
            self.control.rules.remove(rule)


@asynccontextmanager
async def closing(remotes: Remotes) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await remotes.close()


def espocrm_trials(
    *, mapped: bool = False, profile: EspoProfile = UNMEASURED_CRM, switches: Mapping[str, str] = {}
) -> Callable[[], AbstractAsyncContextManager[Trial]]:
    """Trials of the EspoCRM replica, each with a simulator of its own."""

    @asynccontextmanager
    async def make() -> AsyncIterator[Trial]:
        async with espocrm_simulator(switches=switches) as server:
            settings = Settings.from_tables({"espocrm": server.config, "advoware": {}})
            remotes = Remotes.of(settings, SystemClock(), SeededChance())
            remotes.espocrm.profile = profile
            person, line = AtTheCrm(server), ServerLine(server.control, "CBeteiligte")
            async with closing(remotes):
                yield _trial(remotes.espocrm, person, line, "espocrm" if mapped else None)

    return make


def advoware_trials(
    *, mapped: bool = False, profile: AdvowareProfile = UNMEASURED_ERP, switches: Mapping[str, str] = {}
) -> Callable[[], AbstractAsyncContextManager[Trial]]:
    """Trials of the Advoware replica, each with a simulator of its own."""

    @asynccontextmanager
    async def make() -> AsyncIterator[Trial]:
        async with advoware_simulator(switches=switches) as server:
            settings = Settings.from_tables({"espocrm": {}, "advoware": server.config})
            remotes = Remotes.of(settings, SystemClock(), SeededChance())
            remotes.advoware.profile = profile
            person, line = AtTheDesk(server), ServerLine(server.control, "Beteiligte")
            async with closing(remotes):
                yield _trial(remotes.advoware, person, line, "advoware" if mapped else None)

    return make


@asynccontextmanager
async def account_trial() -> AsyncIterator[Trial]:
    """A trial of the bank accounts of two parties, both of whom are linked."""
    async with advoware_simulator() as server:
        parents = MemoryStore()
        for name in ("Muster", "Beispiel"):
            betnr = str(server.store.create(name=name))
            await parents.save(Link.begin(Ref(Side.RIGHT, betnr)).with_id(Side.LEFT, f"crm{betnr}"))
        remotes = Remotes.of(
            Settings.from_tables({"espocrm": {}, "advoware": server.config}), SystemClock(), SeededChance()
        )
        async with closing(remotes):
            line = ServerLine(server.control, "Bankverbindungen")
            yield Trial(replica=remotes.rows(ACCOUNTS, parents), person=WithAccounts(server), line=line)


def _trial(replica, person, line, system) -> Trial:
    if system is None:
        return Trial(replica=replica, person=person, line=line)
    mapper = party_mapper(system)
    return Trial(replica=Mapped(replica, mapper), person=MappedPerson(person, mapper), line=line)
