"""Both simulators in the test's own loop, and what the tests ask of them: real HTTP all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs

from bidisync_espo_advo import Settings
from bidisync_espo_advo.simulators import AdvowareServer, EspoServer, advoware_simulator, espocrm_simulator
from watch import WATCH

FAST = {"lock": {"lease_s": 4.0}, "sync": {"search_lag_s": 0.2}}
"""Times that let a test see what follows a crash: requests of at most 3 s."""


@attrs.frozen
class Office:
    """EspoCRM and Advoware, and the people who edit there."""

    crm: EspoServer
    erp: AdvowareServer
    tables: dict[str, dict[str, Any]]

    @property
    def settings(self) -> Settings:
        """The settings that reach both."""
        return Settings.from_tables(self.tables)

    def forget_calls(self) -> None:
        """Count from here."""
        self.crm.control.log.clear()
        self.erp.control.log.clear()

    def calls(self) -> list[str]:
        """The requests since then, in order within each system: no sign-in, no discovery, no list pages."""
        found = []
        for side, server in (("left", self.crm), ("right", self.erp)):
            for entry in server.control.log:
                if "Token" in entry.path or "Configurator" in entry.path or entry.path.endswith("App/user"):
                    continue
                listing = entry.method == "GET" and entry.path.endswith(("/CBeteiligte", "/Beteiligte"))
                if listing:
                    kind = "search" if "betnr" in entry.query else "list"
                    if kind == "list":
                        continue
                    found.append(f"{side} {kind}")
                else:
                    found.append(f"{side} {entry.method}")
        return found

    def counts(self) -> Counter[str]:
        """How often which call was made."""
        return Counter(self.calls())

    def writes(self) -> int:
        """Requests that may have changed something."""
        return sum(not call.endswith(("GET", "search")) for call in self.calls())

    def pair(self, id: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """An EspoCRM record and the party that it is linked to."""
        record = self.crm.store.records[id]
        return record, self.erp.store.records[record["betnr"]]


@asynccontextmanager
async def opened(
    *,
    crm_records: int = 0,
    erp_records: int = 0,
    crm_switches: dict[str, str] | None = None,
    erp_switches: dict[str, str] | None = None,
    **tables: dict[str, Any],
) -> AsyncIterator[Office]:
    """Both systems, listening, with that many parties each."""
    crm = espocrm_simulator(records=crm_records, switches=crm_switches or {})
    erp = advoware_simulator(records=erp_records, switches=erp_switches or {})
    async with crm, erp:
        times = {"timeout_s": 3.0}
        merged: dict[str, dict[str, Any]] = {
            "espocrm": {**crm.config, **times},
            "advoware": {**erp.config, **times},
            "state": WATCH.sealing({"url": "sqlite:///:memory:"}),
            **FAST,
        }
        for name, table in tables.items():
            merged[name] = {**merged.get(name, {}), **table}
        try:
            yield Office(crm, erp, merged)
        finally:
            for people in (crm.store.records, erp.store.records):
                WATCH.keep(people.values(), merged)
