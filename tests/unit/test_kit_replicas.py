"""``check_replica`` passes for right replicas, and tells each wrong one by its fault."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path

import attrs
import pytest
from gallery_replicas import ABLE, EXAMPLES, GALLERY, PLAIN, READ_ONLY, SEARCHED, Right, trial_of

from bidisync import Capabilities, Conditional, FieldMap, FieldMapper, Mapped
from bidisync.errors import Stale, SyncError
from bidisync.testing import (
    PROMISES,
    Broken,
    Examples,
    MappedPerson,
    MemoryReplica,
    Trial,
    check_replica,
    judge_replica,
    memory_trial,
)


@pytest.mark.parametrize("capabilities", [ABLE, SEARCHED, PLAIN, READ_ONLY, Capabilities()])
async def test_the_replica_that_is_made_wrong_is_right(capabilities):
    judged = await check_replica(trial_of(Right, capabilities), EXAMPLES)
    assert not judged.broken
    assert set(judged.kept) | set(judged.not_judged) == set(PROMISES)


async def test_a_mapped_replica_in_memory_keeps_its_promises():
    mapper = FieldMapper(tuple(FieldMap(name, name.upper()) for name in ("name", "city")))

    async def make() -> Trial:
        inner = MemoryReplica(capabilities=ABLE, names=("NAME", "CITY"))
        trial = memory_trial(inner)
        return attrs.evolve(trial, replica=Mapped(inner, mapper), person=MappedPerson(trial.person, mapper))

    records = [{"name": "Ada", "city": "Ulm"}, {"name": "Eva", "city": None}]
    judged = await check_replica(make, Examples(records=records, texts=["name"], unmapped={"size": 38}))
    assert len(judged.kept) == len(PROMISES) - 6


async def test_every_promise_is_judged_by_one_right_replica_or_another():
    kept = {
        name
        for can in (ABLE, SEARCHED, READ_ONLY)
        for name in (await check_replica(trial_of(Right, can), EXAMPLES)).kept
    }
    assert kept == set(PROMISES)


@cache
def faults_of(place: int) -> tuple[Broken, ...]:
    kind, capabilities, _ = GALLERY[place]
    return asyncio.run(judge_replica(trial_of(kind, capabilities), EXAMPLES)).broken


@pytest.mark.parametrize("place", range(len(GALLERY)), ids=lambda place: GALLERY[place][0].__name__)
def test_a_wrong_replica_is_told_by_its_fault(place):
    faults = faults_of(place)
    assert any(GALLERY[place][2] in str(fault) for fault in faults), [str(fault) for fault in faults]
    assert all(fault.promise and fault.remedy for fault in faults)


def test_wrong_replicas_are_told_apart_and_no_promise_is_idle():
    words = [words for _, _, words in GALLERY]
    assert len(set(words)) == len(words)
    found = {fault.promise for place in range(len(GALLERY)) for fault in faults_of(place)}
    assert found == set(PROMISES)


def test_the_page_counts_the_promises():
    page = (Path(__file__).parents[2] / "docs" / "testing-your-own.md").read_text()
    assert f"| {len(PROMISES)} promises: " in page
    assert all(promise.endswith(".") for promise in PROMISES.values())


ALONE = {
    "NeverTellsDeletions": "lists_what_was_deleted_since",
    "TakesTheUnchangedForGone": "lists_what_was_deleted_since",
    "HandsOutWhatItEdits": "keeps_a_page_as_it_was",
    "GivesIdsTwice": "gives_no_id_twice",
}


@pytest.mark.parametrize("name", ALONE)
def test_some_faults_are_told_by_one_promise_alone(name):
    (place,) = [place for place in range(len(GALLERY)) if GALLERY[place][0].__name__ == name]
    assert {fault.promise for fault in faults_of(place)} == {ALONE[name]}


async def test_a_delete_that_ignores_the_version_is_told_where_writes_are_only_checked():
    class Checks(Right):
        async def update(self, seen, changes, **options):
            if seen.id in self.records and str(self.records[seen.id].version) != seen.version:
                raise Stale("the record moved")
            return await Right.update(self, seen, changes, **options)

    class ChecksUpdatesAlone(Checks):
        async def delete(self, seen):
            record = self.records.get(seen.id)
            await Checks.delete(self, seen if record is None else attrs.evolve(seen, version=str(record.version)))

    checked = attrs.evolve(ABLE, conditional_write=Conditional.CHECKED)
    assert not (await check_replica(trial_of(Checks, checked), EXAMPLES)).broken
    broken = (await judge_replica(trial_of(ChecksUpdatesAlone, checked), EXAMPLES)).broken
    assert [fault.promise for fault in broken] == ["does_not_delete_what_has_moved"]


def test_a_promise_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="no promise 'keeps_pace'"):
        asyncio.run(judge_replica(trial_of(Right, ABLE), EXAMPLES, only=["keeps_pace"]))


async def test_a_check_stops_at_the_first_fault_and_can_leave_one_out():
    kind, capabilities, words = next(one for one in GALLERY if one[0].__name__ == "ListsAPageTwice")
    with pytest.raises(Broken, match=words) as told:
        await check_replica(trial_of(kind, capabilities), EXAMPLES, only=["lists_every_record_once"])
    assert told.value.promise == "lists_every_record_once"
    judged = await check_replica(trial_of(kind, capabilities), EXAMPLES, without=["lists_every_record_once"])
    assert judged.not_judged["lists_every_record_once"] == "left out"


def test_examples_that_can_show_nothing_are_refused():
    with pytest.raises(ValueError, match="two records"):
        Examples(records=[{"a": 1, "b": 2}])
    with pytest.raises(ValueError, match="'b' is the same in all records"):
        Examples(records=[{"a": 1, "b": 2}, {"a": 2, "b": 2}])


async def test_a_replica_that_repeats_a_read_for_ever_does_not_stop_the_check():
    class Insists(Right):
        async def get(self, id):
            while True:
                try:
                    return await Right.get(self, id)
                except SyncError:
                    await asyncio.sleep(0.01)

    only = ["takes_only_an_absence_for_gone"]
    with pytest.raises(Broken, match=r"does not end within 0\.1 seconds"):
        await check_replica(trial_of(Insists, ABLE), EXAMPLES, only=only, patience_s=0.1)


async def test_a_system_whose_lists_lag_is_given_time():
    class Lags(Right):
        shown: frozenset[str] = frozenset()

        async def list(self, since=None):
            async for page in Right.list(self, since):
                seen = tuple(row for row in page.snapshots if row.id in self.shown)
                yield attrs.evolve(page, snapshots=seen)

        async def settle(self) -> None:
            self.shown = frozenset(self.records)

    async def patient() -> Trial:
        trial = await trial_of(Lags, ABLE)()
        return attrs.evolve(trial, settle=trial.replica.settle)

    only = ["lists_every_record_once", "makes_one_record"]
    assert not (await check_replica(patient, EXAMPLES, only=only)).broken
    assert len((await judge_replica(trial_of(Lags, ABLE), EXAMPLES, only=only)).broken) == 2


async def test_a_version_may_be_a_digest_of_the_contents():
    class Digested(Right):
        def _snapshot(self, id, *, row):
            found = Right._snapshot(self, id, row=row)
            return found if found.gone else attrs.evolve(found, version=str(sorted(found.fields.items(), key=str)))

        async def delete(self, seen):
            now = self.records[seen.id].version if seen.id in self.records else seen.version
            await Right.delete(self, attrs.evolve(seen, version=str(now)))

    assert not (await check_replica(trial_of(Digested, PLAIN), EXAMPLES)).broken
