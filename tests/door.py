"""The site of ``serve`` over hints that are kept in a list, in the test's own loop: what strangers can reach."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import attrs
import pytest

from bidisync.clock import SystemClock
from bidisync.errors import Unavailable
from bidisync.imposing import Choose
from bidisync.model import Ref
from bidisync.state import Link
from bidisync.stores.memory import MemoryStore
from bidisync_espo_advo.desk import Settlement
from bidisync_espo_advo.web import Site, application, listening
from bidisync_espo_advo.web.access import Access
from bidisync_espo_advo.web.acting import Acting
from bidisync_espo_advo.web.board import Board
from bidisync_espo_advo.web.intake import Intake
from bidisync_espo_advo.web.keeping import Keeping
from served import TOKEN

HOOK, SECRET = "65f0c0ffee", "0123456789abcdef0123456789abcdef"


@attrs.define
class Kept:
    """What was kept durably; ``broken`` as long as it can't be."""

    groups: list[list[Ref]] = attrs.Factory(list)
    broken: bool = False

    async def __call__(self, refs: Sequence[Ref]) -> None:
        await asyncio.sleep(0.01)
        if self.broken:
            raise Unavailable("no room left", system="state")
        self.groups.append(list(refs))

    @property
    def refs(self) -> list[Ref]:
        return [ref for group in self.groups for ref in group]


@attrs.frozen
class Door:
    url: str
    kept: Kept
    session: aiohttp.ClientSession
    app: object

    async def send(self, body: bytes, headers: dict[str, str], event: str = "update") -> int:
        url = f"{self.url}/webhooks/espocrm/{event}"
        async with self.session.post(url, data=io.BytesIO(body), headers=headers) as response:
            return response.status


@asynccontextmanager
async def opened(most: int = 500) -> AsyncIterator[Door]:
    """A door to which so many connections may be held at once."""
    kept = Kept()

    async def nothing() -> dict[str, str]:
        return {}

    async def settled(link: Link, group: str, pick: Choose, by: str) -> Settlement:
        raise AssertionError("nothing waits here")

    intake = Intake({HOOK: SECRET, "empty": ""}, Keeping(kept), body_s=1.0)
    access = Access(TOKEN)
    access.patience.slow_s = 0.01
    board = Board(access, MemoryStore(), nothing)
    acting = Acting(board, SystemClock(), settled, kept)
    app = application(Site(access, intake, board, acting, nothing, nothing))
    async with listening(app, "127.0.0.1", 0, idle_s=1.0, most=most) as url, aiohttp.ClientSession() as session:
        yield Door(url, kept, session, app)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with opened() as it:
        yield it


BODY = json.dumps([{"id": "a1"}, {"id": "b2"}, {"id": "a1"}]).encode()
