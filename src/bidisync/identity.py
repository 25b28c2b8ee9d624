"""Whether two records of different systems are the same one, without guessing.

A record answers to *strong* keys (all parts present: together they name one person or one
company), to *weak* keys (a name: a hint at best), and to *scored* fields, whose weights add
up to a hint. One strong hit that nothing contradicts is the same record. Several hits, a
hit that already belongs to somebody, or a hint that no strong key contradicts is for a
person to judge. Keys are kept as keyed hashes, so that an index of everybody holds nobody's
name.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence

import attrs

from bidisync.errors import Misconfigured, Unmappable
from bidisync.model import ABSENT, Defer, Fields, Ref, Seen
from bidisync.state import Known

COUNTERPART = "counterpart"
"""The key under which a record is found that names the other side's id in its notes."""


def plain(value: Seen) -> str:
    """The default form for comparing: text without outer white space, case aside."""
    return "" if value is ABSENT or value is None else str(value).strip().casefold()


@attrs.frozen
class Identity:
    """Which fields together tell one record from another.

    Every part of a strong key must be there; of a weak key only the first. Fields of
    ``scored`` that are equal add their weights; from ``hint_at`` on that is a hint. One that
    can't work is ``Misconfigured``.
    """

    strong: tuple[tuple[str, ...], ...] = ()
    weak: tuple[tuple[str, ...], ...] = ()
    scored: Mapping[str, float] = attrs.field(factory=dict)
    hint_at: float = 1.0
    normal: Callable[[Seen], str] = plain

    def __attrs_post_init__(self) -> None:
        for kind, keys in (("strong", self.strong), ("weak", self.weak)):
            if isinstance(keys, str) or not all(isinstance(names, tuple) and names for names in keys):
                raise Misconfigured(f"each {kind} key is a tuple of at least one field: (('name', 'born'),)")
        if self.scored and min(self.hint_at, *self.scored.values()) <= 0:
            raise Misconfigured("weights and hint_at of scored fields are greater than 0")

    def keys(self, fields: Fields, secret: bytes, *, counterpart: str | None = None) -> dict[str, str]:
        """The keyed hashes that a record answers to. Where ``normal`` fails nobody guesses: ``Unmappable``."""
        found = {} if counterpart is None else {COUNTERPART: _hash(secret, COUNTERPART, (counterpart,))}
        scored = tuple((name,) for name in self.scored)
        for kind, groups in (("strong", self.strong), ("weak", self.weak), ("scored", scored)):
            for names in groups:
                try:
                    parts = tuple(self.normal(fields.get(name, ABSENT)) for name in names)
                except Exception as error:  # it is not ours, and the text of its error may hold the value
                    what = f"the identity can't read {' or '.join(names)} ({type(error).__name__})"
                    raise Unmappable(what, field=names[0]) from None
                if parts[0] and (kind == "weak" or all(parts)):
                    label = f"{kind}:{'+'.join(names)}"
                    found[label] = _hash(secret, label, parts)
        return found

    @property
    def fields(self) -> frozenset[str]:
        """Every field that a key is made of."""
        return frozenset(name for names in (*self.strong, *self.weak) for name in names) | frozenset(self.scored)

    def score(self, keys: Mapping[str, str], others: Mapping[str, str]) -> float:
        """The sum of the weights of the scored fields in which two records are equal."""
        labels = ((f"scored:{name}", weight) for name, weight in self.scored.items())
        return sum(weight for label, weight in labels if label in keys and keys[label] == others.get(label))

    def hints(self, keys: Mapping[str, str], others: Mapping[str, str]) -> bool:
        """Whether a person might take the two for the same."""
        weak = any(name.startswith("weak:") and others.get(name) == value for name, value in keys.items())
        return weak or (bool(self.scored) and self.score(keys, others) >= self.hint_at)

    def judge(
        self, keys: Mapping[str, str], candidates: Sequence[Known], taken: Callable[[Ref], bool]
    ) -> Ref | Defer | None:
        """The one record that this one is, ``None`` for nobody's, or ``Defer`` where a person must say.

        ``taken`` tells whether a candidate already belongs to another record.
        """
        strong = [known for known in candidates if shares_strong(keys, known.keys)]
        if len(strong) == 1:
            if taken(strong[0].ref):
                return Defer("match_taken")
            return Defer("match_contradicted") if contradicts(keys, strong[0].keys) else strong[0].ref
        if strong:
            return Defer("match_several")
        hinting = [k for k in candidates if self.hints(keys, k.keys) and not contradicts(keys, k.keys)]
        return Defer("match_weak") if hinting else None


def _hash(secret: bytes, label: str, parts: tuple[str, ...]) -> str:
    text = "\x1f".join((label, *parts))
    return hmac.digest(secret, text.encode("utf-8", "surrogatepass"), "sha256").hex()


def shares_strong(keys: Mapping[str, str], others: Mapping[str, str]) -> bool:
    """Whether two records answer to the same strong key."""
    return any(name.startswith("strong:") and others.get(name) == value for name, value in keys.items())


def contradicts(keys: Mapping[str, str], others: Mapping[str, str]) -> bool:
    """Whether a strong key that both records answer to tells them apart."""
    return any(name.startswith("strong:") and others.get(name, value) != value for name, value in keys.items())
