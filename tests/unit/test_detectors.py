"""What counts as a change, and what is an old state shown again."""

from __future__ import annotations

import attrs
import pytest
from pairs import Pair, fold

from bidisync import ABSENT, ClockTrust, Field, Group, Policy, Ref, Side, Snapshot
from bidisync.clock import local_seconds, repeated_hour
from bidisync.detectors import ByContent, ByTimestamp, by_version, dated, first_that_knows, outdated
from bidisync.state import Shadow

POLICY = Policy([Field("name", "g", key=fold), Field("x", "g")], [Group("g")])
content = ByContent.of(POLICY)
SEEN = Snapshot("1", {"name": "Ada", "x": 1}, version="7", modified_at=1000.0, seen_at=2000.0)


def moved(detector, before: Snapshot, now: Snapshot) -> object:
    change = detector(Shadow.of(before), now)
    return None if change is None else sorted(change.fields)


def test_an_equal_token_proves_that_nothing_moved_and_another_one_proves_nothing():
    assert moved(by_version, SEEN, SEEN) == []
    assert moved(by_version, SEEN, attrs.evolve(SEEN, version="8")) is None
    assert moved(by_version, attrs.evolve(SEEN, version=None), attrs.evolve(SEEN, version=None)) is None
    assert moved(by_version, SEEN, Snapshot("1", {}, gone=True, version="7")) is None


def test_a_token_that_moved_with_equal_values_is_no_change():
    both = first_that_knows(by_version, content)
    assert moved(both, SEEN, attrs.evolve(SEEN, version="8")) == []
    assert moved(both, SEEN, attrs.evolve(SEEN, version="8", fields={"name": "Ada", "x": 2})) == ["x"]


def test_content_knows_values_apart_and_leaves_out_spelling_and_what_was_not_delivered():
    assert moved(content, SEEN, attrs.evolve(SEEN, fields={"name": " ADA ", "x": 1})) == []
    assert moved(content, SEEN, attrs.evolve(SEEN, fields={"name": "Ada", "x": ABSENT})) == []
    assert moved(content, SEEN, attrs.evolve(SEEN, fields={"name": "Ada"})) == []
    assert moved(content, SEEN, attrs.evolve(SEEN, fields={"name": None, "x": 1})) == ["name"]
    poor = attrs.evolve(SEEN, fields={"name": "Ada", "x": ABSENT})
    assert moved(content, poor, SEEN) == ["x"], "what is delivered for the first time is looked at"
    unread = attrs.evolve(SEEN, unreadable=frozenset({"x"}))
    assert moved(content, SEEN, unread) == ["x"]
    assert moved(content, unread, unread) == []
    other = attrs.evolve(SEEN, fields={**SEEN.fields, "unmapped": "a"})
    assert moved(content, other, attrs.evolve(other, fields={**SEEN.fields, "unmapped": "A"})) == ["unmapped"]


@pytest.mark.parametrize(
    ("stamp", "seen_at", "answer"),
    [
        (1000.0, 1006.5, []),  # 1 s resolution and 5 s skew are over
        (1000.0, 1006.0, None),  # an edit in the same second could carry the same stamp
        (1001.0, 2000.0, None),  # moved: which fields, a stamp can't tell
        (None, 2000.0, None),
    ],
)
def test_an_equal_time_stamp_proves_something_only_after_a_while(stamp, seen_at, answer):
    before = attrs.evolve(SEEN, seen_at=seen_at)
    assert moved(ByTimestamp(), before, attrs.evolve(SEEN, modified_at=stamp)) == answer


def test_a_shadow_without_a_stamp_proves_nothing():
    assert moved(ByTimestamp(), attrs.evolve(SEEN, modified_at=None), attrs.evolve(SEEN, modified_at=None)) is None
    assert ByTimestamp()(Shadow.of(SEEN), Snapshot("1", {}, gone=True, modified_at=1000.0)) is None


def test_in_the_hour_that_a_clock_change_repeats_a_stamp_proves_nothing_for_an_hour():
    zone = "Europe/Berlin"
    doubtful = local_seconds("2026-10-25T02:30:00", zone)
    assert doubtful.kind == "ambiguous"
    detector = ByTimestamp(in_fold=lambda at: repeated_hour(at, zone))
    for later, answer in ((60.0, None), (3605.0, None), (3607.0, [])):
        before = attrs.evolve(SEEN, modified_at=doubtful.at, seen_at=doubtful.at + later)
        assert moved(detector, before, attrs.evolve(SEEN, modified_at=doubtful.at)) == answer
    assert not repeated_hour(doubtful.at - 7200, zone)
    assert local_seconds("2026-03-29T02:30:00", zone).kind == "nonexistent"


def test_the_first_detector_that_knows_is_believed():
    asked = []

    def silent(shadow, snapshot):
        asked.append("silent")

    def loud(shadow, snapshot):
        raise AssertionError("nobody asks after the answer")

    assert moved(first_that_knows(silent, by_version, loud), SEEN, SEEN) == []
    assert asked == ["silent"]
    assert moved(first_that_knows(silent), SEEN, SEEN) is None


NEW = attrs.evolve(SEEN, fields={"name": "Ada", "x": 2}, version="8")
WRITTEN = Shadow.of(NEW).replacing(SEEN, ["x"], until=3000.0)


