"""Requests to one system: bounded, counted, and never repeated where that could do harm.

Only reads are repeated, for at most 20 seconds. A write that was sent and got no readable
answer is ``Unconfirmed``: whoever sent it has to look before sending it again.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

import attrs

from bidisync.circuit import Circuit
from bidisync.deadline import still_in_time
from bidisync.errors import Contended, RateLimited, SyncError, Unavailable, Unconfirmed
from bidisync.events import Called, CallOutcome, CircuitMoved, Event
from bidisync.protocols import Clock, Observer
from bidisync_espo_advo.pace import Pace
from bidisync_espo_advo.transport import NoAnswer, NotSent, Request, Response, Transport

MOST_PATIENCE_S = 3600.0
OVER_A_READ = frozenset({"PUT", "DELETE"})
REFUSED_AS_SUCH = frozenset({501, 505})
"""Statuses of a failing server which say that the request will never be carried out."""


def out_of_order(status: int) -> bool:
    """Whether a server, or what stands before it, failed at a request: a write may have happened."""
    return status == 408 or (status >= 500 and status not in REFUSED_AS_SUCH)


class _TryAgain(Exception):
    """A read that may be repeated; carries what it means if it is not, and how long to wait."""

    def __init__(self, meaning: SyncError, after: float | None = None) -> None:
        super().__init__(str(meaning))
        self.meaning, self.after = meaning, after


class _Alone(_TryAgain):
    """A write that the system failed at while it answered: the fault may be that of this record alone."""


Usable = Callable[[Response], bool]
"""Whether a reply with success in its status has the body that it should have."""

Final = Callable[[Response], bool]
"""Whether a reply that looks like trouble says plainly that nothing was done: it is no use to repeat."""


def anything(response: Response) -> bool:
    """Whatever it is."""
    return True


def nothing(response: Response) -> bool:
    """No reply at all."""
    return False


def ignore(event: Event) -> None:
    """The observer that is told for nothing."""


def outcome_of(response: Response) -> CallOutcome:
    """The class of a reply, for counting."""
    if response.status == 429:
        return "limited"
    if response.status >= 500:
        return "failed"
    return "ok" if response.status < 300 else "refused"


@attrs.define(eq=False, repr=False)
class Wire:
    """One system's requests: limits, counts, retries of reads, and errors in our words."""

    system: str
    transport: Transport
    clock: Clock
    max_concurrency: int = 10
    requests_per_second: float = 0.0
    retry_for_s: float = 20.0
    observe: Observer = ignore
    circuit: Circuit = attrs.Factory(Circuit)
    calls: Counter[str] = attrs.Factory(Counter)
    answered_at: float | None = None  # by the clock that never goes back
    _slots: asyncio.Semaphore = attrs.field(init=False, repr=False)
    _pace: Pace | None = attrs.field(init=False, default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.max_concurrency)
        if self.requests_per_second > 0:
            self._pace = Pace.of(self.requests_per_second)

    async def send(
        self, request: Request, usable: Usable = anything, final: Final = nothing, systemic: Final = nothing
    ) -> Response:
        """The response, whatever its status, unless it says that the system is out of order.

        A read is repeated while the system is out of order, or answers with success and
        something that is not ``usable``; a ``final`` reply is handed out as it is. What a
        ``systemic`` reply says is the fault of no single record. Raises ``Unavailable``,
        ``Unconfirmed`` (writes), ``RateLimited``. A system that was out of order for several
        requests in a row, repeated or not, is left alone for a while: nothing is sent then.
        """
        was_open = self.circuit.open
        try:
            return await self._through_circuit(request, usable, final, systemic)
        finally:
            if self.circuit.open is not was_open:
                self.observe(CircuitMoved(self.system, self.circuit.open))

    async def _through_circuit(self, request: Request, usable: Usable, final: Final, systemic: Final) -> Response:
        if wait := self.circuit.wait(self.clock.monotonic()):
            raise Unavailable(
                f"{self.system} is left alone for a moment after failures", system=self.system, retry_after=wait
            )
        try:
            response = await self._sent(request, usable, final, systemic)
        except RateLimited:
            self.circuit.succeeded()
            raise
        except _Alone as error:
            self.circuit.succeeded()
            raise error.meaning from error.__cause__
        except Unavailable as error:
            if error.system or isinstance(error, Unconfirmed):
                self.circuit.failed(self.clock.monotonic())
            else:
                self.circuit.succeeded()
            raise
        except BaseException:
            self.circuit.untold()
            raise
        self.circuit.succeeded()
        return response

    def refused(self) -> None:
        """It refuses the credentials, as it will those of every request: it is left alone at once."""
        was_open = self.circuit.open
        self.circuit.failed(self.clock.monotonic(), at_once=True)
        if not was_open:
            self.observe(CircuitMoved(self.system, True))

    async def _sent(self, request: Request, usable: Usable, final: Final, systemic: Final) -> Response:
        if request.writes:
            try:
                return await self._once(request, final, systemic)
            except _Alone:
                raise
            except _TryAgain as error:
                raise error.meaning from error.__cause__
        until = self.clock.monotonic() + self.retry_for_s
        try:
            return await self._read(request, usable, final, systemic)
        except _TryAgain as error:  # only now the machinery of retries, which costs more than the read
            failed: _TryAgain | None = error

        def again(error: Exception) -> bool | float:
            """Whether, or after how long: never where the system asks for more patience than there is."""
            left = until - self.clock.monotonic()
            if not isinstance(error, _TryAgain) or left <= 0:
                return False
            return True if error.after is None else error.after if error.after <= left else False

        import stamina

        try:
            async for attempt in stamina.retry_context(
                on=again, attempts=8, timeout=None, wait_initial=0.2, wait_max=5.0
            ):
                with attempt:
                    if failed is not None:
                        first, failed = failed, None
                        raise first
                    return await self._read(request, usable, final, systemic)
        except _TryAgain as error:
            raise error.meaning from error.__cause__
        raise Contended("unreachable: a retry ends with a response or an error")

    async def _read(self, request: Request, usable: Usable, final: Final, systemic: Final) -> Response:
        response = await self._once(request, final, systemic)
        if response.status == 200 and not usable(response) and not final(response):
            raise _TryAgain(self._senseless(request, systemic(response)))
        return response

    async def _once(self, request: Request, final: Final, systemic: Final) -> Response:
        if self._pace is not None:  # whoever waits for its turn keeps no slot from a write
            await self._pace.keep(urgent=request.method in OVER_A_READ)
        async with self._slots:
            if request.writes:
                still_in_time(self.clock.monotonic())
            self.calls[request.method] += 1
            began = self.clock.monotonic()
            outcome: CallOutcome = "no_answer"
            try:
                response = await self.transport.send(request)
                outcome = outcome_of(response)
            except NotSent as error:
                outcome = "not_sent"
                raise _TryAgain(self.unreachable(f"can't be reached ({error})")) from error
            except NoAnswer as error:
                raise _TryAgain(self._lost(request, f"did not answer ({error})")) from error
            finally:
                self.observe(Called(self.system, request.method, outcome, self.clock.monotonic() - began))
        if response.status not in (502, 503, 504):
            self.answered_at = self.clock.monotonic()
        if final(response):
            return response
        if 300 <= response.status < 400:
            raise self.unreachable("answered with a redirect; check its address in the settings")
        if response.status != 429 and not out_of_order(response.status):
            return response
        after = self._retry_after(response)
        if response.status == 429:
            raise _TryAgain(RateLimited(f"{self.system} asks for fewer requests", retry_after=after or 0.0), after)
        reason = f"answered {response.status} to a {request.method}"
        if systemic(response) and not request.writes:
            raise _TryAgain(self.unreachable(reason), after)
        meaning = self._lost(request, reason, response)
        raise _Alone(meaning) if request.writes and response.status == 500 else _TryAgain(meaning, after)

    def unreachable(self, what: str) -> Unavailable:
        """The whole system is out of reach."""
        return Unavailable(f"{self.system} {what}", system=self.system)

    def _lost(self, request: Request, what: str, response: Response | None = None) -> Unavailable:
        """No answer: a write may have happened; a read did not. A 500 may be this record's alone."""
        if request.writes and (response is None or out_of_order(response.status)):
            return Unconfirmed(f"{self.system} {what}: the write may have happened")
        if response is not None and response.status == 500:
            return Unavailable(f"{self.system} {what}")
        return self.unreachable(what)

    def _retry_after(self, response: Response) -> float | None:
        text = response.headers.get("retry-after", "").strip()
        if not text:
            return None
        try:
            seconds = float(text)
        except ValueError:
            try:
                at = parsedate_to_datetime(text)
                seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - self.clock.now()
            except (ValueError, OverflowError):
                return None
        return None if math.isnan(seconds) else min(max(0.0, seconds), MOST_PATIENCE_S)

    def _senseless(self, request: Request, systemic: bool) -> Unavailable:
        error = self.unreadable(request)
        return self.unreachable("says that it can't be reached") if systemic and not request.writes else error

    def unreadable(self, request: Request) -> Unavailable:
        """A reply with success in its status and nothing usable in its body."""
        what = f"{self.system} answered a {request.method} with something that is not the expected JSON"
        return Unconfirmed(f"{what}: the write may have happened") if request.writes else Unavailable(what)
