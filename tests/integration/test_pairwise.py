"""Two behaviours of Advoware at once, every pair of them: what must never happen does not happen.

No edit is lost, nobody is doubled, nobody comes back, unmapped fields stay, and at rest
nothing is written. Where a value makes one of these impossible, the test of that value says
what is shown instead.
"""

from __future__ import annotations

from typing import Any

import pytest
from allpairspy import AllPairs

from bidisync import LinkState
from bidisync.mapping import same_text
from bidisync_espo_advo import open_sync
from bidisync_espo_advo.fields import PARTY
from office import Office, opened

VALUES: dict[str, list[str]] = {
    "discovery": ["connector_null", "connector_set"],
    "path_prefix": ["/api/v1/advonet", "/api/v1"],
    "token.expiry_field": ["expiration_utc", "expires_in", "none"],
    "token.ttl_s": ["3300", "5"],
    "token.early_revoke": ["never", "after_n_calls"],
    "token.nonce_reuse": ["reject", "accept"],
    "token.clock_skew_max_s": ["300", "30", "unlimited"],
    "auth.error_style": ["401_json", "200_text", "500_german_text", "503_retry_after"],
    "get.shape": ["object", "list_of_one"],
    "list.shape": ["array", "data_total", "value"],
    "list.paging": ["none", "unstable_order"],
    "list.filter_changed_since": ["absent", "present"],
    "query_key_case": ["case_sensitive_ignored", "insensitive"],
    "json_case": ["camelCase", "PascalCase"],
    "put.semantics": ["full_replace", "partial"],
    "put.unknown_field": ["ignore", "clears_when_absent"],
    "put.readonly_field": ["silently_ignored", "accepted_not_persisted"],
    "put.reply": ["list_with_rowId", "object", "object_without_rowId", "204"],
    "put.reply_stale": ["fresh", "echo_of_request"],
    "post.reply": ["dict_betNr_only", "dict_with_rowId", "list_with_rowId", "bare_int", "201_location"],
    "post.idempotency": ["none", "dedupe_same_payload_60s"],
    "rowId.format": ["A-P_40", "base64", "uuid"],
    "rowId.changes_on": ["every_write", "only_real_change", "never"],
    "rowId.reuse": ["never", "returns_to_old_value"],
    "rowId.missing": ["never", "null_on_some_rows", "absent_in_list"],
    "if_match": ["unsupported", "rowId_in_body_checked"],
    "geaendertAm": ["naive_local", "naive_utc", "Z", "missing"],
    "server_tz": ["Europe/Berlin", "UTC"],
    "time.fraction_digits": ["0", "3", "7"],
    "null_style": ["null", "empty"],
    "string.trim": ["none", "trims"],
    "charset": ["unicode", "nfd_to_nfc"],
    "side_effects": ["none", "anrede_fills_bAnrede", "plz_fills_ort"],
    "redundant_twins": ["absent", "twin_overrides"],
    "delete": ["403", "405", "404_then_gone", "soft_flag"],
    "deleted_party_get": ["404", "200_empty_list", "200_merged_into_other_betNr"],
    "child.in_parent_get": ["kommunikation_only", "all", "none"],
    "child.id_stability": ["stable", "re-numbered_on_parent_put"],
    "child.kommKz_get": ["value", "0_always"],
}
"""The values under which every property holds."""

HOSTILE = {
    "discovery": "connector_set",
    "token.expiry_field": "none",
    "token.ttl_s": "5",
    "token.early_revoke": "after_n_calls",
    "token.clock_skew_max_s": "30",
    "auth.error_style": "200_text",
    "get.shape": "list_of_one",
    "list.shape": "value",
    "list.paging": "unstable_order",
    "json_case": "PascalCase",
    "put.unknown_field": "clears_when_absent",
    "put.readonly_field": "accepted_not_persisted",
    "put.reply": "204",
    "put.reply_stale": "echo_of_request",
    "post.reply": "bare_int",
    "post.commit_then_drop": "504_after_commit",
    "rowId.format": "base64",
    "rowId.changes_on": "never",
    "rowId.reuse": "returns_to_old_value",
    "rowId.missing": "absent_in_list",
    "geaendertAm": "missing",
    "server_tz": "UTC",
    "null_style": "empty",
    "string.trim": "trims",
    "charset": "nfd_to_nfc",
    "side_effects": "anrede_fills_bAnrede",
    "redundant_twins": "twin_overrides",
    "delete": "405",
    "deleted_party_get": "200_empty_list",
    "http200_error_body": "error_json",
    "child.in_parent_get": "none",
    "child.id_stability": "re-numbered_on_parent_put",
    "child.kommKz_get": "0_always",
}
"""Every switch at the worst value that a correct client can live with."""

