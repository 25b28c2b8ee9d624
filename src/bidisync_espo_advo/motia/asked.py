"""What an event asks for: some records, or a poll."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from bidisync.model import Ref, Side


@attrs.frozen
class Asked:
    """The records that an event names; none of them means a poll, complete with ``everything``."""

    refs: tuple[Ref, ...] = ()
    everything: bool = False

    @classmethod
    def of(cls, data: object) -> Asked:
        """What these data ask for: ``ids`` (or ``entity_ids``, ``entity_id``) with ``side``, left unless said.

        Nothing else of an event is used: what is true is read from the systems.
        """
        told: Mapping[str, object] = data if isinstance(data, Mapping) else {}
        named = told.get("ids") or told.get("entity_ids") or told.get("entity_id") or ()
        ids = named if isinstance(named, list | tuple) else [named]
        side = Side.RIGHT if told.get("side") == Side.RIGHT.value else Side.LEFT
        refs = [Ref(side, str(id)) for id in ids if isinstance(id, str | int) and str(id)]
        return cls(tuple(dict.fromkeys(refs)), told.get("everything") is True)
