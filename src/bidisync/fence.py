"""May a request go out now? Only within the lease, under the stored fence, and after older requests are over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from bidisync.errors import Contended
from bidisync.model import Side, Value, Verb
from bidisync.parts import Parts
from bidisync.protocols import Lease
from bidisync.state import Intent, Link

Permit: TypeAlias = Callable[[Link], Awaitable[float]]
"""Asked before each request for a link: by when it has to start; raises where it may not go out."""


class Underway(Contended):
    """An earlier write to this record may still arrive; ``until`` says when that is over."""

    reason = "underway"

    def __init__(self, until: float) -> None:
        super().__init__("an earlier write to this record may still be under way")
        self.until = until


def wait_for(parts: Parts, link: Link) -> None:
    """Refuse to write while an earlier writer's last request may still be under way."""
    if link.intent is not None and parts.clock.now() < link.intent.not_before:
        raise Underway(link.intent.not_before)


def wait_for_writer(parts: Parts, link: Link) -> None:
    """Refuse to write while whoever stored the open intent may still be at work on it."""
    if link.intent is not None and not link.intent.unconfirmed:
        wait_for(parts, link)


async def may_write(parts: Parts, link: Link, lease: Lease) -> float:
    """Return only if a request that starts now ends in time, and nobody took over; by when it has to start.

    In time means: within the lease, and before others may take up the intent that it belongs
    to. The second holds without any lease, however long this process was stopped.
    """
    if not lasts(parts, lease):
        await lease.renew()
        if not lasts(parts, lease):
            raise Contended("the lease ends before a request could")
    latest = latest_start(parts, link, lease)
    if await parts.store.fence(link) != link.fence:
        raise Contended("somebody else took this record over")
    return latest


def latest_start(parts: Parts, link: Link, lease: Lease) -> float:
    """By when a request has to start, by the clock that never goes back; ``Contended`` if its intent is too old."""
    left_s = lease.remaining() - parts.limits.request_timeout_s
    if link.intent is not None:
        young_s = link.intent.sent_at + parts.locks.lease_s - parts.clock.now()
        if young_s < 0:
            raise Contended("what was about to be written is too old to be sent")
        left_s = min(left_s, young_s)
    return parts.clock.monotonic() + left_s


def lasts(parts: Parts, lease: Lease) -> bool:
    """Whether a request that starts now ends within the lease."""
    return lease.remaining() >= parts.limits.request_timeout_s + 0.1 * parts.locks.lease_s


def permit(parts: Parts, lease: Lease) -> Permit:
    """Leave to write as long as this lease and the stored fence allow it."""

    def ask(link: Link) -> Awaitable[float]:
        return may_write(parts, link, lease)

    return ask


def intent_for(
    parts: Parts, verb: Verb, side: Side, payload: Mapping[str, Value], watermark: str | None = None
) -> Intent:
    """An intent that is sent now: others may write once lease, request and lag are over, whatever their clocks say."""
    now, limits = parts.clock.now(), parts.limits
    over = now + parts.locks.lease_s + limits.request_timeout_s + limits.search_lag_s + limits.clocks_apart_s
    return Intent(verb, side, dict(payload), sent_at=now, not_before=over, watermark=watermark)
