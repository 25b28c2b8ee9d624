"""The whole product in a simulation: both replicas, engine and sweep over both simulators, without a socket.

Workers are opened by ``open_sync`` as in production; only time, chance, state, leases and
the transport are the simulation's. People work in the simulators' own stores.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs

from bidisync.clock import utc_text
from bidisync.mapping import FieldMapper
from bidisync.model import Conditional, Fields, Side, Value, Verb
from bidisync.schema import Policy
from bidisync.sweep import Sweep
from bidisync.testing.simulation import network
from bidisync.testing.simulation.drills import Exercise
from bidisync.testing.simulation.loop import Process
from bidisync.testing.simulation.network import Ask, Network, Twist
from bidisync.testing.simulation.parts import SimClock
from bidisync.testing.simulation.strain import dry_runs
from bidisync.testing.simulation.world import Applied, Remote, Seats, World
from bidisync_espo_advo.app import open_sync
from bidisync_espo_advo.fields import PARTY, party_mapper
from bidisync_espo_advo.policy import party_policy
from bidisync_espo_advo.profile import AdvowareProfile, save_profile
from bidisync_espo_advo.settings import Settings
from bidisync_espo_advo.simulators.advoware_api import AdvowareApi
from bidisync_espo_advo.simulators.advoware_signin import SYNC_USER, Account, TokenService
from bidisync_espo_advo.simulators.advoware_store import AdvowareStore
from bidisync_espo_advo.simulators.advoware_switches import Switches
from bidisync_espo_advo.simulators.espocrm_api import EspoApi
from bidisync_espo_advo.simulators.espocrm_fields import BETEILIGTE
from bidisync_espo_advo.simulators.espocrm_store import EspoStore
from bidisync_espo_advo.simulators.espocrm_switches import EspoSwitches
from bidisync_espo_advo.simulators.espocrm_table import Record
from bidisync_espo_advo.simulators.espocrm_users import SignIn
from bidisync_espo_advo.simulators.inprocess import InProcess
from bidisync_espo_advo.transport import NoAnswer, NotSent, Request, Response

CRM_URL, ERP_URL = "http://crm.example/", "http://erp.example/"
TIMES = {"timeout_s": 10.0}
IGNORED = tuple(field.name for field in PARTY if not field.writable and field.group == "register")
TOO_LONG = " zu lang für dieses Feld in Advoware, das höchstens vierzig Zeichen nimmt"


def _reading(system: str) -> FieldMapper:
    return party_mapper("espocrm" if system == "espocrm" else "advoware")


def _instants(clock: SimClock) -> Callable[[], datetime]:
    return lambda: datetime.fromtimestamp(clock.now(), UTC)


@attrs.define(eq=False)
class CrmDesk:
    """EspoCRM, and the people who work in it."""

    world: World
    seed: int
    versions: bool = True
    network: Network = attrs.field(init=False)
    store: EspoStore = attrs.field(init=False)
    server: InProcess = attrs.field(init=False)
    _mapper: FieldMapper = attrs.field(init=False, factory=lambda: _reading("espocrm"))
    _shown: dict[str, tuple[object, Fields]] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        self.network = self.world.network(Side.LEFT)
        switches = EspoSwitches({"occ": "on" if self.versions else "off", "login_block": "off"})
        self.store = EspoStore(self.seed, switches, _instants(self.world.clocks[Side.LEFT]))
        self.server = InProcess.of(EspoApi(self.store, SignIn.of(self.store.users)).routes())

    @property
    def key(self) -> str:
        """The key of the user that syncs."""
        return self.store.users["sync"].credentials["api_key"]

    def records(self) -> Mapping[str, Fields]:
        """Every live record in the shared form."""
        return {record.id: self._shown_now(record) for record in self.store.table(BETEILIGTE).all_live()}

    def _shown_now(self, record: Record) -> Fields:
        version = record.row["versionNumber"]
        known = self._shown.get(record.id)
        if known is None or version is None or known[0] != version:
            known = self._shown[record.id] = (version, self._mapper.get(record.row))
        return known[1]

    def create(self, fields: Mapping[str, Value]) -> str:
        """A person makes a record."""
        return self.store.create(**self._mapper.put(fields, {}))

    def edit(self, id: str, field: str, value: Value) -> None:
        """A person changes a field."""
        self.store.edit(id, **self._mapper.put({field: value}, {}))

    def delete(self, id: str) -> None:
        """A person deletes a record."""
        self.store.delete(id)

    def unseen(self, id: str, request: Request, before: Fields) -> tuple[str, ...]:
        """Nothing: versions are checked."""
        return ()

    def born(self, reply: Response) -> str:
        """The id in the reply to a create."""
        return str(json.loads(reply.body)["id"])


@attrs.define(eq=False)
class ErpDesk:
    """Advoware, and the people who work in it."""

    world: World
    seed: int
    checked: bool = True
    network: Network = attrs.field(init=False)
    store: AdvowareStore = attrs.field(init=False)
    server: InProcess = attrs.field(init=False)
    account: Account = attrs.field(init=False)
    _mapper: FieldMapper = attrs.field(init=False, factory=lambda: _reading("advoware"))
    _shown: dict[int, tuple[object, Fields]] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        self.network = self.world.network(Side.RIGHT)
        chosen = {"string.max_len": "400", "token.clock_skew_max_s": "unlimited"}
        if self.checked:
            chosen["if_match"] = "rowId_in_body_checked"
        self.store = AdvowareStore(self.seed, Switches(chosen), _instants(self.world.clocks[Side.RIGHT]))
        self.account = Account.of(self.seed)
        api = AdvowareApi(self.store, self.account, TokenService(self.account, self.store))
        self.server = InProcess.of(api.routes())

    def records(self) -> Mapping[str, Fields]:
        """Every party in the shared form."""
        found = {}
        for betnr, party in self.store._parties.items():
            known = self._shown.get(betnr)
            if known is None or known[0] is not party.values:
                values = {
                    name: f"{value}T00:00:00" if name == "geburtsdatum" and value else value
                    for name, value in party.values.items()
                }
                known = self._shown[betnr] = (party.values, self._mapper.get(values))
            found[str(betnr)] = known[1]
        return found

    def create(self, fields: Mapping[str, Value]) -> str:
        """A person makes a party."""
        return str(self.store.create(**self._mapper.put(fields, {})))

    def edit(self, id: str, field: str, value: Value) -> None:
        """A person changes a field."""
        self.store.edit(int(id), **self._mapper.put({field: value}, {}))

    def delete(self, id: str) -> None:
        """A person deletes a party."""
        self.store.delete(int(id))

    def unseen(self, id: str, request: Request, before: Fields) -> tuple[str, ...]:
        """The fields that somebody edited after the read that this PUT stands on."""
        body = json.loads(request.body or b"{}")
        if body.get("rowId") == self.store.shown(int(id)).get("rowId"):
            return ()
        sent = self._mapper.get(body)
        ignored = {field.name for field in PARTY if not field.writable}
        return tuple(name for name, value in sent.items() if name not in ignored and before.get(name) != value)

    def born(self, reply: Response) -> str:
        """The number in the reply to a create."""
        return str(json.loads(reply.body)["betNr"])


Desk = CrmDesk | ErpDesk


@attrs.define(eq=False)
class SimTransport:
    """One worker's way to one system: the seam below retries, sign-in, JSON and errors."""

    desk: Desk
    side: Side

    async def send(self, request: Request) -> Response:
        """The response, if one comes back."""
        path = request.url.split("/", 3)[3]
        tail = path.rpartition("/")[2]
        about = "Beteiligte" in path
        id = tail if about and not tail.endswith("Beteiligte") else ""
        listing = about and not id
        ask = Ask(
            f"{request.method} {'list' if listing and not request.writes else id or tail}",
            lambda: self._act(request, id),
            writes=request.writes and about,
            id=id,
            before=(lambda: self._ask(attrs.evolve(request, method="GET", body=None))) if id else None,
            listing=listing,
            twists=_twists(request.writes and about, listing, self),
        )
        try:
            answer = await self.desk.network.carry(ask)
        except network.NotSent as error:
            raise NotSent(str(error)) from error
        except network.NoAnswer as error:
            raise NoAnswer(str(error)) from error
        assert isinstance(answer, Response)  # noqa: S101 - everything here answers with one
        return answer

    async def close(self) -> None:
        """Nothing is open."""

    def _ask(self, request: Request) -> Response:
        return Response(
            *self.desk.server.answer(request.method, request.url, request.headers, request.query, request.body)
        )

    def _act(self, request: Request, id: str) -> Response:
        """The request carried out; what it changed is told to the world."""
        if not request.writes or "Token" in request.url:
            return self._ask(request)
        world, records = self.desk.world, self.desk.records
        if request.method == "POST" and self.side is Side.LEFT:
            world.people.enters_first(self.side, str(json.loads(request.body or b"{}").get("lastName")))
        before = records().get(id, {})
        unseen = self.desk.unseen(id, request, before) if before else ()
        response = self._ask(request)
        if response.status == 409 and request.method == "POST":
            world.fault("R8", self.side.value)
        if response.status in (200, 201, 204):
            verb = {"POST": Verb.CREATE, "PUT": Verb.UPDATE, "DELETE": Verb.DELETE}[request.method]
            id = id or self.desk.born(response)
            after = records().get(id, {})
            world.people.names.setdefault((self.side, id), world.people.who(after))
            world.took(Applied(self.side, id, verb, before, after, world.loop.time(), world.by, unseen))
        return response

    def young(self, row: Mapping[str, Any]) -> bool:
        """Whether a row may still be missing from a list: it was made or changed just now."""
        clock = self.desk.world.clocks[self.side]
        since = utc_text(clock.now() - self.desk.network.lag_s)
        return str(row.get("modifiedAt") or "") > since if self.side is Side.LEFT else False


