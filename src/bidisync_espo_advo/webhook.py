"""Webhooks of EspoCRM: proof of who sent one, and the records that it names. Pure, and quick to import."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping

from bidisync.errors import Permanent
from bidisync.model import Ref, Side

MOST_BYTES = 16 * 1024 * 1024
LONGEST_ID = 255
EVENTS = ("create", "update", "delete")


class Forged(Permanent):
    """A request that no webhook of the settings signed."""

    reason = "forged"


class Unreadable(Permanent):
    """A body that is not a list of records with ids, or too large to look at."""

    reason = "unreadable"


def signature(webhook_id: str, body: bytes, secret: str) -> str:
    """The header ``Signature`` that EspoCRM sends: the webhook's id and the body's keyed hash, in base64."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return base64.b64encode(f"{webhook_id}:{digest}".encode()).decode()


def verify(headers: Mapping[str, str], raw_body: bytes, secrets: Mapping[str, str]) -> str:
    """The id of the webhook that signed these bytes; ``Forged`` if none of ``secrets`` (id to key) did.

    ``headers`` may be spelled in any case. ``Signature`` counts where it is there, else the
    older ``X-Signature``. A webhook with an empty key proves nothing.
    """
    given = {name.lower(): value for name, value in headers.items()}
    for header, digest in (("signature", _hex), ("x-signature", bytes)):
        if header not in given:
            continue
        id, proof = _parts(given[header])
        secret = secrets.get(id, "")
        wanted = hmac.new(secret.encode(), raw_body, hashlib.sha256).digest()
        if secret and hmac.compare_digest(proof, digest(wanted)):
            return id
        break
    raise Forged("the request is not signed by a webhook of espocrm.webhooks")


def refs_of(event: str, raw_body: bytes) -> list[Ref]:
    """The records that a delivery names, each once, in order; ``Unreadable`` for any other body.

    Nothing else of the body is used: what is true is read from EspoCRM.
    """
    if event not in EVENTS:
        raise Unreadable("an address of webhooks ends with create, update or delete")
    if len(raw_body) > MOST_BYTES:
        raise Unreadable("the body is too large")
    try:
        items = json.loads(raw_body)
    except (ValueError, RecursionError):
        raise Unreadable("the body is no JSON") from None
    if not isinstance(items, list):
        raise Unreadable("the body is no list")
    return [Ref(Side.LEFT, id) for id in dict.fromkeys(map(_id_of, items))]


def _id_of(item: object) -> str:
    id = item.get("id") if isinstance(item, dict) else None
    if not isinstance(id, str) or not 0 < len(id) <= LONGEST_ID:
        raise Unreadable("the body is not a list of records with ids")
    return id


def _hex(digest: bytes) -> bytes:
    return digest.hex().encode()


def _parts(header: str) -> tuple[str, bytes]:
    """The webhook's id and the proof."""
    try:
        id, _, proof = base64.b64decode(header, validate=True).partition(b":")
        return id.decode(), proof
    except (binascii.Error, ValueError):
        return "", b""


def claimed(headers: Mapping[str, str]) -> str:
    """The webhook that a request says it is from, unproven: enough to refuse strangers before their body is read."""
    given = {name.lower(): value for name, value in headers.items()}
    return _parts(given.get("signature") or given.get("x-signature") or "")[0]
