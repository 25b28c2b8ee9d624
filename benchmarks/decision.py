"""What a decision costs: a record of 14 fields in four groups, beside the same comparison written by hand.

    python3 dev bench decision

Prints ratios to floors measured in the same run; times of this machine mean nothing
elsewhere. A floor compares three records three ways, group by group, and decides nothing else:
"from records" has them as they come, as dictionaries, and cuts a tuple for each group;
"extracted" was given the twelve tuples ready-made, which is the strictest that can be asked
for. Values are equal but not the same objects, as values that were read anew are. The goal is
measured against the floor from records, which does from the same input what a decision has to
do at the least; the other one is shown beside it.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable, Mapping
from operator import itemgetter

from bidisync import Field, Group, Policy, Snapshot, prefer_left, reconcile
from bidisync.state import Agreement, agreed_of

FIELDS = [f"field{n}" for n in range(14)]
GROUPS = {"a": FIELDS[:5], "b": FIELDS[5:9], "c": FIELDS[9:12], "d": FIELDS[12:]}
ALLOWED = {"unchanged": 2.0, "changed": 8.0}

policy = Policy(
    [Field(name, group) for group, names in GROUPS.items() for name in names],
    [Group(group, strategy=prefer_left) for group in GROUPS],
)
values = {name: f"value of {name}" for name in FIELDS}


def anew(**changes: str) -> dict[str, str]:
    """The record as if it was read again: equal values, none of them the same object."""
    return {name: "".join(list(value)) for name, value in {**values, **changes}.items()}


base = agreed_of({name: Agreement(values[name], value) for name, value in anew().items()})  # as a link holds it
same_left, same = Snapshot("1", anew(), version="1"), Snapshot("1", anew(), version="1")
edited = Snapshot("1", anew(field6="edited"), version="2")
crossed = Snapshot("1", anew(field0="edited there"), version="2")
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


def extracted(base: list[tuple[str, ...]], left: list[tuple[str, ...]], right: list[tuple[str, ...]]) -> list[int]:
    """The same with tuples that somebody has cut before."""
    rows = []
    for agreed, here, there in zip(base, left, right, strict=False):
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
    agreed, left, changed, right = values, anew(), anew(field6="edited"), anew()
    cut = [[one(record) for one in cuts] for record in (agreed, left, changed, right)]
    took = best(
        {
            "floor of unchanged": lambda: by_hand(agreed, left, right),
            "floor of changed": lambda: by_hand(agreed, changed, right),
            "extracted of unchanged": lambda: extracted(cut[0], cut[1], cut[3]),
            "extracted of changed": lambda: extracted(cut[0], cut[2], cut[3]),
            "unchanged": lambda: reconcile(policy, base, same_left, same),
            "changed": lambda: reconcile(policy, base, edited, same),
            "two groups, on both sides": lambda: reconcile(policy, base, edited, crossed),
        }
    )
    failed = False
    print(f"{'case':<28}{'floor µs':>10}{'ours µs':>10}{'ratio':>8}{'goal':>7}{'to extracted':>14}")
    for case in ("unchanged", "changed", "two groups, on both sides"):
        floor, allowed = took.get(f"floor of {case}", took["floor of changed"]), ALLOWED.get(case)
        ratio, strict = took[case] / floor, took[case] / took.get(f"extracted of {case}", took["extracted of changed"])
        failed |= allowed is not None and ratio > allowed
        said = "" if allowed is None else "  reached" if ratio <= allowed else "  not reached"
        print(f"{case:<28}{floor:>10.2f}{took[case]:>10.2f}{ratio:>8.2f}{allowed or '–':>7}{strict:>14.2f}{said}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
