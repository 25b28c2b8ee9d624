"""What a decision costs: a record of 14 fields in four groups, beside the same comparison written by hand.

    python3 dev bench decision

Prints ratios to the floor measured in the same run; times of this machine mean nothing
elsewhere. The floor takes both records and the base as dictionaries, cuts a tuple for each
group from each of the three, and compares them three ways; it decides nothing else.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable, Mapping
from operator import itemgetter

from bidisync import Field, Group, Policy, Snapshot, prefer_left, reconcile
from bidisync.state import Agreement

FIELDS = [f"field{n}" for n in range(14)]
GROUPS = {"a": FIELDS[:5], "b": FIELDS[5:9], "c": FIELDS[9:12], "d": FIELDS[12:]}
ALLOWED = {"unchanged": 2.0, "changed": 8.0}

policy = Policy(
    [Field(name, group) for group, names in GROUPS.items() for name in names],
    [Group(group, strategy=prefer_left) for group in GROUPS],
)
values = {name: f"value of {name}" for name in FIELDS}
base = {name: Agreement(value, value) for name, value in values.items()}
same = Snapshot("1", dict(values), version="1")
edited = Snapshot("1", {**values, "field6": "edited"}, version="2")
crossed = Snapshot("1", {**values, "field0": "edited there"}, version="2")
cuts = [itemgetter(*names) for names in GROUPS.values()]


def by_hand(base: dict[str, str], left: dict[str, str], right: dict[str, str]) -> list[int]:
    """The floor: a row for each group."""
    rows = []
    for cut in cuts:
        agreed, here, there = cut(base), cut(left), cut(right)
        if here == agreed:
            rows.append(1 if there == agreed else 3)
        elif there == agreed:
            rows.append(2)
        else:
            rows.append(4 if here == there else 5)
    return rows


def best(calls: Mapping[str, Callable[[], object]], rounds: int = 300, number: int = 300) -> dict[str, float]:
    """The best of many short runs of each call, in turns so that a busy machine disturbs all alike; microseconds."""
    timers = {name: timeit.Timer(call) for name, call in calls.items()}
    runs = [{name: timer.timeit(number) for name, timer in timers.items()} for _ in range(rounds)]
    return {name: min(run[name] for run in runs) / number * 1e6 for name in calls}


def main() -> int:
    """Print the ratios; 1 if one is above what is allowed."""
    plain = dict(values), {**values, "field6": "edited"}
    took = best(
        {
            "floor of unchanged": lambda: by_hand(plain[0], plain[0], plain[0]),
            "floor of changed": lambda: by_hand(plain[0], plain[1], plain[0]),
            "unchanged": lambda: reconcile(policy, base, same, same),
            "changed": lambda: reconcile(policy, base, edited, same),
            "two groups, on both sides": lambda: reconcile(policy, base, edited, crossed),
        }
    )
    failed = False
    print(f"{'case':<28}{'floor µs':>10}{'ours µs':>10}{'ratio':>8}{'allowed':>9}")
    for case in ("unchanged", "changed", "two groups, on both sides"):
        floor, allowed = took.get(f"floor of {case}", took["floor of changed"]), ALLOWED.get(case)
        ratio = took[case] / floor
        failed |= allowed is not None and ratio > allowed
        print(f"{case:<28}{floor:>10.2f}{took[case]:>10.2f}{ratio:>8.2f}{allowed or '–':>9}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
