"""Where Advoware is, and a token to talk to it: discovery, sign-in, one refresh at a time."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import math

import attrs
from whenever import Instant

from bidisync.clock import local_seconds
from bidisync.errors import Misconfigured, Unauthorized, Unavailable, Unconfirmed, Unmappable
from bidisync.protocols import Chance, Clock
from bidisync_espo_advo.addresses import host_of, is_inside
from bidisync_espo_advo.connections import AdvowareConfig
from bidisync_espo_advo.sign_ins import Addresses, SignIn, SignIns, Token
from bidisync_espo_advo.transport import Request, Response
from bidisync_espo_advo.wire import Usable, Wire, anything

SYSTEM = "advoware"
DEFAULT_LIFE_S = 55 * 60.0
EARLY_S = 60.0
LEAST_LIFE_S = 1.0

_OFFLINE = ("nicht angemeldet", "nicht erreichbar")
_SIGNED_OUT = ("nicht angemeldet", "anmeldung ist abgelaufen", "sitzung ist abgelaufen", "token ist abgelaufen")
_AT_THE_FIRM = ("kanzlei", "manager", "connector")
_REFUSED = ("kennwort", "freigeschaltet", "signatur", "ung\u00fcltig", "unbekannt", "nicht registriert")


@attrs.define(eq=False, repr=False)
class AdvowareSession:
    """Signs requests in. Concurrent callers share one discovery and one refresh.

    With ``shared`` other processes take part in that: what one of them found serves all.
    """

    config: AdvowareConfig
    wire: Wire
    clock: Clock
    chance: Chance
    shared: SignIns | None = None
    _addresses: Addresses | None = attrs.field(default=None, init=False)
    _token: Token | None = attrs.field(default=None, init=False, repr=False)
    _lock: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False, repr=False)

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        query: dict[str, str] | None = None,
        *,
        usable: Usable = anything,
    ) -> Response:
        """The response to a signed-in request; one refused token is refreshed and the request repeated.

        A 401 means that nothing was carried out, so a write may be repeated too.
        """
        refused: Token | None = None
        response = Response(401)
        for _ in range(2):
            addresses = await self.addresses()
            token = await self._signed_in(addresses, refused)
            headers = {"Authorization": f"Bearer {token.text}", "Accept": "application/json"}
            data = None
            if body is not None:
                headers["Content-Type"] = "application/json"
                data = encoded(body)
            url = f"{addresses.api}{self.config.path.strip('/')}/{path}"
            request = Request(method, url, headers, query or {}, data)
            response = await self.wire.send(request, usable, final=_signed_out, systemic=_offline)
            if response.status != 401 and not _signed_out(response):
                return response
            refused = token
        if any(word in _german(response) for word in _AT_THE_FIRM):
            raise Unavailable("advoware's connector at the firm is not signed in", system=SYSTEM)
        self.wire.refused()
        raise Unauthorized("advoware refuses a fresh token: check the credentials", system=SYSTEM)

    async def addresses(self) -> Addresses:
        """The configured addresses, or those that the discovery service names."""
        if self._addresses is None:
            async with self._lock:
                if self._addresses is None and not await self._take_shared(None):
                    self._addresses = await self._discover()
        if self._addresses is None:
            raise Unavailable("advoware's addresses are not known", system=SYSTEM)
        return self._addresses

    async def sign_in(self) -> None:
        """Prove address and credentials."""
        await self._signed_in(await self.addresses(), None)

    async def _signed_in(self, addresses: Addresses, refused: Token | None) -> Token:
        async with self._lock:
            if not self._fits(self._token, refused):
                await self._refresh(addresses, refused)
            if self._token is None:
                raise Unavailable("advoware's sign-in brought nothing", system=SYSTEM)
            return self._token

    def _fits(self, token: Token | None, refused: Token | None) -> bool:
        """Whether a token may be used: not the one that was just refused, and not at its end."""
        return token is not None and token != refused and token.expires_at > self.clock.now()

    async def _refresh(self, addresses: Addresses, refused: Token | None) -> None:
        """A token of another process if it left one, else a new one, which the others get to see."""
        if self.shared is None:
            self._token = await self._new_token(addresses)
            return
        if await self._take_shared(refused):
            return
        async with self.shared.alone(self.config):
            if not await self._take_shared(refused):  # else somebody signed in while we waited
                self._token = await self._new_token(addresses)
                await self.shared.save(self.config, SignIn(addresses, self._token))

    async def _take_shared(self, refused: Token | None) -> bool:
        """Use what another process left; false if there is nothing that can be used."""
        found = None if self.shared is None else await self.shared.load(self.config)
        if found is None or not self._fits(found.token, refused):
            return False
        self._addresses, self._token = found.addresses, found.token
        return True

    async def _discover(self) -> Addresses:
        config = self.config
        if config.api_url and config.security_url:
            return Addresses(_slash(config.api_url), _slash(config.security_url))
        url = f"{_slash(config.discovery_url)}AdvonetConfigurator/api/Url"
        response = await self.wire.send(Request("GET", url, query={"Kanzlei": config.kanzlei}))
        document = _object(response)
        if response.status != 200 or document is None:
            raise _refusal(response, "advoware does not know this Kanzlei: check advoware.kanzlei")
        api = config.api_url or _text(document, "connectorUrl") or _text(document, "relayUrl")
        security = config.security_url or _text(document, "securityGateway")
        if not api or not security:
            raise Unavailable("advoware's discovery names no address for the API or the sign-in", system=SYSTEM)
        for found in (api, security):
            if found not in (config.api_url, config.security_url):
                _require_public(found, config.discovery_url)
        return Addresses(_slash(api), _slash(security))

    async def _new_token(self, addresses: Addresses) -> Token:
        request = Request(
            "POST",
            f"{addresses.security}api/v1/Token",
            {"Content-Type": "application/json", "Accept": "application/json"},
            body=encoded(self._credentials()),
        )
        try:
            response = await self.wire.send(request)
        except Unconfirmed as error:  # a token that nobody got harms nobody
            raise Unavailable("advoware's sign-in did not answer", system=SYSTEM) from error
        document = _object(response)
        text = None if document is None else _text(document, "access_token")
        if response.status not in (200, 201) or document is None or not text:
            hint = "check user, password, app_id and api_key, and the clock of this machine"
            raise self._refusal(response, f"advoware refuses the sign-in: {hint}")
        return Token(text, self._end(document))

    def _refusal(self, response: Response, advice: str) -> Unauthorized | Unavailable:
        error = _refusal(response, advice)
        if isinstance(error, Unauthorized):
            self.wire.refused()
        return error

    def _credentials(self) -> dict[str, object]:
        config, nonce = self.config, self.chance.token()
        now = Instant.from_timestamp(int(self.clock.now() * 1000), unit="millisecond")
        stamp = now.format("YYYY-MM-DD'T'HH:mm:ss.fff'Z'")
        return {
            "AppID": config.app_id,
            "Kanzlei": config.kanzlei,
            "Database": config.database,
            "User": config.user,
            "Role": config.role,
            "Product": config.product,
            "Password": config.password,
            "Nonce": nonce,
            "HMAC512Signature": signature(config.product, config.app_id, nonce, stamp, config.api_key),
            "RequestTimeStamp": stamp,
        }

    def _end(self, document: dict[str, object]) -> float:
        """When the token ends, a little early so that it does not end on the way."""
        now, life = self.clock.now(), DEFAULT_LIFE_S
        text, seconds = document.get("expiration_utc"), document.get("expires_in")
        if isinstance(text, str):
            try:
                life = max(LEAST_LIFE_S, local_seconds(text, "UTC").at - now)  # else a fast clock here has no token
            except ValueError:
                life = DEFAULT_LIFE_S
        elif isinstance(seconds, int | float) and math.isfinite(seconds):
            life = max(LEAST_LIFE_S, float(seconds))
        return now + life - min(EARLY_S, life / 5)


def encoded(document: object) -> bytes:
    """A request's JSON in UTF-8; ``Unmappable`` for text that has no form there."""
    try:
        return json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Unmappable("a text holds half a character, which advoware can't be sent") from None