@pytest.mark.parametrize(
    ("shown", "now", "old"),
    [
        (SEEN, 2999.0, True),
        (SEEN, 3000.0, False),  # too late for a copy that lags: somebody went back
        (NEW, 2000.0, False),
        (attrs.evolve(SEEN, version="9"), 2000.0, False),  # the old values under a new token: a person's edit
        (attrs.evolve(SEEN, version=None), 2000.0, True),  # without tokens the values decide
        (attrs.evolve(NEW, version=None), 2000.0, False),
        (attrs.evolve(SEEN, version=None, fields={"name": "Eve", "x": 1}), 2000.0, True),
        (Snapshot("1", {}, gone=True), 2000.0, False),
    ],
)
def test_a_read_that_shows_what_our_write_replaced_is_an_old_one(shown, now, old):
    assert outdated(WRITTEN, shown, now) is old


def test_a_shadow_that_replaced_nothing_makes_no_read_old():
    assert not outdated(Shadow.of(NEW), SEEN, 0.0)
    same = Shadow.of(attrs.evolve(SEEN, version=None)).replacing(attrs.evolve(SEEN, version=None), ["x"], 3000.0)
    assert not outdated(same, attrs.evolve(SEEN, version=None), 2000.0), "a write that changed nothing replaced nothing"
    quiet = Shadow.of(SEEN).replacing(SEEN, ["x"], 3000.0)
    assert not outdated(quiet, SEEN, 2000.0), "the token did not move with our write"


async def test_row_13_a_lagging_side_is_read_again_and_its_old_state_never_travels_back():
    pair = Pair()
    pair.left.add(name="Ada", x="1", y=None, born="b")
    await pair.sweep(everything=True)
    old = pair.left._snapshot("l1", row=False)
    pair.right.edit("r1", x="2")
    await pair.sweep()
    assert pair.left.values("l1")["x"] == "2"
    reads = []

    async def lagging(id):
        reads.append(pair.clock.at)
        now = await pair.left.get(id)
        return attrs.evolve(old, seen_at=now.seen_at) if len(reads) < 3 else now

    class Lagging(type(pair.left)):
        get = staticmethod(lagging)

    engine = await pair.engine()
    lags = Lagging("l", capabilities=pair.left.capabilities, names=pair.left.names, records=pair.left.records)
    lags.now = pair.clock.now
    object.__setattr__(engine, "parts", attrs.evolve(engine.parts, left=lags))
    before = pair.writes()
    outcome = await engine.sync(Ref(Side.LEFT, "l1"))
    assert outcome.state.value == "in_sync"
    assert len(reads) == 3, "the old state was read again until it was over"
    assert pair.writes() == before
    assert pair.right.values("r1")["x"] == "2"


def test_a_change_carries_the_look_it_was_found_in():
    newer = attrs.evolve(SEEN, fields={"name": "Eve", "x": ABSENT, "late": None}, version="8")
    change = content(Shadow.of(SEEN), newer)
    assert change.snapshot is newer
    assert change.fields == {"name", "late"}, "a field that was not delivered hides nothing behind it"
    first = attrs.evolve(SEEN, fields={"x": ABSENT, "name": "Eve"})
    assert content(Shadow.of(SEEN), first).fields == {"name"}
    assert ByTimestamp()(Shadow.of(SEEN), SEEN).snapshot is SEEN
    assert by_version(Shadow.of(SEEN), SEEN).snapshot is SEEN
    empty = attrs.evolve(SEEN, fields={"name": None})
    assert moved(content, attrs.evolve(SEEN, fields={}), empty) == ["name"], "known to be empty is news"


def test_a_poor_read_is_not_taken_for_what_our_write_replaced():
    plain = attrs.evolve(SEEN, version=None, fields={"x": None})
    written = Shadow.of(attrs.evolve(plain, fields={"x": 2})).replacing(plain, ["x"], until=3000.0)
    assert outdated(written, plain, 2000.0)
    assert not outdated(written, attrs.evolve(plain, fields={}), 2000.0)


def test_a_key_is_asked_about_values_alone():
    stripped = ByContent({"x": lambda value: value.strip() or None})  # type: ignore[union-attr]
    empty = attrs.evolve(SEEN, fields={"x": None})
    assert moved(stripped, empty, attrs.evolve(SEEN, fields={"x": "a"})) == ["x"]
    assert moved(stripped, attrs.evolve(SEEN, fields={"x": "a"}), empty) == ["x"]
    assert moved(stripped, empty, attrs.evolve(SEEN, fields={"x": " "})) == [], "blank is empty"


def test_a_time_is_told_only_where_the_clock_is_trusted_and_somebody_else_wrote_last():
    trusted, other = ClockTrust.TRUSTED, Shadow.of(attrs.evolve(SEEN, modified_at=900.0))
    assert dated(SEEN, None, trusted) is SEEN
    assert dated(SEEN, Shadow.of(SEEN), trusted) is SEEN
    assert dated(SEEN, None, ClockTrust.UNTRUSTED).modified_at is None
    assert dated(attrs.evolve(SEEN, modified_by_us=True), None, trusted).modified_at is None
    written = Shadow.of(SEEN).replacing(SEEN, ["x"], until=0.0)
    assert dated(SEEN, written, trusted).modified_at is None, "the stamp of our own write"
    assert dated(SEEN, other.replacing(SEEN, ["x"], until=0.0), trusted) is SEEN, "somebody edited since"
    unknown = attrs.evolve(SEEN, modified_at=None)
    assert dated(unknown, None, ClockTrust.UNTRUSTED) is unknown
