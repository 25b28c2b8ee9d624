"""What a person says on a page is done: settle, try again, approve, unlink, show values, choose a language.

Each is what the command of the same name does; then a hint wakes somebody for the records.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
from aiohttp import web

from bidisync.approval import approve, rearm, revive, unlink
from bidisync.errors import SyncError
from bidisync.guards import HeldPlan
from bidisync.imposing import Choose
from bidisync.model import ABSENT, Ref, Review, Seen, Versions
from bidisync.protocols import Clock
from bidisync.state import Link
from bidisync_espo_advo.desk import TAKES, Settlement, picks
from bidisync_espo_advo.operating import link_named
from bidisync_espo_advo.web.board import Board
from bidisync_espo_advo.web.pages import LANGUAGES, remember_language
from bidisync_espo_advo.web.viewing import acts_of, seen_name, takes_of

LOG = logging.getLogger("bidisync_espo_advo")

Settle = Callable[[Link, str, Choose, str], Awaitable[Settlement]]
"""Settles a group of a link, with what to choose, and whose choice the log says it was."""

Submit = Callable[[Sequence[Ref]], Awaitable[None]]


@attrs.frozen
class Acting:
    """The actions behind the board's buttons; every one needs a session, and its proof."""

    board: Board
    clock: Clock
    settle: Settle
    submit: Submit

    def routes(self) -> list[web.RouteDef]:
        """One address for each action."""
        return [
            web.post("/settle", self.settled),
            web.post("/retry", self.retried),
            web.post("/approve", self.approved),
            web.post("/unlink", self.unlinked),
            web.post("/values", self.values),
            web.post("/language", self.language),
        ]

    async def settled(self, request: web.Request) -> web.Response:
        """Settle one card, as it was shown."""
        form, words = await request.post(), self.board.access.pages.words(request)
        try:
            link = await link_named(self.board.store, str(form.get("link", "")))
            review = self._shown(request, link, str(form.get("seen", "")))
            take = str(form.get("take", ""))
            pick = None if review is None else _picked(review, take, form)
            if review is None or pick is None:
                return await self._told(request, "warn", words("told.moved"))
            by = f"dashboard: {take if take in TAKES else 'field by field'}"
            done = await self.settle(link, review.group, _as_shown(review, pick), by)
        except SyncError as error:
            return await self._told(request, "bad", words.of("error", error.reason))
        open_still = set(review.fields) & set(done.open)
        if open_still or not done.settled:
            return await self._told(request, "warn", words("told.moved"))
        return await self._told(request, "good", words("told.settled", link=_named(link)))

    def _shown(self, request: web.Request, link: Link, seen: str) -> Review | None:
        """The review that the page showed, if it is still the same to the last value."""
        session = self.board.access.session(request)
        secret = "" if session is None else session.csrf
        return next((review for review in link.reviews if seen_name(link, review, secret) == seen), None)

    async def retried(self, request: web.Request) -> web.Response:
        """Try a record again from the beginning, or all that were given up."""
        form, words = await request.post(), self.board.access.pages.words(request)
        try:
            if "all" in form:
                links = await revive(self.board.store, self.clock)
                number = len(links)
            else:
                links = [await link_named(self.board.store, str(form.get("link", "")))]
                number = await rearm(self.board.store, self.clock, links)
            await self.submit([link.refs[0] for link in links if not link.tombstoned])
        except SyncError as error:
            return await self._told(request, "bad", words.of("error", error.reason))
        return await self._told(request, "good", words.count("told.retried", number))

    async def unlinked(self, request: web.Request) -> web.Response:
        """Keep the two apart, or a single record for itself, as long as what was shown still waits."""
        form, words = await request.post(), self.board.access.pages.words(request)
        try:
            link = await link_named(self.board.store, str(form.get("link", "")))
            review = self._shown(request, link, str(form.get("seen", "")))
            if review is None or "unlink" not in acts_of(review):
                return await self._told(request, "warn", words("told.moved"))
            await unlink(self.board.store, self.clock, [link])
        except SyncError as error:
            return await self._told(request, "bad", words.of("error", error.reason))
        return await self._told(request, "good", words("told.unlinked", id=link.id))

    async def approved(self, request: web.Request) -> web.Response:
        """Let exactly the plan go that was shown."""
        form, words = await request.post(), self.board.access.pages.words(request)
        try:
            plan: HeldPlan | None = await approve(self.board.store, self.clock, str(form.get("hash", "")))
            if plan is None:
                return await self._told(request, "warn", words("told.plan_moved"))
            await self.submit([Ref.parse(id) for id in plan.links])
        except SyncError as error:
            return await self._told(request, "bad", words.of("error", error.reason))
        return await self._told(request, "good", words.count("told.approved", len(plan.links)))

    async def values(self, request: web.Request) -> web.Response:
        """Show values in this session for a while, or mask them."""
        session = self.board.access.session(request)
        if session is None:
            return web.json_response({"error": "only a session shows values"}, status=403)
        shows = (await request.post()).get("show") == "1"
        self.board.access.sessions.show(session, shows=shows)
        if shows:
            LOG.info("values are shown to a session of the dashboard")
        return await self._told(request)

    async def language(self, request: web.Request) -> web.Response:
        """Remember the language that was chosen."""
        chosen = (await request.post()).get("language")
        response = await self._told(request)
        if isinstance(chosen, str) and chosen in LANGUAGES:
            remember_language(response, chosen)
        return response

    async def _told(self, request: web.Request, kind: str = "", text: str = "") -> web.Response:
        """Back to where the person was, which says what became of it; to a program it is said at once."""
        session = self.board.access.session(request)
        if session is None:
            return web.json_response({"result": kind, "told": text}, status=200 if kind in ("", "good") else 409)
        if text:
            session.tell(kind, text)
        return web.Response(status=303, headers={"Location": await _back(request)})


def _picked(review: Review, take: str, form: Any) -> Choose | None:
    """The choice that a form names, if it has a value for every field of the review."""
    if take in TAKES:
        return picks(take, review.group) if take in takes_of(review) else None
    if take != "fields" or not takes_of(review):
        return None
    named = {name: str(form.get(f"pick.{name}", "")) for name in review.fields}
    if not all(side in ("left", "right", "base") for side in named.values()):
        return None
    return lambda name, versions: getattr(versions, named[name]) if name in named else ABSENT


def _as_shown(review: Review, pick: Choose) -> Choose:
    """The same choice, for fields that still are what the page showed: nobody decides about what they did not see."""

    def choose(name: str, versions: Versions) -> Seen:
        shown = review.fields.get(name)
        same = shown is not None and (shown.left, shown.right) == (versions.left, versions.right)
        return pick(name, shown) if same and shown is not None else ABSENT

    return choose


def _named(link: Link) -> str:
    return " · ".join(str(ref.id) for ref in link.refs)


async def _back(request: web.Request) -> str:
    back = (await request.post()).get("back")
    inside = isinstance(back, str) and back.startswith("/") and not back.startswith(("//", "/\\"))
    return back if inside and isinstance(back, str) and back.isprintable() else "/"