def _status(status: int, headers: Mapping[str, str] = {}, body: bytes = b"") -> Callable[[Any], Response]:
    return lambda _: Response(status, headers, body)


def _half(answer: Response | None) -> Response:
    return Response(200, {"content-type": "application/json"}, (answer.body if answer is not None else b"")[:17])


def _bare(answer: Response | None) -> Response:
    return Response(200 if answer is None else answer.status, {}, b"")


_SICK = (
    Twist("F5", False, _status(429)),
    Twist("F5", False, _status(429, {"retry-after": "2"})),
    Twist("F5", False, _status(429, {"retry-after": "99999"})),
    Twist("F5", False, _status(429, {"retry-after": formatdate(1_700_000_060, usegmt=True)})),
    Twist("F6", False, _status(500)),
    Twist("F6", False, _status(502, {}, b"<html>Bad Gateway</html>")),
    Twist("F6", False, _status(503, {"retry-after": "1"})),
    Twist("F6", True, _status(504)),
    Twist("F8", True, _half),
    Twist("F8", True, _bare),
    Twist("F8", True, _status(200, {"content-type": "text/html"}, b"<html>Anmeldung</html>")),
    Twist("F9", False, _status(200, {}, b'{"error": "not reachable"}')),
    Twist("F9", True, _status(200, {}, b'{"error": "not reachable"}')),
    Twist("F10", False, _status(401)),
    Twist("F10", False, _status(403, {"x-status-reason": "No 'edit' access."})),
    Twist("F11", False, _status(302, {"location": "http://elsewhere.example/"})),
)


