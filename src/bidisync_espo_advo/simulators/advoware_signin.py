"""Advoware's sign-in: a signed token request, and a token that lasts an hour or less."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from bidisync_espo_advo.simulators.advoware_store import PERSON, AdvowareStore

SYNC_USER = "SYN"
ROLE, PRODUCT = 2, 64
CALLS_UNTIL_REVOKED = 20


class NotSignedIn(Exception):
    """No valid sign-in; the text says so in German."""


@attrs.frozen
class Account:
    """What a firm was handed out: one app, one database, the passwords of two of its people.

    The Kanzleikennung has an umlaut and an ampersand, as real ones may.
    """

    kanzlei: str
    database: str
    app_id: str
    api_key: str = attrs.field(repr=False)
    passwords: Mapping[str, str] = attrs.field(repr=False)

    @classmethod
    def of(cls, seed: int) -> Account:
        """The account of this seed, always the same."""
        rng = random.Random(f"advoware/account/{seed}")
        return cls(
            kanzlei=f"Müster&Söhne{rng.randint(100, 999)}",
            database="Kanzlei_DB",
            app_id=f"app-{rng.randbytes(8).hex()}",
            api_key=base64.b64encode(rng.randbytes(48)).decode(),
            passwords={user: f"Paßwort+{rng.randbytes(6).hex()}" for user in (SYNC_USER, PERSON)},
        )

    def config(self, user: str) -> dict[str, Any]:
        """The keys of the ``[advoware]`` table that sign this user in."""
        return {
            "kanzlei": self.kanzlei,
            "database": self.database,
            "user": user,
            "password": self.passwords[user],
            "role": ROLE,
            "product": PRODUCT,
            "app_id": self.app_id,
            "api_key": self.api_key,
        }


@attrs.define
class _Session:
    user: str
    until: datetime
    calls: int = 0


@attrs.define
class TokenService:
    """Gives tokens for correctly signed requests, and knows whose they are."""

    account: Account
    store: AdvowareStore
    _sessions: dict[str, _Session] = attrs.field(factory=dict, repr=False)
    _nonces: set[str] = attrs.field(factory=set, repr=False)
    _issued: int = 0

    def sign_in(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to a token request; ``NotSignedIn`` if anything about it is wrong."""
        self._check_signature(body)
        self._check_account(body)
        switches, now = self.store.switches, self.store.clock()
        ttl = int(switches["token.ttl_s"])
        self._issued += 1
        rng = random.Random(f"advoware/token/{self.store.seed}/{self._issued}")
        token, until = rng.randbytes(32).hex(), now + timedelta(seconds=ttl)
        self._sessions[token] = _Session(str(body["User"]), until)
        reply: dict[str, Any] = {"access_token": token}
        if switches["token.expiry_field"] == "expiration_utc":
            reply["expiration_utc"] = f"{until.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}7Z"
        elif switches["token.expiry_field"] == "expires_in":
            reply["expires_in"] = ttl
        return reply

    def user_of(self, authorization: str) -> str:
        """Who makes a call with this header; counts the call."""
        scheme, _, token = authorization.partition(" ")
        session = self._sessions.get(token)
        if scheme.lower() != "bearer" or session is None:
            raise NotSignedIn("Der Benutzer ist nicht angemeldet.")
        session.calls += 1
        revokes = self.store.switches["token.early_revoke"] == "after_n_calls"
        if (revokes and session.calls > CALLS_UNTIL_REVOKED) or self.store.clock() >= session.until:
            del self._sessions[token]
            raise NotSignedIn("Die Anmeldung ist abgelaufen, der Benutzer ist nicht angemeldet.")
        return session.user

    def _check_signature(self, body: Mapping[str, Any]) -> None:
        nonce, sent_at = str(body.get("Nonce", "")), str(body.get("RequestTimeStamp", ""))
        if body.get("AppID") != self.account.app_id:
            raise NotSignedIn("Die App-ID ist für diese Kanzlei nicht freigeschaltet.")
        signed = signature(self.account.api_key, body.get("Product", ""), self.account.app_id, nonce, sent_at)
        if not hmac.compare_digest(signed.encode(), str(body.get("HMAC512Signature", "")).encode()):
            raise NotSignedIn("Die Signatur der Anfrage ist ungültig.")
        self._check_time(sent_at)
        if not nonce or (nonce in self._nonces and self.store.switches["token.nonce_reuse"] == "reject"):
            raise NotSignedIn("Die Nonce wurde bereits verwendet.")
        self._nonces.add(nonce)

    def _check_time(self, sent_at: str) -> None:
        allowed = self.store.switches["token.clock_skew_max_s"]
        try:
            moment = datetime.fromisoformat(sent_at)
        except ValueError:
            raise NotSignedIn("Der Zeitstempel der Anfrage ist ungültig.") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if allowed != "unlimited" and abs(moment - self.store.clock()) > timedelta(seconds=int(allowed)):
            raise NotSignedIn("Der Zeitstempel der Anfrage liegt außerhalb des erlaubten Zeitraums.")

    def _check_account(self, body: Mapping[str, Any]) -> None:
        account = self.account
        if body.get("Kanzlei") != account.kanzlei or body.get("Database") != account.database:
            raise NotSignedIn("Die Kanzlei oder Datenbank ist nicht registriert.")
        if body.get("Role") != ROLE or body.get("Product") != PRODUCT:
            raise NotSignedIn("Rolle oder Produkt sind für diese App-ID nicht freigeschaltet.")
        password = account.passwords.get(str(body.get("User")))
        if password is None or body.get("Password") != password:
            raise NotSignedIn("Falscher Name oder falsches Kennwort.")


def signature(api_key: str, product: object, app_id: str, nonce: str, sent_at: str) -> str:
    """HMAC-SHA512 over ``Product:AppID:Nonce:RequestTimeStamp``, key and result in base64."""
    message = f"{product}:{app_id}:{nonce}:{sent_at}".encode()
    return base64.b64encode(hmac.digest(base64.b64decode(api_key), message, hashlib.sha512)).decode()