def signature(product: int, app_id: str, nonce: str, stamp: str, api_key: str) -> str:
    """What proves the API key to the token service: HMAC-SHA512 in base64."""
    try:
        key = base64.b64decode(api_key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Misconfigured("advoware.api_key is not base64: enter it as it was handed out") from error
    text = f"{product}:{app_id}:{nonce}:{stamp}".encode()
    return base64.b64encode(hmac.new(key, text, hashlib.sha512).digest()).decode()


_NAMES_OF_RECORDS = ("betnr", "rowid", "frnr")


def _german(response: Response) -> str:
    """The text of a reply that is too short, or not of the kind, to be about records; else nothing."""
    text = response.body[:4096].decode("utf-8", "replace").casefold() if len(response.body) <= 4096 else ""
    return "" if any(name in text for name in _NAMES_OF_RECORDS) else text


def _signed_out(response: Response) -> bool:
    """Whether a reply says, whatever its status, that the token is no good: then nothing was carried out."""
    text = _german(response)
    return "<" not in text and any(word in text for word in _SIGNED_OUT)


def _offline(response: Response) -> bool:
    """Whether a reply says that the firm can't be reached."""
    return any(word in _german(response) for word in _OFFLINE)


def _refusal(response: Response, advice: str) -> Unauthorized | Unavailable:
    """What a German error text means; the text itself goes nowhere."""
    text = response.body[:4096].decode("utf-8", "replace").casefold()
    if any(word in text for word in _OFFLINE):
        return Unavailable("advoware's connector at the firm is not signed in", system=SYSTEM)
    if response.status in (400, 401, 403, 404) or any(word in text for word in _REFUSED):
        return Unauthorized(advice, system=SYSTEM)
    return Unavailable(f"advoware's sign-in answered {response.status} without a token", system=SYSTEM)


def _object(response: Response) -> dict[str, object] | None:
    try:
        document = response.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _text(document: dict[str, object], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _slash(url: str) -> str:
    return url.rstrip("/") + "/"


def _require_public(found: str, discovery: str) -> None:
    """Refuse an address that the discovery had no business to name; its text goes nowhere."""
    host = host_of(found)
    if not host:
        raise Misconfigured("advoware's discovery names something that is no web address; set advoware.api_url")
    if is_inside(host) and not is_inside(host_of(discovery)):
        raise Misconfigured("advoware's discovery names an address in a private network; set advoware.api_url")
    if found.lower().startswith("http:") and discovery.lower().startswith("https:"):
        raise Misconfigured("advoware's discovery names an address without TLS; set advoware.api_url")
