"""The pages of the dashboard: what stands, what waits, and what became of a record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
from aiohttp import web

from bidisync.guards import held_plans
from bidisync.model import LinkState, Ref, ReviewKind
from bidisync.state import Link
from bidisync_espo_advo.app import Store
from bidisync_espo_advo.desk import waiting_document
from bidisync_espo_advo.explaining import Mask
from bidisync_espo_advo.web.access import HEADERS, Access
from bidisync_espo_advo.web.finding import Finding
from bidisync_espo_advo.web.live import Live
from bidisync_espo_advo.web.pulse import Pulse
from bidisync_espo_advo.web.viewing import Entry, Who, cards, entries, path_of, standing_lines

MOST_CARDS = 50
NEWEST = 8
MOST_ENTRIES = 200
MOST_NAMED = 100

KINDS = [kind.value for kind in ReviewKind]
Status = Callable[[], Awaitable[Mapping[str, Any]]]


@attrs.define(eq=False)
class Board:
    """Pages over the state. ``status`` says how the work stands, ``pulse`` what the last hour brought."""

    access: Access
    store: Store
    status: Status
    pulse: Pulse = attrs.field(factory=lambda: Pulse(lambda: asyncio.get_running_loop().time()))
    live: Live = attrs.field(init=False)
    find: Finding = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.live = Live(self.store, HEADERS)
        self.find = Finding(self.store, self.access.sessions.clock)

    def routes(self) -> list[web.RouteDef]:
        """The pages, and what keeps them fresh."""
        return [
            web.get("/", self.overview),
            web.get("/conflicts", self.conflicts),
            web.get("/dead", self.dead),
            web.get("/held", self.held),
            web.get("/search", self.search),
            web.post("/search", self.search),
            web.get("/records/{side:left|right}/{id}", self.record),
            web.get("/api/conflicts", self.api_conflicts),
            web.get("/api/live", self.stream),
        ]

    def mask(self, request: web.Request) -> Mask:
        """Whether whoever asks sees values now."""
        return Mask(self.access.sessions.shows(self.access.session(request)))

    async def answer(self, request: web.Request, name: str, *, status: int = 200, **context: Any) -> web.Response:
        """A page with the frame that all have."""
        waiting = await self.store.waiting()
        numbers = {
            "conflicts": sum(any(not review.plan for review in link.reviews) for link in waiting),
            "dead": sum(link.attempts.dead for link in waiting),
            "held": len(held_plans(waiting)),
        }
        frame = {"numbers": numbers, "waiting": len(waiting), "shows": self.mask(request).shows}
        session = self.access.session(request)
        return self.access.pages.answer(request, name, status=status, session=session, **frame, **context)

    async def overview(self, request: web.Request) -> web.Response:
        """How everything stands, on one page."""
        newest = [entry for _, entry in await self.store.history(limit=NEWEST)]
        refs = [Ref.parse(entry.link_id) for entry in newest]
        told = entries(newest[::-1], Mask())
        context: dict[str, Any] = {
            "standing": await self.status(),
            "states": [state.value for state in reversed(LinkState)],
            "hour": self.pulse.hour(),
            "lag": {"half": self.pulse.lag(0.5), "most": self.pulse.lag(0.95)},
            "newest": [(ref, path_of(ref), entry) for ref, entry in zip(refs, told, strict=True)],
        }
        return await self.answer(request, "overview.html", **context)

    async def conflicts(self, request: web.Request) -> web.Response:
        """What a person has to decide, with every version side by side."""
        session = self.access.session(request)
        waiting = await self.store.waiting()
        found = cards(waiting, self.mask(request), "" if session is None else session.csrf)
        found.sort(key=lambda card: (not card.takes, KINDS.index(card.kind)))  # what can be settled here comes first
        return await self.answer(request, "conflicts.html", cards=found[:MOST_CARDS], count=len(found))

    async def dead(self, request: web.Request) -> web.Response:
        """What was given up, and why."""
        waiting = await self.store.waiting()
        mask = self.mask(request)
        letters = [(Who.of(link, mask), link.attempts) for link in waiting if link.attempts.dead]
        return await self.answer(request, "dead.html", letters=letters[:MOST_NAMED], count=len(letters))

    async def held(self, request: web.Request) -> web.Response:
        """The plans that wait for an approval."""
        waiting = await self.store.waiting()
        plans, mask = held_plans(waiting), self.mask(request)
        known = {link.id: Who.of(link, mask) for link in waiting}
        named = {plan.digest: [known[id] for id in plan.links[:MOST_NAMED]] for plan in plans}
        return await self.answer(request, "held.html", plans=plans, named=named)

    async def search(self, request: web.Request) -> web.Response:
        """The form, and with a POST what it found: a name never stands in an address."""
        text = str((await request.post()).get("q", "")) if request.method == "POST" else ""
        found = await self.find(text) if text.strip() else None
        mask = self.mask(request)
        who = [] if found is None else [Who.of(link, mask) for link in found.links]
        more = found is not None and found.more
        return await self.answer(request, "search.html", text=text, searched=found is not None, found=who, more=more)

    async def record(self, request: web.Request) -> web.Response:
        """One record: how it stands, what waits, and everything that was decided about it."""
        link = await self.link(request)
        if link is None:
            return await self.answer(request, "nowhere.html", status=404)
        mask, session = self.mask(request), self.access.session(request)
        journal = await self.store.journal(link.id)
        timeline: list[Entry] = entries(journal[-MOST_ENTRIES:], mask)
        return await self.answer(
            request,
            "record.html",
            who=Who.of(link, mask),
            link=link,
            groups=standing_lines(link, mask),
            cards=cards([link], mask, "" if session is None else session.csrf),
            timeline=timeline,
            cut=len(journal) > MOST_ENTRIES,
        )

    async def link(self, request: web.Request) -> Link | None:
        """The link that the address names."""
        ref = Ref.parse(f"{request.match_info['side']}:{request.match_info['id']}")
        return (await self.store.load([ref])).get(ref)

    async def api_conflicts(self, request: web.Request) -> web.Response:
        """What ``espo-advo conflicts --json`` prints."""
        mask = self.mask(request)
        return web.json_response({"conflicts": [waiting_document(link, mask) for link in await self.store.waiting()]})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """News for an open page."""
        session = self.access.session(request)
        return await self.live.stream(request, lambda: session is None or self.access.session(request) is session)
