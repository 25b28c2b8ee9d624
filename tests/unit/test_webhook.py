"""Who sent a webhook, and what it names: both headers as EspoCRM writes them, and everything else refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from bidisync.model import Ref, Side
from bidisync_espo_advo.webhook import MOST_BYTES, Forged, Unreadable, refs_of, signature, verify

BODY = b'[{"id":"a1","name":"M\\u00fcller"}]'
SECRETS = {"h1": "one", "h2": "two", "empty": ""}


def older(id: str, body: bytes, secret: str) -> str:
    return base64.b64encode(f"{id}:".encode() + hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def test_both_headers_prove_the_webhook_in_any_spelling():
    assert verify({"Signature": signature("h1", BODY, "one")}, BODY, SECRETS) == "h1"
    assert verify({"signature": signature("h2", BODY, "two")}, BODY, SECRETS) == "h2"
    assert verify({"X-Signature": older("h1", BODY, "one")}, BODY, SECRETS) == "h1"
    both = {"Signature": signature("h1", BODY, "one"), "X-Signature": "nonsense"}
    assert verify(both, BODY, SECRETS) == "h1"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Signature": ""},
        {"Signature": "not base64!"},
        {"Signature": base64.b64encode(b"\xff:ab").decode()},
        {"Signature": signature("h1", BODY, "two")},
        {"Signature": signature("h1", BODY + b" ", "one")},
        {"Signature": signature("h1", BODY, "one")[:-4]},
        {"Signature": signature("unknown", BODY, "one")},
        {"Signature": signature("empty", BODY, "")},
        {"Signature": signature("h1", BODY, "one").swapcase()},
        {"X-Signature": signature("h1", BODY, "one")},
        {"Signature": older("h1", BODY, "one")},
        {"Signature": "x", "X-Signature": older("h1", BODY, "one")},
    ],
)
def test_everything_else_is_forged(headers):
    with pytest.raises(Forged) as caught:
        verify(headers, BODY, SECRETS)
    assert "one" not in str(caught.value).split()


def test_a_delivery_names_each_record_once_in_order():
    body = json.dumps([{"id": id} for id in ("b", "a", "b")]).encode()
    for event in ("create", "update", "delete"):
        assert refs_of(event, body) == [Ref(Side.LEFT, "b"), Ref(Side.LEFT, "a")]
    assert refs_of("update", b"[]") == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{}", b"null", b"[1]", b'[{"id":null}]', b'[{"id":""}]', b'[{"id":1}]', b"\xff", b"[" * 200_000],
)
def test_a_body_without_ids_is_unreadable(body):
    with pytest.raises(Unreadable):
        refs_of("update", body)


def test_a_body_that_is_too_large_or_for_another_event_is_not_looked_at():
    with pytest.raises(Unreadable):
        refs_of("update", b" " * (MOST_BYTES + 1))
    with pytest.raises(Unreadable):
        refs_of("fieldUpdate", BODY)
