"""What the dashboard says: complete in both languages, and plain."""

from __future__ import annotations

import json
import re
from importlib import resources

import pytest
from aiohttp.test_utils import make_mocked_request

from bidisync import errors
from bidisync.model import LinkState, ReviewKind, Row
from bidisync_espo_advo.fields import GROUPS, PARTY
from bidisync_espo_advo.web.pages import LANGUAGES, Words, language_of, texts
from bidisync_espo_advo.web.pulse import Pulse

FILES = resources.files("bidisync_espo_advo.web")
READ = {name: json.loads((FILES / "words" / f"{name}.json").read_text(encoding="utf-8")) for name in LANGUAGES}


def test_both_languages_say_the_same_things_with_the_same_places():
    assert READ["de"].keys() == READ["en"].keys()
    for key, text in READ["en"].items():
        assert re.findall(r"{\w+}", text) == re.findall(r"{\w+}", READ["de"][key]), key


def test_every_text_that_a_template_asks_for_is_there():
    asked = set()
    for template in (FILES / "templates").iterdir():
        source = template.read_text(encoding="utf-8")
        asked |= set(re.findall(r"\bt\('([^'~]+)'", source))
        asked |= {f"{key}.{one}" for key in re.findall(r"t\.count\('([^']+)'", source) for one in ("one", "many")}
    assert len(asked) > 60
    assert asked - {key for key in asked if key.endswith(".")} <= READ["en"].keys()


def test_every_state_kind_row_field_and_error_has_plain_words():
    wanted = {f"state.{state.value}" for state in LinkState} | {f"kind.{kind.value}" for kind in ReviewKind}
    wanted |= {f"row.{row.value}" for row in Row} | {f"group.{group}" for group in GROUPS}
    wanted |= {f"field.{field.name}" for field in PARTY}
    reasons = [error.reason for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "reason")]
    wanted |= {f"reason.{reason}" for reason in reasons if reason != "misconfigured"}
    assert wanted <= READ["en"].keys()


def test_a_code_without_words_is_shown_as_it_is_and_one_with_a_detail_by_its_kind():
    words = Words("en", texts("en"))
    assert words.of("reason", "never_heard") == "never_heard"
    assert words.of("reason", "strategy_failed:KeyError") == READ["en"]["reason.strategy_failed"]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("fr, en;q=0.5, de;q=0.7", "de"),
        ("en-GB", "en"),
        ("fr", "en"),
        ("de;q=0", "en"),
        ("", "en"),
        ("de;q=nonsense", "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_asks_for(asked, given):
    assert language_of(make_mocked_request("GET", "/", headers={"Accept-Language": asked})) == given


def test_a_chosen_language_goes_before_the_browsers_and_an_unknown_one_counts_for_nothing():
    german = {"Accept-Language": "de"}
    assert language_of(make_mocked_request("GET", "/login?lang=en", headers=german)) == "en"
    assert language_of(make_mocked_request("GET", "/login?lang=../x", headers=german)) == "de"


def test_numbers_and_times_are_written_as_the_reader_writes_them():
    german, english = Words("de", texts("de")), Words("en", texts("en"))
    assert (german.number(1234567), english.number(1234567)) == ("1.234.567", "1,234,567")
    assert (german.seconds(0.7), english.seconds(7200)) == ("0,7 s", "2 h")
    assert german.moment(1764082800.0) == "25.11.2025, 16:00:00", "by the clocks of the firm"
    assert english.utc("2025-11-25 15:00:00") == "2025-11-25 16:00:00"


def test_the_pulse_keeps_an_hour_minute_by_minute():
    from bidisync.events import Examined, Wrote
    from bidisync.model import Ref, Side, Verb

    now = [10_000.0]
    pulse = Pulse(lambda: now[0])
    assert pulse.lag(0.5) is None
    for lag in (1.0, 2.0, 60.0):
        pulse(Wrote("left:a", Side.RIGHT, Verb.UPDATE, ("addition",), lag_s=lag))
    now[0] += 600
    pulse(Examined(Ref(Side.LEFT, "a"), "left:a", LinkState.IN_SYNC))
    hour = pulse.hour()
    assert len(hour) == 60
    assert [minute.written for minute in hour if minute.written] == [3]
    assert hour[-1].examined == 1
    assert (pulse.lag(0.5), pulse.lag(0.95)) == (2.0, 60.0)
    now[0] += 3600
    assert sum(minute.written + minute.examined for minute in pulse.hour()) == 0
    assert pulse.lag(0.5) is None
