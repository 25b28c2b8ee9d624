"""A person who works in the CRM, at records of any entity type."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import attrs

from bidisync_espo_advo.simulators.espocrm_entities import ENTITY_TYPES
from bidisync_espo_advo.simulators.espocrm_fields import EntityType
from bidisync_espo_advo.simulators.espocrm_refusals import Refusal
from bidisync_espo_advo.simulators.espocrm_store import EspoStore


@attrs.frozen
class Desk:
    """The records of one entity type, as the administrator sees and changes them."""

    store: EspoStore
    entity_type: str

    @property
    def kind(self) -> EntityType:
        """The entity type; ``KeyError`` if there is none of that name."""
        return ENTITY_TYPES[self.entity_type]

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """A copy of every record by id, as a GET shows it; deleted ones are left out."""
        live = self.store.table(self.kind).all_live()
        return {record.id: deepcopy(self.store.shown(self.kind, record)) for record in live}

    def create(self, **values: Any) -> str:
        """A new record with these values; returns its id. ``ValueError`` if they do not fit."""
        try:
            made = self.store.add(self.kind, deepcopy(values), self.store.users["admin"], even_a_twin=True)
        except Refusal as refused:
            raise ValueError(str(refused)) from None
        return str(made["id"])

    def edit(self, id: str, **changes: Any) -> None:
        """Change these attributes and no others; ``KeyError`` if there is no such record."""
        try:
            self.store.change(self.kind, id, deepcopy(changes), self.store.users["admin"])
        except Refusal as refused:
            raise ValueError(str(refused)) from None

    def delete(self, id: str) -> None:
        """Delete the record; ``KeyError`` if there is none."""
        self.store.remove(self.kind, id, self.store.users["admin"])
