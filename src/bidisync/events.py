"""What an observer is told: frozen values without any value of a record."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from bidisync.model import LinkState, Ref, Side, Verb


@attrs.frozen
class Wrote:
    """A write was acknowledged."""

    link_id: str
    side: Side
    verb: Verb
    fields: tuple[str, ...]


@attrs.frozen
class Examined:
    """A record was dealt with: how it stands now."""

    ref: Ref
    link_id: str
    state: LinkState
    reason: str = ""


@attrs.frozen
class Failed:
    """A record could not be dealt with; ``reason`` is the error's code."""

    ref: Ref
    link_id: str
    reason: str
    attempt: int
    next_at: float


@attrs.frozen
class Noticed:
    """Something about a field that a person may want to know, told once in a process.

    ``code`` is ``unknown_code`` (kept as it is) or ``not_delivered`` (left alone).
    """

    ref: Ref
    field: str
    code: str


Event: TypeAlias = "Wrote | Examined | Failed | Noticed"
