"""Events and the state as metrics, through OpenTelemetry: for Prometheus, or for any exporter of yours.

``Instruments`` needs the API alone and takes your own meter; ``Metrics`` brings a provider of
its own and shows everything in the text form that Prometheus reads. Labels come from small
fixed sets, and never name a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

from bidisync.clock import SystemClock
from bidisync.errors import Misconfigured
from bidisync.events import (
    Called,
    CircuitMoved,
    Event,
    Examined,
    Failed,
    Noticed,
    Passed,
    Served,
    SystemFailed,
    Told,
    Wrote,
)
from bidisync.model import LinkState
from bidisync.protocols import Clock
from bidisync.storage import StateStore
from bidisync.sweep import PASSED

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from prometheus_client import CollectorRegistry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MOST_REASONS = 100
"""Codes are few by nature; should that ever fail, the rest is counted as ``other``."""

KINDS = ("poll", "full")

_CALL_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_RECORD_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LAG_S = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)
_PASS_S = (0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0)


@attrs.define
class Gauges:
    """What is so now, as far as somebody looked: by name, then by label values."""

    values: dict[str, dict[tuple[str, ...], float]] = attrs.Factory(dict)

    def put(self, name: str, values: Mapping[tuple[str, ...], float]) -> None:
        """Replace everything known under a name."""
        self.values[name] = dict(values)


_GAUGES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "bidisync_links": (("state",), "Links by state."),
    "bidisync_reviews_open": ((), "Links about which a person is asked something, dead ones left out."),
    "bidisync_hints_waiting": ((), "Hints that nobody has worked off yet."),
    "bidisync_queue_age_seconds": ((), "How long the oldest hint has been waiting; 0 where none waits."),
    "bidisync_last_pass_timestamp_seconds": (("kind",), "When the last pass of each kind ended well."),
    "bidisync_pass_interval_seconds": (("kind",), "How often a pass of each kind is due; absent where none is."),
    "bidisync_circuit_open": (("system",), "1 while a system is left alone after failures."),
}


@attrs.define
class Instruments:
    """The instruments of one meter, and the observer that feeds them. Made by ``Instruments.on``."""

    gauges: Gauges
    _counters: Mapping[str, Counter]
    _histograms: Mapping[str, Histogram]
    _reasons: set[str] = attrs.Factory(set)

    @classmethod
    def on(cls, meter: Meter) -> Instruments:
        """Every instrument of this library, on a meter of yours; ``see`` keeps the gauges current."""
        gauges = Gauges()
        for name, (labels, text) in _GAUGES.items():
            meter.create_observable_gauge(name, [_watching(gauges, name, labels)], description=text)
        counters = {name: meter.create_counter(name, description=text) for name, text in _COUNTERS.items()}
        histograms = {
            name: meter.create_histogram(name, description=text, explicit_bucket_boundaries_advisory=buckets)
            for name, (buckets, text) in _HISTOGRAMS.items()
        }
        return cls(gauges, counters, histograms)

    def __call__(self, event: Event) -> None:
        """Count an event: this is the observer."""
        match event:
            case Examined():
                state = event.state.value
                self._count("bidisync_records", 1, state=state, reason=self._bounded(event.reason))
                self._time("bidisync_record_duration_seconds", event.duration_s, state=state)
                for what in ("opened", "closed", "settled"):
                    self._count("bidisync_conflicts", getattr(event, what), what=what)
            case Wrote():
                self._count("bidisync_writes", 1, side=event.side.value, verb=event.verb.value)
                if event.lag_s is not None:
                    self._time("bidisync_edit_lag_seconds", event.lag_s, side=event.side.value)
            case Failed():
                self._count("bidisync_failures", 1, reason=self._bounded(event.reason))
            case Called():
                self._count("bidisync_calls", 1, system=event.system, verb=event.verb, outcome=event.outcome)
                self._time("bidisync_call_duration_seconds", event.duration_s, system=event.system, verb=event.verb)
            case Passed():
                self._count("bidisync_passes", 1, kind=event.kind, reason=self._bounded(event.reason))
                self._count("bidisync_pass_records", event.examined, kind=event.kind)
                self._time("bidisync_pass_duration_seconds", event.duration_s, kind=event.kind)
            case SystemFailed():
                reason = self._bounded(event.reason)
                self._count("bidisync_system_failures", 1, system=event.system, reason=reason)
            case CircuitMoved():
                known = self.gauges.values.get("bidisync_circuit_open", {})
                self.gauges.put("bidisync_circuit_open", {**known, (event.system,): float(event.open)})
            case Served():
                self._time("bidisync_hint_wait_seconds", event.waited_s, side=event.ref.side.value)
            case Noticed():
                self._count("bidisync_field_notices", 1, code=self._bounded(event.code))
            case Told():
                outcome = "failed" if event.reason else "ok"
                self._count("bidisync_notices", 1, kind=event.kind, channel=event.channel, outcome=outcome)

    async def see(self, store: StateStore, now: float) -> None:
        """Look at the state: what the gauges tell from now on."""
        count = await store.count()
        links = {state: count.get(state.value, 0) for state in LinkState}
        waiting = sum(n for state, n in links.items() if state.waits_for_a_person and state is not LinkState.DEAD)
        self.gauges.put("bidisync_links", {(state.value,): float(n) for state, n in links.items()})
        self.gauges.put("bidisync_reviews_open", {(): float(waiting)})
        number, oldest = await store.hints_waiting() if isinstance(store, Queue) else (0, None)
        self.gauges.put("bidisync_hints_waiting", {(): float(number)})
        self.gauges.put("bidisync_queue_age_seconds", {(): 0.0 if oldest is None else max(0.0, now - oldest)})
        ended = {kind: await store.get_mark(PASSED + kind) for kind in KINDS}
        known: dict[tuple[str, ...], float] = {(kind,): float(at) for kind, at in ended.items() if at is not None}
        self.gauges.put("bidisync_last_pass_timestamp_seconds", known)

    def _bounded(self, code: str) -> str:
        if code in self._reasons or len(self._reasons) < MOST_REASONS:
            self._reasons.add(code)
            return code
        return "other"

    def _count(self, name: str, number: int, **labels: str) -> None:
        self._counters[name].add(number, labels)

    def _time(self, name: str, seconds: float, **labels: str) -> None:
        self._histograms[name].record(seconds, labels)


_COUNTERS = {
    "bidisync_records": "Records dealt with, by how they stood afterwards.",
    "bidisync_failures": "Records that could not be dealt with, by the error's code.",
    "bidisync_writes": "Writes that were acknowledged.",
    "bidisync_conflicts": "Conflicts of a field group: opened, closed, or settled by a strategy.",
    "bidisync_calls": "Requests, by what became of them.",
    "bidisync_passes": "Passes, by the code of what ended them early.",
    "bidisync_pass_records": "Records that passes examined.",
    "bidisync_system_failures": "How often a system failed as a whole.",
    "bidisync_field_notices": "Fields with an unknown code, or that were not delivered.",
    "bidisync_notices": "Notices to people.",
}

_HISTOGRAMS: Mapping[str, tuple[tuple[float, ...], str]] = {
    "bidisync_record_duration_seconds": (_RECORD_S, "How long a record took."),
    "bidisync_edit_lag_seconds": (_LAG_S, "From an edit until the other side acknowledged it."),
    "bidisync_call_duration_seconds": (_CALL_S, "How long a request took."),
    "bidisync_pass_duration_seconds": (_PASS_S, "How long a pass took."),
    "bidisync_hint_wait_seconds": (_LAG_S, "From a hint until it was worked off."),
}


@runtime_checkable
class Queue(Protocol):
    """A store that keeps hints as well."""

    async def hints_waiting(self) -> tuple[int, float | None]:
        """How many hints are not done, and since when the oldest of them is kept."""
        ...


def _watching(gauges: Gauges, name: str, labels: tuple[str, ...]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def watch(_options: CallbackOptions) -> Iterable[Observation]:
        from opentelemetry.metrics import Observation

        for values, number in gauges.values.get(name, {}).items():
            yield Observation(number, dict(zip(labels, values, strict=True)))

    return watch


@attrs.define
class Metrics:
    """Everything that Prometheus may ask of one process. Made by ``Metrics.open``."""

    observer: Instruments
    _provider: MeterProvider = attrs.field(repr=False)
    _registry: CollectorRegistry = attrs.field(repr=False)
    _clock: Clock = attrs.field(repr=False)
    _store: StateStore | None = attrs.field(default=None, repr=False)

    @classmethod
    def open(cls, *, intervals: Mapping[str, float] = {}, clock: Clock | None = None) -> Metrics:
        """Metrics of this process; ``intervals`` tells how often a pass of each kind (poll, full) is due.

        Raises ``Misconfigured``, which names the extra, where the packages are missing.
        """
        try:
            from opentelemetry.exporter.prometheus import PrometheusMetricReader
            from opentelemetry.sdk.metrics import MeterProvider
            from prometheus_client import CollectorRegistry
        except ImportError as error:
            raise Misconfigured("metrics need more packages: pip install 'bidisync[metrics]'") from error
        registry = CollectorRegistry()
        reader = PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False, registry=registry)
        provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
        instruments = Instruments.on(provider.get_meter("bidisync"))
        instruments.gauges.put("bidisync_pass_interval_seconds", {(kind,): s for kind, s in intervals.items()})
        return cls(instruments, provider, registry, clock or SystemClock())

    def watch(self, store: StateStore) -> None:
        """Tell of this state from now on."""
        self._store = store

    async def scrape(self) -> bytes:
        """A fresh look at the state, and everything as text."""
        if self._store is not None:
            await self.observer.see(self._store, self._clock.now())
        return self.render()

    def render(self) -> bytes:
        """Everything as text, the gauges as they were last seen."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def close(self) -> None:
        """Give everything back."""
        self._provider.shutdown()
