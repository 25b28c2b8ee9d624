"""What an observer is told: frozen values without any value of a record.

``run`` names the pass, or the one record that was asked for: everything that was done for a
hint has the same. Times are seconds; durations come from the monotonic clock.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from bidisync.model import LinkState, Ref, Side, Verb

CallOutcome = Literal["ok", "refused", "limited", "failed", "no_answer", "not_sent"]
"""What became of a request: 2xx, 4xx (or a redirect), 429, 5xx, sent without an answer, never sent."""


@attrs.frozen
class Wrote:
    """A write was acknowledged, ``lag_s`` after the edit that it carries (where that time is known)."""

    link_id: str
    side: Side
    verb: Verb
    fields: tuple[str, ...]
    run: str = ""
    lag_s: float | None = None


@attrs.frozen
class Examined:
    """A record was dealt with: how it stands now, how long that took, and what became of its conflicts.

    ``opened`` and ``closed`` count field groups that began or ended to wait for a person;
    ``settled`` those that a strategy settled.
    """

    ref: Ref
    link_id: str
    state: LinkState
    reason: str = ""
    run: str = ""
    duration_s: float = 0.0
    opened: int = 0
    closed: int = 0
    settled: int = 0


@attrs.frozen
class Failed:
    """A record could not be dealt with; ``reason`` is the error's code."""

    ref: Ref
    link_id: str
    reason: str
    attempt: int
    next_at: float
    run: str = ""


@attrs.frozen
class Noticed:
    """Something about a field that a person may want to know, told once in a process.

    ``code`` is ``unknown_code`` (kept as it is), ``not_delivered`` (left alone), or ``no_value:``
    and the type of what the field holds (its group waits).
    """

    ref: Ref
    field: str
    code: str
    run: str = ""


@attrs.frozen
class Passed:
    """A pass ended; ``kind`` is ``poll`` or ``full``. ``reason`` is the code of what ended it early."""

    kind: str
    examined: int
    duration_s: float
    run: str = ""
    reason: str = ""


@attrs.frozen
class Called:
    """A request was sent to a system, or could not be."""

    system: str
    verb: str
    outcome: CallOutcome
    duration_s: float


@attrs.frozen
class SystemFailed:
    """A system failed as a whole: out of reach, or refusing our credentials."""

    system: str
    reason: str
    run: str = ""


@attrs.frozen
class CircuitMoved:
    """A system is left alone for a while, or asked again."""

    system: str
    open: bool


@attrs.frozen
class Served:
    """A hint was worked off, so long after it came."""

    ref: Ref
    waited_s: float
    run: str = ""


@attrs.frozen
class Told:
    """People were told of ``count`` things through a channel; not, where ``reason`` is the code of an error."""

    kind: str
    channel: str
    count: int
    reason: str = ""


Event: TypeAlias = "Wrote | Examined | Failed | Noticed | Passed | Called | SystemFailed | CircuitMoved | Served | Told"
"""What happened, as an observer is told of it: one of these frozen values."""
