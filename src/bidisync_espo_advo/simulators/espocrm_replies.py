"""What a reply of EspoCRM looks like on the wire."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from bidisync_espo_advo.simulators.espocrm_refusals import Refusal

JSON, HTML = "application/json", "text/html; charset=UTF-8"
NO_STORE = "no-store, no-cache, must-revalidate, post-check=0, pre-check=0"
APP_TIMESTAMP = "1795491200"  # the cache stamp, which is no clock
TOO_LONG = "<!DOCTYPE HTML><html><head><title>414 Request-URI Too Long</title></head></html>"


def encoded(value: Any) -> bytes:
    """The value as compact JSON, in ASCII."""
    return json.dumps(value, separators=(",", ":")).encode()


def fine(body: bytes, now: str) -> web.Response:
    """A success; creating is one like any other."""
    headers = {
        "Content-Type": JSON,
        "Expires": "0",
        "Last-Modified": now,
        "Cache-Control": NO_STORE,
        "X-App-Timestamp": APP_TIMESTAMP,
    }
    return web.Response(body=body, headers=headers)


def refused(refusal: Refusal) -> web.Response:
    """A refusal: the reason in a header, the body mostly empty, the connection closed if it looks broken."""
    anonymous = refusal.status in (401, 403) and refusal.reason is None
    headers = {"Content-Type": HTML if anonymous else JSON, **refusal.headers}
    if refusal.reason is not None:
        headers["X-Status-Reason"] = refusal.reason
    body = b"" if refusal.body is None else encoded(refusal.body)
    response = web.Response(status=refusal.status, body=body, headers=headers)
    if refusal.status in (400, 500):
        response.force_close()
    return response


def too_long() -> web.Response:
    """What Apache says to a request line that it does not read to the end."""
    response = web.Response(status=414, text=TOO_LONG, content_type="text/html", charset="iso-8859-1")
    response.force_close()
    return response
