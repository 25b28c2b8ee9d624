"""Every recorded request gets the recorded answer: status, reason, shape and values; ids and times aside."""

from __future__ import annotations

import aiohttp
from replay import Replayed, Transcript, Transcripts, replayed

from bidisync_espo_advo.simulators.espocrm_fields import BETEILIGTE
from bidisync_espo_advo.simulators.espocrm_users import app_user, users_of

SETTING_UP = "made the entity type, its fields, a role or a user: the simulator comes with its own"
LEFT_OUT = {
    "em_": SETTING_UP,
    "admin_rebuild": SETTING_UP,
    "admin_role": SETTING_UP,
    "admin_user": SETTING_UP,
    "account_": "an entity type that no sync of parties touches",
    "contact_": "an entity type that no sync of parties touches",
    "metadata_entityDefs": "layout hints for EspoCRM's own pages; what a client reads is compared below",
    "app_user_api": "preferences and rights for EspoCRM's own pages; the user is compared below",
    "admin_app_user": "preferences and rights for EspoCRM's own pages; the user is compared below",
}
READ_OF_A_FIELD = ("type", "required", "maxLength", "options", "default", "readOnly", "notStorable")


def left_out(transcript: Transcript) -> str | None:
    return next((reason for start, reason in LEFT_OUT.items() if transcript.name.startswith(start)), None)


async def test_recorded_requests_get_the_recorded_answers():
    transcripts = Transcripts()
    applicable = [transcript for transcript in transcripts.all if left_out(transcript) is None]
    async with aiohttp.ClientSession() as session:
        results: list[Replayed] = [await replayed(transcripts, one, session) for one in applicable]
    wrong = [result for result in results if result.difference]
    print(f"{len(results) - len(wrong)} of {len(results)} applicable transcripts match; left out:")
    for reason in dict.fromkeys(LEFT_OUT.values()):
        names = [transcript.name for transcript in transcripts.all if left_out(transcript) == reason]
        print(f"  {len(names)}: {reason} ({', '.join(names)})")
    for result in wrong:
        print(f"  differs: {result.transcript.name}: {result.difference}")
    assert len(results) >= 280
    assert not wrong


async def test_the_schema_says_of_each_recorded_field_what_a_client_reads():
    transcripts = Transcripts()
    (recorded,) = [one for one in transcripts.all if one.name == "metadata_entityDefs"]
    mine = BETEILIGTE.definitions()
    for name, theirs in recorded.answer.items():
        if theirs.get("type") in ("address", "map"):
            continue  # composed of the fields beside it
        assert name in mine, name
        for key in READ_OF_A_FIELD:
            assert (mine[name].get(key) or None) == (theirs.get(key) or None), f"{name}.{key}"


async def test_a_user_is_told_who_they_are():
    transcripts = Transcripts()
    (recorded,) = [one for one in transcripts.all if one.name == "app_user_api"]
    mine = app_user(users_of(0)["sync"], "2026-11-24 03:32:46")
    for key in ("userName", "type", "isActive"):
        assert mine["user"][key] == recorded.answer["user"][key]
    assert mine["settings"]["version"] == recorded.answer["settings"].get("version", "9.2.7")
