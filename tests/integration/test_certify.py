"""certify finds out how Advoware behaves by writing and reading alone, and the sync uses what it found."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from bidisync import LinkState
from bidisync.clock import SystemChance, SystemClock
from bidisync.errors import Misconfigured
from bidisync.model import ClockTrust, Conditional
from bidisync_espo_advo import open_sync
from bidisync_espo_advo.app import Remotes
from bidisync_espo_advo.certify import Measurement
from bidisync_espo_advo.profile import AdvowareProfile, load_profile, save_profile
from command import configure, run
from office import Office, opened

READ_ONLY = ("handelsRegisterNummer", "registergericht", "geburtsname", "familienstand", "kurzname", "art")


async def measured(office: Office, record: str | None = None) -> tuple[str, AdvowareProfile]:
    clock = SystemClock()
    remotes = Remotes.of(office.settings, clock, SystemChance())
    try:
        return await Measurement(remotes.advoware, clock, SystemChance(), "Europe/Berlin").run(record)
    finally:
        await remotes.close()


CASES: list[tuple[dict[str, str], dict[str, Any]]] = [
    (
        {},
        {
            "conditional_write": Conditional.IGNORED,
            "version_moves": "every_write",
            "version_returns": False,
            "empty_as": "null",
            "changed_at": "local",
            "numbers_rise": True,
            "ignored": READ_ONLY,
            "altered": (),
            "refused": (),
            "side_effects": (),
        },
    ),
    ({"if_match": "rowId_in_body_checked"}, {"conditional_write": Conditional.ENFORCED}),
    ({"rowId.changes_on": "only_real_change"}, {"version_moves": "real_change", "version_returns": False}),
    ({"rowId.changes_on": "never"}, {"version_moves": "never", "version_returns": True}),
    ({"rowId.reuse": "returns_to_old_value"}, {"version_returns": True}),
    ({"geaendertAm": "naive_utc"}, {"changed_at": "utc"}),
    ({"geaendertAm": "Z"}, {"changed_at": "offset"}),
    ({"geaendertAm": "missing"}, {"changed_at": "missing"}),
    ({"null_style": "absent"}, {"empty_as": "absent"}),
    ({"put.readonly_field": "400"}, {"refused": READ_ONLY, "ignored": ()}),
    ({"side_effects": "anrede_fills_bAnrede"}, {"side_effects": ("bAnrede",)}),
    ({"side_effects": "name_uppercased"}, {"altered": ("name",)}),
    ({"post.reply": "dict_with_rowId"}, {"create_reply_has_version": True}),
    ({"string.trim": "trims", "put.reply": "204"}, {"altered": (), "ignored": READ_ONLY}),
]


NAMES = [" ".join(f"{name}={value}" for name, value in switches.items()) or "default" for switches, _ in CASES]


@pytest.mark.parametrize(("switches", "found"), CASES, ids=NAMES)
async def test_each_setting_is_found_without_reading_it(switches, found):
    async with opened(erp_records=2, erp_switches=switches) as office:
        _, profile = await measured(office)
        told = attrs.asdict(profile)
        assert {name: told[name] for name in found} == found
        assert profile.list_lag_s is not None
        assert profile.guarantees()
        if profile.changed_at in ("local", "utc", "offset"):
            assert profile.clock is ClockTrust.TRUSTED, "both run on this machine's clock"
        else:
            assert profile.clock is ClockTrust.UNTRUSTED


async def test_a_named_party_is_as_before_afterwards_and_nobody_is_made():
    async with opened(erp_records=3) as office:
        number = next(iter(office.erp.store.records))
        before = dict(office.erp.store.records[number])
        id, profile = await measured(office, str(number))
        after = office.erp.store.records[number]
        moving = {"rowId", "geaendertAm", "geaendertVon"}
        assert {k: after[k] for k in after if k not in moving} == {k: before[k] for k in before if k not in moving}
        assert (id, len(office.erp.store.records)) == (str(number), 3)
        assert profile.list_lag_s is None
        assert not profile.numbers_rise, "nothing was made, so nothing is known"


async def test_the_command_writes_a_profile_and_says_what_follows(tmp_path):
    async with opened(erp_records=2, erp_switches={"if_match": "rowId_in_body_checked"}) as office:
        profile = tmp_path / "advoware.json"
        office.tables["advoware"]["profile"] = ""
        configure(tmp_path, office.tables)
        asked = await run("certify", "advoware", cwd=tmp_path)
        assert asked.status == 2, "without --yes and a terminal nothing is written"
        assert "--yes" in asked.err
        assert len(office.erp.store.records) == 2
        done = await run("certify", "advoware", "--yes", cwd=tmp_path, ESPO_ADVO_ADVOWARE_PROFILE="")
        assert done.status == 0, done.err
        assert "holds: a write against an outdated party is refused" in done.out
        assert json.loads((tmp_path / "advoware.profile.json").read_text())["conditional_write"] == "enforced"
        as_json = await run("certify", "advoware", "--yes", "--sandbox-record", "1", "--json", cwd=tmp_path)
        assert as_json.status == 2, "the call names nobody"
        crm = await run("certify", "espocrm", "--yes", "--json", cwd=tmp_path)
        assert crm.json["profile"]["has_versions"] is False
        assert abs(float(crm.json["profile"]["clock_off_s"])) <= 2.0
        assert crm.json["guarantees"]["the newest edit wins"] == "holds where the other clock is right too"
        assert not profile.exists()


async def test_the_sync_relies_on_what_was_certified(tmp_path):
    file = tmp_path / "profile.json"
    switches = {"null_style": "absent", "if_match": "rowId_in_body_checked"}
    async with opened(crm_records=2, erp_switches=switches) as office:
        _, profile = await measured(office)
        save_profile(file, profile)
        office.tables["advoware"]["profile"] = str(file)
        async with open_sync(office.settings) as sync:
            await sync.sweep(everything=True)
            id = next(i for i, r in office.crm.store.records.items() if r["anrede"])
            number = office.crm.store.records[id]["betnr"]
            office.erp.store.edit(number, anrede=None)
            outcome = await sync.sync(f"right:{number}")
            assert outcome.state is LinkState.IN_SYNC
            assert office.crm.store.records[id]["anrede"] is None, "an absent field of a certified Advoware is empty"
            assert sync.engine.parts.right.capabilities.conditional_write is Conditional.ENFORCED


def test_a_profile_that_cannot_be_used_is_said_at_once(tmp_path):
    assert load_profile("", AdvowareProfile) == AdvowareProfile()
    file = tmp_path / "p.json"
    for text in ("nonsense", "{}x", '{"format": 99}', '{"strange": 1}', "[]"):
        file.write_text(text)
        with pytest.raises(Misconfigured, match="profile"):
            load_profile(str(file), AdvowareProfile)
    with pytest.raises(Misconfigured, match="can't be read"):
        load_profile(str(tmp_path / "missing.json"), AdvowareProfile)
    save_profile(file, AdvowareProfile(ignored=("a",), conditional_write=Conditional.CHECKED))
    assert load_profile(str(file), AdvowareProfile) == AdvowareProfile(
        ignored=("a",), conditional_write=Conditional.CHECKED
    )
