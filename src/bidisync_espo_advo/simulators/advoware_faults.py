"""A bad line to Advoware: one call in eight goes wrong, and the same ones for the same seed.

``drop`` loses a request before it took effect, ``reset`` the reply of one that did; ``dup``
carries a PUT out twice, ``reorder`` lets later calls overtake, ``partial_json`` cuts a body.
"""

from __future__ import annotations

import asyncio
import random

import attrs
from aiohttp import web

KINDS = ("drop", "dup", "reorder", "reset", "partial_json")
ONE_IN = 8
OVERTAKEN_S = 0.2


@attrs.define
class Faults:
    """What goes wrong, call by call."""

    seed: int
    _rng: random.Random = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._rng = random.Random(f"advoware/faults/{self.seed}")

    def next(self, chosen: str) -> str:
        """What happens to this call; empty: nothing."""
        if chosen == "none" or self._rng.randrange(ONE_IN):
            return ""
        return self._rng.choice(KINDS) if chosen == "all" else chosen


async def before(fault: str, request: web.Request) -> None:
    """What happens to a request on its way in."""
    if fault == "drop":
        hang_up(request)
    if fault == "reorder":
        await asyncio.sleep(OVERTAKEN_S)


def after(fault: str, request: web.Request, response: web.Response) -> web.Response:
    """What happens to the reply on its way out."""
    if fault == "reset":
        hang_up(request)
    if fault == "partial_json" and isinstance(response.body, bytes):
        headers = {"Content-Type": "application/json; charset=utf-8"}
        return web.Response(status=response.status, body=response.body[: len(response.body) // 2], headers=headers)
    return response


def hang_up(request: web.Request) -> None:
    """Close the connection; nothing comes back."""
    if request.transport is not None:
        request.transport.close()
    raise web.HTTPTooManyRequests