def _twists(writes: bool, listing: bool, transport: SimTransport) -> Sequence[Twist]:
    if not listing or writes:
        return _SICK
    return (*_SICK, Twist("F12", True, lambda reply: _shifted(reply, transport)))


def _shifted(reply: Response, transport: SimTransport) -> Response:
    """A list in which a row that is very young is missing, or the first stands twice."""
    document = json.loads(reply.body)
    rows = document["list"] if isinstance(document, dict) else document
    if rows and transport.young(rows[-1]):
        rows.pop()
    elif rows:
        rows.append(rows[0])
    return attrs.evolve(reply, body=json.dumps(document).encode())


_PROFILES = TemporaryDirectory(prefix="bidisync-simulation-")
CHECKED = AdvowareProfile(
    conditional_write=Conditional.ENFORCED, version_moves="every_write", version_returns=False, numbers_rise=True
)


@attrs.define(kw_only=True, slots=False)
class Office:
    """EspoCRM and Advoware with parties between them, as a scenario.

    ``enforced``: Advoware refuses a PUT against an outdated rowId, and the profile says so.
    Otherwise it is as the default switches have it, and an edit in the moment between our
    read and our write may be lost: that is counted.
    """

    enforced: bool = True
    tables: Mapping[str, Mapping[str, Any]] = attrs.Factory(dict)
    timeout_s: float = 10.0
    lease_s: float = 30.0
    lag_s: float = 5.0
    who: str = "family_name"
    edited: tuple[str, ...] = ("title", "addition", "letter_salutation")
    hinting: tuple[Side, ...] = (Side.LEFT,)
    exercise: Exercise = Exercise((dry_runs,))
    policy: Policy = attrs.field(init=False)
    _settings: Settings = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        profile = Path(_PROFILES.name) / "checked.json"
        if self.enforced and not profile.exists():
            save_profile(profile, CHECKED)
        account = Account.of(0)
        base: dict[str, dict[str, Any]] = {
            "espocrm": {"url": CRM_URL, "api_key": EspoStore(0).users["sync"].credentials["api_key"], **TIMES},
            "advoware": {
                "api_url": ERP_URL,
                "security_url": f"{ERP_URL}security/",
                "profile": str(profile) if self.enforced else "",
                **account.config(SYNC_USER),
                **TIMES,
            },
            "state": {"url": "postgresql://state.example/sync"},  # workers of several machines, each with its clock
            "lock": {"lease_s": self.lease_s},
            "sync": {"search_lag_s": self.lag_s, "concurrency": 3},
        }
        for name, table in self.tables.items():
            base[name] = {**base.get(name, {}), **table}
        self._settings = Settings.from_tables(base)
        self.policy = party_policy(self._settings)

    def person(self, who: str) -> Mapping[str, Value]:
        """Somebody with a name and a date of birth."""
        return {"family_name": who, "given_name": "Ada", "birth_date": f"19{40 + int(who[1:]) % 50}-02-03"}

    def nobody(self, side: Side) -> str:
        """An id that no record has."""
        return "0123456789abcdef0" if side is Side.LEFT else "999999"

    def ignored_by(self, side: Side) -> tuple[str, ...]:
        """Fields that Advoware takes only at a create."""
        return IGNORED if side is Side.RIGHT else ()

    def refused(self, side: Side) -> tuple[str, str] | None:
        """A title that is too long for Advoware."""
        return ("title", TOO_LONG) if side is Side.RIGHT else None

    def remote(self, world: World, side: Side) -> Remote:
        """The simulator of that side."""
        return CrmDesk(world, 0) if side is Side.LEFT else ErpDesk(world, 0, self.enforced)

    @asynccontextmanager
    async def open(self, world: World, process: Process, seats: Seats) -> AsyncIterator[Sweep]:
        """A worker, opened as in production."""
        transports = {
            name: SimTransport(_desk(world, side), side)
            for name, side in (("espocrm", Side.LEFT), ("advoware", Side.RIGHT))
        }
        async with open_sync(
            self._settings,
            transports=transports,
            store=seats.store,
            locks=seats.locks,
            clock=seats.clock,
            chance=seats.chance,
            observers=(seats.observer,),
            rehearse=seats.rehearse,
        ) as sync:
            yield sync.sweeps


def _desk(world: World, side: Side) -> Desk:
    remote = world.remote(side)
    if not isinstance(remote, CrmDesk | ErpDesk):
        raise TypeError("this scenario has the two simulators as remotes")
    return remote


def checked() -> Office:
    """Both systems refuse outdated writes: no edit may be lost."""
    logging.getLogger("stamina").disabled = True  # what a retry came to is in the timeline
    return Office()


def unchecked() -> Office:
    """Advoware as nobody has certified it: what is lost between read and write is counted."""
    logging.getLogger("stamina").disabled = True
    return Office(enforced=False)


if __name__ == "__main__":
    from bidisync.testing.simulation.command import exit_with
    from bidisync_espo_advo import testing

    exit_with({"checked": testing.checked, "unchecked": testing.unchecked})
