"""What both simulators share: a real HTTP server, a request log, and faults that a test can order.

A simulator is an ``aiohttp.web`` application behind one middleware. The middleware counts
every request, and carries out the *fault rules* it was given: hold a request back before or
after it took effect, drop the connection, or answer with a status of one's choice. Tests in
the same process call ``SimulatorServer`` directly; tests in another process use the same
things over HTTP below ``/_simulator/``, which is never logged and never faulty.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Self

import attrs
from aiohttp import web

CONTROL = "/_simulator/"
MAX_LINE = 65_536  # far above what a simulator itself may refuse

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@attrs.frozen
class LoggedRequest:
    """One request as it was seen: never its body, never its credentials."""

    number: int
    method: str
    path: str
    query: str
    status: int  # 0: the reply was never sent


@attrs.define
class FaultRule:
    """What goes wrong for the next ``times`` matching requests, after ``skip`` of them went well.

    ``when`` says whether the request takes effect first: ``before`` is a lost request,
    ``after`` a lost reply. ``hold`` waits ``seconds`` (or until the caller hangs up),
    then goes on; ``drop`` closes the connection without a reply; ``status`` answers
    ``status`` with ``body`` and ``headers``.
    """

    action: Literal["hold", "drop", "status"]
    method: str = ""  # empty: any
    path: str = ""  # regular expression, searched in the path; empty: any
    when: Literal["before", "after"] = "before"
    skip: int = 0
    times: int = 1
    seconds: float = 3600.0
    status: int = 503
    body: str = ""
    headers: dict[str, str] = attrs.Factory(dict)

    def takes(self, method: str, path: str) -> bool:
        """Whether this rule fires now; counts the request if it matches."""
        if self.times <= 0 or (self.method and self.method != method) or not re.search(self.path, path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@attrs.define
class Control:
    """The request log and the fault rules of one simulator."""

    log: list[LoggedRequest] = attrs.Factory(list)
    rules: list[FaultRule] = attrs.Factory(list)
    held: int = 0
    _changed: asyncio.Condition = attrs.Factory(asyncio.Condition)

    def calls(self) -> dict[str, int]:
        """Requests answered or dropped so far, by verb."""
        return dict(Counter(entry.method for entry in self.log))

    async def wait_until_held(self, at_least: int = 1) -> None:
        """Return once that many requests are being held back."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.held >= at_least)

    async def _hold(self, seconds: float) -> None:
        async with self._changed:
            self.held += 1
            self._changed.notify_all()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.held -= 1

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Log the request and let the first matching rule have its way with it."""
        if request.path.startswith(CONTROL):
            return await handler(request)
        number = len(self.log)
        entry = LoggedRequest(number, request.method, request.path, request.query_string, 0)
        self.log.append(entry)
        rule = next((r for r in self.rules if r.takes(request.method, request.path)), None)
        response = None
        if rule is None or rule.when == "after":
            response = await handler(request)
        if rule is not None:
            if rule.action == "drop":
                if request.transport is not None:
                    request.transport.close()
                raise web.HTTPInternalServerError
            if rule.action == "hold":
                await self._hold(rule.seconds)
            if rule.action == "status":
                response = web.Response(status=rule.status, text=rule.body, headers=rule.headers)
        if response is None:
            response = await handler(request)
        if number < len(self.log) and self.log[number] is entry:  # else the log was cleared meanwhile
            self.log[number] = attrs.evolve(entry, status=response.status)
        return response

    def routes(self) -> list[web.RouteDef]:
        """The control channel for tests in another process."""

        async def log(_request: web.Request) -> web.Response:
            return web.json_response({"calls": self.calls(), "requests": [attrs.asdict(e) for e in self.log]})

        async def clear_log(_request: web.Request) -> web.Response:
            self.log.clear()
            return web.json_response(True)

        async def add_rules(request: web.Request) -> web.Response:
            self.rules.extend(FaultRule(**rule) for rule in await request.json())
            return web.json_response(True)

        async def clear_rules(_request: web.Request) -> web.Response:
            self.rules.clear()
            return web.json_response(True)

        async def held(request: web.Request) -> web.Response:
            await self.wait_until_held(int(request.query.get("at_least", "1")))
            return web.json_response(self.held)

        return [
            web.get(CONTROL + "log", log),
            web.delete(CONTROL + "log", clear_log),
            web.post(CONTROL + "faults", add_rules),
            web.delete(CONTROL + "faults", clear_rules),
            web.get(CONTROL + "held", held),
        ]


@attrs.define
class SimulatorServer:
    """One simulator, listening on loopback between ``start`` and ``stop`` (or in ``async with``)."""

    system: str
    app: web.Application
    control: Control
    make_config: Callable[[str], Mapping[str, Any]]
    users: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens, with a slash at the end."""
        return f"http://{self.host}:{self.port}/"

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration table that reaches it."""
        return self.make_config(self.url)

    async def start(self) -> Self:
        """Listen; port 0 becomes a free port."""
        self.app.middlewares.append(self.control.middleware)
        self.app.add_routes(self.control.routes())
        runner = web.AppRunner(
            self.app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=0.5,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
        )
        await runner.setup()
        site = web.TCPSite(runner, self.host, self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        self._runner = runner
        return self

    async def stop(self) -> None:
        """Stop listening; held requests are dropped."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    def announcement(self) -> dict[str, Any]:
        """What ``espo-advo simulate`` prints when it is ready."""
        return {"system": self.system, "url": self.url, "config": dict(self.config), "users": dict(self.users)}
