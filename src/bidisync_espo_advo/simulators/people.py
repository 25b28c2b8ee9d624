"""Synthetic parties: the same for the same seed, each full name used once.

Nobody in here exists. Names are combined from short lists so that no two parties of a
population share a full name, also across systems, unless a test asks for it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Literal

import attrs

GIVEN = (
    "Ada Ahmet Aileen Alma Anna Anton Astrid Aylin Bela Benno Bernd Birte Carla Carlotta Cem Clara Conrad "
    "Dana David Dilara Doris Edda Edgar Elif Elke Emil Enno Erik Esther Eva Fabian Fatma Felix Fiete Finja Frauke "
    "Gerda Gesa Gustav Hanna Hans-Peter Hedda Heinz Helga Henri Ida Ilka Imke Ines Jakob Jan Jette Jonas Jule "
    "Jörg Jürgen Kai Karl Katja Kira Klaas Lale Lars Lea Lennart Leyla Lina Ludwig Lütfiye Malte Maren Marlene "
    "Max Mehmet Merle Mia Moritz Nadja Nele Niklas Nora Olaf Ole Onno Oskar Paula Piet Quirin Ralf Rieke Rosa "
    "Rüdiger Sönke Sara Selma Silke Swantje Tabea Thea Tilda Timo Tjark Ulla Urs Vera Wanda Wiebke Yannick Zoë"
).split()
FAMILY = (
    "Achterberg Adler Ahrens Albers Bachmann Behrens Birnbaum Blohm Bödeker Brandt Çelik Claasen Dahlke Demir "
    "Drews Ebeling Eggers Engel Fährmann Feddersen Fink Förster Gärtner Gerdes Groß Grube Haack Hagedorn Harms "
    "Hörmann Ihle Isermann Jessen Junge Kähler Kaya Kleinschmidt Köster Krüger Lampe Lüdecke Lührs Mahnke Meinert "
    "Möhring Nagel Nguyen Niehaus Oelze Öztürk Paulsen Petersen Pöhl Quast Rademacher Reimers Rösler Rüter Sauer "
    "Schäfer Schlüter Schöning Sievers Stöver Süßmuth Tönnies Thießen Uhde Vogt Völker Wächter Weiß Wübbenhorst "
    "Yıldız Zander Zöllner"
).split()
LEGAL_FORMS = ("GmbH", "GmbH & Co. KG", "UG (haftungsbeschränkt)", "AG", "e. V.", "eGbR")
TRADES = "Bau Handel Logistik Immobilien Technik Verlag Energie Transport Gastronomie Elektro Metall Papier".split()
COURTS = "Hannover Köln Charlottenburg Hamburg München Stuttgart Leipzig Bremen".split()


@attrs.frozen
class SyntheticParty:
    """A party in nobody's own form; the simulators turn it into theirs."""

    kind: Literal["person", "company"]
    family_name: str
    given_name: str | None = None
    title: str | None = None
    form_of_address: str | None = None
    letter_salutation: str | None = None
    addition: str | None = None
    birth_date: str | None = None  # YYYY-MM-DD
    legal_form: str | None = None
    register_number: str | None = None
    register_court: str | None = None


def parties(seed: int, *, start: int = 0) -> Iterator[SyntheticParty]:
    """Parties without end; ``start`` skips that many, so that two systems can share none."""
    number = start
    while True:
        yield party(seed, number)
        number += 1


def acquainted(seed: int, records: int, *, start: int, shared: int = 0, alike: int = 0) -> Iterator[SyntheticParty]:
    """That many parties, of whom the first are people of the population of ``seed`` from its beginning.

    ``shared`` of them are entered as they are, ``alike`` more without what tells them for sure:
    date of birth and register number. The others begin at ``start``. ``ValueError`` if there
    are not enough.
    """
    if shared + alike > records:
        raise ValueError(f"{records} parties can't hold {shared} shared and {alike} alike ones")
    yield from islice(parties(seed), shared)
    for known in islice(parties(seed, start=shared), alike):
        yield attrs.evolve(known, birth_date=None, register_number=None)
    yield from islice(parties(seed, start=start), records - shared - alike)


def party(seed: int, number: int) -> SyntheticParty:
    """The party with this number in the population of this seed."""
    rng = random.Random(f"{seed}/{number}")
    if number % 7 == 6:
        return _company(rng, number)
    return _person(rng, seed, number)


def _person(rng: random.Random, seed: int, number: int) -> SyntheticParty:
    names = len(GIVEN) * len(FAMILY)
    place = (number * 7919 + seed * 104729) % names  # 7919 shares no factor with the list lengths
    given, family = GIVEN[place % len(GIVEN)], FAMILY[place // len(GIVEN)]
    if number >= names:
        family = f"{family}-{FAMILY[(number // names - 1) % len(FAMILY)]}"
    address = rng.choice(("Herr", "Frau"))
    return SyntheticParty(
        kind="person",
        family_name=family,
        given_name=given,
        title=rng.choice((None, None, None, "Dr.", "Prof. Dr.")),
        form_of_address=address,
        letter_salutation=f"Sehr geehrte{'r' if address == 'Herr' else ''} {address} {family}",
        addition=rng.choice((None, None, "c/o Beispiel")),
        birth_date=f"{rng.randint(1935, 2004)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
    )


def _company(rng: random.Random, number: int) -> SyntheticParty:
    form = rng.choice(LEGAL_FORMS)
    trade, place = rng.choice(TRADES), rng.choice(FAMILY)
    return SyntheticParty(
        kind="company",
        family_name=f"{place} {trade} {number} {form}",
        legal_form=form,
        register_number=f"HRB {10000 + number}",
        register_court=rng.choice(COURTS),
    )
