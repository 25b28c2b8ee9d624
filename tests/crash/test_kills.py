"""Workers die at random moments, so does Redis, replies are lost, people edit all the while: nothing is lost."""

from __future__ import annotations

import os
import time

from siege import Plan, besiege, complaints, told, town

SEED = int(os.environ.get("BIDISYNC_CRASH_SEED", "1"))
KILLS = int(os.environ.get("BIDISYNC_CRASH_KILLS", "100"))
SECONDS = float(os.environ.get("BIDISYNC_CRASH_SECONDS", str(0.33 * KILLS)))


async def held_out(plan: Plan, tmp_path, redis_server):
    began = time.monotonic()
    async with town(tmp_path, redis_server, plan.seed, enforced=plan.enforced, both_sides=plan.both_sides) as besieged:
        await besieged.people.crm.forget_requests()
        await besieged.people.erp.forget_requests()
        await besiege(plan, besieged)
        peace = time.monotonic()
        seen = [*await besieged.people.crm.requests(), *await besieged.people.erp.requests()]
        cut = sum(entry["status"] == 0 for entry in seen)
        await besieged.settle()
        quiet = time.monotonic()
        assert complaints(tmp_path) == ""
        findings = await besieged.people.find_faults(besieged.state)
        figures = {
            "requests cut off": cut,
            "lost": len(findings.lost),
            "doubled": len(findings.doubled),
            "beaten in a conflict": findings.beaten,
            "seconds to quiet": round(quiet - peace, 1),
            "seconds": round(quiet - began, 1),
        }
        print(f"{told(besieged.counts, **figures)}")
        return besieged, findings, await besieged.nothing_is_wrong(may_lose=not plan.enforced)


async def test_a_hundred_kills_ten_dead_redis_and_long_stops_lose_no_edit_and_double_nobody(tmp_path, redis_server):
    plan = Plan(seed=SEED, kills=KILLS, redis_kills=max(10, KILLS // 10), stops=max(10, KILLS // 10), seconds=SECONDS)
    town, _, _ = await held_out(plan, tmp_path, redis_server)
    assert (town.counts["kills"], town.counts["redis kills"]) == (plan.kills, plan.redis_kills)


async def test_where_a_remote_takes_outdated_writes_what_that_costs_is_measured(tmp_path, redis_server):
    kills = KILLS // 5
    plan = Plan(seed=SEED, kills=kills, redis_kills=1, stops=1, seconds=0.4 * kills, enforced=False, both_sides=False)
    _, findings, _ = await held_out(plan, tmp_path, redis_server)
    edits = int(plan.seconds * plan.edits_per_s)
    lost, undone = len(findings.lost), len(findings.misjudged)
    print(f"without conditional writes: {lost} of {edits} edits lost, {undone} undone")
    assert lost + undone <= max(3, 0.02 * edits)