COMBINATIONS = [dict(zip(VALUES, row, strict=True)) for row in AllPairs(list(VALUES.values()))]
MAPPED = {field.advoware for field in PARTY}
SERVERS = {"rowId", "geaendertAm", "geaendertVon", "ort"}  # the place may be filled from the postcode


def unmapped(party: dict[str, Any]) -> dict[str, Any]:
    """What no mapping knows; an empty text and no value are one to Advoware."""
    known = {name: value or None for name, value in party.items() if name not in MAPPED | SERVERS}
    phones = [{"tlf": row["tlf"], "kommKz": row["kommKz"]} for row in party["kommunikation"]]  # their ids may move
    return {**known, "kommunikation": phones}


ENTERED = "Mu\u0308ller & So\u0308hne"  # as a Mac spells it


async def properties_hold(office: Office) -> None:
    async with open_sync(office.settings) as sync:
        await sync.sweep(everything=True, rounds=5)
        pairs = [(id, record["betnr"]) for id, record in office.crm.store.records.items()]
        assert len(pairs) == len(office.erp.store.records) == 6, "nobody is doubled"
        before = {number: unmapped(party) for number, party in office.erp.store.records.items()}
        (left, left_number), (right, right_number), (both, both_number), (gone, gone_number), *_ = pairs
        office.erp.store.edit(left_number, geburtsdatum="1980-02-29T00:00:00")
        await sync.sweep(everything=True, rounds=5)
        office.crm.store.edit(left, dateOfBirth="1981-03-30")
        office.crm.store.edit(left, zusatz=ENTERED)
        office.erp.store.edit(right_number, titel="Dr. h. c.")
        office.crm.store.edit(both, zusatz="links")
        office.erp.store.edit(both_number, titel="rechts")
        office.crm.store.delete(gone)
        for _ in range(3):
            await sync.sweep(everything=True, rounds=5)
        for id, field, value in (
            (left, "zusatz", ENTERED),
            (right, "titel", "Dr. h. c."),
            (both, "zusatz", "links"),
            (both, "titel", "rechts"),
        ):
            crm, erp = office.pair(id)
            assert same_text(crm[field]) == same_text(erp[field]) == same_text(value), "no edit is lost"
        assert office.erp.store.records[left_number]["geburtsdatum"] == "1981-03-30T00:00:00", (
            "nor by a twin of its field"
        )
        assert gone not in office.crm.store.records, "nobody comes back"
        assert len(office.crm.store.records) == 5
        assert gone_number in office.erp.store.records, "nothing is deleted without approval"
        assert {n: unmapped(p) for n, p in office.erp.store.records.items()} == before, "unmapped fields stay"
        states = await sync.states()
        assert states == {LinkState.IN_SYNC: 5, LinkState.GONE: 1}
        office.forget_calls()
        await sync.sweep(everything=True)
        assert office.writes() == 0, "quiet at rest"


@pytest.mark.parametrize("switches", COMBINATIONS, ids=[str(n) for n in range(len(COMBINATIONS))])
async def test_every_pair_of_behaviours(switches):
    async with opened(crm_records=3, erp_records=3, erp_switches=switches) as office:
        await properties_hold(office)


@pytest.mark.parametrize("occ", ["off", "on"])
async def test_the_worst_that_a_correct_client_can_live_with(occ):
    async with opened(crm_records=3, erp_records=3, erp_switches=HOSTILE, crm_switches={"occ": occ}) as office:
        await properties_hold(office)


def test_the_number_of_combinations_is_told():
    print(f"{len(COMBINATIONS)} combinations cover every pair of {sum(map(len, VALUES.values()))} values")
    assert len(COMBINATIONS) >= 20
