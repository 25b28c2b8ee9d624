"""The decision log as a chain: each line stands on the one before it, under a key.

A line carries two keyed hashes. ``content`` is that of its values, with a salt: whoever
forgets a person takes values and salt away, and what stays can be tried against nothing.
``chain`` covers the number, the link, what was decided without its values, ``content``, and
the chain of the line before. So a line can be neither changed, moved, added nor taken out
without the key, and forgetting breaks nothing, as long as a later line says that somebody
was forgotten.

What no chain shows by itself is that its end was cut off: that takes a head from before,
kept elsewhere. And whoever has the key can write the whole chain anew.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

VALUES = ("versions", "result")  # what forgetting takes out of a decision
GROUNDS = "grounds"  # … and out of a line
FORGETS = frozenset({"forget"})
EXPIRE = "expire"  # what a line says where older values of its link were erased, for their age
BEFORE = "before:"  # … and how its reason begins, which goes on with the time before which they were stored
_NOTHING = {"versions": {name: {"absent": True} for name in ("base", "left", "right")}}


@attrs.frozen
class Head:
    """The last line of a log: with it a later look tells whether the log has only grown since. ``NUMBER:CHAIN``."""

    number: int
    chain: str

    def __str__(self) -> str:
        return f"{self.number}:{self.chain}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read the written form; anything else is a ``ValueError``."""
        number, colon, chain = text.strip().partition(":")
        if not colon or not number.isdecimal() or not number.isascii():
            raise ValueError("a head is written NUMBER:CHAIN")
        return cls(int(number), chain)


@attrs.frozen
class Line:
    """A line of the log as it is stored, its document as plain JSON (empty where it can't be read)."""

    number: int
    link_id: str
    document: str = attrs.field(repr=False)
    salt: str
    content: str
    previous: str
    chain: str


def chained(key: bytes, before: Head, number: int, link_id: str, document: str, salt: str) -> Line:
    """The line that stands on ``before``."""
    decided, values = _read(document)
    content = _keyed(key, salt, values)
    chain = _keyed(key, before.chain, str(number), link_id, decided, content)
    return Line(number, link_id, document, salt, content, before.chain, chain)


def split(document: str) -> tuple[str, str]:
    """What was decided, and the values that it was decided about: the same text for the same JSON."""
    whole = json.loads(document)
    values = [{name: d.pop(name) for name in VALUES if name in d} for d in whole.get("decisions", ())]
    grounds = whole.pop(GROUNDS, None)
    return _canonical(whole), _canonical([values, grounds])


_canonical = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"), check_circular=False).encode


def _keyed(key: bytes, *parts: str) -> str:
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]


@attrs.frozen
class Break:
    """A place where the log is not as it was written; ``what`` is a code, ``upto`` the last of several lines."""

    number: int
    what: str
    upto: int = 0

    def __str__(self) -> str:
        place = f"lines {self.number} to {self.upto}" if self.upto > self.number else f"line {self.number}"
        return f"{place}: {_WORDS[self.what]}"


_WORDS: Mapping[str, str] = {
    "altered": "altered, moved, or not written by the sync",
    "values_altered": "values were altered",
    "values_missing": "values were taken out, though nobody was forgotten and they had not expired",
    "not_erased": "holds values of somebody who was forgotten",
    "missing": "missing",
    "unlinked": "does not stand on the line before it",
    "cut_off": "missing at the end",
    "own_head": "not the last one, though the log says so",
    "other_head": "not the line that the head was taken of",
}


