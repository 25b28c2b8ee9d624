"""``check_replica`` passes for right replicas, and tells each wrong one by its fault."""

from __future__ import annotations

import pytest
from gallery_replicas import ABLE, EXAMPLES, GALLERY, PLAIN, SEARCHED, Right, trial_of

from bidisync import Capabilities
from bidisync.testing import PROMISES, check_replica, judge_replica


@pytest.mark.parametrize("capabilities", [ABLE, SEARCHED, PLAIN, Capabilities()])
async def test_the_replica_that_is_made_wrong_is_right(capabilities):
    judged = await check_replica(trial_of(Right, capabilities), EXAMPLES)
    assert not judged.broken
    assert set(judged.kept) | set(judged.not_judged) == set(PROMISES)


async def test_every_promise_is_judged_by_one_right_replica_or_another():
    kept = {name for can in (ABLE, SEARCHED) for name in (await check_replica(trial_of(Right, can), EXAMPLES)).kept}
    assert kept == set(PROMISES)


@pytest.mark.parametrize(("kind", "capabilities", "words"), GALLERY, ids=lambda value: getattr(value, "__name__", ""))
async def test_a_wrong_replica_is_told_by_its_fault(kind, capabilities, words):
    judged = await judge_replica(trial_of(kind, capabilities), EXAMPLES)
    faults = [str(fault) for fault in judged.broken]
    assert any(words in fault for fault in faults), faults
    assert all(fault.promise and fault.remedy for fault in judged.broken)
