"""EspoCRM 9.2.7 as a local server: records, lists and rules as they were recorded from a real one.

It shares no code with any client, so that a client's mistake cannot hide in both. Tests in another
process do over ``/_simulator/records`` and ``/_simulator/switches`` what a person does in the CRM.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from typing import Any, Self

import attrs
from aiohttp import web

from bidisync_espo_advo.simulators.espocrm_api import MAX_BODY, EspoApi
from bidisync_espo_advo.simulators.espocrm_desk import Desk
from bidisync_espo_advo.simulators.espocrm_fields import BETEILIGTE
from bidisync_espo_advo.simulators.espocrm_store import Clock, EspoStore, utc_now
from bidisync_espo_advo.simulators.espocrm_switches import EspoSwitches
from bidisync_espo_advo.simulators.espocrm_users import SignIn, User
from bidisync_espo_advo.simulators.people import parties
from bidisync_espo_advo.simulators.server import CONTROL, Control, SimulatorServer


@attrs.define(kw_only=True)
class EspoServer(SimulatorServer):
    """The running simulator; ``store`` is for a person who works in the CRM."""

    store: EspoStore
    _job: asyncio.Task[None] | None = None

    def desk(self, entity_type: str) -> Desk:
        """A person who works at records of that entity type."""
        return Desk(self.store, entity_type)

    async def start(self) -> Self:
        """Listen, and send webhooks at the interval that the switches name."""
        await SimulatorServer.start(self)
        self._job = asyncio.create_task(
            self.store.webhooks.run_every(
                lambda: float(self.store.switches["webhook.interval_s"]),
                lambda: int(self.store.switches["webhook.portion"]),
            )
        )
        return self

    async def stop(self) -> None:
        """Stop listening and sending."""
        if self._job is not None:
            self._job.cancel()
            self._job = None
        await SimulatorServer.stop(self)

    async def send_webhooks(self) -> list[int]:
        """Run the job now, whatever the interval; how many items each POST had."""
        return await self.store.webhooks.run(int(self.store.switches["webhook.portion"]))


def espocrm_simulator(
    *,
    records: int = 0,
    seed: int = 0,
    port: int = 0,
    switches: Mapping[str, str] = {},
    people_start: int = 0,
    clock: Clock = utc_now,
) -> EspoServer:
    """An EspoCRM with ``records`` synthetic parties, to be started; the same for the same seed.

    ``ValueError`` for a switch that there is not. ``clock`` gives the time, with its zone.
    """
    store = EspoStore(seed=seed, switches=EspoSwitches(switches), clock=clock)
    store.fill(islice(parties(seed, start=people_start), records))
    api = EspoApi(store, SignIn.of(store.users))
    app = web.Application(client_max_size=MAX_BODY)
    app.add_routes(api.routes())
    app.add_routes(_person_routes(store))
    return EspoServer(
        system="espocrm",
        app=app,
        control=Control(),
        make_config=lambda url: _config(url, store.users["sync"]),
        users={name: user.told() for name, user in store.users.items()},
        port=port,
        store=store,
    )


def _config(url: str, user: User) -> dict[str, Any]:
    return {"url": url, "api_key": user.credentials["api_key"], "entity_type": BETEILIGTE.name}


def _person_routes(store: EspoStore) -> list[web.RouteDef]:
    async def records(_request: web.Request) -> Any:
        return list(store.records.values())

    async def create(request: web.Request) -> Any:
        return {"id": store.create(**await request.json())}

    async def edit(request: web.Request) -> Any:
        changes, id = await request.json(), request.match_info["id"]
        before = store.records[id]
        store.edit(id, **changes)
        return {name: before.get(name) for name in changes}

    async def delete(request: web.Request) -> Any:
        store.delete(request.match_info["id"])
        return True

    async def behave(request: web.Request) -> Any:
        store.behave(await request.json())
        return True

    one = CONTROL + "records/{id}"
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
            return web.Response(status=404, text="there is no such record")
        except ValueError as wrong:
            return web.Response(status=400, text=str(wrong))

    return answer
