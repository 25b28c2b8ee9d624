"""Synthetic parties in the fields of EspoCRM."""

from __future__ import annotations

import random
from typing import Any

from bidisync_espo_advo.simulators.people import SyntheticParty

TOWNS = {"30159": "Hannover", "50667": "Köln", "10115": "Berlin", "20095": "Hamburg", "28195": "Bremen"}


def values_of(person: SyntheticParty, rng: random.Random) -> dict[str, Any]:
    """A synthetic party as a CBeteiligte; two thirds also have what no mapping knows."""
    company = person.kind == "company"
    values: dict[str, Any] = {
        "lastName": person.family_name,
        "firstName": person.given_name,
        "rechtsform": person.legal_form,
        "titel": person.title,
        "anrede": person.form_of_address,
        "briefanrede": person.letter_salutation,
        "zusatz": person.addition,
        "dateOfBirth": person.birth_date,
        "handelsregisterNummer": person.register_number,
        "registergericht": person.register_court,
        "geburtsname": None if company else rng.choice((None, None, "Beispiel")),
        "familienstand": None if company else rng.choice((None, "ledig", "verheiratet", "geschieden")),
        "kurzname": person.family_name[:20].upper(),
        "art": "Firma" if company else "Person",
    }
    if rng.random() < 2 / 3:
        code, town = rng.choice(sorted(TOWNS.items()))
        values |= {
            "description": f"Karteikarte {rng.randint(1, 9999)}\nnur nachmittags erreichbar",
            "addressStreet": f"Beispielstraße {rng.randint(1, 99)}",
            "addressPostalCode": code,
            "addressCity": town,
            "addressCountry": "Deutschland",
            "rollen": [rng.choice(("Mandant", "Gegner", "Zeuge"))],
            "rohdaten": {"herkunft": "Übernahme", "laufNr": rng.randint(1, 10**9)},
        }
    return values
