"""Who may see what: the token on every route but a few, by header or by a session.

A route is open only if it stands in ``OPEN``; one that somebody adds later is closed until
then. A session changes something only for requests from this very site.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from importlib import resources
from urllib.parse import urlsplit

import attrs
from aiohttp import web

OPEN = frozenset({"/healthz", "/webhooks/espocrm/{event}", "/login", "/static/{name}"})
COOKIE = "espo_advo_session"
SESSION_S = 12 * 3600
MOST_SESSIONS = 1000
FORM_S = 5.0
LOG = logging.getLogger("bidisync_espo_advo")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@attrs.define(eq=False)
class Access:
    """The token, and the sessions that somebody opened with it; they end with the process."""

    token: str = attrs.field(repr=False)
    _sessions: dict[str, float] = attrs.field(factory=dict, repr=False)

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
        if self._bearer(request):
            return await handler(request)
        if self._session(request):
            if request.method not in ("GET", "HEAD") and not _same_site(request):
                return web.json_response({"error": "not from this site"}, status=403)
            return await handler(request)
        if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
            return web.Response(status=401, text=_page(), content_type="text/html")
        return web.json_response(
            {"error": "the token of web.token is needed"}, status=401, headers={"WWW-Authenticate": "Bearer"}
        )

    async def page(self, _request: web.Request) -> web.Response:
        """The form for the token."""
        return web.Response(text=_page(), content_type="text/html")

    async def sign_in(self, request: web.Request) -> web.Response:
        """A session for whoever knows the token."""
        if not _same_site(request):
            return web.Response(status=403, text="not from this site")
        if not self._right(await _token_of(request)):
            return web.Response(status=401, text=_page("This is not the token."), content_type="text/html")
        id = secrets.token_urlsafe(32)
        now = asyncio.get_running_loop().time()
        self._sessions = {key: until for key, until in self._sessions.items() if until > now}
        if len(self._sessions) >= MOST_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        self._sessions[_hashed(id)] = now + SESSION_S
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            COOKIE, id, max_age=SESSION_S, httponly=True, samesite="Strict", secure=request.secure, path="/"
        )
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        """End the session."""
        self._sessions.pop(_hashed(request.cookies.get(COOKIE, "")), None)
        response = web.Response(status=303, headers={"Location": "/login"})
        response.del_cookie(COOKIE, path="/")
        return response

    def _bearer(self, request: web.Request) -> bool:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        return kind.lower() == "bearer" and self._right(given.strip())

    def _session(self, request: web.Request) -> bool:
        return self._sessions.get(_hashed(request.cookies.get(COOKIE, "")), 0.0) > asyncio.get_running_loop().time()

    def _right(self, given: str) -> bool:
        return bool(self.token) and hmac.compare_digest(_bytes(given), _bytes(self.token))


async def _token_of(request: web.Request) -> str:
    """The token in the form that was sent; empty where there is none, or it does not come in time."""
    try:
        async with asyncio.timeout(FORM_S):
            given = (await request.post()).get("token")
    except (TimeoutError, ValueError, LookupError, ConnectionError):
        return ""
    return given if isinstance(given, str) else ""


async def static(request: web.Request) -> web.Response:
    """A file that the pages need."""
    kinds = {"style.css": "text/css"}
    name = request.match_info["name"]
    if name not in kinds:
        raise web.HTTPNotFound
    text = (resources.files(__package__) / "static" / name).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=kinds[name])


def _same_site(request: web.Request) -> bool:
    """Whether a browser sent it from a page of ours; what is no browser says nothing."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.host
    except ValueError:
        return False


def _hashed(id: str) -> str:
    return hashlib.sha256(_bytes(id)).hexdigest()


def _bytes(text: str) -> bytes:
    """What stood in a header, also where it is no UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _page(told: str = "") -> str:
    text = (resources.files(__package__) / "static" / "login.html").read_text(encoding="utf-8")
    return text.replace("{told}", told)
