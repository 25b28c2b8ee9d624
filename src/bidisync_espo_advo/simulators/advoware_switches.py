"""How Advoware may behave where nobody outside knows: one named switch per open question.

The first value of each switch is the default, for which there is the best evidence.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

VALUES: Mapping[str, tuple[str, ...]] = {
    "discovery": ("connector_null", "connector_set", "no_security_gateway", "500"),
    "path_prefix": ("/api/v1/advonet", "/api/v1"),
    "token.expiry_field": ("expiration_utc", "expires_in", "none"),
    "token.ttl_s": ("3300", "60", "5"),
    "token.early_revoke": ("never", "after_n_calls"),
    "token.nonce_reuse": ("reject", "accept"),
    "token.clock_skew_max_s": ("300", "30", "unlimited"),
    "auth.error_style": ("401_json", "200_text", "500_german_text", "503_retry_after"),
    "get.shape": ("object", "list_of_one"),
    "list.shape": ("array", "data_total", "value"),
    "list.paging": ("none", "page_size", "silently_capped_100", "unstable_order"),
    "list.filter_changed_since": ("absent", "present"),
    "query_key_case": ("case_sensitive_ignored", "insensitive"),
    "json_case": ("camelCase", "PascalCase"),
    "put.semantics": ("full_replace", "partial", "partial_null_ignored"),
    "put.unknown_field": ("ignore", "400", "clears_when_absent"),
    "put.readonly_field": ("silently_ignored", "400", "accepted_not_persisted"),
    "put.reply": ("list_with_rowId", "object", "object_without_rowId", "204"),
    "put.reply_stale": ("fresh", "echo_of_request"),
    "post.reply": ("dict_betNr_only", "dict_with_rowId", "list_with_rowId", "bare_int", "201_location"),
    "post.idempotency": ("none", "dedupe_same_payload_60s"),
    "post.commit_then_drop": ("never", "504_after_commit"),
    "rowId.format": ("A-P_40", "base64", "uuid"),
    "rowId.changes_on": ("every_write", "only_real_change", "child_write_too", "never"),
    "rowId.reuse": ("never", "returns_to_old_value"),
    "rowId.missing": ("never", "null_on_some_rows", "absent_in_list"),
    "if_match": ("unsupported", "rowId_in_body_checked"),
    "geaendertAm": ("naive_local", "naive_utc", "Z", "missing", "stale_on_child_change"),
    "server_tz": ("Europe/Berlin", "UTC"),
    "time.fraction_digits": ("0", "3", "7"),
    "null_style": ("null", "empty", "absent", "0001-01-01"),
    "string.trim": ("none", "trims", "pads_to_length"),
    "string.max_len": ("none", "truncates_silently", "400"),
    "charset": ("unicode", "cp1252_lossy", "nfd_to_nfc"),
    "enum.unknown": ("stored", "400", "mapped_to_default"),
    "side_effects": ("none", "anrede_fills_bAnrede", "plz_fills_ort", "name_uppercased"),
    "redundant_twins": ("absent", "twin_overrides"),
    "delete": ("403", "405", "404_then_gone", "soft_flag"),
    "deleted_party_get": ("404", "200_empty_list", "200_merged_into_other_betNr"),
    "http200_error_body": ("off", "error_json", "german_text", "html_login_page"),
    "connector_offline": ("off", "503", "502_html", "hang_30s"),
    "lock_in_ui": ("off", "423", "409_text"),
    "child.in_parent_get": ("kommunikation_only", "all", "none"),
    "child.id_stability": ("stable", "re-numbered_on_parent_put"),
    "child.kommKz_get": ("value", "0_always"),
    "rate_limit": ("none", "429_retry_after", "silent_drop"),
    "latency_ms": ("0", "200", "3000_jitter"),
    "faults": ("none", "drop", "dup", "reorder", "reset", "partial_json", "all"),  # one call in eight, by the seed
}
ALIASES: Mapping[str, Mapping[str, str]] = {
    "token.expiry_field": {"none(55 min)": "none"},
    "token.clock_skew_max_s": {"∞": "unlimited"},
    "auth.error_style": {"503+Retry-After": "503_retry_after"},
    "list.shape": {"{data,total}": "data_total", "{value}": "value"},
    "list.paging": {"page/size": "page_size"},
    "post.reply": {"201+Location": "201_location"},
    "rowId.format": {"A-P×40": "A-P_40", "base64 with +/=": "base64"},
    "rowId.reuse": {"returns_to_old_value (ABA)": "returns_to_old_value"},
    "if_match": {"rowId_in_body_checked(409)": "rowId_in_body_checked"},
    "null_style": {"": "empty", '""': "empty"},
    "string.max_len": {"per field table": "none"},
    "charset": {"cp1252_lossy('?')": "cp1252_lossy"},
    "http200_error_body": {'{"error":…}': "error_json"},
    "lock_in_ui": {"423/409_text": "423", "423/409_text while a user edits": "423", "409": "409_text"},
    "child.in_parent_get": {"kommunikation only": "kommunikation_only"},
    "latency_ms": {"3000 jitter": "3000_jitter"},
    "faults": {"partial JSON": "partial_json"},
}
"""Other spellings of the same values: those of the notes that the switches come from."""
WHOLE_NUMBERS = frozenset({"token.ttl_s", "token.clock_skew_max_s", "latency_ms"})


def _known(_instance: object, _attribute: object, chosen: Mapping[str, str]) -> None:
    for name, value in chosen.items():
        if name not in VALUES:
            raise ValueError(f"unknown switch {name!r}; there are: {', '.join(VALUES)}")
        number = name in WHOLE_NUMBERS and value.isascii() and value.isdecimal()
        if value not in VALUES[name] and not number:
            more = " or any whole number" if name in WHOLE_NUMBERS else ""
            raise ValueError(f"switch {name} cannot be {value!r}; allowed: {', '.join(VALUES[name])}{more}")


def _own(chosen: Mapping[str, str]) -> Mapping[str, str]:
    return {name: ALIASES.get(name, {}).get(value, value) for name, value in chosen.items()}


@attrs.frozen
class Switches:
    """The chosen behaviour; whatever is not chosen has its default.

    ``ValueError`` names an unknown switch or value and says which there are.
    """

    chosen: Mapping[str, str] = attrs.field(factory=dict, validator=_known, converter=_own)

    def __getitem__(self, name: str) -> str:
        return self.chosen.get(name, VALUES[name][0])
