"""Why EspoCRM refuses a request: a status, a reason for the header, and seldom a body."""

from __future__ import annotations

from typing import Any

import attrs


@attrs.define(slots=False)
class Refusal(Exception):
    """One refused request as EspoCRM answers it; ``reason`` None means no reason header at all."""

    status: int
    reason: str | None = None
    body: Any = None
    headers: dict[str, str] = attrs.Factory(dict)

    def __str__(self) -> str:
        return self.reason or f"status {self.status}"


def invalid(entity_type: str, field: str, rule: str) -> Refusal:
    """The first field that breaks a rule, named by field and rule."""
    return Refusal(
        400,
        f"Field validation failure; entityType: {entity_type}, field: {field}, type: {rule}.",
        _translation("validationFailure", {"field": field, "type": rule}),
    )


def cannot_relate(entity_type: str, link: str, foreign: str) -> Refusal:
    """A link whose target there is not: forbidden, not invalid."""
    return Refusal(
        403,
        f"Can't relate with non-existing record. entity type: {entity_type}, link: {link}.",
        _translation("cannotRelateNonExisting", {"foreignEntityType": foreign}),
    )


def bad_where(text: str) -> Refusal:
    """A filter that is not allowed; the text comes twice, as EspoCRM sends it."""
    return Refusal(400, f"{text} {text}")


def _translation(label: str, data: dict[str, str]) -> dict[str, Any]:
    return {"messageTranslation": {"label": label, "scope": None, "data": data}}
