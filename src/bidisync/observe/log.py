"""Events as lines of the standard library's logging, with everything that varies in ``extra``.

A line never holds a value of a record, nor an id: records are named by a keyed hash, the same
for the same record as long as the key is. Whoever has the key can find a record's lines, and
nobody else can tell whose they are. ``run`` is the same in all lines of one hint or one pass.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Mapping

import attrs

from bidisync.clock import utc_text
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
from bidisync.protocols import Chance
from bidisync.storage import StateStore

Naming = Callable[[str], str]
"""How a record or a link is named in a log."""

FIELDS = (
    *("event", "run", "record", "link", "side", "system", "verb", "state", "outcome", "reason", "kind", "channel"),
    *("field", "fields", "code", "count", "examined", "attempt", "opened", "closed", "settled", "open"),
    *("duration_s", "lag_s", "waited_s", "next_at"),
)
"""Everything that a line may tell beside its text: a formatter shows these and nothing else."""

_KEY = "log:key"


@attrs.frozen
class Pseudonyms:
    """Names records by a hash under a key."""

    key: bytes = attrs.field(repr=False)

    @classmethod
    async def of(cls, store: StateStore, chance: Chance) -> Pseudonyms:
        """Those of this state: its key is made once and kept there."""
        return cls((await store.first_mark(_KEY, chance.token())).encode())

    def __call__(self, name: str) -> str:
        """The pseudonym of a record, or of a link, by its id."""
        return hmac.new(self.key, name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


@attrs.frozen
class Logged:
    """An observer that writes to a logger. ``named`` may be ``str`` where raw ids are wanted."""

    named: Naming
    logger: logging.Logger = attrs.field(factory=lambda: logging.getLogger("bidisync"))

    def __call__(self, event: Event) -> None:
        """One line, at the level that the event deserves."""
        level, text = _line(event)
        if self.logger.isEnabledFor(level):
            self.logger.log(level, text, extra=self._told(event))

    def _told(self, event: Event) -> dict[str, object]:
        told: dict[str, object] = {"event": type(event).__name__}
        for name, value in attrs.asdict(event, recurse=False).items():
            if name == "ref":
                told |= {"record": self.named(str(value)), "side": value.side.value}
            elif name == "link_id":
                told["link"] = self.named(value)
            elif value is not None and value != "":
                told[name] = getattr(value, "value", value)
        return told


def _line(event: Event) -> tuple[int, str]:
    match event:
        case Wrote():
            return logging.INFO, "a write was acknowledged"
        case Examined():
            waits = event.state.waits_for_a_person
            return logging.INFO if waits or event.reason else logging.DEBUG, "a record was dealt with"
        case Failed():
            return logging.WARNING, "a record could not be dealt with"
        case Noticed():
            return logging.WARNING, "a field needs a look"
        case Passed():
            return (logging.WARNING, "a pass was cut short") if event.reason else (logging.INFO, "a pass ended")
        case Called():
            good = event.outcome in ("ok", "refused")
            return logging.DEBUG if good else logging.WARNING, "a system was called"
        case SystemFailed():
            return logging.ERROR, "a system failed as a whole"
        case CircuitMoved():
            return logging.WARNING, "a system is left alone" if event.open else "a system is asked again"
        case Served():
            return logging.DEBUG, "a hint was worked off"
        case Told():
            return (logging.ERROR, "people could not be told") if event.reason else (logging.INFO, "people were told")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, text, and of ``extra`` what is known to be harmless.

    Of an exception only its type is told: its text may hold anything.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = f"{utc_text(record.created).replace(' ', 'T')}.{int(record.msecs):03d}Z"
        line: dict[str, object] = {"at": at, "level": record.levelname.lower(), "logger": record.name}
        line["text"] = record.getMessage()
        told: Mapping[str, object] = record.__dict__
        line |= {name: told[name] for name in FIELDS if name in told}
        if record.exc_info is not None and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, default=str, ensure_ascii=True)
