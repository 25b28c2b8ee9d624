"""Who may see what: the token on every route but a few, by header or by a session.

A route is open only if it stands in ``OPEN``; one that somebody adds later is closed until
then. A session changes something only for requests from this very site that carry its proof.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from importlib import resources
from urllib.parse import urlsplit

import attrs
from aiohttp import web

from bidisync_espo_advo.web.pages import Pages
from bidisync_espo_advo.web.patience import Patience, TooMany
from bidisync_espo_advo.web.sessions import SESSION_S, Session, Sessions, bytes_of

OPEN = frozenset({"/healthz", "/webhooks/espocrm/{event}", "/login", "/static/{name}"})
COOKIE = "espo_advo_session"
FORM_S = 5.0
LOG = logging.getLogger("bidisync_espo_advo")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, a browser's own forms have the origin "null"
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def _now() -> float:
    return asyncio.get_running_loop().time()


@attrs.define(eq=False)
class Access:
    """The token, and the sessions that somebody opened with it; they end with the process."""

    token: str = attrs.field(repr=False)
    pages: Pages = attrs.Factory(Pages)
    sessions: Sessions = attrs.field(factory=lambda: Sessions(_now), repr=False)
    patience: Patience = attrs.field(factory=lambda: Patience(_now), repr=False)

    def routes(self) -> list[web.RouteDef]:
        """Signing in and out, and what the page for that needs."""
        return [
            web.get("/login", self.page),
            web.post("/login", self.sign_in),
            web.post("/logout", self.sign_out),
            web.get("/static/{name}", static),
        ]

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let through what is open or proven; everything leaves with the same headers."""
        try:
            response = await self._answer(request, handler)
        except TooMany:
            response = web.Response(status=429, text="too many wrong tokens", headers={"Retry-After": "60"})
            response.force_close()  # the next guess costs a connection
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        except Exception as error:  # what it was about stays out of the log: it may quote the request
            LOG.error("a request failed: %s", type(error).__name__)
            response = web.json_response({"error": "this failed"}, status=500)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        if resource is not None and resource.canonical in OPEN:
            return await handler(request)
        if await self._bearer(request):
            return await handler(request)
        session = self.session(request)
        if session is not None:
            if request.method not in ("GET", "HEAD") and not await _ours(request, session):
                return web.json_response({"error": "not from a page of this site"}, status=403)
            return await handler(request)
        if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
            return self.pages.answer(request, "login.html", status=401)
        return web.json_response(
            {"error": "the token of web.token is needed"}, status=401, headers={"WWW-Authenticate": "Bearer"}
        )

    def session(self, request: web.Request) -> Session | None:
        """The session of whoever asks, if there is one."""
        return self.sessions.of(request.cookies.get(COOKIE, ""))

    async def page(self, request: web.Request) -> web.Response:
        """The form for the token."""
        return self.pages.answer(request, "login.html")

    async def sign_in(self, request: web.Request) -> web.Response:
        """A session for whoever knows the token."""
        if not same_site(request):
            return web.Response(status=403, text="not from this site")
        if not await self._right(request, (await _field_of(request, "token")).strip()):
            return self.pages.answer(request, "login.html", status=401, wrong=True)
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            COOKIE,
            self.sessions.begin(),
            max_age=int(SESSION_S),
            httponly=True,
            samesite="Strict",
            secure=request.secure or request.headers.get("X-Forwarded-Proto") == "https",
            path="/",
        )
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        """End the session."""
        self.sessions.end(request.cookies.get(COOKIE, ""))
        response = web.Response(status=303, headers={"Location": "/login"})
        response.del_cookie(COOKIE, path="/")
        return response

    async def _bearer(self, request: web.Request) -> bool:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        return kind.lower() == "bearer" and await self._right(request, given.strip())

    async def _right(self, request: web.Request, given: str) -> bool:
        def right() -> bool:
            return bool(self.token) and hmac.compare_digest(bytes_of(given), bytes_of(self.token))

        return await self.patience.judge(request.remote or "", right)


_KINDS = {"style.css": "text/css", "desk.js": "text/javascript", "icon.svg": "image/svg+xml"}


async def static(request: web.Request) -> web.Response:
    """A file that the pages need."""
    name = request.match_info["name"]
    if name not in _KINDS:
        raise web.HTTPNotFound
    text = (resources.files(__package__) / "static" / name).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=_KINDS[name])


def same_site(request: web.Request) -> bool:
    """Whether a browser sent it from a page of ours; what is no browser says nothing."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.host
    except ValueError:
        return False


async def _ours(request: web.Request, session: Session) -> bool:
    """Whether a page of this session sent it: from this site, and with the session's proof."""
    if not same_site(request):
        return False
    if request.content_type not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return session.proves(request.headers.get("X-CSRF-Token"))
    return session.proves(request.headers.get("X-CSRF-Token") or await _field_of(request, "csrf"))


async def _field_of(request: web.Request, name: str) -> str:
    """A field of the form that was sent; empty where there is none, or it does not come in time."""
    try:
        async with asyncio.timeout(FORM_S):
            given = (await request.post()).get(name)
    except (TimeoutError, ValueError, LookupError, ConnectionError):
        return ""
    return given if isinstance(given, str) else ""
