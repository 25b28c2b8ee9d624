"""The routes, over what the running service tells: nothing here knows how it does its work."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
from aiohttp import web

from bidisync_espo_advo.web.access import Access
from bidisync_espo_advo.web.acting import Acting
from bidisync_espo_advo.web.board import Board
from bidisync_espo_advo.web.intake import Intake

MOST_FORM = 64 * 1024


@attrs.frozen
class Site:
    """What is shown: ``ready`` says what does not work, ``metrics`` the page of Prometheus if there is one."""

    access: Access
    intake: Intake
    board: Board
    acting: Acting
    status: Callable[[], Awaitable[Mapping[str, Any]]]
    ready: Callable[[], Awaitable[Mapping[str, str]]]
    metrics: Callable[[], bytes | Awaitable[bytes]] | None = None

    async def healthz(self, _request: web.Request) -> web.Response:
        """The process runs."""
        return web.json_response({"status": "ok"})

    async def readyz(self, _request: web.Request) -> web.Response:
        """Everything that the work needs could be reached lately; else 503 and what could not."""
        wrong = dict(await self.ready())
        return web.json_response({"ready": not wrong, "wrong": wrong}, status=503 if wrong else 200)

    async def measured(self, _request: web.Request) -> web.Response:
        """The metrics, in the text form of Prometheus."""
        if self.metrics is None:
            return web.Response(status=501, text="metrics need an extra: pip install 'bidisync[metrics]'\n")
        page = self.metrics()
        body = await page if inspect.isawaitable(page) else page
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def api_status(self, _request: web.Request) -> web.Response:
        """How the work stands, as a document."""
        return web.json_response(await self.status())


def application(site: Site) -> web.Application:
    """The whole site, every route behind the token but those that are open on purpose."""
    app = web.Application(middlewares=[site.access.middleware], client_max_size=MOST_FORM)
    app.add_routes(site.intake.routes())
    app.add_routes(site.access.routes())
    app.add_routes(
        [
            web.get("/healthz", site.healthz),
            web.get("/readyz", site.readyz),
            web.get("/metrics", site.measured),
            web.get("/api/status", site.api_status),
        ]
    )
    app.add_routes(site.board.routes())
    app.add_routes(site.acting.routes())
    app.on_shutdown.append(site.board.live.close)
    return app
