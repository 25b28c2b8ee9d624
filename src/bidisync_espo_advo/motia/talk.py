"""What a step needs of Motia: somebody to emit events to, and a logger that takes a text and a dictionary."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

MOST_BYTES = 60_000
"""An event travels as one argument of a command line, where 128 KiB are the end; half of it is left to Motia."""


class Logger(Protocol):
    """Motia's logger, or anything like it: a text, and values that JSON knows."""

    def info(self, message: str, args: Any = None) -> None:
        """Say what happened."""
        ...

    def warn(self, message: str, args: Any = None) -> None:
        """Say what somebody may want to look at."""
        ...

    def error(self, message: str, args: Any = None) -> None:
        """Say what went wrong."""
        ...

    def debug(self, message: str, args: Any = None) -> None:
        """Say what only matters to whoever looks for it."""
        ...


class Context(Protocol):
    """What Motia hands to a step, as far as it is used here."""

    @property
    def logger(self) -> Logger:
        """Where logs go."""
        ...

    async def emit(self, event: Any) -> Any:
        """Hand on an event: its ``topic`` and ``data``."""
        ...


class Forwarding(logging.Handler):
    """Hands what the standard library logs to a step's logger; else Motia swallows it."""

    def __init__(self, logger: Logger) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Forward a record; of an error only its type, for its text may tell anything."""
        told: dict[str, object] = {"logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            told["error"] = record.exc_info[0].__name__
        if record.levelno >= logging.ERROR:
            self._logger.error(record.getMessage(), told)
        elif record.levelno >= logging.WARNING:
            self._logger.warn(record.getMessage(), told)
        else:
            self._logger.info(record.getMessage(), told)


@contextmanager
def forwarded(logger: Logger) -> Iterator[None]:
    """While the block runs, what is logged goes to that logger."""
    root, forwarding = logging.getLogger(), Forwarding(logger)
    level = root.level
    root.addHandler(forwarding)
    root.setLevel(min(level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        root.removeHandler(forwarding)
        root.setLevel(level)


def chunks(ids: Sequence[str], *, most: int, most_bytes: int = MOST_BYTES) -> Iterator[list[str]]:
    """The ids in groups that each fit into an event, in order."""
    group: list[str] = []
    size = 0
    for id in ids:
        length = len(json.dumps(id)) + 2
        if group and (len(group) == most or size + length > most_bytes - 1000):
            yield group
            group, size = [], 0
        group.append(id)
        size += length
    if group:
        yield group
