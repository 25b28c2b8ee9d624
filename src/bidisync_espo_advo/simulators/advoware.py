"""Advoware as a local server: discovery, signed sign-in, and parties that a PUT replaces whole.

By default it behaves as the best evidence says; what nobody outside knows is a switch. It shares
no code with any client, so that a client's mistake cannot hide in both. Tests in another process
do over ``/_simulator/records`` and ``/_simulator/switches`` what a person does at the desk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
from aiohttp import web

from bidisync_espo_advo.simulators.advoware_accounts import Accounts
from bidisync_espo_advo.simulators.advoware_api import SECURITY, AdvowareApi
from bidisync_espo_advo.simulators.advoware_appointments import Appointments
from bidisync_espo_advo.simulators.advoware_cases import Cases
from bidisync_espo_advo.simulators.advoware_children import Addresses, Communication
from bidisync_espo_advo.simulators.advoware_signin import SYNC_USER, Account, TokenService
from bidisync_espo_advo.simulators.advoware_store import PERSON, AdvowareStore, Clock, utc_now
from bidisync_espo_advo.simulators.advoware_switches import Switches
from bidisync_espo_advo.simulators.people import acquainted
from bidisync_espo_advo.simulators.server import CONTROL, Control, SimulatorServer


@attrs.define(kw_only=True)
class AdvowareServer(SimulatorServer):
    """The running simulator; ``store``, and what belongs to its parties, are for a person at the desktop program."""

    store: AdvowareStore
    account: Account
    accounts: Accounts
    cases: Cases
    appointments: Appointments
    addresses: Addresses

    @property
    def person_config(self) -> Mapping[str, Any]:
        """Like ``config``, for a second user: a person whose program uses the same API."""
        return {**self.config, **self.account.config(PERSON)}


def advoware_simulator(
    *,
    records: int = 0,
    seed: int = 0,
    port: int = 0,
    switches: Mapping[str, str] = {},
    people_start: int = 1_000_000,
    shared: int = 0,
    alike: int = 0,
    clock: Clock = utc_now,
) -> AdvowareServer:
    """An Advoware with ``records`` synthetic parties, to be started; the same for the same seed.

    ``shared`` of them are those that the simulated EspoCRM of this seed has first, ``alike``
    more are its next ones, of whom only the name is known here. ``ValueError`` for a switch
    that there is not, or if they are too many. ``clock`` gives the time, with its zone.
    """
    store = AdvowareStore(seed=seed, switches=Switches(switches), clock=clock)
    store.fill(acquainted(seed, records, start=people_start, shared=shared, alike=alike))
    account = Account.of(seed)
    api = AdvowareApi(store, account, TokenService(account, store))
    app = web.Application()
    accounts, cases, appointments, addresses = Accounts(api), Cases(api), Appointments(api), Addresses(api)
    for part in (api, accounts, cases, appointments, Communication(api), addresses):
        app.add_routes(part.routes())
    app.add_routes(_person_routes(store))
    return AdvowareServer(
        system="advoware",
        app=app,
        control=Control(),
        make_config=lambda url: _config(url, store.switches, account),
        port=port,
        store=store,
        account=account,
        accounts=accounts,
        cases=cases,
        appointments=appointments,
        addresses=addresses,
    )


def _config(url: str, switches: Switches, account: Account) -> dict[str, Any]:
    config = {"discovery_url": url, **account.config(SYNC_USER)}
    if switches["path_prefix"] == "/api/v1":
        config["path"] = "api/v1/"
    if switches["discovery"] == "no_security_gateway":
        config["security_url"] = f"{url.rstrip('/')}{SECURITY}/"
    return config


def _person_routes(store: AdvowareStore) -> list[web.RouteDef]:
    async def records(_request: web.Request) -> Any:
        return list(store.records.values())

    async def create(request: web.Request) -> Any:
        return {"betNr": store.create(**await request.json())}

    async def edit(request: web.Request) -> Any:
        changes, id = await request.json(), int(request.match_info["betnr"])
        before = store.records[id]
        store.edit(id, **changes)
        return {name: before.get(name) for name in changes}

    async def delete(request: web.Request) -> Any:
        store.delete(int(request.match_info["betnr"]))
        return True

    async def behave(request: web.Request) -> Any:
        store.behave(await request.json())
        return True

    one = CONTROL + r"records/{betnr:\d+}"
    return [
        web.get(CONTROL + "records", _told(records)),
        web.post(CONTROL + "records", _told(create)),
        web.patch(one, _told(edit)),
        web.delete(one, _told(delete)),
        web.put(CONTROL + "switches", _told(behave)),
    ]


def _told(act: Callable[[web.Request], Awaitable[Any]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The route that answers what ``act`` gives, or why it could not."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return web.json_response(await act(request))
        except KeyError:
            return web.Response(status=404, text="there is no such party")
        except ValueError as wrong:
            return web.Response(status=400, text=str(wrong))

    return answer
