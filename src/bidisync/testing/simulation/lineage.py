"""Which edit replaced which value, so that no token can be lost unnoticed.

Every edit writes a value that nobody else writes, a *token*, and remembers which token it
replaced: its parent. Whatever becomes of the record, each token must in the end be an
ancestor of a value that is still there, that the journal keeps, or that a person deleted.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from bidisync.model import ABSENT, Seen, Side


def token_of(value: Seen) -> str:
    """The token that a value is, however it is spelled; empty for an empty one."""
    return "" if value is ABSENT or value is None else str(value).strip().casefold()


@attrs.define
class Lineage:
    """Which edit replaced which value, for every field of every person on record."""

    parents: dict[tuple[str, str, str], set[tuple[str, str, str]]] = attrs.Factory(dict)
    reused: set[tuple[str, str]] = attrs.Factory(set)
    """Fields that got a value for a second time: there, who knew what can't be told."""
    edits: dict[tuple[str, str, str], str] = attrs.Factory(dict)
    """Each edit (who, field, token) and the moment and side at which it was made, in words."""
    sides: dict[tuple[str, str, str], set[Side]] = attrs.Factory(dict)
    """The sides on which people made each edit."""

    def edited(self, who: str, field: str, token: str, before: Iterable[str], side: Side, told: str) -> None:
        """Somebody replaced one of these values."""
        key = (who, field, token)
        if not token or key in self.parents:
            self.reused.add((who, field))
        self.parents.setdefault(key, set()).update((who, field, old) for old in before if old != token)
        if token:
            self.edits.setdefault(key, told)
            self.sides.setdefault(key, set()).add(side)

    def ancestors(self, roots: Iterable[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
        """The roots, and everything that was knowingly replaced on the way to them."""
        found, todo = set(roots), list(roots)
        while todo:
            for parent in self.parents.get(todo.pop(), ()):
                if parent not in found:
                    found.add(parent)
                    todo.append(parent)
        return found

    def descends(self, one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
        """Whether one of the two knowingly replaced the other."""
        return one in self.ancestors([other]) or other in self.ancestors([one])
