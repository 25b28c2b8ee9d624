"""Who may use the simulated EspoCRM, how they prove it, and what they may do.

The users are those of the recording, with keys made from the seed. Nothing here is a real secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Self

import attrs

from bidisync_espo_advo.simulators.espocrm_refusals import Refusal

Level = Literal["all", "own", "no"]
Action = Literal["create", "read", "edit", "delete"]
FAILURES_ALLOWED = 10
WINDOW = timedelta(seconds=60)
CREDENTIALS = ("X-Hmac-Authorization", "X-Api-Key", "Espo-Authorization", "Authorization")


@attrs.frozen
class Role:
    """What a user may do with records of an entity type, and which fields are kept from them."""

    create: bool = True
    read: Level = "all"
    edit: Level = "all"
    delete: Level = "all"
    scopes: tuple[str, ...] = (
        "CBeteiligte", "CFirma", "CAkte", "CBankverbindungen", "CAdvowareAkten", "CAktenBeteiligte",
    )  # fmt: skip
    webhooks: bool = True
    hidden: frozenset[str] = frozenset()  # neither seen nor written
    locked: frozenset[str] = frozenset()  # seen, not written

    def level(self, action: Action, entity_type: str) -> Level:
        """How far the action is allowed."""
        if entity_type not in self.scopes:
            return "no"
        if action == "create":
            return "all" if self.create else "no"
        return {"read": self.read, "edit": self.edit, "delete": self.delete}[action]


FULL = Role()
READ_ONLY = Role(create=False, edit="no", delete="no", scopes=("CBeteiligte",), webhooks=False)
LIMITED = Role(
    read="own",
    edit="own",
    delete="own",
    hidden=frozenset({"quote"}),
    locked=frozenset({"betnr", "aktenzeichen"}),
)
FIELD_LEVEL = Role(hidden=frozenset({"quote"}), locked=frozenset({"betnr"}))


@attrs.frozen
class User:
    """One user; ``credentials`` are what a client is configured with."""

    id: str
    name: str
    kind: Literal["api", "hmac", "admin"]
    role: Role
    credentials: Mapping[str, str] = attrs.field(repr=False)

    @property
    def is_admin(self) -> bool:
        """Whether nothing is forbidden to this user."""
        return self.kind == "admin"

    @property
    def full_name(self) -> str:
        """The name that a record shows for this user."""
        return "Admin" if self.is_admin else self.name

    def told(self) -> dict[str, str]:
        """Id and credentials, for whoever starts the simulator."""
        return {"id": self.id, **self.credentials}


def _user(seed: int, name: str, kind: Literal["api", "hmac", "admin"], role: Role = FULL) -> User:
    def made(what: str, length: int) -> str:
        return hashlib.sha256(f"espocrm/{seed}/{name}/{what}".encode()).hexdigest()[:length]

    credentials = {"api_key": made("key", 32)}
    if kind == "hmac":
        credentials["secret_key"] = made("secret", 32)
    if kind == "admin":
        credentials = {"username": name, "password": made("password", 20)}
    return User(made("id", 17), name, kind, role, credentials)


def users_of(seed: int) -> dict[str, User]:
    """The users by name; the same for the same seed."""
    users = [
        _user(seed, "sync", "api"),
        _user(seed, "sync2", "api"),
        _user(seed, "synchmac", "hmac"),
        _user(seed, "syncro", "api", READ_ONLY),
        _user(seed, "synclim", "api", LIMITED),
        _user(seed, "syncfld", "api", FIELD_LEVEL),
        _user(seed, "admin", "admin"),
    ]
    return {user.name: user for user in users}


@attrs.define
class SignIn:
    """Tells who sent a request, and blocks an address from which too many failed to prove it."""

    users: Mapping[str, User]
    blocking: bool = True
    inactive: frozenset[str] = frozenset()  # names of users who may not sign in any more
    _failures: dict[str, deque[datetime]] = attrs.field(factory=dict, repr=False)

    @classmethod
    def of(cls, users: Mapping[str, User]) -> Self:
        """The sign-in of these users."""
        return cls(users)

    def _with_key(self, key: str) -> User | None:
        """Whose key it is, with the role that they have now."""
        return next((user for user in self.users.values() if user.credentials.get("api_key") == key), None)

    def user(self, headers: Mapping[str, str], signed: str, address: str, now: datetime) -> User:
        """Who it is; ``signed`` is what an HMAC signature covers. ``Refusal`` for anybody else."""
        failures = self._failures.setdefault(address, deque())
        while failures and failures[0] <= now - WINDOW:
            failures.popleft()
        if self.blocking and len(failures) > FAILURES_ALLOWED:
            raise Refusal(403)
        header = next((name for name in CREDENTIALS if name in headers), None)
        if header is None:
            raise Refusal(401, headers={"WWW-Authenticate": 'Basic realm=""'})
        user = self._proven(header, headers[header], signed)
        if user is None or user.name in self.inactive:
            failures.append(now)
            raise Refusal(401)
        return user

    def _proven(self, header: str, value: str, signed: str) -> User | None:
        if header == "X-Api-Key":
            user = self._with_key(value)
            return user if user is not None and user.kind == "api" else None
        if header == "Authorization":
            scheme, _, value = value.partition(" ")
            if scheme.lower() != "basic":
                return None
        try:
            name, _, proof = base64.b64decode(value, validate=True).partition(b":")
            known = name.decode()
        except (binascii.Error, ValueError):
            return None
        if header == "X-Hmac-Authorization":
            return self._signed(known, proof, signed)
        user = self.users.get(known)
        if user is None or not user.is_admin:
            return None
        allowed = (user.credentials["password"], token_of(user))
        return user if any(hmac.compare_digest(proof, one.encode()) for one in allowed) else None

    def _signed(self, key: str, proof: bytes, signed: str) -> User | None:
        user = self._with_key(key)
        if user is None or user.kind != "hmac":
            return None
        made = hmac.new(user.credentials["secret_key"].encode(), signed.encode(), hashlib.sha256)
        good = hmac.compare_digest(proof, made.hexdigest().encode()) or hmac.compare_digest(proof, made.digest())
        return user if good else None


def token_of(user: User) -> str:
    """The token that a signed-in administrator may send in place of the password."""
    return hashlib.sha256(f"token/{user.id}".encode()).hexdigest()[:32]


def _rights(user: User) -> dict[str, Any]:
    """What a user may do, as EspoCRM tells its own pages: by entity type, and by field where that is less."""
    role = user.role
    table: dict[str, Any] = {
        scope: {
            "read": role.level("read", scope),
            "stream": role.level("read", scope),
            "edit": role.level("edit", scope),
            "delete": role.level("delete", scope),
            "create": "yes" if role.level("create", scope) == "all" else "no",
        }
        if scope in role.scopes
        else False
        for scope in FULL.scopes
    }
    fields = {name: {"read": "no", "edit": "no"} for name in sorted(role.hidden)}
    fields |= {name: {"read": "yes", "edit": "no"} for name in sorted(role.locked)}
    return {"table": {**table, "Webhook": role.webhooks}, "fieldTable": {"CBeteiligte": fields}}


def app_user(user: User, since: str) -> dict[str, Any]:
    """What a user is told about themself."""
    return {
        "user": {
            "id": user.id,
            "name": user.full_name,
            "deleted": False,
            "userName": user.name,
            "type": "admin" if user.is_admin else "api",
            "firstName": None,
            "lastName": user.full_name,
            "isActive": True,
            "createdAt": since,
            "modifiedAt": since,
            "teamsIds": [],
            "teamsNames": {},
        },
        "acl": _rights(user),
        "preferences": {"id": user.id},
        "token": token_of(user) if user.is_admin else None,
        "settings": SETTINGS,
        "language": "en_US",
        "appParams": {},
    }


SETTINGS: Mapping[str, Any] = {
    "version": "9.2.7",
    "timeZone": "Europe/Berlin",
    "dateFormat": "DD.MM.YYYY",
    "currencyList": ["USD"],
    "defaultCurrency": "USD",
    "baseCurrency": "USD",
    "language": "en_US",
    "recordsPerPage": 20,
}
