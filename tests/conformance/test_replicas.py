"""The replicas that are shipped keep every promise, in their own form and in the shared one, over real HTTP."""

from __future__ import annotations

import attrs
import pytest
from at_the_desk import account_trial, advoware_trials, espocrm_trials

from bidisync import Conditional
from bidisync.testing import PROMISES, Examples, judge_replica
from bidisync_espo_advo.profile import AdvowareProfile, EspoProfile

CRM = Examples(
    records=[
        {"lastName": "Muster", "firstName": "Ada", "dateOfBirth": "1970-02-28", "titel": "Dr."},
        {"lastName": "Beispiel", "firstName": "Eva", "dateOfBirth": None, "titel": None},
    ],
    texts=["titel"],
    unmapped={"description": "tall"},
    invalid={"lastName": "", "firstName": None, "dateOfBirth": None, "titel": None},
    keeps=lambda name, value: value.strip() or None if isinstance(value, str) else value,
    nobody="65f0c0ffee0000000",
    crowd=210,
)
ERP = Examples(
    records=[
        {"name": "Muster", "vorname": "Ada", "geburtsdatum": "1970-02-28T00:00:00", "titel": "Dr."},
        {"name": "Beispiel", "vorname": "Eva", "geburtsdatum": None, "titel": None},
    ],
    texts=["vorname", "titel"],
    unmapped={"ort": "Musterstadt"},
    invalid={"name": "", "vorname": None, "geburtsdatum": None, "titel": None},
    nobody="999999",
    crowd=210,
)
SHARED = Examples(
    records=[
        {"family_name": "Muster", "given_name": "Ada", "birth_date": "1970-02-28", "title": "Dr."},
        {"family_name": "Beispiel", "given_name": "Eva", "birth_date": None, "title": None},
    ],
    texts=["title"],
    invalid={"family_name": "", "given_name": "x", "birth_date": None, "title": None},
    crowd=210,
)
ACCOUNTS = Examples(
    records=[
        {"betNr": 104_711, "iban": "DE89370400440532013000", "bic": "MUSTDEFF", "kontoinhaber": "Ada Muster"},
        {"betNr": 104_712, "iban": "AT611904300234573201", "bic": None, "kontoinhaber": None},
    ],
    fixed=["betNr"],
    invalid={"betNr": 104_711, "iban": "", "bic": None, "kontoinhaber": None},
    nobody="104711/999",
)
CHECKED = EspoProfile(has_versions=True, refuses_outdated=True)
CAREFUL = AdvowareProfile(conditional_write=Conditional.CHECKED)

SYSTEMS = {
    "espocrm": (espocrm_trials(switches={"occ": "on"}, profile=CHECKED), CRM),
    "espocrm in the shared form": (
        espocrm_trials(mapped=True, switches={"occ": "on"}, profile=CHECKED),
        attrs.evolve(SHARED, unmapped=CRM.unmapped, keeps=CRM.keeps, nobody=CRM.nobody),
    ),
    "advoware": (advoware_trials(), ERP),
    "advoware in the shared form": (
        advoware_trials(mapped=True),
        attrs.evolve(SHARED, unmapped=ERP.unmapped, nobody=ERP.nobody),
    ),
    "advoware with odd replies": (
        advoware_trials(
            switches={
                "put.reply_stale": "echo_of_request",
                "string.trim": "trims",
                "post.reply": "bare_int",
                "deleted_party_get": "200_merged_into_other_betNr",
            }
        ),
        attrs.evolve(ERP, keeps=lambda name, value: value.strip() if isinstance(value, str) else value),
    ),
    "accounts in advoware": (account_trial, ACCOUNTS),
    "advoware that checks": (advoware_trials(profile=CAREFUL, switches={"if_match": "rowId_in_body_checked"}), ERP),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_shipped_replica_keeps_its_promises(system):
    make, examples = SYSTEMS[system]
    judged = await judge_replica(make, examples)
    assert not judged.broken, str(judged)
    assert set(judged.kept) | set(judged.not_judged) == set(PROMISES)
    print(judged)
