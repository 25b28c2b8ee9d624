"""Which records belong to which, many to many, and who deleted what: kept beside the records."""

from __future__ import annotations

import attrs

from bidisync_espo_advo.simulators.espocrm_users import User

Key = tuple[str, str]
"""An entity type and an id."""


@attrs.frozen
class Deletion:
    """A record that somebody deleted."""

    entity_type: str
    id: str
    name: str | None
    by: User
    at: str


@attrs.define
class Related:
    """Pairs of records; neither side's time of change knows of them."""

    _pairs: dict[Key, dict[Key, None]] = attrs.Factory(dict)

    def of(self, one: Key, entity_type: str) -> list[str]:
        """The ids of that type that belong to a record, in the order in which they were related."""
        return [id for kind, id in self._pairs.get(one, ()) if kind == entity_type]

    def relate(self, one: Key, other: Key) -> None:
        """They belong together; again is no harm."""
        self._pairs.setdefault(one, {})[other] = None
        self._pairs.setdefault(other, {})[one] = None

    def part(self, one: Key, other: Key) -> None:
        """They do not; again is no harm."""
        self._pairs.get(one, {}).pop(other, None)
        self._pairs.get(other, {}).pop(one, None)
