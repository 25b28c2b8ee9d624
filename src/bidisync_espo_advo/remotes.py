"""Both systems, reachable: clients for the settings, and replicas of whatever lies in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aiohttp
import attrs

from bidisync.detectors import ByContent, by_version, first_that_knows
from bidisync.events import Event
from bidisync.protocols import Chance, ChangeDetector, Clock, Observer
from bidisync.schema import Policy
from bidisync.storage import StateStore
from bidisync_espo_advo.addresses import PublicResolver, host_of
from bidisync_espo_advo.advoware import AdvowareReplica
from bidisync_espo_advo.advoware_nested import NestedReplica, Rows
from bidisync_espo_advo.advoware_replies import Resource
from bidisync_espo_advo.advoware_session import AdvowareSession
from bidisync_espo_advo.espocrm import EspoReplica
from bidisync_espo_advo.fields import PARTY
from bidisync_espo_advo.profile import AdvowareProfile, EspoProfile, load_profile
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.sign_ins import SignIns
from bidisync_espo_advo.status import SILENT, Bookkeeping
from bidisync_espo_advo.transport import HttpTransport, Transport
from bidisync_espo_advo.wire import Wire

RETRY_READS_FOR_S = 20.0


@attrs.frozen
class Remotes:
    """Both systems, reachable: native replicas of parties and of the rest, and the wires that count their calls."""

    espocrm: EspoReplica
    advoware: AdvowareReplica
    wires: Mapping[str, Wire]

    @classmethod
    def of(
        cls,
        settings: Settings,
        clock: Clock,
        chance: Chance,
        session: aiohttp.ClientSession | None = None,
        *,
        transports: Mapping[str, Transport] | None = None,
        tells_writers: bool = False,
        sign_ins: SignIns | None = None,
        observers: Sequence[Observer] = (),
    ) -> Remotes:
        """Clients for these settings; over ``session``'s connections, or over transports of the caller's, by system.

        ``tells_writers``: a record of EspoCRM says whether this user wrote it last (one read more).
        ``sign_ins`` shares the sign-in to Advoware with other processes. ``observers`` are told
        of every call.
        """
        named, given = settings.advoware, transports or {}

        def observe(event: Event) -> None:
            for observer in observers:
                observer(event)

        public = PublicResolver(
            trusted=frozenset(map(host_of, (named.discovery_url, named.api_url, named.security_url))),
            doors=frozenset({host_of(named.discovery_url)}),
        )
        wires = {
            name: Wire(
                name,
                given[name]
                if name in given
                else HttpTransport(config.timeout_s, session, public if name == "advoware" else None),
                clock,
                max_concurrency=config.max_concurrency,
                requests_per_second=config.requests_per_second,
                retry_for_s=min(RETRY_READS_FOR_S, config.timeout_s),
                observe=observe,
            )
            for name, config in (("espocrm", settings.espocrm), ("advoware", settings.advoware))
        }
        sign_in = AdvowareSession(settings.advoware, wires["advoware"], clock, chance, sign_ins)
        return cls(
            EspoReplica(
                settings.espocrm,
                wires["espocrm"],
                clock,
                tuple(field.espocrm for field in PARTY),
                settings.sync.archive_field if settings.sync.delete == "archive" else "",
                tells_writers,
                load_profile(settings.espocrm.profile, EspoProfile),
            ),
            AdvowareReplica(
                settings.advoware,
                sign_in,
                clock,
                load_profile(settings.advoware.profile, AdvowareProfile),
                tuple(field.advoware for field in PARTY),
            ),
            wires,
        )

    @property
    def calls(self) -> dict[str, dict[str, int]]:
        """The requests sent so far, by system and verb."""
        verbs = ("GET", "POST", "PUT", "DELETE")
        return {name: {verb: wire.calls[verb] for verb in verbs} for name, wire in self.wires.items()}

    async def close(self) -> None:
        """Close what was opened here."""
        for wire in self.wires.values():
            await wire.transport.close()

    def detector(self, policy: Policy) -> ChangeDetector:
        """Values decide; an equal token spares the comparison where it is certified to prove something."""
        content = ByContent.of(policy)
        return first_that_knows(by_version, content) if self.advoware.profile.version_proves_rest else content

    def entity(
        self, entity_type: str, attributes: Sequence[str] = (), *, shows: Bookkeeping = SILENT, archive_field: str = ""
    ) -> EspoReplica:
        """The records of another entity type of EspoCRM; ``attributes`` are those that the mapping names."""
        crm = self.espocrm
        config = attrs.evolve(crm.config, entity_type=entity_type)
        profile = crm.profile
        return EspoReplica(
            config, crm.wire, crm.clock, tuple(attributes), archive_field, crm.tells_writers, profile, shows
        )

    def resource(self, resource: Resource, names: Sequence[str] = ()) -> AdvowareReplica:
        """The records of another collection of Advoware; ``names`` are the fields that the mapping names."""
        erp = self.advoware
        return AdvowareReplica(erp.config, erp.session, erp.clock, erp.profile, tuple(names), resource)

    def rows(self, rows: Rows, parents: StateStore) -> NestedReplica:
        """The rows that Advoware keeps within those parents that are linked."""
        return NestedReplica(self.advoware.session, self.advoware.clock, rows, parents)