@attrs.frozen
class Verdict:
    """What a look at the whole log found. ``erased`` are lines of people who were forgotten, or too old."""

    lines: int
    erased: int
    head: Head
    breaks: tuple[Break, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every line is as it was written."""
        return not self.breaks


def expired_before(reason: str) -> float | None:
    """The time that a line of ``EXPIRE`` names; lines from before this was told name none."""
    try:
        return float(reason.removeprefix(BEFORE)) if reason.startswith(BEFORE) else None
    except ValueError:
        return None


@attrs.frozen
class _Emptied:
    """A line without its values: whose it is, and when it was written."""

    link_id: str
    at: float


@attrs.define
class Check:
    """Goes over a log from its first line, or the one after ``since``, and says at its end whether it holds."""

    key: bytes = attrs.field(repr=False)
    given: Head | None = None
    since: Head = Head(0, "")
    last: int = attrs.field(init=False, default=attrs.Factory(lambda self: self.since.number, takes_self=True))
    _chain: str = attrs.field(init=False, default=attrs.Factory(lambda self: self.since.chain, takes_self=True))
    _sound: bool = True  # the line before is as it was written
    _lines: int = 0
    _breaks: list[Break] = attrs.Factory(list)
    _emptied: dict[int, _Emptied] = attrs.Factory(dict)  # lines without their values, by number
    _told: dict[str, int] = attrs.Factory(dict)  # the first line with values, by link
    _forgotten: dict[str, int] = attrs.Factory(dict)  # the last line that says so, by link
    _expired: dict[str, list[tuple[int, float]]] = attrs.Factory(dict)  # what was too old for whom: line, time

    def add(self, line: Line) -> None:
        """Look at the next line."""
        decided, values = _read(line.document)
        own = _keyed(self.key, line.previous, str(line.number), line.link_id, decided, line.content)
        sound = hmac.compare_digest(own.encode(), line.chain.encode())
        if not sound:
            self._breaks.append(Break(line.number, "altered"))
        else:
            if line.previous != self._chain and self._sound:
                self._breaks.append(self._gap(line.number))
            told = json.loads(decided)
            self._look_at_values(line, told, values)
            if told.get("what") in FORGETS:
                self._forgotten[line.link_id] = line.number
            elif told.get("what") == EXPIRE:
                before = expired_before(told.get("reason", ""))
                at = float(told.get("at", 0.0)) if before is None else before
                self._expired.setdefault(line.link_id, []).append((line.number, at))
        if self.given is not None and self.given.number == line.number and self.given.chain != line.chain:
            self._breaks.append(Break(line.number, "other_head"))
        self.last, self._chain, self._sound = line.number, line.chain, sound
        self._lines += 1

    def _gap(self, number: int) -> Break:
        if number > self.last + 1:
            return Break(self.last + 1, "missing", number - 1)
        return Break(number, "unlinked")

    @property
    def doubtful(self) -> tuple[str, ...]:
        """Links that were forgotten after lines of theirs were read with values: perhaps just then.

        Their lines are to be read once more, all of them up to ``last``, and given to ``again``.
        """
        return tuple(id for id, number in self._told.items() if self._forgotten.get(id, 0) > number)

    def again(self, link_id: str, lines: Iterable[Line]) -> None:
        """Look at the values of a doubtful link as they are now."""
        del self._told[link_id]
        for line in lines:
            if line.number <= self.last:
                decided, values = _read(line.document)
                self._look_at_values(line, json.loads(decided), values)

    def _look_at_values(self, line: Line, told: Mapping[str, Any], values: str) -> None:
        found, grounds = json.loads(values)
        bare = grounds is None and all(one == _NOTHING for one in found)
        if not bare:
            self._told.setdefault(line.link_id, line.number)
        if line.content != _keyed(self.key, line.salt, values):
            if bare and not line.salt:
                self._emptied[line.number] = _Emptied(line.link_id, float(told.get("at", 0.0)))
            else:
                self._breaks.append(Break(line.number, "values_altered"))

    def verdict(self, head: Head) -> Verdict:
        """What was found, given where the log says that it ends."""
        breaks, erased = list(self._breaks), 0
        for number, one in self._emptied.items():
            old = any(said > number and one.at < before for said, before in self._expired.get(one.link_id, ()))
            if old or self._forgotten.get(one.link_id, 0) >= number:
                erased += 1
            else:
                breaks.append(Break(number, "values_missing"))
        for link_id, number in self._told.items():
            if self._forgotten.get(link_id, 0) > number:
                breaks.append(Break(number, "not_erased"))
        end = max(head.number, self.since.number, 0 if self.given is None else self.given.number)
        if end > min(self.last, head.number):
            breaks.append(Break(min(self.last, head.number) + 1, "cut_off", end))
        elif self._sound and head.chain != self._chain:
            breaks.append(Break(head.number, "own_head"))
        return Verdict(self._lines, erased, head, tuple(sorted(set(breaks), key=lambda one: (one.number, one.what))))


def _read(document: str) -> tuple[str, str]:
    """The two parts of a document; what can't be read is a value as a whole."""
    try:
        return split(document)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return "{}", _canonical([[document], None])
