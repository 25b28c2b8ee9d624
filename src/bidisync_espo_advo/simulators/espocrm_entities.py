"""Every entity type of the simulated EspoCRM: those of the recording, and those that belong to a party."""

from __future__ import annotations

from collections.abc import Mapping

from bidisync_espo_advo.simulators.espocrm_fields import AKTE, BETEILIGTE, FIRMA, SYSTEM, EntityType, Field

BANKVERBINDUNGEN = EntityType(
    "CBankverbindungen",
    "Base",
    (
        Field("name", max_length=255, plain_chars=True),
        *SYSTEM,
        Field("iban", max_length=42, custom=True),
        Field("bic", max_length=11, custom=True),
        Field("kontoinhaber", max_length=100, custom=True),
        Field("bankname", max_length=100, custom=True),
        Field("istAktiv", "bool", default=True, not_null=True, custom=True),
        Field("istStandard", "bool", default=False, not_null=True, custom=True),
        Field("beteiligte", "link", foreign="CBeteiligte", custom=True),
        Field("advowareKontoId", max_length=40, custom=True),
        Field("advowareLastSync", "datetime", custom=True),
        Field("syncStatus", "enum", options=("unclean", "clean", "failed"), default="unclean", custom=True),
    ),
)
AKTEN = EntityType(
    "CAdvowareAkten",
    "Base",
    (
        Field("name", max_length=255, plain_chars=True),
        *SYSTEM,
        Field("aktenzeichen", max_length=100, custom=True),
        Field("aktennummer", "int", custom=True),
        Field("aktenpfad", max_length=255, custom=True),
        Field("istArchiviert", "bool", default=False, not_null=True, custom=True),
        Field("syncStatus", "enum", options=("unclean", "clean", "failed"), default="unclean", custom=True),
        Field("lastSync", "datetime", custom=True),
    ),
)
AKTEN_BETEILIGTE = EntityType(
    "CAktenBeteiligte",
    "Base",
    (
        Field("name", max_length=255, plain_chars=True),
        *SYSTEM,
        Field("akte", "link", foreign="CAdvowareAkten", custom=True),
        Field("beteiligter", "link", foreign="CBeteiligte", custom=True),
        Field("rolle", max_length=40, custom=True),
        Field("advowareId", max_length=80, custom=True),
    ),
)
ENTITY_TYPES: Mapping[str, EntityType] = {
    kind.name: kind for kind in (BETEILIGTE, FIRMA, AKTE, BANKVERBINDUNGEN, AKTEN, AKTEN_BETEILIGTE)
}
