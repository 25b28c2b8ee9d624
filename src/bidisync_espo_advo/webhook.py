"""Webhooks of EspoCRM: proof of who sent one."""

from __future__ import annotations

import base64
import hashlib
import hmac


def signature(webhook_id: str, body: bytes, secret: str) -> str:
    """The header ``Signature`` that EspoCRM sends: the webhook's id and the body's keyed hash, in base64."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return base64.b64encode(f"{webhook_id}:{digest}".encode()).decode()
