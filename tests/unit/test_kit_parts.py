"""The checks of detectors, stores and locks pass for what is shipped, and name the fault of what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs
import pytest
from gallery_detectors import BY_CONTENT, DETECTORS
from gallery_locks import FREE, LOCKS
from gallery_state_stores import MANY, STORES

from bidisync import Contended, LockProvider, StateStore, by_version, first_that_knows
from bidisync.clock import SystemClock
from bidisync.detectors import ByContent, ByTimestamp
from bidisync.locks.local import LocalLocks
from bidisync.locks.none import NoLocks
from bidisync.mapping import same_text
from bidisync.stores.memory import MemoryStore
from bidisync.testing import Broken, check_detector, check_lock_provider, check_state_store
from bidisync.testing.laws import all_hold
from bidisync.testing.stores import finding, journals, links, many

SPELLED = ByContent(dict.fromkeys(BY_CONTENT.keys, same_text))


def named(value):
    return getattr(value, "__name__", type(value).__name__)


@pytest.mark.parametrize("detector", [by_version, ByTimestamp(), ByTimestamp(in_fold=lambda stamp: True)], ids=named)
def test_a_shipped_detector_keeps_its_promises(detector):
    check_detector(detector)


@pytest.mark.parametrize("detector", [BY_CONTENT, first_that_knows(by_version, ByTimestamp(), BY_CONTENT)], ids=named)
def test_a_shipped_detector_that_always_knows_keeps_its_promises(detector):
    check_detector(detector, always_knows=True)


def test_a_detector_is_judged_by_the_keys_that_it_compares_by():
    check_detector(SPELLED, always_knows=True, keys=SPELLED.keys)
    with pytest.raises(Broken, match="the change of a field is missed"):
        check_detector(SPELLED)
    with pytest.raises(Broken, match="a difference in spelling"):
        check_detector(BY_CONTENT, keys=SPELLED.keys)


def test_time_stamps_of_a_minute_fool_a_detector_that_counts_on_seconds():
    check_detector(ByTimestamp(resolution_s=60), resolution_s=60)
    with pytest.raises(Broken, match="the edit came soon after the look"):
        check_detector(first_that_knows(ByTimestamp(), BY_CONTENT), resolution_s=60)


@pytest.mark.parametrize(("detector", "words"), DETECTORS, ids=named)
def test_a_wrong_detector_is_told_by_its_fault(detector, words):
    with pytest.raises(Broken) as told:
        check_detector(detector, always_knows=True)
    assert words in str(told.value)
    assert told.value.remedy


@pytest.mark.parametrize(("kind", "words"), STORES, ids=named)
async def test_a_wrong_store_is_told_by_its_fault(kind, words):
    async def make() -> StateStore:
        return kind()

    with pytest.raises(Broken) as told:
        await check_state_store(make)
    assert words in told.value.fault
    assert told.value.promise


async def test_a_store_that_refuses_what_it_has_to_take_is_told_with_the_error_and_the_promise():
    class Jealous(MemoryStore):
        async def fence(self, link):
            raise Contended("not now")

    async def make() -> StateStore:
        return Jealous()

    with pytest.raises(Broken, match="a call that has to succeed raises Contended") as told:
        await check_state_store(make)
    assert told.value.promise == "fences"


@pytest.mark.parametrize(("kind", "words"), MANY, ids=named)
async def test_a_store_that_is_wrong_with_many_links_at_once_is_told_by_its_fault(kind, words):
    async def make() -> StateStore:
        return kind()

    await all_hold((*links.LAWS, *finding.LAWS, *journals.LAWS), make)
    with pytest.raises(Broken, match=words) as told:
        await all_hold(many.LAWS, make)
    assert told.value.remedy


async def test_a_store_without_save_many_is_not_judged_for_it():
    class Single:
        def __init__(self):
            self._store = MemoryStore()

        def __getattr__(self, name):
            if name == "save_many":
                raise AttributeError(name)
            return getattr(self._store, name)

    async def make() -> StateStore:
        return Single()

    await check_state_store(make)


@attrs.define
class Skipping:
    """Real time, of which a test may skip some."""

    skipped: float = 0.0

    def now(self) -> float:
        return SystemClock().now() + self.skipped

    def monotonic(self) -> float:
        return SystemClock().monotonic() + self.skipped

    async def sleep(self, seconds: float) -> None:
        await SystemClock().sleep(seconds)


async def judge_locks(kind: Callable[..., LockProvider]) -> None:
    clock = Skipping()
    locks = kind(lease_s=10.0, clock=clock)

    async def make() -> LockProvider:
        return locks

    async def expire() -> None:
        clock.skipped += 10.1

    await check_lock_provider(make, expire=expire)


async def test_leases_within_a_process_end_by_themselves():
    await judge_locks(partial(LocalLocks, wait_s=0.05))


@pytest.mark.parametrize(("kind", "words"), LOCKS, ids=named)
async def test_a_wrong_lock_provider_is_told_by_its_fault(kind, words):
    with pytest.raises(Broken) as told:
        await judge_locks(kind if kind is NoLocks else partial(kind, wait_s=0.05))
    assert words in str(told.value)


@pytest.mark.parametrize(("kind", "words"), FREE, ids=named)
async def test_locks_that_are_wrong_with_many_keys_at_once_are_told_by_their_fault(kind, words):
    with pytest.raises(Broken, match=words) as told:
        await judge_locks(partial(kind, wait_s=0.05))
    assert told.value.remedy


async def test_locks_that_wait_longer_than_the_check_are_told_so():
    async def make() -> LockProvider:
        return locks

    locks = LocalLocks()
    with pytest.raises(Broken, match=r"does not give up within 0\.1 seconds") as told:
        await check_lock_provider(make, patience_s=0.1)
    assert "LocalLocks(wait_s=0.2)" in told.value.remedy


async def test_locks_that_are_made_anew_each_time_are_told_to_share():
    async def make() -> LockProvider:
        return LocalLocks(wait_s=0.05)

    with pytest.raises(Broken, match="let what make gives share its leases"):
        await check_lock_provider(make)
