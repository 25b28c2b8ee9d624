"""How a check says what is wrong: in a sentence that names the fault and what to do about it."""

from __future__ import annotations

from typing import NoReturn

ALLOWED = "text, number, truth value, None or a tuple of those"
"""What a value is (``bidisync.values``), in a sentence."""


class Broken(AssertionError):
    """A promise is broken. ``fault`` says which and how, ``remedy`` what to do, ``promise`` where it was found."""

    def __init__(self, fault: str, remedy: str = "", *, promise: str = "") -> None:
        self.fault = fault
        self.remedy = remedy
        self.promise = promise
        super().__init__(f"{fault}: {remedy}" if remedy else fault)


class NotJudgedError(Exception):
    """Here a promise can't be judged, or was not given; the message says why."""


def holds(condition: object, fault: str, remedy: str = "") -> None:
    """Go on if it does; else ``Broken`` with this fault. Unlike ``assert`` it also counts under ``python -O``."""
    if not condition:
        broken(fault, remedy)


def broken(fault: str, remedy: str = "") -> NoReturn:
    """Say that a promise is broken."""
    raise Broken(fault, remedy)
